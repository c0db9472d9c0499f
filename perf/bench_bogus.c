// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "perf/bench_bogus.h"

#include <string.h>

#include <rte_byteorder.h>

#include "dataplane/base/wire.h"
#include "perf/bench_traffic.h"

enum {
	BODY_MAX = 128,
	HOME_AT = 8,
	FRAGMENT_ID_AT = 4,
	SPI_AT = 24,
	SEQUENCE_AT = 28,
	// Behind the option: SPI and number, IV of AES-CBC, three blocks, check value of HMAC-SHA1-96.
	ESP_LEN = 24 + 8 + 16 + 48 + 12,
};

// A destination options header with the Home Address option, and ESP.
#define ESP_FORM                                                                    \
	{                                                                           \
		PROTO_DSTOPTS, ESP_LEN,                                             \
		{                                                                   \
			PROTO_ESP, 2, DSTOPT_PADN, 2, 0, 0, DSTOPT_HOME_ADDRESS, 16 \
		}                                                                   \
	}

struct frame {
	struct rte_ether_hdr eth;
	struct ip6_hdr_wire ip;
	uint8_t body[BODY_MAX];
} __attribute__((packed, aligned(2)));

// What stands behind the IPv6 header.
static const struct {
	uint8_t next_header, len, body[BODY_MAX];
} forms[BOGUS_KINDS] = {
	// A destination options header: PadN and the Home Address option, with the address at HOME_AT.
	[BOGUS_UPDATE] = { PROTO_DSTOPTS, 40,
		{ PROTO_MH, 2, DSTOPT_PADN, 2, 0, 0, DSTOPT_HOME_ADDRESS, 16, [24] = PROTO_NONE, 1,
			5, 0, 0, 0, 0, 1, 0xc0, 0, 0, 100, DSTOPT_PADN, 2 } },
	[BOGUS_HOME_OPTION] = { PROTO_DSTOPTS, 40,
		{ PROTO_UDP, 2, DSTOPT_PADN, 2, 0, 0, DSTOPT_HOME_ADDRESS, 16, [29] = 16 } },
	[BOGUS_HOST] = { PROTO_ICMP6, 24, { ICMP6_ECHO_REQUEST } },
	[BOGUS_FRAGMENT] = { PROTO_FRAGMENT, 56, { PROTO_IPV6, 0, 0, 1, [8] = 0x60 } },
	[BOGUS_HEADERS] = { PROTO_HOPOPTS, 56,
		{ PROTO_DSTOPTS, 0, DSTOPT_PADN, 4, [8] = PROTO_DSTOPTS, 0, DSTOPT_PADN,
			4, [16] = PROTO_DSTOPTS, 0, DSTOPT_PADN, 4, [24] = PROTO_ROUTING, 0,
			DSTOPT_PADN, 4, [32] = PROTO_UDP, 2, 0, 1 } },
	[BOGUS_ESP_UNKNOWN] = ESP_FORM,
	[BOGUS_ESP_CHECK] = ESP_FORM,
	[BOGUS_ESP_CHECK_PEER] = ESP_FORM,
	[BOGUS_ESP_REPLAY] = ESP_FORM,
};

static struct frame frames[BOGUS_KINDS];

void bogus_init(const struct rte_ether_addr *mac)
{
	for (unsigned int k = 1; k < BOGUS_KINDS; k++) {
		struct frame *f = &frames[k];

		f->eth.dst_addr = *mac;
		f->eth.ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV6);
		f->ip = (struct ip6_hdr_wire){ .vtc_flow_be = rte_cpu_to_be_32(6u << 28),
			.payload_len_be = rte_cpu_to_be_16(forms[k].len),
			.next_header = forms[k].next_header,
			.hop_limit = 64,
			.dst = traffic_agent };
		memcpy(f->body, forms[k].body, sizeof(f->body));
	}
}

static void put_esp(
	struct frame *f, enum bogus_kind kind, uint32_t mobile, uint32_t spi, uint64_t *random)
{
	uint32_t used = traffic_random(random, BOGUS_USED);
	uint32_t fresh = BOGUS_USED + 1 + traffic_random(random, UINT32_MAX - BOGUS_USED);
	struct ip6 home = traffic_home(mobile);

	spi = rte_cpu_to_be_32(spi);
	used = rte_cpu_to_be_32(kind == BOGUS_ESP_REPLAY ? used + 1 : fresh);
	memcpy(f->body + HOME_AT, &home, sizeof(home));
	memcpy(f->body + SPI_AT, &spi, sizeof(spi));
	memcpy(f->body + SEQUENCE_AT, &used, sizeof(used));
	if (kind == BOGUS_ESP_CHECK_PEER)
		f->ip.src = traffic_care_of(mobile);
}

void bogus_put(struct rte_mbuf *m, enum bogus_kind kind, uint64_t *random, uint32_t n_mobiles,
	uint32_t n_sas)
{
	struct frame *f = rte_pktmbuf_mtod(m, struct frame *);
	uint32_t i = traffic_random(random, UINT32_MAX);

	memcpy(f, &frames[kind], sizeof(*f));
	m->data_len = (uint16_t)(sizeof(f->eth) + sizeof(f->ip) + forms[kind].len);
	m->pkt_len = m->data_len;
	f->ip.src = traffic_care_of(i);
	if (kind == BOGUS_UPDATE || kind == BOGUS_HOME_OPTION) {
		struct ip6 home = traffic_home(traffic_random(random, n_mobiles) * 2);

		memcpy(f->body + HOME_AT, &home, sizeof(home));
	} else if (kind == BOGUS_FRAGMENT) {
		memcpy(f->body + FRAGMENT_ID_AT, &i, sizeof(i));
	} else if (bogus_is_esp(kind)) {
		uint32_t mobile = traffic_random(random, n_sas);
		uint32_t spi = BOGUS_SPI + mobile;

		if (kind == BOGUS_ESP_UNKNOWN)
			spi += n_sas + 1;
		put_esp(f, kind, mobile, spi, random);
	}
}
