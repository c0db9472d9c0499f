// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
#include "controlplane/codec/mh_options.h"

#include <stddef.h>

// Reads the data of one option into its field; false when the value is malformed.
typedef bool (*option_read)(struct mh_options *o, const struct mh_option *opt);

// What is known of an option type. A type that may come once names its has_ field.
struct option_row {
	uint8_t min_len, max_len; // of the data
	struct mh_align align;
	uint16_t once; // offset of the bool in struct mh_options, 0 = may repeat
	option_read read;
};

static struct rcursor data_cursor(const struct mh_option *opt)
{
	return rcursor_make(opt->data.p, opt->data.len);
}

// The bytes that are left of an option's data.
static struct mh_bytes data_rest(const struct rcursor *r)
{
	return (struct mh_bytes){ .p = r->p, .len = (uint8_t)rcursor_left(r) };
}

static bool read_refresh_advice(struct mh_options *o, const struct mh_option *opt)
{
	struct rcursor r = data_cursor(opt);

	o->refresh_advice_4s = rcursor_u16(&r);
	return r.ok;
}

static bool read_alt_coa(struct mh_options *o, const struct mh_option *opt)
{
	struct rcursor r = data_cursor(opt);

	rcursor_copy(&r, &o->alt_coa, sizeof(o->alt_coa));
	return r.ok;
}

static bool read_nonce_indices(struct mh_options *o, const struct mh_option *opt)
{
	struct rcursor r = data_cursor(opt);

	o->home_nonce_index = rcursor_u16(&r);
	o->coa_nonce_index = rcursor_u16(&r);
	return r.ok;
}

static bool read_authorization(struct mh_options *o, const struct mh_option *opt)
{
	o->authorization = (struct mh_auth){ .data_at = opt->at + 2, .data = opt->data };
	return true;
}

static bool read_mnp(struct mh_options *o, const struct mh_option *opt)
{
	struct rcursor r = data_cursor(opt);

	if (o->n_mnps == MH_MAX_MNPS)
		return false;
	struct ip6_prefix *mnp = &o->mnps[o->n_mnps++];

	rcursor_u8(&r); // reserved
	mnp->len = rcursor_u8(&r);
	rcursor_copy(&r, &mnp->addr, sizeof(mnp->addr));
	return r.ok && mnp->len <= 128;
}

static bool read_mn_id(struct mh_options *o, const struct mh_option *opt)
{
	struct rcursor r = data_cursor(opt);

	o->mn_id.subtype = rcursor_u8(&r);
	o->mn_id.id = data_rest(&r);
	return r.ok;
}

// Subtypes beyond MN-HA and MN-AAA are skipped like unknown options; that there is one of a subtype and
// MN-HA before MN-AAA is may_follow's. RFC 4285 section 5.
static bool read_auth(struct mh_options *o, const struct mh_option *opt)
{
	struct rcursor r = data_cursor(opt);
	uint8_t subtype = rcursor_u8(&r);
	struct mh_auth auth = { .spi = rcursor_u32(&r), .data_at = opt->at + 7 };

	auth.data = data_rest(&r);
	if (subtype == MH_AUTH_MN_HA) {
		o->has_mn_ha = true;
		o->mn_ha = auth;
	} else if (subtype == MH_AUTH_MN_AAA) {
		o->has_mn_aaa = true;
		o->mn_aaa = auth;
	}
	return r.ok;
}

static bool read_mesg_id(struct mh_options *o, const struct mh_option *opt)
{
	struct rcursor r = data_cursor(opt);

	o->mesg_id = rcursor_u64(&r);
	return r.ok;
}

static bool read_vendor(struct mh_options *o, const struct mh_option *opt)
{
	struct rcursor r = data_cursor(opt);

	if (o->n_vendors == MH_MAX_VENDORS)
		return false;
	struct mh_vendor *vendor = &o->vendors[o->n_vendors++];

	vendor->vendor = rcursor_u32(&r);
	vendor->subtype = rcursor_u8(&r);
	vendor->data = data_rest(&r);
	return r.ok;
}

static bool read_service(struct mh_options *o, const struct mh_option *opt)
{
	o->service = opt->data;
	return true;
}

