// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/reload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/publish.h"
#include "controlplane/review.h"
#include "dataplane/base/log.h"

#define RUNNING "running.json"
#define RUNNING_NEW RUNNING ".new"

// A reload on its way. Everything in it is prepared and changes nothing yet.
struct reload {
	struct control *control; // borrowed
	FILE *err;
	const char *step; // in hand, for the log
	char *text; // owned
	struct config *config; // owned
	struct networks *networks; // owned
};

struct config *reload_read(const char *path, char **text, FILE *err)
{
	struct config *config = NULL;
	size_t len;

	*text = config_read(path, &len, err);
	if (*text != NULL)
		config = config_parse(*text, len, path, err);
	if (config == NULL) {
		free(*text);
		*text = NULL;
	}
	return config;
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return fsync(fd) == 0 ? 0 : -errno;
}

// Writes the new file next to the one in force. Returns: 0 or negative errno.
static int write_new(int dir, const char *text)
{
	int fd = openat(
		dir, RUNNING_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	int error = fd < 0 ? -errno : write_all(fd, text, strlen(text));

	if (fd >= 0)
		close(fd);
	return error;
}

// Puts the new file in the place of the one in force. Returns: 0 or negative errno.
static int rename_new(int dir)
{
	if (renameat(dir, RUNNING_NEW, dir, RUNNING) != 0)
		return -errno;
	if (fsync(dir) != 0) // there is no way back from here
		log_err("not_durable file=" RUNNING " error=\"%s\"", strerror(errno));
	return 0;
}

static int said(FILE *err, const char *dir, const char *name, int error)
{
	if (error != 0)
		fprintf(err, "%s/%s: %s\n", dir, name, strerror(-error));
	return error;
}

int reload_keep(const char *state_dir, const char *text, FILE *err)
{
	int dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error;

	if (dir < 0)
		return said(err, state_dir, RUNNING, -errno);
	error = said(err, state_dir, RUNNING_NEW, write_new(dir, text));
	if (error == 0)
		error = said(err, state_dir, RUNNING, rename_new(dir));
	close(dir);
	return error;
}

void reload_warn(const struct config *config)
{
	for (unsigned int i = 0; i < config->n_networks; i++)
		if (config->networks[i].auth == CONFIG_AUTH_NONE)
			log_warn("authentication_none home_network=%s meaning=\"anybody may take "
				 "any home address: for the lab only\"",
				config->networks[i].name);
}

// Reads and checks everything of the configuration. Returns: 0 or negative errno.
static int prepare_config(struct reload *r)
{
	struct control *control = r->control;
	int error;

	r->step = "configuration";
	r->config = reload_read(control->config_path, &r->text, r->err);
	if (r->config == NULL || config_diff(control->config, r->config, r->err, NULL) != 0)
		return -EINVAL;
	r->step = "home networks";
	r->networks = malloc(sizeof(*r->networks));
	if (r->networks == NULL)
		return said(r->err, control->state_dir, RUNNING, -ENOMEM);
	*r->networks = control->networks;
	error = networks_set(r->networks, r->config);
	if (error == -ENOSPC)
		fprintf(r->err,
			"%s: home_networks: more prefixes or agent addresses than there "
			"are numbers for (those with bindings keep theirs)\n",
			control->config_path);
	return error;
}

// Makes everything that may fail. Returns: 0 or negative errno.
static int prepare(struct reload *r)
{
	struct control *control = r->control;
	int error = prepare_config(r);

	if (error != 0)
		return error;
	r->step = "subscribers";
	error = subscribers_prepare(control->subscribers, r->config->subscribers.file, r->err);
	if (error != 0)
		return error;
	r->step = RUNNING;
	return reload_keep(control->state_dir, r->text, r->err);
}

// Puts what is prepared in force. Nothing of it can fail.
static void take(struct reload *r)
{
	struct control *control = r->control;
	bool is_told =
		networks_are_same(&control->networks, r->networks) &&
		control->config->dataplane.orphan_hold_s == r->config->dataplane.orphan_hold_s;

	subscribers_take(control->subscribers);
	control->networks = *r->networks;
	config_free(control->config);
	control->config = r->config;
	r->config = NULL; // moved
	log_info("reloaded networks=%u subscribers=%llu", control->config->n_networks,
		(unsigned long long)subscribers_counts(control->subscribers).n_subscribers);
	reload_warn(control->config);
	if (is_told)
		return;
	review_begin(control);
	publish_resync(control, false);
}

// One line for the log.
static void log_refused(const struct reload *r, const char *why)
{
	char line[512];
	size_t len = 0;

	for (; why[len] != '\0' && len < sizeof(line) - 1; len++)
		line[len] = why[len] == '\n' ? (why[len + 1] != '\0' ? ';' : '\0') : why[len];
	line[len] = '\0';
	log_err("reload_refused step=\"%s\" reason=\"%s\"", r->step, line);
}

int reload_run(struct control *control, char **why)
{
	size_t len;
	struct reload r = { .control = control, .err = open_memstream(why, &len) };
	int error;

	if (r.err == NULL)
		return -errno;
	error = prepare(&r);
	fclose(r.err);
	if (error == 0) {
		take(&r);
	} else {
		subscribers_drop(control->subscribers);
		log_refused(&r, *why != NULL ? *why : "");
	}
	config_free(r.config);
	free(r.networks);
	free(r.text);
	return error;
}
