#ifndef WIRE_SPAWN_H_
#define WIRE_SPAWN_H_

/*
 * Starting a worker process: this same binary with the command `worker`, an
 * empty environment, and no descriptor of the host's but standard error, its
 * end of the socketpair and the status page.
 *
 * What it may do is narrowed before it runs a line: it dies with the thread
 * that started it, gains no privileges, dumps no core, and has limits on
 * descriptors and on its address space.  (Not on the number of processes: that
 * one counts all of the user's, and libcurl resolves names in threads.)
 *
 * Floor: 3 (wire).  May include base/.
 */

#include <sys/types.h>

#include <stdint.h>

#include "base/compiler.h"

#include "wire/proto.h"

struct err;

struct worker_proc {
	pid_t pid;
	int fd; /* Our end: non-blocking, close-on-exec. */
	const struct proto_page *page; /* What it is at; read-only. */
};

/* A worker_proc that holds nothing. */
#define WORKER_PROC_INIT                                                       \
	{                                                                      \
		-1, -1, NULL                                                   \
	}

/**
 * worker_spawn(program, address_bytes, ret, err):
 * Start a worker from the binary ${program} ("/proc/self/exe" as a rule, which
 * stays the same binary when its file is replaced).
 *
 * Units:     ${address_bytes} is its address space (what Lua's own cap does not
 *            see: buffers of C libraries, threads' stacks), 0 for no limit.
 *            Builds with a sanitizer set none, as those need terabytes.
 * Returns:   0 once the new program runs.  The caller waits for ${ret}->pid.
 * Errors:    ERR_UNAVAILABLE  no more processes, descriptors or memory, or
 *                             ${program} cannot be run.
 * Ownership: free with worker_proc_clear().
 * Thread:    one that lives as long as the worker should: the worker is killed
 *            when it ends.  Blocks until the program has started.
 */
int worker_spawn(const char *program, uint64_t address_bytes,
    struct worker_proc *ret, struct err *err) ATTR_MUSTCHECK;

/**
 * worker_proc_clear(proc):
 * Close the socket and unmap the page.  The process is neither killed nor
 * waited for; a worker ends by itself when its socket closes.
 */
void worker_proc_clear(struct worker_proc *proc);

#endif /* !WIRE_SPAWN_H_ */
