#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/form.h"
#include "base/mem.h"
#include "crypto/base64.h"
#include "json/jwrite.h"

#include "sim/body.h"
#include "sim/installs.h"
#include "sim/sim_internal.h"
#include "sim/users.h"

#define DEVICE_GRANT "urn:ietf:params:oauth:grant-type:device_code"

/* ---- /oauth/authorize/ ----------------------------------------------------
 */

/* Send the browser back, with an error or (NULL) with the code. */
static void
redirect(struct sim_call *call, const char *uri, const char *state,
    const char *error, const char *code)
{
	struct buf to = BUF_INIT, none = BUF_INIT;

	buf_puts(&to, uri);
	buf_putc(&to, strchr(uri, '?') == NULL ? '?' : '&');
	form_put(&to, "error", error);
	form_put(&to, "code", code);
	form_put(&to, "state", state);
	sim_header(call, "Location", "%s", to.data);
	buf_free(&to);
	sim_reply(call, 302, &none);
}

static int
is_redirect(const char *uri)
{
	if (uri == NULL || strpbrk(uri, "#\r\n\t ") != NULL ||
	    strlen(uri) > 500)
		return 0;
	return strncmp(uri, "http://", 7) == 0 ||
	       strncmp(uri, "https://", 8) == 0;
}

/* What is wrong with a request whose client and redirect are known, or NULL. */
static const char *
check_authorize(struct sim *sim, struct str query)
{
	char *type = form_get(query, "response_type"),
	     *scope = form_get(query, "scope"),
	     *challenge = form_get(query, "code_challenge"),
	     *method = form_get(query, "code_challenge_method");
	const char *error = NULL;

	if (type == NULL || strcmp(type, "code") != 0)
		error = "unsupported_response_type";
	else if (!users_scope_is_known(str_of(scope)))
		error = "invalid_scope";
	else if (challenge != NULL &&
		 (!users_is_challenge(str_of(challenge)) || method == NULL ||
		     strcmp(method, "S256") != 0))
		error = "invalid_request";
	else if (sim->refusals > 0) {
		sim->refusals--;
		error = "access_denied";
	}
	free(type);
	free(scope);
	free(challenge);
	free(method);
	return error;
}

static void
authorize(struct sim_call *call)
{
	struct sim *sim = call->sim;
	struct str query = httpd_query(call->req);
	char *id = form_get(query, "client_id"),
	     *uri = form_get(query, "redirect_uri"),
	     *state = form_get(query, "state"),
	     *scope = form_get(query, "scope"),
	     *challenge = form_get(query, "code_challenge");
	const char *error;

	/* To an address that is not known, nobody is sent. */
	if (id == NULL || strcmp(id, sim->options.client_id) != 0)
		sim_reply_oauth_error(call, 400, "unauthorized_client");
	else if (!is_redirect(uri))
		sim_reply_oauth_error(call, 400, "invalid_request");
	else if ((error = check_authorize(sim, query)) != NULL)
		redirect(call, uri, state, error, NULL);
	else
		redirect(call, uri, state, NULL,
		    users_add_code(sim->users, uri, scope == NULL ? "" : scope,
			challenge, call->now_unix_ms));
	free(id);
	free(uri);
	free(state);
	free(scope);
	free(challenge);
}

/* ---- who asks: /oauth/token/, /oauth/device/code/ -------------------------
 */

enum client {
	CLIENT_KNOWN,
	CLIENT_UNKNOWN,   /* 401 invalid_client */
	CLIENT_AMBIGUOUS, /* 400 invalid_request: twice over. */
};

/* The id and the secret of HTTP Basic, or NULLs. */
static void
read_basic(const struct sim_call *call, char **ret_id, char **ret_secret)
{
	const char *text = httpd_header(call->req, "Authorization");
	struct buf pair = BUF_INIT, part = BUF_INIT;
	const char *colon;

	if (text == NULL || strncasecmp(text, "Basic ", 6) != 0 ||
	    base64_decode(
		&pair, BASE64_STANDARD, text + 6, strlen(text + 6), NULL) == -1)
		goto out;
	colon = memchr(buf_text(&pair), ':', pair.len);
	if (colon == NULL)
		goto out;
	/* Both are form-encoded there (RFC 6749, 2.3.1). */
	if (form_decode((struct str){pair.data, (size_t)(colon - pair.data)}, 1,
		&part) == -1)
		goto out;
	*ret_id = buf_take(&part);
	if (form_decode((struct str){colon + 1,
			    pair.len - (size_t)(colon + 1 - pair.data)},
		1, &part) == -1)
		goto out;
	*ret_secret = buf_take(&part);

out:
	buf_free(&pair);
	buf_free(&part);
}

