// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include "controlplane/codec/mh_build.h"

#include <errno.h>

#include "controlplane/codec/mh_options.h"
#include "dataplane/base/cksum.h"
#include "dataplane/base/wire.h"

enum { MH_AT_HEADER_LEN = 1, MH_AT_CKSUM = 4 };

static void fail(struct mh_build *b, int error)
{
	if (b->error == 0)
		b->error = error;
}

// Puts n bytes of padding: Pad1 for one, PadN else. RFC 6275 sections 6.2.2, 6.2.3.
static void pad(struct mh_build *b, size_t n)
{
	if (n == 1) {
		wcursor_u8(&b->w, MH_OPT_PAD1);
	} else if (n > 1) {
		wcursor_u8(&b->w, MH_OPT_PADN);
		wcursor_u8(&b->w, (uint8_t)(n - 2));
		wcursor_zero(&b->w, n - 2);
	}
}

static void align(struct mh_build *b, struct mh_align a)
{
	pad(b, (a.multiple + a.rest - wcursor_len(&b->w) % a.multiple) % a.multiple);
}

// Puts the head of an option of len bytes of data, aligned; the data comes next.
static void start_option(struct mh_build *b, uint8_t type, size_t len)
{
	if (len > UINT8_MAX || b->is_sealed) {
		fail(b, -EINVAL);
		b->w.ok = false;
		return;
	}
	align(b, mh_options_align(type));
	wcursor_u8(&b->w, type);
	wcursor_u8(&b->w, (uint8_t)len);
}

static void set_header_len(struct mh_build *b)
{
	size_t len = wcursor_len(&b->w);

	if (!b->w.ok || len > MH_MAX_LEN)
		fail(b, -EMSGSIZE);
	else
		b->w.start[MH_AT_HEADER_LEN] = (uint8_t)(len / 8 - 1);
}

static void put_test(struct mh_build *b, const struct mh_message *m, bool has_token)
{
	wcursor_u16(&b->w, has_token ? m->test.nonce_index : 0);
	wcursor_u64(&b->w, m->test.cookie);
	if (has_token)
		wcursor_u64(&b->w, m->test.token);
}

static void put_message(struct mh_build *b, const struct mh_message *m)
{
	switch (m->type) {
	case MH_BRR:
		wcursor_u16(&b->w, 0);
		break;
	case MH_HOTI:
	case MH_COTI:
		put_test(b, m, false);
		break;
	case MH_HOT:
	case MH_COT:
		put_test(b, m, true);
		break;
	case MH_BU:
		wcursor_u16(&b->w, m->bu.sequence);
		wcursor_u16(&b->w, m->bu.flags);
		wcursor_u16(&b->w, m->bu.lifetime_4s);
		break;
	case MH_BA:
		wcursor_u8(&b->w, m->ba.status);
		wcursor_u8(&b->w, m->ba.flags);
		wcursor_u16(&b->w, m->ba.sequence);
		wcursor_u16(&b->w, m->ba.lifetime_4s);
		break;
	case MH_BE:
		wcursor_u8(&b->w, m->be.status);
		wcursor_u8(&b->w, 0);
		wcursor_bytes(&b->w, &m->be.home, sizeof(m->be.home));
		break;
	default:
		fail(b, -EINVAL);
	}
}

void mh_build_start(struct mh_build *b, void *buf, size_t size, const struct mh_message *message)
{
	*b = (struct mh_build){ .w = wcursor_make(buf, size) };
	wcursor_u8(&b->w, PROTO_NONE);
	wcursor_u8(&b->w, 0); // Header Len, known at the end
	wcursor_u8(&b->w, message->type);
	wcursor_u8(&b->w, 0);
	wcursor_u16(&b->w, 0); // checksum
	put_message(b, message);
}

void mh_build_refresh_advice(struct mh_build *b, uint16_t interval_4s)
{
	start_option(b, MH_OPT_REFRESH_ADVICE, 2);
	wcursor_u16(&b->w, interval_4s);
}

void mh_build_alt_coa(struct mh_build *b, const struct ip6 *coa)
{
	start_option(b, MH_OPT_ALT_COA, sizeof(*coa));
	wcursor_bytes(&b->w, coa, sizeof(*coa));
}

