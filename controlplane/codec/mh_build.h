// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Writing a Mobility Header: mh_build_start, then the options, then mh_build_end. Every option
// puts the padding that its alignment needs in front of itself. An error (no room, value out of
// range) sticks and comes out of mh_build_end, so callers check once.
//
//   struct mh_build b;
//   mh_build_start(&b, buf, size, &message);
//   mh_build_mn_id(&b, MH_MN_ID_NAI, nai, nai_len);
//   uint8_t *authenticator = mh_build_mn_ha(&b, spi);
//   if (authenticator != NULL)
//           auth_sign(auth, key, key_len, &coa, &home, buf, authenticator - buf, authenticator);
//   ssize_t len = mh_build_end(&b, &src, &dst);
#pragma once

#include <sys/types.h>

#include "controlplane/codec/mh.h"
#include "dataplane/base/cursor.h"

// A message in the making. Borrows the buffer.
struct mh_build {
	struct wcursor w;
	int error; // 0 or the first negative errno
	bool is_sealed; // an option that must be the last one was put
};

// Writes the fixed part. The buffer starts 8-aligned in the packet that it will stand in.
void mh_build_start(struct mh_build *b, void *buf, size_t size, const struct mh_message *message);

void mh_build_refresh_advice(struct mh_build *b, uint16_t interval_4s);
void mh_build_alt_coa(struct mh_build *b, const struct ip6 *coa);
void mh_build_nonce_indices(struct mh_build *b, uint16_t home, uint16_t coa);
void mh_build_mnp(struct mh_build *b, const struct ip6_prefix *prefix);
void mh_build_mn_id(struct mh_build *b, uint8_t subtype, const void *id, size_t len);
void mh_build_mesg_id(struct mh_build *b, uint64_t ntp);
void mh_build_service(struct mh_build *b, const void *id, size_t len);
void mh_build_vendor(
	struct mh_build *b, uint32_t vendor, uint8_t subtype, const void *data, size_t len);
// coa: 0, 4 or 16 bytes.
void mh_build_bid(struct mh_build *b, uint16_t bid, uint8_t status, uint8_t flags, const void *coa,
	size_t coa_len);
// Any other option, without alignment.
void mh_build_raw(struct mh_build *b, uint8_t type, const void *data, size_t len);

// The options that come last: placed so that they end the message on a multiple of 8, with the
// Header Len already right, since authenticators cover it.
// Returns: where the MH_AUTH_LEN zeroed bytes of the authenticator are to be filled in, or NULL
// (error). RFC 4285 section 5.1; RFC 6275 section 6.2.7.
uint8_t *mh_build_mn_ha(struct mh_build *b, uint32_t spi);
uint8_t *mh_build_authorization(struct mh_build *b);

// Pads to a multiple of 8, sets Header Len and the checksum. src and dst are the addresses that the
// upper layer sees (home address instead of care-of address, RFC 6275 section 6.1.1).
// Returns: length of the Mobility Header, or -EMSGSIZE (no room), -EINVAL (value out of range, option
// behind the last one).
ssize_t mh_build_end(struct mh_build *b, const struct ip6 *src, const struct ip6 *dst);
