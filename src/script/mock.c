#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "base/ipc.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/fetch.h"

#include "script/bundle.h"
#include "script/mock.h"
#include "script/question.h"
#include "script/timer.h"

struct mock_secret {
	char *name;
	char *value;
	SLIST_ENTRY(mock_secret) entry;
};

/* A request that waits for its answer. */
struct mock_call {
	struct mock *mock;
	uint64_t id;
	struct fetch_call *call;
	struct timer timer; /* Until the answer that was given comes. */
	struct fetch_result result;
	uint64_t timeout_ms;
	size_t max_bytes;
	TAILQ_ENTRY(mock_call) entry;
};

struct mock {
	struct bundle_env env;
	const struct proto_load *load; /* Borrowed. */
	struct bundle *bundle;
	uint64_t bundles; /* How many there have been. */
	int load_wanted;
	struct fetch_stand_in stand_in;
	struct fetch *fetch;
	struct questions asked;
	struct questions asks;
	struct buf in, out;
	size_t out_at; /* What of it was taken out. */
	struct buf taken;
	uint64_t calls_begun;
	TAILQ_HEAD(mock_calls, mock_call) calls;
	SLIST_HEAD(mock_secrets, mock_secret) secrets;
};

static void
host_log(void *cookie, uint64_t job, const struct proto_log *log)
{
	struct mock *mock = cookie;

	proto_put_log(&mock->out, job, log);
}

static char *
host_secret(void *cookie, uint64_t bundle, const char *name)
{
	const struct mock *mock = cookie;
	const struct mock_secret *secret;

	(void)bundle;
	SLIST_FOREACH (secret, &mock->secrets, entry) {
		if (strcmp(secret->name, name) == 0)
			return mem_strdup(secret->value);
	}
	return NULL;
}

static struct fetch *
host_fetch(void *cookie, int to_sentry)
{
	struct mock *mock = cookie;

	(void)to_sentry;
	return mock->fetch;
}

static void
job_done(void *cookie, uint64_t job, const struct proto_outcome *outcome)
{
	struct mock *mock = cookie;

	proto_put_outcome(&mock->out, job, outcome);
}

static void
component_done(void *cookie, uint64_t id, const struct proto_invoked *invoked)
{
	struct mock *mock = cookie;

	proto_put_invoked(&mock->out, id, invoked);
}

/* A request goes out: to the test. */
static void
request_begun(void *cookie, struct fetch_call *fetch_call,
    const struct fetch_request *request)
{
	struct mock *mock = cookie;
	struct mock_call *call = mem_zalloc(sizeof(*call));
	struct buf headers = BUF_INIT;
	size_t i, at;

	call->mock = mock;
	call->id = ++mock->calls_begun;
	call->call = fetch_call;
	call->timeout_ms = request->timeout_ms;
	call->max_bytes = request->max_bytes;
	TAILQ_INSERT_TAIL(&mock->calls, call, entry);

	for (i = 0; i < request->nheaders; i++) {
		buf_puts(&headers, request->headers[i]);
		buf_putc(&headers, '\n');
	}
	at = ipc_begin(&mock->out, MOCK_REQUEST, call->id);
	pack_str(&mock->out, str_of(request->method));
	pack_str(&mock->out, str_of(request->url));
	pack_str(&mock->out, (struct str){buf_text(&headers), headers.len});
	pack_str(&mock->out, request->body);
	pack_u64(&mock->out, request->timeout_ms);
	ipc_end(&mock->out, at);
	buf_free(&headers);
}

static void
call_free(struct mock_call *call)
{
	TAILQ_REMOVE(&call->mock->calls, call, entry);
	timer_stop(&call->timer);
	buf_free(&call->result.headers);
	buf_free(&call->result.body);
	free(call);
}

