// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/tun.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/if_tun.h>

enum {
	BUSY_RETRIES = 600, // of 50 ms
	BUSY_RETRY_US = 50000,
};

int tun_open(const char *name, short flags)
{
	struct ifreq ifr = { .ifr_flags = (short)(flags | IFF_NO_PI) };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	for (unsigned int i = 0; ioctl(fd, TUNSETIFF, &ifr) != 0; i++) {
		int error = -errno;

		if (error != -EBUSY || i == BUSY_RETRIES) {
			close(fd);
			return error;
		}
		usleep(BUSY_RETRY_US);
	}
	return fd;
}
