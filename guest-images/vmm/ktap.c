// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ktap.h"
#include "vmm.h"

static unsigned int planned;
static unsigned int reported;
static unsigned int failed;

void ktap_begin(unsigned int steps)
{
	planned = steps;
	printf("KTAP version 1\n1..%u\n", steps);
	fflush(stdout);
}

bool ktap_step(bool passed, const char *description)
{
	if (++reported > planned)
		bail_out("more steps than the %u planned", planned);
	failed += !passed;
	printf("%s %u %s\n", passed ? "ok" : "not ok", reported, description);
	fflush(stdout);
	return passed;
}

bool ktap_exercise(bool done, const char *description)
{
	char text[200];

	snprintf(text, sizeof(text), "exercise: %s", description);
	return ktap_step(done, text);
}

void ktap_skip(const char *description, const char *reason)
{
	if (++reported > planned)
		bail_out("more steps than the %u planned", planned);
	printf("ok %u %s # SKIP %s\n", reported, description, reason);
	fflush(stdout);
}

void ktap_skip_rest(const char *reason)
{
	while (reported < planned)
		ktap_skip("-", reason);
}

void ktap_detail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("# detail ");
	vprintf(format, args);
	putchar('\n');
	va_end(args);
}

int ktap_end(void)
{
	ktap_skip_rest("an earlier step failed");
	return failed ? EXIT_STEP_FAILED : EXIT_PASSED;
}

void bail_out(const char *format, ...)
{
	int error = errno;
	va_list args;

	va_start(args, format);
	printf("Bail out! ");
	vprintf(format, args);
	printf(" (last errno %d, %s)\n", error, strerror(error));
	fflush(stdout);
	va_end(args);
	exit(EXIT_BAILED_OUT);
}
