#ifndef SCRIPT_WORKER_H_
#define SCRIPT_WORKER_H_

/*
 * The worker process: scripts are loaded here and jobs are run, on the word of
 * the host at the other end of a socket (wire/proto.h).
 *
 * Floor: 4 (script).  May include base/, json/.
 */

struct proto_page;

/**
 * worker_main(fd):
 * Be a worker on the socket ${fd} until it closes, or until PROTO_STOP and the
 * last run.  Descriptor PROTO_PAGE_FD is the status page, if it is one.
 *
 * Returns:   the exit status: 0, or 3 if the host said something that is not
 *            in the protocol (it is told on standard error).
 * Ownership: consumes ${fd}.
 * Thread:    the only one of its process.  Blocks.
 */
int worker_main(int fd);

#endif /* !SCRIPT_WORKER_H_ */
