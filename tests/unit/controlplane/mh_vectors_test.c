// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Packets of other people's implementations (tests/vectors/mh.hex, made by extract.py): read them,
// write them anew from what was read, compare byte by byte.

#include <stdio.h>

#include "controlplane/codec/mh_build.h"
#include "controlplane/codec/mh_parse.h"
#include "dataplane/base/wire.h"
#include "tests/unit/base/suite.h"

static const char *vectors_path;

enum { PACKET_MAX = 2048 };

struct vector {
	char name[128]; // of the capture
	int type;
	size_t len;
	uint8_t packet[PACKET_MAX];
};

// Reads the next comment line and the line of hex behind it.
static bool next_vector(FILE *file, struct vector *v)
{
	static char hex[2 * PACKET_MAX + 2];
	unsigned int frame, byte;

	if (fscanf(file, "# %127s frame %u type %d %4096s ", v->name, &frame, &v->type, hex) != 4)
		return false;
	for (v->len = 0; sscanf(hex + 2 * v->len, "%2x", &byte) == 1; v->len++)
		v->packet[v->len] = (uint8_t)byte;
	return true;
}

static void put_authenticator(uint8_t *at, const struct mh_auth *auth)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	CU_ASSERT_EQUAL_FATAL(auth->data.len, MH_AUTH_LEN);
	memcpy(at, auth->data.p, MH_AUTH_LEN);
}

// Writes the options from their parsed fields, in their order in the message.
static void rebuild_option(struct mh_build *b, const struct mh_options *o, size_t i)
{
	static size_t mnp;
	const struct mh_option *opt = &o->all[i];

	if (i == 0)
		mnp = 0;
	switch (opt->type) {
	case MH_OPT_REFRESH_ADVICE:
		mh_build_refresh_advice(b, o->refresh_advice_4s);
		break;
	case MH_OPT_ALT_COA:
		mh_build_alt_coa(b, &o->alt_coa);
		break;
	case MH_OPT_NONCE_INDICES:
		mh_build_nonce_indices(b, o->home_nonce_index, o->coa_nonce_index);
		break;
	case MH_OPT_MNP:
		mh_build_mnp(b, &o->mnps[mnp++]);
		break;
	case MH_OPT_MN_ID:
		mh_build_mn_id(b, o->mn_id.subtype, o->mn_id.id.p, o->mn_id.id.len);
		break;
	case MH_OPT_AUTHORIZATION:
		put_authenticator(mh_build_authorization(b), &o->authorization);
		break;
	default:
		mh_build_raw(b, opt->type, opt->data.p, opt->data.len);
	}
}

static size_t rebuild(const struct ip6chain *c, const struct mh *mh, uint8_t *out)
{
	struct ip6chain_head head = {
		.src = c->src,
		.dst = c->dst,
		.hop_limit = c->hop_limit,
		.home = c->has_home ? &c->home : NULL,
		.routed = c->has_routed ? &c->routed : NULL,
	};
	size_t head_len = ip6chain_head_len(&head);
	struct mh_build b;

	mh_build_start(&b, out + head_len, PACKET_MAX - head_len, &mh->msg);
	for (size_t i = 0; i < mh->opt.n_all; i++)
		rebuild_option(&b, &mh->opt, i);
	ssize_t mh_len = mh_build_end(&b, ip6chain_upper_src(c), ip6chain_upper_dst(c));

	CU_ASSERT_FATAL(mh_len > 0);
	ssize_t len = ip6chain_write(out, PACKET_MAX, &head, PROTO_MH, (size_t)mh_len);

	CU_ASSERT_FATAL(len > 0);
	return (size_t)len;
}

// The same message and options, wherever the padding is.
static void compare_meaning(const struct mh *a, const struct mh *b)
{
	CU_ASSERT_EQUAL(memcmp(&a->msg, &b->msg, sizeof(a->msg)), 0);
	CU_ASSERT_EQUAL_FATAL(a->opt.n_all, b->opt.n_all);
	for (size_t i = 0; i < a->opt.n_all; i++) {
		const struct mh_option *x = &a->opt.all[i], *y = &b->opt.all[i];

		CU_ASSERT_EQUAL(x->type, y->type);
		CU_ASSERT_EQUAL_FATAL(x->data.len, y->data.len);
		CU_ASSERT_EQUAL(memcmp(x->data.p, y->data.p, x->data.len), 0);
	}
}

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

// Everything but the proxy sets is written by us just as it was. Those carry options that we do not
// know (and so do not align). The messages of set 07 are no multiple of 8 long, so that their checksum
// is not that of Header Len octets (RFC 6275 section 6.1.1): they are dropped for it.
static void check_vector(const struct vector *v)
{
	struct ip6chain chain, chain_again;
	static struct mh mh, mh_again;
	uint8_t again[PACKET_MAX] = { 0 };
	bool is_proxy = starts_with(v->name, "07") || starts_with(v->name, "08");

	CU_ASSERT_EQUAL_FATAL(ip6chain_parse(v->packet, v->len, &chain), IP6CHAIN_OK);
	CU_ASSERT_EQUAL(chain.proto, PROTO_MH);
	enum mh_verdict verdict = mh_parse(&chain, &mh);

	CU_ASSERT_EQUAL(mh.msg.type, v->type);
	if (verdict != MH_OK) {
		CU_ASSERT_EQUAL(verdict, MH_CHECKSUM);
		CU_ASSERT(starts_with(v->name, "07"));
		return;
	}
	size_t len = rebuild(&chain, &mh, again);

	if (is_proxy) {
		CU_ASSERT_EQUAL_FATAL(ip6chain_parse(again, len, &chain_again), IP6CHAIN_OK);
		CU_ASSERT_EQUAL_FATAL(mh_parse(&chain_again, &mh_again), MH_OK);
		compare_meaning(&mh, &mh_again);
		return;
	}
	CU_ASSERT_EQUAL(len, v->len);
	memcpy(again, v->packet, 4); // traffic class and flow label are the sender's choice
	if (memcmp(again, v->packet, v->len) != 0) {
		printf("\n    %s type %d differs", v->name, v->type);
		CU_FAIL("rewritten packet differs");
	}
}

static void test_vectors(void)
{
	static struct vector v;
	unsigned int n = 0, n_of_type[MH_N_TYPES] = { 0 };
	FILE *file = fopen(vectors_path, "r");

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	for (; next_vector(file, &v); n++) {
		check_vector(&v);
		n_of_type[v.type]++;
	}
	fclose(file);
	printf("\n    %u packets", n);
	CU_ASSERT(n > 150);
	for (int type = MH_HOTI; type <= MH_BE; type++)
		CU_ASSERT(n_of_type[type] > 0);
}

int main(int argc, char **argv)
{
	CU_TestInfo tests[] = {
		{ "captured packets are read and written the same", test_vectors },
		CU_TEST_INFO_NULL,
	};

	if (argc != 2)
		return EXIT_FAILURE;
	vectors_path = argv[1];
	return suite_run("mh_vectors", tests);
}
