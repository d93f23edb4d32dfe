/*
 * moonpost login, token, logout: a person's token of Sentry.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "crypto/seal.h"
#include "net/proxy.h"
#include "json/jwrite.h"

#include "config/config.h"
#include "config/option.h"
#include "sentry/login.h"
#include "sentry/login_file.h"

#include "cli/cmd.h"
#include "cli/login_flow.h"

/* The keys that the token is kept under; with ${make}, a new one if there is
 * none yet. */
static int
open_seal(
    const struct config *config, int make, struct seal **ret, struct err *err)
{
	return seal_open((const char *const *)config->keys.items,
	    config->keys.n, config->data, make, ret, err);
}

/* ---- login ----------------------------------------------------------------
 */

static void
tell_login(const struct config *config, const struct login *login)
{
	struct buf out = BUF_INIT;
	struct jwrite w = jwrite_begin(&out, 0);

	if (config->json) {
		jwrite_object(&w);
		jwrite_member_text(&w, "status", "logged_in");
		jwrite_member_text(&w, "user", login->who);
		jwrite_member_text(&w, "scope", login->scope);
		jwrite_key(&w, "expires_at");
		jwrite_time(&w, login->expires_unix_ms);
		jwrite_object_end(&w);
		buf_putc(&out, '\n');
	} else {
		buf_puts(&out, "Logged in");
		if (login->who != NULL) {
			buf_puts(&out, " as ");
			str_put_visible(&out, str_of(login->who));
		}
		buf_printf(&out,
		    ".  The token is kept encrypted in %s/" LOGIN_FILE
		    "; 'moonpost token' prints it.\n",
		    config->data);
	}
	cmd_flush(stdout, &out);
}

static int
keep(const struct config *config, const struct seal *seal,
    const struct login *login)
{
	struct err err = ERR_INIT;
	int lock, rc;

	if (login_file_lock(config->data, &lock, &err) == -1)
		return cmd_fail(CMD_UNREACHABLE, &err);
	rc = login_file_save(config->data, seal, login, &err);
	(void)close(lock);
	return rc == 0 ? CMD_GOOD : cmd_fail(CMD_UNREACHABLE, &err);
}

static int
find_proxy(
    const struct config *config, struct proxy **ret_proxy, struct err *err)
{
	return proxy_parse(config->proxy, ret_proxy, err) == -1
		   ? err_prefix(err, "--proxy")
		   : 0;
}

static int
run_login(const struct cmd_call *call)
{
	const struct config *config = call->config;
	struct login_flow flow = {
	    .sentry_url = config->integrations[0].sentry_url,
	    .client_id = config->client_id,
	    .scope = config->scope,
	    .json = config->json,
	};
	struct seal *seal = NULL;
	struct proxy *proxy = NULL;
	struct err err = ERR_INIT;
	int status;

	if (flow.client_id == NULL)
		return cmd_misuse(call,
		    "set SENTRY_CLIENT_ID to the client id of an OAuth "
		    "application of Sentry's (a public one, without a secret)");
	/* What would fail at the end fails before anybody is asked. */
	if (find_proxy(config, &proxy, &err) == -1 ||
	    file_make_dir(config->data, 0700, &err) == -1 ||
	    open_seal(config, 1, &seal, &err) == -1) {
		proxy_free(proxy);
		return cmd_fail(
		    err.code == ERR_INVALID ? CMD_USAGE : CMD_UNREACHABLE,
		    &err);
	}
	flow.proxy = proxy;
	status =
	    config->pkce ? login_flow_browser(&flow) : login_flow_device(&flow);
	if (status == CMD_GOOD) {
		flow.login.sentry_url = mem_strdup(flow.sentry_url);
		flow.login.client_id = mem_strdup(flow.client_id);
		status = keep(config, seal, &flow.login);
	}
	if (status == CMD_GOOD)
		tell_login(config, &flow.login);
	login_clear(&flow.login);
	seal_free(seal);
	proxy_free(proxy);
	return status;
}

