// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The packets of unwired-traffic as they are written and read, and its histogram.

#include <string.h>

#include "dataplane/base/cksum.h"
#include "dataplane/base/wire.h"
#include "perf/traffic/latency.h"
#include "perf/traffic/packet.h"
#include "tests/unit/base/suite.h"

enum { ETH = 14, IP = 40, UDP = 8, MARK = 16 };

static struct options options;
static const struct rte_ether_addr own = { { 2, 0, 0, 0, 0, 9 } };

static void setup(void)
{
	memset(&options, 0, sizeof(options));
	options.n_mobiles = 1000;
	options.n_subnets = 100;
	ip6_parse("2001:db8:1::1:0", &options.home);
	ip6_parse("2400::", &options.care_of);
	ip6_parse("2001:db8:1::1", &options.agent);
	ip6_parse("2001:db8:20::20", &options.correspondent);
	options.gateways[CORE] = (struct rte_ether_addr){ { 2, 0, 0, 0, 0, 1 } };
	options.gateways[ACCESS] = (struct rte_ether_addr){ { 2, 0, 0, 0, 0, 2 } };
}

// The UDP checksum at an IPv6 header verifies.
static void check_udp(const uint8_t *ip)
{
	struct ip6_hdr_wire header;

	memcpy(&header, ip, sizeof(header));
	CU_ASSERT_EQUAL(header.next_header, PROTO_UDP);
	CU_ASSERT_EQUAL(
		cksum_ip6(&header.src, &header.dst, PROTO_UDP, ip + IP, (size_t)ip[4] << 8 | ip[5]),
		0);
}

static void test_down(void)
{
	const struct packet_mark mark = { .trial = 3, .lane = 5, .number = 77, .sent_tsc = 123456 };
	uint8_t frame[2048] = { 0 }, tunnelled[2048];
	struct packet_seen seen;
	uint16_t len;
	struct ip6 care_of, wrong;

	setup();
	len = packet_write(frame, &options, DOWN, 999, 78, &own, &mark);
	CU_ASSERT_EQUAL(len, 78);
	check_udp(frame + ETH);
	CU_ASSERT_EQUAL(memcmp(frame, &options.gateways[CORE], 6), 0);
	// Still plain: at the side of the mobiles it has escaped its tunnel, at the other it is an echo.
	CU_ASSERT_EQUAL(packet_read(frame, len, &options, ACCESS).kind, PACKET_STRAY);
	CU_ASSERT_EQUAL(packet_read(frame, len, &options, CORE).kind, PACKET_FOREIGN);
	// As the home agent sends it on.
	care_of = packet_care_of(&options, 999);
	memcpy(tunnelled, frame, ETH + IP);
	memcpy(tunnelled + ETH + 8, &options.agent, 16);
	memcpy(tunnelled + ETH + 24, &care_of, 16);
	tunnelled[ETH + 6] = PROTO_IPV6;
	memcpy(tunnelled + ETH + IP, frame + ETH, (size_t)len - ETH);
	seen = packet_read(tunnelled, (size_t)len + IP, &options, ACCESS);
	CU_ASSERT_EQUAL(seen.kind, PACKET_OURS);
	CU_ASSERT_EQUAL(seen.mark.direction, DOWN);
	CU_ASSERT_EQUAL(seen.mark.lane, 5);
	CU_ASSERT_EQUAL(seen.mark.trial, 3);
	CU_ASSERT_EQUAL(seen.mark.number, 77);
	CU_ASSERT_EQUAL(seen.mark.sent_tsc, 123456);
	// To another mobile, or from another tunnel end.
	wrong = packet_care_of(&options, 998);
	memcpy(tunnelled + ETH + 24, &wrong, 16);
	CU_ASSERT_EQUAL(
		packet_read(tunnelled, (size_t)len + IP, &options, ACCESS).kind, PACKET_STRAY);
	memcpy(tunnelled + ETH + 24, &care_of, 16);
	tunnelled[ETH + 8] ^= 1;
	CU_ASSERT_EQUAL(
		packet_read(tunnelled, (size_t)len + IP, &options, ACCESS).kind, PACKET_STRAY);
}

static void test_up(void)
{
	const struct packet_mark mark = { .number = 1 };
	uint8_t frame[2048] = { 0 }, plain[2048];
	uint16_t len;

	setup();
	len = packet_write(frame, &options, UP, 12, 590, &own, &mark);
	CU_ASSERT_EQUAL(len, 590 + IP);
	check_udp(frame + ETH + IP);
	CU_ASSERT_EQUAL(memcmp(frame, &options.gateways[ACCESS], 6), 0);
	memcpy(plain, frame, ETH);
	memcpy(plain + ETH, frame + ETH + IP, 590 - ETH);
	CU_ASSERT_EQUAL(packet_read(plain, 590, &options, CORE).kind, PACKET_OURS);
	plain[ETH + 24] ^= 1;
	CU_ASSERT_EQUAL(packet_read(plain, 590, &options, CORE).kind, PACKET_STRAY);
}

