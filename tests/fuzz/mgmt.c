// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// Fuzz target: a request line of the management socket. What is accepted is whole and in range, what is
// refused says why.

#include "controlplane/mgmt_request.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
	if (memchr(text, '\0', MGMT_TEXT_MAX + 1) == NULL)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[MGMT_ERROR_LEN] = "";
	struct mgmt_request request;
	int result = mgmt_request_parse((const char *)data, size, &request, error);

	if (memchr(error, '\0', sizeof(error)) == NULL || (result != 0) != (error[0] != '\0'))
		abort();
	check_text(request.key);
	check_text(request.network);
	check_text(request.after);
	if (result == 0 && request.verb >= MGMT_N_VERBS)
		abort();
	if (result == 0 && request.verb == MGMT_CLEAR_BINDING && request.key[0] == '\0')
		abort();
	return 0;
}
