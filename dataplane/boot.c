// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/base/log.h"
#include "dataplane/base/user.h"

#define KEPT_DIR "boot"
#define KEPT_NAME "config.json"
#define KEPT_NEW KEPT_NAME ".new"

// Control holds a lock in its directory for as long as it lives.
static bool control_runs(const char *state_dir)
{
	char path[PATH_MAX];
	bool is_locked;
	int fd;

	snprintf(path, sizeof(path), "%s/lock", state_dir);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return false;
	is_locked = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
	close(fd);
	return is_locked;
}

// Opens what stands in the directory at under that name if nobody else could have put it there.
// Returns: an owned descriptor or negative errno, its size in *size.
static int open_ours(int at, const char *name, int flags, off_t *size)
{
	int fd = openat(at, name, flags | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 022) == 0 &&
		(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) {
		*size = st.st_size;
		return fd;
	}
	close(fd);
	return -EPERM;
}

static struct config *read_config(int fd, size_t size, const char *name)
{
	struct config *config = NULL;
	char *text = malloc(size + 1);
	size_t len = 0;
	ssize_t n = 1;

	while (text != NULL && len < size && (n = read(fd, text + len, size - len)) > 0)
		len += (size_t)n;
	if (text != NULL && len == size)
		config = config_parse(text, len, name, stderr);
	free(text);
	return config;
}

struct config *boot_config(const char *file, const char *run_dir, const char *state_dir)
{
	struct config *config = config_load(file, stderr);
	char dir[PATH_MAX], name[PATH_MAX + sizeof(KEPT_NAME)];
	off_t size = 0;
	int dir_fd, fd;

	if (config != NULL || !control_runs(state_dir))
		return config;
	snprintf(dir, sizeof(dir), "%s/" KEPT_DIR, run_dir);
	snprintf(name, sizeof(name), "%s/" KEPT_NAME, dir);
	dir_fd = open_ours(AT_FDCWD, dir, O_DIRECTORY, &size);
	fd = dir_fd < 0 ? dir_fd : open_ours(dir_fd, KEPT_NAME, 0, &size);
	if (fd >= 0)
		config = read_config(fd, (size_t)size, name);
	if (config != NULL)
		log_warn("config_kept_in_force path=%s instead_of=%s", name, file);
	if (fd >= 0)
		close(fd);
	if (dir_fd >= 0)
		close(dir_fd);
	return config;
}

static int write_new(int dir_fd, const char *text)
{
	size_t left = strlen(text);
	int fd, error = 0;

	if (unlinkat(dir_fd, KEPT_NEW, 0) != 0 && errno != ENOENT)
		return -errno;
	fd = openat(dir_fd, KEPT_NEW, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	while (error == 0 && left > 0) {
		ssize_t n = write(fd, text, left);

		if (n < 0)
			error = -errno;
		else
			text += n, left -= (size_t)n;
	}
	close(fd);
	return error;
}

int boot_config_keep(const char *run_dir, const struct config *config)
{
	char *text = json_dumps(config->document, JSON_INDENT(2));
	int run_fd = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int dir_fd = run_fd < 0 ? -errno : user_open_own_dir(run_fd, KEPT_DIR, 0700);
	int error = dir_fd < 0 ? dir_fd : (text == NULL ? -ENOMEM : write_new(dir_fd, text));

	if (error == 0 && renameat(dir_fd, KEPT_NEW, dir_fd, KEPT_NAME) != 0)
		error = -errno;
	if (error != 0)
		log_err("config_not_kept dir=%s/" KEPT_DIR " error=\"%s\"", run_dir,
			strerror(-error));
	if (dir_fd >= 0)
		close(dir_fd);
	if (run_fd >= 0)
		close(run_fd);
	free(text);
	return error;
}
