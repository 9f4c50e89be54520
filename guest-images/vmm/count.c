// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "count.h"
#include "ktap.h"
#include "vmm.h"

/* The file of /dev/noref that counts. */
static int fd = -1;

uint64_t calls_of(const char *function)
{
	struct noref_calls calls = {};

	snprintf(calls.function, sizeof(calls.function), "%s", function);
	if (ioctl(fd, NOREF_CALLS, &calls))
		bail_out("counting calls of %s", function);
	return calls.count;
}

void count_calls(const char * const *functions, size_t nfunctions)
{
	if (fd >= 0)
		close(fd);
	fd = open("/dev/noref", O_RDWR);
	if (fd < 0)
		bail_out("opening /dev/noref");
	for (size_t i = 0; i < nfunctions; i++)
		calls_of(functions[i]);
}
