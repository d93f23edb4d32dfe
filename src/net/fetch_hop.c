#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/mem.h"

#include "net/fetch_hop.h"

/* An origin, with what may be before its '@'. */
struct origin {
	char *scheme;
	char *user;
	char *password;
	char *host;
	char *port;
};

/* What says what is wanted and what is sent, and when to send it. */
static const char *const safe[] = {"accept", "accept-charset",
    "accept-encoding", "accept-language", "cache-control", "content-encoding",
    "content-language", "content-type", "expect", "idempotency-key", "if-match",
    "if-modified-since", "if-none-match", "if-unmodified-since", "range",
    "user-agent"};

char *
fetch_hop_to(unsigned int status, const struct buf *headers)
{
	static const char name[] = "location:";
	const char *line = buf_text(headers), *end;

	if (status != 301 && status != 302 && status != 303 && status != 307 &&
	    status != 308)
		return NULL;
	for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		if (strncasecmp(line, name, strlen(name)) != 0)
			continue;
		line += strlen(name);
		line += strspn(line, " \t");
		while (end > line && (end[-1] == ' ' || end[-1] == '\t'))
			end--;
		return end <= line ? NULL
				   : mem_strndup(line, (size_t)(end - line));
	}
	return NULL;
}

static void
origin_free(struct origin *o)
{
	curl_free(o->scheme);
	curl_free(o->user);
	curl_free(o->password);
	curl_free(o->host);
	curl_free(o->port);
}

/* The origin of an http or https URL; -1 if it is none. */
static int
origin_of(CURLU *u, struct origin *ret)
{
	*ret = (struct origin){0};
	if (curl_url_get(u, CURLUPART_SCHEME, &ret->scheme, 0) == CURLUE_OK &&
	    (strcmp(ret->scheme, "http") == 0 ||
		strcmp(ret->scheme, "https") == 0) &&
	    curl_url_get(u, CURLUPART_HOST, &ret->host, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_PORT, &ret->port, CURLU_DEFAULT_PORT) ==
		CURLUE_OK) {
		(void)curl_url_get(u, CURLUPART_USER, &ret->user, 0);
		(void)curl_url_get(u, CURLUPART_PASSWORD, &ret->password, 0);
		return 0;
	}
	origin_free(ret);
	return -1;
}

char *
fetch_hop_url(const char *from, const char *to, int *ret_elsewhere)
{
	struct origin old, new;
	CURLU *u = curl_url();
	char *url = NULL, *copy = NULL;
	int elsewhere;

	if (curl_url_set(u, CURLUPART_URL, from, CURLU_ALLOW_SPACE) !=
		CURLUE_OK ||
	    origin_of(u, &old) == -1)
		goto out;
	if (curl_url_set(u, CURLUPART_URL, to,
		CURLU_URLENCODE | CURLU_ALLOW_SPACE) == CURLUE_OK &&
	    origin_of(u, &new) == 0) {
		elsewhere = strcmp(old.scheme, new.scheme) != 0 ||
			    strcasecmp(old.host, new.host) != 0 ||
			    strcmp(old.port, new.port) != 0;
		if (!elsewhere && new.user == NULL &&new.password == NULL) {
			(void)curl_url_set(u, CURLUPART_USER, old.user, 0);
			(void)curl_url_set(
			    u, CURLUPART_PASSWORD, old.password, 0);
		}
		(void)curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
		if (curl_url_get(u, CURLUPART_URL, &url, 0) == CURLUE_OK) {
			copy = mem_strdup(url);
			curl_free(url);
			*ret_elsewhere = elsewhere;
		}
		origin_free(&new);
	}
	origin_free(&old);
out:
	curl_url_cleanup(u);
	return copy;
}

char *
fetch_hop_host(const char *url)
{
	CURLU *u = curl_url();
	struct origin o;
	char *copy = NULL;

	if (curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    origin_of(u, &o) == 0) {
		copy = o.host[0] == '['
			   ? mem_strndup(o.host + 1, strlen(o.host) - 2)
			   : mem_strdup(o.host);
		origin_free(&o);
	}
	curl_url_cleanup(u);
	return copy;
}

int
fetch_hop_is_get(unsigned int status, const char *method)
{
	if (status == 303)
		return strcmp(method, "GET") != 0 &&
		       strcmp(method, "HEAD") != 0;
	return (status == 301 || status == 302) && strcmp(method, "POST") == 0;
}

int
fetch_hop_keeps(const char *header, int elsewhere, int as_get)
{
	size_t len = strcspn(header, ":;"), i;

	if (as_get && strncasecmp(header, "content-", 8) == 0)
		return 0;
	if (!elsewhere)
		return 1;
	for (i = 0; i < NELEMS(safe); i++) {
		if (strlen(safe[i]) == len &&
		    strncasecmp(header, safe[i], len) == 0)
			return 1;
	}
	return 0;
}
