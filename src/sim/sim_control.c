#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/form.h"
#include "base/mem.h"
#include "json/jwrite.h"

#include "sim/body.h"
#include "sim/calls.h"
#include "sim/installs.h"
#include "sim/issues.h"
#include "sim/sender.h"
#include "sim/sim_internal.h"
#include "sim/users.h"

#define DEFAULT_ORG "example"

static int
is_url(const char *s)
{
	return strpbrk(s, "\r\n\t ") == NULL &&
	       (strncmp(s, "http://", 7) == 0 ||
		   strncmp(s, "https://", 8) == 0);
}

int
sim_get_url(struct sim_call *call, const struct jval *body, const char *name,
    char **ret)
{
	if (sim_get_text(call, body, name, ret) == -1)
		return -1;
	if (*ret != NULL && !is_url(*ret)) {
		sim_reply_misuse(call, "%s must be an http or https URL", name);
		return -1;
	}
	return 0;
}

static int
is_slug(const char *s)
{
	return s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-_")] == '\0';
}

static void
reply_done(struct sim_call *call)
{
	struct buf json = BUF_INIT;

	buf_puts(&json, "{\"status\":\"done\"}");
	sim_reply(call, 200, &json);
}

struct install *
sim_get_install(struct sim_call *call, const struct jval *body)
{
	struct installs *installs = call->sim->installs;
	struct install *install = NULL;
	char *uuid = NULL;

	if (sim_get_text(call, body, "installation", &uuid) == -1)
		return NULL;
	install = uuid == NULL ? installs_newest(installs)
			       : installs_find(installs, str_of(uuid));
	if (install == NULL && uuid != NULL)
		sim_reply_misuse(
		    call, "there is no installation '%.60s'", uuid);
	else if (install == NULL)
		sim_reply_misuse(call,
		    "nothing is installed yet: POST /sim/install comes first");
	free(uuid);
	return install;
}

/* ---- /sim/install, /sim/expire --------------------------------------------
 */

static void
install(struct sim_call *call)
{
	static const char *const names[] = {
	    "org", "published", "setup", "url", NULL};
	const struct jval *body = sim_read_control(call, names);
	struct buf json = BUF_INIT, to = BUF_INIT;
	struct jwrite w = jwrite_begin(&json, 0);
	const struct install *made;
	char *org = mem_strdup(DEFAULT_ORG), *url = NULL, *setup = NULL;
	int published = 0;

	if (body == NULL || sim_get_text(call, body, "org", &org) == -1 ||
	    sim_get_url(call, body, "url", &url) == -1 ||
	    sim_get_url(call, body, "setup", &setup) == -1 ||
	    sim_get_bool(call, body, "published", &published) == -1)
		goto out;
	if (!is_slug(org)) {
		sim_reply_misuse(call, "org must be a slug: a-z, 0-9, -");
		goto out;
	}
	made = installs_add(
	    call->sim->installs, org, url, published, call->now_unix_ms);
	jwrite_object(&w);
	jwrite_member_text(&w, "installation", made->uuid);
	jwrite_member_text(&w, "code", made->code);
	if (setup != NULL) {
		buf_puts(&to, setup);
		buf_putc(&to, strchr(setup, '?') == NULL ? '?' : '&');
		form_put(&to, "code", made->code);
		form_put(&to, "installationId", made->uuid);
		form_put(&to, "orgSlug", made->org);
		jwrite_member_text(&w, "redirect", to.data);
		buf_free(&to);
	}
	jwrite_object_end(&w);
	body_send_install(call->sim, made, "created");
	sim_reply(call, 200, &json);

out:
	free(org);
	free(url);
	free(setup);
}

static void
expire(struct sim_call *call)
{
	static const char *const names[] = {"installation", "what", NULL};
	const struct jval *body = sim_read_control(call, names);
	struct install *found;
	char *what = mem_strdup("token");

	if (body == NULL || sim_get_text(call, body, "what", &what) == -1)
		goto out;
	if (strcmp(what, "users") == 0) {
		(void)users_expire_all(call->sim->users, call->now_unix_ms);
		reply_done(call);
		goto out;
	}
	if (strcmp(what, "token") != 0 && strcmp(what, "code") != 0) {
		sim_reply_misuse(call, "what must be token, code or users");
		goto out;
	}
	found = sim_get_install(call, body);
	if (found == NULL)
		goto out;
	if (strcmp(what, "token") == 0)
		found->token_until_unix_ms = call->now_unix_ms;
	else
		found->code_until_unix_ms = call->now_unix_ms;
	reply_done(call);

out:
	free(what);
}

/* ---- /sim/device, /sim/deny -----------------------------------------------
 */

