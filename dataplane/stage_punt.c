// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Signalling on its way to control, told apart by what its sender could know and held to what control
// takes in, before anybody has authenticated it.
//
// Exits: punt (main lcore), drops police_class0, police_class1, police_class2, police_sender.

#include "dataplane/stage.h"

#include "dataplane/police.h"

enum {
	OPTION_HEAD = 2, // type and length
	MH_TYPE_AT = 2, // RFC 6275 section 6.1.1
	MH_TYPE_BINDING_UPDATE = 5,
};

// The home address that a message whose upper layer begins at off is about.
static const struct ip6 *home_of(struct rte_mbuf *m, unsigned int off)
{
	int option = stage_home_option(m, off);

	if (option <= 0)
		return &pkt_ip6(m)->src;
	return rte_pktmbuf_mtod_offset(m, const struct ip6 *, option + OPTION_HEAD);
}

static enum police_class class_of(
	const struct worker *w, uint8_t domain, const struct ip6 *source, const struct ip6 *home)
{
	const struct binding *binding = stage_binding_of(w, domain, home);

	if (binding == NULL)
		return POLICE_UNKNOWN;
	return ip6_eq(&binding->care_of, source) ? POLICE_KNOWN : POLICE_MOVED;
}

static bool is_binding_update(const struct rte_mbuf *m, unsigned int off)
{
	return off + MH_TYPE_AT < m->data_len &&
	       *rte_pktmbuf_mtod_offset(m, const uint8_t *, off + MH_TYPE_AT) ==
		       MH_TYPE_BINDING_UPDATE;
}

void stage_punt(struct worker *w, struct rte_mbuf *m, unsigned int off, uint8_t domain)
{
	static const enum drop_reason over_class[POLICE_CLASSES] = {
		[POLICE_KNOWN] = DROP_police_class0,
		[POLICE_MOVED] = DROP_police_class1,
		[POLICE_UNKNOWN] = DROP_police_class2,
	};
	const struct pkt_meta *meta = pkt_meta(m);
	const struct ip6_hdr_wire *ip = pkt_ip6(m);
	const struct ip6 *home = home_of(m, off);
	struct pkt_priv *priv = pkt_priv(m);
	enum police_class class;
	enum police_verdict verdict;
	uint64_t sender;

	// How the packet came, which no sender can forge where it came through a tunnel.
	if (meta->flags & PKT_TUNNELLED)
		ip = (const void *)((const uint8_t *)ip - meta->outer_len);
	class = class_of(w, domain, &ip->src, home);
	sender = police_sender(&ip->src, home);
	verdict = police_take(class, sender, w->now_tsc);
	if (unlikely(verdict != POLICE_PASS)) {
		worker_drop(w, m,
			verdict == POLICE_OVER_SENDER ? DROP_police_sender : over_class[class]);
		return;
	}
	priv->outer_src = ip->src;
	priv->outer_dst = ip->dst;
	priv->sender = is_binding_update(m, off) ? sender : 0;
	priv->police_class = (uint8_t) class;
	worker_to_main(w, m, PKT_PUNT, MAIN_SIGNAL);
}
