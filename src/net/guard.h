#ifndef NET_GUARD_H_
#define NET_GUARD_H_

/*
 * Where a script may connect to: the public internet, and what the user has
 * opened.  The check is on the resolved address, at the moment of connecting,
 * so neither a name that points inwards nor an address in a strange spelling
 * gets past it.
 *
 * Floor: 2 (net).  May include base/.
 */

#include <sys/socket.h>

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"

struct buf;
struct err;
struct guard;

/**
 * guard_create(), guard_free(guard):
 * A guard that opens nothing but the public internet.
 *
 * Ownership: the caller frees with guard_free().
 */
struct guard *guard_create(void);
void guard_free(struct guard *guard);

/* Open loopback addresses (127/8, ::1), but for the listeners of moonpost. */
void guard_allow_loopback(struct guard *guard);

/* Open every address, but for the listeners of moonpost. */
void guard_allow_private(struct guard *guard);

/**
 * guard_allow_host(guard, text, err):
 * Open a host, by name or address, at every port or at one: "db.internal",
 * "10.0.0.5:8080", "[fd00::1]:80".
 *
 * Errors:    ERR_INVALID      not HOST or HOST:PORT.
 */
int guard_allow_host(
    struct guard *guard, const char *text, struct err *err) ATTR_MUSTCHECK;

/**
 * guard_refuse_listener(guard, port):
 * Never let anybody connect to that port of this machine, whatever else is
 * open: a listener of moonpost's own.
 */
void guard_refuse_listener(struct guard *guard, uint16_t port);

/**
 * guard_permits(guard, host, address):
 * Whether a connection to ${address} may be made for a request to ${host}, the
 * host as the URL names it, without brackets.
 *
 * Thread:    any, once the guard is filled in.
 */
int guard_permits(
    const struct guard *guard, struct str host, const struct sockaddr *address);

/**
 * guard_is_listener(guard, address):
 * Whether ${address} is a listener of moonpost's own, which nobody may be let
 * connect to.
 */
int guard_is_listener(
    const struct guard *guard, const struct sockaddr *address);

/**
 * guard_opens(guard, host, address):
 * Whether the user has opened ${host} by that name, at the port of ${address}.
 */
int guard_opens(
    const struct guard *guard, struct str host, const struct sockaddr *address);

/**
 * guard_put(guard, out), guard_parse(text):
 * The guard as text, and back, for a process of its own.
 */
void guard_put(const struct guard *guard, struct buf *out);
struct guard *guard_parse(struct str text);

#endif /* !NET_GUARD_H_ */
