// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// rtnetlink messages, written by libmnl and read by us; and cut at every byte.

#include "dataplane/netlink_msg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>

#include "tests/unit/dataplane/suite.h"

enum { MESSAGE_MAX = 1024 };

static uint8_t message[MESSAGE_MAX] __attribute__((aligned(8)));

static struct ip6 address(const char *text)
{
	struct ip6 a = { { 0 } };

	CU_ASSERT_EQUAL_FATAL(ip6_parse(text, &a), 0);
	return a;
}

static void put_ip6(struct nlmsghdr *nlh, uint16_t type, const char *text)
{
	struct ip6 a = address(text);

	mnl_attr_put(nlh, type, sizeof(a), &a);
}

static struct nlmsghdr *start(uint16_t type, const void *head, size_t size)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(message);

	nlh->nlmsg_type = type;
	memcpy(mnl_nlmsg_put_extra_header(nlh, size), head, size);
	return nlh;
}

static void put_way(struct nlmsghdr *nlh, const char *gateway, int ifindex, uint8_t hops)
{
	struct rtnexthop *way = (void *)((uint8_t *)nlh + nlh->nlmsg_len);
	uint32_t before = nlh->nlmsg_len;

	memset(way, 0, sizeof(*way));
	nlh->nlmsg_len += sizeof(*way);
	put_ip6(nlh, RTA_GATEWAY, gateway);
	way->rtnh_ifindex = ifindex;
	way->rtnh_hops = hops;
	way->rtnh_len = (unsigned short)(nlh->nlmsg_len - before);
}

static struct nlmsghdr *multipath_route(void)
{
	struct rtmsg rtm = { .rtm_family = AF_INET6,
		.rtm_dst_len = 48,
		.rtm_type = RTN_UNICAST,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_BGP };
	struct nlmsghdr *nlh = start(RTM_NEWROUTE, &rtm, sizeof(rtm));
	struct nlattr *nest;

	put_ip6(nlh, RTA_DST, "2001:db8:5::1"); // with a bit beyond the length
	mnl_attr_put_u32(nlh, RTA_PRIORITY, 20);
	mnl_attr_put_u32(nlh, RTA_TABLE, 254);
	nest = mnl_attr_nest_start(nlh, RTA_METRICS);
	mnl_attr_put_u32(nlh, RTAX_MTU, 1400);
	mnl_attr_nest_end(nlh, nest);
	nest = mnl_attr_nest_start(nlh, RTA_MULTIPATH);
	put_way(nlh, "fe80::1", 3, 0);
	put_way(nlh, "fe80::2", 4, 2);
	mnl_attr_nest_end(nlh, nest);
	return nlh;
}

static void test_multipath_route(void)
{
	struct ip6 prefix = address("2001:db8:5::");
	struct ip6 second = address("fe80::2");
	struct netlink_route route;

	CU_ASSERT_EQUAL_FATAL(netlink_msg_route(multipath_route(), &route), 0);
	CU_ASSERT_TRUE(ip6_eq(&route.prefix.addr, &prefix));
	CU_ASSERT_EQUAL(route.prefix.len, 48);
	CU_ASSERT_EQUAL(route.metric, 20);
	CU_ASSERT_EQUAL(route.table, 254);
	CU_ASSERT_EQUAL(route.mtu, 1400);
	CU_ASSERT_EQUAL(route.protocol, RTPROT_BGP);
	CU_ASSERT_EQUAL_FATAL(route.n_hops, 2);
	CU_ASSERT_EQUAL(route.hops[0].ifindex, 3);
	CU_ASSERT_EQUAL(route.hops[0].weight, 1);
	CU_ASSERT_EQUAL(route.hops[1].ifindex, 4);
	CU_ASSERT_EQUAL(route.hops[1].weight, 3);
	CU_ASSERT_TRUE(ip6_eq(&route.hops[1].gateway, &second));
}

// IPv4 comes out v4-mapped, the default route too.
static void test_ipv4_route(void)
{
	struct rtmsg rtm = { .rtm_family = AF_INET, .rtm_type = RTN_UNICAST };
	struct nlmsghdr *nlh = start(RTM_NEWROUTE, &rtm, sizeof(rtm));
	const uint8_t gateway[4] = { 192, 0, 2, 1 };
	struct ip6 mapped = address("192.0.2.1");
	struct ip6 any = address("0.0.0.0");
	struct netlink_route route;

	mnl_attr_put(nlh, RTA_GATEWAY, sizeof(gateway), gateway);
	mnl_attr_put_u32(nlh, RTA_OIF, 7);
	CU_ASSERT_EQUAL_FATAL(netlink_msg_route(nlh, &route), 0);
	CU_ASSERT_TRUE(ip6_eq(&route.prefix.addr, &any));
	CU_ASSERT_EQUAL(route.prefix.len, 96);
	CU_ASSERT_EQUAL_FATAL(route.n_hops, 1);
	CU_ASSERT_TRUE(ip6_eq(&route.hops[0].gateway, &mapped));
	rtm.rtm_dst_len = 33;
	nlh = start(RTM_NEWROUTE, &rtm, sizeof(rtm));
	CU_ASSERT_EQUAL(netlink_msg_route(nlh, &route), -EINVAL);
	rtm.rtm_family = AF_BRIDGE;
	nlh = start(RTM_NEWROUTE, &rtm, sizeof(rtm));
	CU_ASSERT_EQUAL(netlink_msg_route(nlh, &route), -EAFNOSUPPORT);
}

static struct nlmsghdr *managed_neighbor(void)
{
	struct ndmsg ndm = { .ndm_family = AF_INET6, .ndm_ifindex = 3, .ndm_state = NUD_STALE };
	const uint8_t mac[6] = { 2, 0, 0, 0, 0, 9 };
	struct nlmsghdr *nlh = start(RTM_NEWNEIGH, &ndm, sizeof(ndm));