/* ---- token ----------------------------------------------------------------
 */

/* Ask for another token.  Returns 0, or -1 and why not. */
static int
refresh(const struct config *config, const struct seal *seal,
    struct login *login, struct err *err)
{
	struct httpc_answer answer;
	enum login_outcome outcome;
	struct buf form = BUF_INIT;
	struct proxy *proxy;
	int rc;

	if (login->refresh == NULL)
		return err_set(err, ERR_NOT_FOUND,
		    "the token has expired, and cannot be refreshed: 'moonpost "
		    "login' makes another");
	if (find_proxy(config, &proxy, err) == -1)
		return -1;
	login_put_refresh(&form, login->client_id, login->refresh);
	rc = login_flow_post(
	    login->sentry_url, "/oauth/token/", proxy, &form, &answer, err);
	proxy_free(proxy);
	if (rc == -1)
		return -1;
	outcome = login_read_token(answer.status,
	    (struct str){buf_text(&answer.body), answer.body.len},
	    clock_unix_ms(), login, err);
	login_flow_forget(&answer);
	if (outcome == LOGIN_GOOD)
		return login_file_save(config->data, seal, login, err);
	if (outcome != LOGIN_LATER)
		(void)err_set(err, ERR_NOT_FOUND,
		    "the login has ended: Sentry refuses to refresh it; "
		    "'moonpost login' begins another");
	return -1;
}

/* The exit status for a token that is not to be had. */
static int
fail_token(const struct err *err)
{
	return cmd_fail(err->code == ERR_NOT_FOUND ||
				err->code == ERR_INVALID ||
				err->code == ERR_UNAUTH
			    ? CMD_BAD
			    : CMD_UNREACHABLE,
	    err);
}

/* Have a token that is due refreshed, by one of all who find it so. */
static int
refresh_once(
    const struct config *config, const struct seal *seal, struct login *login)
{
	struct login newer = {0};
	struct err err = ERR_INIT;
	int lock, rc;

	if (login_file_lock(config->data, &lock, &err) == -1)
		return fail_token(&err);
	/* Somebody else may have done it while we waited. */
	rc = login_file_load(config->data, seal, &newer, &err);
	if (rc == 0) {
		login_clear(login);
		*login = newer;
		if (login_is_due(login, clock_unix_ms()))
			rc = refresh(config, seal, login, &err);
	}
	(void)close(lock);
	if (rc == 0)
		return CMD_GOOD;
	if (login_is_over(login, clock_unix_ms()))
		return fail_token(&err);
	/* What is good for a while yet is better than nothing. */
	(void)err_prefix(&err, "the token could not be refreshed yet");
	return cmd_fail(CMD_GOOD, &err);
}

static void
print_token(const struct config *config, const struct login *login)
{
	struct buf out = BUF_INIT;
	struct jwrite w = jwrite_begin(&out, 2);

	if (!config->json) {
		(void)puts(login->access);
		return;
	}
	jwrite_object(&w);
	jwrite_member_text(&w, "access_token", login->access);
	jwrite_key(&w, "expires_at");
	jwrite_time(&w, login->expires_unix_ms);
	jwrite_object_end(&w);
	buf_putc(&out, '\n');
	cmd_flush(stdout, &out);
}

/* A token is shown for the server that was asked for, and for no other. */
static int
check_server(const struct config *config, const struct login *login)
{
	const char *url = config->integrations[0].sentry_url;
	struct err err = ERR_INIT;

	if (config_source(config, option_find_key("sentry-url")) ==
		CONFIG_DEFAULT ||
	    strcmp(url, login->sentry_url) == 0)
		return CMD_GOOD;
	(void)err_set(&err, ERR_NOT_FOUND,
	    "the login is one of %.150s, not of %.150s: unset SENTRY_URL, or "
	    "log in there",
	    login->sentry_url, url);
	return cmd_fail(CMD_BAD, &err);
}

