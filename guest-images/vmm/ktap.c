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
	while (reported < planned)
		printf("ok %u - # SKIP an earlier step failed\n", ++reported);
	fflush(stdout);
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
