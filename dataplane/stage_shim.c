// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The correspondent shim between mobiles and our own kernel, which knows no Mobile IPv6.
//
// Exits: none but drops home_option_bad, home_option_flood, home_option_unbound, not_filled.

#include "dataplane/stage.h"

#include <rte_cycles.h>

#include "dataplane/anchor.h"
#include "dataplane/base/cursor.h"
#include "dataplane/bucket.h"
#include "dataplane/domain.h"
#include "dataplane/fib.h"
#include "dataplane/sa.h"

enum {
	HOME_OPTION_LEN = 16,
	// Looked up, of all workers together: as many as the kernel is given of other packets. Anybody may
	// send these, and each costs two cache misses one after the other.
	OPTIONS_PER_S = 10000,
	OPTIONS_BURST = 512,
	// What the option becomes when it is done: one that every kernel skips (RFC 4727 section 3.5).
	// Padding would not do, of which kernels take seven bytes at most.
	OPTION_DONE = 0x1e,
	NO_OPTION = 0,
	BAD_OPTION = -1,
};

// The type 2 routing header, RFC 6275 section 6.4.1.
struct routing_hdr {
	uint8_t next_header, len, type, segments_left;
	uint32_t reserved;
	struct ip6 home;
} __attribute__((packed, aligned(2)));
static_assert(sizeof(struct routing_hdr) == 24, "type 2 routing header");

bool stage_is_own_source(struct rte_mbuf *m)
{
	uint32_t idx;

	if (pkt_meta(m)->flags & (PKT_LOCAL_ORIGIN | PKT_TUNNELLED))
		return false;
	fib6_lookup_bulk(pkt_meta(m)->domain, &pkt_ip6(m)->src, &idx, 1);
	return nexthop_get(idx)->type == NEXTHOP_LOCAL;
}

uint32_t stage_protect_of(uint8_t domain, const struct ip6 *home)
{
	const struct api_home_prefix_set *prefix;
	const struct nexthop *nh;
	uint32_t idx;

	fib6_lookup_bulk(domain, home, &idx, 1);
	nh = nexthop_get(idx);
	prefix = nh->type == NEXTHOP_HOME ? anchor_home_prefix(nh->home_prefix) : NULL;
	return prefix == NULL ? 0 : prefix->protect;
}

void stage_bindings_of(const struct worker *w, uint8_t domain, const struct ip6 *homes,
	const struct binding **bindings, unsigned int n)
{
	struct binding *found[BURST];
	union bindtab_key keys[BURST];
	uint32_t idx[BURST];

	fib6_lookup_bulk(domain, homes, idx, n);
	for (unsigned int i = 0; i < n; i++) {
		const struct nexthop *nh = nexthop_get(idx[i]);

		// Home prefix 0 has no bindings.
		if (nh->type == NEXTHOP_HOME)
			bindtab_key_make(&keys[i], &homes[i], nh->home_prefix, nh->key_len);
		else
			bindtab_key_make(&keys[i], &homes[i], 0, 128);
	}
	bindtab_lookup_bulk(w->bindings, keys, found, n);
	for (unsigned int i = 0; i < n; i++)
		bindings[i] = found[i];
}

// Looks for Home Address options among those of one header, at offset `at` of the packet. Returns: as
// stage_home_option; `found` is that of the headers before.
static int search(struct rcursor options, unsigned int at, int found)
{
	const uint8_t *start = options.p;

	while (rcursor_left(&options) > 0) {
		int here = (int)at + (int)(options.p - start);
		uint8_t type = rcursor_u8(&options), len;

		if (type == DSTOPT_PAD1)
			continue;
		len = rcursor_u8(&options);
		if (rcursor_bytes(&options, len) == NULL)
			break; // the kernel says what it thinks of it
		if (type != DSTOPT_HOME_ADDRESS)
			continue;
		if (found != NO_OPTION || len != HOME_OPTION_LEN)
			return BAD_OPTION;
		found = here;
	}
	return found;
}