/*
 * Who the client is.  Without a secret it counts as a public one, which Sentry
 * knows to be one by its registration.
 */
static enum client
find_client(const struct sim_call *call, struct str form)
{
	char *id = form_get(form, "client_id"),
	     *secret = form_get(form, "client_secret"), *basic_id = NULL,
	     *basic_secret = NULL;
	enum client client = CLIENT_UNKNOWN;

	read_basic(call, &basic_id, &basic_secret);
	if (basic_id != NULL && secret != NULL) {
		client = CLIENT_AMBIGUOUS;
	} else {
		if (basic_id != NULL) {
			free(id);
			id = basic_id;
			secret = basic_secret;
			basic_id = basic_secret = NULL;
		}
		if (id != NULL &&
		    strcmp(id, call->sim->options.client_id) == 0 &&
		    (secret == NULL || installs_is_client(call->sim->installs,
					   str_of(id), str_of(secret))))
			client = CLIENT_KNOWN;
	}
	free(id);
	free(secret);
	free(basic_id);
	free(basic_secret);
	return client;
}

/* The form of a request from a client that is known; data NULL if ${call} was
 * answered. */
static struct str
read_form(struct sim_call *call)
{
	struct str form = httpd_body(call->req);
	enum client client;

	/* Anything else has no fields. */
	if (!sim_has_type(call, "application/x-www-form-urlencoded") ||
	    form.data == NULL)
		form = STR("");
	client = find_client(call, form);
	if (client == CLIENT_KNOWN)
		return form;
	if (client == CLIENT_AMBIGUOUS) {
		sim_reply_oauth_error(call, 400, "invalid_request");
	} else {
		sim_header(
		    call, "WWW-Authenticate", "%s", "Basic realm=\"oauth\"");
		sim_reply_oauth_error(call, 401, "invalid_client");
	}
	return (struct str){NULL, 0};
}

/* ---- /oauth/token/ --------------------------------------------------------
 */

static void
reply_token(struct sim_call *call, const struct users_token *token)
{
	struct buf json = BUF_INIT;
	struct jwrite w = jwrite_begin(&json, 0);
	char *id = mem_printf("%d", BODY_USER_ID);

	jwrite_object(&w);
	jwrite_member_text(&w, "access_token", token->access);
	jwrite_member_text(&w, "refresh_token", token->refresh);
	jwrite_member_int(
	    &w, "expires_in", (int64_t)users_token_s(call->sim->users));
	jwrite_key(&w, "expires_at");
	jwrite_time(&w, token->until_unix_ms);
	jwrite_member_text(&w, "token_type", "Bearer");
	jwrite_member_text(&w, "scope", token->scope);
	jwrite_key(&w, "user");
	jwrite_object(&w);
	jwrite_member_text(&w, "id", id);
	jwrite_member_text(&w, "name", BODY_USER_NAME);
	jwrite_member_text(&w, "email", BODY_USER_EMAIL);
	jwrite_object_end(&w);
	jwrite_object_end(&w);
	free(id);
	sim_header(call, "Cache-Control", "%s", "no-store");
	sim_reply(call, 200, &json);
}

/* The grant that a form asks for.  Returns NULL, or the error. */
static const char *
grant(struct sim_call *call, struct str form, const struct users_token **ret)
{
	struct users *users = call->sim->users;
	char *type = form_get(form, "grant_type"), *text = NULL,
	     *uri = form_get(form, "redirect_uri"),
	     *verifier = form_get(form, "code_verifier"),
	     *scope = form_get(form, "scope");
	const char *error = "invalid_request";

	if (type == NULL)
		goto out;
	if (strcmp(type, "authorization_code") == 0) {
		text = form_get(form, "code");
		if (text != NULL)
			error = users_redeem_code(users, str_of(text), uri,
			    verifier, call->now_unix_ms, ret);
	} else if (strcmp(type, "refresh_token") == 0) {
		text = form_get(form, "refresh_token");
		if (text != NULL && scope == NULL)
			error = users_refresh(
			    users, str_of(text), call->now_unix_ms, ret);
	} else if (strcmp(type, DEVICE_GRANT) == 0) {
		text = form_get(form, "device_code");
		if (text != NULL)
			error = users_poll(
			    users, str_of(text), call->now_unix_ms, ret);
	} else {
		error = "unsupported_grant_type";
	}

out:
	free(type);
	free(text);
	free(uri);
	free(verifier);
	free(scope);
	return error;
}

