#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/loop.h"
#include "schedule/plan.h"
#include "json/jwrite.h"

#include "dispatch/agenda.h"
#include "dispatch/dispatch_internal.h"
#include "dispatch/version.h"

/* The wall clock may be set: look at it again after so long. */
#define TIMER_MAX_MS 60000

/* While the run before holds one up, or the store takes nothing. */
#define AGAIN_S 10

/* No due time is that far ahead of the clock unless that was set back. */
#define CLOCK_SET_S 86400

struct entry {
	struct agenda *agenda;
	const struct plan *plan;
	int64_t last_unix_s;
	int64_t next_unix_s;       /* After that; -1: none; 0: to be found. */
	int64_t not_before_unix_s; /* It was held up until then. */
	int appending;             /* The store has the operation. */
	int refused;               /* ...and told so, once. */
	struct store_append append;
	struct store_new_job job;
	char *handler;
	struct buf body;
	struct buf order_key;
	struct buf dedupe_key;
};

struct agenda {
	struct dispatch *d;
	const struct script *script;
	char *declared; /* What it is made from; NULL: nothing. */
	int stale;      /* The script has declared something else since. */
	int told;       /* The store has been told of it... */
	int known;      /* ...and has said when each was due the last time. */
	int telling;    /* The store has the operation. */
	struct store_schedules tell;
	struct store_schedule *tell_list;
	struct plans plans;
	struct entry *entries; /* One each. */
	size_t nappending;
	struct event *timer;
	struct dispatch_schedule *shown;
};

static void build(struct agenda *a);

static int64_t
now_ms(const struct agenda *a)
{
	uint64_t (*unix_ms)(void) = a->d->options.unix_ms;

	return (int64_t)(unix_ms == NULL ? clock_unix_ms() : unix_ms());
}

static int64_t
now_s(const struct agenda *a)
{
	return now_ms(a) / 1000;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	agenda_look(arg);
}

struct agenda *
agenda_create(struct dispatch *d, const struct script *script)
{
	struct agenda *a = mem_zalloc(sizeof(*a));

	a->d = d;
	a->script = script;
	a->timer = event_new(d->options.base, -1, 0, on_timer, a);
	return a;
}

/* Forget what it holds; nothing of it is in the store. */
static void
clear(struct agenda *a)
{
	size_t i;

	for (i = 0; i < a->plans.n; i++) {
		free(a->entries[i].handler);
		buf_free(&a->entries[i].body);
		buf_free(&a->entries[i].order_key);
		buf_free(&a->entries[i].dedupe_key);
	}
	free(a->entries);
	a->entries = NULL;
	free(a->tell_list);
	a->tell_list = NULL;
	free(a->shown);
	a->shown = NULL;
	free(a->declared);
	a->declared = NULL;
	plans_clear(&a->plans);
	a->told = a->known = 0;
}

void
agenda_free(struct agenda *a)
{
	if (a == NULL)
		return;
	clear(a);
	event_free(a->timer);
	free(a);
}

/* ---- what is due -----------------------------------------------------------
 */

static void
set_last(struct entry *e, int64_t unix_s)
{
	e->last_unix_s = unix_s;
	e->next_unix_s = 0;
}

/* When it is due; worth keeping, as for some rules it takes a search. */
static int64_t
next_of(struct entry *e)
{
	if (e->next_unix_s == 0)
		e->next_unix_s = plan_next(e->plan, e->last_unix_s);
	return e->next_unix_s;
}

/* An operation came back. */
static void
settle(struct agenda *a)
{
	a->d->nplanning--;
	if (a->stale && !a->telling && a->nappending == 0 && !a->d->draining)
		build(a);
	else
		agenda_look(a);
	dispatch_check_drained(a->d);
}

static void
on_appended(struct store_op *op)
{
	struct entry *e = op->cookie;
	struct agenda *a = e->agenda;
	const struct store_append *append = &e->append;

	e->appending = 0;
	a->nappending--;
	if (op->rc == -1) {
		if (!e->refused)
			log_error("schedule is due, but not stored",
			    LOG_STR("script", a->script->name),
			    LOG_STR("integration", a->script->integration),
			    LOG_STR("schedule", e->plan->name),
			    LOG_STR("error", op->err.msg));
		e->refused = 1;
		e->not_before_unix_s = now_s(a) + AGAIN_S;
	} else {
		e->refused = 0;
		set_last(e, append->ret_last_unix_s);
		if (append->ret_busy)
			e->not_before_unix_s = now_s(a) + AGAIN_S;
		else if (!append->ret_duplicate && a->d->options.stored != NULL)
			a->d->options.stored(a->d->options.cookie, append);
	}
	settle(a);
}

