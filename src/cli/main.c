/*
 * Entry point.  Everything else of this floor is in the library, where tests
 * reach it.
 */

#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"

int
main(int argc, char *argv[])
{
	int status;

	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		(void)puts("moonpost " MOONPOST_VERSION);
		status = CMD_GOOD;
	} else {
		status = cmd_main(argv + (argc > 0));
	}

	/* A full disk behind standard output is a failure like any other. */
	if (fflush(stdout) != 0 && status == CMD_GOOD) {
		perror("moonpost: cannot write the output");
		status = CMD_UNREACHABLE;
	}
	return status;
}
