// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "ktap.h"
#include "optin.h"

#define PARAMETER	"/sys/module/kvm/parameters/allow_unsafe_mappings"
#define REQUEST		"kvm.allow_unsafe_mappings=1"

/* False if there is no such file; the text is cut off where the room ends. */
static bool read_file(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, room - 1);
	if (n < 0)
		bail_out("reading %s", path);
	text[n] = '\0';
	close(fd);
	return true;
}

bool opted_in(void)
{
	char text[8];

	return read_file(PARAMETER, text, sizeof(text)) && text[0] == 'Y';
}

bool optin_is_missing(const char *description)
{
	static const char reason[] = "the kernel offers no opt-in";
	char text[4096];

	if (!access(PARAMETER, F_OK) ||
	    !read_file("/proc/cmdline", text, sizeof(text)) || !strstr(text, REQUEST))
		return false;
	ktap_skip(description, reason);
	ktap_skip_rest(reason);
	return true;
}
