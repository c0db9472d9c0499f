// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The MN-HA mobility message authentication option: First(96, HMAC_SHA1(key, care-of address | home
// address | Mobility Header up to and with the SPI, checksum as zero)). RFC 4285 section 5.1.
//
// The care-of address is the one that the Binding Update asks for (Alternate Care-of Address, else the
// wire source; the home address itself when it comes from home), in the Update and in the
// Acknowledgement that answers it.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "dataplane/base/addr.h"
#include "controlplane/codec/mh.h"

// One reused MAC context; fetching an algorithm costs more than the MAC. Thread: one at a time.
struct auth;

// What is known of a message's authentication.
enum auth_result {
	AUTH_NOT_USED, // the network asks for none
	AUTH_OK,
	AUTH_MISSING, // no MN-HA option where one is needed
	AUTH_NO_SA, // no key for this mobile node and SPI
	AUTH_FAILED, // wrong authenticator
};

// Returns: an owned context (auth_free), or NULL with errno ENOSYS (no HMAC-SHA1 here) or ENOMEM.
struct auth *auth_new(void);
void auth_free(struct auth *auth);

// Computes the authenticator of a message.
//
// Shape:    mh is the Mobility Header; data_at the offset of the authentication data in it, which
//           ends what is covered (from 8 up); out MH_AUTH_LEN bytes, may lie inside mh.
// Returns:  0, or -EINVAL (key empty, data_at below 8 or beyond MH_MAX_LEN), -EIO (library).
// Test:     tests/unit/controlplane/auth_test.c
int auth_sign(struct auth *auth, const void *key, size_t key_len, const struct ip6 *coa,
	const struct ip6 *home, const uint8_t *mh, size_t data_at, uint8_t out[MH_AUTH_LEN]);

// Compares the MN-HA option of a parsed message in constant time.
// Returns: AUTH_OK, AUTH_MISSING (no option) or AUTH_FAILED.
enum auth_result auth_verify(struct auth *auth, const void *key, size_t key_len,
	const struct ip6 *coa, const struct ip6 *home, const uint8_t *mh,
	const struct mh_options *opt);
