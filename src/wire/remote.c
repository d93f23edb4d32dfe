#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/ipc.h"
#include "base/mem.h"
#include "wire/spawn.h"
#include "wire/tests.h"

#include "wire/remote.h"

#define READ_BYTES 65536

/* What C libraries and the program itself need beside Lua's memory. */
#define ADDRESS_BYTES (4ULL << 30)

struct remote {
	struct remote_options options;
	struct worker_proc proc; /* pid -1: none runs. */
	int unsafe;              /* It is outside of the wall. */
	struct buf in;
	uint64_t next_id;
};

/* What is waited for, and where it goes. */
struct wait {
	enum proto_type type;
	uint64_t id;
	const char *what; /* For messages: "scripts/x.lua". */
	const char *late; /* The same: what it did not do in time. */
	uint64_t end_mono_ms;
	struct str payload; /* Of the answer, in remote->in. */
};

struct remote *
remote_open(const struct remote_options *options)
{
	struct remote *r = mem_zalloc(sizeof(*r));

	r->options = *options;
	if (r->options.program == NULL)
		r->options.program = "/proc/self/exe";
	r->proc = (struct worker_proc)WORKER_PROC_INIT;
	return r;
}

/* End the worker.  Return how it died if it did so by itself, else 0. */
static int
stop(struct remote *r)
{
	int status = 0;
	pid_t pid = r->proc.pid;

	if (pid == -1)
		return 0;
	/* With what its script has started. */
	if (r->unsafe)
		(void)kill(-pid, SIGKILL);
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		continue;
	worker_proc_clear(&r->proc);
	r->proc = (struct worker_proc)WORKER_PROC_INIT;
	buf_reset(&r->in);
	return WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL
		   ? WTERMSIG(status)
		   : 0;
}

/* Wait until the socket is ready for ${events}. */
static int
wait_ready(
    struct remote *r, const struct wait *wait, short events, struct err *err)
{
	struct pollfd p = {.fd = r->proc.fd, .events = events};
	uint64_t now = clock_mono_ms();
	int n;

	if (now < wait->end_mono_ms) {
		n = poll(&p, 1, (int)(wait->end_mono_ms - now));
		if (n > 0 || (n == -1 && errno == EINTR))
			return 0;
	}
	return err_set(err, ERR_TIMEOUT, "%s did not %s within %g s",
	    wait->what, wait->late, (double)r->options.deadline_ms / 1000);
}

static int
died(struct remote *r, const struct wait *wait, struct err *err)
{
	int signal = stop(r);

	if (signal != 0)
		return err_set(err, ERR_INTERNAL,
		    "%s: the worker process died of it (%s)", wait->what,
		    strsignal(signal));
	return err_set(
	    err, ERR_INTERNAL, "%s: the worker process ended", wait->what);
}

static int
send_all(
    struct remote *r, const struct wait *wait, struct buf *out, struct err *err)
{
	size_t at = 0;
	ssize_t n;
	int rc = -1;

	while (at < out->len) {
		n = send(
		    r->proc.fd, out->data + at, out->len - at, MSG_NOSIGNAL);
		if (n >= 0) {
			at += (size_t)n;
		} else if (errno == EAGAIN) {
			if (wait_ready(r, wait, POLLOUT, err) == -1)
				goto out;
		} else if (errno != EINTR) {
			(void)died(r, wait, err);
			goto out;
		}
	}
	rc = 0;

out:
	buf_free(out);
	return rc;
}

static int
answer_secret(struct remote *r, const struct wait *wait,
    const struct ipc_frame *frame, struct err *err)
{
	struct buf out = BUF_INIT;
	const char *value = NULL;
	uint64_t bundle;
	char *name = NULL;

	if (proto_get_secret(frame->payload, &bundle, &name) == -1)
		return err_set(err, ERR_INTERNAL,
		    "%s: the worker process broke the protocol", wait->what);
	if (r->options.secret != NULL && name != NULL)
		value = r->options.secret(r->options.cookie, name);
	free(name);
	proto_put_texts(&out, PROTO_SECRET_IS, frame->id, value, NULL);
	return send_all(r, wait, &out, err);
}

static int
answer_catalog(struct remote *r, const struct wait *wait,
    const struct ipc_frame *frame, struct err *err)
{
	char *question = NULL, *body = NULL, *json = NULL;
	struct err why = ERR_INIT;
	struct buf out = BUF_INIT;

	if (proto_get_texts(frame->payload, &question, &body) == -1)
		return err_set(err, ERR_INTERNAL,
		    "%s: the worker process broke the protocol", wait->what);
	if (r->options.catalog == NULL || question == NULL)
		(void)err_set(&why, ERR_UNAVAILABLE, "there is no catalogue");
	else if (r->options.catalog(
		     r->options.cookie, question, body, &json, &why) == -1)
		json = NULL;
	proto_put_texts(&out, PROTO_CATALOG_IS, frame->id, json,
	    json == NULL ? why.msg : NULL);
	free(question);
	free(body);
	free(json);
	return send_all(r, wait, &out, err);
}

