// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "perf/load_report.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/base/clock.h"

enum { STEP_BITS = 5, BAR = 40 };

struct report {
	const char *path; // borrowed, NULL: standard output
	json_t *rows; // owned
	bool has_terminal;
	uint64_t shown_ns;
};

// Values below 32 as they are; then 32 steps for each doubling.
static uint32_t slot_of(uint32_t us)
{
	uint32_t shift = 0;

	while (us >> shift >= 2U << STEP_BITS)
		shift++;
	return (shift << STEP_BITS) + (us >> shift);
}

// The highest value of a slot.
static uint32_t value_of(uint32_t slot)
{
	uint32_t shift = slot >> STEP_BITS;

	if (shift <= 1)
		return slot;
	shift--;
	return ((slot - (shift << STEP_BITS) + 1) << shift) - 1;
}

void report_latency_add(struct report_latency *latency, uint32_t us)
{
	latency->counts[slot_of(us)]++;
	latency->n++;
	if (us > latency->max_us)
		latency->max_us = us;
}

static uint32_t quantile(const struct report_latency *latency, double q)
{
	uint64_t n = 0;

	for (uint32_t slot = 0; slot < REPORT_LATENCIES; slot++) {
		n += latency->counts[slot];
		if ((double)n >= q * (double)latency->n)
			return value_of(slot);
	}
	return latency->max_us;
}

void report_row_add(struct report_row *row, double cpu_us, double rate)
{
	if (row->n_rounds == REPORT_ROUNDS_MAX)
		return;
	row->cpu_us[row->n_rounds] = cpu_us;
	row->rates[row->n_rounds++] = rate;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static json_t *spread(const double *values, size_t n)
{
	double sorted[REPORT_ROUNDS_MAX];
	json_t *rounds = json_array();

	memcpy(sorted, values, n * sizeof(*values));
	qsort(sorted, n, sizeof(*sorted), compare);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(rounds, json_real(values[i]));
	return json_pack("{s:f, s:f, s:f, s:o}", "median", sorted[n / 2], "min", sorted[0], "max",
		sorted[n - 1], "rounds", rounds);
}

void report_row_second(
	struct report_row *row, struct report_latency *all, struct report_latency *second)
{
	if (second->n > 0 && row->n_seconds < REPORT_SECONDS_MAX)
		row->p99_us[row->n_seconds++] = quantile(second, 0.99);
	for (uint32_t slot = 0; slot < REPORT_LATENCIES; slot++)
		all->counts[slot] += second->counts[slot];
	all->n += second->n;
	if (second->max_us > all->max_us)
		all->max_us = second->max_us;
	*second = (struct report_latency){ 0 };
}

double report_row_rate(const struct report_row *row)
{
	double sorted[REPORT_ROUNDS_MAX];

	memcpy(sorted, row->rates, sizeof(sorted));
	qsort(sorted, row->n_rounds, sizeof(*sorted), compare);
	return sorted[row->n_rounds / 2];
}

struct report *report_open(const char *path)
{
	struct report *report = calloc(1, sizeof(*report));

	if (report == NULL)
		return NULL;
	report->path = path;
	report->rows = json_array();
	report->has_terminal = isatty(STDERR_FILENO);
	return report;
}

void report_close(struct report *report)
{
	json_t *all = json_pack("{s:o}", "rows", report->rows);

	if (report->path == NULL) {
		json_dumpf(all, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
		printf("\n");
	} else if (json_dump_file(all, report->path, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) !=
		   0) {
		perror(report->path);
	}
	json_decref(all);
	free(report);
}

void report_progress(struct report *report, const char *what, double share)
{
	static const char full[] = "########################################";
	uint64_t now_ns = clock_mono_ns();

	if (!report->has_terminal || now_ns - report->shown_ns < CLOCK_NS_PER_S / 10)
		return;
	report->shown_ns = now_ns;
	fprintf(stderr, "\r%-14s [%-*.*s] %3.0f %%", what, BAR, (int)(share * BAR), full,
		share * 100);
}

static void add(struct report *report, json_t *row)
{
	if (report->has_terminal)
		fprintf(stderr, "\r%*s\r", BAR + 24, "");
	json_array_append_new(report->rows, row);
}

static json_t *quantiles(const struct report_latency *l)
{
	return json_pack("{s:i, s:i, s:i, s:i, s:I}", "p50", (int)quantile(l, 0.5), "p99",
		(int)quantile(l, 0.99), "p99.9", (int)quantile(l, 0.999), "max", (int)l->max_us,
		"answers", (json_int_t)l->n);
}

// What is said beside the latencies of a paced run.
static void add_paced(json_t *extra, const struct report_row *row)
{
	json_object_set_new(extra, "latency_at_updates_per_s", json_real(row->rate_paced));
	json_object_set_new(extra, "p99_us_of_seconds", spread(row->p99_us, row->n_seconds));
	json_object_set_new(extra, "cpu_us_paced", json_real(row->cpu_us_paced));
	json_object_set_new(extra, "undisturbed_us", quantiles(row->undisturbed));
	json_object_set_new(extra, "waited_for_a_core_ms", json_real(row->waited_ms));
}

void report_row_write(struct report *report, const struct report_row *row)
{
	const struct report_latency *l = row->latency;
	json_t *extra = json_pack("{s:I, s:I}", "refused", (json_int_t)row->n_refused, "lost",
		(json_int_t)row->n_lost);
	json_t *out =
		json_pack("{s:s, s:I}", "row", row->name, "bindings", (json_int_t)row->n_bindings);

	if (row->n_rounds > 0) {
		json_object_set_new(out, "cpu_us", spread(row->cpu_us, row->n_rounds));
		json_object_set_new(extra, "updates_per_s", spread(row->rates, row->n_rounds));
	}
	if (l != NULL && l->n > 0)
		json_object_set_new(out, "latency_us", quantiles(l));
	if (l != NULL && l->n > 0 && row->n_seconds > 0)
		add_paced(extra, row);
	json_object_set_new(out, "extra", extra);
	add(report, out);
}

void report_filling(struct report *report, uint32_t n_bindings, double took_s)
{
	add(report, json_pack("{s:s, s:I, s:{s:f}}", "row", "reg_filling", "bindings",
			    (json_int_t)n_bindings, "extra", "seconds", took_s));
}
