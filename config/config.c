// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "config/config.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/check.h"
#include "config/fault.h"
#include "config/read.h"

enum {
	FILE_MAX = 16 * 1024 * 1024, // bytes of a configuration file
	MAX_ROUTES_IP6 =
		262144, // unless it is said: room for the Internet's, which are fewer than IPv4's
};

static bool has_domain(const struct config_dataplane *dataplane, uint32_t domain)
{
	for (unsigned int i = 0; i < dataplane->n_domains; i++) {
		if (dataplane->domains[i] == domain)
			return true;
	}
	return false;
}

// Collects the domains of the VLANs; those beyond CONFIG_MAX_DOMAINS are left to check_config.
static void derive_domains(struct config_dataplane *dataplane)
{
	dataplane->n_domains = 1; // domain 0
	for (unsigned int p = 0; p < dataplane->n_ports; p++) {
		for (unsigned int v = 0; v < dataplane->ports[p].n_vlans; v++) {
			uint32_t domain = dataplane->ports[p].vlans[v].domain;

			if (!has_domain(dataplane, domain) &&
				dataplane->n_domains < CONFIG_MAX_DOMAINS)
				dataplane->domains[dataplane->n_domains++] = domain;
		}
	}
}

// Defaults that depend on the machine or on other keys.
static void derive(struct config *config)
{
	struct config_dataplane *dataplane = &config->dataplane;
	uint32_t longest_s = 0;

	if (dataplane->n_workers == 0) {
		dataplane->n_workers = 1;
		dataplane->worker_cores[0] = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 1 : 0;
	}
	for (unsigned int i = 0; i < config->n_networks; i++) {
		struct config_network *network = &config->networks[i];
		json_t *item =
			json_array_get(json_object_get(config->document, "home_networks"), i);

		if (network->max_lifetime_s > longest_s)
			longest_s = network->max_lifetime_s;
		if (json_object_get(item, "encapsulation_limit") == NULL)
			network->encapsulation_limit = CONFIG_NO_ENCAPSULATION_LIMIT;
		if (json_object_get(item, "mesg_id_required") == NULL)
			network->mesg_id_required = network->auth == CONFIG_AUTH_OPTION;
		if (network->auth == CONFIG_AUTH_IPSEC) {
			if (json_object_get(item, "protect") == NULL)
				network->protect = CONFIG_PROTECT_SIGNALLING |
						   CONFIG_PROTECT_DISCOVERY |
						   CONFIG_PROTECT_ROUTABILITY;
			if (dataplane->max_sas == 0)
				dataplane->max_sas = CONFIG_DEFAULT_SAS;
		}
	}
	derive_domains(dataplane);
	if (dataplane->max_routes_ip6 == 0)
		dataplane->max_routes_ip6 = dataplane->max_routes < MAX_ROUTES_IP6
						    ? dataplane->max_routes
						    : MAX_ROUTES_IP6;
	if (dataplane->orphan_hold_s == 0)
		dataplane->orphan_hold_s = longest_s > 0 ? longest_s : 420;
}

// Makes a relative path one from the folder of the configuration file. Returns: 0 or -ENOMEM.
static int anchor_path(char **path, const char *config_file)
{
	const char *slash = strrchr(config_file, '/');
	char *anchored;

	if (*path == NULL || (*path)[0] == '/' || slash == NULL)
		return 0;
	if (asprintf(&anchored, "%.*s/%s", (int)(slash - config_file), config_file, *path) < 0)
		return -ENOMEM;
	free(*path);
	*path = anchored;
	return 0;
}

// Reads and checks config->document into the rest of config. Returns: 0, -EINVAL or -ENOMEM.
static int fill(struct config *config, struct fault_log *log)
{
	int error = read_document(config->document, config, log);

	if (error != 0)
		return error;
	derive(config);
	check_config(config, log);
	if (log->n > 0)
		return -EINVAL;
	return anchor_path(&config->subscribers.file, log->file);
}

struct config *config_parse(const char *text, size_t len, const char *name, FILE *err)
{
	struct fault_log log = { .file = name, .out = err };
	struct config *config = calloc(1, sizeof(*config));
	json_error_t where;
	int error;

	if (config == NULL)
		return NULL;
	config->document = json_loadb(text, len, JSON_REJECT_DUPLICATES, &where);
	if (config->document == NULL) {
		fault_write(&log, "line %d column %d: %s (allowed: JSON, no key twice)", where.line,
			where.column, where.text);
		error = -EINVAL;
	} else if (!json_is_object(config->document)) {
		fault_write(&log, "line 1 column 1: is not an object (allowed: an object)");
		error = -EINVAL;
	} else {
		error = fill(config, &log);
	}
	if (error == 0)
		return config;
	config_free(config);
	errno = -error;
	return NULL;
}

// Reads what there is of an open file. Returns: its owned text, or NULL with errno.
static char *slurp(FILE *file, size_t *len)
{
	char *text = malloc(FILE_MAX + 2);
	int error = 0;

	if (text == NULL)
		return NULL;
	*len = fread(text, 1, FILE_MAX + 1, file);
	if (ferror(file))
		error = errno;
	else if (*len > FILE_MAX)
		error = EFBIG;
	if (error != 0) {
		free(text);
		text = NULL;
	} else {
		text[*len] = '\0';
	}
	errno = error;
	return text;
}

char *config_read(const char *path, size_t *len, FILE *err)
{
	struct fault_log log = { .file = path, .out = err };
	FILE *file = fopen(path, "re");
	char *text = file != NULL ? slurp(file, len) : NULL;
	int error = errno;

	if (file != NULL)
		fclose(file);
	if (text == NULL)
		fault_write(&log, "cannot be read: %s (allowed: a file of at most %u bytes)",
			strerror(error), FILE_MAX);
	errno = error;
	return text;
}

struct config *config_load(const char *path, FILE *err)
{
	struct config *config;
	size_t len = 0;
	char *text = config_read(path, &len, err);
	int error;

	if (text == NULL)
		return NULL;
	config = config_parse(text, len, path, err);
	error = errno;
	free(text);
	errno = error;
	return config;
}

void config_free(struct config *config)
{
	if (config == NULL)
		return;
	for (unsigned int i = 0; i < CONFIG_MAX_PORTS; i++)
		free(config->dataplane.ports[i].device);
	free(config->networks);
	free(config->subscribers.file);
	free(config->telemetry.listen);
	json_decref(config->document);
	free(config);
}
