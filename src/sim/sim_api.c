#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/mem.h"
#include "json/jwrite.h"

#include "sim/body.h"
#include "sim/installs.h"
#include "sim/sim_internal.h"
#include "sim/users.h"

/* ---- who asks -------------------------------------------------------------
 */

int
sim_authenticate(struct sim_call *call)
{
	struct sim *sim = call->sim;
	struct str token = sim_bearer(call);
	struct installs_refusal refusal;
	const char *wrong;

	if (token.data == NULL) {
		sim_reply_detail(
		    call, 401, "Authentication credentials were not provided.");
		return -1;
	}
	if (installs_authenticate(sim->installs, token, call->now_unix_ms,
		&call->install, &refusal) == 0)
		return 0;
	wrong = users_authenticate(sim->users, token, call->now_unix_ms);
	if (wrong == NULL)
		return 0;
	/* Of two refusals the one that knows the token. */
	sim_reply_detail(call, 401,
	    strcmp(refusal.detail, "Token expired") == 0 ? refusal.detail
							 : wrong);
	return -1;
}

/* The installation that the path names, NULL if there is none and ${call} was
 * answered. */
static struct install *
path_install(struct sim_call *call)
{
	struct install *install =
	    installs_find(call->sim->installs, call->part[0]);

	if (install == NULL)
		sim_reply_detail(
		    call, 404, "The requested resource does not exist");
	return install;
}

struct install *
sim_own_install(struct sim_call *call)
{
	struct install *install;

	if (sim_authenticate(call) == -1)
		return NULL;
	install = path_install(call);
	if (install != NULL && call->install != install) {
		sim_reply_detail(call, 403,
		    "You do not have permission to perform this action.");
		return NULL;
	}
	return install;
}

const struct jval *
sim_read_body(struct sim_call *call)
{
	struct str body = httpd_body(call->req);
	const char *type = httpd_header(call->req, "Content-Type");
	struct err err = ERR_INIT;
	char *text;

	if (!sim_has_type(call, "application/json")) {
		text = mem_printf("Unsupported media type \"%.100s\" in "
				  "request.",
		    type == NULL ? "" : type);
		sim_reply_detail(call, 415, text);
		free(text);
		return NULL;
	}
	if (jdoc_parse(&call->doc, body.data, body.len, NULL, &err) == -1) {
		text = mem_printf("JSON parse error - %s", err.msg);
		sim_reply_detail(call, 400, text);
		free(text);
		return NULL;
	}
	if (jval_kind(jdoc_root(&call->doc)) != JDOC_OBJECT) {
		sim_reply_detail(call, 400, "Invalid request");
		return NULL;
	}
	return jdoc_root(&call->doc);
}

int
sim_require(struct sim_call *call, const struct jval *body,
    const char *const *names, size_t n)
{
	struct buf json = BUF_INIT;
	struct jwrite w = jwrite_begin(&json, 0);
	size_t i, missing = 0;

	jwrite_object(&w);
	for (i = 0; i < n; i++) {
		if (jdoc_get_str(body, names[i]).len > 0)
			continue;
		jwrite_key(&w, names[i]);
		jwrite_array(&w);
		jwrite_text(&w, "This field is required.");
		jwrite_array_end(&w);
		missing++;
	}
	jwrite_object_end(&w);
	if (missing > 0) {
		sim_reply(call, 400, &json);
		return -1;
	}
	buf_free(&json);
	return 0;
}

/* ---- installations --------------------------------------------------------
 */

static void
reply_token(struct sim_call *call, const struct install *install)
{
	struct buf json = BUF_INIT;
	struct jwrite w = jwrite_begin(&json, 0);
	char *id = mem_printf("%llu", (unsigned long long)install->token_id);

	jwrite_object(&w);
	jwrite_member_text(&w, "id", id);
	jwrite_member_text(&w, "token", install->token);
	jwrite_member_text(&w, "refreshToken", install->refresh);
	jwrite_key(&w, "dateCreated");
	jwrite_time(&w, install->token_created_unix_ms);
	jwrite_key(&w, "expiresAt");
	jwrite_time(&w, install->token_until_unix_ms);
	jwrite_key(&w, "state");
	jwrite_null(&w);
	jwrite_key(&w, "application");
	jwrite_null(&w);
	jwrite_object_end(&w);
	free(id);
	sim_reply(call, 201, &json);
}

