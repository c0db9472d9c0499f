// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/base/user.h"

#include <errno.h>
#include <pwd.h>
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
