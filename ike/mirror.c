// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "ike/mirror.h"

#include <errno.h>
#include <linux/xfrm.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "ike/feed.h"
#include "ike/xfrm_table.h"

enum {
	EVENTS_BUFFER = 8 << 20, // bytes; a burst of rekeying
	SETTLE_MS = 20, // policies set in several messages are read once
	SETTLE_MAX_MS = 1000,
	RETRY_MS = 100, // control holds back what stood before until all is told
	DUMP_SIZE = 32768, // bytes, what the kernel fills at most
};

struct mirror {
	struct mnl_socket *events, *dumps;
	struct xfrm_table *table;
	struct feed feed;
	int signals;
	unsigned int dump_number;
	bool wants_policies, wants_sas; // a dump of
	uint64_t wanted_ns; // since when one of these
};

static void on_changed(
	void *ctx, const struct ip6 *home, const struct ip6 *agent, const struct associations *all)
{
	struct mirror *mirror = ctx;

	feed_send(&mirror->feed, LEARNED_MOBILE, home, agent, all);
}

// Says which SA or policy has no place here. RFC 4301 is wider than what a home agent needs.
static void report(const struct nlmsghdr *nlh, int error, const char *reason)
{
	if (error == -EOPNOTSUPP)
		log_info("xfrm_ignored what=%s reason=\"%s\"",
			nlh->nlmsg_type == XFRM_MSG_NEWPOLICY ? "policy" : "sa", reason);
	else if (error != 0)
		log_warn("xfrm_failed type=%u error=\"%s\"", nlh->nlmsg_type, strerror(-error));
}

static void take_sa(struct mirror *mirror, const struct nlmsghdr *nlh)
{
	struct xfrm_sa sa;
	const char *reason;
	int error = xfrm_msg_sa(nlh, &sa, &reason);

	if (error == 0)
		error = xfrm_table_set_sa(mirror->table, &sa);
	report(nlh, error, reason);
	explicit_bzero(&sa, sizeof(sa));
}

static void take_policy(struct mirror *mirror, const struct nlmsghdr *nlh)
{
	struct xfrm_policy policy;
	const char *reason;
	int error = xfrm_msg_policy(nlh, &policy, &reason);

	if (error == 0)
		error = xfrm_table_add_policy(mirror->table, &policy);
	report(nlh, error, reason);
}

static int on_dump(const struct nlmsghdr *nlh, void *ctx)
{
	if (nlh->nlmsg_type == XFRM_MSG_NEWSA)
		take_sa(ctx, nlh);
	else if (nlh->nlmsg_type == XFRM_MSG_NEWPOLICY)
		take_policy(ctx, nlh);
	return MNL_CB_OK;
}

static void end_sa(struct mirror *mirror, const struct nlmsghdr *nlh)
{
	struct xfrm_sa_id id;
	bool is_gone;
	int error = xfrm_msg_sa_end(nlh, &id, &is_gone);

	if (error != -EOPNOTSUPP)
		report(nlh, error, "");
	if (error == 0 && is_gone)
		xfrm_table_delete_sa(mirror->table, &id);
}

static int on_event(const struct nlmsghdr *nlh, void *ctx)
{
	struct mirror *mirror = ctx;

	switch (nlh->nlmsg_type) {
	case XFRM_MSG_NEWSA:
	case XFRM_MSG_UPDSA:
		take_sa(mirror, nlh);
		break;
	case XFRM_MSG_DELSA:
	case XFRM_MSG_EXPIRE:
		end_sa(mirror, nlh);
		break;
	case XFRM_MSG_FLUSHSA:
		mirror->wants_sas = true;
		break;
	case XFRM_MSG_MIGRATE: // the kernel makes other SAs and templates of it without saying which
		mirror->wants_sas = mirror->wants_policies = true;
		break;
	default: // of a policy
		mirror->wants_policies = true;
	}
	return MNL_CB_OK;
}

