// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/anchor.h"

#include <errno.h>
#include <stdlib.h>

#include <rte_byteorder.h>

#include "dataplane/base/log.h"
#include "dataplane/domain.h"
#include "dataplane/host.h"
#include "dataplane/mirror.h"
#include "dataplane/twin.h"
#include "dataplane/watchdog.h"

enum { OUTER_HOP_LIMIT = 64 };

const struct agent *anchor_agents[API_MAX_AGENTS];
const struct api_home_prefix_set *anchor_home_prefixes[API_MAX_HOME_PREFIXES];

bool anchor_is_filled;
uint32_t anchor_protect;
uint16_t anchor_agents_end;

static uint16_t n_expected;
static bool agent_is_fresh[API_MAX_AGENTS];
static bool home_prefix_is_fresh[API_MAX_HOME_PREFIXES];

// Publishes new (or NULL) in place of *slot and frees what was there after a grace period. Waiting
// is fine here: anchors change when an operator changes the configuration.
#define ANCHOR_SWAP(slot, new)                             \
	do {                                               \
		void *old_ = (void *)(uintptr_t) * (slot); \
		rcu_publish((slot), (new));                \
		if (old_ != NULL) {                        \
			watchdog_rcu_wait();               \
			free(old_);                        \
		}                                          \
	} while (0)

static void agent_drop(uint16_t idx)
{
	struct ip6 address = anchor_agents[idx]->outer.src;

	twin_del_local(&address);
	mirror_agent_set(idx, &address, DOMAIN_TRANSPORT);
	ANCHOR_SWAP(&anchor_agents[idx], NULL);
}

int anchor_agent_set(const struct api_agent_set *set)
{
	bool has_limit = set->encap_limit != API_NO_ENCAP_LIMIT;
	const struct agent *old;
	int domain = domain_index(set->domain);
	struct agent *agent;
	int error;

	if (set->agent >= API_MAX_AGENTS || set->encap_limit > API_NO_ENCAP_LIMIT)
		return -EINVAL;
	if (domain < 0)
		return domain;
	agent_is_fresh[set->agent] = true;
	old = anchor_agents[set->agent];
	if (old != NULL && (!ip6_eq(&old->outer.src, &set->address) || old->domain != domain)) {
		agent_drop(set->agent);
		old = NULL;
	}
	if (old != NULL && old->has_encap_limit == has_limit &&
		(!has_limit || old->encap_limit == set->encap_limit))
		return 0;
	error = old != NULL ? 0 : twin_add_local(&set->address);
	if (error != 0)
		return error;
	agent = calloc(1, sizeof(*agent));
	if (agent == NULL)
		return -ENOMEM;
	agent->has_encap_limit = has_limit;
	agent->encap_limit = (uint8_t)set->encap_limit;
	agent->outer.vtc_flow_be = rte_cpu_to_be_32(6u << 28);
	agent->outer.next_header = PROTO_IPV6;
	agent->outer.hop_limit = OUTER_HOP_LIMIT;
	agent->outer.src = set->address;
	agent->domain = (uint8_t)domain;
	mirror_agent_set(set->agent, &set->address, agent->domain);
	ANCHOR_SWAP(&anchor_agents[set->agent], agent);
	if (set->agent >= anchor_agents_end)
		__atomic_store_n(&anchor_agents_end, (uint16_t)(set->agent + 1), __ATOMIC_RELAXED);
	return 0;
}

static struct ip6_prefix prefix_of(const struct api_home_prefix_set *set)
{
	return (struct ip6_prefix){ .addr = set->prefix, .len = set->prefix_len };
}

static void protect_sum(void)
{
	uint32_t protect = 0;

	for (uint16_t i = 0; i < API_MAX_HOME_PREFIXES; i++) {
		if (anchor_home_prefixes[i] != NULL)
			protect |= anchor_home_prefixes[i]->protect;
	}
	__atomic_store_n(&anchor_protect, protect, __ATOMIC_RELAXED);
}

static void home_prefix_drop(uint16_t idx)
{
	struct ip6_prefix prefix = prefix_of(anchor_home_prefixes[idx]);

	if (anchor_home_prefixes[idx]->domain == DOMAIN_TRANSPORT)
		host_route_del(&prefix);
	mirror_home_prefix_del(idx);
	ANCHOR_SWAP(&anchor_home_prefixes[idx], NULL);
	protect_sum();
}

