#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#include "script/convert.h"
#include "script/hold.h"
#include "script/lalloc.h"
#include "script/sandbox.h"
#include "script/vm.h"
#include "script/vm_internal.h"

#define NS_PER_MS 1000000ULL
#define NS_PER_US 1000ULL

/* Memory that is kept for the next one who builds text. */
#define SCRATCH_KEEP (256U << 10)

/* Frames of a traceback that are worth a line. */
#define TRACEBACK_MAX 30

void
vm_set_peak(struct vm *vm, size_t bytes)
{
	vm->mem_peak = bytes;
	if (vm->running != NULL)
		atomic_store_explicit(
		    &vm->host->page->memory_bytes, bytes, memory_order_relaxed);
}

/* lua_Alloc: count every byte, and refuse to grow beyond the cap. */
static void *
vm_alloc(void *ud, void *ptr, size_t osize, size_t nsize)
{
	struct vm *vm = ud;
	size_t have = ptr == NULL ? 0 : osize; /* Else osize is a type's tag. */
	size_t used = vm->mem_used - have + nsize;
	void *p;

	if (nsize == 0) {
		(void)lalloc(ptr, have, 0);
		vm->mem_used = used;
		return NULL;
	}
	if (nsize > have && vm->limits.mem_bytes != 0 &&
	    used + vm->mem_held > vm->limits.mem_bytes) {
		vm->mem_refused = 1;
		return NULL;
	}
	p = lalloc(ptr, have, nsize);
	if (p == NULL) {
		vm->mem_refused = 1;
		return NULL;
	}
	vm->mem_used = used;
	if (used + vm->mem_held > vm->mem_peak)
		vm_set_peak(vm, used + vm->mem_held);
	return p;
}

char *
vm_cut_text(const char *s, size_t len)
{
	/* Not within a character. */
	if (len > PROTO_TEXT_MAX) {
		for (len = PROTO_TEXT_MAX; len > 0 && (s[len] & 0xC0) == 0x80;
		     len--)
			;
	}
	return mem_strndup(s, len);
}

void
vm_trim(struct vm *vm)
{
	if (vm->scratch.cap > SCRATCH_KEEP)
		buf_free(&vm->scratch);
}

struct vm *
vm_of(lua_State *L)
{
	void *ud = NULL;

	(void)lua_getallocf(L, &ud);
	return ud;
}

struct vm_task *
vm_task_of(lua_State *L)
{
	return *(struct vm_task **)lua_getextraspace(L);
}

static void
set_task(lua_State *L, struct vm_task *task)
{
	*(struct vm_task **)lua_getextraspace(L) = task;
}

/* Whether a frame is of the script's own Lua: embedded chunks are "=name". */
static int
is_user_frame(const lua_Debug *ar)
{
	return ar->currentline > 0 && ar->source[0] == '@';
}

void
vm_put_traceback(struct buf *out, lua_State *L, const char *what)
{
	lua_Debug ar;
	int level, n = 0;

	for (level = 0; lua_getstack(L, level, &ar); level++) {
		if (lua_getinfo(L, "nSlt", &ar) == 0 || !is_user_frame(&ar))
			continue;
		if (++n > TRACEBACK_MAX) {
			buf_puts(out, "\n...");
			return;
		}
		if (out->len > 0)
			buf_putc(out, '\n');
		buf_printf(out, "%s:%d: in ", ar.short_src, ar.currentline);
		if (strcmp(ar.what, "main") == 0)
			buf_puts(out, "the main chunk");
		else if (ar.name != NULL)
			buf_printf(out, "%s '%s'",
			    *ar.namewhat == '\0' ? "function" : ar.namewhat,
			    ar.name);
		else if (what != NULL)
			buf_puts(out, what);
		else
			buf_printf(
			    out, "the function of line %d", ar.linedefined);
	}
}

