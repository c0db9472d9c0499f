// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// unwired-control: Mobile IPv6 signalling, binding cache and store, for the dataplane next to it.

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "controlplane/bindings.h"
#include "controlplane/chain.h"
#include "controlplane/control.h"
#include "controlplane/learn_link.h"
#include "controlplane/loop.h"
#include "controlplane/metrics.h"
#include "controlplane/mgmt.h"
#include "controlplane/reload.h"
#include "controlplane/sas.h"
#include "controlplane/secret.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "dataplane/base/user.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_WRONG_USAGE = 2 };

// The command line.
struct arguments {
	const char *config;
	const char *run_dir, *state_dir;
	bool is_check;
	enum log_level log_level;
};

static void print_help(FILE *out)
{
	fprintf(out, "usage: unwired-control --config FILE [options]\n\n"
		     "  --config FILE      the configuration of both processes\n"
		     "  --check            check the configuration and exit\n"
		     "  --run-dir DIR      sockets (default /run/unwired)\n"
		     "  --state-dir DIR    bindings and the running configuration\n"
		     "                     (default /var/lib/unwired)\n"
		     "  --log-level LEVEL  err, warn, info (default) or debug\n"
		     "  --version, --help\n");
}

// Returns: -1 to go on, else an exit status.
static int read_arguments(int argc, char *argv[], struct arguments *out)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "run-dir", required_argument, NULL, 'r' },
		{ "state-dir", required_argument, NULL, 's' },
		{ "check", no_argument, NULL, 'k' },
		{ "log-level", required_argument, NULL, 'l' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	*out = (struct arguments){ .run_dir = "/run/unwired",
		.state_dir = "/var/lib/unwired",
		.log_level = LOG_LEVEL_INFO };
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			out->config = optarg;
			break;
		case 'r':
			out->run_dir = optarg;
			break;
		case 's':
			out->state_dir = optarg;
			break;
		case 'k':
			out->is_check = true;
			break;
		case 'l':
			if (log_level_parse(optarg, &out->log_level) == 0)
				break;
			fprintf(stderr,
				"unwired-control: --log-level: %s (err, warn, info, debug)\n",
				optarg);
			return EXIT_WRONG_USAGE;
		case 'V':
			puts("unwired-control " UNWIRED_VERSION);
			return EXIT_DONE;
		case 'h':
			print_help(stdout);
			return EXIT_DONE;
		default:
			return EXIT_WRONG_USAGE;
		}
	}
	if (out->config != NULL && optind == argc)
		return -1;
	fprintf(stderr, "unwired-control: %s (see --help)\n",
		out->config == NULL ? "--config is missing" : "unexpected argument");
	return EXIT_WRONG_USAGE;
}

// What an earlier life left as root, or as another user, becomes the run-time user's.
static int give_files(const char *dir, uid_t uid, gid_t gid)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;
	int error = 0;

	if (d == NULL)
		return -errno;
	while (error == 0 && (entry = readdir(d)) != NULL)
		if (entry->d_type == DT_REG &&
			fchownat(dirfd(d), entry->d_name, uid, gid, AT_SYMLINK_NOFOLLOW) != 0)
			error = -errno;
	closedir(d);
	return error;
}

// Makes the directories, and becomes an ordinary user for good.
static int give_up_root(const char *run_dir, const char *state_dir)
{
	int error = user_make_run_dir(run_dir);
	uid_t uid;
	gid_t gid;

	if (error == 0)
		error = user_make_dir(state_dir);
	if (error == 0 && geteuid() == 0) {
		error = user_lookup(&uid, &gid);
		if (error == 0)
			error = give_files(state_dir, uid, gid);
		if (error == 0 && (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 ||
					  setresuid(uid, uid, uid) != 0))
			error = -errno;
	}
	return error == 0 ? user_seal() : error;
}

static int fail(const char *what, int error)
{
	log_err("start_failed what=\"%s\" error=\"%s\"", what, strerror(error));
	return -error;
}

// The store and what it holds.
static int open_state(struct control *control)
{
	uint32_t max_bindings = control->config->dataplane.max_bindings;
	struct store_options options = { .dir = control->state_dir,
		.n_slots = bcache_slots(max_bindings),
		.durability = control->config->control.durability };
	char err[STORE_ERR_LEN];
	int error = store_boot_id(options.boot_id);

	if (error != 0)
		return fail("boot id", -error);
	control->bcache = bcache_new(max_bindings);
	control->wheel = wheel_new(options.n_slots, clock_boot_ns());
	if (control->bcache == NULL || control->wheel == NULL)
		return fail("binding cache", ENOMEM);
	options.meanwhile = bindings_expect;
	options.meanwhile_ctx = control;
	control->store = store_open(&options, err);
	if (control->store == NULL) {
		error = errno;
		log_err("start_failed what=store dir=%s error=\"%s\"", control->state_dir, err);
		return -error;
	}
	error = networks_set(&control->networks, control->config);
	if (error != 0)
		return fail("home networks", -error);
	error = bindings_restore(control);
	return error == 0 ? 0 : fail("replay of the store", -error);
}

