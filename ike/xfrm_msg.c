// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "ike/xfrm_msg.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <string.h>

#include <libmnl/libmnl.h>

#include "dataplane/base/wire.h"

// The kernel's name of an algorithm and ours.
struct algorithm {
	const char *name;
	uint16_t check_bits; // of the check value, 0 = not asked
	uint8_t number;
};

static const struct algorithm aeads[] = {
	{ "rfc4106(gcm(aes))", 128, API_SA_AES_GCM_16 },
	{ "rfc7539esp(chacha20,poly1305)", 128, API_SA_CHACHA20_POLY1305 },
};

static const struct algorithm ciphers[] = {
	{ "cbc(aes)", 0, API_SA_AES_CBC },
	{ "ecb(cipher_null)", 0, API_SA_NULL },
	{ "cipher_null", 0, API_SA_NULL },
#ifdef UNWIRED_LEGACY_CRYPTO
	{ "cbc(des3_ede)", 0, API_SA_3DES_CBC },
#endif
};

static const struct algorithm digests[] = {
	{ "hmac(sha1)", 96, API_SA_HMAC_SHA1_96 },
	{ "hmac(sha256)", 128, API_SA_HMAC_SHA256_128 },
	{ "hmac(sha384)", 192, API_SA_HMAC_SHA384_192 },
	{ "hmac(sha512)", 256, API_SA_HMAC_SHA512_256 },
};

#define FIND(table, name, bits) find(table, sizeof(table) / sizeof((table)[0]), name, bits)

// Returns: the number of ours, or -1.
static int find(const struct algorithm *table, size_t n, const char *name, unsigned int bits)
{
	for (size_t i = 0; i < n; i++) {
		if (strncmp(table[i].name, name, sizeof(((struct xfrm_algo *)0)->alg_name)) == 0 &&
			(bits == 0 || table[i].check_bits == 0 || bits == table[i].check_bits))
			return table[i].number;
	}
	return -1;
}

static struct ip6 address(const xfrm_address_t *from)
{
	struct ip6 out;

	memcpy(&out, from, sizeof(out));
	return out;
}

// A range of ports that is one or all; XFRM keeps the types of Mobility Headers and ICMPv6 there.
static int read_traffic(const struct xfrm_selector *sel, struct xfrm_traffic *out)
{
	*out = (struct xfrm_traffic){ .proto = sel->proto };
	if (sel->family != 0 && sel->family != AF_INET6)
		return -EOPNOTSUPP;
	if ((sel->prefixlen_s != 0 && sel->prefixlen_s != 128) ||
		(sel->prefixlen_d != 0 && sel->prefixlen_d != 128))
		return -EOPNOTSUPP;
	if (sel->prefixlen_s != 0)
		out->src = address(&sel->saddr);
	if (sel->prefixlen_d != 0)
		out->dst = address(&sel->daddr);
	if (sel->sport_mask != 0) {
		out->has_type = true;
		out->type = (uint8_t)ntohs(sel->sport);
	}
	return 0;
}

// Copies a key of so many bits that stands at the end of an attribute. Returns: its bytes or -EINVAL.
static int read_key(
	const struct nlattr *attr, size_t head, unsigned int bits, uint8_t key[ASSOCIATION_KEY_MAX])
{
	unsigned int len = bits / 8;

	if (bits % 8 != 0 || len > ASSOCIATION_KEY_MAX ||
		mnl_attr_get_payload_len(attr) < head + len)
		return -EINVAL;
	memcpy(key, (const uint8_t *)mnl_attr_get_payload(attr) + head, len);
	return (int)len;
}

static int read_aead(const struct nlattr *attr, struct association *a, const char **reason)
{
	const struct xfrm_algo_aead *aead = mnl_attr_get_payload(attr);
	int number, len;

	if (mnl_attr_get_payload_len(attr) < sizeof(*aead))
		return -EINVAL;
	number = FIND(aeads, aead->alg_name, aead->alg_icv_len);
	if (number < 0) {
		*reason = "aead";
		return -EOPNOTSUPP;
	}
	len = read_key(attr, sizeof(*aead), aead->alg_key_len, a->enc_key);
	if (len < 0)
		return len;
	a->encryption = (uint8_t)number;
	a->authentication = API_SA_AEAD;
	a->enc_key_len = (uint8_t)len;
	return 0;
}

