// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// What a listener does when connections cannot be accepted.
#pragma once

struct evconnlistener;

// Makes a listener that cannot accept (no descriptors left) rest for a moment before it tries again;
// by itself it would take all CPU time. Thread: the loop's.
void accept_rests_on_error(struct evconnlistener *listener);