/* "file:line: " of the innermost frame that is the script's own, or "". */
static void
put_where(struct vm *vm, lua_State *L)
{
	lua_Debug ar;
	int level;

	vm->where[0] = '\0';
	for (level = 0; lua_getstack(L, level, &ar); level++) {
		if (lua_getinfo(L, "Sl", &ar) == 0 || !is_user_frame(&ar))
			continue;
		(void)snprintf(vm->where, sizeof(vm->where),
		    "%s:%d: ", ar.short_src, ar.currentline);
		return;
	}
}

/* Where and in which calls ${L} is, for the outcome. */
static void
record_place(struct vm *vm, lua_State *L, const struct vm_task *task)
{
	put_where(vm, L);
	buf_reset(&vm->traceback);
	vm_put_traceback(&vm->traceback, L,
	    task != NULL && task->co == L ? task->what : NULL);
}

int
vm_killing(lua_State *L)
{
	return vm_of(L)->kill != VM_KILL_NONE;
}

/* The run is to end because of ${why}, if it is not ending already. */
static void
begin_kill(struct vm *vm, lua_State *L, enum vm_kill why)
{
	if (vm->kill != VM_KILL_NONE)
		return;
	vm->kill = why;
	if (!vm->closing)
		record_place(vm, L, vm->running);
}

int
vm_kill_on(lua_State *L)
{
	if (lua_isyieldable(L) && !vm_of(L)->closing)
		return lua_yield(L, 0);
	limits_arm(L);
	return luaL_error(L, "the run has been ended");
}

int
vm_kill(lua_State *L, enum vm_kill why)
{
	begin_kill(vm_of(L), L, why);
	return vm_kill_on(L);
}

int
vm_kill_cpu(lua_State *L)
{
	return vm_kill(L, VM_KILL_CPU);
}

void
vm_hook(lua_State *L, lua_Debug *ar)
{
	struct vm *vm = vm_of(L);

	/* It was set in a slice that ended in time all the same. */
	if (!limits_expired && vm->kill == VM_KILL_NONE) {
		lua_sethook(L, NULL, 0, 0);
		return;
	}
	begin_kill(vm, L, VM_KILL_CPU);
	if (!lua_isyieldable(L) || vm->closing)
		(void)luaL_error(L, "the run has been ended");
	/* A hook may yield at an instruction or a line only; after a call, one
	 * of those comes soon. */
	else if (ar->event == LUA_HOOKCOUNT || ar->event == LUA_HOOKLINE)
		(void)lua_yield(L, 0);
}

int
vm_close_thread(lua_State *L, lua_State *co)
{
	struct vm *vm = vm_of(L);
	enum vm_kill kill = vm->kill;
	int status;

	if (kill != VM_KILL_NONE) {
		vm->kill = VM_KILL_NONE;
		vm->closing++;
		limits_grace(co);
	} else {
		(void)limits_switch(co);
	}
	status = lua_resetthread(co);
	(void)limits_switch(L);
	if (kill != VM_KILL_NONE) {
		vm->kill = kill;
		vm->closing--;
	}
	return status;
}

struct vm *
vm_create(struct event_base *base, const struct vm_limits *limits,
    const struct vm_host *host, const struct vm_script *script, struct err *err)
{
	struct vm *vm = mem_zalloc(sizeof(*vm));

	TAILQ_INIT(&vm->tasks);
	vm->base = base;
	vm->host = host;
	vm->script = script;
	vm->limits = *limits;
	vm->L = lua_newstate(vm_alloc, vm);
	if (vm->L == NULL)
		goto full;
	set_task(vm->L, NULL);
	lua_pushcfunction(vm->L, sandbox_open);
	if (lua_pcall(vm->L, 0, 0, 0) != LUA_OK)
		goto full;

	/* Success! */
	return vm;

full:
	(void)err_set(err, ERR_UNAVAILABLE,
	    "cannot start Lua in %llu bytes of memory",
	    (unsigned long long)limits->mem_bytes);
	vm_free(vm);
	return NULL;
}

