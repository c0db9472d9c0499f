// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/fragment.h"

#include <sys/random.h>

#include "dataplane/stage.h"

// RFC 8200 section 4.5.
struct fragment_hdr {
	uint8_t next_header;
	uint8_t reserved;
	uint16_t offset_more_be; // offset in 8 bytes << 3 | more
	uint32_t id_be;
} __attribute__((packed, aligned(2)));
static_assert(sizeof(struct fragment_hdr) == 8, "fragment header");

int fragment_ids_init(struct fragment_ids *ids, uint8_t site, uint16_t worker)
{
	static_assert(CONFIG_MAX_WORKERS <= 1 << FRAGMENT_WORKER_BITS, "worker number fits");

	if (getrandom(ids->counters, sizeof(ids->counters), 0) != sizeof(ids->counters))
		return -EIO;
	ids->base = (uint32_t)site << (32 - FRAGMENT_SITE_BITS) | (uint32_t)worker
									  << FRAGMENT_COUNT_BITS;
	return hash_seed_draw(&ids->seed);
}

uint32_t fragment_id_next(struct fragment_ids *ids, const struct ip6 *dst)
{
	uint32_t *counter = &ids->counters[hash_ip6(&ids->seed, dst) % FRAGMENT_ID_SLOTS];

	return ids->base | ((*counter)++ & ((1u << FRAGMENT_COUNT_BITS) - 1));
}

// One fragment with len bytes of m's payload from offset on, or NULL without a buffer.
static struct rte_mbuf *fragment_make(
	struct worker *w, struct rte_mbuf *m, uint32_t offset, uint32_t len, uint32_t id)
{
	uint32_t payload = m->pkt_len - (uint32_t)sizeof(struct ip6_hdr_wire);
	bool is_last = offset + len == payload;
	struct rte_mbuf *f = rte_pktmbuf_alloc(w->pool);
	struct ip6_hdr_wire *ip;
	struct fragment_hdr *hdr;
	const void *data;

	if (f == NULL)
		return NULL;
	ip = (void *)rte_pktmbuf_append(f, (uint16_t)(sizeof(*ip) + sizeof(*hdr) + len));
	if (ip == NULL) {
		rte_pktmbuf_free(f);
		return NULL;
	}
	*pkt_meta(f) = *pkt_meta(m);
	*ip = *pkt_ip6(m);
	hdr = (struct fragment_hdr *)(ip + 1);
	*hdr = (struct fragment_hdr){
		.next_header = ip->next_header,
		.offset_more_be = rte_cpu_to_be_16((uint16_t)(offset | !is_last)),
		.id_be = rte_cpu_to_be_32(id),
	};
	ip->next_header = PROTO_FRAGMENT;
	ip->payload_len_be = rte_cpu_to_be_16((uint16_t)(sizeof(*hdr) + len));
	data = rte_pktmbuf_read(m, (uint32_t)sizeof(*ip) + offset, len, hdr + 1);
	if (data != hdr + 1)
		memcpy(hdr + 1, data, len);
	return f;
}

void fragment_send(struct worker *w, struct rte_mbuf *m, const struct nexthop *nh, uint16_t mtu)
{
	uint32_t payload = m->pkt_len - (uint32_t)sizeof(struct ip6_hdr_wire);
	uint32_t room =
		(mtu - (uint32_t)(sizeof(struct ip6_hdr_wire) + sizeof(struct fragment_hdr))) & ~7u;
	uint32_t id = fragment_id_next(&w->fragment_ids, &pkt_ip6(m)->dst);

	for (uint32_t offset = 0; offset < payload; offset += room) {
		uint32_t len = RTE_MIN(room, payload - offset);
		struct rte_mbuf *f = fragment_make(w, m, offset, len, id);

		if (f == NULL) {
			worker_drop(w, m, DROP_mbuf_empty);
			return;
		}
		w->stats.made++;
		stage_send(w, f, nh);
	}
	w->stats.fragmented++;
	w->stats.absorbed++;
	rte_pktmbuf_free(m);
}
