// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Fuzz target: the configuration reader. A text is either taken without a word or refused with
// whole lines; a configuration that was taken does not differ from itself.

#include "config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *errors = NULL;
	size_t len = 0;
	FILE *err = open_memstream(&errors, &len);
	struct config *config = config_parse((const char *)data, size, "dir/F", err);

	fclose(err);
	if (config != NULL) {
		if (len != 0 || config->dataplane.n_ports == 0 || config->dataplane.n_workers == 0)
			abort();
		if (config_diff(config, config, NULL, NULL) != 0)
			abort();
	} else if (errno != EINVAL || len == 0 || errors[len - 1] != '\n' ||
		   strncmp(errors, "dir/F: ", 7) != 0) {
		abort();
	}
	config_free(config);
	free(errors);
	return 0;
}