/* Take ${task} off its vm; what it waits for is cancelled. */
static void
task_free(struct vm_task *task)
{
	struct vm *vm = task->vm;

	TAILQ_REMOVE(&vm->tasks, task, entry);
	vm->ntasks--;
	if (task->cancel != NULL)
		task->cancel(task->cancel_cookie);
	timer_stop(&task->deadline);
	if (task->co != NULL)
		set_task(task->co, NULL);
	luaL_unref(vm->L, LUA_REGISTRYINDEX, task->event_ref);
	luaL_unref(vm->L, LUA_REGISTRYINDEX, task->steps_ref);
	buf_free(&task->identity);
	luaL_unref(vm->L, LUA_REGISTRYINDEX, task->co_ref);
	free(task);
}

void
vm_free(struct vm *vm)
{
	struct vm_task *task;

	if (vm == NULL)
		return;
	while ((task = TAILQ_FIRST(&vm->tasks)) != NULL) {
		task_free(task);
		/* Convince static analysers that it is off the list. */
		assert(task != TAILQ_FIRST(&vm->tasks));
	}
	if (vm->L != NULL)
		lua_close(vm->L);
	assert(vm->mem_used == 0);
	buf_free(&vm->traceback);
	buf_free(&vm->scratch);
	jdoc_free(&vm->doc);
	free(vm->reason);
	free(vm);
}

size_t
vm_tasks(const struct vm *vm)
{
	return vm->ntasks;
}

size_t
vm_mem_used(const struct vm *vm)
{
	return vm->mem_used;
}

struct lua_State *
vm_state(struct vm *vm)
{
	return vm->L;
}

/* Lua of ${task} runs from here to leave(), in ${L} first. */
static void
enter(struct vm_task *task, lua_State *L, uint64_t cpu_ns)
{
	struct vm *vm = task->vm;
	struct proto_page *page = vm->host->page;

	atomic_store_explicit(&page->id, task->id, memory_order_relaxed);
	atomic_store_explicit(
	    &page->since_mono_ms, clock_mono_ms(), memory_order_relaxed);
	atomic_store_explicit(&page->slices,
	    atomic_load_explicit(&page->slices, memory_order_relaxed) + 1,
	    memory_order_relaxed);
	atomic_store_explicit(
	    &page->activity, task->activity, memory_order_release);
	vm->c_stack = (uintptr_t)__builtin_frame_address(0);
	vm->running = task;
	vm->kill = VM_KILL_NONE;
	limits_begin(L, cpu_ns);
	atomic_store_explicit(&page->begun_cpu_us,
	    limits_begun_ns() / NS_PER_US, memory_order_relaxed);
	atomic_store_explicit(
	    &page->run_cpu_us, task->cpu_ns / NS_PER_US, memory_order_relaxed);
	atomic_store_explicit(
	    &page->memory_bytes, vm->mem_peak, memory_order_relaxed);
}

static void
leave(struct vm_task *task)
{
	uint64_t ns = limits_end();

	task->vm->running = NULL;
	task->vm->kill = VM_KILL_NONE;
	hold_tidy(task->vm);
	task->cpu_ns += ns;
	if (ns > task->slice_ns)
		task->slice_ns = ns;
	atomic_store_explicit(
	    &task->vm->host->page->activity, PROTO_IDLE, memory_order_release);
}

struct error_text {
	lua_State *co;
	struct buf *out;
};