	put_ip6(nlh, NDA_DST, "2001:db8::9");
	mnl_attr_put(nlh, NDA_LLADDR, sizeof(mac), mac);
	mnl_attr_put_u32(nlh, NDA_FLAGS_EXT, NTF_EXT_MANAGED);
	return nlh;
}

static void test_neighbor(void)
{
	struct ip6 wanted = address("2001:db8::9");
	struct netlink_neigh neigh;

	CU_ASSERT_EQUAL_FATAL(netlink_msg_neigh(managed_neighbor(), &neigh), 0);
	CU_ASSERT_EQUAL(neigh.ifindex, 3);
	CU_ASSERT_EQUAL(neigh.state, NUD_STALE);
	CU_ASSERT_TRUE(neigh.is_managed);
	CU_ASSERT_FALSE(neigh.is_proxy);
	CU_ASSERT_TRUE(neigh.has_mac);
	CU_ASSERT_EQUAL(neigh.mac[5], 9);
	CU_ASSERT_TRUE(ip6_eq(&neigh.address, &wanted));
}

static struct nlmsghdr *group(void)
{
	const struct nexthop_grp members[2] = { { .id = 10, .weight = 0 },
		{ .id = 11, .weight = 4 } };
	const struct nhmsg nhm = { .nh_family = AF_UNSPEC };
	struct nlmsghdr *nlh = start(RTM_NEWNEXTHOP, &nhm, sizeof(nhm));

	mnl_attr_put_u32(nlh, NHA_ID, 20);
	mnl_attr_put(nlh, NHA_GROUP, sizeof(members), members);
	return nlh;
}

static void test_nexthop(void)
{
	struct netlink_nexthop nexthop;

	CU_ASSERT_EQUAL_FATAL(netlink_msg_nexthop(group(), &nexthop), 0);
	CU_ASSERT_EQUAL(nexthop.id, 20);
	CU_ASSERT_EQUAL_FATAL(nexthop.n_members, 2);
	CU_ASSERT_EQUAL(nexthop.members[0].weight, 1);
	CU_ASSERT_EQUAL(nexthop.members[1].id, 11);
	CU_ASSERT_EQUAL(nexthop.members[1].weight, 5);
}

static void test_link(void)
{
	struct ifinfomsg ifi = { .ifi_index = 5, .ifi_flags = IFF_UP };
	struct nlmsghdr *nlh = start(RTM_NEWLINK, &ifi, sizeof(ifi));
	struct netlink_link link;

	mnl_attr_put_strz(nlh, IFLA_IFNAME, "core0");
	mnl_attr_put_u32(nlh, IFLA_MTU, 9000);
	CU_ASSERT_EQUAL_FATAL(netlink_msg_link(nlh, &link), 0);
	CU_ASSERT_EQUAL(link.ifindex, 5);
	CU_ASSERT_EQUAL(link.mtu, 9000);
	CU_ASSERT_STRING_EQUAL(link.name, "core0");
	CU_ASSERT_TRUE(link.is_up);
	CU_ASSERT_FALSE(link.has_carrier);
}

// Parses a message cut to n bytes, in a buffer of exactly that size.
static int parse_cut(const struct nlmsghdr *nlh, uint32_t n)
{
	struct nlmsghdr *cut = malloc(n);
	struct netlink_nexthop nexthop;
	struct netlink_neigh neigh;
	struct netlink_route route;
	int error;

	CU_ASSERT_PTR_NOT_NULL_FATAL(cut);
	memcpy(cut, nlh, n);
	cut->nlmsg_len = n;
	if (nlh->nlmsg_type == RTM_NEWROUTE)
		error = netlink_msg_route(cut, &route);
	else if (nlh->nlmsg_type == RTM_NEWNEIGH)
		error = netlink_msg_neigh(cut, &neigh);
	else
		error = netlink_msg_nexthop(cut, &nexthop);
	free(cut);
	return error;
}

// A cut between two attributes, or in the padding behind one, is a shorter message; any other is
// refused.
static void test_cut_anywhere(void)
{
	struct nlmsghdr *(*const make[])(void) = { multipath_route, managed_neighbor, group };

	for (unsigned int i = 0; i < sizeof(make) / sizeof(make[0]); i++) {
		const struct nlmsghdr *nlh = make[i]();
		bool has_padding = nlh->nlmsg_type == RTM_NEWNEIGH; // 2 bytes behind the MAC
		unsigned int n_refused = 0;

		for (uint32_t n = sizeof(*nlh); n < nlh->nlmsg_len; n++) {
			int error = parse_cut(nlh, n);

			CU_ASSERT(error == 0 || error == -EINVAL);
			CU_ASSERT(error == -EINVAL || n % NLA_ALIGNTO == 0 ||
				  (has_padding && n % NLA_ALIGNTO >= 2));
			n_refused += error != 0;
		}
		CU_ASSERT(n_refused > (nlh->nlmsg_len - sizeof(*nlh)) / 2);
		CU_ASSERT_EQUAL(parse_cut(nlh, nlh->nlmsg_len), 0);
	}
}

int main(void)
{
	static CU_TestInfo tests[] = {
		{ "multipath route", test_multipath_route },
		{ "IPv4 route, other families, lengths", test_ipv4_route },
		{ "managed neighbour", test_neighbor },
		{ "nexthop group", test_nexthop },
		{ "link", test_link },
		{ "messages cut at every byte", test_cut_anywhere },
		CU_TEST_INFO_NULL,
	};

	return suite_run("netlink_msg", tests);
}
