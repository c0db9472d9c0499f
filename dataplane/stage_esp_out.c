// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Sealing (RFC 4303 section 3.3): in tunnel mode what the encapsulation stage gives ESP and outer headers,
// in transport mode what control sends. Numbers are taken here, in the order of the lane.
//
// Exits: those of the tunnel (stage_tunnel_send), again (transport mode, to be routed), drops esp_no_sa,
// esp_expired, esp_sequence, esp_no_room, no_headroom.

#include "dataplane/stage_esp.h"

struct rte_mbuf *stage_esp_make_room(
	struct worker *w, struct rte_mbuf *m, uint16_t head, uint16_t tail)
{
	if (m->nb_segs > 1 || rte_pktmbuf_tailroom(m) < tail) {
		struct rte_mbuf *copy = rte_pktmbuf_copy(m, w->pool, 0, UINT32_MAX);

		if (copy == NULL || copy->nb_segs > 1 || rte_pktmbuf_tailroom(copy) < tail) {
			worker_drop(w, m, copy == NULL ? DROP_mbuf_empty : DROP_esp_no_room);
			rte_pktmbuf_free(copy);
			return NULL;
		}
		rte_pktmbuf_free(m);
		m = copy;
	}
	if (rte_pktmbuf_headroom(m) < head) {
		worker_drop(w, m, DROP_no_headroom);
		return NULL;
	}
	return m;
}

void stage_esp_refuse(struct worker *w, struct rte_mbuf *m, struct sa *sa)
{
	sa_count_drop(&sa->refused);
	worker_drop(w, m, sa_is_over(sa) ? DROP_esp_expired : DROP_esp_sequence);
}

bool stage_esp_queue_slowly(
	struct worker *w, const struct esp_out *out, struct sa *sa, uint16_t at, uint32_t payload)
{
	return stage_esp_queue(w, out, sa, at, payload);
}

// Finds where ESP goes in a packet of ours: behind the routing header, which has its way before it. Shape:
// *off bytes from the IPv6 header to there. Returns: the protocol that stands there, or negative.
static int place_find(struct rte_mbuf *m, unsigned int *off)
{
	uint8_t protocol = pkt_ip6(m)->next_header;
	unsigned int at = sizeof(struct ip6_hdr_wire);

	while (protocol == PROTO_HOPOPTS || protocol == PROTO_ROUTING) {
		const uint8_t *ext = rte_pktmbuf_mtod_offset(m, const uint8_t *, at);

		if (at + 8 > m->data_len || at + 8u + 8u * ext[1] > m->data_len)
			return -1;
		protocol = ext[0];
		at += 8u + 8u * ext[1];
	}
	*off = at;
	return protocol;
}

void stage_esp_transport(struct worker *w, struct rte_mbuf *m)
{
	const struct pkt_priv *priv = pkt_priv(m);
	struct sa *sa = sa_is_on ? sa_out(priv->sa_slot, priv->sa_use) : NULL;
	unsigned int off = 0;
	uint32_t payload;
	uint8_t *start;
	int protocol = place_find(m, &off);

	if (sa == NULL || protocol < 0 ||
		(sa->use != API_SA_SIGNALLING && sa->use != API_SA_DISCOVERY)) {
		worker_drop(w, m, DROP_esp_no_sa);
		return;
	}
	payload = m->pkt_len - off;
	m = stage_esp_wrap(w, m, sa->suite, payload, (uint8_t)protocol);
	if (m == NULL)
		return;
	start = rte_pktmbuf_mtod(m, uint8_t *);
	memmove(start, start + esp_head_len(sa->suite), off);
	*stage_last_next_header(m, off) = PROTO_ESP;
	pkt_ip6(m)->payload_len_be =
		rte_cpu_to_be_16((uint16_t)(m->pkt_len - sizeof(struct ip6_hdr_wire)));
	stage_esp_queue_slowly(w, &(struct esp_out){ .m = m }, sa, (uint16_t)off, payload);
}

void stage_esp_out(struct worker *w)
{
	struct esp_worker *esp = w->esp;
	unsigned int n;

	if (likely(esp == NULL || esp->n_out == 0))
		return;
	n = esp->n_out;
	esp->n_out = 0;
	esp_seal(esp->mgr, esp->ops, n);
	w->stats.sealed += n;
	for (unsigned int i = 0; i < n; i++) {
		const struct esp_out *out = &esp->out[i];

		if (likely(out->is_ready))
			stage_out(w, out->m, out->nh);
		else if (out->nh == NULL)
			worker_again(w, out->m);
		else
			stage_tunnel_send(w, out->m, out->nh, out->mtu);
	}
}
