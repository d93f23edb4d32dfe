#ifndef TESTS_UNIT_FAKEWORKER_H_
#define TESTS_UNIT_FAKEWORKER_H_

/*
 * A worker that does what no script can make the real one do: crash, hang,
 * break the protocol.  The test program itself is the worker when it is started
 * with the command `worker`.  A script's text is a list of lines:
 *
 *	fail TEXT | hang | crash | babble          when it is loaded
 *	require NAME                               a lib that it needs
 *	declare JSON                               what it declares
 *	ui: answer JSON | error TEXT | late TEXT | gone | slow | hang | crash |
 *babble | lose | log N (and answers) | wait FILE      to a request to a
 *component on_x: done | error TEXT | retry MS | drop | gone | hang | crash |
 *babble | lose (never to be heard of again) | wait FILE (until that file is
 *there; FILE.on comes at once) | slow | uncharged | log N | secret NAME (error
 *with its value) | body (error with the body) | ask TOPIC ARGS (error with the
 *answer)
 */

#include <sys/mman.h>

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/ipc.h"
#include "base/mem.h"
#include "wire/proto.h"

#define FAKE_MAX 64

struct fake_bundle {
	uint64_t id;
	char *text;
	char *script;
};

struct fake_wait {
	uint64_t job;
	char path[200];
	int invoked;
};

static struct fake_bundle fake_bundles[FAKE_MAX];
static struct fake_wait fake_waits[FAKE_MAX];
static struct proto_page *fake_page;
static struct buf fake_in;
static int fake_stopping;

static void
fake_send(struct buf *out)
{
	size_t at = 0;
	ssize_t n;

	while (at < out->len) {
		n = write(PROTO_SOCKET_FD, out->data + at, out->len - at);
		if (n > 0)
			at += (size_t)n;
		else
			_exit(0);
	}
	buf_free(out);
}

static void
fake_at(enum proto_activity activity, uint64_t id)
{
	fake_page->id = id;
	fake_page->activity = activity;
	fake_page->slices++;
}

/* What follows ${key} at the start of a line, in static memory; or NULL. */
static const char *
fake_line(const char *text, const char *key, unsigned int index)
{
	static char line[1024];
	size_t n = strlen(key), len;
	const char *at = text;

	while (at != NULL && *at != '\0') {
		if (strncmp(at, key, n) == 0 && index-- == 0) {
			len = strcspn(at + n, "\n");
			(void)snprintf(
			    line, sizeof(line), "%.*s", (int)len, at + n);
			return line;
		}
		at = strchr(at, '\n');
		at = at == NULL ? NULL : at + 1;
	}
	return NULL;
}

static void
fake_misbehave(const char *how)
{
	struct buf out = BUF_INIT;

	if (strcmp(how, "hang") == 0)
		for (;;)
			(void)getppid();
	if (strcmp(how, "crash") == 0)
		abort();
	if (strcmp(how, "babble") == 0) {
		proto_put_number(&out, (enum proto_type)77, 1, 1);
		fake_send(&out);
	}
}

static void
fake_load(const struct ipc_frame *frame)
{
	struct proto_load load;
	struct proto_loaded loaded = {0};
	struct fake_bundle *b = fake_bundles;
	struct buf out = BUF_INIT;
	char *handlers[16], *libs[16];
	const char *line, *colon;
	unsigned int i;

	if (proto_get_load(frame->payload, &load) == -1)
		_exit(9);
	while (b->text != NULL)
		b++;
	b->id = frame->id;
	b->text = mem_strndup(load.source.data, load.source.len);
	b->script = mem_strdup(load.script);
	fake_at(PROTO_IN_LOAD, frame->id);
	if (fake_line(b->text, "hang", 0) != NULL)
		fake_misbehave("hang");
	if (fake_line(b->text, "crash", 0) != NULL)
		fake_misbehave("crash");
	if (fake_line(b->text, "babble", 0) != NULL)
		fake_misbehave("babble");

	for (i = 0; (line = fake_line(b->text, "on_", i)) != NULL; i++) {
		colon = strchr(line, ':');
		if (colon == NULL)
			_exit(9);
		handlers[i] = mem_printf("on_%.*s", (int)(colon - line), line);
	}
	loaded.handlers = handlers;
	loaded.nhandlers = i;
	for (i = 0; (line = fake_line(b->text, "require ", i)) != NULL; i++) {
		size_t k;

		libs[i] = mem_strdup(line);
		for (k = 0; k < load.nlibs; k++)
			if (str_eq(load.libs[k].name, str_of(line)) &&
			    memmem(load.libs[k].source.data,
				load.libs[k].source.len, "fail", 4) == NULL)
				break;
		if (k == load.nlibs)
			loaded.error = mem_printf("lib %s does not load", line);
	}
	loaded.libs = libs;
	loaded.nlibs = i;
	line = fake_line(b->text, "declare ", 0);
	loaded.declared = mem_strdup(line);
	line = fake_line(b->text, "fail ", 0);
	if (line != NULL)
		loaded.error = mem_printf("%s:1: %s", load.chunk, line);
	proto_put_loaded(&out, frame->id, &loaded);
	fake_send(&out);
	fake_at(PROTO_IDLE, 0);
	proto_load_clear(&load);
}

