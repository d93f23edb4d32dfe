#ifndef CONSOLE_ACCESS_H_
#define CONSOLE_ACCESS_H_

/*
 * Who may use the console: the token, its cookie, and the names under which a
 * browser may reach it, so that no page from elsewhere can (DNS rebinding,
 * requests across sites).
 *
 * Floor: 5 (console).  Private to its folder, and to its test.
 */

#include <stddef.h>

#include "base/compiler.h"
#include "base/str.h"

struct access;

/**
 * access_create(token, address):
 * Guard the console that listens on ${address} ("127.0.0.1:8081").
 *
 * Ownership: borrows both; the caller frees with access_free().
 */
struct access *access_create(const char *token, const char *address);
void access_free(struct access *access);

/**
 * access_host_is_ours(access, host):
 * Whether a request's Host (NULL: none) names this console: the address that it
 * listens on, a name of this machine's loopback (with any port: a tunnel has
 * another one), or, where it listens on all addresses, any address.
 */
int access_host_is_ours(const struct access *access, const char *host);

/* Whether an Origin (NULL: none was sent, which is fine) is that of ${host}. */
int access_origin_is_ours(const char *origin, const char *host);

/**
 * access_is_allowed(access, authorization, cookies):
 * Whether one of these headers (NULL: not sent) shows the token.  How long it
 * takes tells nothing about it.
 */
int access_is_allowed(const struct access *access, const char *authorization,
    const char *cookies);

/* Whether it is the token. */
int access_is_token(const struct access *access, struct str token);

/* The value of Set-Cookie that stands for the token. */
const char *access_cookie(const struct access *access);

#endif /* !CONSOLE_ACCESS_H_ */