void mh_build_nonce_indices(struct mh_build *b, uint16_t home, uint16_t coa)
{
	start_option(b, MH_OPT_NONCE_INDICES, 4);
	wcursor_u16(&b->w, home);
	wcursor_u16(&b->w, coa);
}

void mh_build_mnp(struct mh_build *b, const struct ip6_prefix *prefix)
{
	if (prefix->len > 128)
		fail(b, -EINVAL);
	start_option(b, MH_OPT_MNP, 18);
	wcursor_u8(&b->w, 0);
	wcursor_u8(&b->w, prefix->len);
	wcursor_bytes(&b->w, &prefix->addr, sizeof(prefix->addr));
}

void mh_build_mn_id(struct mh_build *b, uint8_t subtype, const void *id, size_t len)
{
	start_option(b, MH_OPT_MN_ID, 1 + len);
	wcursor_u8(&b->w, subtype);
	wcursor_bytes(&b->w, id, len);
}

void mh_build_mesg_id(struct mh_build *b, uint64_t ntp)
{
	start_option(b, MH_OPT_MESG_ID, 8);
	wcursor_u64(&b->w, ntp);
}

void mh_build_service(struct mh_build *b, const void *id, size_t len)
{
	if (len == 0)
		fail(b, -EINVAL); // RFC 5149 section 3
	mh_build_raw(b, MH_OPT_SERVICE, id, len);
}

void mh_build_vendor(
	struct mh_build *b, uint32_t vendor, uint8_t subtype, const void *data, size_t len)
{
	start_option(b, MH_OPT_VENDOR, 5 + len);
	wcursor_u32(&b->w, vendor);
	wcursor_u8(&b->w, subtype);
	wcursor_bytes(&b->w, data, len);
}

void mh_build_bid(struct mh_build *b, uint16_t bid, uint8_t status, uint8_t flags, const void *coa,
	size_t coa_len)
{
	if (coa_len != 0 && coa_len != 4 && coa_len != 16)
		fail(b, -EINVAL);
	if (coa_len != 0 && !b->is_sealed)
		align(b,
			(struct mh_align){ 8, 2 }); // RFC 5648 section 4.3: 2n only without address
	start_option(b, MH_OPT_BID, 4 + coa_len);
	wcursor_u16(&b->w, bid);
	wcursor_u8(&b->w, status);
	wcursor_u8(&b->w, flags);
	wcursor_bytes(&b->w, coa, coa_len);
}

void mh_build_raw(struct mh_build *b, uint8_t type, const void *data, size_t len)
{
	if (type == MH_OPT_PAD1)
		fail(b, -EINVAL);
	start_option(b, type, len);
	wcursor_bytes(&b->w, data, len);
}

// Takes the authenticator's bytes at the end of the option that closes the message.
static uint8_t *seal(struct mh_build *b)
{
	uint8_t *data = wcursor_take(&b->w, MH_AUTH_LEN);

	set_header_len(b);
	b->is_sealed = true;
	if (b->error != 0)
		return NULL;
	memset(data, 0, MH_AUTH_LEN);
	return data;
}

uint8_t *mh_build_mn_ha(struct mh_build *b, uint32_t spi)
{
	// Type, length, subtype, SPI and authenticator are 19 bytes: 8n+5 fits 4n+1 and ends on 8n.
	if (!b->is_sealed)
		align(b, (struct mh_align){ 8, 5 });
	start_option(b, MH_OPT_AUTH, 5 + MH_AUTH_LEN);
	wcursor_u8(&b->w, MH_AUTH_MN_HA);
	wcursor_u32(&b->w, spi);
	return seal(b);
}

uint8_t *mh_build_authorization(struct mh_build *b)
{
	start_option(b, MH_OPT_AUTHORIZATION, MH_AUTH_LEN);
	return seal(b);
}

ssize_t mh_build_end(struct mh_build *b, const struct ip6 *src, const struct ip6 *dst)
{
	align(b, (struct mh_align){ 8, 0 });
	set_header_len(b);
	if (b->error != 0)
		return b->error;
	size_t len = wcursor_len(&b->w);

	memset(b->w.start + MH_AT_CKSUM, 0, 2);
	uint16_t sum_be = cksum_ip6(src, dst, PROTO_MH, b->w.start, len);

	memcpy(b->w.start + MH_AT_CKSUM, &sum_be, sizeof(sum_be));
	return (ssize_t)len;
}