static void
fake_outcome(uint64_t job, enum proto_result result, const char *error,
    uint64_t after_ms, uint64_t slice_us, int uncharged)
{
	struct proto_outcome o = {.result = result,
	    .after_ms = after_ms,
	    .error = (char *)(uintptr_t)error,
	    .traceback = (char *)(uintptr_t)(result == PROTO_ERROR
						 ? "stack traceback: ..."
						 : NULL),
	    .duration_ms = 1,
	    .cpu_us = 10,
	    .slice_us = slice_us,
	    .memory_bytes = 1000,
	    .uncharged = uncharged};
	struct buf out = BUF_INIT;

	proto_put_outcome(&out, job, &o);
	fake_send(&out);
}

static void
fake_logs(uint64_t job, const char *script, int n)
{
	struct proto_field field = {STR("n"), STR("{ \"a\" : [1] }")};
	struct proto_log log = {.level = 1,
	    .at_unix_ms = 1000,
	    .script = (char *)(uintptr_t)script,
	    .fields = &field,
	    .nfields = 1};
	struct buf out = BUF_INIT;

	for (; n > 0; n--) {
		log.message = mem_printf("line %d", n);
		proto_put_log(&out, job, &log);
		free(log.message);
	}
	fake_send(&out);
}

static void fake_next(struct ipc_frame *ret_frame);

static void
fake_secret(uint64_t job, uint64_t bundle, const char *name)
{
	struct buf out = BUF_INIT;
	struct ipc_frame frame;
	char *value = NULL, *why = NULL, *text;

	proto_put_secret(&out, 1000 + job, bundle, name);
	fake_send(&out);
	fake_next(&frame);
	if (frame.type != PROTO_SECRET_IS || frame.id != 1000 + job ||
	    proto_get_texts(frame.payload, &value, &why) == -1)
		_exit(9);
	text = mem_printf("value=%s why=%s", value == NULL ? "none" : value,
	    why == NULL ? "none" : why);
	fake_outcome(job, PROTO_ERROR, text, UINT64_MAX, 1, 0);
}

static void
fake_ask(uint64_t job, uint64_t bundle, const char *what)
{
	size_t len = strcspn(what, " ");
	struct proto_ask ask = {
	    bundle, job, {what, len}, str_of(what + len + 1)};
	struct proto_answer answer;
	struct buf out = BUF_INIT;
	struct ipc_frame frame;
	char *text;

	proto_put_ask(&out, 1000 + job, &ask);
	fake_send(&out);
	fake_next(&frame);
	if (frame.type != PROTO_ASK_IS || frame.id != 1000 + job ||
	    proto_get_answer(frame.payload, &answer) == -1)
		_exit(9);
	text = mem_printf("code=%u json=%.*s error=%.*s",
	    (unsigned int)answer.code, (int)answer.json.len, answer.json.data,
	    (int)answer.error.len, answer.error.data);
	fake_outcome(job, PROTO_ERROR, text, UINT64_MAX, 1, 0);
}

/* From now on the worker is idle, which the file PATH.on says. */
static void
fake_tell_waiting(const char *path)
{
	char on[220];
	int fd;

	(void)snprintf(on, sizeof(on), "%s.on", path);
	fd = open(on, O_WRONLY | O_CREAT, 0600);
	if (fd != -1)
		(void)close(fd);
}

