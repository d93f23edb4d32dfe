#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "schedule/plan.h"

#include "catalog/catalog.h"

#include "script/bundle.h"
#include "script/convert.h"
#include "script/declare.h"
#include "script/l_event.h"
#include "script/l_schedule.h"
#include "script/l_sentry.h"
#include "script/l_step.h"
#include "script/l_ui.h"
#include "script/vm.h"

#define HANDLER_PREFIX "on_"

/* A slice of this length is long: the host may think so too. */
#define LONG_SLICE_US 100000

/* What is late is ended so much later. */
#define INVOKE_GRACE_MS 250

/* Handlers that a script can have, and bytes of the name of one. */
#define MAX_HANDLERS 200
#define MAX_HANDLER_NAME 100

/* A configuration is no longer than this as JSON. */
#define MAX_EVAL (1U << 20)

struct bundle {
	const struct bundle_env *env; /* Borrowed. */
	struct vm *vm; /* NULL: it could not be loaded a second time. */
	struct vm_script script;
	struct proto_load load; /* The texts are ours, all of them. */
	char *source;           /* Behind load.source. */
	char *broken;           /* Why there is no vm. */
	size_t njobs;
	int slow; /* Its last job to end had a long slice. */
	TAILQ_HEAD(bundle_jobs, bundle_job) jobs;
};

/* A job that runs: freed when it ends. */
struct bundle_job {
	struct bundle *bundle;
	uint64_t job;
	const struct proto_run *run;       /* Valid during bundle_run() only. */
	const struct proto_invoke *invoke; /* Instead, and as long. */
	int invoked;                       /* It is no job. */
	char *answer;                      /* What it returned, as JSON. */
	char *unfit;                       /* Why that is no JSON. */
	int gone;                          /* There is no such handler. */
	TAILQ_ENTRY(bundle_job) entry;
};

int
bundle_compile(struct lua_State *L, struct str source, const char *chunk)
{
	const char *s = source.data, *end = source.data + source.len;

	if (end - s >= 3 && memcmp(s, "\xEF\xBB\xBF", 3) == 0)
		s += 3;
	/* The line's end stays, so that lines keep their numbers. */
	if (s < end && *s == '#') {
		while (s < end && *s != '\n')
			s++;
	}
	return luaL_loadbufferx(L, s, (size_t)(end - s), chunk, "t");
}

/* What a load or an evaluation leaves. */
struct load_job {
	struct str source;
	const char *chunk;
	struct proto_outcome outcome;
	struct buf json; /* Of an evaluation: what it returned. */
	char *error;     /* Why that could not be encoded; or NULL. */
};

static void
load_push(lua_State *L, void *cookie)
{
	const struct load_job *job = cookie;

	if (bundle_compile(L, job->source, job->chunk) != LUA_OK)
		(void)lua_error(L);
}

static void
load_done(void *cookie, const struct proto_outcome *outcome, int broke_memory)
{
	struct load_job *job = cookie;

	(void)broke_memory;
	job->outcome = *outcome;
	job->outcome.error = mem_strdup(outcome->error);
	job->outcome.traceback = mem_strdup(outcome->traceback);
}

/* The global functions whose names begin with "on_", and what components bring.
 */
struct names {
	char **list;
	size_t n;
	size_t cap;
};