static void
request_cancelled(void *cookie, struct fetch_call *fetch_call)
{
	struct mock *mock = cookie;
	struct mock_call *call;

	TAILQ_FOREACH (call, &mock->calls, entry) {
		if (call->call == fetch_call) {
			call_free(call);
			return;
		}
	}
}

/* The answer comes now. */
static void
reply_cb(void *cookie)
{
	struct mock_call *call = cookie;
	struct fetch_call *fetch_call = call->call;
	struct fetch_result result = call->result;

	call->result = (struct fetch_result){0};
	call_free(call);
	fetch_answer(fetch_call, &result);
	buf_free(&result.headers);
	buf_free(&result.body);
}

int
mock_reply(struct mock *mock, uint64_t id, const struct mock_reply *reply)
{
	struct fetch_result *result;
	struct mock_call *call;
	uint64_t delay_ms = reply->delay_ms;

	TAILQ_FOREACH (call, &mock->calls, entry) {
		if (call->id == id)
			break;
	}
	if (call == NULL || timer_is_set(&call->timer))
		return -1;
	result = &call->result;
	if (delay_ms > call->timeout_ms) {
		delay_ms = call->timeout_ms;
		(void)err_set(&result->err, ERR_TIMEOUT,
		    "no answer within %llu ms",
		    (unsigned long long)call->timeout_ms);
	} else if (reply->err.code != ERR_NONE) {
		result->err = reply->err;
	} else if (reply->body.len > call->max_bytes) {
		(void)err_set(&result->err, ERR_TOO_LARGE,
		    "the answer is longer than %zu bytes", call->max_bytes);
	} else {
		result->status = reply->status;
		buf_put(
		    &result->headers, reply->headers.data, reply->headers.len);
		buf_put(&result->body, reply->body.data, reply->body.len);
	}
	result->duration_ms = delay_ms;
	return timer_start(&call->timer, mock->env.base, mock->env.host.clock,
	    delay_ms, reply_cb, call);
}

struct mock *
mock_create(const struct mock_options *options)
{
	struct mock *mock = mem_zalloc(sizeof(*mock));
	struct fetch_options fetch = {.base = options->base};

	TAILQ_INIT(&mock->calls);
	SLIST_INIT(&mock->secrets);
	mock->load = options->load;
	mock->stand_in =
	    (struct fetch_stand_in){mock, request_begun, request_cancelled};
	fetch.stand_in = &mock->stand_in;
	mock->fetch = fetch_create(&fetch, NULL);
	mock->env = (struct bundle_env){
	    .base = options->base,
	    .limits = *options->limits,
	    .host = {.cookie = mock,
		.log = host_log,
		.secret = host_secret,
		.fetch = host_fetch,
		.questions = &mock->asked,
		.asks = &mock->asks,
		.page = options->page,
		.clock = options->clock},
	    .done = job_done,
	    .invoked = component_done,
	    .cookie = mock,
	};
	/* What a test wants to see, it sees. */
	mock->env.limits.debug = 1;
	mock->env.limits.unsafe = options->unsafe;
	return mock;
}

void
mock_free(struct mock *mock)
{
	struct mock_secret *secret;

	if (mock == NULL)
		return;
	bundle_free(mock->bundle);
	fetch_free(mock->fetch);
	while ((secret = SLIST_FIRST(&mock->secrets)) != NULL) {
		SLIST_REMOVE_HEAD(&mock->secrets, entry);
		free(secret->name);
		free(secret->value);
		free(secret);
	}
	buf_free(&mock->in);
	buf_free(&mock->out);
	buf_free(&mock->taken);
	free(mock);
}

void
mock_set_secret(struct mock *mock, const char *name, const char *value)
{
	struct mock_secret *secret;

	SLIST_FOREACH (secret, &mock->secrets, entry) {
		if (strcmp(secret->name, name) == 0)
			break;
	}
	if (secret == NULL) {
		secret = mem_zalloc(sizeof(*secret));
		secret->name = mem_strdup(name);
		SLIST_INSERT_HEAD(&mock->secrets, secret, entry);
	}
	free(secret->value);
	secret->value = mem_strdup(value);
}

