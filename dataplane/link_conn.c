// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/link_conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "dataplane/api/walk.h"
#include "dataplane/base/log.h"
#include "dataplane/base/user.h"
#include "dataplane/link.h"
#include "dataplane/locked.h"

enum { OUT_SIZE = 4 << 20 };

static struct {
	int listen_fd, fd;
	uid_t user; // that control runs as
	bool is_blocked;
	void (*lost)(void);

	struct api_walk walk; // through in[], held = the record that comes next
	const struct api_rec *held;
	uint8_t *in; // API_MSG_MAX, locked: there are keys in it
	uint8_t *out; // OUT_SIZE
	size_t out_head, out_tail;
} conn = { .listen_fd = -1, .fd = -1 };

size_t link_conn_backlog(void)
{
	return conn.out_tail - conn.out_head;
}

void *link_conn_record(enum api_type type, uint32_t len)
{
	struct api_rec *rec;

	if (conn.fd < 0)
		return NULL;
	if (conn.out_tail + len > OUT_SIZE) {
		memmove(conn.out, conn.out + conn.out_head, link_conn_backlog());
		conn.out_tail -= conn.out_head;
		conn.out_head = 0;
		if (conn.out_tail + len > OUT_SIZE)
			return NULL;
	}
	rec = (struct api_rec *)(void *)(conn.out + conn.out_tail);
	memset(rec, 0, len);
	rec->type = (uint16_t)type;
	rec->len = len;
	conn.out_tail += len;
	return rec;
}

void link_conn_close(const char *reason)
{
	log_warn("control_lost reason=\"%s\"", reason);
	close(conn.fd);
	conn.fd = -1;
	conn.is_blocked = false;
	conn.held = NULL;
	conn.out_head = conn.out_tail = 0;
	conn.lost();
}

void link_conn_refuse(const char *reason)
{
	link_status.protocol_errors++;
	link_conn_close(reason);
}

void link_conn_flush(void)
{
	conn.is_blocked = false;
	while (conn.fd >= 0 && link_conn_backlog() > 0) {
		size_t len = 0;

		while (len < link_conn_backlog()) {
			const struct api_rec *rec = (const void *)(conn.out + conn.out_head + len);

			if (len + rec->len > API_MSG_MAX)
				break;
			len += rec->len;
		}
		if (send(conn.fd, conn.out + conn.out_head, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
			if (errno == EAGAIN || errno == EWOULDBLOCK)
				conn.is_blocked = true;
			else
				link_conn_close("cannot send");
			return;
		}
		conn.out_head += len;
	}
	conn.out_head = conn.out_tail = 0;
}

bool link_conn_receive(void)
{
	struct iovec iov = { .iov_base = conn.in, .iov_len = API_MSG_MAX };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (conn.held != NULL)
		return true;
	n = recvmsg(conn.fd, &msg, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return false;
	if (n <= 0) {
		link_conn_close(n == 0 ? "closed by control" : "cannot receive");
		return false;
	}
	if (msg.msg_flags & MSG_TRUNC) {
		link_conn_refuse("message too long");
		return false;
	}
	conn.walk = api_walk_start(conn.in, (size_t)n);
	return true;
}

const struct api_rec *link_conn_next(void)
{
	if (conn.held == NULL)
		conn.held = api_walk_next(&conn.walk);
	if (conn.held == NULL && conn.walk.error != 0)
		link_conn_refuse("malformed record");
	return conn.held;
}

// Keys stay in the memory of the associations only.
void link_conn_done(void)
{
	if (conn.held != NULL && conn.held->type == API_SA_SET)
		explicit_bzero(conn.in + ((const uint8_t *)conn.held - conn.in), conn.held->len);
	conn.held = NULL;
}

bool link_conn_accept(void)
{
	int fd = accept4(conn.listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (fd < 0)
		return false;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 ||
		(peer.uid != 0 && peer.uid != geteuid() && peer.uid != conn.user)) {
		log_warn("control_refused reason=\"user\" uid=%u", peer.uid);
		close(fd);
		return false;
	}
	if (conn.fd >= 0) {
		log_warn("control_refused reason=\"another one is connected\" pid=%d", peer.pid);
		close(fd);
		return false;
	}
	conn.fd = fd;
	link_status.connects++;
	return true;
}

int link_conn_listen_fd(void)
{
	return conn.listen_fd;
}

int link_conn_fd(void)
{
	return conn.fd;
}

bool link_conn_is_blocked(void)
{
	return conn.is_blocked;
}

// The socket that control connects to, for root and the run-time user. Returns: its owned descriptor or
// negative errno.
static int listen_at(const char *run_dir)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	mode_t mask;
	gid_t gid;
	int fd, error;

	if (snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", run_dir, API_SOCKET_NAME) >=
		(int)sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	unlink(addr.sun_path);
	mask = umask(0177);
	error = bind(fd, (void *)&addr, sizeof(addr)) == 0 ? 0 : -errno;
	umask(mask);
	// The name may lead elsewhere by now: what it says is never followed.
	if (error == 0 && geteuid() == 0 && user_lookup(&conn.user, &gid) == 0 &&
		lchown(addr.sun_path, conn.user, gid) != 0)
		error = -errno;
	if (error == 0 && listen(fd, 4) != 0)
		error = -errno;
	if (error == 0)
		return fd;
	close(fd);
	return error;
}

int link_conn_init(const char *run_dir, void (*lost)(void))
{
	int error = -ENOMEM;

	conn.lost = lost;
	conn.in = locked_new(API_MSG_MAX);
	conn.out = malloc(OUT_SIZE);
	if (conn.in != NULL && conn.out != NULL)
		error = conn.listen_fd = listen_at(run_dir);
	if (error >= 0)
		return 0;
	log_err("listen_failed path=%s/%s reason=\"%s\"", run_dir, API_SOCKET_NAME,
		strerror(-error));
	link_conn_free();
	return error;
}

void link_conn_free(void)
{
	if (conn.fd >= 0)
		close(conn.fd);
	if (conn.listen_fd >= 0)
		close(conn.listen_fd);
	conn.fd = conn.listen_fd = -1;
	locked_free(conn.in, API_MSG_MAX);
	free(conn.out);
	conn.in = conn.out = NULL;
}
