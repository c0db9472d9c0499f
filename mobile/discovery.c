// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "mobile/discovery.h"

#include <errno.h>
#include <string.h>

#include "controlplane/codec/ip6chain.h"
#include "dataplane/base/cksum.h"
#include "dataplane/base/cursor.h"
#include "dataplane/base/wire.h"
#include "mobile/client.h"
#include "mobile/report.h"

enum {
	HOP_LIMIT = 64,
	MESSAGE_LEN = 8,
	OPTION_PREFIX = 3,
	OPTION_PREFIX_LEN = 32,
};

int discovery_ask(struct client *client)
{
	const struct options *o = client->options;
	struct ip6chain_head head = { .src = client->here->care_of.address,
		.dst = o->home_agent,
		.home = &o->homes[0],
		.hop_limit = HOP_LIMIT };
	size_t head_len = ip6chain_head_len(&head);
	uint8_t packet[IP6CHAIN_HEAD_MAX + MESSAGE_LEN + ESP_OVERHEAD_MAX];
	uint8_t *icmp = packet + head_len;
	struct wcursor w = wcursor_make(icmp, MESSAGE_LEN);
	uint16_t sum_be;
	ssize_t len;

	wcursor_u8(&w, ICMP6_MPS);
	wcursor_u8(&w, 0);
	wcursor_u16(&w, 0);
	wcursor_u16(&w, ++client->solicitation);
	wcursor_u16(&w, 0);
	sum_be = cksum_ip6(head.home, &head.dst, PROTO_ICMP6, icmp, MESSAGE_LEN);
	memcpy(icmp + offsetof(struct icmp6_hdr_wire, cksum_be), &sum_be, sizeof(sum_be));
	len = ip6chain_write(packet, sizeof(packet), &head, PROTO_ICMP6, MESSAGE_LEN);
	if (len > 0)
		len = security_seal_transport(
			client->security, API_SA_DISCOVERY, packet, (size_t)len);
	if (len < 0)
		return (int)len;
	client->is_soliciting = true;
	return care_of_signal(&client->here->care_of, &o->home_agent, packet, (size_t)len);
}

static void report_prefix(struct rcursor *option)
{
	struct ip6_prefix prefix = { 0 };
	uint32_t valid_s, preferred_s;
	char text[PREFIX_STRLEN];
	uint8_t flags;

	rcursor_u16(option); // type, length
	prefix.len = rcursor_u8(option);
	flags = rcursor_u8(option);
	valid_s = rcursor_u32(option);
	preferred_s = rcursor_u32(option);
	rcursor_u32(option);
	rcursor_copy(option, &prefix.addr, sizeof(prefix.addr));
	if (option->ok && prefix.len <= 128)
		report(LOG_LEVEL_INFO, "home_prefix",
			"prefix=%s flags=0x%02x valid_s=%u preferred_s=%u",
			prefix_str(&prefix, text), flags, valid_s, preferred_s);
}

void discovery_receive(struct client *client, const uint8_t *packet, size_t len)
{
	struct ip6chain chain;
	struct rcursor c;
	uint16_t identifier;
	const uint8_t *icmp;

	if (ip6chain_parse(packet, len, &chain) != IP6CHAIN_OK || chain.proto != PROTO_ICMP6 ||
		!chain.has_routed || chain.payload_len < MESSAGE_LEN) {
		client->drops.signal_malformed++;
		return;
	}
	icmp = chain.packet + chain.payload_at;
	if (icmp[0] != ICMP6_MPA || !ip6_eq(&chain.src, &client->options->home_agent) ||
		cksum_ip6(&chain.src, &chain.routed, PROTO_ICMP6, icmp, chain.payload_len) != 0) {
		client->drops.signal_malformed++;
		return;
	}
	c = rcursor_make(icmp + 4, chain.payload_len - 4);
	identifier = rcursor_u16(&c);
	rcursor_u16(&c);
	report(LOG_LEVEL_INFO, "prefix_advertisement", "identifier=%u solicited=%s", identifier,
		client->is_soliciting && identifier == client->solicitation ? "yes" : "no");
	while (c.ok && rcursor_left(&c) >= OPTION_PREFIX_LEN) {
		struct rcursor option = rcursor_sub(&c, OPTION_PREFIX_LEN);

		report_prefix(&option);
	}
	if (!client->is_soliciting || identifier != client->solicitation)
		discovery_ask(client);
	else
		client->is_soliciting = false;
}
