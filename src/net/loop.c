#include <sys/time.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "base/mem.h"

#include "net/loop.h"

struct loop {
	struct event_base *base;
	struct mailbox *mailbox;
	struct event *mail_ev; /* The mailbox's descriptor is readable. */
	struct mail stop;      /* In the mailbox once loop_stop() was called. */
	pthread_mutex_t lock;  /* Guards stopping. */
	int stopping;
	pthread_t thread;
	int has_thread;
};

struct loop_timer {
	struct event *ev;
	loop_cb *cb;
	void *cookie;
};

/* A letter that asks for a call. */
struct call {
	struct mail mail;
	loop_cb *cb;
	void *cookie;
};

static void
mail_cb_(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;

	(void)fd;
	(void)what;
	mailbox_open_all(loop->mailbox);
}

static void
open_stop(struct mail *mail)
{
	struct loop *loop = CONTAINER_OF(mail, struct loop, stop);

	(void)event_base_loopbreak(loop->base);
}

static void
open_call(struct mail *mail)
{
	struct call *call = CONTAINER_OF(mail, struct call, mail);
	loop_cb *cb = call->cb;
	void *cookie = call->cookie;

	free(call);
	cb(cookie);
}

/* libevent's own complaints; what it warns of, a peer can cause at will. */
static void
log_cb(int severity, const char *msg)
{
	if (severity == EVENT_LOG_ERR)
		log_error("libevent", LOG_STR("error", msg));
	else
		log_debug("libevent", LOG_STR("error", msg));
}

int
loop_create(size_t capacity, struct loop **ret_loop, struct err *err)
{
	struct event_config *config = event_config_new();
	struct loop *loop = mem_zalloc(sizeof(*loop));

	(void)signal(SIGPIPE, SIG_IGN);
	event_set_log_callback(log_cb);
	(void)pthread_mutex_init(&loop->lock, NULL);
	loop->mailbox = mailbox_create(capacity);
	/*
	 * No locks: a base is touched by its own thread alone.  The change list
	 * merges what is switched off and on again in one round, as evhttp does
	 * for every request; it is safe because no descriptor is duplicated.
	 */
	(void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	(void)event_config_set_flag(
	    config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
	loop->base = event_base_new_with_config(config);
	event_config_free(config);
	if (loop->base != NULL)
		loop->mail_ev = event_new(loop->base, mailbox_fd(loop->mailbox),
		    EV_READ | EV_PERSIST, mail_cb_, loop);
	if (loop->mail_ev == NULL || event_add(loop->mail_ev, NULL) == -1) {
		loop_free(loop);
		return err_set(err, ERR_UNAVAILABLE,
		    "cannot make an event loop: too many open files?");
	}
	loop->stop.open = open_stop;
	*ret_loop = loop;
	return 0;
}

void
loop_free(struct loop *loop)
{
	struct mail *mail, *next;

	if (loop == NULL)
		return;
	/* Calls that nobody waits for any more. */
	for (mail = mailbox_take(loop->mailbox); mail != NULL; mail = next) {
		next = mail->next;
		if (mail->open == open_call)
			free(CONTAINER_OF(mail, struct call, mail));
	}
	if (loop->mail_ev != NULL)
		event_free(loop->mail_ev);
	if (loop->base != NULL)
		event_base_free(loop->base);
	mailbox_free(loop->mailbox);
	(void)pthread_mutex_destroy(&loop->lock);
	free(loop);
}

struct event_base *
loop_base(const struct loop *loop)
{
	return loop->base;
}

struct mailbox *
loop_mailbox(const struct loop *loop)
{
	return loop->mailbox;
}

void
loop_run(struct loop *loop)
{
	(void)event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY);
}

static void *
thread_main(void *arg)
{
	loop_run(arg);
	return NULL;
}

int
loop_start(struct loop *loop, const char *name, struct err *err)
{
	sigset_t all, old;
	int e;

	/* Signals are the main thread's. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	e = pthread_create(&loop->thread, NULL, thread_main, loop);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (e != 0)
		return err_set(err, ERR_UNAVAILABLE,
		    "cannot start the thread %s: %s", name, strerror(e));
	(void)pthread_setname_np(loop->thread, name);
	loop->has_thread = 1;
	return 0;
}

void
loop_stop(struct loop *loop)
{
	int first;

	/* There is one letter, so it is sent once. */
	(void)pthread_mutex_lock(&loop->lock);
	first = !loop->stopping;
	loop->stopping = 1;
	(void)pthread_mutex_unlock(&loop->lock);
	if (first)
		mailbox_put(loop->mailbox, &loop->stop);
}

void
loop_join(struct loop *loop)
{
	if (!loop->has_thread)
		return;
	(void)pthread_join(loop->thread, NULL);
	loop->has_thread = 0;
}

void
loop_call(struct loop *loop, loop_cb *cb, void *cookie)
{
	struct call *call = mem_zalloc(sizeof(*call));

	call->mail.open = open_call;
	call->cb = cb;
	call->cookie = cookie;
	mailbox_put(loop->mailbox, &call->mail);
}

static void
timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct loop_timer *timer = arg;

	(void)fd;
	(void)what;
	timer->cb(timer->cookie);
}

struct loop_timer *
loop_timer_create(struct loop *loop, loop_cb *cb, void *cookie)
{
	struct loop_timer *timer = mem_zalloc(sizeof(*timer));

	timer->cb = cb;
	timer->cookie = cookie;
	timer->ev = evtimer_new(loop->base, timer_cb, timer);
	if (timer->ev == NULL)
		abort(); /* Out of memory. */
	return timer;
}

void
loop_timer_free(struct loop_timer *timer)
{
	if (timer == NULL)
		return;
	event_free(timer->ev);
	free(timer);
}

struct timeval
loop_timeval(uint64_t ms)
{
	return (struct timeval){
	    (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};
}

int
loop_arm(struct event *ev, uint64_t ms)
{
	struct timeval tv = loop_timeval(ms);

	return event_add(ev, &tv);
}

void
loop_timer_set(struct loop_timer *timer, uint64_t ms)
{
	(void)loop_arm(timer->ev, ms);
}

void
loop_timer_now(struct loop_timer *timer)
{
	event_active(timer->ev, EV_TIMEOUT, 0);
}

void
loop_timer_cancel(struct loop_timer *timer)
{
	(void)event_del(timer->ev);
}