static int open_sockets(struct control *control)
{
	struct link_handlers handlers = loop_link_handlers(control);
	char path[512];

	control->base = event_base_new();
	if (control->base == NULL)
		return fail("event loop", ENOMEM);
	snprintf(path, sizeof(path), "%s/" API_SOCKET_NAME, control->run_dir);
	control->link = link_new(control->base, path, &handlers);
	if (control->link == NULL)
		return fail("link to the dataplane", errno);
	control->learn = learn_link_new(control);
	if (control->learn == NULL)
		return fail("socket of unwired-xfrm", errno);
	control->mgmt = mgmt_new(control);
	if (control->mgmt == NULL)
		return fail("management socket", errno);
	return 0;
}

// The security associations, and the numbers that they have used.
static int open_sas(struct control *control)
{
	struct sas *sas =
		sas_plan(control, &control->networks, control->config->dataplane.max_sas, stderr);

	if (sas == NULL)
		return fail("security associations", errno);
	control->sas_secrets = secret_alloc(sizeof(*control->sas_secrets));
	if (control->sas_secrets == NULL)
		return fail("memory for keys", errno);
	sas_take(control, sas);
	return 0;
}

static int open_subscribers(struct control *control)
{
	int error;

	control->reserve = reserve_open(control->state_dir, store_generation(control->store) > 0);
	if (control->reserve == NULL)
		return fail("security.mdb", errno);
	error = sas_recover(control->state_dir, control->reserve);
	if (error != 0)
		return fail("security.mdb", -error);
	control->subscribers = subscribers_open(control->state_dir,
		control->config->subscribers.file, reserve_id(control->reserve), stderr);
	if (control->subscribers == NULL)
		return fail("subscribers", errno);
	return open_sas(control);
}

static int open_modules(struct control *control)
{
	int error = open_subscribers(control);

	if (error != 0)
		return error;
	control->auth = auth_new();
	if (control->auth == NULL)
		return fail("HMAC-SHA1 of OpenSSL", errno);
	control->chain = chain_new(control);
	if (control->chain == NULL)
		return fail("chain", ENOMEM);
	if (getrandom(&control->instance, sizeof(control->instance), 0) < 0 ||
		getrandom(&control->limiter.seed, sizeof(control->limiter.seed), 0) < 0)
		return fail("random numbers", errno);
	control->replicate = &replicate_alone;
	return 0;
}

static int run(struct control *control, const char *text)
{
	struct metrics *metrics = NULL;
	int error;

	secret_begin();
	error = open_state(control);

	if (error == 0)
		error = open_modules(control);
	if (error == 0)
		error = open_sockets(control);
	if (error == 0) {
		error = reload_keep(control->state_dir, text, stderr);
		if (error != 0)
			fail("running.json", -error);
	}
	if (error == 0 && control->config->telemetry.listen != NULL) {
		metrics = metrics_new(control);
		if (metrics == NULL)
			error = fail(control->config->telemetry.listen, errno);
	}
	if (error == 0) {
		reload_warn(control->config);
		error = loop_run(control);
	}
	metrics_free(metrics);
	return error;
}

static void control_close(struct control *control)
{
	reload_free(control->reload);
	mgmt_free(control->mgmt);
	learn_link_free(control->learn);
	link_free(control->link);
	chain_free(control->chain);
	auth_free(control->auth);
	sas_free(control->sas);
	secret_free(control->sas_secrets, sizeof(*control->sas_secrets));
	if (control->subscribers != NULL)
		subscribers_close(control->subscribers);
	reserve_close(control->reserve);
	wheel_free(control->wheel);
	bcache_free(control->bcache);
	if (control->store != NULL)
		store_close(control->store);
	if (control->base != NULL)
		event_base_free(control->base);
	config_free(control->config);
}

int main(int argc, char *argv[])
{
	struct arguments arguments;
	struct control *control;
	char *text = NULL;
	int code = read_arguments(argc, argv, &arguments);
	int error;

	if (code >= 0)
		return code;
	loop_block_signals();
	log_init("unwired-control", arguments.log_level);
	control = calloc(1, sizeof(*control));
	if (control == NULL)
		return EXIT_FAILED;
	control->config_path = arguments.config;
	control->run_dir = arguments.run_dir;
	control->state_dir = arguments.state_dir;
	control->started_ns = clock_mono_ns();
	control->config = reload_read(arguments.config, &text, stderr);
	if (control->config == NULL || arguments.is_check) {
		code = control->config == NULL ? EXIT_WRONG_USAGE : EXIT_DONE;
	} else {
		secret_unlimit();
		error = give_up_root(arguments.run_dir, arguments.state_dir);
		if (error != 0)
			fail("directories and user", -error);
		else
			error = run(control, text);
		code = error == 0 ? EXIT_DONE : EXIT_FAILED;
	}
	control_close(control);
	free(control);
	free(text);
	return code;
}