int stage_home_option(const struct rte_mbuf *m, unsigned int upper)
{
	const uint8_t *packet = rte_pktmbuf_mtod(m, const uint8_t *);
	struct rcursor c = rcursor_make(packet, upper);
	uint8_t proto = ((const struct ip6_hdr_wire *)(const void *)packet)->next_header;
	int found = NO_OPTION;

	rcursor_bytes(&c, sizeof(struct ip6_hdr_wire));
	while (rcursor_left(&c) > 0 && found >= 0) {
		uint8_t next = rcursor_u8(&c);
		size_t len = 8u * rcursor_u8(&c) + 6;
		unsigned int at = (unsigned int)(c.p - packet);
		struct rcursor body = rcursor_sub(&c, len);

		if (proto == PROTO_DSTOPTS)
			found = search(body, at, found);
		else if (proto == PROTO_ROUTING && found != NO_OPTION)
			return BAD_OPTION;
		proto = next;
	}
	return found;
}

bool stage_shim_in(struct worker *w, struct rte_mbuf *m, unsigned int upper)
{
	int at = stage_home_option(m, upper);
	struct ip6_hdr_wire *ip = pkt_ip6(m);
	const struct binding *b;
	uint8_t *option;
	struct ip6 home;

	if (at == NO_OPTION)
		return true;
	option = rte_pktmbuf_mtod_offset(m, uint8_t *, RTE_MAX(at, 0));
	memcpy(&home, option + 2, sizeof(home));
	if (at == BAD_OPTION || !ip6_is_unicast_routable(&home)) {
		worker_drop(w, m, DROP_home_option_bad);
		return false;
	}
	if (unlikely(!bucket_take(&w->option_spent_tsc, w->now_tsc,
		    rte_get_tsc_hz() / OPTIONS_PER_S * n_workers, OPTIONS_BURST))) {
		worker_drop(w, m, DROP_home_option_flood);
		return false;
	}
	stage_bindings_of(w, DOMAIN_TRANSPORT, &home, &b, 1);
	if (b == NULL && !__atomic_load_n(&anchor_is_filled, __ATOMIC_RELAXED)) {
		worker_drop(w, m, DROP_not_filled);
		return false;
	}
	if (b == NULL || !ip6_eq(&b->care_of, &ip->src)) {
		stage_binding_error(w, m, &home);
		worker_drop(w, m, DROP_home_option_unbound);
		return false;
	}
	option[0] = OPTION_DONE;
	memcpy(option + 2, &ip->src, sizeof(ip->src));
	ip->src = home;
	w->stats.home_options++;
	return true;
}

bool stage_shim_out(struct rte_mbuf *m, const struct ip6 *care_of, uint16_t mtu)
{
	struct ip6_hdr_wire *ip = pkt_ip6(m);
	uint8_t *place = &ip->next_header;
	struct routing_hdr *routing;
	unsigned int at = sizeof(*ip);
	uint8_t *head;

	if (*place == PROTO_HOPOPTS && m->data_len >= at + 8) {
		place = (uint8_t *)(ip + 1);
		at += 8u + 8u * place[1];
	}
	if (*place == PROTO_HOPOPTS || *place == PROTO_ROUTING || at > m->data_len ||
		m->pkt_len + sizeof(*routing) > mtu)
		return false;
	head = (uint8_t *)rte_pktmbuf_prepend(m, sizeof(*routing));
	if (head == NULL)
		return false;
	routing = (void *)(head + at);
	memmove(head, ip, at);
	ip = pkt_ip6(m);
	place -= sizeof(*routing); // it moved with the header that it stands in
	*routing = (struct routing_hdr){
		.next_header = *place,
		.len = sizeof(*routing) / 8 - 1,
		.type = ROUTING_TYPE2,
		.segments_left = 1,
		.home = ip->dst,
	};
	*place = PROTO_ROUTING;
	ip->dst = *care_of;
	ip->payload_len_be = rte_cpu_to_be_16(
		(uint16_t)(rte_be_to_cpu_16(ip->payload_len_be) + sizeof(*routing)));
	return true;
}
