#ifndef NET_LISTEN_H_
#define NET_LISTEN_H_

/*
 * Listening sockets.
 *
 * Floor: 2 (net).  May include base/, crypto/.
 */

#include <stddef.h>

#include "base/compiler.h"

struct err;

/* "[v6 address]:port" and its NUL. */
#define LISTEN_ADDRESS_SIZE 80

/**
 * listen_open(address, n, ret_fds, ret_address, err):
 * Listen on "HOST:PORT", "[::1]:PORT", or "PORT" (on 127.0.0.1) with ${n}
 * sockets among which the kernel spreads the connections.  With port 0 a free
 * one is taken.  An address that somebody else listens on is refused, also
 * where they would share it.
 *
 * Returns:   0, the sockets in ${ret_fds} and in ${ret_address} the address
 *            with the port that was taken; or -1.
 * Errors:    ERR_INVALID      not an address;
 *            ERR_RESOLVE      no such host;
 *            ERR_UNAVAILABLE  in use, not ours, or not allowed; the message
 *                             names address and reason.
 * Ownership: the caller closes the sockets.
 * Thread:    any; may look up a name.
 */
int listen_open(const char *address, size_t n, int *ret_fds,
    char ret_address[LISTEN_ADDRESS_SIZE], struct err *err) ATTR_MUSTCHECK;

/**
 * listen_split(address, ret_host, hostlen, ret_port, err):
 * Take an address apart; also for whoever wants to connect to one.
 *
 * Errors:    ERR_INVALID      not an address.
 */
int listen_split(const char *address, char *ret_host, size_t hostlen,
    unsigned int *ret_port, struct err *err) ATTR_MUSTCHECK;

#endif /* !NET_LISTEN_H_ */
