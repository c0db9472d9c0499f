// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Signalling on its way to control, told apart by what its sender could know and held to what control
// takes in, before anybody has authenticated it.
//
// Exits: punt (main lcore), drops police_class0, police_class1, police_class2, police_sender,
// esp_required.

#include "dataplane/stage.h"

#include "dataplane/anchor.h"
#include "dataplane/police.h"
#include "dataplane/sa.h"

enum {
	OPTION_HEAD = 2, // type and length
	MH_TYPE_AT = 2, // RFC 6275 section 6.1.1
	MH_TYPE_HOME_TEST_INIT = 1, // the first and last of return routability
	MH_TYPE_CARE_OF_TEST = 4,
	MH_TYPE_BINDING_UPDATE = 5,
};

const struct ip6 *stage_home_of(struct rte_mbuf *m, unsigned int upper)
{
	int option = stage_home_option(m, upper);

	if (option <= 0)
		return option < 0 ? NULL : &pkt_ip6(m)->src;
	return rte_pktmbuf_mtod_offset(m, const struct ip6 *, option + OPTION_HEAD);
}

static enum police_class class_of(const struct binding *binding, const struct ip6 *source)
{
	if (binding == NULL)
		return POLICE_UNKNOWN;
	return ip6_eq(&binding->care_of, source) ? POLICE_KNOWN : POLICE_MOVED;
}

// The type of a message, or -1.
static int type_of(const struct rte_mbuf *m, unsigned int off)
{
	return off + MH_TYPE_AT < m->data_len
		       ? *rte_pktmbuf_mtod_offset(m, const uint8_t *, off + MH_TYPE_AT)
		       : -1;
}

// True for what its sender may send under an SA only: not for return routability with ourselves, which as a
// correspondent we are like any other. RFC 6275 sections 5.1, 10.3.1, 10.4.6.
static bool is_bare(
	const struct rte_mbuf *m, unsigned int off, uint8_t domain, const struct ip6 *home)
{
	uint32_t signalling = API_SA_BIT(API_SA_SIGNALLING);
	int type = type_of(m, off);

	if (type >= MH_TYPE_HOME_TEST_INIT && type <= MH_TYPE_CARE_OF_TEST)
		return false;
	return unlikely(__atomic_load_n(&anchor_protect, __ATOMIC_RELAXED) & signalling) &&
	       (stage_protect_of(domain, home) & signalling) != 0;
}

// The header that the packet came with, which no sender can forge where it came through a tunnel.
static const struct ip6_hdr_wire *outermost(struct rte_mbuf *m)
{
	const struct pkt_meta *meta = pkt_meta(m);
	const struct ip6_hdr_wire *ip = pkt_ip6(m);

	if (meta->flags & PKT_TUNNELLED)
		ip = (const void *)((const uint8_t *)ip - meta->outer_len);
	return ip;
}

static void punt_one(struct worker *w, struct rte_mbuf *m, unsigned int off, uint64_t sender,
	enum police_class class, const struct sa *sa)
{
	static const enum drop_reason over_class[POLICE_CLASSES] = {
		[POLICE_KNOWN] = DROP_police_class0,
		[POLICE_MOVED] = DROP_police_class1,
		[POLICE_UNKNOWN] = DROP_police_class2,
	};
	const struct ip6_hdr_wire *ip = outermost(m);
	enum police_verdict verdict = police_take(class, sender, w->now_tsc);
	struct pkt_priv *priv = pkt_priv(m);

	if (unlikely(verdict != POLICE_PASS)) {
		worker_drop(w, m,
			verdict == POLICE_OVER_SENDER ? DROP_police_sender : over_class[class]);
		return;
	}
	priv->outer_src = ip->src;
	priv->outer_dst = ip->dst;
	priv->sender = type_of(m, off) == MH_TYPE_BINDING_UPDATE ? sender : 0;
	priv->police_class = (uint8_t) class;
	priv->punt_lane = API_PUNT_MH;
	priv->sa_slot = 0;
	priv->sa_use = 0;
	if (sa != NULL) {
		priv->punt_lane = sa->use == API_SA_DISCOVERY ? API_PUNT_DISCOVERY : API_PUNT_MH;
		priv->sa_slot = sa->slot;
		priv->sa_use = sa->use;
	}
	worker_to_main(w, m, PKT_PUNT, MAIN_SIGNAL);
}

// The home address that a message is about; where that is against the rules its source: control says what
// it thinks of it.
static const struct ip6 *home_of(struct rte_mbuf *m, unsigned int off)
{
	const struct ip6 *home = stage_home_of(m, off);

	return home != NULL ? home : &pkt_ip6(m)->src;
}

void stage_punt_protected(
	struct worker *w, struct rte_mbuf *m, unsigned int off, const struct sa *sa)
{
	uint64_t sender = police_sender(&outermost(m)->src, home_of(m, off));

	punt_one(w, m, off, sender, POLICE_KNOWN, sa);
}

// Messages to addresses of one domain's mobiles, n >= 1. The binding look-ups run side by side.
static void punt_bulk(struct worker *w, uint8_t domain, struct rte_mbuf **pkts, unsigned int n)
{
	const struct binding *bindings[BURST];
	struct ip6 homes[BURST];
	enum police_class classes[BURST];
	unsigned int offs[BURST], n_homes = 0;
	uint64_t senders[BURST];

	do {
		struct rte_mbuf *m = pkts[n_homes];

		stage_upper(m, &offs[n_homes]);
		homes[n_homes] = *home_of(m, offs[n_homes]);
	} while (++n_homes < n);
	stage_bindings_of(w, domain, homes, bindings, n);
	for (unsigned int i = 0; i < n; i++) {
		const struct ip6 *source = &outermost(pkts[i])->src;

		classes[i] = class_of(bindings[i], source);
		senders[i] = police_sender(source, &homes[i]);
		police_prefetch(classes[i], senders[i], w->now_tsc);
	}
	for (unsigned int i = 0; i < n; i++) {
		if (is_bare(pkts[i], offs[i], domain, &homes[i]))
			worker_drop(w, pkts[i], DROP_esp_required);
		else
			punt_one(w, pkts[i], offs[i], senders[i], classes[i], NULL);
	}
}

void stage_punt(struct worker *w)
{
	struct lane *in = &w->punt;
	unsigned int n = in->n, end;

	in->n = 0;
	for (unsigned int at = 0; at < n; at = end) {
		uint8_t domain = in->nh[at]->domain;

		for (end = at + 1; end < n && in->nh[end]->domain == domain;)
			end++;
		punt_bulk(w, domain, &in->pkts[at], end - at);
	}
}
