// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/networks.h"

#include <errno.h>
#include <stdio.h>

#include "tests/unit/base/suite.h"

static void set_prefix(struct config_network *network, const char *prefix, const char *agent)
{
	network->n_prefixes = 1;
	network->n_agents = 1;
	CU_ASSERT_EQUAL(prefix_parse(prefix, false, &network->prefixes[0]), 0);
	CU_ASSERT_EQUAL(ip6_parse(agent, &network->agent_addresses[0]), 0);
}

static uint16_t find(const struct networks *networks, uint32_t domain, const char *address)
{
	struct ip6 a;

	CU_ASSERT_EQUAL(ip6_parse(address, &a), 0);
	return networks_find_prefix(networks, domain, &a);
}

static void test_find(void)
{
	static struct networks networks;
	struct config_network list[3] = { { .domain = 0 }, { .domain = 0 }, { .domain = 5 } };
	struct config config = { .n_networks = 3, .networks = list };
	struct ip6 agent;

	set_prefix(&list[0], "2001:db8:2::/64", "2001:db8:2::1");
	set_prefix(&list[1], "2001:db8:1::/48", "2001:db8:1::1");
	set_prefix(&list[2], "2001:db8:2::/64", "2001:db8:ff::1"); // the same in another domain
	CU_ASSERT_EQUAL(networks_set(&networks, &config), 0);
	CU_ASSERT_PTR_EQUAL(
		networks.prefixes[find(&networks, 0, "2001:db8:2::")].network, &list[0]);
	CU_ASSERT_PTR_EQUAL(
		networks.prefixes[find(&networks, 0, "2001:db8:2::ffff:ffff")].network, &list[0]);
	CU_ASSERT_PTR_EQUAL(
		networks.prefixes[find(&networks, 0, "2001:db8:1:ffff::1")].network, &list[1]);
	CU_ASSERT_PTR_EQUAL(
		networks.prefixes[find(&networks, 5, "2001:db8:2::7")].network, &list[2]);
	CU_ASSERT_EQUAL(find(&networks, 0, "2001:db8:2:1::"), 0);
	CU_ASSERT_EQUAL(find(&networks, 0, "2001:db8::"), 0);
	CU_ASSERT_EQUAL(find(&networks, 5, "2001:db8:1::"), 0);
	CU_ASSERT_EQUAL(find(&networks, 1, "2001:db8:2::1"), 0);
	ip6_parse("2001:db8:ff::1", &agent);
	CU_ASSERT_EQUAL(networks.agents[networks_find_agent(&networks, &agent)].domain, 5);
	ip6_parse("::", &agent);
	CU_ASSERT_EQUAL(networks_find_agent(&networks, &agent), NETWORKS_NO_AGENT);
}

// What stays keeps its number, wherever the new configuration lists it; a number with bindings is not
// given to another prefix.
static void test_numbers_stay(void)
{
	static struct networks networks;
	struct config_network list[3] = { 0 };
	struct config config = { .n_networks = 2, .networks = list };
	uint16_t one, two;

	set_prefix(&list[0], "2001:db8:1::/64", "2001:db8:1::1");
	set_prefix(&list[1], "2001:db8:2::/64", "2001:db8:2::1");
	CU_ASSERT_EQUAL(networks_set(&networks, &config), 0);
	one = find(&networks, 0, "2001:db8:1::9");
	two = find(&networks, 0, "2001:db8:2::9");
	networks.prefixes[one].n_bindings = 3;

	set_prefix(&list[0], "2001:db8:3::/64", "2001:db8:3::1"); // in the place of one
	set_prefix(&list[2], "2001:db8:4::/64", "2001:db8:4::1");
	config.n_networks = 3;
	CU_ASSERT_EQUAL(networks_set(&networks, &config), 0);
	CU_ASSERT_EQUAL(find(&networks, 0, "2001:db8:1::9"), 0);
	CU_ASSERT_EQUAL(find(&networks, 0, "2001:db8:2::9"), two);
	CU_ASSERT_NOT_EQUAL(find(&networks, 0, "2001:db8:3::9"), one);
	CU_ASSERT_NOT_EQUAL(find(&networks, 0, "2001:db8:4::9"), one);

	networks.prefixes[one].n_bindings = 0;
	set_prefix(&list[2], "2001:db8:5::/64", "2001:db8:5::1");
	CU_ASSERT_EQUAL(networks_set(&networks, &config), 0);
	CU_ASSERT_EQUAL(find(&networks, 0, "2001:db8:5::9"), one); // free again
}

static void test_too_many(void)
{
	static struct networks networks;
	struct config_network *list = calloc(65, sizeof(*list));
	struct config config = { .n_networks = 65, .networks = list };
	uint16_t before;

	for (unsigned int i = 0; i < 65; i++) {
		list[i].n_prefixes = CONFIG_MAX_PREFIXES;
		for (unsigned int j = 0; j < CONFIG_MAX_PREFIXES; j++) {
			char text[PREFIX_STRLEN];

			snprintf(text, sizeof(text), "2001:db8:%x:%x::/64", i + 1, j);
			prefix_parse(text, false, &list[i].prefixes[j]);
		}
	}
	config.n_networks = 1;
	CU_ASSERT_EQUAL(networks_set(&networks, &config), 0);
	before = networks.n_order;
	config.n_networks = 65; // 1040 prefixes
	CU_ASSERT_EQUAL(networks_set(&networks, &config), -ENOSPC);
	CU_ASSERT_EQUAL(networks.n_order, before);
	CU_ASSERT_NOT_EQUAL(find(&networks, 0, "2001:db8:1:f::1"), 0);
	free(list);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "prefixes and agents are found", test_find },
		{ "numbers stay over reloads", test_numbers_stay },
		{ "more than there are numbers for", test_too_many },
		CU_TEST_INFO_NULL,
	};

	return suite_run("networks", tests);
}
