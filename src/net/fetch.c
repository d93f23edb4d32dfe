#include <sys/queue.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <event2/event.h>

#include "base/clock.h"
#include "base/mem.h"

#include "net/fetch_hop.h"
#include "net/loop.h"

#include "net/fetch_internal.h"

static void
call_free(struct fetch_call *call)
{
	TAILQ_REMOVE(&call->fetch->calls, call, entry);
	if (call->easy != NULL) {
		(void)curl_multi_remove_handle(call->fetch->multi, call->easy);
		curl_easy_cleanup(call->easy);
	}
	if (call->stall != NULL)
		event_free(call->stall);
	curl_slist_free_all(call->headers);
	fetch_proxy_forget(call);
	fetch_proxy_unbind(call);
	free(call->method);
	free(call->url);
	free(call->host);
	free(call->own_body);
	buf_free(&call->result.headers);
	buf_free(&call->result.body);
	free(call);
}

/* A call has ended in ${rc}: tell its owner. */
static void
finish(struct fetch_call *call, CURLcode rc)
{
	struct fetch_result *result = &call->result;
	enum err_code code = fetch_easy_code(call, rc);
	long status = 0;

	result->duration_ms = clock_mono_ms() - call->started_mono_ms;
	(void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	if (fetch_proxy_tell(call, rc, status)) {
		buf_reset(&result->headers);
		buf_reset(&result->body);
	} else if (rc == CURLE_OK) {
		result->status = (unsigned int)status;
	} else if (code == ERR_BLOCKED) {
		(void)err_set(&result->err, code,
		    "%s is an address that is not open to scripts (see "
		    "--allow-host)",
		    call->host);
	} else if (call->refused) {
		(void)err_set(&result->err, ERR_UNAVAILABLE,
		    "no memory for the answer of %s", call->host);
	} else if (code == ERR_TOO_LARGE) {
		(void)err_set(&result->err, code,
		    "the answer of %s is longer than %zu bytes", call->host,
		    call->max_bytes);
	} else {
		(void)err_set(&result->err, code, "%s: %s", call->host,
		    call->error[0] != '\0' ? call->error
					   : curl_easy_strerror(rc));
	}
	call->done(call->cookie, result);
	call_free(call);
}

/* Send what ${call} is at. */
static void
go(struct fetch_call *call)
{
	fetch_easy_set(call);
	if (curl_multi_add_handle(call->fetch->multi, call->easy) != CURLM_OK)
		finish(call, CURLE_OUT_OF_MEMORY);
}

/* The answer is a redirect: the request becomes the one that it asks for. */
static CURLcode
turn(struct fetch_call *call)
{
	struct curl_slist *kept = NULL, *header;
	char *to, *url;
	long status = 0;
	int elsewhere = 0, as_get;

	if (call->followed == call->redirects) {
		(void)snprintf(call->error, sizeof(call->error),
		    "more than %u redirects", call->redirects);
		return CURLE_TOO_MANY_REDIRECTS;
	}
	(void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	to = fetch_hop_to((unsigned int)status, &call->result.headers);
	url = fetch_hop_url(call->url, to, &elsewhere);
	free(to);
	if (url == NULL) {
		(void)snprintf(call->error, sizeof(call->error),
		    "a redirect to what is no http or https URL");
		return CURLE_URL_MALFORMAT;
	}
	as_get = fetch_hop_is_get((unsigned int)status, call->method);
	if (as_get) {
		free(call->method);
		call->method = mem_strdup("GET");
		free(call->own_body);
		call->own_body = NULL;
		call->body = (struct str){NULL, 0};
	}
	for (header = call->headers; header != NULL; header = header->next) {
		if (fetch_hop_keeps(header->data, elsewhere, as_get))
			kept = curl_slist_append(kept, header->data);
	}
	curl_slist_free_all(call->headers);
	call->headers = kept;
	free(call->url);
	call->url = url;
	free(call->host);
	call->host = fetch_hop_host(url);
	fetch_proxy_unbind(call);
	call->followed++;
	return CURLE_OK;
}

/* Tell the owners of all calls that have ended.  They may start and cancel
 * others, so libcurl is asked anew each time. */
static void
reap(struct fetch *fetch)
{
	struct fetch_call *call;
	CURLMsg *msg;
	CURLcode rc;
	int left;

	while ((msg = curl_multi_info_read(fetch->multi, &left)) != NULL) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		rc = msg->data.result;
		(void)curl_easy_getinfo(
		    msg->easy_handle, CURLINFO_PRIVATE, (char **)&call);
		(void)curl_multi_remove_handle(fetch->multi, call->easy);
		if (call->looking && call->seen > 0 && !call->blocked) {
			call->looked = 1;
			go(call);
			continue;
		}
		if (call->looking && rc == CURLE_OK)
			rc = CURLE_COULDNT_CONNECT; /* It cannot be. */
		/* Whatever came of its body. */
		if (call->turns && (rc = turn(call)) == CURLE_OK)
			go(call);
		else
			finish(call, rc);
	}
}

static void
socket_cb(evutil_socket_t fd, short what, void *cookie)
{
	struct fetch *fetch = cookie;
	int running, flags = 0;

	if (what & EV_READ)
		flags |= CURL_CSELECT_IN;
	if (what & EV_WRITE)
		flags |= CURL_CSELECT_OUT;
	(void)curl_multi_socket_action(fetch->multi, fd, flags, &running);
	reap(fetch);
}

static void
timer_cb(evutil_socket_t fd, short what, void *cookie)
{
	struct fetch *fetch = cookie;
	int running;

	(void)fd;
	(void)what;
	(void)curl_multi_socket_action(
	    fetch->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	reap(fetch);
}

/* libcurl wants to know of a socket; its event is kept as the socket's own. */
static int
want_socket(CURL *easy, curl_socket_t fd, int what, void *cookie, void *mine)
{
	struct fetch *fetch = cookie;
	struct event *ev = mine;
	short events = EV_PERSIST;

	(void)easy;
	if (ev != NULL)
		event_free(ev);
	ev = NULL;
	if (what != CURL_POLL_REMOVE) {
		if (what & CURL_POLL_IN)
			events |= EV_READ;
		if (what & CURL_POLL_OUT)
			events |= EV_WRITE;
		ev = event_new(fetch->base, fd, events, socket_cb, fetch);
		if (ev != NULL)
			(void)event_add(ev, NULL);
	}
	(void)curl_multi_assign(fetch->multi, fd, ev);
	return 0;
}

static int
want_timer(CURLM *multi, long timeout_ms, void *cookie)
{
	struct fetch *fetch = cookie;

	(void)multi;
	/* Also 0 goes through the loop: libcurl must not be called from here.
	 */
	if (timeout_ms < 0)
		(void)event_del(fetch->timer);
	else
		(void)loop_arm(fetch->timer, (uint64_t)timeout_ms);
	return 0;
}

static void
stalled(evutil_socket_t fd, short what, void *cookie)
{
	(void)fd;
	(void)what;
	finish(cookie, CURLE_OPERATION_TIMEDOUT);
}

struct fetch *
fetch_create(const struct fetch_options *options, struct err *err)
{
	struct fetch *fetch = mem_zalloc(sizeof(*fetch));

	TAILQ_INIT(&fetch->calls);
	fetch->base = options->base;
	fetch->guard = options->guard;
	fetch->proxy = options->proxy;
	fetch->stand_in = options->stand_in;
	if (fetch->stand_in != NULL)
		return fetch;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
	    (fetch->multi = curl_multi_init()) == NULL ||
	    (fetch->timer = evtimer_new(fetch->base, timer_cb, fetch)) ==
		NULL) {
		(void)err_set(err, ERR_INTERNAL, "libcurl does not start");
		fetch_free(fetch);
		return NULL;
	}
	(void)curl_multi_setopt(
	    fetch->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	(void)curl_multi_setopt(fetch->multi, CURLMOPT_SOCKETDATA, fetch);
	(void)curl_multi_setopt(
	    fetch->multi, CURLMOPT_TIMERFUNCTION, want_timer);
	(void)curl_multi_setopt(fetch->multi, CURLMOPT_TIMERDATA, fetch);
	(void)curl_multi_setopt(fetch->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
	    options->max_host_connections);
	(void)curl_multi_setopt(fetch->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
	    options->max_connections);
	(void)curl_multi_setopt(
	    fetch->multi, CURLMOPT_MAXCONNECTS, options->max_idle_connections);
	return fetch;
}

void
fetch_free(struct fetch *fetch)
{
	struct fetch_call *call;

	if (fetch == NULL)
		return;
	while ((call = TAILQ_FIRST(&fetch->calls)) != NULL) {
		fetch_cancel(call);
		assert(call != TAILQ_FIRST(&fetch->calls));
	}
	if (fetch->multi != NULL)
		(void)curl_multi_cleanup(fetch->multi);
	if (fetch->timer != NULL)
		event_free(fetch->timer);
	free(fetch);
}

int
fetch_start(struct fetch *fetch, const struct fetch_request *request,
    struct fetch_call **ret_call, struct err *err)
{
	struct fetch_call *call;
	char *host = fetch_hop_host(request->url);
	size_t i;

	if (host == NULL)
		return err_set(err, ERR_INVALID,
		    "'%.100s' is not an http or https URL", request->url);
	for (i = 0; i < request->nheaders; i++) {
		if (strpbrk(request->headers[i], "\r\n") != NULL) {
			free(host);
			return err_set(err, ERR_INVALID,
			    "a header with a line break in it");
		}
	}

	call = mem_zalloc(sizeof(*call));
	TAILQ_INSERT_TAIL(&fetch->calls, call, entry);
	call->fetch = fetch;
	call->host = host;
	call->done = request->done;
	call->cookie = request->cookie;
	call->more = request->more;
	call->max_bytes = request->max_bytes;
	call->timeout_ms = request->timeout_ms;
	call->stall_ms = request->stall_ms;
	call->fresh = request->fresh;
	call->redirects = request->redirects;
	call->started_mono_ms = clock_mono_ms();
	if (fetch->stand_in != NULL) {
		*ret_call = call;
		fetch->stand_in->start(fetch->stand_in->cookie, call, request);
		return 0;
	}
	for (i = 0; i < request->nheaders; i++)
		call->headers =
		    curl_slist_append(call->headers, request->headers[i]);
	/* No round trip before a body: who refuses one may say so after it. */
	call->headers = curl_slist_append(call->headers, "Expect:");
	call->easy = curl_easy_init();
	if (call->easy == NULL)
		goto fail;
	call->method = mem_strdup(request->method);
	call->url = mem_strdup(request->url);
	call->body = request->body;
	if (request->body.data != NULL && !request->body_stays) {
		call->own_body =
		    mem_strndup(request->body.data, request->body.len);
		call->body.data = call->own_body;
	}
	if (call->stall_ms > 0) {
		call->stall = evtimer_new(fetch->base, stalled, call);
		if (call->stall == NULL)
			goto fail;
		fetch_easy_moved(call);
	}
	fetch_easy_set(call);
	if (curl_multi_add_handle(fetch->multi, call->easy) != CURLM_OK)
		goto fail;
	*ret_call = call;
	return 0;

fail:
	call_free(call);
	return err_set(err, ERR_INTERNAL, "libcurl takes no more calls");
}

void
fetch_cancel(struct fetch_call *call)
{
	const struct fetch_stand_in *stand_in = call->fetch->stand_in;

	if (stand_in != NULL)
		stand_in->cancel(stand_in->cookie, call);
	call_free(call);
}

void
fetch_answer(struct fetch_call *call, struct fetch_result *result)
{
	size_t bytes = result->headers.cap + result->body.cap;

	if (bytes > 0 && call->more != NULL &&
	    call->more(call->cookie, bytes) == -1) {
		buf_free(&result->headers);
		buf_free(&result->body);
		result->status = 0;
		(void)err_set(&result->err, ERR_UNAVAILABLE,
		    "there is no room for the answer of %s", call->host);
	}
	call->done(call->cookie, result);
	call_free(call);
}
