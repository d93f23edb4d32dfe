#include <string.h>

#include <curl/curl.h>

#include "base/err.h"
#include "net/fetch.h"
#include "net/loop.h"

#include "net/httpc.h"

#define DEFAULT_TIMEOUT_MS 10000
#define DEFAULT_MAX_BYTES (64U << 20)

/* A stream on which nothing came for that long is dead. */
#define SILENCE_S 60L

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
	struct fetch_options options = {.proxy = request->proxy};
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
	return rc;
}

void
httpc_answer_free(struct httpc_answer *answer)
{
	buf_free(&answer->headers);
	buf_free(&answer->body);
}

struct stream {
	httpc_piece_cb *piece;
	void *cookie;
	int ended; /* By the callee. */
};

static size_t
stream_cb(char *data, size_t size, size_t n, void *cookie)
{
	struct stream *s = cookie;

	s->ended = s->piece(s->cookie, (struct str){data, size * n});
	return s->ended ? 0 : size * n;
}

static enum err_code
stream_code(CURLcode rc)
{
	switch ((int)rc) {
	case CURLE_COULDNT_RESOLVE_HOST:
		return ERR_RESOLVE;
	case CURLE_OPERATION_TIMEDOUT:
		return ERR_TIMEOUT;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return ERR_INVALID;
	default:
		return ERR_CONNECT;
	}
}

int
httpc_stream(const struct httpc_request *request, httpc_piece_cb *piece,
    void *cookie, unsigned int *ret_status, struct err *err)
{
	struct stream s = {piece, cookie, 0};
	struct curl_slist *headers = NULL;
	long status = 0;
	CURL *easy;
	CURLcode rc;
	size_t i;

	*ret_status = 0;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(err, ERR_UNAVAILABLE, "cannot start libcurl");
	easy = curl_easy_init();
	if (easy == NULL) {
		curl_global_cleanup();
		return err_set(err, ERR_UNAVAILABLE, "cannot start libcurl");
	}
	for (i = 0; i < request->nheaders; i++)
		headers = curl_slist_append(headers, request->headers[i]);
	(void)curl_easy_setopt(easy, CURLOPT_URL, request->url);
	(void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	(void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	(void)curl_easy_setopt(
	    easy, CURLOPT_CONNECTTIMEOUT_MS, (long)DEFAULT_TIMEOUT_MS);
	(void)curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, SILENCE_S);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, stream_cb);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, &s);
	rc = curl_easy_perform(easy);
	(void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	*ret_status = (unsigned int)status;
	if (rc != CURLE_OK && !s.ended)
		(void)err_set(
		    err, stream_code(rc), "%s", curl_easy_strerror(rc));
	curl_easy_cleanup(easy);
	curl_slist_free_all(headers);
	curl_global_cleanup();
	return rc == CURLE_OK || s.ended ? 0 : -1;
}
