#include <string.h>

#include "base/err.h"
#include "net/fetch.h"
#include "net/guard.h"
#include "net/loop.h"

#include "net/httpc.h"

#define DEFAULT_TIMEOUT_MS 10000
#define DEFAULT_MAX_BYTES (64U << 20)

struct waiting {
	struct loop *loop;
	struct fetch_result result; /* Ours once done is called. */
};

static void
done_cb(void *cookie, struct fetch_result *result)
{
	struct waiting *w = cookie;

	w->result = *result;
	result->headers = (struct buf)BUF_INIT;
	result->body = (struct buf)BUF_INIT;
	loop_stop(w->loop);
}

int
httpc_call(const struct httpc_request *request, struct httpc_answer *ret_answer,
    struct err *err)
{
	struct guard *guard = guard_create();
	struct fetch_options options = {.guard = guard};
	struct fetch_request r = {.method = request->method,
	    .url = request->url,
	    .headers = request->headers,
	    .nheaders = request->nheaders,
	    .body = request->body,
	    .timeout_ms = request->timeout_ms,
	    .max_bytes = request->max_bytes,
	    .done = done_cb};
	struct waiting w = {.loop = NULL};
	struct fetch *fetch = NULL;
	struct fetch_call *call;
	int rc = -1;

	guard_allow_private(guard);
	if (loop_create(1, &w.loop, err) == -1)
		goto out;
	options.base = loop_base(w.loop);
	fetch = fetch_create(&options, err);
	if (fetch == NULL)
		goto out;
	if (r.method == NULL)
		r.method = "GET";
	if (r.timeout_ms == 0)
		r.timeout_ms = DEFAULT_TIMEOUT_MS;
	if (r.max_bytes == 0)
		r.max_bytes = DEFAULT_MAX_BYTES;
	r.cookie = &w;
	if (fetch_start(fetch, &r, &call, err) == -1)
		goto out;
	loop_run(w.loop);

	if (w.result.err.code != ERR_NONE) {
		if (err != NULL)
			*err = w.result.err;
		goto out;
	}
	*ret_answer = (struct httpc_answer){
	    w.result.status, w.result.headers, w.result.body};
	w.result.headers = (struct buf)BUF_INIT;
	w.result.body = (struct buf)BUF_INIT;
	rc = 0;
out:
	buf_free(&w.result.headers);
	buf_free(&w.result.body);
	fetch_free(fetch);
	loop_free(w.loop);
	guard_free(guard);
	return rc;
}

void
httpc_answer_free(struct httpc_answer *answer)
{
	buf_free(&answer->headers);
	buf_free(&answer->body);
}
