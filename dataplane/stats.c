// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/stats.h"

const char *const drop_names[DROP_MAX] = {
#define X(name, text) [DROP_##name] = #name,
	DROP_REASONS(X)
#undef X
};

const char *const drop_texts[DROP_MAX] = {
#define X(name, text) [DROP_##name] = text,
	DROP_REASONS(X)
#undef X
};
