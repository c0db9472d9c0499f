// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// unwiredctl: asks the control process or the dataplane and prints the answer.

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "controlplane/ctl/client.h"
#include "controlplane/ctl/print.h"

enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2 };

// The command line after getopt.
struct command {
	const char *run_dir;
	bool is_json;
	bool is_forced;
	const char *network, *after; // NULL without
	uint32_t limit; // 0 = all
	const char *argument; // of the verb, NULL without
};

enum verb_option {
	OPTION_FORCE = 1,
	OPTION_NETWORK = 2,
	OPTION_PAGE = 4, // --after, --limit
};

// A row of the table of verbs.
struct verb {
	const char *name; // words, with one space between
	const char *argument; // its name in the help, NULL without
	uint8_t options; // enum verb_option
	const char *help;
	int (*run)(const struct verb *verb, const struct command *command);
	const char *telemetry; // command of the dataplane
	const char *const *columns; // of the plain list, NULL: all
};

static const char *const binding_columns[] = { "home_address", "home_network", "care_of",
	"lifetime_s", "sequence", "state", "mn_id", "packets_down", "packets_up", NULL };

static const char *const sa_columns[] = { "home_address", "use", "direction", "spi", "suite",
	"source", "sequence", "packets", "bytes", "bad_check_values", "replayed", "refused",
	"expired", NULL };

static int run_status(const struct verb *verb, const struct command *command);
static int run_object(const struct verb *verb, const struct command *command);
static int run_list(const struct verb *verb, const struct command *command);
static int run_monitor(const struct verb *verb, const struct command *command);
static int run_telemetry(const struct verb *verb, const struct command *command);
static int run_check(const struct verb *verb, const struct command *command);

static const struct verb verbs[] = {
	{ "status", NULL, 0, "state of both processes, counters, alarms", run_status, NULL, NULL },
	{ "show bindings", NULL, OPTION_NETWORK | OPTION_PAGE,
		"all bindings [--network NAME] [--after ADDRESS] [--limit N]", run_list, NULL,
		binding_columns },
	{ "show binding", "ADDRESS[@DOMAIN]|MN-ID", 0, "one binding", run_object, NULL, NULL },
	{ "show networks", NULL, 0, "home networks and their use", run_list, NULL, NULL },
	{ "show sync", NULL, 0, "how far the dataplane has what control knows", run_object, NULL,
		NULL },
	{ "show ports", NULL, 0, "ports of the dataplane", run_telemetry, "/unwired/ports", NULL },
	{ "show routes", NULL, 0, "routes of the dataplane", run_telemetry, "/unwired/routes",
		NULL },
	{ "show neighbors", NULL, 0, "neighbours of the dataplane", run_telemetry,
		"/unwired/neighbors", NULL },
	{ "show workers", NULL, 0, "workers of the dataplane", run_telemetry, "/unwired/workers",
		NULL },
	{ "show drops", NULL, 0, "drops of the dataplane by reason", run_telemetry,
		"/unwired/drops", NULL },
	{ "show sas", NULL, 0, "security associations of the dataplane", run_telemetry,
		"/unwired/sas", sa_columns },
	{ "clear binding", "ADDRESS[@DOMAIN]|MN-ID", 0, "end a binding now", run_object, NULL,
		NULL },
	{ "reload", NULL, 0, "read the configuration and the subscribers again", run_object, NULL,
		NULL },
	{ "resync", NULL, OPTION_FORCE,
		"send everything to the dataplane again [--force: sweep whatever the share]",
		run_object, NULL, NULL },
	{ "monitor", NULL, 0, "registrations, moves, refusals as they happen", run_monitor, NULL,
		NULL },
	{ "check", "FILE", 0, "check a configuration file", run_check, NULL, NULL },
};

enum { N_VERBS = sizeof(verbs) / sizeof(verbs[0]) };

static void print_help(FILE *out)
{
	fprintf(out, "usage: unwiredctl [--run-dir DIR] [--json] VERB...\n\nverbs:\n");
	for (unsigned int i = 0; i < N_VERBS; i++) {
		char text[64];

		snprintf(text, sizeof(text), "%s%s%s", verbs[i].name,
			verbs[i].argument != NULL ? " " : "",
			verbs[i].argument != NULL ? verbs[i].argument : "");
		fprintf(out, "  %-38s %s\n", text, verbs[i].help);
	}
	fprintf(out, "\noptions:\n"
		     "  --run-dir DIR   where the sockets are (default /run/unwired)\n"
		     "  --json          stable output for programs\n"
		     "  --version, --help\n"
		     "\nexit status: 0 done, 1 refused or failed, 2 usage\n");
}