static void
write_body(struct entry *e, const struct plan_due *due)
{
	struct jwrite w;

	buf_reset(&e->body);
	w = jwrite_begin(&e->body, 0);
	jwrite_object(&w);
	jwrite_member_text(&w, "action", e->plan->name);
	jwrite_key(&w, "data");
	jwrite_object(&w);
	jwrite_member_text(&w, "name", e->plan->name);
	jwrite_member_int(&w, "due_at", due->due_unix_s);
	jwrite_member_int(&w, "missed", due->missed);
	jwrite_object_end(&w);
	jwrite_object_end(&w);
}

static struct str
str_of_buf(const struct buf *b)
{
	return (struct str){b->data, b->len};
}

/* Have the store make a delivery of it. */
static void
append(struct agenda *a, struct entry *e, const struct plan_due *due)
{
	const struct script *script = a->script;
	struct err err = ERR_INIT;

	write_body(e, due);
	buf_reset(&e->order_key);
	buf_printf(&e->order_key, "schedule %s", e->plan->name);
	buf_reset(&e->dedupe_key);
	buf_printf(&e->dedupe_key, "schedule %s/%s/%lld %s",
	    script->integration, script->name, (long long)due->due_unix_s,
	    e->plan->name);
	e->job = (struct store_new_job){.script = script->name,
	    .handler = e->handler,
	    .order_key = str_of_buf(&e->order_key)};
	e->append = (struct store_append){
	    .op = {.kind = STORE_OP_APPEND,
		.reply_to = a->d->options.mailbox,
		.done = on_appended,
		.cookie = e},
	    .state = STORE_PENDING,
	    .integration = script->integration,
	    .channel = PLAN_RESOURCE,
	    .resource = PLAN_RESOURCE,
	    .action = e->plan->name,
	    .dedupe_key = str_of_buf(&e->dedupe_key),
	    .headers_json = STR("{}"),
	    .body = str_of_buf(&e->body),
	    .received_unix_ms = (uint64_t)now_ms(a),
	    .jobs = &e->job,
	    .njobs = 1,
	    .schedule = e->plan->name,
	    .schedule_script = script->name,
	    .due_unix_s = due->due_unix_s,
	};
	if (dispatch_submit(a->d, &e->append.op, &err) == -1) {
		e->not_before_unix_s = now_s(a) + AGAIN_S;
		return;
	}
	e->appending = 1;
	a->nappending++;
	a->d->nplanning++;
}

/* When to look at it next; -1: never, or when the operation is back. */
static int64_t
look_at(struct agenda *a, struct entry *e)
{
	struct plan_due due;
	int64_t now = now_s(a), next;

	if (e->appending)
		return -1;
	if (e->not_before_unix_s > now + AGAIN_S)
		e->not_before_unix_s = now; /* The clock was put back. */
	if (now >= e->not_before_unix_s && next_of(e) <= now &&
	    plan_look(e->plan, e->last_unix_s, now, &due)) {
		if (!due.skip) {
			append(a, e, &due);
			return e->appending ? -1 : e->not_before_unix_s;
		}
		set_last(e, due.due_unix_s);
		log_info("schedule skips what was missed",
		    LOG_STR("script", a->script->name),
		    LOG_STR("integration", a->script->integration),
		    LOG_STR("schedule", e->plan->name),
		    LOG_INT("missed", due.missed + 1));
	}
	next = next_of(e);
	if (next != -1 && next < e->not_before_unix_s)
		return e->not_before_unix_s;
	return next;
}

void
agenda_look(struct agenda *a)
{
	int64_t next = -1, at = -1, wait_ms;
	size_t i;

	(void)event_del(a->timer);
	if (a->d->draining || !a->known || a->stale)
		return;
	if (a->d->store_trouble)
		return; /* It calls when it works again. */
	for (i = 0; i < a->plans.n; i++) {
		if (a->entries[i].last_unix_s > now_s(a) + CLOCK_SET_S) {
			/* That was by another clock: ask what to go by. */
			if (a->nappending == 0)
				build(a);
			return;
		}
	}
	for (i = 0; i < a->plans.n; i++) {
		at = look_at(a, &a->entries[i]);
		if (at != -1 && (next == -1 || at < next))
			next = at;
	}
	if (next == -1)
		return;
	wait_ms = next * 1000 - now_ms(a);
	if (wait_ms > TIMER_MAX_MS)
		wait_ms = TIMER_MAX_MS;
	(void)loop_arm(a->timer, wait_ms > 0 ? (uint64_t)wait_ms : 0);
}

