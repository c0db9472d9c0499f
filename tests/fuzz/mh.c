// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Whole IPv6 packets into the Mobility Header's parser. The checksum is set right first, or it would
// stop nearly every input. What parses is written again and must parse to the same.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/codec/mh_build.h"
#include "controlplane/codec/mh_parse.h"
#include "dataplane/base/cksum.h"
#include "dataplane/base/wire.h"

enum { ROOM = 65536 + 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fix_checksum(const struct ip6chain *c, uint8_t *packet)
{
	uint8_t *mh = packet + c->payload_at;

	if (c->payload_len < 8)
		return;
	size_t len = ((size_t)mh[1] + 1) * 8;

	if (len > c->payload_len)
		return;
	memset(mh + 4, 0, 2);
	uint16_t sum_be =
		cksum_ip6(ip6chain_upper_src(c), ip6chain_upper_dst(c), PROTO_MH, mh, len);

	memcpy(mh + 4, &sum_be, sizeof(sum_be));
}

static void check_bytes(const struct mh *mh, const struct mh_bytes *bytes)
{
	if (bytes->len > 0 && (bytes->p < mh->data || bytes->p + bytes->len > mh->data + mh->len))
		abort();
}

// Options one by one, raw: authenticators too, which is why nothing is sealed here.
static void check_rewritten(const struct ip6chain *c, const struct mh *mh)
{
	static uint8_t packet[40 + 2 * MH_MAX_LEN];
	struct ip6chain_head head = { .src = c->src, .dst = c->dst, .hop_limit = 1 };
	struct ip6chain again_chain;
	struct mh_build b;
	struct mh again;

	mh_build_start(&b, packet + 40, MH_MAX_LEN, &mh->msg);
	for (size_t i = 0; i < mh->opt.n_all; i++)
		mh_build_raw(
			&b, mh->opt.all[i].type, mh->opt.all[i].data.p, mh->opt.all[i].data.len);
	ssize_t len = mh_build_end(&b, &head.src, &head.dst);

	if (len == -EMSGSIZE)
		return; // alignment can make it longer than a Mobility Header may be
	if (len < 0)
		abort();
	ssize_t packet_len = ip6chain_write(packet, sizeof(packet), &head, PROTO_MH, (size_t)len);

	if (ip6chain_parse(packet, (size_t)packet_len, &again_chain) != IP6CHAIN_OK)
		abort();
	enum mh_verdict verdict = mh_parse(&again_chain, &again);

	// Binding Authorization Data of an odd length needs the trailing padding that it must not have.
	if (verdict == MH_BAD_OPTION && mh->opt.has_authorization)
		return;
	if (verdict != MH_OK || again.opt.n_all != mh->opt.n_all)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ip6chain c;
	struct mh mh;
	uint8_t *packet;

	if (size > ROOM || ip6chain_parse(data, size, &c) != IP6CHAIN_OK)
		return 0;
	packet = malloc(size);
	if (packet == NULL)
		return 0;
	memcpy(packet, data, size);
	fix_checksum(&c, packet);
	c.packet = packet;
	enum mh_verdict verdict = mh_parse(&c, &mh);

	if ((verdict == MH_PAYLOAD_PROTO || verdict == MH_TOO_SHORT) &&
		(mh.pointer < c.payload_at || mh.pointer >= c.packet_len))
		abort();
	if (verdict == MH_OK) {
		for (size_t i = 0; i < mh.opt.n_all; i++)
			check_bytes(&mh, &mh.opt.all[i].data);
		check_bytes(&mh, &mh.opt.mn_ha.data);
		check_bytes(&mh, &mh.opt.mn_id.id);
		check_rewritten(&c, &mh);
	}
	free(packet);
	return 0;
}
