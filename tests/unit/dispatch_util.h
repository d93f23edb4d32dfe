#ifndef TESTS_UNIT_DISPATCH_UTIL_H_
#define TESTS_UNIT_DISPATCH_UTIL_H_

/*
 * What the tests of the dispatcher share: a store and a scripts folder of their
 * own, a loop that runs until something is so, and a note of what became of
 * each delivery.
 */

#include <criterion/criterion.h>
#include <event2/event.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "catalog/catalog.h"
#include "catalog/routes.h"
#include "dispatch/dispatch.h"
#include "net/loop.h"
#include "store/store.h"
#include "wire/source.h"

#include "unit/scratch.h"

#define DEADLINE_MS 40000
#define MAX_DELIVERIES 2000

static struct scratch scratch;
static struct loop *loop;
static struct event *ticker;
static struct store *store;
static struct catalog *catalog;
static struct dispatch *dispatch;
static struct dispatch_options options;
static struct routes *routes;
static unsigned int npublished;
static int settled;
static int drained;

/* By delivery: of its (last) job. */
static struct {
	int known;
	enum store_state state;
	unsigned int starts;
	unsigned int order; /* Among those that ended. */
	char error[300];
} seen[MAX_DELIVERIES];
static unsigned int nended;
static unsigned int running, most_running;

static inline struct dispatch_script status(const char *name);

static inline void
on_job(void *cookie, const struct store_job *job, enum store_state state,
    uint64_t next_unix_ms, const char *error)
{
	(void)cookie;
	(void)next_unix_ms;
	seen[job->delivery_id].known = 1;
	seen[job->delivery_id].state = state;
	(void)snprintf(seen[job->delivery_id].error, sizeof(seen[0].error),
	    "%s", error == NULL ? "" : error);
	if (state == STORE_RUNNING) {
		seen[job->delivery_id].starts++;
		running++;
		/* One that has ended is told of later, once that is durable. */
		if (status(job->script).running > most_running)
			most_running = status(job->script).running;
	} else {
		running--;
		seen[job->delivery_id].order = ++nended;
	}
}

static inline void
on_routes(void *cookie, struct routes *now)
{
	(void)cookie;
	routes_unref(routes);
	routes = now;
	npublished++;
}

static inline int
on_secret(void *cookie, const char *integration, const char *name,
    struct buf *ret_value, struct err *err)
{
	(void)cookie;
	if (strcmp(name, "KEY") != 0)
		return err_set(err, ERR_NOT_FOUND, "no secret %s", name);
	buf_printf(ret_value, "hush-%s", integration);
	return 0;
}

static inline void
on_redact(void *cookie, struct buf *text)
{
	char *at = text->data == NULL ? NULL : strstr(text->data, "hush");

	(void)cookie;
	if (at != NULL)
		(void)memcpy(at, "****", 4);
}

static inline void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

static inline void
step(void)
{
	(void)event_base_loop(loop_base(loop), EVLOOP_ONCE);
}

/* Run the loop until ${is_so}. */
#define UNTIL(is_so)                                                           \
	do {                                                                   \
		uint64_t from_ = clock_mono_ms();                              \
		while (!(is_so)) {                                             \
			cr_assert_lt(clock_mono_ms() - from_, DEADLINE_MS,     \
			    "never: %s", #is_so);                              \
			step();                                                \
		}                                                              \
	} while (0)

static inline void
on_settled(void *cookie)
{
	*(int *)cookie = 1;
}

/* Open the store, and start the dispatcher by the options. */
static inline void
start(void)
{
	const struct store_options so = {.path = scratch_path(&scratch, "data"),
	    .dedupe_window_ms = 3600000};
	struct err err = ERR_INIT;

	cr_assert_eq(store_open(&so, &store, &err), 0, "%s", err.msg);
	options.store = store;
	dispatch = dispatch_create(&options);
}

static inline void
stop(void)
{
	if (dispatch == NULL)
		return;
	drained = 0;
	dispatch_drain(dispatch, 0, on_settled, &drained);
	UNTIL(drained);
	dispatch_free(dispatch);
	dispatch = NULL;
	store_close(store);
	store = NULL;
}

static inline void
setup(void)
{
	const struct timeval tick = {0, 5000};
	struct err err = ERR_INIT;

	scratch_make(&scratch);
	scratch_mkdir(&scratch, "scripts");
	scratch_mkdir(&scratch, "scripts/lib");
	scratch_mkdir(&scratch, "data");
	cr_assert_eq(loop_create(100, &loop, &err), 0);
	ticker = event_new(loop_base(loop), -1, EV_PERSIST, on_tick, NULL);
	(void)event_add(ticker, &tick);
	cr_assert_eq(catalog_open(NULL, 0, &catalog, &err), 0, "%s", err.msg);
	options = (struct dispatch_options){
	    .base = loop_base(loop),
	    .mailbox = loop_mailbox(loop),
	    .catalog = catalog,
	    .data_dir = mem_printf("%s/data", scratch.dir),
	    .workers = 1,
	    .limits = {.mem_bytes = 64 << 20,
		.cpu_ms = 200,
		.handler_ms = 30000},
	    .load_ms = 20000,
	    .retry_attempts = 3,
	    .retry_base_ms = 10,
	    .retry_max_ms = 20,
	    .secret = on_secret,
	    .redact = on_redact,
	    .routes = on_routes,
	    .job = on_job,
	};
}

static inline void
teardown(void)
{
	stop();
	routes_unref(routes);
	catalog_free(catalog);
	event_free(ticker);
	loop_free(loop);
	free((char *)(uintptr_t)options.data_dir);
	scratch_clear(&scratch);
}

/* Tell what is in the folder, and wait until it is tried and loaded. */
static inline void
update(void)
{
	struct err err = ERR_INIT;
	struct source *source = NULL;
	char dir[128];

	(void)snprintf(dir, sizeof(dir), "%s/scripts", scratch.dir);
	cr_assert_eq(source_scan(dir, &source, &err), 0, "%s", err.msg);
	dispatch_update(dispatch, "default", source);
	source_unref(source);
}

static inline void
settle(void)
{
	settled = 0;
	dispatch_when_settled(dispatch, on_settled, &settled);
	UNTIL(settled);
}

/* Save a script. */
static inline void
save(const char *name, const char *text)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "scripts/%s.lua", name);
	scratch_replace(&scratch, path, text);
}

