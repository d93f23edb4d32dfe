#ifndef NET_PROXY_H_
#define NET_PROXY_H_

/*
 * The proxy of --proxy: the only one there is, none is taken from the
 * environment.
 *
 * Floor: 2 (net).  May include base/, crypto/.
 */

#include "base/compiler.h"

struct err;

struct proxy {
	char *url;  /* "http://proxy.internal:3128": who it is for is left out,
		     * so that it may be shown. */
	char *user; /* NULL: none. */
	char *password;
	int socks; /* It speaks SOCKS 5, not HTTP. */
};

/**
 * proxy_parse(text, ret, err):
 * Read "http://HOST:PORT", "https://...", "socks5://..." or "socks5h://...",
 * which may have "USER:PASSWORD@" before the host.
 *
 * Returns:   0; ${text} NULL or empty is no proxy, and *${ret} is NULL.
 * Errors:    ERR_INVALID      not that; the message does not repeat ${text},
 *                             in which a password may be.
 * Ownership: the caller frees with proxy_free(), which wipes the password.
 */
int proxy_parse(
    const char *text, struct proxy **ret, struct err *err) ATTR_MUSTCHECK;

void proxy_free(struct proxy *proxy);

#endif /* !NET_PROXY_H_ */