/* Protected; what __tostring does in here is in its time of grace. */
static int
put_error(lua_State *L)
{
	struct error_text *a = lua_touserdata(L, 1);
	const char *s;
	size_t len;

	lua_pushvalue(a->co, -1);
	lua_xmove(a->co, L, 1);
	if (lua_isnil(L, 2)) {
		buf_puts(a->out, "error object is nil");
		return 0;
	}
	if (lua_istable(L, 2) &&
	    luaL_getmetafield(L, 2, "__tostring") == LUA_TNIL) {
		lua_pushliteral(L, "message");
		if (lua_rawget(L, 2) != LUA_TSTRING) {
			buf_puts(a->out, "error object ");
			if (convert_encode(
				L, 2, PROTO_TEXT_KEPT, a->out, NULL) == -1) {
				buf_reset(a->out);
				buf_puts(a->out, "error object is a table");
			}
			return 0;
		} else {
			lua_replace(L, 2);
		}
	}
	s = luaL_tolstring(L, 2, &len);
	buf_put(a->out, s, len);
	return 0;
}

/* The error on top of ${co} as text, whatever it is. */
static void
take_error(struct vm *vm, lua_State *co, struct buf *out)
{
	struct error_text a = {co, out};
	const char *s;
	size_t len;

	/* The usual case must not need memory: there may be none. */
	if (lua_type(co, -1) == LUA_TSTRING) {
		s = lua_tolstring(co, -1, &len);
		buf_put(out, s, len);
		return;
	}
	lua_settop(vm->L, 0);
	lua_pushcfunction(vm->L, put_error);
	lua_pushlightuserdata(vm->L, &a);
	(void)limits_switch(vm->L);
	vm->closing++;
	if (!lua_checkstack(co, 1) || lua_pcall(vm->L, 1, 0, 0) != LUA_OK) {
		buf_reset(out);
		buf_printf(out, "error object is a %s", luaL_typename(co, -1));
	}
	vm->closing--;
	lua_settop(vm->L, 0);
}

/*
 * ${task} is over: close what it has open, forget it, and tell.  ${error} is
 * consumed.  The vm may be gone when this returns.
 */
static void
task_end(struct vm_task *task, enum proto_result result, struct buf *error,
    int broke_memory)
{
	struct vm *vm = task->vm;
	vm_done_cb *done = task->done;
	void *cookie = task->cookie;
	struct proto_outcome outcome = {0};

	/* What was waited for must not come any more. */
	if (task->cancel != NULL) {
		task->cancel(task->cancel_cookie);
		task->cancel = NULL;
	}
	if (result != PROTO_DONE && task->co != NULL) {
		enter(task, task->co, LIMITS_GRACE_NS);
		vm->closing++;
		(void)lua_resetthread(task->co);
		vm->closing--;
		leave(task);
	}
	outcome.result = result;
	outcome.after_ms = vm->after_ms;
	outcome.error = vm_cut_text(buf_text(error), error->len);
	buf_free(error);
	if (result == PROTO_ERROR && vm->traceback.len > 0)
		outcome.traceback = buf_take(&vm->traceback);
	outcome.duration_ms = timer_mono_ms(vm) - task->begun_mono_ms;
	outcome.cpu_us = task->cpu_ns / NS_PER_US;
	outcome.slice_us = task->slice_ns / NS_PER_US;
	outcome.memory_bytes = vm->mem_peak;
	outcome.late = result == PROTO_ERROR && task->late;
	if (result == PROTO_RETRY || result == PROTO_DROPPED) {
		free(outcome.error);
		outcome.error = vm->reason;
		vm->reason = NULL;
	}
	if (result == PROTO_DONE) {
		free(outcome.error);
		outcome.error = NULL;
	}
	buf_reset(&vm->traceback);
	task_free(task);
	done(cookie, &outcome, broke_memory);
	proto_outcome_clear(&outcome);
}

static void
put_limit(struct buf *out, const char *where, const char *what)
{
	buf_puts(out, where);
	buf_puts(out, what);
}

/* The script itself, or the CPU limit, ended the slice of ${task}. */
static void
end_killed(struct vm_task *task, enum vm_kill why)
{
	struct buf error = BUF_INIT;
	struct vm *vm = task->vm;

	if (why == VM_KILL_RETRY) {
		task_end(task, PROTO_RETRY, &error, 0);
		return;
	}
	if (why == VM_KILL_DROP) {
		task_end(task, PROTO_DROPPED, &error, 0);
		return;
	}
	put_limit(&error, vm->where, "CPU limit of ");
	str_put_duration(&error, vm->limits.cpu_ms);
	buf_puts(&error, " exceeded");
	task_end(task, PROTO_ERROR, &error, 0);
}

