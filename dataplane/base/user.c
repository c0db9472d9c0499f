// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/base/user.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

int user_lookup(uid_t *uid, gid_t *gid)
{
	static const char *const names[] = { "unwired", "nobody" };

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct passwd *pw = getpwnam(names[i]);

		if (pw != NULL) {
			*uid = pw->pw_uid;
			*gid = pw->pw_gid;
			return 0;
		}
	}
	return -ENOENT;
}

int user_make_dir(const char *dir)
{
	uid_t uid;
	gid_t gid;

	if (mkdir(dir, 0755) != 0 && errno != EEXIST)
		return -errno;
	if (geteuid() != 0)
		return 0;
	if (user_lookup(&uid, &gid) != 0)
		return -ENOENT;
	return chown(dir, uid, gid) == 0 ? 0 : -errno;
}

int user_make_run_dir(const char *dir)
{
	uid_t uid;
	gid_t gid;
	int fd, error;

	if (mkdir(dir, 0755) != 0 && errno != EEXIST)
		return -errno;
	if (geteuid() != 0)
		return 0;
	error = user_lookup(&uid, &gid);
	if (error != 0)
		return error;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fchown(fd, 0, gid) != 0 || fchmod(fd, 01775) != 0)
		error = -errno;
	close(fd);
	return error;
}

int user_open_own_dir(int at, const char *name, unsigned int mode)
{
	struct stat opened, named;
	int fd, error = 0;

	if (mkdirat(at, name, mode) != 0 && errno != EEXIST)
		return -errno;
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (geteuid() == 0 && (fchown(fd, 0, 0) != 0 || fchmod(fd, mode) != 0))
		error = -errno;
	// From here on its former owner cannot give the name to something else; before, it could.
	if (error == 0 &&
		(fstat(fd, &opened) != 0 || fstatat(at, name, &named, AT_SYMLINK_NOFOLLOW) != 0))
		error = -errno;
	if (error == 0 && (opened.st_dev != named.st_dev || opened.st_ino != named.st_ino))
		error = -EBUSY;
	if (error == 0)
		return fd;
	close(fd);
	return error;
}

#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

int user_seal(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -errno;
	if (!IS_SANITIZED && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return -errno;
	return 0;
}
