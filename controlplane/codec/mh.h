// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The Mobility Header's messages and options as structs (RFC 6275 sections 6.1 and 6.2, and the
// options of RFC 3963, 4283, 4285, 5094, 5149, 5648). mh_parse.h reads them, mh_build.h writes them.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/base/addr.h"

enum mh_type {
	MH_BRR = 0, // Binding Refresh Request
	MH_HOTI = 1,
	MH_COTI = 2,
	MH_HOT = 3,
	MH_COT = 4,
	MH_BU = 5,
	MH_BA = 6,
	MH_BE = 7,
	MH_N_TYPES, // types that this codec knows
};

enum mh_bu_flag {
	MH_BU_A = 0x8000, // acknowledge
	MH_BU_H = 0x4000, // home registration
	MH_BU_L = 0x2000, // link-local address compatibility
	MH_BU_K = 0x1000, // key management mobility capability
	MH_BU_R = 0x0400, // mobile router
	MH_BU_P = 0x0200, // proxy registration
};

enum mh_ba_flag { MH_BA_K = 0x80, MH_BA_R = 0x40, MH_BA_P = 0x20 };

// Binding Acknowledgement status, below 128 accepted. RFC 6275 section 6.1.8 and the RFC named.
enum mh_status {
	MH_STATUS_ACCEPTED = 0,
	MH_STATUS_PREFIX_DISCOVERY = 1, // accepted, prefix discovery necessary
	MH_STATUS_UNSPECIFIED = 128,
	MH_STATUS_PROHIBITED = 129,
	MH_STATUS_RESOURCES = 130,
	MH_STATUS_NO_HOME_AGENT = 131, // home registration not supported
	MH_STATUS_NOT_HOME_SUBNET = 132,
	MH_STATUS_NOT_AGENT = 133, // not home agent for this mobile node
	MH_STATUS_DAD_FAILED = 134,
	MH_STATUS_SEQUENCE = 135,
	MH_STATUS_TYPE_CHANGE = 139,
	MH_STATUS_NO_ROUTER = 140, // mobile router operation not permitted, RFC 3963
	MH_STATUS_ID_MISMATCH = 144, // RFC 4285
	MH_STATUS_MESG_ID_REQUIRED = 145, // RFC 4285
	MH_STATUS_AUTH_FAIL = 146, // RFC 4285
	MH_STATUS_NO_PROXY = 152, // proxy registration not enabled, RFC 5213
	MH_STATUS_INVALID_COA = 174,
};

// Text of a status, for logs and people; "unknown" for numbers without a name here.
const char *mh_status_name(uint8_t status);

enum mh_be_status { MH_BE_UNKNOWN_BINDING = 1, MH_BE_UNKNOWN_TYPE = 2 };

enum mh_option_type {
	MH_OPT_PAD1 = 0,
	MH_OPT_PADN = 1,
	MH_OPT_REFRESH_ADVICE = 2,
	MH_OPT_ALT_COA = 3,
	MH_OPT_NONCE_INDICES = 4,
	MH_OPT_AUTHORIZATION = 5, // Binding Authorization Data
	MH_OPT_MNP = 6, // Mobile Network Prefix, RFC 3963
	MH_OPT_MN_ID = 8, // RFC 4283
	MH_OPT_AUTH = 9, // RFC 4285
	MH_OPT_MESG_ID = 10, // RFC 4285
	MH_OPT_VENDOR = 19, // RFC 5094
	MH_OPT_SERVICE = 20, // RFC 5149
	MH_OPT_BID = 35, // RFC 5648
};

enum mh_mn_id_subtype {
	MH_MN_ID_NAI = 1, // RFC 4283; the others RFC 8371
	MH_MN_ID_IPV6 = 2,
	MH_MN_ID_IMSI = 3,
	MH_MN_ID_P_TMSI = 4,
	MH_MN_ID_EUI48 = 5,
	MH_MN_ID_EUI64 = 6,
	MH_MN_ID_GUTI = 7,
	MH_MN_ID_DUID = 8,
};

enum mh_auth_subtype { MH_AUTH_MN_HA = 1, MH_AUTH_MN_AAA = 2 };

enum {
	MH_MAX_LEN = 256 * 8, // longest Mobility Header
	MH_MAX_OPTIONS = 24, // of one message, padding not counted; more are refused
	MH_MAX_MNPS = 8,
	MH_MAX_BIDS = 8,
	MH_MAX_VENDORS = 4,
	MH_AUTH_LEN = 12, // of the authenticators in use: 96 bits
};

// A variable-length piece of a message; borrows its bytes.
struct mh_bytes {
	const uint8_t *p;
	uint8_t len;
};

// One option as it stands in the message (data without type and length), in message order.
struct mh_option {
	uint8_t type;
	uint16_t at; // offset of the type octet from the start of the Mobility Header
	struct mh_bytes data;
};

struct mh_mn_id {
	uint8_t subtype; // enum mh_mn_id_subtype
	struct mh_bytes id;
};

struct mh_auth {
	uint32_t spi;
	uint16_t data_at; // offset of the authentication data from the start of the Mobility Header
	struct mh_bytes data;
};

struct mh_vendor {
	uint32_t vendor; // private enterprise number
	uint8_t subtype;
	struct mh_bytes data;
};

struct mh_bid {
	uint16_t bid;
	uint8_t status;
	uint8_t flags; // H 0x80 (simultaneous home and foreign), then 7 bits of priority
	struct mh_bytes coa; // 0, 4 or 16 bytes
};

// The options of one message. An option that the codec knows has its own field, guarded by has_;
// every option but padding is also listed in all[], so that unknown ones are there too.
struct mh_options {
	uint8_t n_all;
	uint8_t n_mnps, n_bids, n_vendors;
	bool has_refresh_advice, has_alt_coa, has_nonce_indices, has_authorization;
	bool has_mn_id, has_mn_ha, has_mn_aaa, has_mesg_id, has_service;
	uint16_t refresh_advice_4s;
	uint16_t home_nonce_index, coa_nonce_index;
	struct ip6 alt_coa;
	struct mh_auth authorization; // Binding Authorization Data; spi 0
	struct ip6_prefix mnps[MH_MAX_MNPS];
	struct mh_mn_id mn_id;
	struct mh_auth mn_ha, mn_aaa; // RFC 4285 by subtype
	uint64_t mesg_id; // NTP format
	struct mh_bytes service;
	struct mh_vendor vendors[MH_MAX_VENDORS];
	struct mh_bid bids[MH_MAX_BIDS];
	struct mh_option all[MH_MAX_OPTIONS];
};

struct mh_bu {
	uint16_t sequence;
	uint16_t flags; // enum mh_bu_flag, bits of other RFCs as they came
	uint16_t lifetime_4s;
};

struct mh_ba {
	uint8_t status; // enum mh_status
	uint8_t flags; // enum mh_ba_flag
	uint16_t sequence;
	uint16_t lifetime_4s;
};

struct mh_be {
	uint8_t status; // enum mh_be_status
	struct ip6 home;
};

// Home and Care-of Test Init carry the cookie only, the Tests all three.
struct mh_test {
	uint16_t nonce_index;
	uint64_t cookie;
	uint64_t token;
};

// The fixed part of any message; type says which member counts (none for a BRR).
struct mh_message {
	uint8_t type; // enum mh_type
	union {
		struct mh_bu bu;
		struct mh_ba ba;
		struct mh_be be;
		struct mh_test test;
	};
};
