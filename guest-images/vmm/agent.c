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
#include <sys/reboot.h>
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

static void __noreturn obey(char *line)
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

/*
 * Nothing is kept open between, so that the module can be unloaded.  The recipe
 * of docs/dmesg-data.md has another module in place of ours.
 */
static int open_module(void)
{
	int fd = open("/dev/noref", O_RDWR);

	if (fd < 0 && errno != ENOENT)
		bail_out("opening /dev/noref");
	return fd;
}

static void ask_module(int fd, unsigned long command)
{
	if (fd < 0)
		return;
	if (ioctl(fd, command, NULL))
		bail_out("ioctl %#lx on /dev/noref", command);
	close(fd);
}

/* The other side sends a line, and nothing more before it has the answer. */
static void read_line(int port, char *line, size_t size)
{
	size_t got = 0;

	do {
		ssize_t n = read(port, line + got, size - 1 - got);

		if (n < 0)
			bail_out("reading the port");
		/* Nobody is there any more, or talks to somebody else. */
		if (!n)
			reboot(RB_POWER_OFF);
		got += n;
	} while (line[got - 1] != '\n');
	line[got] = '\0';
}

/*
 * What is done before the line is read is done once, before L1 is saved, and the
 * rest each time that it is restored: so the child is there before its command.
 */
static void __noreturn wait_and_obey(int port, const char *facts)
{
	int module = open_module();
	char line[1024];

	if (facts)
		dprintf(port, "ready %s\n", facts);
	read_line(port, line, sizeof(line));
	/* This may be the first thing that L1 does since it was restored. */
	ask_module(module, NOREF_REARM);
	dup2(port, STDOUT_FILENO);
	dup2(port, STDERR_FILENO);
	obey(line);
}

/* The status as a shell would give it. */
static int serve_once(int port, const char *facts)
{
	int status;
	pid_t child = fork();

	if (child < 0)
		bail_out("fork");
	if (!child)
		wait_and_obey(port, facts);
	if (waitpid(child, &status, 0) != child)
		bail_out("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
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

void serve(const char *path, const char *facts)
{
	int port = open(path, O_RDWR);

	if (port < 0)
		bail_out("opening the port %s", path);
	/* What booting left to RCU is not the cell's. */
	ask_module(open_module(), NOREF_SETTLE);
	for (;;) {
		int status = serve_once(port, facts);

		/* What the cell left to RCU may complain yet, as the freeing of page tables. */
		ask_module(open_module(), NOREF_SETTLE);
		end_log();
		dprintf(port, "\nstatus %d\n", status);
		facts = NULL;
	}
}