void
mock_load(struct mock *mock)
{
	bundle_free(mock->bundle);
	mock->bundle = NULL;
	buf_reset(&mock->in);
	buf_reset(&mock->out);
	mock->out_at = 0;
	/* What was asked is not answered any more. */
	questions_init(&mock->asked, &mock->out, NULL, NULL);
	questions_init(&mock->asks, &mock->out, NULL, NULL);
	mock->load_wanted = 1;
}

struct buf *
mock_in(struct mock *mock)
{
	return &mock->in;
}

/* Load the script as a worker does. */
static void
load(struct mock *mock)
{
	struct proto_loaded answer;

	mock->load_wanted = 0;
	mock->bundle =
	    bundle_load(&mock->env, ++mock->bundles, mock->load, &answer);
	proto_put_loaded(&mock->out, mock->bundles, &answer);
	proto_loaded_clear(&answer);
}

/* A frame for the worker; what makes no sense is a bug of ours. */
static void
handle(struct mock *mock, const struct ipc_frame *f)
{
	struct proto_invoke invoke;
	struct proto_run run;

	switch (f->type) {
	case PROTO_RUN:
		if (mock->bundle != NULL &&
		    proto_get_run(f->payload, &run) == 0) {
			bundle_run(mock->bundle, f->id, &run);
			proto_run_clear(&run);
		}
		break;
	case PROTO_INVOKE:
		if (mock->bundle != NULL &&
		    proto_get_invoke(f->payload, &invoke) == 0) {
			bundle_invoke(mock->bundle, f->id, &invoke);
			proto_invoke_clear(&invoke);
		}
		break;
	case PROTO_STEP_IS:
	case PROTO_KV_IS:
		(void)!questions_answer(&mock->asked, f->id, f->payload);
		break;
	case PROTO_ASK_IS:
		(void)!questions_answer(&mock->asks, f->id, f->payload);
		break;
	default:
		break;
	}
}

int
mock_work(struct mock *mock)
{
	struct buf frame = BUF_INIT;
	struct ipc_frame f;
	ptrdiff_t n;

	if (mock->load_wanted) {
		load(mock);
		return 1;
	}
	n = ipc_next(mock->in.data, mock->in.len, &f, NULL);
	if (n <= 0)
		return 0;
	/* Take it out first: what it wakes may bring more. */
	buf_put(&frame, mock->in.data, (size_t)n);
	mock->in.len -= (size_t)n;
	(void)memmove(mock->in.data, mock->in.data + n, mock->in.len);
	if (ipc_next(frame.data, frame.len, &f, NULL) > 0)
		handle(mock, &f);
	buf_free(&frame);
	return 1;
}

int
mock_has_out(const struct mock *mock)
{
	return mock->out.len > mock->out_at;
}

int
mock_next(struct mock *mock, struct ipc_frame *ret)
{
	ptrdiff_t n = ipc_next(mock->out.data + mock->out_at,
	    mock->out.len - mock->out_at, ret, NULL);

	if (n <= 0)
		return -1;
	buf_reset(&mock->taken);
	buf_put(&mock->taken, mock->out.data + mock->out_at, (size_t)n);
	mock->out_at += (size_t)n;
	if (mock->out_at == mock->out.len) {
		buf_reset(&mock->out);
		mock->out_at = 0;
	}
	return ipc_next(mock->taken.data, mock->taken.len, ret, NULL) > 0 ? 0
									  : -1;
}

int
mock_get_request(struct str payload, struct mock_request *ret)
{
	struct unpack u = unpack_begin(payload);

	ret->method = unpack_str(&u);
	ret->url = unpack_str(&u);
	ret->headers = unpack_str(&u);
	ret->body = unpack_str(&u);
	ret->timeout_ms = unpack_u64(&u);
	return unpack_end(&u);
}
