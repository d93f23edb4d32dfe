#ifndef WIRE_WALL_H_
#define WIRE_WALL_H_

/*
 * The process wall: what is left of the kernel to a worker once it runs
 * strangers' code.  It is the last line: a script has no way to a system call,
 * unless there is a hole in Lua, in libcurl or in what is under them.
 *
 * - No new privileges, no core dump, no look into its memory from outside.
 * - A seccomp filter: an allow list of what Lua, malloc, libevent, libcurl, TLS
 *   and glibc's resolver need.  Sockets are IPv4 and IPv6 streams and datagrams
 *   (and unnamed pairs), files are opened for reading, clones are threads,
 *   memory is never writable and executable, a signal goes to itself only.
 *   What is not on the list fails with EPERM; what no library ever tries and an
 *   intruder would (execve, ptrace, mount, bpf, ...) kills the process.
 * - Landlock, where the kernel has it: of all files, those that resolving a
 *   name, the system's TLS roots and time zones take can be read.
 * - Standard error is /dev/null.
 *
 * An instrumented build (base/compiler.h) writes files, traces and forks, so
 * there Landlock is left out, and of the filter only what kills is there.
 *
 * Floor: 3 (wire).  May include base/.
 */

struct buf;

/* Parts that are optional. */
enum wall_kind {
	WALL_WHOLE,
	/* For a script that the user has exempted (--unsafe-stdlib): no filter
	 * and no Landlock, as it may open files and run programs; the rest
	 * stays. */
	WALL_OPEN,
};

/**
 * wall_raise(kind, ret_missing):
 * Raise the wall around this process, for good.  What cannot be had (an old
 * kernel, a container that forbids it) is appended to ${ret_missing}, as text
 * for a log line; nothing is appended if the wall stands as ${kind} says.
 *
 * Thread:    the only one of the process.  Everything that the worker opens for
 *            itself (its loop, its page) must be open.
 */
void wall_raise(enum wall_kind kind, struct buf *ret_missing);

/**
 * wall_hide():
 * For a host with a worker whose wall is open: no other process of the user
 * sees the memory or the environment of this one, nor is there a core dump.
 */
void wall_hide(void);

#endif /* !WIRE_WALL_H_ */