static int read_cipher(const struct nlattr *attr, struct association *a, const char **reason)
{
	const struct xfrm_algo *cipher = mnl_attr_get_payload(attr);
	int number, len;

	if (mnl_attr_get_payload_len(attr) < sizeof(*cipher))
		return -EINVAL;
	number = FIND(ciphers, cipher->alg_name, 0);
	if (number < 0) {
		*reason = "encryption";
		return -EOPNOTSUPP;
	}
	len = read_key(attr, sizeof(*cipher), cipher->alg_key_len, a->enc_key);
	if (len < 0)
		return len;
	a->encryption = (uint8_t)number;
	a->enc_key_len = (uint8_t)len;
	return 0;
}

// XFRMA_ALG_AUTH_TRUNC, which stands beside an XFRMA_ALG_AUTH without the length of the check value.
static int read_digest(const struct nlattr *attr, struct association *a, const char **reason)
{
	const struct xfrm_algo_auth *digest = mnl_attr_get_payload(attr);
	int number, len;

	if (mnl_attr_get_payload_len(attr) < sizeof(*digest))
		return -EINVAL;
	number = FIND(digests, digest->alg_name, digest->alg_trunc_len);
	if (number < 0) {
		*reason = "authentication";
		return -EOPNOTSUPP;
	}
	len = read_key(attr, sizeof(*digest), digest->alg_key_len, a->auth_key);
	if (len < 0)
		return len;
	a->authentication = (uint8_t)number;
	a->auth_key_len = (uint8_t)len;
	return 0;
}

// The window of an SA that has more than 32 packets, or extended numbers.
static int read_replay(const struct nlattr *attr, struct association *a)
{
	const struct xfrm_replay_state_esn *replay = mnl_attr_get_payload(attr);

	if (mnl_attr_get_payload_len(attr) < sizeof(*replay))
		return -EINVAL;
	if (replay->replay_window > 0)
		a->replay_window =
			(uint16_t)(replay->replay_window < API_SA_MAX_WINDOW ? replay->replay_window
									     : API_SA_MAX_WINDOW);
	return 0;
}

static int read_sa_attribute(const struct nlattr *attr, struct xfrm_sa *out, const char **reason)
{
	switch (mnl_attr_get_type(attr)) {
	case XFRMA_ALG_AEAD:
		return read_aead(attr, &out->a, reason);
	case XFRMA_ALG_CRYPT:
		return read_cipher(attr, &out->a, reason);
	case XFRMA_ALG_AUTH_TRUNC:
		return read_digest(attr, &out->a, reason);
	case XFRMA_REPLAY_ESN_VAL:
		return read_replay(attr, &out->a);
	case XFRMA_ENCAP:
		*reason = "UDP encapsulation";
		return -EOPNOTSUPP;
	default:
		return 0;
	}
}

static uint64_t limit(uint64_t value)
{
	return value == XFRM_INF ? 0 : value;
}

