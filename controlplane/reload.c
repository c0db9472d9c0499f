// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/reload.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/mgmt.h"
#include "controlplane/publish.h"
#include "controlplane/review.h"
#include "controlplane/sas.h"
#include "dataplane/base/log.h"

#define RUNNING "running.json"
#define RUNNING_NEW RUNNING ".new"

// A reload on its way: configuration, subscribers (perhaps a while), then all is put in force, and the
// dataplane is waited for. Until then everything in it is prepared and changes nothing yet.
struct reload {
	struct control *control; // borrowed
	char *why; // owned; what err wrote, after fclose
	size_t why_len;
	FILE *err; // owned
	const char *step; // in hand, for the log
	char *text; // owned
	struct config *config; // owned, until it is in force
	struct event *on_event; // owned: subscribers imported, or patience over
	struct sas *sas; // owned, until it is in force
	bool is_in_force;
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

static int prepare_config(struct reload *r)
{
	r->step = "configuration";
	r->config = reload_read(r->control->config_path, &r->text, r->err);
	if (r->config == NULL || config_diff(r->control->config, r->config, r->err, NULL) != 0)
		return -EINVAL;
	return 0;
}

// Makes the rest that may fail. networks: filled in. Returns: 0 or negative errno.
static int prepare_rest(struct reload *r, struct networks *networks)
{
	struct control *control = r->control;
	int error;

	r->step = "home networks";
	*networks = control->networks;
	error = networks_set(networks, r->config);
	if (error == -ENOSPC)
		fprintf(r->err,
			"%s: home_networks: more prefixes or agent addresses than there "
			"are numbers for (those with bindings keep theirs)\n",
			control->config_path);
	if (error != 0)
		return error;
	r->step = "security associations";
	r->sas = sas_plan(control, networks, r->config->dataplane.max_sas, r->err);
	if (r->sas == NULL)
		return -errno;
	r->step = RUNNING;
	return reload_keep(control->state_dir, r->text, r->err);
}

// Puts what is prepared in force. Nothing of it can fail. Returns: whether the dataplane has news.
static bool take(struct reload *r, const struct networks *networks)
{
	struct control *control = r->control;
	bool has_news =
		!networks_are_same(&control->networks, networks) ||
		control->config->dataplane.orphan_hold_s != r->config->dataplane.orphan_hold_s;

	subscribers_take(control->subscribers);
	control->networks = *networks;
	config_free(control->config);
	control->config = r->config;
	r->config = NULL; // moved
	sas_take(control, r->sas);
	r->sas = NULL; // moved
	r->is_in_force = true;
	log_info("reloaded networks=%u subscribers=%llu", control->config->n_networks,
		(unsigned long long)subscribers_counts(control->subscribers).n_subscribers);
	reload_warn(control->config);
	if (has_news) {
		review_begin(control);
		publish_resync(control, false);
	}
	return has_news;
}

// One line for the log.
static void log_refused(const struct reload *r)
{
	const char *why = r->why != NULL ? r->why : "";
	char line[512];
	size_t len = 0;

	for (; why[len] != '\0' && len < sizeof(line) - 1; len++)
		line[len] = why[len] == '\n' ? (why[len + 1] != '\0' ? ';' : '\0') : why[len];
	line[len] = '\0';
	log_err("reload_refused step=\"%s\" reason=\"%s\"", r->step, line);
}

void reload_free(struct reload *r)
{
	if (r == NULL)
		return;
	if (!r->is_in_force)
		subscribers_drop(r->control->subscribers);
	if (r->on_event != NULL)
		event_free(r->on_event);
	if (r->err != NULL)
		fclose(r->err);
	sas_free(r->sas);
	config_free(r->config);
	free(r->text);
	free(r->why);
	free(r);
}

// The end, with an error or not: whoever waits is told.
static void finish(struct reload *r, int error)
{
	struct control *control = r->control;
	const char *why;

	if (!r->is_in_force)
		subscribers_drop(control->subscribers); // an import writes to err
	fclose(r->err);
	r->err = NULL;
	why = r->why != NULL && r->why[0] != '\0' ? r->why : strerror(-error);
	control->reload = NULL;
	if (error != 0 && !r->is_in_force)
		log_refused(r);
	mgmt_reloaded(control->mgmt, error != 0 ? why : NULL);
	reload_free(r);
}

static void out_of_patience(evutil_socket_t fd, short what, void *arg)
{
	struct reload *r = arg;

	(void)fd;
	(void)what;
	log_warn("reload_unconfirmed patience_s=%d", RELOAD_PATIENCE_S);
	fprintf(r->err,
		"reloaded, but the dataplane has not confirmed it in %d s (it goes on: see "
		"unwiredctl show sync)",
		RELOAD_PATIENCE_S);
	finish(r, -ETIMEDOUT);
}

// Waits for the dataplane. What is away or refuses to sweep is not waited for: it will have, or has, them.
static void await_dataplane(struct reload *r)
{
	static const struct timeval patience = { .tv_sec = RELOAD_PATIENCE_S };

	if (r->control->sync.state != CONTROL_SYNC_RUNNING) {
		finish(r, 0);
		return;
	}
	r->on_event = evtimer_new(r->control->base, out_of_patience, r);
	if (r->on_event == NULL || event_add(r->on_event, &patience) != 0)
		finish(r, -ENOMEM);
}

void reload_synced(struct control *control)
{
	struct reload *r = control->reload;

	if (r != NULL && r->is_in_force && control->sync.state != CONTROL_SYNC_RUNNING)
		finish(r, 0);
}

// Everything but the rest is prepared; or error says what went wrong.
static void go_on(struct reload *r, int error)
{
	struct networks *networks = malloc(sizeof(*networks));

	if (error == 0 && networks == NULL)
		error = said(r->err, r->control->state_dir, RUNNING, -ENOMEM);
	if (error == 0)
		error = prepare_rest(r, networks);
	if (error == 0 && take(r, networks))
		await_dataplane(r);
	else
		finish(r, error);
	free(networks);
}

static void imported(evutil_socket_t fd, short what, void *arg)
{
	struct reload *r = arg;

	(void)fd;
	(void)what;
	event_free(r->on_event);
	r->on_event = NULL;
	go_on(r, subscribers_end(r->control->subscribers));
}

static void prepare(struct reload *r)
{
	struct subscribers *subscribers = r->control->subscribers;
	int result = prepare_config(r);

	if (result == 0) {
		r->step = "subscribers";
		result = subscribers_begin(subscribers, r->config->subscribers.file, r->err);
	}
	if (result <= 0) {
		go_on(r, result);
		return;
	}
	r->on_event =
		event_new(r->control->base, subscribers_fd(subscribers), EV_READ, imported, r);
	if (r->on_event == NULL || event_add(r->on_event, NULL) != 0)
		go_on(r, -ENOMEM);
}

int reload_begin(struct control *control)
{
	struct reload *r;

	if (control->reload != NULL) {
		log_warn("reload_refused reason=\"another one is on its way\"");
		return -EBUSY;
	}
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return -ENOMEM;
	r->control = control;
	r->err = open_memstream(&r->why, &r->why_len);
	if (r->err == NULL) {
		free(r);
		return -ENOMEM;
	}
	control->reload = r;
	prepare(r);
	return 0;
}
