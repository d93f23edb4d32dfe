#ifndef SIM_BODY_H_
#define SIM_BODY_H_

/*
 * Bodies that the stand-in makes: an installation as the API and the webhooks
 * tell of it, and deliveries from the samples of the catalogue.
 *
 * Floor: 5 (sim).  May include base/, json/, crypto/, catalog/, net/.
 */

#include "base/compiler.h"
#include "base/str.h"

struct buf;
struct err;
struct install;
struct jval;
struct jwrite;
struct sim;

/* The slug and the UUID of the one integration there is. */
#define BODY_APP_SLUG "moonpost-sim"
#define BODY_APP_UUID "0c9f8a52-6f0e-4b57-9d67-6d0f3b8f5a11"
#define BODY_APP_NAME "moonpost sim"

/* The only user, whose name is on what people do. */
#define BODY_USER_ID 1
#define BODY_USER_NAME "Ada"
#define BODY_USER_EMAIL "ada@example.com"

/* Write an installation; with its unused code where ${with_code}. */
void body_put_install(
    struct jwrite *w, const struct install *install, int with_code);

/* Deliver installation.${action} to the installation's webhook, if it has one.
 */
void body_send_install(
    struct sim *sim, const struct install *install, const char *action);

/**
 * body_sample(sim, event, install, set, out, err):
 * Append a delivery's body for ${event} ("issue.created"): the catalogue's
 * sample, with the UUID of ${install} unless it is NULL, and changed as the
 * object ${set} (NULL: none) says: a value for each dotted path.
 *
 * Errors:    ERR_NOT_FOUND    no such event;
 *            ERR_INVALID      a path of ${set} leads nowhere.
 */
int body_sample(const struct sim *sim, const char *event,
    const struct install *install, const struct jval *set, struct buf *out,
    struct err *err) ATTR_MUSTCHECK;

/**
 * body_set(body, path, json):
 * Replace what is at a dotted path of the JSON text ${body}, where there can be
 * something; ${json} is emptied.
 */
void body_set(struct buf *body, struct str path, struct buf *json);

#endif /* !SIM_BODY_H_ */
