#include <sys/queue.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <curl/curl.h>
#include <event2/event.h>

#include "base/clock.h"
#include "base/mem.h"

#include "net/guard.h"
#include "net/loop.h"

#include "net/fetch.h"

/* Connecting takes seconds only where nobody will answer at all. */
#define CONNECT_TIMEOUT_MS 10000

/* A call that waits should be small: libcurl holds one buffer each. */
#define RECEIVE_BUFFER 4096L
#define SEND_BUFFER 16384L

struct fetch_call {
	struct fetch *fetch;
	CURL *easy;
	struct curl_slist *headers;
	char *body;
	char *host; /* As the first URL names it. */
	fetch_done_cb *done;
	void *cookie;
	size_t max_bytes;
	struct fetch_result result;
	uint64_t started_mono_ms;
	uint64_t stall_ms;   /* 0: no limit. */
	struct event *stall; /* Fires if nothing moves for that long. */
	int blocked;         /* The guard has refused an address. */
	int overflow;        /* The body is longer than max_bytes. */
	int refused;         /* more() has said no. */
	int (*more)(void *cookie, size_t bytes);
	char error[CURL_ERROR_SIZE];
	TAILQ_ENTRY(fetch_call) entry;
};

struct fetch {
	CURLM *multi;
	struct event_base *base;               /* Borrowed. */
	const struct guard *guard;             /* Borrowed; NULL: none. */
	const struct fetch_stand_in *stand_in; /* Borrowed; NULL: libcurl. */
	struct event *timer;
	TAILQ_HEAD(fetch_calls, fetch_call) calls;
};

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
	free(call->body);
	free(call->host);
	buf_free(&call->result.headers);
	buf_free(&call->result.body);
	free(call);
}

static enum err_code
code_of(const struct fetch_call *call, CURLcode rc)
{
	switch ((int)rc) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return ERR_RESOLVE;
	case CURLE_OPERATION_TIMEDOUT:
		return ERR_TIMEOUT;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_USE_SSL_FAILED:
		return ERR_TLS;
	case CURLE_FILESIZE_EXCEEDED:
		return ERR_TOO_LARGE;
	case CURLE_WRITE_ERROR:
		return call->refused    ? ERR_UNAVAILABLE
		       : call->overflow ? ERR_TOO_LARGE
					: ERR_CONNECT;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_TOO_MANY_REDIRECTS:
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_BAD_CONTENT_ENCODING:
		return ERR_INVALID;
	default:
		return call->blocked ? ERR_BLOCKED : ERR_CONNECT;
	}
}