/* The two grants for which the client shows its secret. */
static void
grant_by_secret(struct sim_call *call, struct install *install,
    const struct jval *body, int is_refresh)
{
	const char *names[] = {is_refresh ? "refresh_token" : "code"};
	struct installs *installs = call->sim->installs;
	struct installs_refusal refusal;
	int rc;

	if (!installs_is_client(installs, jdoc_get_str(body, "client_id"),
		jdoc_get_str(body, "client_secret"))) {
		sim_reply_detail(call, 401, "Invalid Client ID / Secret pair");
		return;
	}
	if (sim_require(call, body, names, 1) == -1)
		return;
	if (is_refresh)
		rc = installs_refresh(installs, install,
		    jdoc_get_str(body, names[0]), call->now_unix_ms, &refusal);
	else
		rc = installs_exchange(installs, install,
		    jdoc_get_str(body, names[0]), call->now_unix_ms, &refusal);
	if (rc == -1)
		sim_reply_detail(call, refusal.status, refusal.detail);
	else
		reply_token(call, install);
}

static void
authorizations(struct sim_call *call)
{
	static const char *const names[] = {"grant_type"};
	struct install *install = path_install(call);
	struct installs_refusal refusal;
	const struct jval *body;
	struct str grant, jwt;

	if (install == NULL || (body = sim_read_body(call)) == NULL ||
	    sim_require(call, body, names, 1) == -1)
		return;
	grant = jdoc_get_str(body, "grant_type");
	if (str_eq(grant, STR("authorization_code"))) {
		grant_by_secret(call, install, body, 0);
	} else if (str_eq(grant, STR("refresh_token"))) {
		grant_by_secret(call, install, body, 1);
	} else if (str_eq(grant,
		       STR("urn:sentry:params:oauth:grant-type:jwt-bearer"))) {
		jwt = sim_bearer(call);
		if (jwt.data == NULL)
			sim_reply_detail(call, 401,
			    "Authentication credentials were not provided.");
		else if (installs_refresh_jwt(call->sim->installs, install, jwt,
			     call->now_unix_ms, &refusal) == -1)
			sim_reply_detail(call, refusal.status, refusal.detail);
		else
			reply_token(call, install);
	} else {
		sim_reply_detail(call, 403, "Invalid grant_type");
	}
}

static void
reply_install(struct sim_call *call, const struct install *install)
{
	struct buf json = BUF_INIT;
	struct jwrite w = jwrite_begin(&json, 0);

	body_put_install(&w, install, 0);
	sim_reply(call, 200, &json);
}

static void
get_install(struct sim_call *call)
{
	struct install *install = sim_own_install(call);

	if (install != NULL)
		reply_install(call, install);
}

static void
verify_install(struct sim_call *call)
{
	struct install *install = sim_own_install(call);
	struct buf json = BUF_INIT;
	const struct jval *body;

	if (install == NULL || (body = sim_read_body(call)) == NULL)
		return;
	if (!str_eq(jdoc_get_str(body, "status"), STR("installed"))) {
		buf_puts(&json,
		    "{\"status\":[\"Invalid value for status. Valid values: "
		    "['installed']\"]}");
		sim_reply(call, 400, &json);
		return;
	}
	install->installed = 1;
	reply_install(call, install);
}

static void
delete_install(struct sim_call *call)
{
	struct install *install = sim_own_install(call);
	struct buf none = BUF_INIT;

	if (install == NULL)
		return;
	body_send_install(call->sim, install, "deleted");
	installs_remove(call->sim->installs, install);
	call->install = NULL;
	sim_reply(call, 204, &none);
}

const struct sim_route sim_api_routes[] = {
    {HTTPD_POST, "/api/0/sentry-app-installations/*/authorizations/",
	authorizations},
    {HTTPD_GET, "/api/0/sentry-app-installations/*/", get_install},
    {HTTPD_PUT, "/api/0/sentry-app-installations/*/", verify_install},
    {HTTPD_DELETE, "/api/0/sentry-app-installations/*/", delete_install},
    {HTTPD_GET, NULL, NULL},
};