static inline void
save_and_load(const char *name, const char *text)
{
	save(name, text);
	update();
	settle();
}

static inline void
unsave(const char *name)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "scripts/%s.lua", name);
	cr_assert_eq(unlink(scratch_path(&scratch, path)), 0);
}

static inline void
on_op(struct store_op *op)
{
	*(int *)op->cookie = 1;
}

/* Do an operation on the store. */
static inline void
do_op(struct store_op *op, enum store_kind kind)
{
	struct err err = ERR_INIT;
	int done = 0;

	op->kind = kind;
	op->reply_to = loop_mailbox(loop);
	op->done = on_op;
	op->cookie = &done;
	cr_assert_eq(store_submit(store, op, &err), 0, "%s", err.msg);
	UNTIL(done);
	cr_assert_eq(op->rc, 0, "%s", op->err.msg);
}

/* A delivery with one job.  Returns its number. */
static inline uint64_t
append_to(const char *script, const char *handler, const char *resource)
{
	const struct store_new_job job = {.script = script, .handler = handler};
	struct store_append a = {.state = STORE_PENDING,
	    .integration = "default",
	    .channel = "issue",
	    .resource = resource,
	    .action = "created",
	    .headers_json = STR("{}"),
	    .body = STR("{\"action\":\"created\"}"),
	    .received_unix_ms = clock_unix_ms(),
	    .jobs = &job,
	    .njobs = 1};

	do_op(&a.op, STORE_OP_APPEND);
	cr_assert_lt(a.ret_id, MAX_DELIVERIES);
	return a.ret_id;
}

static inline uint64_t
append(const char *script)
{
	return append_to(script, "on_issue", "issue");
}

static inline int
is(uint64_t id, enum store_state state)
{
	return seen[id].known && seen[id].state == state;
}

/* The record of a delivery as JSON.  The caller frees. */
static inline char *
record(uint64_t id)
{
	struct store_get get = {.id = id};

	do_op(&get.op, STORE_OP_GET);
	return get.ret_json;
}

static inline void
assert_record(uint64_t id, const char *part)
{
	char *json = record(id);

	cr_assert(strstr(json, part), "no %s in %s", part, json);
	free(json);
}

static inline uint64_t
count(enum store_state state)
{
	struct store_counts counts = {.integration = NULL};

	do_op(&counts.op, STORE_OP_COUNTS);
	return counts.ret_jobs[state];
}

static inline struct dispatch_script
status(const char *name)
{
	struct dispatch_script s;

	cr_assert_eq(dispatch_script_find(dispatch, "default", name, &s), 0);
	return s;
}

static inline int
state_is(const char *name, const char *state)
{
	return strcmp(status(name).state, state) == 0;
}

/* How many handlers a delivery of ${resource} would go to. */
static inline size_t
wanted(const char *resource)
{
	size_t n = 0;

	(void)routes_find(
	    routes, "default", catalog_find(catalog, str_of(resource)), &n);
	return n;
}

/* A script whose handler waits until release(${file}). */
static inline const char *
waiting(const char *file)
{
	static char text[300];

	(void)snprintf(
	    text, sizeof(text), "on_issue: wait %s/%s", scratch.dir, file);
	return text;
}

static inline void
release(const char *file)
{
	scratch_write(&scratch, file, "");
}

#endif /* !TESTS_UNIT_DISPATCH_UTIL_H_ */
