// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "ike/feed.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "dataplane/base/log.h"

int feed_init(struct feed *feed, const char *run_dir)
{
	int n = snprintf(feed->path, sizeof(feed->path), "%s/" LEARNED_SOCKET_NAME, run_dir);

	feed->fd = -1;
	return n < 0 || (size_t)n >= sizeof(feed->path) ? -ENAMETOOLONG : 0;
}

void feed_close(struct feed *feed)
{
	if (feed->fd >= 0)
		close(feed->fd);
	feed->fd = -1;
}

bool feed_connect(struct feed *feed)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct timeval wait = { .tv_sec = 1 };

	if (feed->fd >= 0)
		return false;
	memcpy(to.sun_path, feed->path, sizeof(to.sun_path));
	feed->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (feed->fd >= 0 &&
		setsockopt(feed->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) == 0 &&
		connect(feed->fd, (const void *)&to, sizeof(to)) == 0) {
		log_info("control_connected");
		return true;
	}
	feed_close(feed);
	return false;
}

void feed_send(struct feed *feed, enum learned_type type, const struct ip6 *home,
	const struct ip6 *agent, const struct associations *all)
{
	union {
		struct learned head;
		uint8_t bytes[LEARNED_MAX];
	} message = { .head = { .version = LEARNED_VERSION, .type = (uint16_t)type } };

	if (feed->fd < 0)
		return;
	if (type == LEARNED_MOBILE) {
		message.head.home = *home;
		message.head.agent = *agent;
		message.head.len =
			(uint32_t)association_pack(all, message.head.packed, ASSOCIATION_BYTES_MAX);
	}
	if (send(feed->fd, &message, sizeof(message.head) + message.head.len, MSG_NOSIGNAL) < 0) {
		log_warn("control_lost error=\"%s\"", strerror(errno));
		feed_close(feed);
	}
	explicit_bzero(&message, sizeof(message));
}
