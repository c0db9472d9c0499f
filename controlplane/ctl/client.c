// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/ctl/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

// Returns: a connected socket, or negative errno.
static int connect_to(int type, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const void *bytes = &address;
	const struct sockaddr *to = bytes;
	int fd, error;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, to, sizeof(address)) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

static int send_line(int fd, const json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	struct iovec iov[2] = { { .iov_base = text }, { .iov_base = (char[]){ '\n' }, 1 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n;

	if (text == NULL)
		return -ENOMEM;
	iov[0].iov_len = strlen(text);
	n = sendmsg(fd, &msg, MSG_NOSIGNAL);
	free(text);
	return n > 0 ? 0 : -errno;
}

// Reads reply lines until the last one, which it returns.
static json_t *read_replies(FILE *stream, client_line_fn on_line, void *ctx)
{
	char *text = NULL;
	size_t size = 0;
	json_t *last = NULL;

	while (last == NULL && getline(&text, &size, stream) > 0) {
		json_error_t error;
		json_t *line = json_loads(text, JSON_REJECT_DUPLICATES, &error);

		if (!json_is_object(line)) {
			fprintf(stderr, "unwiredctl: unreadable reply: %s\n", error.text);
			json_decref(line);
			free(text);
			return NULL;
		}
		if (json_is_true(json_object_get(line, "end"))) {
			last = line;
		} else {
			bool goes_on = on_line == NULL || on_line(ctx, line);

			json_decref(line);
			if (!goes_on)
				break;
		}
	}
	free(text);
	if (last == NULL)
		fprintf(stderr, "unwiredctl: unwired-control closed the connection\n");
	return last;
}

json_t *client_control(
	const char *run_dir, const json_t *request, client_line_fn on_line, void *ctx)
{
	char path[512];
	json_t *last;
	FILE *stream;
	int fd, error;

	snprintf(path, sizeof(path), "%s/control.sock", run_dir);
	fd = connect_to(SOCK_STREAM, path);
	if (fd < 0) {
		fprintf(stderr, "unwiredctl: %s: %s (is unwired-control running?)\n", path,
			strerror(-fd));
		return NULL;
	}
	error = send_line(fd, request);
	stream = error == 0 ? fdopen(fd, "r") : NULL;
	if (stream == NULL) {
		fprintf(stderr, "unwiredctl: %s: %s\n", path,
			strerror(error != 0 ? -error : errno));
		close(fd);
		return NULL;
	}
	last = read_replies(stream, on_line, ctx);
	fclose(stream);
	return last;
}

// Receives one telemetry message as JSON. Returns: owned, or NULL.
static json_t *receive(const struct client_telemetry *telemetry)
{
	char *buf = malloc(telemetry->max_output_len + 1);
	json_t *reply = NULL;
	ssize_t n;

	if (buf == NULL)
		return NULL;
	n = recv(telemetry->fd, buf, telemetry->max_output_len, 0);
	if (n > 0)
		reply = json_loadb(buf, (size_t)n, 0, NULL);
	free(buf);
	return reply;
}

int client_telemetry_open(struct client_telemetry *telemetry, const char *run_dir, bool is_quiet)
{
	struct timeval patience = { .tv_sec = 5 };
	char path[512];
	json_t *greeting;
	json_int_t max;

	snprintf(path, sizeof(path), "%s/dpdk/unwired/dpdk_telemetry.v2", run_dir);
	*telemetry = (struct client_telemetry){ .max_output_len = 16384 };
	telemetry->fd = connect_to(SOCK_SEQPACKET, path);
	if (telemetry->fd < 0) {
		if (!is_quiet)
			fprintf(stderr, "unwiredctl: %s: %s (is unwired-dataplane running?)\n",
				path, strerror(-telemetry->fd));
		return telemetry->fd;
	}
	setsockopt(telemetry->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	greeting = receive(telemetry);
	max = json_integer_value(json_object_get(greeting, "max_output_len"));
	json_decref(greeting);
	if (max <= 0 || max > 1 << 24) {
		if (!is_quiet)
			fprintf(stderr, "unwiredctl: %s: no greeting from the dataplane\n", path);
		client_telemetry_close(telemetry);
		return -EPROTO;
	}
	telemetry->max_output_len = (size_t)max;
	return 0;
}

json_t *client_telemetry_get(struct client_telemetry *telemetry, const char *command)
{
	size_t name_len = strcspn(command, ",");
	char name[128];
	json_t *reply, *value;

	if (send(telemetry->fd, command, strlen(command), MSG_NOSIGNAL) < 0) {
		fprintf(stderr, "unwiredctl: %s: %s\n", command, strerror(errno));
		return NULL;
	}
	reply = receive(telemetry);
	snprintf(name, sizeof(name), "%.*s", (int)name_len, command);
	value = json_incref(json_object_get(reply, name));
	json_decref(reply);
	if (value == NULL || json_is_null(value)) {
		fprintf(stderr, "unwiredctl: the dataplane does not answer %s\n", name);
		json_decref(value);
		return NULL;
	}
	return value;
}

void client_telemetry_close(struct client_telemetry *telemetry)
{
	if (telemetry->fd >= 0)
		close(telemetry->fd);
	telemetry->fd = -1;
}
