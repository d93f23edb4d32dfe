#ifndef CLI_CLIENT_H_
#define CLI_CLIENT_H_

/*
 * What the commands that ask a running host share: finding its console, showing
 * the token, telling what went wrong, and writing what it said for people.
 *
 * Floor: 7 (cli).  May include everything.
 */

#include <stdio.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"
#include "json/jdoc.h"

#include "cli/cmd.h"

struct client {
	const struct cmd_call *call;
	char *url;           /* "http://127.0.0.1:8081" */
	char *authorization; /* "Authorization: Bearer ..." */
};

/* An answer: 2xx, and JSON. */
struct client_answer {
	struct buf text;
	struct jdoc doc; /* Of it. */
};

/**
 * client_open(call, ret_client):
 * Find the console: where --console says, or where the host with that data
 * folder has written that it is; and the token, in the data folder.
 *
 * Returns:   CMD_GOOD; or another status, and what is wrong was told.
 * Ownership: the caller closes with client_close(), also after a failure.
 */
int client_open(
    const struct cmd_call *call, struct client *ret_client) ATTR_MUSTCHECK;
void client_close(struct client *client);

/**
 * client_call(client, path, body, ret_answer):
 * GET ${path}; or POST it, if there is a ${body}.
 *
 * Returns:   CMD_GOOD; or another status, and what is wrong was told: CMD_BAD
 *            if there is no such thing, CMD_USAGE if the console does not
 *            understand, else CMD_UNREACHABLE.
 * Ownership: the caller frees with client_answer_free(), also after a failure.
 */
int client_call(const struct client *client, const char *path, const char *body,
    struct client_answer *ret_answer) ATTR_MUSTCHECK;
void client_answer_free(struct client_answer *answer);

/* Tell that nobody answers there, and what to do; returns CMD_UNREACHABLE. */
int client_unreachable(const struct client *client, const struct err *err);

/* Tell why the console refused; returns the status for it. */
int client_refused(
    const struct client *client, unsigned int status, struct str body);

/* Append "?name=value" or "&name=value", encoded; nothing for a NULL value. */
void client_put_query(struct buf *path, const char *name, const char *value);

/* Append ${s} percent-encoded. */
void client_put_encoded(struct buf *path, const char *s);

/* A time of the API ("2026-01-31T12:00:00.000Z") as this place has it, to the
 * second or (${ms}) the millisecond; "-" for what is none. */
void client_put_time(struct buf *out, const struct jval *time, int ms);

/* What is text as it is, a number as it is written, null as "-". */
void client_put_value(struct buf *out, const struct jval *value);

/* Green for what went well, red for what did not, -1 for the rest. */
int client_style_of(struct str state);

/* ---- tables
 * ------------------------------------------------------------------
 */

#define CLIENT_COLUMNS 10

struct client_table {
	size_t ncolumns;
	size_t ncells; /* Row by row, the titles first. */
	size_t cap;
	struct client_cell *cells;
};

/* Begin one with these titles (NULL at the end). */
struct client_table client_table_begin(const char *const *titles);

/* The next cell of the row, or of the next one; ${style} is an enum cmd_style
 * or -1.  Only the first line counts.  Consumes what is in ${text}. */
void client_table_add(struct client_table *table, struct buf *text, int style);

/* Print it, in aligned columns, and free it. */
void client_table_print(struct client_table *table, FILE *out);

#endif /* !CLI_CLIENT_H_ */