int xfrm_msg_sa(const struct nlmsghdr *nlh, struct xfrm_sa *out, const char **reason)
{
	const struct xfrm_usersa_info *info = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;
	int error;

	*out = (struct xfrm_sa){ 0 };
	*reason = "protocol or address family";
	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*info))
		return -EINVAL;
	if (info->id.proto != IPPROTO_ESP || info->family != AF_INET6 ||
		(info->mode != XFRM_MODE_TRANSPORT && info->mode != XFRM_MODE_TUNNEL))
		return -EOPNOTSUPP;
	error = read_traffic(&info->sel, &out->traffic);
	out->src = address(&info->saddr);
	out->dst = address(&info->id.daddr);
	out->reqid = info->reqid;
	out->is_tunnel = info->mode == XFRM_MODE_TUNNEL;
	out->added_s = info->curlft.add_time;
	out->a.spi = ntohl(info->id.spi);
	out->a.replay_window = info->replay_window;
	out->a.has_esn = (info->flags & XFRM_STATE_ESN) != 0;
	out->a.life_packets = limit(info->lft.hard_packet_limit);
	out->a.life_bytes = limit(info->lft.hard_byte_limit);
	mnl_attr_for_each (attr, nlh, sizeof(*info)) {
		if (error == 0)
			error = read_sa_attribute(attr, out, reason);
	}
	if (error != 0)
		return error;
	if (out->a.replay_window % 32 != 0)
		out->a.replay_window = (uint16_t)((out->a.replay_window / 32 + 1) * 32);
	if (out->a.encryption == 0 ||
		(out->a.authentication == API_SA_AEAD && !association_has_counter(&out->a))) {
		*reason = "encryption without authentication";
		return -EOPNOTSUPP;
	}
	if (out->a.spi < API_SPI_MIN || !association_has_sound_keys(&out->a)) {
		*reason = "SPI or size of a key";
		return -EOPNOTSUPP;
	}
	return 0;
}

int xfrm_msg_policy(const struct nlmsghdr *nlh, struct xfrm_policy *out, const char **reason)
{
	const struct xfrm_userpolicy_info *info = mnl_nlmsg_get_payload(nlh);
	const struct xfrm_user_tmpl *tmpl = NULL;
	const struct nlattr *attr;
	int error;

	*out = (struct xfrm_policy){ 0 };
	*reason = "no template of ESP over IPv6";
	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*info))
		return -EINVAL;
	mnl_attr_for_each (attr, nlh, sizeof(*info)) {
		if (mnl_attr_get_type(attr) == XFRMA_TMPL &&
			mnl_attr_get_payload_len(attr) >= sizeof(*tmpl))
			tmpl = mnl_attr_get_payload(attr);
	}
	if (tmpl == NULL || tmpl->id.proto != IPPROTO_ESP || tmpl->family != AF_INET6 ||
		info->action != XFRM_POLICY_ALLOW ||
		(tmpl->mode != XFRM_MODE_TRANSPORT && tmpl->mode != XFRM_MODE_TUNNEL))
		return -EOPNOTSUPP;
	*reason = "direction or selector";
	if (info->dir != XFRM_POLICY_IN && info->dir != XFRM_POLICY_OUT)
		return -EOPNOTSUPP;
	error = read_traffic(&info->sel, &out->traffic);
	if (error != 0)
		return error;
	out->is_in = info->dir == XFRM_POLICY_IN;
	out->is_tunnel = tmpl->mode == XFRM_MODE_TUNNEL;
	out->reqid = tmpl->reqid;
	if (out->is_tunnel) {
		out->tunnel_src = address(&tmpl->saddr);
		out->tunnel_dst = address(&tmpl->id.daddr);
	}
	return 0;
}

int xfrm_msg_sa_end(const struct nlmsghdr *nlh, struct xfrm_sa_id *out, bool *is_gone)
{
	if (nlh->nlmsg_type == XFRM_MSG_EXPIRE) {
		const struct xfrm_user_expire *expire = mnl_nlmsg_get_payload(nlh);

		if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*expire))
			return -EINVAL;
		if (expire->state.id.proto != IPPROTO_ESP || expire->state.family != AF_INET6)
			return -EOPNOTSUPP;
		*is_gone = expire->hard != 0;
		out->dst = address(&expire->state.id.daddr);
		out->spi = ntohl(expire->state.id.spi);
	} else {
		const struct xfrm_usersa_id *id = mnl_nlmsg_get_payload(nlh);

		if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*id))
			return -EINVAL;
		if (id->proto != IPPROTO_ESP || id->family != AF_INET6)
			return -EOPNOTSUPP;
		*is_gone = true;
		out->dst = address(&id->daddr);
		out->spi = ntohl(id->spi);
	}
	return 0;
}
