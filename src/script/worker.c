#include <sys/queue.h>
#include <sys/resource.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/ipc.h"
#include "base/mem.h"

#include "crypto/secret.h"
#include "net/fetch.h"
#include "net/guard.h"
#include "net/proxy.h"

#include "script/bundle.h"
#include "script/question.h"
#include "script/testrun.h"
#include "script/worker.h"
#include "script/worker_process.h"
#include "wire/proto.h"
#include "wire/wall.h"

/* Above this much unsent output nothing more is read: the host is behind. */
#define OUT_HIGH (4U << 20)

/* What many short jobs bring is sent together, but not later than that. */
#define TOGETHER_NS 1000000
#define TOGETHER_BYTES 16384

/* What one read asks for at least. */
#define READ_SIZE 65536

/* So much is read ahead at most, in search of an UNLOAD. */
#define AHEAD_MAX (8U << 20)

/* And so long is waited for it, which is little after a long slice. */
#define AHEAD_MS 10

/* A secret, or what else is waited for, is not there if it takes longer. */
#define ANSWER_TIMEOUT_MS 10000

/* Connections to peers that are kept for the next request. */
#define MAX_IDLE_CONNECTIONS 64

/* At once to one host; what is beyond waits for its turn.  So no script that
 * calls one host uses up the descriptors of all. */
#define MAX_HOST_CONNECTIONS 2048

/* Descriptors that are not for connections. */
#define OTHER_FILES 256

/* As in config: the host said what is not in the protocol. */
#define EXIT_PROTOCOL 3

struct loaded {
	struct bundle *bundle;
	int leaving; /* Goes when its last job has ended. */
	TAILQ_ENTRY(loaded) entry;
};

struct worker {
	int fd;
	struct event_base *base;
	struct event *readable;
	struct event *writable;
	struct buf in;
	size_t in_at; /* What of it has been handled. */
	struct buf out;
	size_t out_at; /* What of it has been sent. */
	struct bundle_env env;
	struct guard *guard;  /* Where scripts may connect to. */
	struct proxy *proxy;  /* Through what; NULL: directly. */
	struct fetch *fetch;  /* NULL until a script wants it. */
	struct fetch *sentry; /* The same, to Sentry alone. */
	int set_up;
	int stopping;
	int status;             /* Of worker_main(). */
	int over;               /* The socket is closed, or the host is mad. */
	int handling;           /* Frames: what they bring is sent together. */
	uint64_t questions;     /* That a script waits for in its slice. */
	struct questions asked; /* Of the store, between slices. */
	struct questions asks;  /* Of the host, the same. */
	struct proto_page spare_page; /* Where there is no shared one. */
	TAILQ_HEAD(loaded_list, loaded) bundles;
};

static void
leave(struct worker *w, int status)
{
	if (!w->over)
		w->status = status;
	w->over = 1;
	(void)event_base_loopbreak(w->base);
}

/* Send what can be sent now.  Returns -1 if nobody is there any more. */
static int
flush(struct worker *w)
{
	ssize_t n;

	while (w->out_at < w->out.len) {
		n = write(
		    w->fd, w->out.data + w->out_at, w->out.len - w->out_at);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno != EAGAIN)
			return -1;
		if (n == -1)
			break;
		w->out_at += (size_t)n;
	}
	buf_forget(&w->out, &w->out_at);
	return 0;
}

/* Send, and have the loop call again as it must. */
static void
settle(struct worker *w)
{
	if (w->over)
		return;
	if (flush(w) == -1) {
		leave(w, 0);
		return;
	}
	if (w->out.len > w->out_at)
		(void)event_add(w->writable, NULL);
	if (w->out.len - w->out_at > OUT_HIGH)
		(void)event_del(w->readable);
	else
		(void)event_add(w->readable, NULL);
}

/*
 * Read what is there, at most the frame that has begun and a bit.
 *
 * Returns:   bytes; 0 if there are none now; -1 if the socket is closed.
 */
