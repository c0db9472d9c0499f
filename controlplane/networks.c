// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/networks.h"

#include <errno.h>
#include <stdlib.h>

static int prefix_compare(
	uint32_t domain_a, const struct ip6 *a, uint32_t domain_b, const struct ip6 *b)
{
	if (domain_a != domain_b)
		return domain_a < domain_b ? -1 : 1;
	return memcmp(a, b, sizeof(*a));
}

static int order_compare(const void *a, const void *b, void *arg)
{
	const struct networks *networks = arg;
	const struct networks_prefix *pa = &networks->prefixes[*(const uint16_t *)a];
	const struct networks_prefix *pb = &networks->prefixes[*(const uint16_t *)b];

	return prefix_compare(pa->domain, &pa->prefix.addr, pb->domain, &pb->prefix.addr);
}

// Gives the prefix its old number, or, in the pass for new ones, a free one.
static int add_prefix(struct networks *networks, const struct config_network *network,
	const struct ip6_prefix *prefix, bool is_for_new)
{
	struct networks_prefix *room = NULL;

	for (unsigned int i = 1; i < API_MAX_HOME_PREFIXES; i++) {
		struct networks_prefix *p = &networks->prefixes[i];

		if (p->domain == network->domain && p->prefix.len == prefix->len &&
			ip6_eq(&p->prefix.addr, &prefix->addr)) {
			p->network = network;
			return 0;
		}
		// A number with bindings is not given away: theirs end first.
		if (room == NULL && p->network == NULL && p->n_bindings == 0)
			room = p;
	}
	if (!is_for_new)
		return 0;
	if (room == NULL)
		return -ENOSPC;
	*room = (struct networks_prefix){
		.prefix = *prefix, .domain = network->domain, .network = network
	};
	return 0;
}

static int add_agent(struct networks *networks, const struct config_network *network,
	const struct ip6 *address, bool is_for_new)
{
	struct networks_agent *room = NULL;

	for (unsigned int i = 0; i < API_MAX_AGENTS; i++) {
		struct networks_agent *a = &networks->agents[i];

		if (ip6_eq(&a->address, address)) {
			a->network = network;
			a->domain = network->domain;
			return 0;
		}
		if (room == NULL && a->network == NULL && a->n_bindings == 0)
			room = a;
	}
	if (!is_for_new)
		return 0;
	if (room == NULL)
		return -ENOSPC;
	*room = (struct networks_agent){
		.address = *address, .domain = network->domain, .network = network
	};
	return 0;
}

static int add_network(
	struct networks *networks, const struct config_network *network, bool is_for_new)
{
	int error = 0;

	for (unsigned int i = 0; i < network->n_prefixes && error == 0; i++)
		error = add_prefix(networks, network, &network->prefixes[i], is_for_new);
	for (unsigned int i = 0; i < network->n_agents && error == 0; i++)
		error = add_agent(networks, network, &network->agent_addresses[i], is_for_new);
	return error;
}

// What is known keeps its number, so it goes first: a new one must not take it.
static int add_all(struct networks *networks, const struct config *config)
{
	int error = 0;

	for (unsigned int i = 0; i < API_MAX_HOME_PREFIXES; i++)
		networks->prefixes[i].network = NULL;
	for (unsigned int i = 0; i < API_MAX_AGENTS; i++)
		networks->agents[i].network = NULL;
	for (unsigned int i = 0; i < config->n_networks && error == 0; i++)
		error = add_network(networks, &config->networks[i], false);
	for (unsigned int i = 0; i < config->n_networks && error == 0; i++)
		error = add_network(networks, &config->networks[i], true);
	return error;
}

int networks_set(struct networks *networks, const struct config *config)
{
	struct networks *next = malloc(sizeof(*next));
	int error;

	if (next == NULL)
		return -ENOMEM;
	*next = *networks;
	error = add_all(next, config);
	if (error == 0) {
		next->n_order = 0;
		for (uint16_t i = 1; i < API_MAX_HOME_PREFIXES; i++)
			if (next->prefixes[i].network != NULL)
				next->order[next->n_order++] = i;
		next->n_agents = 0;
		for (uint16_t i = 0; i < API_MAX_AGENTS; i++)
			if (next->agents[i].network != NULL)
				next->n_agents = (uint16_t)(i + 1);
		qsort_r(next->order, next->n_order, sizeof(next->order[0]), order_compare, next);
		*networks = *next;
	}
	free(next);
	return error;
}

uint16_t networks_find_agent(const struct networks *networks, const struct ip6 *address)
{
	for (uint16_t i = 0; i < networks->n_agents; i++)
		if (networks->agents[i].network != NULL &&
			ip6_eq(&networks->agents[i].address, address))
			return i;
	return NETWORKS_NO_AGENT;
}

uint16_t networks_keep_agent(struct networks *networks, const struct ip6 *address)
{
	uint16_t room = NETWORKS_NO_AGENT;

	for (uint16_t i = 0; i < API_MAX_AGENTS; i++) {
		const struct networks_agent *a = &networks->agents[i];

		if (ip6_eq(&a->address, address))
			return i;
		if (room == NETWORKS_NO_AGENT && a->network == NULL && a->n_bindings == 0)
			room = i;
	}
	if (room != NETWORKS_NO_AGENT)
		networks->agents[room] = (struct networks_agent){ .address = *address };
	return room;
}

bool networks_serve(const struct networks *networks, uint16_t home_prefix, uint16_t agent)
{
	const struct networks_prefix *p = &networks->prefixes[home_prefix];
	const struct networks_agent *a = &networks->agents[agent];

	return p->network != NULL && a->network != NULL && p->domain == a->domain;
}

bool networks_are_same(const struct networks *a, const struct networks *b)
{
	for (unsigned int i = 1; i < API_MAX_HOME_PREFIXES; i++) {
		const struct networks_prefix *p = &a->prefixes[i], *q = &b->prefixes[i];

		if ((p->network != NULL) != (q->network != NULL))
			return false;
		if (p->network != NULL &&
			(p->domain != q->domain || p->prefix.len != q->prefix.len ||
				!ip6_eq(&p->prefix.addr, &q->prefix.addr) ||
				p->network->protect != q->network->protect))
			return false;
	}
	for (unsigned int i = 0; i < API_MAX_AGENTS; i++) {
		const struct networks_agent *p = &a->agents[i], *q = &b->agents[i];

		if ((p->network != NULL) != (q->network != NULL))
			return false;
		if (p->network != NULL &&
			(p->domain != q->domain || !ip6_eq(&p->address, &q->address) ||
				p->network->encapsulation_limit != q->network->encapsulation_limit))
			return false;
	}
	return true;
}

uint16_t networks_find_prefix(
	const struct networks *networks, uint32_t domain, const struct ip6 *address)
{
	unsigned int low = 0, high = networks->n_order; // the answer is the last one not above

	while (low < high) {
		unsigned int middle = (low + high) / 2;
		const struct networks_prefix *p = &networks->prefixes[networks->order[middle]];

		if (prefix_compare(p->domain, &p->prefix.addr, domain, address) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low > 0) {
		uint16_t number = networks->order[low - 1];
		const struct networks_prefix *p = &networks->prefixes[number];

		if (p->domain == domain && prefix_contains(&p->prefix, address))
			return number;
	}
	return 0;
}
