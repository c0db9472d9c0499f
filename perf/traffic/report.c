// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "perf/traffic/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

struct report {
	const struct options *options;
	json_t *all, *trials; // trials is borrowed from all
};

static const char *const direction_names[DIRECTIONS] = { "down", "up" };

static const struct {
	const char *name;
	double share;
} percentiles[] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "p99.9", 0.999 } };

struct report *report_new(const struct options *options)
{
	struct report *report = calloc(1, sizeof(*report));
	json_t *sizes = json_array();

	if (report == NULL)
		return NULL;
	report->options = options;
	report->trials = json_array();
	for (unsigned int i = 0; i < options->n_sizes; i++)
		json_array_append_new(sizes, json_integer(options->sizes[i]));
	report->all = json_pack("{s:I, s:o, s:o}", "mobiles", (json_int_t)options->n_mobiles,
		"sizes", sizes, "trials", report->trials);
	return report;
}

void report_registration(struct report *report, const struct registration *found)
{
	printf("bound %u of %u mobiles in %.1f s, %u refused\n", found->bound,
		report->options->n_mobiles, found->seconds, found->refused);
	json_object_set_new(report->all, "registration",
		json_pack("{s:I, s:I, s:f}", "bound", (json_int_t)found->bound, "refused",
			(json_int_t)found->refused, "seconds", found->seconds));
}

static json_t *latency_json(const struct latency *latency)
{
	json_t *us = json_object();

	for (unsigned int i = 0; i < sizeof(percentiles) / sizeof(percentiles[0]); i++)
		json_object_set_new(us, percentiles[i].name,
			json_real((double)latency_at(latency, percentiles[i].share) / 1e3));
	json_object_set_new(us, "max", json_real((double)latency->most_ns / 1e3));
	json_object_set_new(
		us, "mean", json_real((double)latency->sum_ns / 1e3 / (double)latency->n));
	return us;
}

static json_t *direction_json(const struct trial *trial, enum direction direction)
{
	const struct lane_count *count = &trial->counts[direction];
	json_t *found = json_pack("{s:I, s:I, s:I, s:I, s:I, s:f}", "sent", (json_int_t)count->sent,
		"unsent", (json_int_t)count->unsent, "received", (json_int_t)count->received,
		"late", (json_int_t)count->late, "stray", (json_int_t)count->stray, "loss",
		trial_loss(trial, direction));

	if (count->latency.n > 0)
		json_object_set_new(found, "latency_us", latency_json(&count->latency));
	return found;
}

static void direction_print(const struct trial *trial, enum direction direction)
{
	const struct lane_count *count = &trial->counts[direction];

	printf("%12.0f pps %-5s sent %lu received %lu lost %.4f %%", trial->rate,
		direction_names[direction], count->sent, count->received,
		trial_loss(trial, direction) * 100);
	for (unsigned int i = 0; i < sizeof(percentiles) / sizeof(percentiles[0]); i++)
		printf("  %s %.1f", percentiles[i].name,
			(double)latency_at(&count->latency, percentiles[i].share) / 1e3);
	printf("  max %.1f us", (double)count->latency.most_ns / 1e3);
	if (count->unsent > 0)
		printf("  (%lu not taken by the port)", count->unsent);
	if (count->late > 0)
		printf("  (%lu late)", count->late);
	if (count->stray > 0)
		printf("  (%lu AT THE WRONG ADDRESS)", count->stray);
	printf("\n");
}

void report_trial(void *ctx, const struct trial *trial)
{
	struct report *report = ctx;
	json_t *found = json_pack("{s:f, s:f}", "rate", trial->rate, "seconds", trial->seconds);

	for (enum direction d = DOWN; d < DIRECTIONS; d++) {
		if (!report->options->directions[d])
			continue;
		direction_print(trial, d);
		json_object_set_new(found, direction_names[d], direction_json(trial, d));
	}
	fflush(stdout);
	json_array_append_new(report->trials, found);
}

void report_search(struct report *report, double rate)
{
	if (rate > 0)
		printf("highest rate with a loss of at most %g: %.0f packets a second each way\n",
			report->options->max_loss, rate);
	else
		printf("no rate with a loss of at most %g\n", report->options->max_loss);
	json_object_set_new(report->all, "ndr_pps", json_real(rate));
}

int report_end(struct report *report)
{
	const char *path = report->options->json;
	int error = 0;

	if (path != NULL && json_dump_file(report->all, path, JSON_INDENT(1)) != 0) {
		fprintf(stderr, "%s: cannot be written: %s\n", path, strerror(errno));
		error = -EIO;
	}
	json_decref(report->all);
	free(report);
	return error;
}
