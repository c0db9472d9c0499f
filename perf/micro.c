// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// unwired-micro: what single tables and stages take, in cycles of the time stamp counter.

#include "perf/micro.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eal.h>

#include "dataplane/rcu.h"
#include "perf/bench_site.h"

enum { ROWS_MAX = 256, SAMPLES_MAX = MICRO_OPERATIONS_MAX / MICRO_BURST };

struct row {
	const char *name;
	uint32_t entries;
	unsigned int n_rounds, n_samples;
	double *samples; // of the round under way
	double cycles[MICRO_ROUNDS_MAX];
};

static struct row rows[ROWS_MAX];
static unsigned int n_rows;
static uint64_t random_state = 88172645463325252ULL;

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void micro_sample(const char *name, uint32_t entries, double cycles)
{
	struct row *row = rows;

	while (row < rows + n_rows && (row->name != name || row->entries != entries))
		row++;
	if (row == rows + n_rows) {
		n_rows++;
		row->name = name;
		row->entries = entries;
		row->samples = calloc(SAMPLES_MAX, sizeof(row->samples[0]));
	}
	if (n_rows == ROWS_MAX || row->samples == NULL || row->n_samples == SAMPLES_MAX)
		abort(); // more than this program has
	row->samples[row->n_samples++] = cycles;
}

void micro_round_end(void)
{
	for (struct row *row = rows; row < rows + n_rows; row++) {
		if (row->n_samples == 0)
			continue;
		qsort(row->samples, row->n_samples, sizeof(row->samples[0]), by_value);
		row->cycles[row->n_rounds++] = row->samples[row->n_samples / 2];
		row->n_samples = 0;
	}
}

uint64_t micro_tsc(void)
{
	return rte_rdtsc_precise();
}

uint32_t micro_random(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(((random_state >> 32) * below) >> 32);
}

static void row_write(FILE *f, const struct row *row)
{
	double sorted[MICRO_ROUNDS_MAX];

	memcpy(sorted, row->cycles, row->n_rounds * sizeof(sorted[0]));
	qsort(sorted, row->n_rounds, sizeof(sorted[0]), by_value);
	fprintf(f, "{\"row\": \"%s\", \"entries\": %u, \"cycles\": {\"median\": %.2f, ", row->name,
		row->entries, sorted[row->n_rounds / 2]);
	fprintf(f, "\"min\": %.2f, \"max\": %.2f, \"rounds\": [", sorted[0],
		sorted[row->n_rounds - 1]);
	for (unsigned int i = 0; i < row->n_rounds; i++)
		fprintf(f, "%s%.2f", i == 0 ? "" : ", ", row->cycles[i]);
	fprintf(f, "]}}");
}

// Returns: 0 or negative errno.
static int rows_write(const char *path)
{
	FILE *f = fopen(path, "we");

	if (f == NULL)
		return -errno;
	fprintf(f, "{\"rows\": [\n");
	for (unsigned int r = 0; r < n_rows; r++) {
		row_write(f, &rows[r]);
		fprintf(f, "%s\n", r + 1 < n_rows ? "," : "");
	}
	fprintf(f, "],\n\"machine\": {\"tsc_hz\": %lu}}\n", rte_get_tsc_hz());
	return fclose(f) == 0 ? 0 : -errno;
}

static int measure(uint32_t n, unsigned int rounds, uint32_t operations)
{
	struct bindtab *tab = micro_bindings(n, rounds);
	int error = tab == NULL ? -ENOMEM : 0;

	for (unsigned int r = 0; r < rounds && error == 0; r++) {
		micro_bindtab_round(tab, n, operations);
		error = micro_stages_round(tab, n, operations);
		micro_round_end();
	}
	bindtab_free(tab);
	return error;
}

static const char usage[] = "usage: unwired-micro --json FILE [--rounds N] [--operations N] "
			    "BINDINGS... -- EAL-ARGUMENTS...\n"
			    "Measures tables and stages with each number of bindings. EAL "
			    "arguments must bring net_null0.\n";

struct options {
	const char *json;
	unsigned int rounds;
	uint32_t operations;
};

// Returns: true when they are sound.
static bool options_read(struct options *options, int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "json", required_argument, NULL, 'j' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "operations", required_argument, NULL, 'o' },
		{ 0 },
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		if (opt == 'j')
			options->json = optarg;
		else if (opt == 'r')
			options->rounds = (unsigned int)strtoul(optarg, NULL, 10);
		else if (opt == 'o')
			options->operations = (uint32_t)strtoul(optarg, NULL, 10);
		else
			return false;
	}
	return options->json != NULL && optind < argc && options->rounds >= 1 &&
	       options->rounds <= MICRO_ROUNDS_MAX && options->operations >= MICRO_BURST &&
	       options->operations <= MICRO_OPERATIONS_MAX;
}

int main(int argc, char **argv)
{
	static const uint32_t routes[] = { 1000, 100000 };
	struct options options = { .rounds = 7, .operations = 200000 };
	int eal, error = 0;

	for (eal = 1; eal < argc && strcmp(argv[eal], "--") != 0; eal++)
		;
	if (eal == argc || !options_read(&options, eal, argv)) {
		fputs(usage, stderr);
		return 2;
	}
	if (rte_eal_init(argc - eal, argv + eal) < 0)
		return EXIT_FAILURE;
	error = rcu_init(1);
	for (unsigned int i = 0; i < sizeof(routes) / sizeof(routes[0]) && error == 0; i++)
		error = micro_fib(routes[i], options.rounds, options.operations);
	rcu_free();
	if (error == 0)
		error = site_start();
	for (unsigned int r = 0; r < options.rounds && error == 0; r++) {
		micro_police_round(options.operations);
		micro_round_end();
	}
	for (int i = optind; i < eal && error == 0; i++)
		error = measure(
			(uint32_t)strtoul(argv[i], NULL, 10), options.rounds, options.operations);
	if (error == 0)
		error = rows_write(options.json);
	if (error != 0)
		fprintf(stderr, "unwired-micro: %s\n", strerror(-error));
	rte_eal_cleanup();
	return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
