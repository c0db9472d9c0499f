// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// IPv4 fragments that are cut again: devices that hand over fragments as they are show them, Linux puts
// them together first.

#include "dataplane/stage.h"

#include <rte_malloc.h>

#include "tests/unit/dataplane/suite.h"

enum { MTU = 620, PAYLOAD = 1400, PIECES_MAX = 8, OPTIONS = 8 };

static struct worker *worker;
static uint8_t pieces[PIECES_MAX][MTU];
static unsigned int n_pieces;

void stage_send(struct worker *w, struct rte_mbuf *m, const struct nexthop *nh)
{
	(void)w;
	(void)nh;
	CU_ASSERT_TRUE_FATAL(n_pieces < PIECES_MAX && m->data_len <= MTU);
	memcpy(pieces[n_pieces++], rte_pktmbuf_mtod(m, void *), m->data_len);
	rte_pktmbuf_free(m);
}

// Cuts a packet with that fragment field and an option that is copied and one that is not, and checks
// that the pieces make it up.
static void cut(uint16_t fragment)
{
	static const uint8_t options[OPTIONS] = { 0x9e, 4, 'c', 'c', 0x1e, 4, 'o', 'o' };
	const unsigned int header_len = sizeof(struct ip4_hdr_wire) + OPTIONS;
	struct ip4_hdr_wire *ip;
	struct rte_mbuf *m;
	unsigned int at = 0;

	if (worker == NULL) {
		worker = rte_zmalloc("worker", sizeof(*worker), RTE_CACHE_LINE_SIZE);
		worker->pool =
			rte_pktmbuf_pool_create("frag", 63, 0, PKT_PRIV_SIZE, 2304, SOCKET_ID_ANY);
	}
	m = rte_pktmbuf_alloc(worker->pool);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	ip = (void *)rte_pktmbuf_append(m, header_len + PAYLOAD);

	CU_ASSERT_PTR_NOT_NULL_FATAL(ip);
	if (ip == NULL)
		return;
	memset(ip, 0, header_len);
	ip->version_ihl = (uint8_t)(4 << 4 | header_len / 4);
	ip->fragment_be = rte_cpu_to_be_16(fragment);
	memcpy(ip + 1, options, sizeof(options));
	for (unsigned int i = 0; i < PAYLOAD; i++)
		((uint8_t *)ip)[header_len + i] = (uint8_t)(i * 7);
	n_pieces = 0;
	stage_ip4_fragment(worker, m, NULL, MTU);
	CU_ASSERT_TRUE(n_pieces >= 3);
	for (unsigned int i = 0; i < n_pieces; i++) {
		const struct ip4_hdr_wire *p = (const void *)pieces[i];
		unsigned int len = (p->version_ihl & 0xf) * 4u;
		unsigned int n = rte_be_to_cpu_16(p->total_len_be) - len;
		uint16_t field = rte_be_to_cpu_16(p->fragment_be);
		bool is_last = i + 1 == n_pieces;

		CU_ASSERT_EQUAL(len, sizeof(*p) + (i == 0 ? OPTIONS : OPTIONS / 2));
		CU_ASSERT_EQUAL(memcmp(p + 1, options, OPTIONS / 2), 0);
		CU_ASSERT_EQUAL(field & IP4_OFFSET, (fragment & IP4_OFFSET) + at / 8);
		// RFC 791 section 3.2: the last piece has what the whole had.
		CU_ASSERT_EQUAL(field & IP4_MF, is_last ? fragment & IP4_MF : IP4_MF);
		CU_ASSERT_TRUE(is_last || n % 8 == 0);
		for (unsigned int k = 0; k < n; k++)
			CU_ASSERT_EQUAL_FATAL(pieces[i][len + k], (uint8_t)((at + k) * 7));
		at += n;
	}
	CU_ASSERT_EQUAL(at, PAYLOAD);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(worker->pool), 0);
}

static void test_whole(void)
{
	cut(0);
}

static void test_first_fragment(void)
{
	cut(IP4_MF);
}

static void test_middle_fragment(void)
{
	cut(IP4_MF | 185);
}

static void test_last_fragment(void)
{
	cut(370);
}

int main(void)
{
	static CU_TestInfo tests[] = {
		{ "a whole packet", test_whole },
		{ "a first fragment", test_first_fragment },
		{ "a fragment of the middle", test_middle_fragment },
		{ "a last fragment", test_last_fragment },
		CU_TEST_INFO_NULL,
	};

	return suite_run_dpdk("ip4_fragment", tests);
}