static bool same_home_prefix(
	const struct api_home_prefix_set *a, const struct api_home_prefix_set *b)
{
	return ip6_eq(&a->prefix, &b->prefix) && a->prefix_len == b->prefix_len &&
	       a->key_len == b->key_len && a->domain == b->domain;
}

int anchor_home_prefix_set(const struct api_home_prefix_set *set)
{
	const struct api_home_prefix_set *old;
	struct api_home_prefix_set *copy;
	struct ip6_prefix prefix = prefix_of(set);
	int domain = domain_index(set->domain), error = 0;
	struct api_home_prefix_set own = *set;

	if (set->home_prefix == 0 || set->home_prefix >= API_MAX_HOME_PREFIXES ||
		set->prefix_len < 16 || set->prefix_len > set->key_len || set->key_len > 128)
		return -EINVAL;
	if (domain < 0)
		return domain;
	own.domain = (uint32_t)domain;
	home_prefix_is_fresh[set->home_prefix] = true;
	old = anchor_home_prefixes[set->home_prefix];
	if (old != NULL && same_home_prefix(old, &own) && old->protect == own.protect)
		return 0;
	copy = malloc(sizeof(*copy));
	if (copy == NULL)
		return -ENOMEM;
	*copy = own;
	if (old != NULL && same_home_prefix(old, &own)) {
		ANCHOR_SWAP(&anchor_home_prefixes[set->home_prefix], copy);
		protect_sum();
		return 0;
	}
	if (old != NULL)
		home_prefix_drop(set->home_prefix);
	ANCHOR_SWAP(&anchor_home_prefixes[set->home_prefix], copy);
	protect_sum();
	mirror_home_prefix_set(&own);
	// The kernel itself talks to mobiles of domain 0 only: it could not tell the others apart.
	if (domain == DOMAIN_TRANSPORT)
		error = host_route_set(&prefix);
	if (error != 0)
		log_warn("host_route_failed home_prefix=%u error=%d", set->home_prefix, -error);
	return 0;
}

// Expected prefixes take ids from the upper end, which give way to what control says of the same prefix.
static uint16_t expected_id(uint16_t i)
{
	return (uint16_t)(API_MAX_HOME_PREFIXES - 1 - i);
}

void anchor_expect(const struct config *config)
{
	for (uint16_t n = 0; n < config->n_networks; n++) {
		for (uint8_t p = 0; p < config->networks[n].n_prefixes; p++) {
			const struct ip6_prefix *prefix = &config->networks[n].prefixes[p];
			const struct api_home_prefix_set set = {
				.home_prefix = expected_id(n_expected),
				.prefix = prefix->addr,
				.prefix_len = prefix->len,
				.key_len = 128,
				.domain = (uint32_t)domain_index(config->networks[n].domain),
			};

			if (n_expected == API_MAX_HOME_PREFIXES / 2)
				return;
			mirror_home_prefix_set(&set);
			n_expected++;
		}
	}
}

void anchor_filled(void)
{
	while (n_expected > 0) {
		uint16_t id = expected_id(--n_expected);

		if (anchor_home_prefixes[id] == NULL) // control may use as many
			mirror_home_prefix_del(id);
	}
	__atomic_store_n(&anchor_is_filled, true, __ATOMIC_RELAXED);
}

void anchor_mark_begin(void)
{
	memset(agent_is_fresh, 0, sizeof(agent_is_fresh));
	memset(home_prefix_is_fresh, 0, sizeof(home_prefix_is_fresh));
}

void anchor_sweep(void)
{
	for (uint16_t i = 0; i < API_MAX_HOME_PREFIXES; i++) {
		if (anchor_home_prefixes[i] != NULL && !home_prefix_is_fresh[i])
			home_prefix_drop(i);
	}
	for (uint16_t i = 0; i < API_MAX_AGENTS; i++) {
		if (anchor_agents[i] != NULL && !agent_is_fresh[i])
			agent_drop(i);
	}
}

bool anchor_is_in_force(void)
{
	for (uint16_t i = 0; i < API_MAX_AGENTS; i++) {
		if (anchor_agents[i] != NULL && !mirror_has_local(&anchor_agents[i]->outer.src))
			return false;
	}
	return true;
}

void anchor_free(void)
{
	anchor_mark_begin();
	anchor_sweep();
}