// Nothing is read beyond the end, wherever a frame is cut off.
static void test_short(void)
{
	const struct packet_mark mark = { .number = 1 };
	uint8_t frame[256] = { 0 };
	uint16_t len;

	setup();
	len = packet_write(frame, &options, UP, 12, 78, &own, &mark);
	for (uint16_t n = 0; n < len; n++) {
		uint8_t *copy = malloc(n + 1u); // of this size, for the sanitizer

		memcpy(copy, frame, n);
		CU_ASSERT_EQUAL(packet_read(copy, n, &options, CORE).kind, PACKET_FOREIGN);
		free(copy);
	}
}

static void test_update(void)
{
	uint8_t frame[256];
	uint16_t len;
	struct ip6 home, care_of;
	uint8_t *mh = frame + ETH + IP + 24;

	setup();
	len = packet_write_update(frame, &options, 7, 0x1234, &own);
	home = packet_home(&options, 7);
	care_of = packet_care_of(&options, 7);
	CU_ASSERT_EQUAL(len, ETH + IP + 24 + 16);
	CU_ASSERT_EQUAL(memcmp(frame + ETH + 8, &care_of, 16), 0);
	CU_ASSERT_EQUAL(memcmp(frame + ETH + IP + 8, &home, 16), 0);
	CU_ASSERT_EQUAL(cksum_ip6(&home, &options.agent, PROTO_MH, mh, 16), 0);
	CU_ASSERT_EQUAL(mh[6] << 8 | mh[7], 0x1234);
}

static void test_answer(void)
{
	uint8_t frame[256] = { 0x33, 0x33, 0xff, 0, 0, 1, 2, 0, 0, 0, 0, 1, 0x86, 0xdd };
	struct ip6_hdr_wire ip = { .vtc_flow_be = rte_cpu_to_be_32(6u << 28),
		.payload_len_be = rte_cpu_to_be_16(24),
		.next_header = PROTO_ICMP6,
		.hop_limit = 255 };
	struct ip6 target;
	uint16_t len;

	setup();
	ip6_parse("2001:db8:ff::1", &ip.src);
	ip6_parse("ff02::1:ff00:2", &ip.dst);
	ip6_parse("2001:db8:ff::2", &target);
	memcpy(frame + ETH, &ip, sizeof(ip));
	frame[ETH + IP] = ICMP6_NS;
	memcpy(frame + ETH + IP + 8, &target, 16);
	CU_ASSERT_EQUAL(
		packet_read(frame, ETH + IP + 24, &options, CORE).kind, PACKET_SOLICITATION);
	len = packet_answer(frame, &own);
	CU_ASSERT_EQUAL(len, ETH + IP + 32);
	CU_ASSERT_EQUAL(frame[5], 1); // to who asked
	CU_ASSERT_EQUAL(frame[ETH + 7], 255);
	CU_ASSERT_EQUAL(memcmp(frame + ETH + 8, &target, 16), 0);
	CU_ASSERT_EQUAL(cksum_ip6(&target, &ip.src, PROTO_ICMP6, frame + ETH + IP, 32), 0);
	// Somebody's duplicate address detection is left alone.
	memset(&ip.src, 0, sizeof(ip.src));
	memcpy(frame + ETH, &ip, sizeof(ip));
	frame[ETH + IP] = ICMP6_NS;
	CU_ASSERT_EQUAL(packet_read(frame, ETH + IP + 24, &options, CORE).kind, PACKET_FOREIGN);
}

static void test_latency_bins(void)
{
	CU_ASSERT_EQUAL(latency_bin(0), 0);
	for (uint64_t ns = 1; ns < UINT64_MAX / 3; ns += ns / 7 + 1) {
		unsigned int bin = latency_bin(ns);

		CU_ASSERT_TRUE(bin < LATENCY_BINS);
		CU_ASSERT_TRUE(latency_least_ns(bin) <= ns);
		CU_ASSERT_TRUE(ns < latency_least_ns(bin + 1));
		CU_ASSERT_TRUE((double)(ns - latency_least_ns(bin)) <= (double)ns / 64);
	}
	CU_ASSERT_TRUE(latency_bin(UINT64_MAX) < LATENCY_BINS);
}

static void test_latency_percentiles(void)
{
	static struct latency a, b;

	CU_ASSERT_EQUAL(latency_at(&a, 0.5), 0);
	for (uint64_t us = 1; us <= 1000; us++)
		latency_add(us % 2 == 0 ? &a : &b, us * 1000);
	latency_merge(&a, &b);
	CU_ASSERT_EQUAL(a.n, 1000);
	CU_ASSERT_DOUBLE_EQUAL((double)latency_at(&a, 0.5), 500e3, 500e3 * 0.017);
	CU_ASSERT_DOUBLE_EQUAL((double)latency_at(&a, 0.99), 990e3, 990e3 * 0.017);
	CU_ASSERT_EQUAL(latency_at(&a, 1), 1000000);
	CU_ASSERT_EQUAL(a.most_ns, 1000000);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "down", test_down },
		{ "up", test_up },
		{ "short", test_short },
		{ "update", test_update },
		{ "answer", test_answer },
		{ "latency bins", test_latency_bins },
		{ "latency percentiles", test_latency_percentiles },
		CU_TEST_INFO_NULL,
	};

	return suite_run("traffic", tests);
}
