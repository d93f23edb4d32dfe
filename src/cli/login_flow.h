#ifndef CLI_LOGIN_FLOW_H_
#define CLI_LOGIN_FLOW_H_

/*
 * The two ways to a person's token, each from the first request to the last.
 *
 * Floor: 7 (cli).  May include everything.
 */

#include "base/compiler.h"
#include "net/httpc.h"
#include "sentry/login.h"

struct buf;
struct err;
struct proxy;

struct login_flow {
	const char *sentry_url; /* No slash at its end. */
	const char *client_id;
	const char *scope;
	const struct proxy *proxy; /* NULL: none. */
	int json; /* Say on standard output, as JSON lines, what a person would
		   * be told. */
	struct login login; /* What came of it. */
};

/**
 * login_flow_device(flow):
 * Show a code and where to enter it, and wait until that was done.
 *
 * Returns:   an enum cmd_status; flow->login is filled in if it is CMD_GOOD,
 *            else it was told why not.
 * Ownership: the caller frees flow->login with login_clear().
 */
int login_flow_device(struct login_flow *flow) ATTR_MUSTCHECK;

/* The same with a browser that comes back to a port of this machine. */
int login_flow_browser(struct login_flow *flow) ATTR_MUSTCHECK;

/**
 * login_flow_post(sentry_url, path, proxy, form, ret_answer, err):
 * Post a form, through ${proxy} if it is not NULL, on a connection of its own,
 * and wait for the answer.
 *
 * Errors:    as httpc_call(); the message names the address.
 * Ownership: consumes the content of ${form}, and wipes it.
 */
int login_flow_post(const char *sentry_url, const char *path,
    const struct proxy *proxy, struct buf *form,
    struct httpc_answer *ret_answer, struct err *err) ATTR_MUSTCHECK;

/* Wipe and free an answer that had a token in it. */
void login_flow_forget(struct httpc_answer *answer);

/* The exit status for what a request has failed with. */
int login_flow_status(const struct err *err);

#endif /* !CLI_LOGIN_FLOW_H_ */
