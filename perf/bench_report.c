// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "perf/bench_report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_version.h>

#include "dataplane/worker.h"

static json_t *rows;

void report_extra(struct result *r, const char *name, double value)
{
	if (r->extra == NULL)
		r->extra = json_object();
	json_object_set_new(r->extra, name, json_real(value));
}

void report_sample(struct result *r, const char *name, double value)
{
	json_t *all = r->extra == NULL ? NULL : json_object_get(r->extra, name);

	if (all == NULL) {
		if (r->extra == NULL)
			r->extra = json_object();
		all = json_array();
		json_object_set_new(r->extra, name, all);
	}
	json_array_append_new(all, json_real(value));
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static json_t *spread(double *values, unsigned int n)
{
	json_t *rounds = json_array();

	for (unsigned int i = 0; i < n; i++)
		json_array_append_new(rounds, json_real(values[i]));
	qsort(values, n, sizeof(values[0]), by_value);
	return json_pack("{s:f, s:f, s:f, s:o}", "median", values[n / 2], "min", values[0], "max",
		values[n - 1], "rounds", rounds);
}

// Turns lists of samples into what is said of them.
static void samples_spread(json_t *extra)
{
	const char *name;
	json_t *all;
	void *next;

	json_object_foreach_safe(extra, next, name, all)
	{
		double values[REPORT_ROUNDS_MAX];
		unsigned int n = (unsigned int)json_array_size(all);

		for (unsigned int i = 0; i < n; i++)
			values[i] = json_real_value(json_array_get(all, i));
		if (n > 0)
			json_object_set_new(extra, name, spread(values, n));
	}
}

bool report_choose(
	char *list, const char *(*name_of)(unsigned int i), bool *is_wanted, unsigned int n)
{
	char *save, *name = strtok_r(list, ",", &save);
	unsigned int i;

	memset(is_wanted, 0, n * sizeof(*is_wanted));
	for (; name != NULL; name = strtok_r(NULL, ",", &save)) {
		for (i = 0; i < n && strcmp(name_of(i), name) != 0; i++)
			;
		if (i == n) {
			fprintf(stderr, "--rows: no row %s\n", name);
			return false;
		}
		is_wanted[i] = true;
	}
	return true;
}

void report_row(const struct result *r)
{
	double sorted[REPORT_ROUNDS_MAX], p50 = traffic_burst_ns(r->bursts, 0.5),
					  p99 = traffic_burst_ns(r->bursts, 0.99),
					  p999 = traffic_burst_ns(r->bursts, 0.999);
	json_t *row = json_pack("{s:s, s:I}", "row", r->row, "bindings", (json_int_t)r->n_bindings);
	char *extra = NULL;

	if (r->extra != NULL) {
		samples_spread(r->extra);
		extra = json_dumps(r->extra, JSON_REAL_PRECISION(4) | JSON_COMPACT);
	}
	printf("%-16s %9u", r->row, r->n_bindings);
	if (r->n_rounds > 0) {
		memcpy(sorted, r->ns, sizeof(sorted));
		json_object_set_new(row, "ns", spread(sorted, r->n_rounds));
		printf(" %7.2f ns [%.2f..%.2f]", sorted[r->n_rounds / 2], sorted[0],
			sorted[r->n_rounds - 1]);
	}
	if (p50 > 0) {
		json_object_set_new(row, "burst_ns",
			json_pack("{s:f, s:f, s:f}", "p50", p50, "p99", p99, "p99.9", p999));
		printf("  burst %.0f %.0f %.0f ns", p50, p99, p999);
	}
	if (r->extra != NULL)
		json_object_set(row, "extra", r->extra);
	printf("%s%s\n", extra == NULL ? "" : "  ", extra == NULL ? "" : extra);
	fflush(stdout);
	free(extra);
	if (rows == NULL)
		rows = json_array();
	json_array_append_new(rows, row);
}

// The name that the processor gives itself.
static void cpu_name(char *name, size_t size)
{
	static const char label[] = "model name";
	FILE *f = fopen("/proc/cpuinfo", "r");
	char line[256], *colon;

	snprintf(name, size, "unknown");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		colon = strchr(line, ':');
		if (strncmp(line, label, sizeof(label) - 1) != 0 || colon == NULL)
			continue;
		line[strcspn(line, "\n")] = 0;
		snprintf(name, size, "%s", colon + 2);
		break;
	}
	if (f != NULL)
		fclose(f);
}

int report_write(const char *path)
{
	char cpu[256];
	json_t *all;
	int error;

	cpu_name(cpu, sizeof(cpu));
	all = json_pack("{s:o, s:{s:s, s:I, s:I, s:b, s:s, s:I}}", "rows",
		rows == NULL ? json_array() : rows, "machine", "cpu", cpu, "cpus",
		(json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "tsc_hz", (json_int_t)rte_get_tsc_hz(),
		"hugepages", rte_eal_has_hugepages(), "dpdk", rte_version(), "burst",
		(json_int_t)BURST);
	rows = NULL;
	error = json_dump_file(all, path, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
	json_decref(all);
	if (error != 0)
		fprintf(stderr, "%s: cannot be written: %s\n", path, strerror(errno));
	return error;
}