static void
fake_run(const struct ipc_frame *frame)
{
	struct fake_bundle *b;
	struct proto_run run;
	const char *line = NULL;
	char key[64], *act, *body;
	size_t i;

	if (proto_get_run(frame->payload, &run) == -1)
		_exit(9);
	for (b = fake_bundles; b < fake_bundles + FAKE_MAX; b++)
		if (b->text != NULL && b->id == run.bundle)
			break;
	(void)snprintf(key, sizeof(key), "%s: ", run.handler);
	if (b < fake_bundles + FAKE_MAX)
		line = fake_line(b->text, key, 0);
	act = mem_strdup(line == NULL ? "gone" : line);
	body = mem_strndup(run.body.data, run.body.len);
	fake_at(PROTO_IN_RUN, frame->id);
	if (strncmp(act, "error ", 6) == 0) {
		fake_outcome(frame->id, PROTO_ERROR, act + 6, UINT64_MAX, 1, 0);
	} else if (strncmp(act, "retry ", 6) == 0) {
		fake_outcome(frame->id, PROTO_RETRY, "later",
		    strtoull(act + 6, NULL, 10), 1, 0);
	} else if (strcmp(act, "drop") == 0) {
		fake_outcome(frame->id, PROTO_DROPPED, "not ours", 0, 1, 0);
	} else if (strcmp(act, "gone") == 0) {
		fake_outcome(frame->id, PROTO_GONE, NULL, 0, 0, 0);
	} else if (strcmp(act, "slow") == 0) {
		fake_outcome(frame->id, PROTO_DONE, NULL, 0, 200000, 0);
	} else if (strcmp(act, "uncharged") == 0) {
		fake_outcome(frame->id, PROTO_ERROR, "memory", 0, 1, 1);
	} else if (strncmp(act, "log ", 4) == 0) {
		fake_logs(frame->id, b->script, atoi(act + 4));
		fake_outcome(frame->id, PROTO_DONE, NULL, 0, 1, 0);
	} else if (strncmp(act, "secret ", 7) == 0) {
		fake_secret(frame->id, run.bundle, act + 7);
	} else if (strncmp(act, "ask ", 4) == 0) {
		fake_ask(frame->id, run.bundle, act + 4);
	} else if (strcmp(act, "body") == 0) {
		fake_outcome(frame->id, PROTO_ERROR, body, UINT64_MAX, 1, 0);
	} else if (strncmp(act, "wait ", 5) == 0) {
		for (i = 0; fake_waits[i].job != 0; i++)
			continue;
		fake_waits[i].job = frame->id;
		(void)snprintf(fake_waits[i].path, sizeof(fake_waits[i].path),
		    "%s", act + 5);
	} else if (strcmp(act, "done") == 0) {
		fake_outcome(frame->id, PROTO_DONE, NULL, 0, 1, 0);
	} else if (strcmp(act, "lose") == 0) {
		/* Nothing comes of it. */
	} else {
		fake_misbehave(act);
	}
	fake_at(PROTO_IDLE, 0);
	if (strncmp(act, "wait ", 5) == 0)
		fake_tell_waiting(act + 5);
	free(act);
	free(body);
	proto_run_clear(&run);
}

static void
fake_invoked(uint64_t id, enum proto_result result, const char *answer,
    const char *error, uint64_t slice_us)
{
	struct proto_invoked m = {.outcome = {.result = result,
				      .error = (char *)(uintptr_t)error,
				      .slice_us = slice_us},
	    .answer = (char *)(uintptr_t)answer};
	struct buf out = BUF_INIT;

	proto_put_invoked(&out, id, &m);
	fake_send(&out);
}

static void
fake_invoked_late(uint64_t id, const char *error)
{
	struct proto_invoked m = {.outcome = {.result = PROTO_ERROR,
				      .error = (char *)(uintptr_t)error,
				      .late = 1}};
	struct buf out = BUF_INIT;

	proto_put_invoked(&out, id, &m);
	fake_send(&out);
}

#define FAKE_ANSWER "{\"status\":200,\"body\":{\"ok\":true}}"

static void
fake_invoke(const struct ipc_frame *frame)
{
	struct fake_bundle *b;
	struct proto_invoke m;
	char *act = NULL;
	size_t i;

	if (proto_get_invoke(frame->payload, &m) == -1)
		_exit(9);
	for (b = fake_bundles; b < fake_bundles + FAKE_MAX; b++)
		if (b->text != NULL && b->id == m.bundle)
			act = mem_strdup(fake_line(b->text, "ui: ", 0));
	fake_at(PROTO_IN_RUN, frame->id);
	if (act == NULL || strcmp(act, "gone") == 0) {
		fake_invoked(frame->id, PROTO_GONE, NULL, NULL, 0);
	} else if (strncmp(act, "answer ", 7) == 0) {
		fake_invoked(frame->id, PROTO_DONE, act + 7, NULL, 1);
	} else if (strncmp(act, "error ", 6) == 0) {
		fake_invoked(frame->id, PROTO_ERROR, NULL, act + 6, 1);
	} else if (strncmp(act, "late ", 5) == 0) {
		fake_invoked_late(frame->id, act + 5);
	} else if (strcmp(act, "slow") == 0) {
		fake_invoked(frame->id, PROTO_DONE, FAKE_ANSWER, NULL, 200000);
	} else if (strncmp(act, "log ", 4) == 0) {
		fake_logs(frame->id, "a", atoi(act + 4));
		fake_invoked(frame->id, PROTO_DONE, FAKE_ANSWER, NULL, 1);
	} else if (strncmp(act, "wait ", 5) == 0) {
		for (i = 0; fake_waits[i].job != 0; i++)
			continue;
		fake_waits[i].job = frame->id;
		fake_waits[i].invoked = 1;
		(void)snprintf(fake_waits[i].path, sizeof(fake_waits[i].path),
		    "%s", act + 5);
	} else if (strcmp(act, "lose") != 0) {
		fake_misbehave(act);
	}
	fake_at(PROTO_IDLE, 0);
	if (act != NULL && strncmp(act, "wait ", 5) == 0)
		fake_tell_waiting(act + 5);
	free(act);
	proto_invoke_clear(&m);
}

