// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/show_gate.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

enum { MAX_COMMANDS = 16 };

// Written before start.
static struct {
	const char *name;
	telemetry_cb show;
} commands[MAX_COMMANDS];
static unsigned int n_commands;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_closed; // under lock

static int dispatch(const char *name, const char *params, struct rte_tel_data *d)
{
	int error = -ENOENT;

	pthread_mutex_lock(&lock);
	for (unsigned int i = 0; !is_closed && i < n_commands; i++) {
		if (strcmp(commands[i].name, name) == 0)
			error = commands[i].show(name, params, d);
	}
	pthread_mutex_unlock(&lock);
	return error;
}

int show_gate_register(const char *name, telemetry_cb show, const char *help)
{
	if (n_commands == MAX_COMMANDS)
		return -ENOSPC;
	pthread_mutex_lock(&lock);
	commands[n_commands].name = name;
	commands[n_commands++].show = show;
	pthread_mutex_unlock(&lock);
	return rte_telemetry_register_cmd(name, dispatch, help);
}

void show_gate_close(void)
{
	pthread_mutex_lock(&lock);
	is_closed = true;
	pthread_mutex_unlock(&lock);
}