/* A call has ended in ${rc}: tell its owner. */
static void
finish(struct fetch_call *call, CURLcode rc)
{
	struct fetch_result *result = &call->result;
	enum err_code code = code_of(call, rc);
	long status = 0;

	result->duration_ms = clock_mono_ms() - call->started_mono_ms;
	if (rc == CURLE_OK) {
		(void)curl_easy_getinfo(
		    call->easy, CURLINFO_RESPONSE_CODE, &status);
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

/* The host of ${url} without brackets; NULL if it is not one of HTTP's. */
static char *
host_of(const char *url)
{
	CURLU *u = curl_url();
	char *scheme = NULL, *host = NULL, *copy = NULL;
	size_t len;

	if (curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
	    curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
		len = strlen(host);
		copy = host[0] == '[' ? mem_strndup(host + 1, len - 2)
				      : mem_strdup(host);
	}
	curl_free(scheme);
	curl_free(host);
	curl_url_cleanup(u);
	return copy;
}

/* Every connection passes here, with the address that it is really made to. */
static curl_socket_t
open_socket(void *cookie, curlsocktype purpose, struct curl_sockaddr *addr)
{
	struct fetch_call *call = cookie;
	char *url = NULL, *host = NULL;
	curl_socket_t fd = CURL_SOCKET_BAD;

	(void)purpose;
	/* After a redirect it is another host. */
	if (curl_easy_getinfo(call->easy, CURLINFO_EFFECTIVE_URL, &url) ==
		CURLE_OK &&
	    url != NULL)
		host = host_of(url);
	if (call->fetch->guard == NULL ||
	    guard_permits(call->fetch->guard,
		str_of(host == NULL ? call->host : host), &addr->addr))
		fd = socket(addr->family, addr->socktype | SOCK_CLOEXEC,
		    addr->protocol);
	else
		call->blocked = 1;
	free(host);
	return fd;
}

/* Append to a part of the answer, if there may be more of it. */
static int
append(struct fetch_call *call, struct buf *out, const char *data, size_t n)
{
	size_t cap = out->cap;

	buf_put(out, data, n);
	if (out->cap > cap && call->more != NULL &&
	    call->more(call->cookie, out->cap - cap) == -1) {
		call->refused = 1;
		return -1;
	}
	return 0;
}

/* Something has moved. */
static void
moved(struct fetch_call *call)
{
	if (call->stall != NULL)
		(void)loop_arm(call->stall, call->stall_ms);
}

static void
stalled(evutil_socket_t fd, short what, void *cookie)
{
	(void)fd;
	(void)what;
	finish(cookie, CURLE_OPERATION_TIMEDOUT);
}

static int
connected(void *cookie, char *to, char *from, int to_port, int from_port)
{
	(void)to;
	(void)from;
	(void)to_port;
	(void)from_port;
	moved(cookie);
	return CURL_PREREQFUNC_OK;
}

static size_t
take_body(char *data, size_t size, size_t n, void *cookie)
{
	struct fetch_call *call = cookie;

	n *= size;
	moved(call);
	if (n > call->max_bytes - call->result.body.len) {
		call->overflow = 1;
		return 0;
	}
	return append(call, &call->result.body, data, n) == -1 ? 0 : n;
}

static size_t
take_header(char *data, size_t size, size_t n, void *cookie)
{
	struct fetch_call *call = cookie;
	size_t len;

	n *= size;
	moved(call);
	len = n;
	while (len > 0 && (data[len - 1] == '\r' || data[len - 1] == '\n'))
		len--;
	/* The status line of another answer (100, a redirect) begins anew. */
	if (len >= 5 && memcmp(data, "HTTP/", 5) == 0) {
		buf_reset(&call->result.headers);
		buf_reset(&call->result.body);
	} else if (len > 0 &&
		   (append(call, &call->result.headers, data, len) == -1 ||
		       append(call, &call->result.headers, "\n", 1) == -1)) {
		return 0;
	}
	return n;
}

struct fetch *
fetch_create(const struct fetch_options *options, struct err *err)
{
	struct fetch *fetch = mem_zalloc(sizeof(*fetch));

	TAILQ_INIT(&fetch->calls);
	fetch->base = options->base;
	fetch->guard = options->guard;
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

/* What is the same for every call. */
static void
set_common(struct fetch_call *call)
{
	CURL *easy = call->easy;

	(void)curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
	(void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error);
	(void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	/* A lookup that hangs is left behind, not waited for. */
	(void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(easy, CURLOPT_NETRC, CURL_NETRC_IGNORED);
	(void)curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
	(void)curl_easy_setopt(
	    easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS);
	(void)curl_easy_setopt(
	    easy, CURLOPT_USERAGENT, "moonpost/" MOONPOST_VERSION);
	(void)curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER);
	(void)curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, SEND_BUFFER);
	(void)curl_easy_setopt(
	    easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
	(void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	(void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
	(void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
	(void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
	(void)curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, connected);
	(void)curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);
}

/* What the request asks for. */
static void
set_request(struct fetch_call *call, const struct fetch_request *request)
{
	CURL *easy = call->easy;

	(void)curl_easy_setopt(easy, CURLOPT_URL, request->url);
	(void)curl_easy_setopt(
	    easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
	(void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
	(void)curl_easy_setopt(
	    easy, CURLOPT_FOLLOWLOCATION, request->redirects > 0 ? 1L : 0L);
	(void)curl_easy_setopt(
	    easy, CURLOPT_MAXREDIRS, (long)request->redirects);
	(void)curl_easy_setopt(
	    easy, CURLOPT_FRESH_CONNECT, request->fresh ? 1L : 0L);
	(void)curl_easy_setopt(
	    easy, CURLOPT_FORBID_REUSE, request->fresh ? 1L : 0L);
	if (request->body.data != NULL) {
		if (!request->body_stays)
			call->body =
			    mem_strndup(request->body.data, request->body.len);
		(void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
		    (curl_off_t)request->body.len);
		(void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
		    call->body != NULL ? call->body : request->body.data);
	} else if (strcmp(request->method, "POST") == 0) {
		(void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "");
	}
	if (strcmp(request->method, "HEAD") == 0)
		(void)curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	else if (strcmp(request->method, "POST") != 0 &&
		 (strcmp(request->method, "GET") != 0 ||
		     request->body.data != NULL))
		(void)curl_easy_setopt(
		    easy, CURLOPT_CUSTOMREQUEST, request->method);
}

int
fetch_start(struct fetch *fetch, const struct fetch_request *request,
    struct fetch_call **ret_call, struct err *err)
{
	struct fetch_call *call;
	char *host = host_of(request->url);
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
	set_common(call);
	set_request(call, request);
	call->stall_ms = request->stall_ms;
	if (call->stall_ms > 0) {
		call->stall = evtimer_new(fetch->base, stalled, call);
		if (call->stall == NULL)
			goto fail;
		moved(call);
	}
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