/* End the runs whose file is there; return how many still wait. */
static unsigned int
fake_check_waits(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < FAKE_MAX; i++) {
		if (fake_waits[i].job == 0)
			continue;
		if (access(fake_waits[i].path, F_OK) == -1) {
			n++;
			continue;
		}
		if (fake_waits[i].invoked)
			fake_invoked(fake_waits[i].job, PROTO_DONE, FAKE_ANSWER,
			    NULL, 1);
		else
			fake_outcome(
			    fake_waits[i].job, PROTO_DONE, NULL, 0, 1, 0);
		fake_waits[i].job = 0;
		fake_waits[i].invoked = 0;
	}
	return n;
}

/* Wait for a whole frame. */
static void
fake_next(struct ipc_frame *ret_frame)
{
	static size_t used;
	struct pollfd p = {.fd = PROTO_SOCKET_FD, .events = POLLIN};
	ssize_t n;
	ptrdiff_t size;

	if (used > 0) {
		fake_in.len -= used;
		(void)memmove(fake_in.data, fake_in.data + used, fake_in.len);
		used = 0;
	}
	while ((size = ipc_next(fake_in.data, fake_in.len, ret_frame, NULL)) ==
	       0) {
		if (fake_check_waits() == 0 && fake_stopping)
			_exit(0);
		if (poll(&p, 1, 5) != 1)
			continue;
		n = read(PROTO_SOCKET_FD, buf_reserve(&fake_in, 65536), 65536);
		if (n <= 0)
			_exit(0);
		fake_in.len += (size_t)n;
	}
	used = (size_t)size;
}

static void
fake_text(const struct ipc_frame *frame)
{
	struct buf out = BUF_INIT;
	char *name, *source;

	if (proto_get_texts(frame->payload, &name, &source) == -1)
		_exit(9);
	fake_at(PROTO_IN_EVAL, frame->id);
	fake_misbehave(source);
	if (strncmp(source, "env ", 4) == 0) {
		struct ipc_frame answer;
		char *value, *why;

		proto_put_secret(&out, 7, 0, source + 4);
		fake_send(&out);
		fake_next(&answer);
		if (proto_get_texts(answer.payload, &value, &why) == -1)
			_exit(9);
		proto_put_texts(&out, PROTO_EVALUATED, frame->id, value, NULL);
	} else if (strncmp(source, "fail", 4) == 0) {
		proto_put_texts(
		    &out, PROTO_EVALUATED, frame->id, NULL, "x.lua:1: fail");
	} else {
		proto_put_texts(&out, PROTO_EVALUATED, frame->id, source, NULL);
	}
	fake_send(&out);
	fake_at(PROTO_IDLE, 0);
}

static void
fake_main(void)
{
	struct buf out = BUF_INIT;
	struct ipc_frame frame;
	size_t i;

	fake_page = mmap(NULL, sizeof(*fake_page), PROT_READ | PROT_WRITE,
	    MAP_SHARED, PROTO_PAGE_FD, 0);
	if (fake_page == MAP_FAILED || fcntl(PROTO_SOCKET_FD, F_SETFL, 0) == -1)
		_exit(9);
	for (;;) {
		fake_next(&frame);
		if (frame.type == PROTO_SETUP)
			proto_put_plain(&out, PROTO_READY, 0);
		else if (frame.type == PROTO_PING)
			proto_put_plain(&out, PROTO_PONG, frame.id);
		else if (frame.type == PROTO_LOAD)
			fake_load(&frame);
		else if (frame.type == PROTO_RUN)
			fake_run(&frame);
		else if (frame.type == PROTO_INVOKE)
			fake_invoke(&frame);
		else if (frame.type == PROTO_EVAL)
			fake_text(&frame);
		else if (frame.type == PROTO_STOP)
			fake_stopping = 1;
		else if (frame.type == PROTO_UNLOAD)
			for (i = 0; i < FAKE_MAX; i++)
				if (fake_bundles[i].id == frame.id)
					fake_bundles[i].text = NULL;
		fake_send(&out);
	}
}

/* Before Criterion's own main(). */
__attribute__((constructor)) static void
fake_begin(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[0], "moonpost") == 0 &&
	    strcmp(argv[1], "worker") == 0) {
		fake_main();
		_exit(0);
	}
}

#endif /* !TESTS_UNIT_FAKEWORKER_H_ */
