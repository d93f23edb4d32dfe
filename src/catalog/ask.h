#ifndef CATALOG_ASK_H_
#define CATALOG_ASK_H_

/*
 * What a test of handlers asks of the catalogue, as text: tests run in worker
 * processes, which have none.
 *
 * Floor: 2 (catalog).  May include base/, json/, schedule/.
 */

#include "base/compiler.h"

struct catalog;
struct err;

/**
 * catalog_ask(catalog, question, body, ret_json, err):
 * Answer a question about a ${body} (NULL where none is asked for):
 *
 * "resource:issue": {"resource", "channel", "handlers", "known", "fires"}.
 * Of one that no document knows channel is null; fires: an alert action is
 * called, too.
 *
 * "sample:issue.created": a body.
 *
 * "check:issue": {"pointer", "message"} if ${body} has not the shape of that
 * resource, else {}.
 *
 * "due:1767225600": what schedule_ask() says of the declarations in ${body}
 * after that time.
 *
 * Errors:    ERR_NOT_FOUND    no such resource or action, with the closest;
 *            ERR_INVALID      no such question; the body is not JSON; or as
 *                             catalog_sample().
 * Ownership: the caller frees *${ret_json} with free().
 * Thread:    any.
 */
int catalog_ask(const struct catalog *catalog, const char *question,
    const char *body, char **ret_json, struct err *err) ATTR_MUSTCHECK;

#endif /* !CATALOG_ASK_H_ */
