#ifndef CONSOLE_CONSOLE_INTERNAL_H_
#define CONSOLE_CONSOLE_INTERNAL_H_

/*
 * What the files of the console share.
 *
 * Floor: 5 (console).  Private to its folder.
 */

#include "base/compiler.h"
#include "base/str.h"
#include "net/listen.h"
#include "json/jdoc.h"

#include "console/console.h"

struct access;
struct events;
struct httpd;
struct httpd_request;
struct reload;

struct console {
	struct console_options options; /* address and token are not kept. */
	char address[LISTEN_ADDRESS_SIZE];
	struct access *access;
	struct httpd *httpd;
	struct events *events;
	struct reload *reloads; /* Who waits for one. */
};

/* ---- answers (console.c) -------------------------------------------------
 */

/* Answer with what went wrong: 400, 404, 503 or 500. */
void console_reply_err(struct httpd_request *req, const struct err *err);

/* Answer 200 with JSON from which the secrets were taken. */
void console_reply_json(
    struct console *console, struct httpd_request *req, struct str json);

/* Tell those who follow, without the secrets, too. */
void console_put_event(
    struct console *console, const char *name, struct str json);

/**
 * console_read_body(req, names, doc):
 * Read the body of a POST: a JSON object with no other members than ${names}
 * (NULL at the end), or nothing, which is an empty one.
 *
 * Returns:   the object; or NULL, and ${req} was answered.
 * Ownership: the caller frees ${doc} in both cases.
 */
const struct jval *console_read_body(
    struct httpd_request *req, const char *const *names, struct jdoc *doc);

/**
 * console_body_text(body, name, ret_text, err):
 * A member that is text, copied, or NULL where there is none.
 *
 * Errors:    ERR_INVALID      it is something else.
 * Ownership: the caller frees *${ret_text} with free().
 */
int console_body_text(const struct jval *body, const char *name,
    char **ret_text, struct err *err) ATTR_MUSTCHECK;

/* Have the store do it; a refusal is answered, and -1. */
int console_submit(struct console *console, struct httpd_request *req,
    struct store_op *op) ATTR_MUSTCHECK;

/* ---- deliveries (deliveries.c, replay.c) ----------------------------------
 */

void deliveries_list(struct console *console, struct httpd_request *req);
void deliveries_get(
    struct console *console, struct httpd_request *req, uint64_t id);

/* Replay one delivery, or (0) what a filter names. */
void replay_post(
    struct console *console, struct httpd_request *req, uint64_t id);

/* ---- scripts (scripts.c) ---------------------------------------------------
 */

void scripts_list(struct console *console, struct httpd_request *req);
void scripts_reload(struct console *console, struct httpd_request *req);

/* What can be done to one. */
enum scripts_verb {
	SCRIPTS_PAUSE,
	SCRIPTS_RESUME,
	SCRIPTS_DISCARD,
};
void scripts_post(struct console *console, struct httpd_request *req,
    struct str name, enum scripts_verb verb);

/* Answer those who wait for a reload; ${why} if there will be none. */
void scripts_answer_reloads(struct console *console, const struct err *why);

/* GET /metrics (metrics.c) */
void metrics_get(struct console *console, struct httpd_request *req);

#endif /* !CONSOLE_CONSOLE_INTERNAL_H_ */
