#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "dispatch/decide.h"
#include "net/loop.h"
#include "wire/spawn.h"

#include "dispatch/workers.h"

/* Taken from one worker before the loop turns to others. */
#define READ_BYTES (256U << 10)

/* How often they are looked at, and an idle one is asked. */
#define TICK_MS 250
#define PING_IDLE_MS 5000

/* A new process says READY within that. */
#define START_MS 30000

/* One that did not live for this long is replaced ever more slowly. */
#define SHORT_LIFE_MS 10000
#define RESPAWN_MIN_MS 50
#define RESPAWN_MAX_MS 5000

/* What C libraries, stacks and the program need beside Lua's memory. */
#define ADDRESS_BYTES (8ULL << 30)

#define REFUSED_MAX 8 /* Listeners of the host. */

enum worker_state {
	WORKER_DOWN,     /* No process; `again` will start one. */
	WORKER_STARTING, /* It has not said READY. */
	WORKER_READY,
	WORKER_ENDING, /* It was told to stop. */
};

struct worker {
	struct workers *pool;
	struct worker *next;
	char *name;
	int unsafe;
	enum worker_state state;
	struct worker_proc proc;
	struct event *ev_read; /* NULL while there is no process. */
	struct event *ev_write;
	struct event *again; /* Start it; while it is up: bury it. */
	struct buf in;
	struct buf out;
	size_t out_at; /* Sent up to here. */

	uint64_t started_mono_ms;
	uint64_t respawn_ms; /* Pause before the next start. */
	uint64_t ping_mono_ms;
	int ping_open; /* Not answered yet. */

	/* When it last showed a sign of life, and what it had used by then. */
	uint64_t alive_mono_ms;
	uint64_t alive_cpu_ms;
	uint64_t alive_slices;

	/* It is to be buried. */
	int doomed;
	const char *doom_how;
	int doom_by_itself;
};

struct workers {
	struct workers_options options;
	struct worker *first;
	struct worker **last;
	uint16_t refused[REFUSED_MAX]; /* Ports of ours. */
	size_t nrefused;
	struct event *tick;
	struct event *end; /* The time of grace is over. */
	int stopping;
	int told_stopped;
	int told_missing; /* What of the wall cannot be had here. */
};

