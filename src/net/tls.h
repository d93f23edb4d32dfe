#ifndef NET_TLS_H_
#define NET_TLS_H_

/*
 * The server's side of TLS: a certificate with its key, TLS 1.2 and newer.
 *
 * Floor: 2 (net).  May include base/, crypto/.
 */

#include "base/compiler.h"

struct bufferevent;
struct err;
struct event_base;
struct tls_server;

/**
 * tls_server_open(cert, key, ret_tls, err):
 * Load the PEM files ${cert} (the certificate, then those that lead to its
 * root) and ${key}.
 *
 * Errors:    ERR_NOT_FOUND    a file is not there;
 *            ERR_INVALID      it cannot be read or is not PEM, or the key does
 *                             not belong to the certificate.
 * Ownership: the caller frees with tls_server_free(), after all connections.
 * Thread:    any; it may be shared by threads from then on.
 */
int tls_server_open(const char *cert, const char *key,
    struct tls_server **ret_tls, struct err *err) ATTR_MUSTCHECK;
void tls_server_free(struct tls_server *tls);

/* A bufferevent that will accept TLS on the descriptor that it is given; NULL
 * if there is no memory. */
struct bufferevent *tls_server_bev(
    struct tls_server *tls, struct event_base *base);

/* Tell the peer that nothing more comes. */
void tls_say_goodbye(struct bufferevent *bev);

#endif /* !NET_TLS_H_ */
