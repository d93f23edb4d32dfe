/*
 * What the limits cost a script that does nothing but arithmetic, against the
 * stock interpreter (the same liblua, without us): the same loop in turns,
 * medians.
 *
 *	build/release/tests/bench/bench_limits
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "base/clock.h"
#include "base/str.h"

#include "script/bundle.h"

#define ROUNDS 31
#define GOAL_PERCENT 3.0

#define LOOP                                                                   \
	"local n, x = 0, 1.5 "                                                 \
	"for i = 1, 5000000 do n = n + i % 7 x = x * 1.0000001 + n end "       \
	"return n, x"

static struct proto_page page;
static struct bundle_env env;
static uint64_t ended;

static void
fail(const char *what)
{
	(void)fprintf(stderr, "bench_limits: %s\n", what);
	exit(EXIT_FAILURE);
}

static void
on_log(void *cookie, uint64_t job, const struct proto_log *log)
{
	(void)cookie;
	(void)job;
	(void)log;
}

static char *
on_secret(void *cookie, uint64_t bundle, const char *name)
{
	(void)cookie;
	(void)bundle;
	(void)name;
	return NULL;
}

static void
on_done(void *cookie, uint64_t job, const struct proto_outcome *outcome)
{
	(void)cookie;
	(void)job;
	if (outcome->result != PROTO_DONE)
		fail(outcome->error);
	ended++;
}

static struct bundle *
load(void)
{
	static char integration[] = "default", script[] = "bench",
		    chunk[] = "scripts/bench.lua";
	struct proto_load m = {.integration = integration,
	    .script = script,
	    .chunk = chunk,
	    .source = STR("function on_event() " LOOP " end")};
	struct proto_loaded loaded;
	struct bundle *bundle;

	env.base = event_base_new();
	env.limits = (struct vm_limits){
	    .mem_bytes = 64U << 20, .cpu_ms = 60000, .handler_ms = 600000};
	env.host.log = on_log;
	env.host.secret = on_secret;
	env.host.page = &page;
	env.done = on_done;
	bundle = bundle_load(&env, 1, &m, &loaded);
	if (bundle == NULL)
		fail(loaded.error);
	proto_loaded_clear(&loaded);
	return bundle;
}

/* One run as a handler, in ns of CPU. */
static uint64_t
with_limits(struct bundle *bundle, uint64_t job)
{
	static char handler[] = "on_event", text[] = "x";
	struct proto_run run = {.bundle = 1,
	    .handler = handler,
	    .delivery = text,
	    .integration = text,
	    .resource = text,
	    .channel = text,
	    .attempt = 1,
	    .headers_json = STR("{}"),
	    .body = STR("{}")};
	uint64_t before = clock_thread_cpu_ns();

	bundle_run(bundle, job, &run);
	if (ended != job)
		fail("the handler waits");
	return clock_thread_cpu_ns() - before;
}

/* One run by the stock interpreter. */
static uint64_t
stock(lua_State *L)
{
	uint64_t before;

	lua_settop(L, 1);
	lua_pushvalue(L, 1);
	before = clock_thread_cpu_ns();
	if (lua_pcall(L, 0, 0, 0) != LUA_OK)
		fail(lua_tostring(L, -1));
	return clock_thread_cpu_ns() - before;
}

static int
by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double
median_ms(uint64_t *ns)
{
	qsort(ns, ROUNDS, sizeof(*ns), by_size);
	return (double)ns[ROUNDS / 2] / 1e6;
}

int
main(void)
{
	uint64_t ours[ROUNDS], theirs[ROUNDS];
	struct bundle *bundle = load();
	lua_State *L = luaL_newstate();
	double a, b, percent;
	size_t i;

	luaL_openlibs(L);
	if (luaL_loadstring(L, LOOP) != LUA_OK)
		fail(lua_tostring(L, -1));
	(void)stock(L);
	for (i = 0; i < ROUNDS; i++) {
		theirs[i] = stock(L);
		ours[i] = with_limits(bundle, i + 1);
	}
	a = median_ms(ours);
	b = median_ms(theirs);
	percent = (a / b - 1) * 100;
	(void)printf("arithmetic loop, medians of %d runs in turns: %.1f ms in "
		     "a handler with its limits, %.1f ms in the stock "
		     "interpreter: %+.1f %% (goal: under %.0f %%, %s)\n",
	    ROUNDS, a, b, percent, GOAL_PERCENT,
	    percent < GOAL_PERCENT ? "met" : "MISSED");
	bundle_free(bundle);
	lua_close(L);
	event_base_free(env.base);
	return 0;
}