/* Read until the answer is there, and nothing but it, in remote->in. */
static int
receive(struct remote *r, struct wait *wait, struct err *err)
{
	struct ipc_frame frame;
	ptrdiff_t size;
	ssize_t n;

	for (;;) {
		size = ipc_next(r->in.data, r->in.len, &frame, err);
		if (size == -1)
			return -1;
		if (size > 0) {
			if (frame.type == wait->type && frame.id == wait->id) {
				wait->payload = frame.payload;
				return 0;
			}
			if (frame.type == PROTO_SECRET &&
			    answer_secret(r, wait, &frame, err) == -1)
				return -1;
			if (frame.type == PROTO_CATALOG &&
			    answer_catalog(r, wait, &frame, err) == -1)
				return -1;
			/* What it logs or pings is of no interest here. */
			r->in.len -= (size_t)size;
			(void)memmove(r->in.data, r->in.data + size, r->in.len);
			continue;
		}
		n = read(
		    r->proc.fd, buf_reserve(&r->in, READ_BYTES), READ_BYTES);
		if (n > 0)
			r->in.len += (size_t)n;
		else if (n == 0 || (errno != EAGAIN && errno != EINTR))
			return died(r, wait, err);
		else if (errno == EAGAIN &&
			 wait_ready(r, wait, POLLIN, err) == -1)
			return -1;
	}
}

/* ${script}, or the tests of it, is next: what kind of worker is it for? */
static void
set_unsafe(struct remote *r, struct str script)
{
	int unsafe = r->options.unsafe != NULL &&
		     r->options.unsafe(r->options.cookie, script);

	/* Nothing else has ever been in there, nor comes after it. */
	if (unsafe || r->unsafe)
		(void)stop(r);
	r->unsafe = unsafe;
}

/*
 * Send what ${out} holds and wait for the answer.  On failure no worker is left
 * that might still be busy with it.
 */
static int
ask(struct remote *r, struct wait *wait, struct buf *out, struct err *err)
{
	struct proto_setup as = r->options.setup;
	struct buf setup = BUF_INIT;
	int fresh = r->proc.pid == -1;

	as.unsafe = r->unsafe;
	buf_reset(&r->in);
	wait->end_mono_ms = clock_mono_ms() + r->options.deadline_ms;
	if (fresh) {
		if (worker_spawn(r->options.program, ADDRESS_BYTES, &r->proc,
			err) == -1) {
			buf_free(out);
			return -1;
		}
		proto_put_setup(&setup, &as);
		if (send_all(r, wait, &setup, err) == -1) {
			buf_free(out);
			goto fail;
		}
	}
	if (send_all(r, wait, out, err) == -1 || receive(r, wait, err) == -1)
		goto fail;
	return 0;

fail:
	(void)stop(r);
	return -1;
}

int
remote_load(struct remote *r, const struct proto_load *load,
    struct proto_loaded *ret_loaded, struct err *err)
{
	struct buf out = BUF_INIT;
	struct wait wait = {.type = PROTO_LOADED,
	    .id = ++r->next_id,
	    .what = load->chunk,
	    .late = "finish loading"};

	set_unsafe(r, str_of(load->script));
	proto_put_load(&out, wait.id, load);
	if (ask(r, &wait, &out, err) == -1)
		return -1;
	if (proto_get_loaded(wait.payload, ret_loaded) == -1) {
		(void)stop(r);
		return err_set(err, ERR_INTERNAL,
		    "%s: the worker process broke the protocol", wait.what);
	}

	/* The next one is loaded beside an empty floor. */
	proto_put_plain(&out, PROTO_UNLOAD, wait.id);
	wait.end_mono_ms = clock_mono_ms() + r->options.deadline_ms;
	if (send_all(r, &wait, &out, NULL) == -1)
		(void)stop(r);
	return 0;
}

int
remote_eval(struct remote *r, const char *name, const char *source,
    char **ret_json, struct err *err)
{
	struct buf out = BUF_INIT;
	struct wait wait = {.type = PROTO_EVALUATED,
	    .id = ++r->next_id,
	    .what = name,
	    .late = "finish loading"};
	char *text = NULL, *why = NULL;
	int rc = -1;

	proto_put_texts(&out, PROTO_EVAL, wait.id, name, source);
	if (ask(r, &wait, &out, err) == -1)
		return -1;
	if (proto_get_texts(wait.payload, &text, &why) == -1) {
		(void)stop(r);
		return err_set(err, ERR_INTERNAL,
		    "%s: the worker process broke the protocol", name);
	}
	if (text == NULL) {
		(void)err_set(err, ERR_INVALID, "%s",
		    why == NULL ? "it returned nothing" : why);
		goto out;
	}
	*ret_json = text;
	text = NULL;
	rc = 0;

out:
	free(text);
	free(why);
	return rc;
}

int
remote_test(struct remote *r, const struct proto_test *test, char **ret_json,
    struct err *err)
{
	struct buf out = BUF_INIT;
	struct wait wait = {.type = PROTO_TESTED,
	    .id = ++r->next_id,
	    .what = test->test == NULL ? test->chunk : test->test,
	    .late = "end"};
	char *text = NULL, *rest = NULL;
	size_t len = strlen(test->name), suffix = strlen(TESTS_SUFFIX);

	set_unsafe(
	    r, (struct str){test->name, len > suffix ? len - suffix : len});
	proto_put_test(&out, wait.id, test);
	if (ask(r, &wait, &out, err) == -1)
		return -1;
	if (proto_get_texts(wait.payload, &text, &rest) == -1 || text == NULL) {
		free(text);
		free(rest);
		(void)stop(r);
		return err_set(err, ERR_INTERNAL,
		    "%s: the worker process broke the protocol", wait.what);
	}
	free(rest);
	*ret_json = text;
	return 0;
}

void
remote_close(struct remote *r)
{
	if (r == NULL)
		return;
	(void)stop(r);
	buf_free(&r->in);
	free(r);
}