static ssize_t
receive(struct worker *w)
{
	size_t have, want;
	ssize_t n;

	if (w->in_at > 0) {
		have = w->in.len - w->in_at;
		(void)memmove(w->in.data, w->in.data + w->in_at, have);
		w->in.len = have;
		w->in_at = 0;
	}
	want = READ_SIZE;
	if (w->in.len > 0 && ipc_wanted(w->in.data, w->in.len) > w->in.len)
		want += ipc_wanted(w->in.data, w->in.len) - w->in.len;
	(void)buf_reserve(&w->in, want);
	do
		n = read(w->fd, w->in.data + w->in.len, want);
	while (n == -1 && errno == EINTR);
	if (n == -1 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return -1;
	w->in.len += (size_t)n;
	return n;
}

static void
host_log(void *cookie, uint64_t job, const struct proto_log *log)
{
	struct worker *w = cookie;

	proto_put_log(&w->out, job, log);
	(void)event_add(w->writable, NULL);
}

static void
host_call(void *cookie, uint64_t job, const struct proto_call *call)
{
	struct worker *w = cookie;

	proto_put_call(&w->out, job, call);
	(void)event_add(w->writable, NULL);
}

/* A question is to be sent, perhaps by what a timer woke. */
static void
question_wrote(void *cookie)
{
	struct worker *w = cookie;

	(void)event_add(w->writable, NULL);
}

/* What a script waits for in its slice, and with it the worker. */
struct urgent {
	enum proto_type answer;
	uint64_t id;
	char *text; /* The answer's, for free(). */
	char *more;
};

/*
 * Look for the answer among the frames that have come, and take it out.
 *
 * Returns:   1 if it is there.
 */
static int
take_answer(struct worker *w, struct urgent *urgent)
{
	struct ipc_frame f;
	struct err err = ERR_INIT;
	size_t at = w->in_at;
	ptrdiff_t n;

	while ((n = ipc_next(w->in.data + at, w->in.len - at, &f, &err)) > 0) {
		if (f.type != urgent->answer || f.id != urgent->id) {
			at += (size_t)n;
			continue;
		}
		if (proto_get_texts(f.payload, &urgent->text, &urgent->more) ==
		    -1)
			urgent->text = urgent->more = NULL;
		/* It is a secret: leave no copy behind. */
		explicit_bzero(w->in.data + at, (size_t)n);
		(void)memmove(w->in.data + at, w->in.data + at + n,
		    w->in.len - at - (size_t)n);
		w->in.len -= (size_t)n;
		return 1;
	}
	return 0;
}

/* Wait for the answer to what is in w->out.  The frames that come before it are
 * kept. */
static void
await(struct worker *w, struct urgent *urgent)
{
	uint64_t end_ms = clock_mono_ms() + ANSWER_TIMEOUT_MS, now;
	struct pollfd p = {w->fd, 0, 0};

	for (;;) {
		if (flush(w) == -1 || take_answer(w, urgent) ||
		    (now = clock_mono_ms()) >= end_ms)
			return;
		p.events =
		    (short)(POLLIN | (w->out.len > w->out_at ? POLLOUT : 0));
		(void)poll(&p, 1, (int)(end_ms - now));
		if ((p.revents & (POLLIN | POLLHUP | POLLERR)) != 0 &&
		    receive(w) == -1) {
			leave(w, 0);
			return;
		}
	}
}

static char *
host_secret(void *cookie, uint64_t bundle, const char *name)
{
	struct worker *w = cookie;
	struct urgent urgent = {
	    .answer = PROTO_SECRET_IS, .id = ++w->questions};

	proto_put_secret(&w->out, urgent.id, bundle, name);
	await(w, &urgent);
	free(urgent.more);
	return urgent.text;
}

static char *
host_catalog(
    void *cookie, const char *question, const char *body, char **ret_error)
{
	struct worker *w = cookie;
	struct urgent urgent = {
	    .answer = PROTO_CATALOG_IS, .id = ++w->questions};

	proto_put_texts(&w->out, PROTO_CATALOG, urgent.id, question, body);
	await(w, &urgent);
	*ret_error = urgent.more;
	return urgent.text;
}

/* As many as there are descriptors for. */
static long
max_connections(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == -1 ||
	    files.rlim_cur < (rlim_t)OTHER_FILES * 2)
		return OTHER_FILES;
	return (long)(files.rlim_cur - OTHER_FILES);
}

/* Most scripts call nobody, and libcurl with TLS takes megabytes. */
static struct fetch *
host_fetch(void *cookie, int to_sentry)
{
	struct worker *w = cookie;
	struct fetch **fetch = to_sentry ? &w->sentry : &w->fetch;
	struct fetch_options options = {.base = w->base,
	    .guard = to_sentry ? NULL : w->guard,
	    .proxy = w->proxy,
	    .max_host_connections = MAX_HOST_CONNECTIONS,
	    .max_connections = max_connections(),
	    .max_idle_connections = MAX_IDLE_CONNECTIONS};
	struct err err = ERR_INIT;

	if (*fetch == NULL && w->guard != NULL) {
		*fetch = fetch_create(&options, &err);
		if (*fetch == NULL)
			(void)fprintf(stderr, "moonpost worker: %s\n", err.msg);
	}
	return *fetch;
}

