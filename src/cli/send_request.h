#ifndef CLI_SEND_REQUEST_H_
#define CLI_SEND_REQUEST_H_

/*
 * A signed request as Sentry makes it, and the same as a curl command.
 *
 * Floor: 7 (cli).  May include everything.
 */

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"

struct catalog;
struct config;
struct err;
struct signature_key;

/* Content-Type, Request-ID, Sentry-Hook-Resource, -Timestamp, -Signature,
 * Idempotency-Key, User-Agent, Accept. */
#define SEND_HEADERS 8

struct send_request {
	struct buf body;
	char *headers[SEND_HEADERS]; /* "Name: value" */
	char request_id[33];
	char idempotency_key[33];
};

/**
 * send_body(config, catalog, event, file, out, err):
 * Append the body to send: ${file} where it is not NULL, else a sample of
 * ${event}; with every --set applied to it.
 *
 * Errors:    ERR_NOT_FOUND    no such event; the closest one is suggested;
 *            ERR_INVALID      a --set that cannot be, or a --set for a file
 *                             that is not JSON.
 * Ownership: borrows everything.
 */
int send_body(const struct config *config, const struct catalog *catalog,
    const char *event, const struct buf *file, struct buf *out,
    struct err *err) ATTR_MUSTCHECK;

/**
 * send_request_fill(request, resource, key):
 * Make the headers for request->body, with ids of their own.
 *
 * Ownership: send_request_clear() frees what the request has, body too.
 */
void send_request_fill(struct send_request *request, const char *resource,
    const struct signature_key *key);
void send_request_clear(struct send_request *request);

/**
 * send_put_curl(request, url, out):
 * Append the request as a command for a POSIX shell, which sends the very same
 * bytes.
 */
void send_put_curl(
    const struct send_request *request, const char *url, struct buf *out);

#endif /* !CLI_SEND_REQUEST_H_ */
