// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "mobile/bul.h"

#include <string.h>

#include "controlplane/codec/mh.h"
#include "dataplane/base/clock.h"

// RFC 6275 sections 12 and 13.
#define FIRST_REG_TIMEOUT_NS (3 * CLOCK_NS_PER_S / 2)
#define INITIAL_TIMEOUT_NS CLOCK_NS_PER_S
#define MAX_TIMEOUT_NS (32 * CLOCK_NS_PER_S)

void bul_init(struct bul *bul, const struct ip6 *home, uint16_t first_sequence)
{
	*bul = (struct bul){
		.home = *home,
		.sequence = (uint16_t)(first_sequence - 1),
		.next_ns = BUL_NEVER_NS,
	};
}

static void exchange_start(struct bul *bul, uint64_t now_ns)
{
	bul->is_outstanding = true;
	bul->is_refused = false;
	bul->timeout_ns = bul->is_bound ? INITIAL_TIMEOUT_NS : FIRST_REG_TIMEOUT_NS;
	bul->n_sent = 0;
	bul->next_ns = now_ns;
}

void bul_ask(struct bul *bul, const struct ip6 *care_of, uint32_t lifetime_s, uint64_t now_ns)
{
	bul->care_of = *care_of;
	bul->asked_lifetime_s = lifetime_s;
	if (lifetime_s > 0)
		bul->refresh_lifetime_s = lifetime_s;
	exchange_start(bul, now_ns);
}

void bul_refresh(struct bul *bul, uint64_t now_ns)
{
	if (bul->is_bound && !bul->is_outstanding)
		bul->next_ns = now_ns;
}

uint64_t bul_due_ns(const struct bul *bul)
{
	if (bul->is_bound && bul->bound_until_ns < bul->next_ns)
		return bul->bound_until_ns;
	return bul->next_ns;
}

bool bul_expire(struct bul *bul, uint64_t now_ns)
{
	if (!bul->is_bound || now_ns < bul->bound_until_ns)
		return false;
	bul->is_bound = false;
	return true;
}

bool bul_wants_send(const struct bul *bul, uint64_t now_ns)
{
	return bul->next_ns <= now_ns;
}

struct bul_sent *bul_send(struct bul *bul, uint64_t now_ns)
{
	struct bul_sent *sent;

	if (!bul->is_outstanding) { // a refresh
		bul->asked_lifetime_s = bul->refresh_lifetime_s;
		exchange_start(bul, now_ns);
	}
	if (bul->n_sent == 0)
		bul->started_ns = now_ns;
	else
		bul->n_retransmitted++;
	bul->sequence++;
	sent = &bul->sent[bul->n_sent % BUL_N_SENT];
	*sent = (struct bul_sent){ .sequence = bul->sequence, .at_ns = now_ns };
	bul->n_sent++;
	bul->next_ns = now_ns + bul->timeout_ns;
	bul->timeout_ns *= 2;
	if (bul->timeout_ns > MAX_TIMEOUT_NS)
		bul->timeout_ns = MAX_TIMEOUT_NS;
	return sent;
}

// The transmission of the exchange under way that has this sequence number, or NULL.
static const struct bul_sent *sent_find(const struct bul *bul, uint16_t sequence)
{
	uint32_t n = bul->n_sent < BUL_N_SENT ? bul->n_sent : BUL_N_SENT;

	for (uint32_t i = 0; i < n; i++) {
		if (bul->sent[i].sequence == sequence)
			return &bul->sent[i];
	}
	return NULL;
}

static enum bul_verdict deregistered(struct bul *bul)
{
	bul->is_outstanding = false;
	bul->is_bound = false;
	bul->next_ns = BUL_NEVER_NS;
	return BUL_DEREGISTERED;
}

// Notes an accepted binding: its lifetime counts from the transmission that asked for it.
static enum bul_verdict accept(struct bul *bul, const struct bul_answer *answer,
	const struct bul_sent *sent, uint64_t now_ns)
{
	uint64_t lifetime_ns = answer->lifetime_s * CLOCK_NS_PER_S;
	uint64_t refresh_ns = lifetime_ns / 4 * 3;

	bul->n_acknowledged++;
	bul->rtt_ns = now_ns - bul->started_ns;
	bul->lifetime_s = answer->lifetime_s;
	if (bul->asked_lifetime_s == 0)
		return deregistered(bul);
	bul->bound_care_of = bul->care_of;
	bul->bound_until_ns = sent->at_ns + lifetime_ns;
	bul->is_bound = now_ns < bul->bound_until_ns;
	if (!bul->is_bound) // granted too little to be of use; the back-off goes on
		return BUL_RETRY;
	bul->is_outstanding = false;
	if (answer->refresh_s > 0 && answer->refresh_s * CLOCK_NS_PER_S < refresh_ns)
		refresh_ns = answer->refresh_s * CLOCK_NS_PER_S;
	bul->next_ns = sent->at_ns + refresh_ns;
	return BUL_BOUND;
}

enum bul_verdict bul_answer(struct bul *bul, const struct bul_answer *answer, uint64_t now_ns)
{
	const struct bul_sent *sent;

	if (!bul->is_outstanding || bul->n_sent == 0)
		return BUL_IGNORED_NO_EXCHANGE;
	if (answer->status == MH_STATUS_SEQUENCE) {
		bul->sequence = answer->sequence;
		bul->next_ns = now_ns;
		return BUL_SEQUENCE_CORRECTED;
	}
	sent = sent_find(bul, answer->sequence);
	if (sent == NULL)
		return BUL_IGNORED_SEQUENCE;
	if (answer->status == MH_STATUS_ID_MISMATCH) {
		bul->next_ns = now_ns;
		return BUL_CLOCK_CORRECTED;
	}
	if (sent->mesg_id != 0 && (!answer->has_mesg_id || answer->mesg_id != sent->mesg_id))
		return BUL_IGNORED_MESG_ID;
	if (answer->status < MH_STATUS_UNSPECIFIED)
		return accept(bul, answer, sent, now_ns);
	// The answer to an earlier transmission was lost: there is no binding any more.
	if (answer->status == MH_STATUS_NOT_AGENT && bul->asked_lifetime_s == 0)
		return deregistered(bul);
	bul->n_refused++;
	if (answer->status == MH_STATUS_UNSPECIFIED || answer->status == MH_STATUS_RESOURCES)
		return BUL_RETRY;
	bul->is_outstanding = false;
	bul->is_refused = true;
	bul->next_ns = BUL_NEVER_NS;
	return BUL_REFUSED;
}

bool bul_is_moving(const struct bul *bul)
{
	return bul->is_outstanding && bul->is_bound && bul->asked_lifetime_s > 0 &&
	       !ip6_eq(&bul->care_of, &bul->bound_care_of);
}

const char *bul_state(const struct bul *bul)
{
	if (bul->is_outstanding && bul->asked_lifetime_s == 0)
		return "deregistering";
	if (bul_is_moving(bul))
		return "moving";
	if (bul->is_bound)
		return "bound";
	if (bul->is_outstanding)
		return "registering";
	return bul->is_refused ? "refused" : "unbound";
}

uint64_t bul_rate_take(struct bul_rate *rate, uint64_t now_ns)
{
	uint64_t *oldest = &rate->at_ns[rate->next];

	if (*oldest != 0 && now_ns < *oldest + CLOCK_NS_PER_S)
		return *oldest + CLOCK_NS_PER_S;
	*oldest = now_ns;
	rate->next = (rate->next + 1) % BUL_MAX_UPDATE_RATE;
	return 0;
}
