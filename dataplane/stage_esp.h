// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What stages do with a packet that is to leave under an SA, until stage_esp_out seals the burst.
#pragma once

#include "dataplane/esp_worker.h"
#include "dataplane/stage.h"

// Brings a packet into one buffer with so many bytes of room around it. Returns: moved, maybe another buffer;
// NULL: dropped.
struct rte_mbuf *stage_esp_make_room(
	struct worker *w, struct rte_mbuf *m, uint16_t head, uint16_t tail);

// Puts trailer and room for the check value behind a payload of `payload` bytes, which m (moved) ends with, and
// room for ESP header and IV in front of m. Returns: moved, maybe another buffer; NULL: dropped.
static inline struct rte_mbuf *stage_esp_wrap(struct worker *w, struct rte_mbuf *m,
	const struct esp_suite *suite, uint32_t payload, uint8_t next_header)
{
	uint16_t head = (uint16_t)esp_head_len(suite);
	uint16_t tail = (uint16_t)esp_tail_len(suite, payload);

	if (unlikely(m->nb_segs > 1 || rte_pktmbuf_tailroom(m) < tail ||
		     rte_pktmbuf_headroom(m) < head)) {
		m = stage_esp_make_room(w, m, head, tail);
		if (m == NULL)
			return NULL;
	}
	esp_trailer_put(
		suite, rte_pktmbuf_mtod_offset(m, uint8_t *, m->data_len), payload, next_header);
	m->data_off -= head;
	m->data_len += head + tail;
	m->pkt_len = m->data_len;
	return m;
}

// stage_esp_queue for those that are in no hurry.
bool stage_esp_queue_slowly(
	struct worker *w, const struct esp_out *out, struct sa *sa, uint16_t at, uint32_t payload);

// Counts and drops a packet (moved) that an SA has no number for, or no life.
void stage_esp_refuse(struct worker *w, struct rte_mbuf *m, struct sa *sa);

// Takes a number for out.m (moved), which has its outer headers and everything of ESP but what the number
// decides, and queues it to be sealed. at: offset of the ESP header; payload: bytes that the SA's account grows
// by. Returns: false: there was no number, and it is dropped.
static __rte_always_inline bool stage_esp_queue(
	struct worker *w, const struct esp_out *out, struct sa *sa, uint16_t at, uint32_t payload)
{
	struct esp_worker *esp = w->esp;
	const struct esp_suite *suite = sa->suite;
	struct rte_mbuf *m = out->m;
	uint64_t seq = sa_is_over(sa) ? 0 : sa_seq_take(sa, w->counts_shared);
	struct esp_op *op = &esp->ops[esp->n_out];

	if (unlikely(seq == 0)) {
		stage_esp_refuse(w, m, sa);
		return false;
	}
	esp->out[esp->n_out++] = *out;
	op->packet = rte_pktmbuf_mtod_offset(m, uint8_t *, at);
	op->seq = seq;
	op->len = m->pkt_len - at - suite->icv_len;
	op->is_esn = sa->is_esn;
	op->suite = suite;
	op->key = &sa->key;
	esp_head_put(esp->mgr, op, sa->spi, esp->site);
	sa_count_packet(sa, payload, w->counts_shared);
	return true;
}
