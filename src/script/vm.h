#ifndef SCRIPT_VM_H_
#define SCRIPT_VM_H_

/*
 * One Lua state with a cap on its memory and on the CPU time of a slice, and
 * the tasks (one coroutine each) that run in it.
 *
 * A slice is one stretch of Lua, from a resume to the next wait.  A task ends
 * when its function returns or raises an error, when it breaks a limit, or when
 * the script ends it (event:retry, event:drop); the last two cannot be caught.
 *
 * Floor: 4 (script).  May include base/, json/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"

#include "wire/proto.h"

struct err;
struct event_base;
struct fetch;
struct lua_State;
struct questions;
struct vclock;
struct vm;
struct vm_task;

struct vm_limits {
	uint64_t mem_bytes;  /* Cap of the state; 0 is none. */
	uint64_t cpu_ms;     /* CPU of a slice; 0 is none. */
	uint64_t handler_ms; /* Wall time of a task; 0 is none. */
	int debug;           /* Pass on log.debug too. */
	int unsafe;          /* Open all of Lua's libraries. */
};

/* How a vm reaches the world: kept, must outlive every vm. */
struct vm_host {
	void *cookie;
	/* One line of the log; borrowed. */
	void (*log)(void *cookie, uint64_t job, const struct proto_log *log);
	/* The value of a secret of the script, or NULL; for free(). */
	char *(*secret)(void *cookie, uint64_t bundle, const char *name);
	/* The client for outbound HTTP, made when it is first asked for; NULL:
	 * there is none.  The one to Sentry asks no guard. */
	struct fetch *(*fetch)(void *cookie, int to_sentry);
	/* An outbound call of a job is over; borrowed.  May be NULL. */
	void (*call)(void *cookie, uint64_t job, const struct proto_call *call);
	/* Where to ask the store; NULL: there is none. */
	struct questions *questions;
	/* Where to ask the host by topic; NULL: there is nobody to ask. */
	struct questions *asks;
	/* Where to write what runs; never NULL. */
	struct proto_page *page;
	/* The time of a test (script/timer.h); NULL: the machine's. */
	struct vclock *clock;
};

/* What a state is for: kept, must outlive the vm. */
struct vm_script {
	uint64_t bundle;
	const char *integration;
	const char *name;             /* "on_issue"; in log lines. */
	const char *chunk;            /* "scripts/on_issue.lua" */
	const struct proto_lib *libs; /* What require can find. */
	size_t nlibs;
	unsigned char *required; /* One flag a lib, set when it is. */
};

/*
 * A task is over: called once a task, unless vm_free() came first.  ${outcome}
 * is borrowed.  ${broke_memory}: the state is full, and of no use any more.
 * The task is gone already, and the vm may be freed in here.
 */
typedef void vm_done_cb(
    void *cookie, const struct proto_outcome *outcome, int broke_memory);

/**
 * vm_create(base, limits, host, script, err):
 * Make a state with the sandbox (script/sandbox.h) in it.
 *
 * Errors:    ERR_UNAVAILABLE  the cap is too low to hold even that.
 * Ownership: the caller frees with vm_free(); keeps ${base}, ${host} and
 *            ${script}, copies ${limits}.
 * Thread:    the calling thread becomes its owner.
 */
struct vm *vm_create(struct event_base *base, const struct vm_limits *limits,
    const struct vm_host *host, const struct vm_script *script,
    struct err *err) ATTR_MUSTCHECK;

/**
 * vm_free(vm):
 * Cancel every task, without a word to their callbacks, and free ${vm}.
 *
 * Thread:    owner; not from Lua.  From a vm_done_cb it is allowed.
 */
void vm_free(struct vm *vm);

/*
 * What vm_start() begins a task with.  ${push}(L, cookie) is called in
 * protected mode on an empty stack and pushes a function and its arguments.
 */
struct vm_start {
	enum proto_activity activity; /* And its id: for the status page. */
	uint64_t id;
	uint64_t job;         /* For log lines; 0 is none. */
	const char *what;     /* In tracebacks: "handler on_issue".  Copied. */
	int loading;          /* Nothing in it may wait. */
	uint64_t deadline_ms; /* Wall time; 0: that of the limits. */
	uint64_t spent_ms;    /* What of it is gone already. */
	uint64_t grace_ms;    /* It is ended so much later. */
	int awaited;          /* Somebody waits for its answer: it is no job. */
	/* Looks at the values that the function returned, on top of ${co};
	 * must not raise.  NULL if nobody cares. */
	void (*results)(struct lua_State *co, int n, void *cookie);
	void (*push)(struct lua_State *L, void *cookie);
	vm_done_cb *done;
	void *cookie;
};

/**
 * vm_start(vm, start):
 * Begin a task and run it up to its first wait.  ${start}->done may be called
 * before this returns, so ${vm} may be gone then.
 *
 * Ownership: borrows ${start}.
 * Thread:    owner; not from Lua.
 */
void vm_start(struct vm *vm, const struct vm_start *start);

/* How many tasks there are. */
size_t vm_tasks(const struct vm *vm);

/**
 * vm_abandon(vm, outcome):
 * End every task with ${outcome}; their callbacks are called.
 */
void vm_abandon(struct vm *vm, const struct proto_outcome *outcome);

/* Bytes that the state has now. */
size_t vm_mem_used(const struct vm *vm);

/* The Lua state, for protected calls between slices. */
struct lua_State *vm_state(struct vm *vm);

#endif /* !SCRIPT_VM_H_ */