static struct loaded *
find(struct worker *w, uint64_t id)
{
	struct loaded *l;

	TAILQ_FOREACH (l, &w->bundles, entry) {
		if (bundle_id(l->bundle) == id)
			return l;
	}
	return NULL;
}

static void
forget(struct worker *w, struct loaded *l)
{
	TAILQ_REMOVE(&w->bundles, l, entry);
	bundle_free(l->bundle);
	free(l);
}

/* Free the bundles that are to go and have nothing left to do; stop if that was
 * all that was waited for. */
static void
tidy(struct worker *w)
{
	struct loaded *l, *next;
	size_t jobs = 0;

	for (l = TAILQ_FIRST(&w->bundles); l != NULL; l = next) {
		next = TAILQ_NEXT(l, entry);
		jobs += bundle_jobs(l->bundle);
		if (l->leaving && bundle_jobs(l->bundle) == 0)
			forget(w, l);
	}
	if (w->stopping && jobs == 0 && w->out.len == w->out_at)
		leave(w, 0);
}

static void
job_done(void *cookie, uint64_t job, const struct proto_outcome *outcome)
{
	struct worker *w = cookie;

	proto_put_outcome(&w->out, job, outcome);
	if (w->handling)
		return;
	/* A later slice may take long: tell the host now.  What frees bundles
	 * waits until no code of one is running. */
	(void)event_add(w->writable, NULL);
	settle(w);
}

static void
invoke_done(void *cookie, uint64_t id, const struct proto_invoked *invoked)
{
	struct worker *w = cookie;

	proto_put_invoked(&w->out, id, invoked);
	if (w->handling)
		return;
	(void)event_add(w->writable, NULL);
	settle(w);
}

static void
nothing(int sig)
{
	(void)sig;
}

/*
 * The one script of this worker may run programs: they get nothing of ours but
 * what is meant for them.  They are in a group of their own, which the host
 * ends with the worker, and the signals that do not concern us concern them.
 */
static void
be_a_parent(const struct worker *w)
{
	static const int ours[] = {SIGPIPE, SIGINT, SIGTERM, SIGHUP};
	struct sigaction handled = {.sa_flags = SA_RESTART};
	size_t i;

	(void)setpgid(0, 0);
	(void)fcntl(w->fd, F_SETFD, FD_CLOEXEC);
	/* Unlike an ignored one, a handled signal is back to what it was in a
	 * program that is run. */
	handled.sa_handler = nothing;
	for (i = 0; i < NELEMS(ours); i++)
		(void)sigaction(ours[i], &handled, NULL);
}

static int
on_setup(struct worker *w, struct str payload)
{
	struct proto_setup m;
	struct buf missing = BUF_INIT;
	char *proxy;
	int rc;

	if (w->set_up || proto_get_setup(payload, &m) == -1)
		return -1;
	w->env.limits.mem_bytes = m.mem_bytes;
	w->env.limits.cpu_ms = m.cpu_ms;
	w->env.limits.handler_ms = m.handler_ms;
	w->env.limits.debug = m.debug;
	w->env.limits.unsafe = m.unsafe;
	/* Who moonpost is for the proxy is known here, behind the wall: a
	 * connection is made where it is used.  No script sees it. */
	proxy = mem_strndup(m.proxy.data, m.proxy.len);
	rc = proxy_parse(proxy, &w->proxy, NULL);
	secret_wipe(proxy, m.proxy.len);
	free(proxy);
	if (rc == -1)
		return -1;
	w->guard = guard_parse(m.guard);
	w->set_up = 1;
	if (m.unsafe)
		be_a_parent(w);
	/* What comes next is strangers' code. */
	wall_raise(m.unsafe ? WALL_OPEN : WALL_WHOLE, &missing);
	proto_put_texts(&w->out, PROTO_READY, 0,
	    missing.len == 0 ? NULL : buf_text(&missing), NULL);
	buf_free(&missing);
	return 0;
}

static int
on_load(struct worker *w, uint64_t id, struct str payload)
{
	struct proto_loaded answer;
	struct proto_load m;
	struct bundle *bundle;
	struct loaded *l;

	if (find(w, id) != NULL || proto_get_load(payload, &m) == -1)
		return -1;
	bundle = bundle_load(&w->env, id, &m, &answer);
	if (bundle != NULL) {
		l = mem_zalloc(sizeof(*l));
		l->bundle = bundle;
		TAILQ_INSERT_TAIL(&w->bundles, l, entry);
	}
	proto_put_loaded(&w->out, id, &answer);
	proto_loaded_clear(&answer);
	proto_load_clear(&m);
	return 0;
}

