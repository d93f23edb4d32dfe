#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "json/jwrite.h"

#include "script/bundle.h"
#include "script/convert.h"
#include "script/mock.h"
#include "script/sandbox.h"
#include "script/testrun.h"
#include "script/vm_internal.h"

#define TEST_PREFIX "test_"

/* What a test has to tell is no longer than this as JSON. */
#define MAX_RESULT (1U << 20)

/* What a task of the test's own state leaves. */
struct task {
	struct testrun *run;
	int over;
	struct proto_outcome outcome;
	struct buf json; /* What core.main() returned. */
};

static void
host_log(void *cookie, uint64_t job, const struct proto_log *log)
{
	(void)cookie;
	(void)job;
	(void)log;
}

/* The test's own state has none: t:secret() gives them to the script. */
static char *
host_secret(void *cookie, uint64_t bundle, const char *name)
{
	(void)cookie;
	(void)bundle;
	(void)name;
	return NULL;
}

static void
task_done(void *cookie, const struct proto_outcome *outcome, int broke_memory)
{
	struct task *task = cookie;

	(void)broke_memory;
	task->over = 1;
	task->outcome = *outcome;
	task->outcome.error = mem_strdup(outcome->error);
	task->outcome.traceback = mem_strdup(outcome->traceback);
}

/* The chunk of the file, with require "testing" beside what scripts have. */
static void
push_chunk(lua_State *L, void *cookie)
{
	struct task *task = cookie;
	struct testrun *run = task->run;

	(void)lua_getfield(L, LUA_REGISTRYINDEX, SANDBOX_MODULES);
	testing_open(L, run);
	lua_setfield(L, -2, "testing");
	lua_settop(L, 0);
	lua_pushfstring(L, "@%s", run->test->chunk);
	if (bundle_compile(L, run->test->source, lua_tostring(L, 1)) != LUA_OK)
		(void)lua_error(L);
	lua_remove(L, 1);
}

/* core.main(the function) */
static void
push_test(lua_State *L, void *cookie)
{
	struct task *task = cookie;
	struct testrun *run = task->run;

	(void)lua_rawgeti(L, LUA_REGISTRYINDEX, run->main_ref);
	(void)lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
	lua_pushstring(L, run->test->test);
	if (lua_rawget(L, 2) != LUA_TFUNCTION)
		(void)luaL_error(L, "%s: there is no function %s any more",
		    run->test->chunk, run->test->test);
	lua_remove(L, 2);
}

static void
take_result(lua_State *co, int n, void *cookie)
{
	struct task *task = cookie;
	struct err err = ERR_INIT;

	if (n == 0 ||
	    convert_encode(co, -n, MAX_RESULT, &task->json, &err) == -1)
		buf_reset(&task->json);
}

/* Do everything that there is to do, in its order, until the test has ended. */
static void
pump(struct testrun *run, struct task *task)
{
	uint64_t end_ms = clock_mono_ms() + run->test->wall_ms;
	size_t i;
	int busy;

	while (!task->over) {
		if (clock_mono_ms() >= end_ms) {
			task->outcome.result = PROTO_ERROR;
			task->outcome.error =
			    mem_printf("the test did not end within %llu s",
				(unsigned long long)run->test->wall_ms / 1000);
			return;
		}
		if (run->wait != NULL && mock_has_out(testrun_awaited(run))) {
			testrun_wake(run);
			continue;
		}
		for (i = 0, busy = 0; i < run->nmocks && !busy; i++)
			busy = mock_work(run->mocks[i].mock);
		if (busy || vclock_step(&run->clock, UINT64_MAX))
			continue;
		if (run->wait == NULL) {
			task->outcome.result = PROTO_ERROR;
			task->outcome.error = mem_strdup(
			    "the test waits for something that cannot come");
			return;
		}
		/* Nothing will come any more: let the module say so. */
		testrun_wake(run);
	}
}

/* Run what ${push} pushes to its end. */
static void
run_task(struct testrun *run, struct task *task,
    void (*push)(struct lua_State *L, void *cookie), int loading)
{
	const struct vm_start start = {
	    .activity = PROTO_IN_EVAL,
	    .what = loading ? "the main chunk" : run->test->test,
	    .loading = loading,
	    .results = loading ? NULL : take_result,
	    .push = push,
	    .done = task_done,
	    .cookie = task,
	};

	*task = (struct task){.run = run, .json = BUF_INIT};
	vm_start(run->vm, &start);
	pump(run, task);
}

static void
task_clear(struct task *task)
{
	proto_outcome_clear(&task->outcome);
	buf_free(&task->json);
}

/* One test of the list. */
struct listed {
	char *name;
	int line;
};

static int
by_line(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;

	return x->line != y->line ? (x->line > y->line) - (x->line < y->line)
				  : strcmp(x->name, y->name);
}

