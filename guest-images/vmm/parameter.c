// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ktap.h"
#include "parameter.h"

#define ROOM	4096

/* False if there is no such file; what is longer than the room is cut off. */
static bool read_file(const char *path, char text[ROOM])
{
	int fd = open(path, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, ROOM - 1);
	if (n < 0)
		bail_out("reading %s", path);
	text[n] = '\0';
	close(fd);
	return true;
}

static bool read_parameter(const char *module, const char *name, char text[ROOM])
{
	char path[256];

	snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s", module, name);
	return read_file(path, text);
}

bool parameter_exists(const char *module, const char *name)
{
	char text[ROOM];

	return read_parameter(module, name, text);
}

/* A bool reads Y, an int that is used as one reads 1. */
bool parameter_is_on(const char *module, const char *name)
{
	char text[ROOM];

	return read_parameter(module, name, text) && (text[0] == 'Y' || text[0] == '1');
}

bool was_booted_with(const char *words)
{
	char text[ROOM];

	return read_file("/proc/cmdline", text) && strstr(text, words);
}