static void
add_name(struct names *names, const char *name)
{
	names->list =
	    mem_grow(names->list, &names->cap, names->n + 1, sizeof(char *));
	names->list[names->n++] = mem_strdup(name);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *
refuse_handlers(lua_State *L)
{
	lua_settop(L, 0);
	return mem_printf(
	    "it has more than %d handlers (functions on_*), or one with a "
	    "name of more than %d bytes",
	    MAX_HANDLERS, MAX_HANDLER_NAME);
}

/* Returns NULL, or why the script cannot be served; for free(). */
static char *
find_handlers(struct vm *vm, struct names *names)
{
	lua_State *L = vm_state(vm);
	const char *name;

	/* Nothing in here can raise: raw, and no key is converted. */
	lua_settop(L, 0);
	(void)lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
	lua_pushnil(L);
	while (lua_next(L, 1)) {
		if (lua_isfunction(L, -1) && lua_type(L, -2) == LUA_TSTRING) {
			name = lua_tostring(L, -2);
			if (strncmp(name, HANDLER_PREFIX,
				sizeof(HANDLER_PREFIX) - 1) == 0) {
				if (names->n == MAX_HANDLERS ||
				    lua_rawlen(L, -2) > MAX_HANDLER_NAME)
					return refuse_handlers(L);
				add_name(names, name);
			}
		}
		lua_pop(L, 1);
	}
	lua_settop(L, 0);
	if (ui_fires(vm))
		add_name(names, CATALOG_FIRE);
	if (names->n > 1)
		qsort(names->list, names->n, sizeof(char *), by_name);
	return NULL;
}

/*
 * Whether ${source} names lib ${name} in quotes.  A handler may require it when
 * it runs, and a change of it should reload the script then too; once too often
 * does no harm.
 */
static int
mentions(struct str source, struct str name)
{
	const char *at = source.data, *end = source.data + source.len, *hit;

	while (at < end && name.len > 0 &&
	       (hit = memmem(at, (size_t)(end - at), name.data, name.len)) !=
		   NULL) {
		at = hit + 1;
		if (hit > source.data && hit + name.len < end &&
		    (hit[-1] == '"' || hit[-1] == '\'') &&
		    hit[name.len] == hit[-1])
			return 1;
	}
	return 0;
}

/* Whether the script, or a lib that it needs, names lib ${i} in quotes. */
static int
is_mentioned(const struct bundle *b, const char *needed, size_t i)
{
	size_t k;

	if (mentions(b->load.source, b->load.libs[i].name))
		return 1;
	for (k = 0; k < b->load.nlibs; k++)
		if (needed[k] && k != i &&
		    mentions(b->load.libs[k].source, b->load.libs[i].name))
			return 1;
	return 0;
}

static void
find_libs(const struct bundle *b, struct names *names)
{
	char *needed = mem_zalloc(b->load.nlibs + 1);
	size_t i, more = 1;

	for (i = 0; i < b->load.nlibs; i++)
		needed[i] = b->script.required[i] != 0;
	while (more > 0) {
		more = 0;
		for (i = 0; i < b->load.nlibs; i++) {
			if (needed[i] || !is_mentioned(b, needed, i))
				continue;
			needed[i] = 1;
			more++;
		}
	}
	for (i = 0; i < b->load.nlibs; i++) {
		if (!needed[i])
			continue;
		names->list = mem_grow(
		    names->list, &names->cap, names->n + 1, sizeof(char *));
		names->list[names->n++] = mem_strndup(
		    b->load.libs[i].name.data, b->load.libs[i].name.len);
	}
	free(needed);
}

/*
 * Make a state and run the script's top level in it.
 *
 * Returns:   the state, or NULL, and ${ret} has the error.
 */
static struct vm *
make_vm(struct bundle *b, struct proto_outcome *ret)
{
	struct load_job job = {0};
	struct err err = ERR_INIT;
	struct vm_start start = {0};
	struct buf chunk = BUF_INIT;
	struct vm *vm;

	vm = vm_create(
	    b->env->base, &b->env->limits, &b->env->host, &b->script, &err);
	if (vm == NULL) {
		ret->error = mem_strdup(err.msg);
		return NULL;
	}
	buf_printf(&chunk, "@%s", b->load.chunk);
	job.source = b->load.source;
	job.chunk = buf_text(&chunk);
	start.activity = PROTO_IN_LOAD;
	start.id = b->script.bundle;
	start.what = "the main chunk";
	start.loading = 1;
	start.push = load_push;
	start.done = load_done;
	start.cookie = &job;
	vm_start(vm, &start);
	buf_free(&chunk);

	/* Nothing can wait in there, so it has ended. */
	*ret = job.outcome;
	if (job.outcome.result == PROTO_DONE)
		return vm;
	vm_free(vm);
	return NULL;
}

static void
copy_load(struct bundle *b, const struct proto_load *load)
{
	size_t i;

	b->load.integration = mem_strdup(load->integration);
	b->load.script = mem_strdup(load->script);
	b->load.chunk = mem_strdup(load->chunk);
	b->source = mem_strndup(load->source.data, load->source.len);
	b->load.source = (struct str){b->source, load->source.len};
	b->load.nlibs = load->nlibs;
	b->load.libs = mem_array(load->nlibs + 1, sizeof(*b->load.libs));
	for (i = 0; i < load->nlibs; i++) {
		b->load.libs[i].name =
		    (struct str){mem_strndup(load->libs[i].name.data,
				     load->libs[i].name.len),
			load->libs[i].name.len};
		b->load.libs[i].source =
		    (struct str){mem_strndup(load->libs[i].source.data,
				     load->libs[i].source.len),
			load->libs[i].source.len};
	}
	b->script.required = mem_zalloc(load->nlibs + 1);
	b->script.integration = b->load.integration;
	b->script.name = b->load.script;
	b->script.chunk = b->load.chunk;
	b->script.libs = b->load.libs;
	b->script.nlibs = b->load.nlibs;
}

struct bundle *
bundle_load(const struct bundle_env *env, uint64_t id,
    const struct proto_load *load, struct proto_loaded *ret_loaded)
{
	struct bundle *b = mem_zalloc(sizeof(*b));
	struct names handlers = {0}, libs = {0};
	struct proto_outcome outcome = {0};
	struct err err = ERR_INIT;
	char *why = NULL;

	TAILQ_INIT(&b->jobs);
	b->env = env;
	b->script.bundle = id;
	copy_load(b, load);
	*ret_loaded = (struct proto_loaded){0};
	b->vm = make_vm(b, &outcome);
	find_libs(b, &libs);
	ret_loaded->libs = libs.list;
	ret_loaded->nlibs = libs.n;
	if (b->vm != NULL &&
	    declare_take(b->vm, &ret_loaded->declared, &err) == -1)
		why = mem_strdup(err.msg);
	if (b->vm != NULL && why == NULL)
		why = find_handlers(b->vm, &handlers);
	ret_loaded->handlers = handlers.list;
	ret_loaded->nhandlers = handlers.n;
	if (why != NULL) {
		vm_free(b->vm);
		b->vm = NULL;
		proto_outcome_clear(&outcome);
		outcome.error = mem_printf("%s: %s", b->load.chunk, why);
		free(why);
	}
	if (b->vm == NULL) {
		ret_loaded->error = outcome.error;
		ret_loaded->traceback = outcome.traceback;
		bundle_free(b);
		return NULL;
	}
	proto_outcome_clear(&outcome);
	return b;
}

static void
free_str(struct str s)
{
	/* It is ours, though a struct str does not say so. */
	free((void *)(uintptr_t)s.data);
}

void
bundle_free(struct bundle *b)
{
	struct bundle_job *job;
	size_t i;

	if (b == NULL)
		return;
	vm_free(b->vm);
	while ((job = TAILQ_FIRST(&b->jobs)) != NULL) {
		TAILQ_REMOVE(&b->jobs, job, entry);
		free(job->answer);
		free(job->unfit);
		free(job);
	}
	for (i = 0; i < b->load.nlibs; i++) {
		free_str(b->load.libs[i].name);
		free_str(b->load.libs[i].source);
	}
	proto_load_clear(&b->load);
	free(b->source);
	free(b->script.required);
	free(b->broken);
	free(b);
}

uint64_t
bundle_id(const struct bundle *b)
{
	return b->script.bundle;
}

size_t
bundle_jobs(const struct bundle *b)
{
	return b->njobs;
}

int
bundle_is_slow(const struct bundle *b)
{
	return b->slow;
}

/* What stands in for a handler that is not there. */
static int
nothing(lua_State *L)
{
	(void)L;
	return 0;
}

/* Push the function that a job is for.  Returns 0, and nothing is pushed, if
 * there is none. */
static int
push_handler(lua_State *L, const char *handler)
{
	if (strcmp(handler, CATALOG_FIRE) == 0)
		return ui_push_fire(L);
	if (strncmp(handler, PLAN_HANDLER, strlen(PLAN_HANDLER)) == 0)
		return schedule_push(L, handler + strlen(PLAN_HANDLER));

	/* Raw: a script may have put a metatable on its globals. */
	(void)lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
	lua_pushstring(L, handler);
	if (lua_rawget(L, -2) != LUA_TFUNCTION) {
		lua_pop(L, 2);
		return 0;
	}
	lua_remove(L, -2);
	return 1;
}

/* Whether the host has its part to do before the handler runs. */
static int
is_new_installation(const struct bundle_job *job)
{
	const struct proto_run *run = job->run;

	return job->bundle->env->host.asks != NULL && run->action != NULL &&
	       strcmp(run->resource, "installation") == 0 &&
	       strcmp(run->action, "created") == 0;
}

static void
job_push(lua_State *L, void *cookie)
{
	struct bundle_job *job = cookie;

	if (!push_handler(L, job->run->handler)) {
		job->gone = 1;
		lua_pushcfunction(L, nothing);
		return;
	}
	if (is_new_installation(job))
		sentry_install_first(L);
	event_push(L, job->run);
	step_begin(L, job->run);
}

/* The state is full: let the others run again, elsewhere, and begin anew. */
static void
recycle(struct bundle *b)
{
	static char why[] = "another run of this script broke its memory limit";
	struct proto_outcome uncharged = {0}, outcome = {0};
	struct vm *full = b->vm;

	uncharged.result = PROTO_ERROR;
	uncharged.error = why;
	uncharged.uncharged = 1;
	b->vm = NULL;
	vm_abandon(full, &uncharged);
	vm_free(full);

	b->vm = make_vm(b, &outcome);
	if (b->vm == NULL) {
		b->broken = outcome.error;
		outcome.error = NULL;
	}
	proto_outcome_clear(&outcome);
}

static void
job_done(void *cookie, const struct proto_outcome *outcome, int broke_memory)
{
	struct bundle_job *job = cookie;
	struct bundle *b = job->bundle;
	struct proto_outcome end = *outcome;
	struct proto_invoked invoked = {end, job->answer};
	char *unfit = job->unfit;
	int is_job = !job->invoked;
	uint64_t id = job->job;

	if (job->gone)
		end.result = PROTO_GONE;
	if (unfit != NULL && end.result == PROTO_DONE) {
		invoked.outcome.result = PROTO_ERROR;
		invoked.outcome.error = unfit;
	}
	b->slow = end.slice_us > LONG_SLICE_US;
	TAILQ_REMOVE(&b->jobs, job, entry);
	free(job);
	if (broke_memory)
		recycle(b);

	/* The last thing: the bundle may go with its last job. */
	b->njobs--;
	if (is_job)
		b->env->done(b->env->cookie, id, &end);
	else
		b->env->invoked(b->env->cookie, id, &invoked);
	free(invoked.answer);
	free(unfit);
}

void
bundle_run(struct bundle *b, uint64_t id, const struct proto_run *run)
{
	struct bundle_job *job;
	struct vm_start start = {0};
	struct proto_outcome outcome = {0};
	struct buf what = BUF_INIT;

	if (b->vm == NULL) {
		outcome.result = PROTO_ERROR;
		outcome.error = b->broken;
		b->env->done(b->env->cookie, id, &outcome);
		return;
	}
	job = mem_zalloc(sizeof(*job));
	job->bundle = b;
	job->job = id;
	job->run = run;
	TAILQ_INSERT_TAIL(&b->jobs, job, entry);
	b->njobs++;

	buf_printf(&what, "handler %s", run->handler);
	start.activity = PROTO_IN_RUN;
	start.id = id;
	start.job = id;
	start.what = buf_text(&what);
	start.push = job_push;
	start.done = job_done;
	start.cookie = job;
	vm_start(b->vm, &start);
	buf_free(&what);
}

static void
invoke_push(lua_State *L, void *cookie)
{
	const struct bundle_job *job = cookie;

	ui_push_handle(L, job->invoke->route, job->invoke->request_json);
}

static void
invoke_results(lua_State *co, int n, void *cookie)
{
	struct bundle_job *job = cookie;
	struct buf json = BUF_INIT;
	struct err err = ERR_INIT;

	if (n > 0 &&
	    convert_encode(co, -n, PROTO_INVOKED_MAX, &json, &err) == 0)
		job->answer = buf_take(&json);
	else
		job->unfit = mem_strdup(err.msg);
	buf_free(&json);
}

void
bundle_invoke(struct bundle *b, uint64_t id, const struct proto_invoke *invoke)
{
	struct proto_invoked invoked = {0};
	struct vm_start start = {0};
	struct buf what = BUF_INIT;
	struct bundle_job *job;

	if (b->vm == NULL) {
		invoked.outcome.result = PROTO_ERROR;
		invoked.outcome.error = b->broken;
		b->env->invoked(b->env->cookie, id, &invoked);
		return;
	}
	job = mem_zalloc(sizeof(*job));
	job->bundle = b;
	job->job = id;
	job->invoke = invoke;
	job->invoked = 1;
	TAILQ_INSERT_TAIL(&b->jobs, job, entry);
	b->njobs++;

	buf_printf(&what, "component %s", invoke->route);
	start.activity = PROTO_IN_RUN;
	start.id = id;
	start.job = id;
	start.deadline_ms = invoke->deadline_ms;
	start.spent_ms = invoke->spent_ms;
	/* By then who asked has been answered by the host, and there is one way
	 * for it to be late; the time of a test has no such race. */
	start.grace_ms = b->env->host.clock == NULL ? INVOKE_GRACE_MS : 0;
	start.awaited = 1;
	start.what = buf_text(&what);
	start.push = invoke_push;
	start.results = invoke_results;
	start.done = job_done;
	start.cookie = job;
	vm_start(b->vm, &start);
	buf_free(&what);
}

/* env(name) in a configuration: the variable, or nil. */
static int
eval_env(lua_State *L)
{
	const struct vm_host *host = lua_touserdata(L, lua_upvalueindex(1));
	const char *name = luaL_checkstring(L, 1);
	char *value;

	lua_pushfstring(L, "env:%s", name);
	value = host->secret(host->cookie, 0, lua_tostring(L, -1));
	if (value == NULL) {
		lua_pushnil(L);
		return 1;
	}
	/* Should memory run out here, this process is about to end anyway. */
	lua_pushstring(L, value);
	explicit_bzero(value, strlen(value));
	free(value);
	return 1;
}

struct eval_job {
	struct load_job load; /* First: load_push() and load_done() see it. */
	const struct bundle_env *env;
};

static void
eval_push(lua_State *L, void *cookie)
{
	struct eval_job *job = cookie;

	lua_pushlightuserdata(L, (void *)(uintptr_t)&job->env->host);
	lua_pushcclosure(L, eval_env, 1);
	lua_setglobal(L, "env");
	load_push(L, cookie);
}

static void
eval_results(lua_State *co, int n, void *cookie)
{
	struct eval_job *job = cookie;
	struct err err = ERR_INIT;

	if (n == 0 || !lua_istable(co, -n))
		(void)err_set(&err, ERR_INVALID,
		    "it does not return a table: write return { ... }");
	else if (convert_encode(co, -n, MAX_EVAL, &job->load.json, &err) == 0)
		return;
	job->load.error = mem_strdup(err.msg);
}

void
bundle_eval(const struct bundle_env *env, uint64_t id, const char *name,
    const char *source, char **ret_json, char **ret_error)
{
	struct eval_job job = {0};
	struct vm_start start = {0};
	struct buf chunk = BUF_INIT;
	struct err err = ERR_INIT;
	struct vm *vm;

	*ret_json = *ret_error = NULL;
	vm = vm_create(env->base, &env->limits, &env->host, NULL, &err);
	if (vm == NULL) {
		*ret_error = mem_strdup(err.msg);
		return;
	}
	buf_printf(&chunk, "@%s", name);
	job.env = env;
	job.load.source = str_of(source);
	job.load.chunk = buf_text(&chunk);
	start.activity = PROTO_IN_EVAL;
	start.id = id;
	start.what = "the main chunk";
	start.loading = 1;
	start.push = eval_push;
	start.results = eval_results;
	start.done = load_done;
	start.cookie = &job;
	vm_start(vm, &start);
	vm_free(vm);
	buf_free(&chunk);

	if (job.load.outcome.result != PROTO_DONE) {
		*ret_error = job.load.outcome.error;
		job.load.outcome.error = NULL;
	} else if (job.load.error != NULL) {
		*ret_error = mem_printf("%s: %s", name, job.load.error);
	} else {
		*ret_json = buf_take(&job.load.json);
	}
	free(job.load.error);
	buf_free(&job.load.json);
	proto_outcome_clear(&job.load.outcome);
}