/* The functions test_*; nothing in here can raise. */
static void
list_tests(struct testrun *run, struct jwrite *w)
{
	lua_State *L = vm_state(run->vm);
	struct listed *tests = NULL;
	size_t n = 0, cap = 0, i;
	const char *name;
	lua_Debug ar;

	lua_settop(L, 0);
	(void)lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
	lua_pushnil(L);
	while (lua_next(L, 1)) {
		if (!lua_isfunction(L, -1) || lua_type(L, -2) != LUA_TSTRING) {
			lua_pop(L, 1);
			continue;
		}
		name = lua_tostring(L, -2);
		/* Takes the function from the stack. */
		if (lua_getinfo(L, ">S", &ar) == 0 ||
		    strncmp(name, TEST_PREFIX, sizeof(TEST_PREFIX) - 1) != 0)
			continue;
		tests = mem_grow(tests, &cap, n + 1, sizeof(*tests));
		tests[n].name = mem_strdup(name);
		tests[n++].line = ar.linedefined;
	}
	lua_settop(L, 0);
	if (n > 1)
		qsort(tests, n, sizeof(*tests), by_line);
	for (i = 0; i < n; i++) {
		jwrite_object(w);
		jwrite_member_text(w, "name", tests[i].name);
		jwrite_member_int(w, "line", tests[i].line);
		jwrite_object_end(w);
		free(tests[i].name);
	}
	free(tests);
}

static void
write_list(struct testrun *run, const char *error, struct buf *out)
{
	struct jwrite w = jwrite_begin(out, 0);

	jwrite_object(&w);
	jwrite_key(&w, "tests");
	jwrite_array(&w);
	if (error == NULL)
		list_tests(run, &w);
	jwrite_array_end(&w);
	jwrite_member_text(&w, "error", error);
	jwrite_object_end(&w);
}

/* A test that did not come to its own end. */
static void
write_failure(const struct proto_outcome *outcome, struct buf *out)
{
	struct jwrite w = jwrite_begin(out, 0);

	jwrite_object(&w);
	jwrite_key(&w, "ok");
	jwrite_bool(&w, 0);
	jwrite_member_text(&w, "message",
	    outcome->error != NULL ? outcome->error
				   : "it ended by event:retry or event:drop");
	jwrite_member_text(&w, "traceback", outcome->traceback);
	jwrite_object_end(&w);
}

/* The file is loaded, in a state of its own; run the test or list them. */
static void
after_load(struct testrun *run, const struct task *load, struct buf *out)
{
	struct task task;

	if (run->test->test == NULL) {
		write_list(run, load->outcome.error, out);
		return;
	}
	if (load->outcome.result != PROTO_DONE) {
		write_failure(&load->outcome, out);
		return;
	}
	run_task(run, &task, push_test, 0);
	if (task.outcome.result == PROTO_DONE && task.json.len > 0)
		buf_put(out, task.json.data, task.json.len);
	else
		write_failure(&task.outcome, out);
	task_clear(&task);
}

static void
clear(struct testrun *run)
{
	size_t i;

	vm_free(run->vm);
	for (i = 0; i < run->nmocks; i++) {
		mock_free(run->mocks[i].mock);
		free(run->mocks[i].load.chunk);
		free(run->mocks[i].source);
	}
	proto_loaded_clear(&run->loaded);
	proto_outcome_clear(&run->outcome);
	proto_invoked_clear(&run->invoked);
	proto_log_clear(&run->log);
	free(run->text);
	free(run->error);
	free(run->script.required);
}

char *
testrun(const struct bundle_env *env, const struct proto_test *test,
    testrun_catalog_cb *catalog, void *cookie)
{
	struct testrun *run = mem_zalloc(sizeof(*run));
	struct proto_outcome unable = {.result = PROTO_ERROR};
	struct vm_limits limits = env->limits;
	struct err err = ERR_INIT;
	struct buf out = BUF_INIT;
	struct task load;

	run->env = env;
	run->test = test;
	run->catalog = catalog;
	run->cookie = cookie;
	run->main_ref = LUA_NOREF;
	vclock_init(&run->clock, clock_unix_ms());
	run->host = (struct vm_host){
	    .log = host_log,
	    .secret = host_secret,
	    .page = env->host.page,
	    .clock = &run->clock,
	};
	run->script = (struct vm_script){
	    .integration = "default",
	    .name = test->name,
	    .chunk = test->chunk,
	    .libs = test->libs,
	    .nlibs = test->nlibs,
	    .required = mem_zalloc(test->nlibs + 1),
	};
	/* Its time is the machine's, and pump() looks at that. */
	limits.handler_ms = 0;
	run->vm = vm_create(env->base, &limits, &run->host, &run->script, &err);
	if (run->vm == NULL) {
		unable.error = err.msg;
		if (test->test == NULL)
			write_list(run, err.msg, &out);
		else
			write_failure(&unable, &out);
	} else {
		run_task(run, &load, push_chunk, 1);
		after_load(run, &load, &out);
		task_clear(&load);
	}
	clear(run);
	free(run);
	return buf_take(&out);
}
