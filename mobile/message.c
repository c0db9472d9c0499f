// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "mobile/message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/codec/mh_build.h"
#include "dataplane/base/wire.h"

enum { HOP_LIMIT = 64 };

union address {
	struct sockaddr sa;
	struct sockaddr_ll ll;
};

ssize_t message_build_update(void *buf, size_t size, const struct message_update *update,
	const struct message_identity *identity, struct auth *auth)
{
	struct ip6chain_head head = {
		.src = update->care_of,
		.dst = update->home_agent,
		.home = &update->home,
		.hop_limit = HOP_LIMIT,
	};
	struct mh_message message = {
		.type = MH_BU,
		.bu = { .sequence = update->sequence,
			.flags = MH_BU_A | MH_BU_H,
			.lifetime_4s = (uint16_t)((update->lifetime_s + 3) / 4) },
	};
	size_t head_len = ip6chain_head_len(&head);
	uint8_t *mh = (uint8_t *)buf + head_len;
	struct mh_build b;
	ssize_t mh_len;

	if (size < head_len)
		return -EMSGSIZE;
	mh_build_start(&b, mh, size - head_len, &message);
	mh_build_alt_coa(&b, &update->care_of);
	if (identity->mn_id[0] != '\0')
		mh_build_mn_id(&b, MH_MN_ID_NAI, identity->mn_id, strlen(identity->mn_id));
	if (identity->key_len > 0) {
		uint8_t *authenticator;
		int error;

		mh_build_mesg_id(&b, update->mesg_id);
		authenticator = mh_build_mn_ha(&b, identity->spi);
		if (authenticator != NULL) {
			error = auth_sign(auth, identity->key, identity->key_len, &update->care_of,
				&update->home, mh, (size_t)(authenticator - mh), authenticator);
			if (error < 0)
				return error;
		}
	}
	mh_len = mh_build_end(&b, &update->home, &update->home_agent);
	if (mh_len < 0)
		return mh_len;
	return ip6chain_write(buf, size, &head, PROTO_MH, (size_t)mh_len);
}

int message_open(const struct ip6 *home_agent)
{
	struct rcursor c = rcursor_make(home_agent, sizeof(*home_agent));
	uint32_t agent[4] = { rcursor_u32(&c), rcursor_u32(&c), rcursor_u32(&c), rcursor_u32(&c) };
	// Source = the home agent, and the first header one that can lead to a Mobility Header.
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 8),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, agent[0], 0, 10),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, agent[1], 0, 8),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 16),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, agent[2], 0, 6),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 20),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, agent[3], 0, 4),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROTO_ROUTING, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROTO_DSTOPTS, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROTO_MH, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, MESSAGE_PACKET_MAX),
	};
	struct sock_fprog program = { .len = sizeof(code) / sizeof(code[0]), .filter = code };
	union address sa = { .ll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IPV6) } };
	// Protocol 0 until the filter stands, so that nothing else is queued.
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ||
		bind(fd, &sa.sa, sizeof(sa)) < 0) {
		error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

ssize_t message_recv(int fd, void *buf, size_t size)
{
	for (;;) {
		union address sa;
		socklen_t len = sizeof(sa);
		ssize_t n = recvfrom(fd, buf, size, 0, &sa.sa, &len);

		if (n < 0)
			return -errno;
		if (sa.ll.sll_pkttype == PACKET_HOST)
			return n;
	}
}

enum message_verdict message_parse(
	const void *packet, size_t len, const struct ip6 *home_agent, struct message *out)
{
	if (ip6chain_parse(packet, len, &out->chain) != IP6CHAIN_OK)
		return MESSAGE_MALFORMED;
	if (!ip6_eq(&out->chain.src, home_agent))
		return MESSAGE_STRANGER;
	if (out->chain.proto != PROTO_MH || mh_parse(&out->chain, &out->mh) != MH_OK)
		return MESSAGE_MALFORMED;
	return MESSAGE_OK;
}

enum auth_result message_verify(const struct message *message,
	const struct message_identity *identity, struct auth *auth, const struct ip6 *care_of,
	const struct ip6 *home)
{
	const struct mh_options *opt = &message->mh.opt;

	if (identity->key_len == 0)
		return AUTH_OK;
	if (opt->has_mn_ha && opt->mn_ha.spi != identity->spi)
		return AUTH_NO_SA;
	return auth_verify(
		auth, identity->key, identity->key_len, care_of, home, message->mh.data, opt);
}
