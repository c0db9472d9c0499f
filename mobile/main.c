// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// unwired-mobile: a Mobile IPv6 mobile node in user space.

#include "mobile/client.h"
#include "mobile/command.h"

int main(int argc, char **argv)
{
	static struct options options;
	static struct client client;
	int status = options_parse(argc, argv, &options);

	if (status >= 0)
		return status;
	if (options.n_words > 0)
		return command_send(options.control, options.n_words, options.words);
	log_init("unwired-mobile", options.log_level);
	if (client_start(&client, &options) < 0)
		return 1;
	status = client_run(&client) < 0 ? 1 : 0;
	client_stop(&client);
	return status;
}
