// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Commands to a running mobile client: one message of words in, one message of text out, over an
// AF_UNIX SOCK_SEQPACKET socket that only its owner may use.
#pragma once

#include <stddef.h>
#include <stdio.h>

struct event_base;

enum {
	COMMAND_MAX = 256, // bytes of a command
	COMMAND_REPLY_MAX = 16 * 1024,
};

// Carries out a command (words separated by one space), writes what there is to tell to reply.
// Returns: 0, or negative errno (the reply then says why).
typedef int (*command_handler)(void *arg, const char *words, FILE *reply);

struct command_server;

// Listens at path, mode 0600; what a dead process left there is replaced. Commands are handled in
// the loop of base.
// Returns: an owned server, or NULL with errno set.
struct command_server *command_listen(
	struct event_base *base, const char *path, command_handler handler, void *arg);

// Stops listening and removes path.
void command_close(struct command_server *server);

// Sends the words to the client that listens at path and prints its reply.
// Returns: exit status: 0 done, 1 refused or nobody listens, 2 too long.
int command_send(const char *path, int n_words, char **words);