/* CPU that the process has used, or 0. */
static uint64_t
cpu_ms(const struct worker *w)
{
	struct timespec ts;
	clockid_t id;

	if (clock_getcpuclockid(w->proc.pid, &id) != 0 ||
	    clock_gettime(id, &ts) == -1)
		return 0;
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void
set_alive(struct worker *w, uint64_t mono_ms)
{
	w->alive_mono_ms = mono_ms;
	w->alive_cpu_ms = cpu_ms(w);
}

/* Tell, once, that all are gone. */
static void
check_stopped(struct workers *p)
{
	const struct worker *w;

	if (!p->stopping || p->told_stopped)
		return;
	for (w = p->first; w != NULL; w = w->next)
		if (w->state != WORKER_DOWN)
			return;
	p->told_stopped = 1;
	(void)event_del(p->end);
	p->options.stopped(p->options.cookie);
}

static uint64_t
us_of(struct timeval tv)
{
	return (uint64_t)tv.tv_sec * 1000000 + (uint64_t)tv.tv_usec;
}

/* Kill what may be left of the process, and free what we had for it.
 * *${ret_cpu_us} is what it has used in all its life. */
static int
reap(struct worker *w, uint64_t *ret_cpu_us)
{
	struct rusage used = {0};
	int status = 0;

	/* Its number is the group's until it has been waited for. */
	if (w->unsafe)
		(void)kill(-w->proc.pid, SIGKILL);
	(void)kill(w->proc.pid, SIGKILL);
	while (wait4(w->proc.pid, &status, 0, &used) == -1 && errno == EINTR)
		continue;
	*ret_cpu_us = us_of(used.ru_utime) + us_of(used.ru_stime);
	if (w->ev_read != NULL)
		event_free(w->ev_read);
	if (w->ev_write != NULL)
		event_free(w->ev_write);
	w->ev_read = w->ev_write = NULL;
	buf_free(&w->in);
	buf_free(&w->out);
	w->out_at = 0;
	return status;
}

/* What the run that it was at has used, by its own account. */
static void
take_usage(
    struct workers_death *death, const struct proto_page *page, uint64_t cpu_us)
{
	uint64_t begun_us = page->begun_cpu_us;

	death->memory_bytes = page->memory_bytes;
	death->cpu_us = page->run_cpu_us;
	if (cpu_us > begun_us)
		death->cpu_us += cpu_us - begun_us;
	/* It cannot have used more than the whole process. */
	if (death->cpu_us > cpu_us)
		death->cpu_us = cpu_us;
}

/* The end of a worker, whatever brought it about; then its replacement. */
static void
bury(struct worker *w)
{
	struct workers *p = w->pool;
	struct workers_death death = {
	    .how = w->doom_how, .by_itself = w->doom_by_itself};
	uint64_t lived_ms = clock_mono_ms() - w->started_mono_ms, cpu_us;
	int was_ending = w->state == WORKER_ENDING;
	char text[128];
	int status;

	/* The page is read when nobody writes any more. */
	status = reap(w, &cpu_us);
	take_usage(&death, w->proc.page, cpu_us);
	death.activity = (enum proto_activity)w->proc.page->activity;
	death.id = w->proc.page->id;
	if (!w->doomed && WIFSIGNALED(status)) {
		/* Somebody's kill -9 is no proof against a script; but when one
		 * ran, it may have been the kernel, out of memory. */
		death.by_itself = WTERMSIG(status) != SIGTERM &&
				  (WTERMSIG(status) != SIGKILL ||
				      death.activity != PROTO_IDLE);
		(void)snprintf(text, sizeof(text), "%s: %s",
		    WTERMSIG(status) == SIGKILL ? "was killed" : "crashed",
		    strsignal(WTERMSIG(status)));
		death.how = text;
	} else if (!w->doomed) {
		death.by_itself = 1;
		(void)snprintf(text, sizeof(text), "ended with status %d",
		    WIFEXITED(status) ? WEXITSTATUS(status) : -1);
		death.how = text;
	}
	if (!was_ending)
		log_error("worker gone", LOG_STR("worker", w->name),
		    LOG_INT("pid", w->proc.pid), LOG_STR("error", death.how));
	worker_proc_clear(&w->proc);
	w->proc = (struct worker_proc)WORKER_PROC_INIT;
	w->state = WORKER_DOWN;
	w->doomed = 0;
	w->ping_open = 0;

	if (lived_ms >= SHORT_LIFE_MS)
		w->respawn_ms = 0;
	if (!p->stopping)
		(void)loop_arm(w->again, w->respawn_ms);
	w->respawn_ms = w->respawn_ms == 0 ? RESPAWN_MIN_MS : w->respawn_ms * 2;
	if (w->respawn_ms > RESPAWN_MAX_MS)
		w->respawn_ms = RESPAWN_MAX_MS;
	p->options.died(p->options.cookie, w, &death);
	check_stopped(p);
}

static void
flush(struct worker *w)
{
	ssize_t n;

	while (w->out_at < w->out.len) {
		n = send(w->proc.fd, w->out.data + w->out_at,
		    w->out.len - w->out_at, MSG_NOSIGNAL);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			/* Any other error shows when reading, too. */
			if (errno == EAGAIN)
				(void)event_add(w->ev_write, NULL);
			break;
		}
		w->out_at += (size_t)n;
	}
	buf_forget(&w->out, &w->out_at);
}

static void
on_write(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	flush(arg);
}

/* The wall around scripts has a gap on this machine: say so, once. */
static void
tell_missing(struct workers *p, struct str payload)
{
	char *missing = NULL, *none = NULL;

	if (proto_get_texts(payload, &missing, &none) == -1)
		return;
	if (missing != NULL && !p->told_missing)
		log_warn("the wall around scripts is not whole",
		    LOG_STR("missing", missing));
	p->told_missing |= missing != NULL;
	free(missing);
	free(none);
}

static void
set_ready(struct worker *w, struct str payload)
{
	struct workers *p = w->pool;

	w->state = WORKER_READY;
	tell_missing(p, payload);
	if (p->stopping)
		return;
	log_debug("worker ready", LOG_STR("worker", w->name),
	    LOG_INT("pid", w->proc.pid));
	p->options.ready(p->options.cookie, w);
}

