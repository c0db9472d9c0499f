// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/netlink_msg.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>

#include "dataplane/base/cursor.h"

enum { V4MAPPED_BITS = 96 };

// Takes a struct of host-order fields off the cursor.
#define TAKE(cursor, out) rcursor_copy((cursor), (out), sizeof(*(out)))

// An attribute, its contents borrowed from the message.
struct attr {
	uint16_t type;
	struct rcursor body;
};

// Takes the next attribute. Returns: false at the end, or with cursor->ok false on a cut one.
static bool next_attr(struct rcursor *c, struct attr *out)
{
	struct nlattr head;
	size_t padding;

	if (rcursor_left(c) == 0)
		return false;
	TAKE(c, &head);
	if (!c->ok || head.nla_len < sizeof(head)) {
		c->ok = false;
		return false;
	}
	out->type = head.nla_type & NLA_TYPE_MASK;
	out->body = rcursor_sub(c, head.nla_len - sizeof(head));
	padding = (size_t)(NLA_ALIGN(head.nla_len) - head.nla_len);
	if (rcursor_left(c) < padding)
		padding = rcursor_left(c); // the last one may come without
	rcursor_bytes(c, padding);
	return c->ok;
}

static uint32_t attr_u32(struct attr *attr, struct rcursor *message)
{
	uint32_t value = 0;

	TAKE(&attr->body, &value);
	message->ok = message->ok && attr->body.ok;
	return value;
}

// Reads an address of 4 or 16 bytes into v4-mapped form.
static void attr_address(struct attr *attr, struct rcursor *message, struct ip6 *out)
{
	size_t n = rcursor_left(&attr->body);

	memset(out, 0, sizeof(*out));
	if (n == 4) {
		memset(out->b + 10, 0xff, 2);
		rcursor_copy(&attr->body, out->b + 12, n);
	} else if (n == sizeof(*out)) {
		rcursor_copy(&attr->body, out->b, n);
	} else {
		message->ok = false;
	}
}

// A gateway of the other family: its family first (RTA_VIA).
static void attr_via(struct attr *attr, struct rcursor *message, struct ip6 *out)
{
	rcursor_bytes(&attr->body, sizeof(uint16_t));
	attr_address(attr, message, out);
}

// Opens a message: skips its head, checks its length, takes the fixed part into out.
static struct rcursor open_message(const struct nlmsghdr *nlh, void *out, size_t size)
{
	struct rcursor c = rcursor_make(nlh, nlh->nlmsg_len);

	rcursor_bytes(&c, sizeof(*nlh));
	rcursor_copy(&c, out, size);
	if (NLMSG_ALIGN(size) > size)
		rcursor_bytes(&c, NLMSG_ALIGN(size) - size);
	return c;
}

static bool is_inet(uint8_t family)
{
	return family == AF_INET || family == AF_INET6;
}

// Reads RTA_MULTIPATH: a row of struct rtnexthop, each with attributes.
static void read_multipath(struct rcursor body, struct rcursor *message, struct netlink_route *out)
{
	while (rcursor_left(&body) > 0) {
		struct netlink_hop hop = { 0 };
		struct rtnexthop head;
		struct rcursor attrs;
		struct attr attr;

		TAKE(&body, &head);
		attrs = rcursor_sub(&body,
			head.rtnh_len < sizeof(head) ? SIZE_MAX / 2 : head.rtnh_len - sizeof(head));
		hop.ifindex = (uint32_t)head.rtnh_ifindex;
		hop.weight = head.rtnh_hops + 1u;
		while (next_attr(&attrs, &attr)) {
			if (attr.type == RTA_GATEWAY)
				attr_address(&attr, &attrs, &hop.gateway);
			else if (attr.type == RTA_VIA)
				attr_via(&attr, &attrs, &hop.gateway);
		}
		if (!body.ok || !attrs.ok) {
			message->ok = false;
			return;
		}
		if (out->n_hops < NETLINK_MAX_HOPS)
			out->hops[out->n_hops++] = hop;
	}
}

static void read_metrics(struct rcursor body, struct rcursor *message, struct netlink_route *out)
{
	struct attr attr;

	while (next_attr(&body, &attr)) {
		if (attr.type == RTAX_MTU)
			out->mtu = attr_u32(&attr, &body);
	}
	message->ok = message->ok && body.ok;
}

// Takes one attribute of a route; a single way goes to hop.
static void read_route_attr(
	struct attr *attr, struct rcursor *c, struct netlink_route *out, struct netlink_hop *hop)
{
	switch (attr->type) {
	case RTA_DST:
		attr_address(attr, c, &out->prefix.addr);
		break;
	case RTA_OIF:
		hop->ifindex = attr_u32(attr, c);
		break;
	case RTA_GATEWAY:
		attr_address(attr, c, &hop->gateway);
		break;
	case RTA_VIA:
		attr_via(attr, c, &hop->gateway);
		break;
	case RTA_PRIORITY:
		out->metric = attr_u32(attr, c);
		break;
	case RTA_TABLE:
		out->table = attr_u32(attr, c);
		break;
	case RTA_NH_ID:
		out->nexthop_id = attr_u32(attr, c);
		break;
	case RTA_METRICS:
		read_metrics(attr->body, c, out);
		break;
	case RTA_MULTIPATH:
		read_multipath(attr->body, c, out);
		break;
	default:
		break;
	}
}