/* An error went through ${task}, and is on top of ${co}. */
static void
end_failed(struct vm_task *task, lua_State *co, int status)
{
	struct vm *vm = task->vm;
	struct buf error = BUF_INIT;
	int memory = 0;

	record_place(vm, co, task);
	/* An inner coroutine's memory error arrives as an ordinary one. */
	if (status == LUA_ERRMEM ||
	    (vm->mem_refused && lua_type(co, -1) == LUA_TSTRING &&
		strstr(lua_tostring(co, -1), "not enough memory") != NULL)) {
		memory = 1;
		put_limit(&error, vm->where, "memory limit of ");
		str_put_size(&error, vm->limits.mem_bytes);
		buf_puts(&error, " exceeded");
	} else {
		enter(task, vm->L, LIMITS_GRACE_NS);
		take_error(vm, co, &error);
		leave(task);
	}
	task_end(task, PROTO_ERROR, &error, memory);
}

/* The function of ${task} returned ${n} values. */
static void
end_returned(struct vm_task *task, int n)
{
	struct buf none = BUF_INIT;

	if (task->results != NULL)
		task->results(task->co, n, task->cookie);
	task_end(task, PROTO_DONE, &none, 0);
}

/* A resume of ${task} came back with ${status} and ${n} values. */
static void
after_slice(struct vm_task *task, int status, int n)
{
	struct vm *vm = task->vm;
	enum vm_kill kill = vm->kill;
	struct buf error = BUF_INIT;

	leave(task);
	if (kill != VM_KILL_NONE) {
		end_killed(task, kill);
	} else if (status == LUA_OK) {
		end_returned(task, n);
	} else if (status != LUA_YIELD) {
		end_failed(task, task->co, status);
	} else if (task->cancel != NULL) {
		/* It waits; the operation will wake it. */
		lua_pop(task->co, n);
	} else {
		buf_puts(&error, "coroutine.yield outside a coroutine");
		task_end(task, PROTO_ERROR, &error, 0);
	}
}

uint64_t
vm_task_left_ms(const struct vm_task *task)
{
	uint64_t spent_ms = timer_mono_ms(task->vm) - task->begun_mono_ms;

	if (task->deadline_ms == 0)
		return UINT64_MAX;
	return spent_ms < task->deadline_ms ? task->deadline_ms - spent_ms : 0;
}

static void
deadline_cb(void *cookie)
{
	struct vm_task *task = cookie;
	struct buf error = BUF_INIT;

	record_place(task->vm, task->co, task);
	put_limit(&error, task->vm->where,
	    task->awaited ? "deadline of a component (--ui-timeout) of "
			  : "handler deadline of ");
	str_put_duration(&error, task->deadline_ms);
	buf_puts(&error, " exceeded");
	task->late = 1;
	task_end(task, PROTO_ERROR, &error, 0);
}

static void
set_deadline(struct vm_task *task, uint64_t grace_ms)
{
	struct vm *vm = task->vm;

	if (task->deadline_ms == 0)
		return;
	if (timer_start_common(&task->deadline, vm->base, vm->host->clock,
		vm_task_left_ms(task) + grace_ms, deadline_cb, task) == -1) {
		(void)fputs("moonpost: no timer for a deadline\n", stderr);
		abort();
	}
}

struct start_args {
	struct vm_task *task;
	const struct vm_start *start;
};

