// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// unwired-xfrm: brings what an IKE daemon puts into the kernel's XFRM to unwired-control. It runs in the
// network namespace of that daemon, and is the only program of ours that reads keys from the kernel.

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cap-ng.h>
#include <systemd/sd-daemon.h>

#include "controlplane/secret.h"
#include "dataplane/base/log.h"
#include "dataplane/base/user.h"
#include "ike/mirror.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_WRONG_USAGE = 2 };

static void print_help(FILE *out)
{
	fprintf(out, "usage: unwired-xfrm [options]\n\n"
		     "  --run-dir DIR      where unwired-control listens (default /run/unwired)\n"
		     "  --log-level LEVEL  err, warn, info (default) or debug\n"
		     "  --version, --help\n");
}

// Returns: -1 to go on, else an exit status.
static int read_arguments(int argc, char *argv[], const char **run_dir, enum log_level *level)
{
	static const struct option options[] = {
		{ "run-dir", required_argument, NULL, 'r' },
		{ "log-level", required_argument, NULL, 'l' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'r':
			*run_dir = optarg;
			break;
		case 'l':
			if (log_level_parse(optarg, level) == 0)
				break;
			fprintf(stderr, "unwired-xfrm: --log-level: %s (err, warn, info, debug)\n",
				optarg);
			return EXIT_WRONG_USAGE;
		case 'V':
			puts("unwired-xfrm " UNWIRED_VERSION);
			return EXIT_DONE;
		case 'h':
			print_help(stdout);
			return EXIT_DONE;
		default:
			return EXIT_WRONG_USAGE;
		}
	}
	if (optind == argc)
		return -1;
	fprintf(stderr, "unwired-xfrm: unexpected argument (see --help)\n");
	return EXIT_WRONG_USAGE;
}

// Becomes an ordinary user that may read XFRM, which takes CAP_NET_ADMIN with every request.
static int give_up_root(void)
{
	uid_t uid;
	gid_t gid;
	int error = user_lookup(&uid, &gid);

	if (error != 0)
		return error;
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_NET_ADMIN) != 0 ||
		capng_change_id((int)uid, (int)gid, CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING) !=
			0)
		return -EPERM;
	return user_seal();
}

int main(int argc, char *argv[])
{
	const char *run_dir = "/run/unwired";
	enum log_level level = LOG_LEVEL_INFO;
	int code = read_arguments(argc, argv, &run_dir, &level);
	struct mirror *mirror;
	int error;

	if (code >= 0)
		return code;
	log_init("unwired-xfrm", level);
	mirror = mirror_new(run_dir);
	if (mirror == NULL)
		return EXIT_FAILED;
	secret_unlimit();
	error = geteuid() == 0 ? give_up_root() : user_seal();
	secret_begin();
	if (error != 0) {
		log_err("start_failed what=rights error=\"%s\"", strerror(-error));
	} else {
		sd_notify(0, "READY=1");
		error = mirror_run(mirror);
	}
	mirror_free(mirror);
	return error == 0 ? EXIT_DONE : EXIT_FAILED;
}
