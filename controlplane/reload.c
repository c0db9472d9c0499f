// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "controlplane/reload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/bindings.h"
#include "controlplane/publish.h"
#include "dataplane/base/log.h"

enum { CONFIG_MAX_BYTES = 16 << 20 };

// Reads a whole file. Returns: owned text with a final zero, or NULL with errno.
static char *read_file(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = NULL;
	struct stat st;
	size_t n = 0;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && st.st_size <= CONFIG_MAX_BYTES)
		text = malloc((size_t)st.st_size + 1);
	else
		errno = EFBIG;
	while (text != NULL && n < (size_t)st.st_size) {
		ssize_t got = read(fd, text + n, (size_t)st.st_size - n);

		if (got <= 0)
			break;
		n += (size_t)got;
	}
	close(fd);
	if (text != NULL)
		text[n] = '\0';
	*len = n;
	return text;
}

struct config *reload_read(const char *path, char **text, FILE *err)
{
	struct config *config;
	size_t len;

	*text = read_file(path, &len);
	if (*text == NULL) {
		fprintf(err, "%s: %s\n", path, strerror(errno));
		return NULL;
	}
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

int reload_keep(const char *state_dir, const char *text)
{
	int dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd, error;

	if (dir < 0)
		return -errno;
	fd = openat(dir, "running.json.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		0644);
	error = fd < 0 ? -errno : write_all(fd, text, strlen(text));
	if (fd >= 0)
		close(fd);
	if (error == 0 && renameat(dir, "running.json.new", dir, "running.json") != 0)
		error = -errno;
	if (error == 0 && fsync(dir) != 0)
		error = -errno;
	close(dir);
	return error;
}

// True when a binding's home prefix and agent are still there, under their numbers.
static bool is_still_served(
	const struct networks *next, const struct networks *old, const struct bce *bce)
{
	const struct networks_prefix *prefix = &next->prefixes[bce->home_prefix];
	const struct networks_agent *agent = &next->agents[bce->care_of.agent];

	return prefix->network != NULL && agent->network != NULL &&
	       networks_find_prefix(next, bce->domain, &bce->home) == bce->home_prefix &&
	       ip6_eq(&agent->address, &old->agents[bce->care_of.agent].address);
}

// Ends the bindings that the next configuration has no place for.
static int end_unserved(struct control *control, const struct networks *next)
{
	uint32_t at = BCACHE_NONE, n = 0;
	bool is_end = false;

	while (!is_end) {
		uint32_t handle = bcache_next(control->bcache, at, &at, &is_end);
		const struct bce *bce = bcache_at(control->bcache, handle);
		int error;

		if (bce == NULL || bce->state != BCE_LIVE ||
			is_still_served(next, &control->networks, bce))
			continue;
		error = bindings_clear(control, handle);
		if (error != 0)
			return error;
		n++;
	}
	if (n > 0)
		log_warn("bindings_ended reason=home_network_removed n=%u", n);
	return 0;
}

// Takes the checked configuration over. moved on success.
static int take(struct control *control, struct config *config, const char *text)
{
	struct networks *next = malloc(sizeof(*next));
	int error;

	if (next == NULL)
		return -ENOMEM;
	*next = control->networks;
	error = networks_set(next, config);
	if (error == 0)
		error = end_unserved(control, next);
	if (error == 0)
		error = reload_keep(control->state_dir, text);
	if (error == 0) {
		for (unsigned int i = 0; i < API_MAX_HOME_PREFIXES; i++)
			next->prefixes[i].n_bindings = control->networks.prefixes[i].n_bindings;
		control->networks = *next;
		config_free(control->config);
		control->config = config;
		publish_resync(control, false);
	}
	free(next);
	return error;
}

int reload_run(struct control *control, char **why)
{
	size_t len;
	FILE *err = open_memstream(why, &len);
	struct config *config = NULL;
	char *text = NULL;
	int error = -EINVAL;

	if (err == NULL)
		return -errno;
	config = reload_read(control->config_path, &text, err);
	if (config != NULL && config_diff(control->config, config, err, NULL) == 0)
		error = subscribers_reload(control->subscribers, config->subscribers.file, err);
	if (error == 0) {
		error = take(control, config, text);
		if (error == 0)
			config = NULL; // moved
		else
			fprintf(err, "%s: %s\n", control->config_path, strerror(-error));
	}
	config_free(config);
	free(text);
	fclose(err);
	if (error == 0)
		log_info("reloaded networks=%u subscribers=%llu", control->config->n_networks,
			(unsigned long long)subscribers_counts(control->subscribers).n_subscribers);
	else
		log_err("reload_refused reason=\"%s\"", *why);
	return error;
}