static void
token(struct sim_call *call)
{
	struct str form = read_form(call);
	const struct users_token *given = NULL;
	const char *error;

	if (form.data == NULL)
		return;
	error = grant(call, form, &given);
	if (error != NULL)
		sim_reply_oauth_error(call, 400, error);
	else
		reply_token(call, given);
}

/* ---- /oauth/device/ -------------------------------------------------------
 */

static void
device_code(struct sim_call *call)
{
	struct sim *sim = call->sim;
	struct str form = read_form(call);
	const struct users_device *device;
	struct buf json = BUF_INIT;
	struct jwrite w = jwrite_begin(&json, 0);
	char *scope, *uri;

	if (form.data == NULL)
		return;
	scope = form_get(form, "scope");
	jwrite_object(&w);
	if (!users_scope_is_known(str_of(scope))) {
		jwrite_member_text(&w, "error", "invalid_scope");
		jwrite_member_text(&w, "error_description",
		    "The requested scope is invalid, unknown, or malformed.");
		jwrite_object_end(&w);
		free(scope);
		sim_reply(call, 400, &json);
		return;
	}
	device = users_add_device(
	    sim->users, scope == NULL ? "" : scope, call->now_unix_ms);
	jwrite_member_text(&w, "device_code", device->device_code);
	jwrite_member_text(&w, "user_code", device->user_code);
	uri = mem_printf("%s/oauth/device/", sim->options.url);
	jwrite_member_text(&w, "verification_uri", uri);
	free(uri);
	uri = mem_printf("%s/oauth/device/?user_code=%s", sim->options.url,
	    device->user_code);
	jwrite_member_text(&w, "verification_uri_complete", uri);
	free(uri);
	jwrite_member_int(
	    &w, "expires_in", (int64_t)users_device_s(sim->users));
	jwrite_member_int(
	    &w, "interval", (int64_t)users_interval_s(sim->users));
	jwrite_object_end(&w);
	free(scope);
	sim_header(call, "Cache-Control", "%s", "no-store");
	sim_reply(call, 200, &json);
}

/* The page on which a person enters a code, and what became of it. */
static void
reply_page(
    struct sim_call *call, int status, const char *code, const char *text)
{
	struct buf page = BUF_INIT;

	buf_printf(&page,
	    "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
	    "<title>moonpost sim</title>\n<h1>Authorize a device</h1>\n"
	    "<p>%s</p>\n<form method=\"post\" action=\"/oauth/device/\">\n"
	    "<input name=\"user_code\" value=\"%s\" placeholder=\"XXXX-XXXX\" "
	    "aria-label=\"code\" required>\n"
	    "<button name=\"action\" value=\"approve\">Approve</button>\n"
	    "<button name=\"action\" value=\"deny\">Deny</button>\n</form>\n",
	    text, code);
	sim_header(call, "Content-Type", "%s", "text/html; charset=utf-8");
	sim_reply(call, status, &page);
}

/* A copy of a code without what could be markup. */
static char *
plain_code(char *code)
{
	char *to = code, *from;

	for (from = code; from != NULL && *from != '\0'; from++) {
		if (isalnum((unsigned char)*from) || *from == '-')
			*to++ = *from;
	}
	if (code == NULL)
		return mem_strdup("");
	*to = '\0';
	return code;
}

static void
device_page(struct sim_call *call)
{
	char *code = plain_code(form_get(httpd_query(call->req), "user_code"));

	reply_page(call, 200, code,
	    "A program wants to act for you. Is this the code that it shows?");
	free(code);
}

static void
device_decide(struct sim_call *call)
{
	struct str form = httpd_body(call->req);
	char *code = plain_code(form_get(form, "user_code")),
	     *action = form_get(form, "action");
	int approve = action != NULL && strcmp(action, "approve") == 0;

	if (users_decide(call->sim->users, str_of(code),
		approve ? USERS_APPROVE : USERS_DENY) == -1)
		reply_page(call, 400, code, "No device waits with this code.");
	else
		reply_page(call, 200, "",
		    approve ? "Approved. You can close this page."
			    : "Denied. You can close this page.");
	free(code);
	free(action);
}

const struct sim_route sim_oauth_routes[] = {
    {HTTPD_GET, "/oauth/device/", device_page},
    {HTTPD_POST, "/oauth/device/", device_decide},
    {HTTPD_GET, "/oauth/authorize/", authorize},
    {HTTPD_POST, "/oauth/token/", token},
    {HTTPD_POST, "/oauth/device/code/", device_code},
    {HTTPD_GET, NULL, NULL},
};
