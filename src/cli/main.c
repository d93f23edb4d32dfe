/*
 * Entry point.  Everything else of this floor is in the library, where tests
 * reach it.
 */

#include <sys/stat.h>

#include <stdio.h>
#include <string.h>

#include "script/worker.h"
#include "wire/proto.h"

#include "cli/cmd.h"

int
main(int argc, char *argv[])
{
	struct stat st;
	int status;

	/* A worker is this binary as well, and needs nothing of the rest. */
	if (argc == 2 && strcmp(argv[1], "worker") == 0) {
		if (fstat(PROTO_SOCKET_FD, &st) == 0 && S_ISSOCK(st.st_mode))
			return worker_main(PROTO_SOCKET_FD);
		(void)fputs(
		    "moonpost: a worker is started by the host\n", stderr);
		return CMD_USAGE;
	}
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