static bool read_bid(struct mh_options *o, const struct mh_option *opt)
{
	struct rcursor r = data_cursor(opt);

	if (o->n_bids == MH_MAX_BIDS)
		return false;
	struct mh_bid *bid = &o->bids[o->n_bids++];

	bid->bid = rcursor_u16(&r);
	bid->status = rcursor_u8(&r);
	bid->flags = rcursor_u8(&r);
	bid->coa = data_rest(&r);
	return r.ok && (bid->coa.len == 0 || bid->coa.len == 4 || bid->coa.len == 16);
}

#define ONCE(field) offsetof(struct mh_options, field)

static const struct option_row rows[] = {
	[MH_OPT_REFRESH_ADVICE] = { 2, 2, { 2, 0 }, ONCE(has_refresh_advice), read_refresh_advice },
	[MH_OPT_ALT_COA] = { 16, 16, { 8, 6 }, ONCE(has_alt_coa), read_alt_coa },
	[MH_OPT_NONCE_INDICES] = { 4, 4, { 2, 0 }, ONCE(has_nonce_indices), read_nonce_indices },
	[MH_OPT_AUTHORIZATION] = { 1, 255, { 8, 2 }, ONCE(has_authorization), read_authorization },
	[MH_OPT_MNP] = { 18, 18, { 8, 4 }, 0, read_mnp },
	[MH_OPT_MN_ID] = { 1, 255, { 1, 0 }, ONCE(has_mn_id), read_mn_id },
	[MH_OPT_AUTH] = { 5, 255, { 4, 1 }, 0, read_auth },
	[MH_OPT_MESG_ID] = { 8, 8, { 8, 2 }, ONCE(has_mesg_id), read_mesg_id },
	[MH_OPT_VENDOR] = { 5, 255, { 4, 2 }, 0, read_vendor },
	[MH_OPT_SERVICE] = { 1, 255, { 1, 0 }, ONCE(has_service), read_service },
	[MH_OPT_BID] = { 4, 20, { 2, 0 }, 0, read_bid },
};

static const struct option_row *find_row(uint8_t type)
{
	if (type >= sizeof(rows) / sizeof(rows[0]) || rows[type].read == NULL)
		return NULL;
	return &rows[type];
}

struct mh_align mh_options_align(uint8_t type)
{
	const struct option_row *row = find_row(type);

	return row != NULL ? row->align : (struct mh_align){ .multiple = 1 };
}

// What must come last leaves no room for an option that no authenticator covers: behind MN-HA only
// MN-AAA may stand, behind MN-AAA and Binding Authorization Data nothing. RFC 4285 section 5.1,
// RFC 6275 section 6.2.7.
static bool may_follow(const struct mh_options *o, const struct mh_option *opt)
{
	if (o->has_authorization || o->has_mn_aaa)
		return false;
	if (!o->has_mn_ha)
		return true;
	return opt->type == MH_OPT_AUTH && opt->data.len > 0 && opt->data.p[0] == MH_AUTH_MN_AAA;
}

static bool take(struct mh_options *o, const struct mh_option *opt)
{
	const struct option_row *row = find_row(opt->type);

	if (o->n_all == MH_MAX_OPTIONS || !may_follow(o, opt))
		return false;
	o->all[o->n_all++] = *opt;
	if (row == NULL)
		return true; // unknown: skipped, RFC 6275 section 6.2.1
	if (opt->data.len < row->min_len || opt->data.len > row->max_len)
		return false;
	if (row->once != 0) {
		bool *has = (bool *)((char *)o + row->once);

		if (*has)
			return false;
		*has = true;
	}
	return row->read(o, opt);
}

bool mh_options_parse(struct rcursor r, uint16_t at, struct mh_options *out)
{
	const uint8_t *start = r.p;

	*out = (struct mh_options){ 0 };
	while (rcursor_left(&r) > 0) {
		struct mh_option opt = { .at = (uint16_t)(at + (r.p - start)) };

		opt.type = rcursor_u8(&r);
		if (opt.type == MH_OPT_PAD1) {
			if (out->has_authorization)
				return false; // must not have trailing padding
			continue;
		}
		opt.data.len = rcursor_u8(&r);
		opt.data.p = rcursor_bytes(&r, opt.data.len);
		if (!r.ok || (opt.type == MH_OPT_PADN && out->has_authorization))
			return false;
		if (opt.type != MH_OPT_PADN && !take(out, &opt))
			return false;
	}
	return true;
}