/* Protected part of vm_start(). */
static int
start_pcall(lua_State *L)
{
	struct start_args *a = lua_touserdata(L, 1);
	struct vm_task *task = a->task;
	lua_State *co = lua_newthread(L);

	task->co_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	task->co = co;
	set_task(co, task);
	lua_settop(L, 0);
	a->start->push(L, a->start->cookie);
	if (!lua_checkstack(co, lua_gettop(L) + LUA_MINSTACK))
		return luaL_error(L, "not enough memory");
	lua_xmove(L, co, lua_gettop(L));
	return 0;
}

void
vm_start(struct vm *vm, const struct vm_start *start)
{
	struct vm_task *task = mem_zalloc(sizeof(*task));
	struct start_args a = {task, start};
	int n, status;

	task->vm = vm;
	task->serial = ++vm->serials;
	task->co_ref = LUA_NOREF;
	task->event_ref = LUA_NOREF;
	task->steps_ref = LUA_NOREF;
	task->activity = start->activity;
	task->id = start->id;
	task->job = start->job;
	task->loading = start->loading;
	task->deadline_ms = start->deadline_ms != 0 ? start->deadline_ms
						    : vm->limits.handler_ms;
	task->awaited = start->awaited;
	task->results = start->results;
	task->done = start->done;
	task->cookie = start->cookie;
	task->begun_mono_ms = timer_mono_ms(vm) - start->spent_ms;
	(void)snprintf(task->what, sizeof(task->what), "%s", start->what);
	TAILQ_INSERT_TAIL(&vm->tasks, task, entry);
	vm->ntasks++;

	vm->mem_refused = 0;
	lua_settop(vm->L, 0);
	enter(task, vm->L, vm->limits.cpu_ms * NS_PER_MS);
	lua_pushcfunction(vm->L, start_pcall);
	lua_pushlightuserdata(vm->L, &a);
	status = lua_pcall(vm->L, 1, 0, 0);
	if (status != LUA_OK) {
		leave(task);
		end_failed(task, vm->L, status);
		return;
	}
	set_deadline(task, start->grace_ms);
	(void)limits_switch(task->co);
	status = lua_resume(task->co, NULL, lua_gettop(task->co) - 1, &n);
	after_slice(task, status, n);
}

void
vm_abandon(struct vm *vm, const struct proto_outcome *outcome)
{
	struct vm_task *task;
	vm_done_cb *done;
	void *cookie;

	while ((task = TAILQ_FIRST(&vm->tasks)) != NULL) {
		done = task->done;
		cookie = task->cookie;
		task_free(task);
		assert(task != TAILQ_FIRST(&vm->tasks));
		done(cookie, outcome, 0);
	}
}

struct vm_task *
vm_task_check(lua_State *L)
{
	struct vm_task *task = vm_task_of(L);
	const char *why = NULL;

	if (vm_of(L)->running != NULL && vm_of(L)->running->loading)
		why = "while the script loads: call this from a handler";
	else if (task == NULL)
		why = "inside a coroutine of the script's own";
	else if (!lua_isyieldable(L))
		why = "inside a callback of sort or gsub, or a metamethod";
	if (why != NULL)
		(void)luaL_error(L, "cannot wait %s", why);
	return task;
}

int
vm_task_timer(struct vm_task *task, struct timer *timer, uint64_t ms,
    timer_cb *cb, void *cookie)
{
	return timer_start(
	    timer, task->vm->base, task->vm->host->clock, ms, cb, cookie);
}

int
vm_task_wait(
    struct vm_task *task, vm_cancel_cb *cancel, void *cookie, lua_KFunction k)
{
	assert(task->cancel == NULL);
	task->cancel = cancel;
	task->cancel_cookie = cookie;
	return lua_yieldk(task->co, 0, (lua_KContext)cookie, k);
}

void
vm_task_wake(struct vm_task *task)
{
	struct vm *vm = task->vm;
	int n, status;

	task->cancel = NULL;
	vm->mem_refused = 0;
	enter(task, task->co, vm->limits.cpu_ms * NS_PER_MS);
	status = lua_resume(task->co, NULL, 0, &n);
	after_slice(task, status, n);
}