/*
 * Whether the host has taken ${l} away, though jobs for it come first.  After a
 * slice that was too long it does so, to have the rest of them run elsewhere:
 * they must not keep the other scripts waiting for as long each.
 */
static int
is_taken_away(struct worker *w, const struct loaded *l)
{
	struct pollfd p = {w->fd, POLLIN, 0};
	struct ipc_frame f;
	struct err err = ERR_INIT;
	size_t at;
	ptrdiff_t n;

	(void)poll(&p, 1, AHEAD_MS);
	while (!w->over && w->in.len - w->in_at < AHEAD_MAX) {
		n = receive(w);
		if (n == -1)
			leave(w, 0);
		if (n <= 0)
			break;
	}
	for (at = w->in_at;
	     (n = ipc_next(w->in.data + at, w->in.len - at, &f, &err)) > 0;
	     at += (size_t)n) {
		if (f.type == PROTO_UNLOAD && f.id == bundle_id(l->bundle))
			return 1;
	}
	return 0;
}

static int
on_run(struct worker *w, uint64_t job, struct str payload)
{
	struct proto_outcome gone = {.result = PROTO_GONE};
	struct proto_run m;
	struct loaded *l;

	if (proto_get_run(payload, &m) == -1)
		return -1;
	l = find(w, m.bundle);
	if (l != NULL && !l->leaving && bundle_is_slow(l->bundle))
		l->leaving = is_taken_away(w, l);
	if (l == NULL || l->leaving || w->stopping)
		proto_put_outcome(&w->out, job, &gone);
	else
		bundle_run(l->bundle, job, &m);
	proto_run_clear(&m);
	return 0;
}

static int
on_invoke(struct worker *w, uint64_t id, struct str payload)
{
	const struct proto_invoked gone = {.outcome = {.result = PROTO_GONE}};
	struct proto_invoke m;
	struct loaded *l;

	if (proto_get_invoke(payload, &m) == -1)
		return -1;
	l = find(w, m.bundle);
	if (l == NULL || l->leaving || w->stopping)
		proto_put_invoked(&w->out, id, &gone);
	else
		bundle_invoke(l->bundle, id, &m);
	proto_invoke_clear(&m);
	return 0;
}

static int
on_eval(struct worker *w, uint64_t id, struct str payload)
{
	char *name = NULL, *source = NULL, *json, *error;

	if (proto_get_texts(payload, &name, &source) == -1)
		return -1;
	if (name != NULL && source != NULL) {
		bundle_eval(&w->env, id, name, source, &json, &error);
		proto_put_texts(&w->out, PROTO_EVALUATED, id, json, error);
		free(json);
		free(error);
	}
	free(name);
	free(source);
	return name == NULL || source == NULL ? -1 : 0;
}

static int
on_test(struct worker *w, uint64_t id, struct str payload)
{
	struct proto_test m;
	char *json;

	if (proto_get_test(payload, &m) == -1)
		return -1;
	json = testrun(&w->env, &m, host_catalog, w);
	proto_put_texts(&w->out, PROTO_TESTED, id, json, NULL);
	free(json);
	proto_test_clear(&m);
	return 0;
}

/* Do what one frame says.  Returns -1 if it is not in the protocol. */
static int
handle(struct worker *w, const struct ipc_frame *f)
{
	struct loaded *l;

	if (!w->set_up && f->type != PROTO_SETUP)
		return -1;
	switch (f->type) {
	case PROTO_SETUP:
		return on_setup(w, f->payload);
	case PROTO_LOAD:
		return on_load(w, f->id, f->payload);
	case PROTO_UNLOAD:
		l = find(w, f->id);
		if (l != NULL)
			l->leaving = 1;
		return 0;
	case PROTO_RUN:
		return on_run(w, f->id, f->payload);
	case PROTO_SECRET_IS:
	case PROTO_CATALOG_IS:
		return 0; /* Too late: nobody waits for it any more. */
	case PROTO_PING:
		proto_put_plain(&w->out, PROTO_PONG, f->id);
		return 0;
	case PROTO_STOP:
		w->stopping = 1;
		return 0;
	case PROTO_INVOKE:
		return on_invoke(w, f->id, f->payload);
	case PROTO_EVAL:
		return on_eval(w, f->id, f->payload);
	case PROTO_TEST:
		return on_test(w, f->id, f->payload);
	case PROTO_STEP_IS:
	case PROTO_KV_IS:
		return questions_answer(&w->asked, f->id, f->payload);
	case PROTO_REFUSE:
		if (f->id == 0 || f->id > UINT16_MAX || w->guard == NULL)
			return -1;
		guard_refuse_listener(w->guard, (uint16_t)f->id);
		return 0;
	case PROTO_ASK_IS:
		return questions_answer(&w->asks, f->id, f->payload);
	default:
		return -1;
	}
}