static void
device(struct sim_call *call)
{
	static const char *const names[] = {"action", "user_code", NULL};
	static const char *const actions[] = {
	    "approve", "deny", "expire", "slow_down"};
	const struct jval *body = sim_read_control(call, names);
	char *code = NULL, *action = NULL;
	size_t i;

	if (body == NULL ||
	    sim_get_text(call, body, "user_code", &code) == -1 ||
	    sim_get_text(call, body, "action", &action) == -1)
		goto out;
	if (code == NULL) {
		sim_reply_misuse(call, "user_code is missing");
		goto out;
	}
	/* In the order of enum users_decision. */
	for (i = 0; action != NULL && i < NELEMS(actions); i++) {
		if (strcmp(action, actions[i]) == 0)
			break;
	}
	if (action == NULL || i == NELEMS(actions))
		sim_reply_misuse(
		    call, "action must be approve, deny, expire or slow_down");
	else if (users_decide(call->sim->users, str_of(code),
		     (enum users_decision)i) == -1)
		sim_reply_misuse(
		    call, "no device waits with the code '%.20s'", code);
	else
		reply_done(call);

out:
	free(code);
	free(action);
}

static void
deny(struct sim_call *call)
{
	static const char *const names[] = {"count", NULL};
	const struct jval *body = sim_read_control(call, names);
	uint64_t count = 1;

	if (body == NULL ||
	    sim_get_count(call, body, "count", 1000000, &count) == -1)
		return;
	call->sim->refusals = count;
	reply_done(call);
}

/* ---- /sim/fail, /sim/drop -------------------------------------------------
 */

/* Read what both have; 0, or -1 and ${call} was answered. */
static int
get_plan(struct sim_call *call, const struct jval *body, struct sim_plan *plan)
{
	plan->count = 1;
	return sim_get_count(call, body, "count", 1000000, &plan->count) ==
			   -1 ||
		       sim_get_text(call, body, "path", &plan->path) == -1
		   ? -1
		   : 0;
}

static void
replace_plan(struct sim_plan *plan, struct sim_plan *with)
{
	free(plan->path);
	free(plan->body);
	*plan = *with;
	*with = (struct sim_plan){0};
}

static void
fail(struct sim_call *call)
{
	static const char *const names[] = {
	    "after", "body", "count", "path", "status", NULL};
	const struct jval *body = sim_read_control(call, names), *answer;
	struct sim_plan plan = {0};
	struct buf json = BUF_INIT;
	struct jwrite w = jwrite_begin(&json, 0);
	uint64_t status = 500;

	plan.after_s = 1;
	if (body == NULL || get_plan(call, body, &plan) == -1 ||
	    sim_get_count(call, body, "status", 599, &status) == -1 ||
	    sim_get_count(call, body, "after", 86400, &plan.after_s) == -1)
		goto out;
	if (status < 200) {
		sim_reply_misuse(call, "status must be from 200 to 599");
		goto out;
	}
	plan.status = (int)status;
	answer = jdoc_gets(body, "body");
	if (answer != NULL) {
		jwrite_jval(&w, answer);
		plan.body = buf_take(&json);
	}
	replace_plan(&call->sim->fail, &plan);
	reply_done(call);

out:
	free(plan.path);
	free(plan.body);
}

static void
drop(struct sim_call *call)
{
	static const char *const names[] = {"count", "path", NULL};
	const struct jval *body = sim_read_control(call, names);
	struct sim_plan plan = {0};

	if (body != NULL && get_plan(call, body, &plan) == 0) {
		replace_plan(&call->sim->drop, &plan);
		reply_done(call);
	}
	free(plan.path);
}

/* ---- /sim/emit ------------------------------------------------------------
 */

/* The first attempt has ended. */
static void
emitted(void *cookie, const struct sender_attempt *attempt)
{
	struct sim_call *call = cookie;
	struct buf json = BUF_INIT;
	struct jwrite w = jwrite_begin(&json, 0);

	jwrite_object(&w);
	jwrite_member_int(&w, "delivery", (int64_t)attempt->delivery);
	jwrite_member_text(&w, "outcome", attempt->outcome);
	jwrite_member_int(&w, "status", attempt->status);
	if (attempt->error != NULL)
		jwrite_member_text(&w, "error", attempt->error);
	jwrite_object_end(&w);
	sim_reply(call, 200, &json);
}

/* Send ${body} once ${event} and all else is known. */
static void
send_event(struct sim_call *call, const char *event, const char *url,
    int published, struct buf *body)
{
	char *resource = mem_strndup(event, strcspn(event, "."));

	(void)sender_send(
	    call->sim->sender, url, resource, published, body, emitted, call);
	free(resource);
}