int netlink_msg_route(const struct nlmsghdr *nlh, struct netlink_route *out)
{
	struct netlink_hop hop = { .weight = 1 };
	struct attr attr;
	struct rtmsg rtm;
	struct rcursor c = open_message(nlh, &rtm, sizeof(rtm));
	uint8_t base;

	if (!c.ok)
		return -EINVAL;
	if (!is_inet(rtm.rtm_family))
		return -EAFNOSUPPORT;
	memset(out, 0, sizeof(*out));
	base = rtm.rtm_family == AF_INET ? V4MAPPED_BITS : 0;
	out->is_ip4 = rtm.rtm_family == AF_INET;
	out->type = rtm.rtm_type;
	out->protocol = rtm.rtm_protocol;
	out->is_cloned = (rtm.rtm_flags & RTM_F_CLONED) != 0;
	out->table = rtm.rtm_table;
	if (base != 0)
		memset(out->prefix.addr.b + 10, 0xff, 2); // 0.0.0.0/0 comes without RTA_DST
	while (next_attr(&c, &attr))
		read_route_attr(&attr, &c, out, &hop);
	if (!c.ok || rtm.rtm_dst_len > 128 - base)
		return -EINVAL;
	out->prefix.len = (uint8_t)(rtm.rtm_dst_len + base);
	ip6_mask(&out->prefix.addr, out->prefix.len);
	if (out->n_hops == 0 && hop.ifindex != 0)
		out->hops[out->n_hops++] = hop;
	return 0;
}

int netlink_msg_link(const struct nlmsghdr *nlh, struct netlink_link *out)
{
	struct ifinfomsg ifi;
	struct rcursor c = open_message(nlh, &ifi, sizeof(ifi));
	struct attr attr;

	if (!c.ok)
		return -EINVAL;
	if (ifi.ifi_family != AF_UNSPEC)
		return -EAFNOSUPPORT; // of a bridge
	memset(out, 0, sizeof(*out));
	out->ifindex = (uint32_t)ifi.ifi_index;
	out->is_up = (ifi.ifi_flags & IFF_UP) != 0;
	out->has_carrier = out->is_up && (ifi.ifi_flags & IFF_LOWER_UP) != 0;
	while (next_attr(&c, &attr)) {
		if (attr.type == IFLA_MTU)
			out->mtu = attr_u32(&attr, &c);
		if (attr.type == IFLA_IFNAME) {
			size_t n = rcursor_left(&attr.body);

			if (n > NETLINK_NAME_MAX)
				c.ok = false;
			else
				rcursor_copy(&attr.body, out->name, n);
			out->name[NETLINK_NAME_MAX - 1] = '\0';
		}
	}
	return c.ok ? 0 : -EINVAL;
}

int netlink_msg_neigh(const struct nlmsghdr *nlh, struct netlink_neigh *out)
{
	struct ndmsg ndm;
	struct rcursor c = open_message(nlh, &ndm, sizeof(ndm));
	bool has_address = false;
	struct attr attr;

	if (!c.ok)
		return -EINVAL;
	if (!is_inet(ndm.ndm_family))
		return -EAFNOSUPPORT;
	memset(out, 0, sizeof(*out));
	out->ifindex = (uint32_t)ndm.ndm_ifindex;
	out->state = ndm.ndm_state;
	out->is_proxy = (ndm.ndm_flags & NTF_PROXY) != 0;
	while (next_attr(&c, &attr)) {
		if (attr.type == NDA_DST) {
			attr_address(&attr, &c, &out->address);
			has_address = true;
		} else if (attr.type == NDA_LLADDR &&
			   rcursor_left(&attr.body) == sizeof(out->mac)) {
			rcursor_copy(&attr.body, out->mac, sizeof(out->mac));
			out->has_mac = true;
		} else if (attr.type == NDA_FLAGS_EXT) {
			out->is_managed = (attr_u32(&attr, &c) & NTF_EXT_MANAGED) != 0;
		}
	}
	return c.ok && has_address ? 0 : -EINVAL;
}

static void read_group(struct rcursor body, struct rcursor *message, struct netlink_nexthop *out)
{
	while (rcursor_left(&body) > 0) {
		struct nexthop_grp member;

		TAKE(&body, &member);
		if (!body.ok) {
			message->ok = false;
			return;
		}
		if (out->n_members == NETLINK_MAX_HOPS)
			return;
		out->members[out->n_members].id = member.id;
		out->members[out->n_members++].weight = member.weight + 1u;
	}
}

int netlink_msg_nexthop(const struct nlmsghdr *nlh, struct netlink_nexthop *out)
{
	struct nhmsg nhm;
	struct rcursor c = open_message(nlh, &nhm, sizeof(nhm));
	struct attr attr;

	if (!c.ok)
		return -EINVAL;
	if (!is_inet(nhm.nh_family) && nhm.nh_family != AF_UNSPEC)
		return -EAFNOSUPPORT;
	memset(out, 0, sizeof(*out));
	out->hop.weight = 1;
	while (next_attr(&c, &attr)) {
		if (attr.type == NHA_ID)
			out->id = attr_u32(&attr, &c);
		else if (attr.type == NHA_OIF)
			out->hop.ifindex = attr_u32(&attr, &c);
		else if (attr.type == NHA_GATEWAY)
			attr_address(&attr, &c, &out->hop.gateway);
		else if (attr.type == NHA_BLACKHOLE)
			out->is_blackhole = true;
		else if (attr.type == NHA_FDB)
			out->is_fdb = true;
		else if (attr.type == NHA_GROUP)
			read_group(attr.body, &c, out);
	}
	return c.ok && out->id != 0 ? 0 : -EINVAL;
}
