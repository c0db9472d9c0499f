// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "mobile/registrar.h"

#include <stdio.h>
#include <string.h>

#include "controlplane/mesgid.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/wire.h"
#include "mobile/client.h"
#include "mobile/report.h"

static double ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

// The timestamp of a Binding Update: the home agent's time as far as we know it, later than any
// before. RFC 4285 section 6.
static uint64_t mesg_id_next(struct client *client)
{
	uint64_t now_ns = clock_wall_ns();
	uint64_t id = mesgid_from_wall_ns(now_ns) + ((uint64_t)client->clock_offset_s << 32);

	if (client->last_mesg_id != 0 && !mesgid_is_later(id, client->last_mesg_id) &&
		client->last_mesg_id - id < (uint64_t)MESGID_WINDOW_S << 32)
		id = client->last_mesg_id + 1;
	client->last_mesg_id = id;
	return id;
}

void registrar_ask(struct client *client, uint32_t lifetime_s)
{
	uint64_t now_ns = clock_mono_ns();
	char care_of[IP6_STRLEN];

	report(LOG_LEVEL_INFO, lifetime_s > 0 ? "asking" : "asking_for_end",
		"care_of=%s interface=%s lifetime_s=%u",
		ip6_str(&client->here->care_of.address, care_of), client->here->care_of.ifname,
		lifetime_s);
	for (unsigned int i = 0; i < client->n_buls; i++)
		bul_ask(&client->buls[i], &client->here->care_of.address, lifetime_s, now_ns);
}

static void send_update(struct client *client, struct bul *bul, uint64_t now_ns)
{
	const struct options *o = client->options;
	uint8_t packet[MESSAGE_PACKET_MAX + ESP_OVERHEAD_MAX];
	char home[IP6_STRLEN], care_of[IP6_STRLEN];
	struct bul_sent *sent = bul_send(bul, now_ns);
	struct message_update update = {
		.home_agent = o->home_agent,
		.home = bul->home,
		.care_of = bul->care_of,
		.sequence = sent->sequence,
		.lifetime_s = bul->asked_lifetime_s,
	};
	ssize_t len;
	int error;

	if (o->identity.key_len > 0)
		update.mesg_id = sent->mesg_id = mesg_id_next(client);
	len = message_build_update(packet, MESSAGE_PACKET_MAX, &update, &o->identity, client->auth);
	if (len > 0 && client->security != NULL)
		len = security_seal_transport(
			client->security, API_SA_SIGNALLING, packet, (size_t)len);
	// The exchange of every home address is about the place where the mobile is.
	error = len < 0 ? (int)len
			: care_of_signal(
				  &client->here->care_of, &o->home_agent, packet, (size_t)len);
	if (error < 0)
		client->here->care_of.n_send_errors++;
	report(error < 0 ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG, "binding_update_sent",
		"home=%s care_of=%s seq=%u lifetime_s=%u transmission=%u result=%s",
		ip6_str(&bul->home, home), ip6_str(&bul->care_of, care_of), update.sequence,
		update.lifetime_s, bul->n_sent, error < 0 ? strerror(-error) : "ok");
}

uint64_t registrar_advance(struct client *client, uint64_t now_ns)
{
	uint64_t due_ns = BUL_NEVER_NS;

	for (unsigned int i = 0; i < client->n_buls; i++) {
		struct bul *bul = &client->buls[i];
		uint64_t next_ns = 0;
		char home[IP6_STRLEN];

		if (bul_expire(bul, now_ns))
			report(LOG_LEVEL_WARN, "binding_expired", "home=%s",
				ip6_str(&bul->home, home));
		if (bul_wants_send(bul, now_ns)) {
			next_ns = bul_rate_take(&client->rate, now_ns);
			if (next_ns == 0)
				send_update(client, bul, now_ns);
		}
		if (next_ns == 0)
			next_ns = bul_due_ns(bul);
		if (next_ns < due_ns)
			due_ns = next_ns;
	}
	return due_ns;
}