// Asks the kernel for everything of a type.
static int dump(struct mirror *mirror, uint16_t type)
{
	char buf[DUMP_SIZE];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	unsigned int port = mnl_socket_get_portid(mirror->dumps);
	ssize_t n;
	int more = MNL_CB_OK, error;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = ++mirror->dump_number;
	if (mnl_socket_sendto(mirror->dumps, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	while (more == MNL_CB_OK) {
		n = mnl_socket_recvfrom(mirror->dumps, buf, sizeof(buf));
		more = n < 0 ? MNL_CB_ERROR
			     : mnl_cb_run(
				       buf, (size_t)n, mirror->dump_number, port, on_dump, mirror);
	}
	error = more < 0 ? -errno : 0;
	explicit_bzero(buf, sizeof(buf));
	return error;
}

// Reads what is wanted as a whole. A dump that changes interrupted is not whole: it begins again, and nothing
// is gone before.
static int resync(struct mirror *mirror)
{
	int error = 0;

	if (mirror->wants_sas) {
		xfrm_table_sas_begin(mirror->table);
		error = dump(mirror, XFRM_MSG_GETSA);
		mirror->wants_sas = error == -EINTR;
		if (error == 0)
			xfrm_table_sas_end(mirror->table);
	}
	if (error == 0 && mirror->wants_policies) {
		xfrm_table_policies_begin(mirror->table);
		error = dump(mirror, XFRM_MSG_GETPOLICY);
		mirror->wants_policies = error == -EINTR;
		if (error == 0)
			xfrm_table_policies_end(mirror->table);
	}
	if (error != 0 && error != -EINTR) {
		log_err("xfrm_dump_failed error=\"%s\"", strerror(-error));
		return error;
	}
	return 0;
}

static int take_events(struct mirror *mirror)
{
	char buf[DUMP_SIZE];
	ssize_t n = mnl_socket_recvfrom(mirror->events, buf, sizeof(buf));

	if (n < 0 && errno == ENOBUFS) {
		log_warn("xfrm_overrun");
		mirror->wants_sas = mirror->wants_policies = true;
		return 0;
	}
	if (n < 0 || mnl_cb_run(buf, (size_t)n, 0, 0, on_event, mirror) < 0) {
		log_err("xfrm_events_failed error=\"%s\"", strerror(errno));
		return -errno;
	}
	explicit_bzero(buf, (size_t)n);
	return 0;
}

static void tell(struct mirror *mirror)
{
	struct xfrm_table_counts counts;

	if (feed_connect(&mirror->feed)) {
		feed_send(&mirror->feed, LEARNED_BEGIN, NULL, NULL, NULL);
		xfrm_table_tell_all(mirror->table);
		feed_send(&mirror->feed, LEARNED_END, NULL, NULL, NULL);
		counts = xfrm_table_counts(mirror->table);
		log_info("told_all sas=%u policies=%u mobiles=%u", counts.n_sas, counts.n_policies,
			counts.n_mobiles);
	} else {
		xfrm_table_tell(mirror->table);
	}
}

// True when a dump is due: the kernel is silent, or has not been for too long.
static bool is_settled(struct mirror *mirror, bool is_silent)
{
	uint64_t now = clock_mono_ns();

	if (!mirror->wants_sas && !mirror->wants_policies) {
		mirror->wanted_ns = 0;
		return false;
	}
	if (mirror->wanted_ns == 0)
		mirror->wanted_ns = now;
	return is_silent || now - mirror->wanted_ns > SETTLE_MAX_MS * 1000000ull;
}

int mirror_run(struct mirror *mirror)
{
	int error = 0;

	mirror->wants_sas = mirror->wants_policies = true;
	while (error == 0) {
		struct pollfd fds[] = {
			{ .fd = mnl_socket_get_fd(mirror->events), .events = POLLIN },
			{ .fd = mirror->signals, .events = POLLIN },
			{ .fd = mirror->feed.fd, .events = POLLIN }, // says only that it is closed
		};
		bool is_open = mirror->wants_sas || mirror->wants_policies;
		int timeout_ms = is_open ? SETTLE_MS : mirror->feed.fd < 0 ? RETRY_MS : -1;
		int n = poll(fds, 3, timeout_ms);

		if (n < 0)
			return -errno;
		if (fds[1].revents != 0)
			break;
		if (fds[2].revents != 0)
			feed_close(&mirror->feed);
		if (fds[0].revents != 0)
			error = take_events(mirror);
		if (error == 0 && is_settled(mirror, fds[0].revents == 0))
			error = resync(mirror);
		if (error == 0 && !mirror->wants_sas && !mirror->wants_policies)
			tell(mirror);
	}
	return error;
}

static struct mnl_socket *open_events(void)
{
	static const int groups[] = { XFRMNLGRP_SA, XFRMNLGRP_POLICY, XFRMNLGRP_EXPIRE,
		XFRMNLGRP_MIGRATE };
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_XFRM, SOCK_CLOEXEC);
	int size = EVENTS_BUFFER;

	if (socket == NULL)
		return NULL;
	if (setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVBUFFORCE, &size,
		    sizeof(size)) != 0 ||
		mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0)
		goto fail;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		int group = groups[i];

		if (mnl_socket_setsockopt(socket, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) <
			0)
			goto fail;
	}
	return socket;
fail:
	mnl_socket_close(socket);
	return NULL;
}

struct mirror *mirror_new(const char *run_dir)
{
	struct mirror *mirror = calloc(1, sizeof(*mirror));
	sigset_t ends;

	if (mirror == NULL)
		return NULL;
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	mirror->feed.fd = -1;
	mirror->signals = signalfd(-1, &ends, SFD_CLOEXEC);
	mirror->table = xfrm_table_new(on_changed, mirror);
	mirror->events = open_events();
	mirror->dumps = mnl_socket_open2(NETLINK_XFRM, SOCK_CLOEXEC);
	if (mirror->table != NULL && mirror->events != NULL && mirror->dumps != NULL &&
		mirror->signals >= 0 && sigprocmask(SIG_BLOCK, &ends, NULL) == 0 &&
		mnl_socket_bind(mirror->dumps, 0, MNL_SOCKET_AUTOPID) == 0) {
		errno = -feed_init(&mirror->feed, run_dir);
		if (errno == 0)
			return mirror;
	}
	log_err("start_failed what=\"XFRM sockets\" error=\"%s\"", strerror(errno));
	mirror_free(mirror);
	return NULL;
}

void mirror_free(struct mirror *mirror)
{
	if (mirror == NULL)
		return;
	feed_close(&mirror->feed);
	xfrm_table_free(mirror->table);
	if (mirror->events != NULL)
		mnl_socket_close(mirror->events);
	if (mirror->dumps != NULL)
		mnl_socket_close(mirror->dumps);
	if (mirror->signals >= 0)
		close(mirror->signals);
	free(mirror);
}
