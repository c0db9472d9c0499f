// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/auth.h"

#include <errno.h>

#include "tests/unit/controlplane/packets.h"

// Computed with Python's hmac module from the formula of RFC 4285 section 5.1: a Binding Update with an
// identifier, a MESG-ID and the MN-HA option with SPI 1000; its checksum field holds 0xabcd.
static const char update[] = "3b060500abcd1234c00000690805016d6e4078010500000000000a08e5f1c001"
			     "80000000000911 01000003e8";
static const char authenticator[] = "9eff8c45a224d978e603db10";
static const char key_hex[] = "000102030405060708090a0b0c0d0e0f";

struct sample {
	struct auth *auth;
	uint8_t key[16];
	uint8_t mh[64];
	size_t data_at, len;
	struct ip6 coa, home;
	struct mh_options opt;
};

static struct sample sample_make(void)
{
	struct sample s = {
		.auth = auth_new(), .coa = ip("2001:db8:11::100"), .home = ip("2001:db8:1::100")
	};

	CU_ASSERT_PTR_NOT_NULL_FATAL(s.auth);
	CU_ASSERT_EQUAL(from_hex(key_hex, s.key), sizeof(s.key));
	s.data_at = from_hex(update, s.mh);
	s.len = s.data_at + from_hex(authenticator, s.mh + s.data_at);
	CU_ASSERT_EQUAL(s.len, 56);
	return s;
}

static enum auth_result verify(struct sample *s)
{
	s->opt = (struct mh_options){ .has_mn_ha = true,
		.mn_ha = { .spi = 1000,
			.data_at = (uint16_t)s->data_at,
			.data = { s->mh + s->data_at, MH_AUTH_LEN } } };
	return auth_verify(s->auth, s->key, sizeof(s->key), &s->coa, &s->home, s->mh, &s->opt);
}

static void test_known_answer(void)
{
	struct sample s = sample_make();
	uint8_t out[MH_AUTH_LEN];

	CU_ASSERT_EQUAL(
		auth_sign(s.auth, s.key, sizeof(s.key), &s.coa, &s.home, s.mh, s.data_at, out), 0);
	CU_ASSERT_EQUAL(memcmp(out, s.mh + s.data_at, sizeof(out)), 0);
	CU_ASSERT_EQUAL(verify(&s), AUTH_OK);
	CU_ASSERT_EQUAL(verify(&s), AUTH_OK); // the context is reused
	auth_free(s.auth);
}

// Every bit that the option covers counts; the checksum's do not.
static void test_every_byte_counts(void)
{
	struct sample s = sample_make();

	for (size_t i = 0; i < s.len; i++) {
		s.mh[i] ^= 0x10;
		CU_ASSERT_EQUAL(verify(&s), i == 4 || i == 5 ? AUTH_OK : AUTH_FAILED);
		s.mh[i] ^= 0x10;
	}
	s.coa.b[15] ^= 1;
	CU_ASSERT_EQUAL(verify(&s), AUTH_FAILED);
	s.coa.b[15] ^= 1;
	s.home.b[0] ^= 1;
	CU_ASSERT_EQUAL(verify(&s), AUTH_FAILED);
	s.home.b[0] ^= 1;
	s.key[7] ^= 1;
	CU_ASSERT_EQUAL(verify(&s), AUTH_FAILED);
	s.key[7] ^= 1;
	CU_ASSERT_EQUAL(verify(&s), AUTH_OK);
	auth_free(s.auth);
}

static void test_refusals(void)
{
	struct sample s = sample_make();
	struct mh_options none = { 0 };
	uint8_t out[MH_AUTH_LEN];

	CU_ASSERT_EQUAL(auth_verify(s.auth, s.key, 16, &s.coa, &s.home, s.mh, &none), AUTH_MISSING);
	CU_ASSERT_EQUAL(verify(&s), AUTH_OK);
	for (uint8_t len = 0; len <= 20; len++) { // a shorter authenticator is no way in
		s.opt.mn_ha.data.len = len;
		CU_ASSERT_EQUAL(auth_verify(s.auth, s.key, 16, &s.coa, &s.home, s.mh, &s.opt),
			len == MH_AUTH_LEN ? AUTH_OK : AUTH_FAILED);
	}
	s.opt.mn_ha.data.len = MH_AUTH_LEN;
	CU_ASSERT_EQUAL(auth_verify(s.auth, s.key, 0, &s.coa, &s.home, s.mh, &s.opt), AUTH_FAILED);
	CU_ASSERT_EQUAL(auth_sign(s.auth, s.key, 0, &s.coa, &s.home, s.mh, 44, out), -EINVAL);
	CU_ASSERT_EQUAL(auth_sign(s.auth, s.key, 16, &s.coa, &s.home, s.mh, 7, out), -EINVAL);
	CU_ASSERT_EQUAL(
		auth_sign(s.auth, s.key, 16, &s.coa, &s.home, s.mh, MH_MAX_LEN + 1, out), -EINVAL);
	auth_free(s.auth);
	auth_free(NULL);
}

// Built, signed, sent, parsed, verified: as the process and the mobile client do it.
static void test_end_to_end(void)
{
	struct sample s = sample_make();
	struct packet p = { .head = { .src = s.coa, .dst = ip("2001:db8:1::1") }, .home = s.home };
	struct mh_message m = { .type = MH_BU, .bu = { 7, MH_BU_A | MH_BU_H, 105 } };
	struct ip6chain chain;
	uint8_t buf[256];
	struct mh_build b;
	struct mh mh;

	p.head.home = &p.home;
	mh_build_start(&b, buf, sizeof(buf), &m);
	mh_build_mn_id(&b, MH_MN_ID_NAI, "alice@example.net", 17);
	mh_build_mesg_id(&b, 0xe5f1c00180000000ULL);
	uint8_t *at = mh_build_mn_ha(&b, 1000);

	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	CU_ASSERT_EQUAL(
		auth_sign(s.auth, s.key, 16, &s.coa, &s.home, buf, (size_t)(at - buf), at), 0);
	ssize_t len = mh_build_end(&b, &s.home, &p.head.dst);

	CU_ASSERT_FATAL(len > 0);
	packet_put_mh(&p, buf, (size_t)len);
	CU_ASSERT_EQUAL_FATAL(packet_parse(&p, &chain, &mh), MH_OK);
	CU_ASSERT_EQUAL(auth_verify(s.auth, s.key, 16, mh_bu_coa(&chain, &mh), mh_bu_home(&chain),
				mh.data, &mh.opt),
		AUTH_OK);
	s.key[0] ^= 1;
	CU_ASSERT_EQUAL(auth_verify(s.auth, s.key, 16, mh_bu_coa(&chain, &mh), mh_bu_home(&chain),
				mh.data, &mh.opt),
		AUTH_FAILED);
	auth_free(s.auth);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "known answer", test_known_answer },
		{ "every byte counts but the checksum", test_every_byte_counts },
		{ "refusals", test_refusals },
		{ "signed and verified end to end", test_end_to_end },
		CU_TEST_INFO_NULL,
	};

	return suite_run("auth", tests);
}
