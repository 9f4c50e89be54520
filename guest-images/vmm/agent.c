// SPDX-License-Identifier: GPL-2.0-only
/*
 * The other end of the port noref.agent, as L1's process 1.  A line "run WORDS"
 * runs a scenario in a child, "sh COMMAND" a shell; both are answered with the
 * output and "status N".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ktap.h"
#include "vmm.h"

#define MAX_WORDS	8

static int split(char *line, char **words)
{
	int n = 0;

	for (char *word = strtok(line, "\n "); word && n < MAX_WORDS;
	     word = strtok(NULL, "\n "))
		words[n++] = word;
	return n;
}

static void obey(char *line)
{
	char *words[MAX_WORDS];
	int nwords;

	if (!strncmp(line, "sh ", 3)) {
		execl("/bin/sh", "sh", "-c", line + 3, NULL);
		bail_out("starting /bin/sh");
	}
	nwords = split(line, words);
	if (!nwords || strcmp(words[0], "run"))
		bail_out("neither run nor sh");
	exit(run_scenario(nwords - 1, words + 1));
}

/* The status as a shell would give it. */
static int obey_in_child(int port, char *line)
{
	int status;
	pid_t child = fork();

	if (child < 0)
		bail_out("fork");
	if (!child) {
		dup2(port, STDOUT_FILENO);
		dup2(port, STDERR_FILENO);
		obey(line);
	}
	if (waitpid(child, &status, 0) != child)
		bail_out("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/*
 * Nothing is kept open between, so that the module can be unloaded.  The recipe
 * of docs/dmesg-data.md has another module in place of ours.
 */
static void ask_module(unsigned long command)
{
	int fd = open("/dev/noref", O_RDWR);

	if (fd < 0 && errno == ENOENT)
		return;
	if (fd < 0 || ioctl(fd, command, NULL))
		bail_out("ioctl %#lx on /dev/noref", command);
	close(fd);
}

/*
 * Mark the end of the cell in the kernel's log.  Reading /proc/consoles takes
 * and drops the console lock, which prints what another CPU may have left
 * pending: all that the cell caused is on the console from here on.  Not so
 * where the serial driver prints in a thread of its own: the harness waits.
 */
static void end_log(void)
{
	static const char mark[] = "<0>noref: end of cell\n";
	char consoles[512];
	int fd = open("/dev/kmsg", O_WRONLY);

	if (fd < 0 || write(fd, mark, strlen(mark)) < 0)
		bail_out("writing to /dev/kmsg");
	close(fd);
	fd = open("/proc/consoles", O_RDONLY);
	if (fd < 0 || read(fd, consoles, sizeof(consoles)) < 0)
		bail_out("reading /proc/consoles");
	close(fd);
}

int serve(const char *path, const char *facts)
{
	int port = open(path, O_RDWR);
	char line[1024];
	FILE *input;

	if (port < 0)
		bail_out("opening the port %s", path);
	input = fdopen(dup(port), "r");
	if (!input)
		bail_out("reading the port %s", path);

	dprintf(port, "ready %s\n", facts);
	while (fgets(line, sizeof(line), input)) {
		int status;

		/* This may be the first thing that L1 does since it was restored. */
		ask_module(NOREF_REARM);
		status = obey_in_child(port, line);
		/* What the cell left to RCU may complain yet, as the freeing of page tables. */
		ask_module(NOREF_SETTLE);
		end_log();
		dprintf(port, "\nstatus %d\n", status);
	}
	return EXIT_PASSED;
}