// What each verdict is called in the log, and how much it matters.
static const struct {
	enum log_level level;
	const char *event;
} verdicts[] = {
	[BUL_IGNORED_NO_EXCHANGE] = { LOG_LEVEL_DEBUG, "acknowledgement_not_awaited" },
	[BUL_IGNORED_SEQUENCE] = { LOG_LEVEL_WARN, "acknowledgement_sequence_unknown" },
	[BUL_IGNORED_MESG_ID] = { LOG_LEVEL_WARN, "acknowledgement_timestamp_unknown" },
	[BUL_BOUND] = { LOG_LEVEL_INFO, "binding_acknowledged" },
	[BUL_DEREGISTERED] = { LOG_LEVEL_INFO, "binding_ended" },
	[BUL_SEQUENCE_CORRECTED] = { LOG_LEVEL_INFO, "sequence_corrected" },
	[BUL_CLOCK_CORRECTED] = { LOG_LEVEL_INFO, "clock_corrected" },
	[BUL_RETRY] = { LOG_LEVEL_WARN, "binding_refused_for_now" },
	[BUL_REFUSED] = { LOG_LEVEL_ERR, "binding_refused" },
};

static void receive_acknowledgement(
	struct client *client, struct bul *bul, const struct message *message)
{
	const struct mh_ba *ba = &message->mh.msg.ba;
	const struct mh_options *opt = &message->mh.opt;
	struct bul_answer answer = {
		.sequence = ba->sequence,
		.status = ba->status,
		.lifetime_s = ba->lifetime_4s * 4U,
		.refresh_s = opt->has_refresh_advice ? opt->refresh_advice_4s * 4U : 0,
		.has_mesg_id = opt->has_mesg_id,
		.mesg_id = opt->mesg_id,
	};
	enum auth_result auth = message_verify(
		message, &client->options->identity, client->auth, &bul->care_of, &bul->home);
	char home[IP6_STRLEN], care_of[IP6_STRLEN];
	enum bul_verdict verdict;

	if (auth != AUTH_OK) {
		client->drops.signal_ignored++;
		report(LOG_LEVEL_WARN, "acknowledgement_not_authentic",
			"home=%s seq=%u status=%u (%s)", ip6_str(&bul->home, home), ba->sequence,
			ba->status, mh_status_name(ba->status));
		return;
	}
	verdict = bul_answer(bul, &answer, clock_mono_ns());
	if (verdict == BUL_CLOCK_CORRECTED && opt->has_mesg_id)
		client->clock_offset_s =
			(int32_t)((uint32_t)(opt->mesg_id >> 32) -
				  (uint32_t)(mesgid_from_wall_ns(clock_wall_ns()) >> 32));
	if (verdict <= BUL_IGNORED_MESG_ID)
		client->drops.signal_ignored++;
	report(verdicts[verdict].level, verdicts[verdict].event,
		"home=%s care_of=%s seq=%u status=%u (%s) lifetime_s=%u rtt_ms=%.2f "
		"transmissions=%u",
		ip6_str(&bul->home, home), ip6_str(&bul->care_of, care_of), ba->sequence,
		ba->status, mh_status_name(ba->status), answer.lifetime_s,
		ms(clock_mono_ns() - bul->started_ns), bul->n_sent);
}

void registrar_receive(struct client *client, const void *packet, size_t len)
{
	struct message message;
	struct bul *bul = NULL;

	if (message_parse(packet, len, &client->options->home_agent, &message) != MESSAGE_OK) {
		client->drops.signal_malformed++;
		return;
	}
	if (message.mh.msg.type == MH_BE) {
		report(LOG_LEVEL_WARN, "binding_error", "status=%u", message.mh.msg.be.status);
		return;
	}
	// Everything else is for a home address, in a type 2 routing header (RFC 6275 9.5.4).
	for (unsigned int i = 0; i < client->n_buls && message.chain.has_routed; i++) {
		if (ip6_eq(&client->buls[i].home, &message.chain.routed))
			bul = &client->buls[i];
	}
	if (bul != NULL && message.mh.msg.type == MH_BA)
		receive_acknowledgement(client, bul, &message);
	else if (bul != NULL && message.mh.msg.type == MH_BRR)
		bul_refresh(bul, clock_mono_ns());
	else
		client->drops.signal_ignored++;
}
