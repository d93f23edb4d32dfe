#include <arpa/inet.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "crypto/secret.h"
#include "crypto/signature.h"

#include "console/access.h"

/* The cookie is not the token itself, which a browser need not keep. */
#define COOKIE_TEXT "moonpost console cookie"

struct access {
	struct secret *token;
	char *host; /* Lower case, no brackets. */
	int wildcard;
	char cookie_value[SIGNATURE_HEX + 1];
	char *cookie_name; /* With '='. */
	char *cookie;
};

/* "HOST:PORT", "[v6]:PORT" or "HOST" taken apart; 0, or -1. */
static int
split(struct str s, struct str *ret_host, struct str *ret_port)
{
	const char *end;
	size_t i;

	*ret_port = (struct str){NULL, 0};
	if (s.len > 0 && s.data[0] == '[') {
		end = memchr(s.data, ']', s.len);
		if (end == NULL)
			return -1;
		*ret_host =
		    (struct str){s.data + 1, (size_t)(end - s.data) - 1};
		end++;
	} else {
		end = memchr(s.data, ':', s.len);
		if (end == NULL)
			end = s.data + s.len;
		*ret_host = (struct str){s.data, (size_t)(end - s.data)};
	}
	if (end < s.data + s.len) {
		if (*end != ':')
			return -1;
		*ret_port =
		    (struct str){end + 1, s.len - (size_t)(end + 1 - s.data)};
		for (i = 0; i < ret_port->len; i++) {
			if (ret_port->data[i] < '0' || ret_port->data[i] > '9')
				return -1;
		}
	}
	return ret_host->len > 0 ? 0 : -1;
}

static int
is_address(struct str host)
{
	char text[INET6_ADDRSTRLEN];
	unsigned char at[sizeof(struct in6_addr)];

	if (host.len >= sizeof(text))
		return 0;
	(void)memcpy(text, host.data, host.len);
	text[host.len] = '\0';
	return inet_pton(AF_INET, text, at) == 1 ||
	       inet_pton(AF_INET6, text, at) == 1;
}

static int
is_loopback(struct str host)
{
	return str_eq_nocase(host, STR("localhost")) ||
	       str_eq(host, STR("127.0.0.1")) || str_eq(host, STR("::1"));
}

struct access *
access_create(const char *token, const char *address)
{
	struct access *access = mem_zalloc(sizeof(*access));
	struct signature_key *key = signature_key_create(token, strlen(token));
	struct str host, port;

	access->token = secret_create(token, strlen(token));
	if (split(str_of(address), &host, &port) == -1)
		host = port = (struct str){"", 0};
	access->host = mem_strndup(host.data, host.len);
	access->wildcard =
	    str_eq(host, STR("0.0.0.0")) || str_eq(host, STR("::"));
	signature_sign(
	    key, COOKIE_TEXT, sizeof(COOKIE_TEXT) - 1, access->cookie_value);
	signature_key_free(key);

	/* A browser keeps one set of cookies for all ports of a host. */
	access->cookie_name =
	    mem_printf("moonpost_%.*s=", (int)port.len, port.data);
	access->cookie = mem_printf("%s%s; Path=/; HttpOnly; SameSite=Strict",
	    access->cookie_name, access->cookie_value);
	return access;
}

void
access_free(struct access *access)
{
	if (access == NULL)
		return;
	secret_free(access->token);
	free(access->host);
	free(access->cookie_name);
	if (access->cookie != NULL)
		secret_wipe(access->cookie, strlen(access->cookie));
	free(access->cookie);
	secret_wipe(access->cookie_value, sizeof(access->cookie_value));
	free(access);
}

int
access_host_is_ours(const struct access *access, const char *host)
{
	struct str name, port;

	if (host == NULL || split(str_of(host), &name, &port) == -1)
		return 0;
	return is_loopback(name) || str_eq_nocase(name, str_of(access->host)) ||
	       (access->wildcard && is_address(name));
}

int
access_origin_is_ours(const char *origin, const char *host)
{
	const char *rest;

	if (origin == NULL)
		return 1;
	if (host == NULL)
		return 0;
	/* A proxy in front of it may speak TLS. */
	if (strncasecmp(origin, "http://", 7) == 0)
		rest = origin + 7;
	else if (strncasecmp(origin, "https://", 8) == 0)
		rest = origin + 8;
	else
		return 0;
	return strcasecmp(rest, host) == 0;
}

int
access_is_token(const struct access *access, struct str token)
{
	return secret_equal(
	    token.data, token.len, access->token->data, access->token->len);
}

/* Whether our cookie is among "a=1; b=2". */
static int
has_cookie(const struct access *access, const char *cookies)
{
	size_t namelen = strlen(access->cookie_name), len;

	while (*cookies != '\0') {
		cookies += strspn(cookies, " ;");
		len = strcspn(cookies, ";");
		if (len > namelen &&
		    memcmp(cookies, access->cookie_name, namelen) == 0 &&
		    secret_equal(cookies + namelen, len - namelen,
			access->cookie_value, SIGNATURE_HEX))
			return 1;
		cookies += len;
	}
	return 0;
}

int
access_is_allowed(
    const struct access *access, const char *authorization, const char *cookies)
{
	if (authorization != NULL &&
	    strncasecmp(authorization, "Bearer ", 7) == 0) {
		authorization += 7;
		authorization += strspn(authorization, " ");
		return access_is_token(access, str_of(authorization));
	}
	return cookies != NULL && has_cookie(access, cookies);
}

const char *
access_cookie(const struct access *access)
{
	return access->cookie;
}