static json_t *request_make(const struct verb *verb, const struct command *command)
{
	json_t *request = json_pack("{s:s}", "verb", verb->name);

	if (command->argument != NULL)
		json_object_set_new(request, "key", json_string(command->argument));
	if (command->network != NULL)
		json_object_set_new(request, "network", json_string(command->network));
	if (command->after != NULL)
		json_object_set_new(request, "after", json_string(command->after));
	if (command->limit != 0)
		json_object_set_new(request, "limit", json_integer(command->limit));
	if (command->is_forced)
		json_object_set_new(request, "force", json_true());
	return request;
}

// Asks control. Returns: the last line (owned) without an error in it, or NULL after saying why.
static json_t *ask(
	const struct verb *verb, const struct command *command, client_line_fn on_line, void *ctx)
{
	json_t *request = request_make(verb, command);
	json_t *last = client_control(command->run_dir, request, on_line, ctx);
	const json_t *error = json_object_get(last, "error");

	json_decref(request);
	if (error != NULL) {
		fprintf(stderr, "unwiredctl: %s\n", json_string_value(error));
		json_decref(last);
		return NULL;
	}
	return last;
}

static int run_object(const struct verb *verb, const struct command *command)
{
	json_t *last = ask(verb, command, NULL, NULL);

	if (last == NULL)
		return EXIT_REFUSED;
	print_object(command->is_json, json_object_get(last, "result"));
	json_decref(last);
	return EXIT_DONE;
}

// The dataplane's own status, or null when it cannot be asked.
static json_t *dataplane_status(const char *run_dir)
{
	struct client_telemetry telemetry;
	json_t *status;

	if (client_telemetry_open(&telemetry, run_dir, true) != 0)
		return json_null();
	status = client_telemetry_get(&telemetry, "/unwired/status");
	client_telemetry_close(&telemetry);
	return status != NULL ? status : json_null();
}

// Adds what only the dataplane knows to the alarms.
static void add_alarms(json_t *alarms, json_t *dataplane)
{
	json_int_t missing = json_integer_value(json_object_get(dataplane, "routes_missing"));

	if (missing > 0)
		json_array_append_new(
			alarms, json_sprintf("the dataplane has no room for %lld routes: raise "
					     "dataplane.max_routes or max_routes_ip6",
					(long long)missing));
}

static int run_status(const struct verb *verb, const struct command *command)
{
	json_t *last = ask(verb, command, NULL, NULL);
	json_t *result = json_object_get(last, "result");
	json_t *status = result != NULL ? json_incref(result) : json_object();
	int code = last != NULL ? EXIT_DONE : EXIT_REFUSED;

	json_object_set_new(status, "dataplane_status", dataplane_status(command->run_dir));
	add_alarms(json_object_get(status, "alarms"), json_object_get(status, "dataplane_status"));
	print_object(command->is_json, status);
	json_decref(status);
	json_decref(last);
	return code;
}

static bool list_line(void *ctx, const json_t *line)
{
	print_list_items(ctx, json_object_get(line, "items"));
	return true;
}

static int run_list(const struct verb *verb, const struct command *command)
{
	struct print_list list = { 0 };
	json_t *last;

	print_list_begin(&list, command->is_json, verb->columns);
	last = ask(verb, command, list_line, &list);
	print_list_end(&list, last != NULL);
	if (last == NULL)
		return EXIT_REFUSED;
	json_decref(last);
	return EXIT_DONE;
}

static bool monitor_line(void *ctx, const json_t *line)
{
	const struct command *command = ctx;
	json_t *event = json_object_get(line, "event");

	if (event != NULL)
		print_event(command->is_json, event);
	return ferror(stdout) == 0;
}

static int run_monitor(const struct verb *verb, const struct command *command)
{
	json_t *last = ask(verb, command, monitor_line, (void *)(uintptr_t)command);

	json_decref(last);
	return last != NULL ? EXIT_DONE : EXIT_REFUSED;
}

