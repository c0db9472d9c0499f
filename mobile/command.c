// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "mobile/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include "dataplane/base/log.h"

// First byte of a reply.
enum { REPLY_OK = '+', REPLY_ERROR = '-' };

struct command_server {
	int fd;
	struct event *event;
	struct event_base *base;
	command_handler handler;
	void *arg;
	struct sockaddr_un sa;
};

static int sockaddr_make(struct sockaddr_un *sa, const char *path)
{
	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(sa->sun_path))
		return -ENAMETOOLONG;
	memcpy(sa->sun_path, path, strlen(path) + 1);
	return 0;
}

// Handles one command and answers it.
static void answer(struct command_server *server, int fd, const char *words)
{
	static char text[COMMAND_REPLY_MAX];
	FILE *reply = fmemopen(text, sizeof(text), "w");
	long len;
	int error;

	if (reply == NULL)
		return;
	fputc(REPLY_OK, reply);
	error = server->handler(server->arg, words, reply);
	len = ftell(reply);
	fclose(reply);
	if (error < 0)
		text[0] = REPLY_ERROR;
	if (len > 0 && send(fd, text, (size_t)len, MSG_NOSIGNAL) < 0)
		log_warn("command_reply_lost error=%s", strerror(errno));
}

// A client writes its command right after it connected; one that does not is not waited for.
static void on_connect(evutil_socket_t listener, short what, void *arg)
{
	static const struct timeval patience = { .tv_usec = 200000 };
	struct command_server *server = arg;
	char words[COMMAND_MAX + 1];
	ssize_t n;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	(void)what;
	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	n = recv(fd, words, sizeof(words) - 1, 0);
	if (n > 0) {
		words[n] = '\0';
		words[strcspn(words, "\n")] = '\0';
		answer(server, fd, words);
	}
	close(fd);
}

struct command_server *command_listen(
	struct event_base *base, const char *path, command_handler handler, void *arg)
{
	struct command_server *server = calloc(1, sizeof(*server));
	mode_t mask;
	int error;

	if (server == NULL)
		return NULL;
	server->base = base;
	server->handler = handler;
	server->arg = arg;
	error = sockaddr_make(&server->sa, path);
	if (error < 0)
		goto free_server;
	server->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (server->fd < 0) {
		error = -errno;
		goto free_server;
	}
	unlink(path);
	mask = umask(0177);
	error = bind(server->fd, &server->sa, sizeof(server->sa)) < 0 ? -errno : 0;
	umask(mask);
	if (error < 0)
		goto close_fd;
	server->event = event_new(base, server->fd, EV_READ | EV_PERSIST, on_connect, server);
	if (listen(server->fd, 8) == 0 && server->event != NULL &&
		event_add(server->event, NULL) == 0)
		return server;
	error = -EIO;
	if (server->event != NULL)
		event_free(server->event);
	unlink(path);
close_fd:
	close(server->fd);
free_server:
	free(server);
	errno = -error;
	return NULL;
}

void command_close(struct command_server *server)
{
	event_free(server->event);
	close(server->fd);
	unlink(server->sa.sun_path);
	free(server);
}

int command_send(const char *path, int n_words, char **words)
{
	static char text[COMMAND_REPLY_MAX];
	struct sockaddr_un sa;
	size_t len = 0;
	ssize_t n = -1;
	int fd;

	for (int i = 0; i < n_words; i++) {
		int added =
			snprintf(text + len, COMMAND_MAX - len, "%s%s", i > 0 ? " " : "", words[i]);

		if (added < 0 || (size_t)added >= COMMAND_MAX - len) {
			fprintf(stderr, "unwired-mobile: the command is too long\n");
			return 2;
		}
		len += (size_t)added;
	}
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	errno = ENAMETOOLONG;
	if (fd >= 0 && sockaddr_make(&sa, path) == 0 && connect(fd, &sa, sizeof(sa)) == 0 &&
		send(fd, text, len, 0) > 0)
		n = recv(fd, text, sizeof(text), 0);
	if (n < 1)
		fprintf(stderr, "unwired-mobile: %s: %s\n", path,
			n == 0 ? "no reply" : strerror(errno));
	if (fd >= 0)
		close(fd);
	if (n < 1)
		return 1;
	fwrite(text + 1, 1, (size_t)n - 1, text[0] == REPLY_OK ? stdout : stderr);
	return text[0] == REPLY_OK ? 0 : 1;
}