static int
run_token(const struct cmd_call *call)
{
	const struct config *config = call->config;
	struct login login = {0};
	struct seal *seal = NULL;
	struct err err = ERR_INIT;
	int status;

	if (open_seal(config, 0, &seal, &err) == -1) {
		if (err.code == ERR_NOT_FOUND)
			(void)err_set(&err, ERR_NOT_FOUND,
			    "nobody is logged in: 'moonpost login' comes "
			    "first");
		return cmd_fail(err.code == ERR_NOT_FOUND ? CMD_BAD
				: err.code == ERR_INVALID ? CMD_USAGE
							  : CMD_UNREACHABLE,
		    &err);
	}
	if (login_file_load(config->data, seal, &login, &err) == -1)
		status = fail_token(&err);
	else
		status = check_server(config, &login);
	if (status == CMD_GOOD && login_is_due(&login, clock_unix_ms()))
		status = refresh_once(config, seal, &login);
	if (status == CMD_GOOD)
		print_token(config, &login);
	login_clear(&login);
	seal_free(seal);
	return status;
}

/* ---- logout ---------------------------------------------------------------
 */

static int
run_logout(const struct cmd_call *call)
{
	const char *data = call->config->data;
	struct err err = ERR_INIT;
	int lock = -1, was_there = 0, rc = 0;

	/* Where there is no folder, there is nothing to lock. */
	if (access(data, F_OK) == 0)
		rc = login_file_lock(data, &lock, &err);
	if (rc == 0)
		rc = login_file_remove(data, &was_there, &err);
	if (lock != -1)
		(void)close(lock);
	if (rc == -1)
		return cmd_fail(CMD_UNREACHABLE, &err);
	(void)puts(was_there ? "Logged out.  The token is gone from here; at "
			       "Sentry it is good until it expires."
			     : "Nobody was logged in.");
	return CMD_GOOD;
}

const struct cmd_entry cmd_login = {
    .name = "login",
    .usage = "[options]",
    .help = "get a token of Sentry's for yourself",
    .about =
	"Log in to Sentry from a terminal or in CI: show a code and the "
	"address where it is entered, in any browser on any machine, and wait "
	"until that was done. With --pkce, send the browser of this machine "
	"instead, and take its answer on a free port.\n\n"
	"The client is the OAuth application of SENTRY_CLIENT_ID, a public one "
	"without a secret; SENTRY_URL names another Sentry than sentry.io. The "
	"token is kept encrypted in the data folder, is refreshed when it is "
	"due, and is printed by 'moonpost token' alone.\n\n"
	"Exit status: 0 logged in, 1 denied or expired, 2 wrong usage or "
	"client "
	"id, 3 Sentry cannot be reached.",
    .examples = "SENTRY_CLIENT_ID=... moonpost login\n"
		"moonpost login --pkce --scope 'org:read event:read'",
    .options = OPTION_FOR_LOGIN,
    .run = run_login,
};

const struct cmd_entry cmd_token = {
    .name = "token",
    .usage = "[options]",
    .help = "print the token of 'moonpost login'",
    .about =
	"Print the access token alone, for another program: refreshed first "
	"where it is about to expire, once however many ask for it at a time. "
	"With --json, an object with access_token and expires_at.\n\n"
	"Exit status: 0 it was printed, 1 nobody is logged in or the login has "
	"ended, 2 wrong usage, 3 Sentry or the data folder cannot be reached.",
    .examples = "curl -H \"Authorization: Bearer $(moonpost token)\" "
		"https://sentry.io/api/0/organizations/",
    .options = OPTION_FOR_TOKEN,
    .run = run_token,
};

const struct cmd_entry cmd_logout = {
    .name = "logout",
    .usage = "[options]",
    .help = "forget the token of 'moonpost login'",
    .about = "Remove the token from the data folder.\n\n"
	     "Exit status: 0 it is gone, 2 wrong usage, 3 it cannot be "
	     "removed.",
    .options = OPTION_FOR_LOGOUT,
    .run = run_logout,
};