/* Take what it says apart.  Return -1 if it makes no sense. */
static int
take_frames(struct worker *w)
{
	struct workers *p = w->pool;
	struct ipc_frame frame;
	ptrdiff_t size;
	size_t at = 0;
	int rc = 0;

	while (rc == 0 && !w->doomed) {
		size = ipc_next(w->in.data + at, w->in.len - at, &frame, NULL);
		if (size == 0)
			break;
		if (size == -1) {
			rc = -1;
		} else if (frame.type == PROTO_READY) {
			if (w->state == WORKER_STARTING)
				set_ready(w, frame.payload);
		} else if (frame.type == PROTO_PONG) {
			w->ping_open = 0;
		} else {
			rc = p->options.frame(p->options.cookie, w, &frame);
		}
		if (size > 0)
			at += (size_t)size;
	}
	w->in.len -= at;
	(void)memmove(w->in.data, w->in.data + at, w->in.len);
	return rc;
}

static void
on_read(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	ssize_t n;

	(void)what;
	n = recv(fd, buf_reserve(&w->in, READ_BYTES), READ_BYTES, 0);
	if (n == -1 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		bury(w);
		return;
	}
	w->in.len += (size_t)n;
	set_alive(w, clock_mono_ms());
	if (take_frames(w) == -1)
		worker_kill(w, "broke the protocol", 1);
	if (w->doomed)
		bury(w);
	else if (w->in.len == 0 && w->in.cap > 4 * READ_BYTES)
		buf_free(&w->in);
}

static void
start(struct worker *w)
{
	struct workers *p = w->pool;
	struct proto_setup setup = p->options.setup;
	struct err err = ERR_INIT;
	size_t i;

	setup.unsafe = w->unsafe;
	if (worker_spawn(p->options.program == NULL ? "/proc/self/exe"
						    : p->options.program,
		ADDRESS_BYTES, &w->proc, &err) == -1) {
		log_error("cannot start a worker", LOG_STR("worker", w->name),
		    LOG_STR("error", err.msg));
		(void)loop_arm(w->again, RESPAWN_MAX_MS);
		return;
	}
	w->state = WORKER_STARTING;
	w->started_mono_ms = clock_mono_ms();
	w->ping_mono_ms = w->started_mono_ms;
	set_alive(w, w->started_mono_ms);
	w->ev_read = event_new(
	    p->options.base, w->proc.fd, EV_READ | EV_PERSIST, on_read, w);
	w->ev_write =
	    event_new(p->options.base, w->proc.fd, EV_WRITE, on_write, w);
	(void)event_add(w->ev_read, NULL);
	proto_put_setup(&w->out, &setup);
	for (i = 0; i < p->nrefused; i++)
		proto_put_plain(&w->out, PROTO_REFUSE, p->refused[i]);
	flush(w);
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	(void)fd;
	(void)what;
	if (w->state != WORKER_DOWN)
		bury(w);
	else if (!w->pool->stopping)
		start(w);
}

static void
ping(struct worker *w, uint64_t mono_ms)
{
	w->ping_mono_ms = mono_ms;
	w->ping_open = 1;
	set_alive(w, mono_ms);
	proto_put_plain(&w->out, PROTO_PING, mono_ms);
	flush(w);
}

/* See whether it lives. */
static void
look_at(struct worker *w, uint64_t mono_ms)
{
	const struct proto_page *page = w->proc.page;
	uint64_t limit_ms = w->pool->options.setup.cpu_ms;
	uint64_t slices = page->slices;

	if (w->state == WORKER_STARTING &&
	    mono_ms - w->started_mono_ms > START_MS) {
		worker_kill(w, "did not start", 0);
		return;
	}

	/* Many short slices in a row delay the answer, too: a new one is as
	 * good a sign as that. */
	if (slices != w->alive_slices) {
		w->alive_slices = slices;
		set_alive(w, mono_ms);
	}
	if (!w->ping_open) {
		if (page->activity != PROTO_IDLE ||
		    mono_ms - w->ping_mono_ms >= PING_IDLE_MS)
			ping(w, mono_ms);
	} else if (decide_stuck(mono_ms - w->alive_mono_ms,
		       cpu_ms(w) - w->alive_cpu_ms, limit_ms)) {
		worker_kill(w, "hung", 1);
	}
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct workers *p = arg;
	struct worker *w;
	uint64_t mono_ms = clock_mono_ms();

	(void)fd;
	(void)what;
	for (w = p->first; w != NULL; w = w->next)
		if (w->state == WORKER_STARTING || w->state == WORKER_READY)
			look_at(w, mono_ms);
}