static void
emit(struct sim_call *call)
{
	static const char *const names[] = {
	    "event", "installation", "published", "set", "url", NULL};
	const struct jval *body = sim_read_control(call, names), *set;
	struct install *from = NULL;
	struct err err = ERR_INIT;
	struct buf json = BUF_INIT;
	char *event = NULL, *url = NULL;
	int published;

	if (body == NULL || sim_get_text(call, body, "event", &event) == -1 ||
	    sim_get_url(call, body, "url", &url) == -1)
		goto out;
	set = jdoc_gets(body, "set");
	if (event == NULL) {
		sim_reply_misuse(call,
		    "event is missing: \"issue.created\" ('moonpost send "
		    "--list' lists them)");
		goto out;
	}
	if (set != NULL && jval_kind(set) != JDOC_OBJECT) {
		sim_reply_misuse(call, "set must be an object of paths: "
				       "{\"data.issue.level\":\"fatal\"}");
		goto out;
	}
	/* Without one the sample's own installation is as good. */
	if (jdoc_gets(body, "installation") != NULL ||
	    installs_count(call->sim->installs) > 0) {
		from = sim_get_install(call, body);
		if (from == NULL)
			goto out;
	}
	published = from != NULL && from->published;
	if (sim_get_bool(call, body, "published", &published) == -1)
		goto out;
	if (url == NULL && from != NULL)
		url = mem_strdup(from->webhook);
	if (url == NULL)
		sim_reply_misuse(call,
		    "url is missing: the webhook to send to, for example "
		    "http://127.0.0.1:8080/webhook");
	else if (body_sample(call->sim, event, from, set, &json, &err) == -1)
		sim_reply_misuse(call, "%s", err.msg);
	else
		send_event(call, event, url, published, &json);

out:
	buf_free(&json);
	free(event);
	free(url);
}

/* ---- /sim/calls -----------------------------------------------------------
 */

static void
list_calls(struct sim_call *call)
{
	struct buf json = BUF_INIT;
	char *after = form_get(httpd_query(call->req), "after");
	uint64_t n = 0;

	if (after != NULL &&
	    str_parse_u64(str_of(after), INT64_MAX, &n) == -1) {
		sim_reply_misuse(call, "after must be the number of a call");
	} else {
		calls_put(call->sim->calls, n, &json);
		sim_reply(call, 200, &json);
	}
	free(after);
}

/* ---- /sim/issues ----------------------------------------------------------
 */

static void
make_issues(struct sim_call *call)
{
	static const char *const names[] = {"count", "org", NULL};
	const struct jval *body = sim_read_control(call, names);
	char *org = mem_strdup(DEFAULT_ORG);
	uint64_t count = 1;

	if (body != NULL &&
	    sim_get_count(call, body, "count", 1000, &count) == 0 &&
	    sim_get_text(call, body, "org", &org) == 0) {
		issues_make(call->sim->issues, count, str_of(org));
		reply_done(call);
	}
	free(org);
}

static void
forget_calls(struct sim_call *call)
{
	calls_clear(call->sim->calls);
	reply_done(call);
}

/* ---- / --------------------------------------------------------------------
 */

static void
show_routes(struct sim_call *call)
{
	const struct sim_route *route;
	struct buf page = BUF_INIT;

	buf_puts(&page, "moonpost sim, a stand-in for Sentry (docs/sim.md)\n\n"
			"What happens here is said by these, with JSON:\n\n");
	for (route = sim_control_routes; route->path != NULL; route++)
		buf_printf(&page, "  %-6s %s%s\n",
		    route->method == HTTPD_POST  ? "POST"
		    : route->method == HTTPD_GET ? "GET"
						 : "DELETE",
		    call->sim->options.url, route->path);
	sim_header(call, "Content-Type", "%s", "text/plain; charset=utf-8");
	sim_reply(call, 200, &page);
}

const struct sim_route sim_control_routes[] = {
    {HTTPD_POST, "/sim/install", install},
    {HTTPD_POST, "/sim/expire", expire},
    {HTTPD_POST, "/sim/device", device},
    {HTTPD_POST, "/sim/deny", deny},
    {HTTPD_POST, "/sim/fail", fail},
    {HTTPD_POST, "/sim/drop", drop},
    {HTTPD_POST, "/sim/emit", emit},
    {HTTPD_POST, "/sim/ui", sim_ui},
    {HTTPD_POST, "/sim/issues", make_issues},
    {HTTPD_GET, "/sim/calls", list_calls},
    {HTTPD_DELETE, "/sim/calls", forget_calls},
    {HTTPD_GET, "/", show_routes},
    {HTTPD_GET, NULL, NULL},
};