/*
 * Handle the frames that have come.  A frame is taken out before it is handled,
 * since a question in there reads on in the same buffer.
 *
 * Jobs that end without having waited for anything have done nothing that shows
 * outside, so that it is no harm if they run again; what they bring is sent
 * together, unless that takes time.
 */
static void
handle_all(struct worker *w)
{
	struct ipc_frame f;
	struct err err = ERR_INIT;
	uint64_t sent_ns = clock_mono_ns(), now_ns;
	char *payload;
	ptrdiff_t n;

	/* A number that has become free may be used again right away. */
	tidy(w);
	while (!w->over && w->out.len - w->out_at <= OUT_HIGH) {
		n = ipc_next(
		    w->in.data + w->in_at, w->in.len - w->in_at, &f, &err);
		if (n == 0)
			break;
		if (n == -1) {
			(void)fprintf(stderr, "moonpost worker: %s\n", err.msg);
			leave(w, EXIT_PROTOCOL);
			return;
		}
		payload = mem_strndup(f.payload.data, f.payload.len);
		f.payload.data = payload;
		w->in_at += (size_t)n;
		w->handling = 1;
		if (handle(w, &f) == -1) {
			(void)fprintf(stderr,
			    "moonpost worker: a message of type %u from the "
			    "host makes no sense\n",
			    f.type);
			leave(w, EXIT_PROTOCOL);
		}
		w->handling = 0;
		free(payload);
		now_ns = clock_mono_ns();
		if (now_ns - sent_ns > TOGETHER_NS ||
		    w->out.len - w->out_at > TOGETHER_BYTES) {
			settle(w);
			sent_ns = now_ns;
		}
	}
	settle(w);
	tidy(w);
}

static void
readable_cb(evutil_socket_t fd, short what, void *cookie)
{
	struct worker *w = cookie;

	(void)fd;
	(void)what;
	if (receive(w) == -1) {
		leave(w, 0);
		return;
	}
	handle_all(w);
}

static void
writable_cb(evutil_socket_t fd, short what, void *cookie)
{
	struct worker *w = cookie;

	(void)fd;
	(void)what;
	settle(w);
	/* Frames may have been left while the output was full. */
	handle_all(w);
}

int
worker_main(int fd)
{
	struct worker w = {0};
	struct loaded *l;

	worker_process_set_up();
	TAILQ_INIT(&w.bundles);
	w.fd = fd;
	w.base = event_base_new();
	if (w.base == NULL || fcntl(fd, F_SETFL, O_NONBLOCK) == -1) {
		(void)fprintf(stderr,
		    "moonpost worker: started by hand?  It is the host that "
		    "starts it\n");
		if (w.base != NULL)
			event_base_free(w.base);
		return EXIT_PROTOCOL;
	}
	w.env.base = w.base;
	w.env.done = job_done;
	w.env.invoked = invoke_done;
	w.env.cookie = &w;
	w.env.host.cookie = &w;
	w.env.host.log = host_log;
	w.env.host.secret = host_secret;
	w.env.host.fetch = host_fetch;
	w.env.host.call = host_call;
	w.env.host.questions = &w.asked;
	w.env.host.asks = &w.asks;
	questions_init(&w.asked, &w.out, question_wrote, &w);
	questions_init(&w.asks, &w.out, question_wrote, &w);
	w.env.host.page = worker_process_page(&w.spare_page);
	w.readable =
	    event_new(w.base, fd, EV_READ | EV_PERSIST, readable_cb, &w);
	w.writable = event_new(w.base, fd, EV_WRITE, writable_cb, &w);
	if (w.readable == NULL || w.writable == NULL ||
	    event_add(w.readable, NULL) == -1)
		leave(&w, EXIT_PROTOCOL);

	if (!w.over)
		(void)event_base_dispatch(w.base);

	while ((l = TAILQ_FIRST(&w.bundles)) != NULL)
		forget(&w, l);
	fetch_free(w.fetch);
	fetch_free(w.sentry);
	guard_free(w.guard);
	proxy_free(w.proxy);
	if (w.readable != NULL)
		event_free(w.readable);
	if (w.writable != NULL)
		event_free(w.writable);
	event_base_free(w.base);
	buf_free(&w.in);
	buf_free(&w.out);
	(void)close(fd);
	return w.status;
}
