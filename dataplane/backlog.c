// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/backlog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_MIN (1UL << 16)
#define ROOM_MAX (1UL << 28) // some two million routes

static uint8_t *data; // messages, each padded to NLMSG_ALIGNTO
static size_t used;
static size_t room;
static bool has_lost;

// Returns: 0 or -ENOBUFS.
static int save(const struct nlmsghdr *nlh, void *arg)
{
	size_t size = NLMSG_ALIGN(nlh->nlmsg_len);

	(void)arg;
	if (used + size > room) {
		size_t more = room == 0 ? ROOM_MIN : room * 2;
		uint8_t *grown = more > ROOM_MAX ? NULL : realloc(data, more);

		if (grown == NULL)
			return -ENOBUFS;
		data = grown;
		room = more;
	}
	memcpy(data + used, nlh, nlh->nlmsg_len);
	used += size;
	return 0;
}

void backlog_fill(int fd)
{
	static uint8_t buf[NETLINK_BUF] __attribute__((aligned(8)));
	int result = 1;

	while (result == 1 && !has_lost)
		result = netlink_read(fd, buf, save, NULL);
	has_lost |= result < 0;
}

int backlog_replay(netlink_fn fn)
{
	int error = has_lost ? -ENOBUFS : 0;
	size_t at = 0;

	while (at < used && error == 0) {
		const struct nlmsghdr *nlh = (const void *)(data + at);

		fn(nlh, NULL);
		at += NLMSG_ALIGN(nlh->nlmsg_len);
	}
	backlog_free();
	return error;
}

void backlog_free(void)
{
	free(data);
	data = NULL;
	used = room = 0;
	has_lost = false;
}