static int run_telemetry(const struct verb *verb, const struct command *command)
{
	struct client_telemetry telemetry;
	struct print_list list = { 0 };
	json_int_t next = 0;
	int code = EXIT_DONE;

	if (client_telemetry_open(&telemetry, command->run_dir, false) != 0)
		return EXIT_REFUSED;
	print_list_begin(&list, command->is_json, verb->columns);
	while (next >= 0) {
		char text[128];
		json_t *items, *next_json;
		json_t *reply;
		json_int_t previous = next;

		if (next == 0)
			snprintf(text, sizeof(text), "%s", verb->telemetry);
		else
			snprintf(text, sizeof(text), "%s,%lld", verb->telemetry, (long long)next);
		reply = client_telemetry_get(&telemetry, text);
		if (reply == NULL) {
			code = EXIT_REFUSED;
			break;
		}
		items = json_object_get(reply, "items");
		print_list_items(&list, items);
		next_json = json_object_get(reply, "next");
		next = json_is_integer(next_json) ? json_integer_value(next_json) : -1;
		if (next >= 0 && next <= previous) // would never end
			next = -1;
		json_decref(reply);
	}
	print_list_end(&list, code == EXIT_DONE);
	client_telemetry_close(&telemetry);
	return code;
}

static int run_check(const struct verb *verb, const struct command *command)
{
	struct config *config = config_load(command->argument, stderr);

	(void)verb;
	if (config == NULL)
		return EXIT_REFUSED;
	config_free(config);
	if (command->is_json)
		puts("{\"valid\": true}");
	else
		printf("%s: valid\n", command->argument);
	return EXIT_DONE;
}

// Finds the verb that the words begin with. Returns: its row, with *n_words set, or NULL.
static const struct verb *verb_find(int n, char *const words[], int *n_words)
{
	for (unsigned int i = 0; i < N_VERBS; i++) {
		char two[128];

		if (n >= 1 && strcmp(words[0], verbs[i].name) == 0) {
			*n_words = 1;
			return &verbs[i];
		}
		if (n < 2)
			continue;
		snprintf(two, sizeof(two), "%s %s", words[0], words[1]);
		if (strcmp(two, verbs[i].name) == 0) {
			*n_words = 2;
			return &verbs[i];
		}
	}
	return NULL;
}

static int usage_error(const char *what, const char *detail)
{
	fprintf(stderr, "unwiredctl: %s%s%s (see unwiredctl --help)\n", what,
		detail != NULL ? ": " : "", detail != NULL ? detail : "");
	return EXIT_USAGE;
}

static bool limit_parse(const char *text, uint32_t *out)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || value == 0 || value > UINT32_MAX)
		return false;
	*out = (uint32_t)value;
	return true;
}

static int run(int n, char *const words[], struct command *command)
{
	int n_words = 0;
	const struct verb *verb = verb_find(n, words, &n_words);
	int n_arguments = n - n_words;

	if (n == 0)
		return usage_error("a verb is missing", NULL);
	if (verb == NULL)
		return usage_error("unknown verb", words[0]);
	if (n_arguments < (verb->argument != NULL ? 1 : 0))
		return usage_error("an argument is missing", verb->argument);
	if (n_arguments > (verb->argument != NULL ? 1 : 0))
		return usage_error("unexpected argument", words[n - 1]);
	if (command->is_forced && (verb->options & OPTION_FORCE) == 0)
		return usage_error("--force does not go with", verb->name);
	if (command->network != NULL && (verb->options & OPTION_NETWORK) == 0)
		return usage_error("--network does not go with", verb->name);
	if ((command->after != NULL || command->limit != 0) && (verb->options & OPTION_PAGE) == 0)
		return usage_error("--after and --limit do not go with", verb->name);
	if (verb->argument != NULL)
		command->argument = words[n_words];
	return verb->run(verb, command);
}

int main(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "run-dir", required_argument, NULL, 'r' },
		{ "json", no_argument, NULL, 'j' },
		{ "force", no_argument, NULL, 'f' },
		{ "network", required_argument, NULL, 'n' },
		{ "after", required_argument, NULL, 'a' },
		{ "limit", required_argument, NULL, 'l' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct command command = { .run_dir = "/run/unwired" };
	int option, code;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'r':
			command.run_dir = optarg;
			break;
		case 'j':
			command.is_json = true;
			break;
		case 'f':
			command.is_forced = true;
			break;
		case 'n':
			command.network = optarg;
			break;
		case 'a':
			command.after = optarg;
			break;
		case 'l':
			if (!limit_parse(optarg, &command.limit))
				return usage_error(
					"--limit must be a number of at least 1", optarg);
			break;
		case 'V':
			puts("unwiredctl " UNWIRED_VERSION);
			return EXIT_DONE;
		case 'h':
			print_help(stdout);
			return EXIT_DONE;
		default:
			return EXIT_USAGE;
		}
	}
	code = run(argc - optind, argv + optind, &command);
	if (fflush(stdout) != 0 || ferror(stdout) != 0) {
		perror("unwiredctl: standard output");
		return EXIT_REFUSED;
	}
	return code;
}
