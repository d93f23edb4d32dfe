#include <sys/socket.h>

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#include "net/fetch_hop.h"
#include "net/guard.h"
#include "net/loop.h"

#include "net/fetch_internal.h"

/* Connecting takes seconds only where nobody will answer at all. */
#define CONNECT_TIMEOUT_MS 10000

/* A call that waits should be small: libcurl holds one buffer each. */
#define RECEIVE_BUFFER 4096L
#define SEND_BUFFER 16384L

/* A redirect's body is read to keep its connection, if it is not longer. */
#define SKIP_MAX 65536

enum err_code
fetch_easy_code(const struct fetch_call *call, CURLcode rc)
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

/* A proxy is wherever the user has it, but for one place. */
static int
is_refused(const struct fetch_call *call, const struct sockaddr *address)
{
	const struct guard *guard = call->fetch->guard;

	if (guard == NULL)
		return 0;
	return call->fetch->proxy != NULL
		   ? guard_is_listener(guard, address)
		   : !guard_permits(guard, str_of(call->host), address);
}

/* Every connection passes here, with the address that it is really made to. */
static curl_socket_t
open_socket(void *cookie, curlsocktype purpose, struct curl_sockaddr *addr)
{
	struct fetch_call *call = cookie;

	(void)purpose;
	if (call->looking) {
		fetch_proxy_look(call, &addr->addr);
		return CURL_SOCKET_BAD;
	}
	if (is_refused(call, &addr->addr)) {
		call->blocked = 1;
		return CURL_SOCKET_BAD;
	}
	return socket(
	    addr->family, addr->socktype | SOCK_CLOEXEC, addr->protocol);
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

void
fetch_easy_moved(struct fetch_call *call)
{
	if (call->stall != NULL)
		(void)loop_arm(call->stall, call->stall_ms);
}

static int
connected(void *cookie, char *to, char *from, int to_port, int from_port)
{
	(void)to;
	(void)from;
	(void)to_port;
	(void)from_port;
	fetch_easy_moved(cookie);
	return CURL_PREREQFUNC_OK;
}

static size_t
take_body(char *data, size_t size, size_t n, void *cookie)
{
	struct fetch_call *call = cookie;

	n *= size;
	fetch_easy_moved(call);
	if (call->turns) {
		call->skipped += n;
		return call->skipped > SKIP_MAX ? 0 : n;
	}
	if (n > call->max_bytes - call->result.body.len) {
		call->overflow = 1;
		return 0;
	}
	return append(call, &call->result.body, data, n) == -1 ? 0 : n;
}

/* All headers of an answer are there. */
static void
headers_end(struct fetch_call *call)
{
	long status = 0;
	char *to;

	if (call->redirects == 0)
		return;
	(void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	to = fetch_hop_to((unsigned int)status, &call->result.headers);
	call->turns = to != NULL;
	free(to);
}

static size_t
take_header(char *data, size_t size, size_t n, void *cookie)
{
	struct fetch_call *call = cookie;
	size_t len;

	n *= size;
	fetch_easy_moved(call);
	len = n;
	while (len > 0 && (data[len - 1] == '\r' || data[len - 1] == '\n'))
		len--;
	/* The status line of another answer, as after a 100, begins anew. */
	if (len >= 5 && memcmp(data, "HTTP/", 5) == 0) {
		buf_reset(&call->result.headers);
		buf_reset(&call->result.body);
	} else if (len > 0 &&
		   (append(call, &call->result.headers, data, len) == -1 ||
		       append(call, &call->result.headers, "\n", 1) == -1)) {
		return 0;
	} else if (len == 0) {
		headers_end(call);
	}
	return n;
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

/* What of the whole call's time is left for this hop. */
static long
left_ms(const struct fetch_call *call)
{
	uint64_t spent = clock_mono_ms() - call->started_mono_ms;

	/* 0 would be for ever. */
	return spent < call->timeout_ms ? (long)(call->timeout_ms - spent) : 1;
}

/* What the request asks for. */
static void
set_request(struct fetch_call *call)
{
	CURL *easy = call->easy;

	(void)curl_easy_setopt(easy, CURLOPT_URL, call->url);
	(void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, left_ms(call));
	(void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
	(void)curl_easy_setopt(
	    easy, CURLOPT_FRESH_CONNECT, call->fresh ? 1L : 0L);
	(void)curl_easy_setopt(
	    easy, CURLOPT_FORBID_REUSE, call->fresh ? 1L : 0L);
	if (call->body.data != NULL) {
		(void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
		    (curl_off_t)call->body.len);
		(void)curl_easy_setopt(
		    easy, CURLOPT_POSTFIELDS, call->body.data);
	} else if (strcmp(call->method, "POST") == 0) {
		(void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "");
	}
	if (strcmp(call->method, "HEAD") == 0)
		(void)curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	else if (strcmp(call->method, "POST") != 0 &&
		 (strcmp(call->method, "GET") != 0 || call->body.data != NULL))
		(void)curl_easy_setopt(
		    easy, CURLOPT_CUSTOMREQUEST, call->method);
}

void
fetch_easy_set(struct fetch_call *call)
{
	call->turns = 0;
	call->skipped = 0;
	call->blocked = 0;
	call->error[0] = '\0';
	buf_reset(&call->result.headers);
	buf_reset(&call->result.body);
	curl_easy_reset(call->easy);
	fetch_proxy_forget(call);
	set_common(call);
	set_request(call);
	call->looking = fetch_proxy_looks(call);
	if (call->looking)
		(void)curl_easy_setopt(call->easy, CURLOPT_FRESH_CONNECT, 1L);
	else if (call->fetch->proxy != NULL)
		fetch_proxy_set(call);
}