static void
on_end(evutil_socket_t fd, short what, void *arg)
{
	struct workers *p = arg;
	struct worker *w;

	(void)fd;
	(void)what;
	for (w = p->first; w != NULL; w = w->next)
		if (w->state != WORKER_DOWN)
			worker_kill(w, "did not end when told to", 0);
	check_stopped(p);
}

struct workers *
workers_create(const struct workers_options *options)
{
	struct workers *p = mem_zalloc(sizeof(*p));
	const struct timeval tick = {0, TICK_MS * 1000};

	p->options = *options;
	p->last = &p->first;
	p->tick = event_new(options->base, -1, EV_PERSIST, on_tick, p);
	p->end = event_new(options->base, -1, 0, on_end, p);
	(void)event_add(p->tick, &tick);
	return p;
}

struct worker *
workers_add(struct workers *p, const char *name, int unsafe)
{
	struct worker *w = mem_zalloc(sizeof(*w));

	w->pool = p;
	w->name = mem_strdup(name);
	w->unsafe = unsafe;
	w->proc = (struct worker_proc)WORKER_PROC_INIT;
	w->again = event_new(p->options.base, -1, 0, on_again, w);
	*p->last = w;
	p->last = &w->next;
	(void)loop_arm(w->again, 0);
	return w;
}

int
worker_is_ready(const struct worker *w)
{
	return w->state == WORKER_READY && !w->doomed;
}

pid_t
worker_pid(const struct worker *w)
{
	return w->proc.pid;
}

const char *
worker_name(const struct worker *w)
{
	return w->name;
}

struct buf *
worker_out(struct worker *w)
{
	return &w->out;
}

void
worker_flush(struct worker *w)
{
	if (w->state == WORKER_READY) {
		flush(w);
		return;
	}
	buf_reset(&w->out);
	w->out_at = 0;
}

size_t
worker_backlog(const struct worker *w)
{
	return w->out.len - w->out_at;
}

void
worker_kill(struct worker *w, const char *how, int by_itself)
{
	if (w->state == WORKER_DOWN || w->doomed)
		return;
	w->doomed = 1;
	w->doom_how = how;
	w->doom_by_itself = by_itself;
	(void)loop_arm(w->again, 0);
}

void
workers_refuse(struct workers *p, uint16_t port)
{
	struct worker *w;

	if (p->nrefused < REFUSED_MAX)
		p->refused[p->nrefused++] = port;
	for (w = p->first; w != NULL; w = w->next) {
		if (w->state != WORKER_STARTING && w->state != WORKER_READY)
			continue;
		proto_put_plain(&w->out, PROTO_REFUSE, port);
		flush(w);
	}
}

void
workers_stop(struct workers *p, uint64_t grace_ms)
{
	struct worker *w;

	p->stopping = 1;
	for (w = p->first; w != NULL; w = w->next) {
		if (w->state == WORKER_READY) {
			proto_put_plain(&w->out, PROTO_STOP, 0);
			flush(w);
			w->state = WORKER_ENDING;
		} else if (w->state == WORKER_STARTING) {
			worker_kill(w, "was not needed any more", 0);
			w->state = WORKER_ENDING;
		}
	}
	/* Also when none is there: the answer comes from the loop. */
	for (w = p->first; w != NULL && w->state == WORKER_DOWN; w = w->next)
		continue;
	(void)loop_arm(p->end, w == NULL ? 0 : grace_ms);
}

void
workers_free(struct workers *p)
{
	struct worker *w;
	uint64_t cpu_us;

	if (p == NULL)
		return;
	while ((w = p->first) != NULL) {
		p->first = w->next;
		if (w->state != WORKER_DOWN) {
			(void)reap(w, &cpu_us);
			worker_proc_clear(&w->proc);
		}
		/* Also what was said to one that is not there. */
		buf_free(&w->in);
		buf_free(&w->out);
		event_free(w->again);
		free(w->name);
		free(w);
	}
	event_free(p->tick);
	event_free(p->end);
	free(p);
}