void
agenda_ended(struct agenda *a)
{
	size_t i;

	for (i = 0; i < a->plans.n; i++)
		if (a->entries[i].append.ret_busy)
			a->entries[i].not_before_unix_s = 0;
	agenda_look(a);
}

/* ---- what there is ----------------------------------------------------------
 */

static void
on_told(struct store_op *op)
{
	struct agenda *a = op->cookie;
	size_t i;

	a->telling = 0;
	if (op->rc == -1) {
		a->told = 0;
		dispatch_store_trouble(a->d, op->err.msg);
	} else {
		a->known = 1;
		for (i = 0; i < a->plans.n; i++)
			set_last(
			    &a->entries[i], a->tell_list[i].ret_last_unix_s);
	}
	settle(a);
}

/* Tell the store which there are: it knows when they were due. */
static void
tell(struct agenda *a)
{
	struct err err = ERR_INIT;
	size_t i;

	free(a->tell_list);
	a->tell_list = mem_array(a->plans.n + 1, sizeof(*a->tell_list));
	for (i = 0; i < a->plans.n; i++)
		a->tell_list[i] =
		    (struct store_schedule){.name = a->plans.list[i].name,
			.rule = a->plans.list[i].rule};
	a->tell = (struct store_schedules){
	    .op = {.kind = STORE_OP_SCHEDULES,
		.reply_to = a->d->options.mailbox,
		.done = on_told,
		.cookie = a},
	    .integration = a->script->integration,
	    .script = a->script->name,
	    .now_unix_s = now_s(a),
	    .schedules = a->tell_list,
	    .nschedules = a->plans.n,
	};
	if (dispatch_submit(a->d, &a->tell.op, &err) == -1) {
		dispatch_store_trouble(a->d, err.msg);
		return;
	}
	a->told = a->telling = 1;
	a->d->nplanning++;
}

static const char *
wanted(const struct agenda *a)
{
	if (a->script->removed || a->script->live == NULL)
		return NULL;
	return a->script->live->declared;
}

/* Make it from what the script declares now. */
static void
build(struct agenda *a)
{
	struct err err = ERR_INIT;
	size_t i;

	clear(a);
	a->stale = 0;
	a->declared = mem_strdup(wanted(a));
	if (plans_read(a->declared, NULL, &a->plans, &err) == -1)
		log_error("schedules of a script cannot be read",
		    LOG_STR("script", a->script->name),
		    LOG_STR("integration", a->script->integration),
		    LOG_STR("error", err.msg));
	a->entries = mem_zalloc((a->plans.n + 1) * sizeof(*a->entries));
	for (i = 0; i < a->plans.n; i++) {
		a->entries[i].agenda = a;
		a->entries[i].plan = &a->plans.list[i];
		a->entries[i].handler =
		    mem_printf(PLAN_HANDLER "%s", a->plans.list[i].name);
	}
	tell(a);
}

void
agenda_sync(struct agenda *a)
{
	const char *now = wanted(a);

	if (a->d->draining)
		return;
	if (a->declared == NULL || now == NULL) {
		/* A script without any is told of once, too: it may have had
		 * some before. */
		if (a->declared == now && (a->told || a->script->live == NULL))
			return;
	} else if (strcmp(a->declared, now) == 0) {
		if (!a->told && !a->stale)
			tell(a);
		else
			agenda_look(a);
		return;
	}
	a->stale = 1;
	if (!a->telling && a->nappending == 0)
		build(a);
}

const struct dispatch_schedule *
agenda_list(struct agenda *a, size_t *ret_n)
{
	struct entry *e;
	int64_t next;
	size_t i;

	*ret_n = a->plans.n;
	if (a->plans.n == 0)
		return NULL;
	if (a->shown == NULL)
		a->shown = mem_array(a->plans.n, sizeof(*a->shown));
	for (i = 0; i < a->plans.n; i++) {
		e = &a->entries[i];
		next = a->known ? next_of(e) : -1;
		a->shown[i] = (struct dispatch_schedule){
		    .name = e->plan->name,
		    .rule = e->plan->rule,
		    .next_unix_ms = next < 0 ? 0 : (uint64_t)next * 1000,
		};
	}
	return a->shown;
}
