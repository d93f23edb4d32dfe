#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/form.h"
#include "base/mem.h"
#include "crypto/random.h"
#include "crypto/signature.h"
#include "net/fetch.h"
#include "json/jwrite.h"

#include "sim/body.h"
#include "sim/calls.h"
#include "sim/installs.h"
#include "sim/issues.h"
#include "sim/mask.h"
#include "sim/sim_internal.h"

/* What Sentry waits for a component. */
#define TIMEOUT_MS 30000
#define MAX_ANSWER ((size_t)1 << 20)
#define HEADERS 5

#define DEFAULT_PROJECT "example-project"
#define PROJECT_ID 4507318820044800

enum kind {
	KIND_ALERT,   /* alert-rule-action */
	KIND_LINK,    /* issue-link/create, issue-link/link */
	KIND_OPTIONS, /* options/NAME */
	KIND_FRAME,   /* stacktrace-link */
};

/* One request to a component, and who asked for it. */
struct ui {
	struct sim_call *call;
	enum kind kind;
	char *component;
	char *url;   /* The webhook's, then the component's. */
	char *uri;   /* Where another than the usual one is meant. */
	char *query; /* What was typed into a select field. */
	char *project;
	char *filename;
	uint64_t line;
	uint64_t issue_id;
	char uuid[RANDOM_UUID_SIZE]; /* Of the installation, which may be gone
				      * when the answer comes. */
	char *org;
	struct buf body;
	char *headers[HEADERS];
};

void
sim_ui_free(struct ui *ui)
{
	size_t i;

	if (ui == NULL)
		return;
	for (i = 0; i < HEADERS; i++)
		free(ui->headers[i]);
	buf_free(&ui->body);
	free(ui->component);
	free(ui->url);
	free(ui->uri);
	free(ui->query);
	free(ui->project);
	free(ui->org);
	free(ui->filename);
	free(ui);
}

/* ---- the request ----------------------------------------------------------
 */

/* Where the component is: on the webhook's host, beside it where it ends in
 * /webhook.  Only an alert action keeps the webhook's query. */
static char *
make_url(const struct ui *ui)
{
	const char *path = strchr(strstr(ui->url, "//") + 2, '/'),
		   *query = strchr(ui->url, '?');
	size_t host = path == NULL ? strcspn(ui->url, "?")
				   : (size_t)(path - ui->url),
	       before = 0;
	struct buf out = BUF_INIT;

	buf_put(&out, ui->url, host);
	if (ui->uri != NULL) {
		buf_puts(&out, ui->uri);
	} else {
		if (path != NULL)
			before = strcspn(path, "?");
		if (before >= 8 &&
		    memcmp(path + before - 8, "/webhook", 8) == 0)
			buf_put(&out, path, before - 8);
		buf_printf(&out, "/ui/%s", ui->component);
	}
	if (ui->kind == KIND_ALERT && query != NULL)
		buf_puts(&out, query);
	return buf_take(&out);
}

/* "name=value" as Sentry encodes it: a blank is a plus. */
static void
put_parameter(struct buf *out, const char *name, const char *value)
{
	struct buf pair = BUF_INIT;
	size_t i;

	if (value == NULL || value[0] == '\0')
		return;
	form_put(&pair, name, value);
	if (out->len > 0)
		buf_putc(out, '&');
	for (i = 0; i < pair.len; i++) {
		if (strncmp(pair.data + i, "%20", 3) == 0) {
			buf_putc(out, '+');
			i += 2;
		} else {
			buf_putc(out, pair.data[i]);
		}
	}
	buf_free(&pair);
}

/* Put what a GET asks for behind the address. */
static void
put_query(struct ui *ui, const struct jval *settings)
{
	struct buf query = BUF_INIT, json = BUF_INIT;
	struct jwrite w = jwrite_begin(&json, 0);
	char *line = NULL, *url = ui->url;

	put_parameter(&query, "installationId", ui->uuid);
	put_parameter(&query, "projectSlug", ui->project);
	if (ui->kind == KIND_OPTIONS) {
		put_parameter(&query, "query", ui->query);
		if (settings != NULL && settings->len > 0) {
			jwrite_jval(&w, settings);
			put_parameter(&query, "dependentData", json.data);
		}
	} else {
		line = mem_printf("%llu", (unsigned long long)ui->line);
		put_parameter(&query, "filename", ui->filename);
		put_parameter(&query, "lineNo", line);
		free(line);
	}
	ui->url = mem_printf("%s?%s", url, query.data);
	free(url);
	buf_free(&query);
	buf_free(&json);
}

/* {"fields":[{"name":..,"value":..}],"installationId":..} */
static void
put_alert(struct ui *ui, struct jwrite *w, const struct jval *settings)
{
	const struct jval *e;
	size_t i;

	jwrite_key(w, "fields");
	jwrite_array(w);
	if (settings != NULL) {
		for (e = settings + 1, i = 0; i < settings->len;
		     i++, e = jval_next(e + 1)) {
			jwrite_object(w);
			jwrite_key(w, "name");
			jwrite_str(w, jval_str(e));
			jwrite_key(w, "value");
			jwrite_jval(w, e + 1);
			jwrite_object_end(w);
		}
	}
	jwrite_array_end(w);
	jwrite_member_text(w, "installationId", ui->uuid);
}

/* {"fields":{..},"issueId":1,"installationId":..,"webUrl":..,...} */
static void
put_link(struct ui *ui, struct jwrite *w, const struct jval *settings)
{
	const struct sim *sim = ui->call->sim;
	char *web = mem_printf("%s/organizations/%s/issues/%llu/",
	    sim->options.url, ui->org, (unsigned long long)ui->issue_id);

	jwrite_key(w, "fields");
	if (settings != NULL)
		jwrite_jval(w, settings);
	else
		jwrite_raw(w, STR("{}"));
	jwrite_member_int(w, "issueId", (int64_t)ui->issue_id);
	jwrite_member_text(w, "installationId", ui->uuid);
	jwrite_member_text(w, "webUrl", web);
	jwrite_key(w, "project");
	jwrite_object(w);
	jwrite_member_text(w, "slug", ui->project);
	jwrite_member_int(w, "id", PROJECT_ID);
	jwrite_object_end(w);
	jwrite_key(w, "actor");
	jwrite_object(w);
	jwrite_member_text(w, "type", "user");
	jwrite_member_int(w, "id", BODY_USER_ID);
	jwrite_member_text(w, "name", BODY_USER_NAME);
	jwrite_object_end(w);
	free(web);
}

static void
make_headers(struct ui *ui)
{
	char signature[SIGNATURE_HEX + 1], request_id[33];
	char **header = ui->headers;

	random_hex(request_id, 16);
	*header++ = mem_strdup("Accept: */*");
	*header++ = mem_strdup("User-Agent: sentry/moonpost-" MOONPOST_VERSION
			       " (https://sentry.io)");
	/* A browser follows that link, and has nothing to sign with. */
	if (ui->kind == KIND_FRAME)
		return;
	/* Of a GET, the empty body is signed, and not its query. */
	signature_sign(
	    ui->call->sim->key, buf_text(&ui->body), ui->body.len, signature);
	*header++ = mem_strdup("Content-Type: application/json");
	*header++ = mem_printf("Request-ID: %s", request_id);
	*header++ = mem_printf("Sentry-App-Signature: %s", signature);
}

/* ---- the answer -----------------------------------------------------------
 */

static int
has_texts(const struct jval *object, const char *const *names)
{
	for (; *names != NULL; names++) {
		if (jdoc_get_str(object, *names).data == NULL)
			return 0;
	}
	return 1;
}

/* Whether Sentry can use the body of a good answer. */
static int
is_usable(const struct ui *ui, const struct jval *root)
{
	static const char *const link[] = {
	    "webUrl", "identifier", "project", NULL};
	const struct jval *e;
	size_t i;

	if (ui->kind == KIND_ALERT || ui->kind == KIND_FRAME)
		return 1;
	if (root == NULL)
		return 0;
	if (ui->kind == KIND_LINK)
		return has_texts(root, link);
	if (jval_kind(root) != JDOC_ARRAY)
		return 0;
	for (e = root + 1, i = 0; i < root->len; i++, e = jval_next(e)) {
		if (jdoc_gets(e, "label") == NULL ||
		    jdoc_gets(e, "value") == NULL)
			return 0;
	}
	return 1;
}

/* What Sentry would show to the person. */
static void
put_message(const struct ui *ui, struct jwrite *w, int usable, int ok,
    const struct jval *root)
{
	struct str said = jdoc_get_str(root, "message");
	char *text;

	if (ok && ui->kind == KIND_LINK)
		text = mem_printf("%.*s#%.*s",
		    (int)jdoc_get_str(root, "project").len,
		    jdoc_get_str(root, "project").data,
		    (int)jdoc_get_str(root, "identifier").len,
		    jdoc_get_str(root, "identifier").data);
	else if (!usable)
		text = mem_strdup("Invalid response format");
	else
		text = mem_printf("%s: %.*s", BODY_APP_NAME,
		    said.len == 0 ? (ok ? 8 : 21) : (int)said.len,
		    said.len == 0 ? (ok ? "Success!" : "Something went wrong!")
				  : said.data);
	jwrite_member_text(w, "message", text);
	free(text);
}

static void
record(const struct ui *ui, const struct fetch_result *result)
{
	struct buf out = BUF_INIT, json = BUF_INIT;
	struct jwrite w = jwrite_begin(&out, 0);
	const char *colon;
	size_t i;

	jwrite_object(&w);
	jwrite_member_text(&w, "direction", "out");
	jwrite_key(&w, "at");
	jwrite_time(&w, clock_unix_ms());
	jwrite_member_text(&w, "method", ui->body.len > 0 ? "POST" : "GET");
	jwrite_member_text(&w, "url", ui->url);
	jwrite_key(&w, "headers");
	jwrite_object(&w);
	for (i = 0; i < HEADERS && ui->headers[i] != NULL; i++) {
		colon = strchr(ui->headers[i], ':');
		mask_header(&w,
		    (struct str){
			ui->headers[i], (size_t)(colon - ui->headers[i])},
		    str_of(colon + 2));
	}
	jwrite_object_end(&w);
	jwrite_key(&w, "body");
	mask_json(&w, (struct str){buf_text(&ui->body), ui->body.len});
	jwrite_member_text(&w, "component", ui->component);
	jwrite_member_int(&w, "status", result->status);
	jwrite_member_text(
	    &w, "error", result->err.code == ERR_NONE ? NULL : result->err.msg);
	jwrite_key(&w, "answer");
	mask_json(&w, (struct str){buf_text(&result->body), result->body.len});
	jwrite_object_end(&w);
	buf_put(&json, out.data + 1, out.len - 2);
	(void)calls_add(ui->call->sim->calls, &json);
	buf_free(&out);
}

/* A link that was made is kept, as Sentry keeps it. */
static void
keep_link(const struct ui *ui, const struct jval *root)
{
	struct issues *issues = ui->call->sim->issues;
	char *id = mem_printf("%llu", (unsigned long long)ui->issue_id);
	struct issue *issue = issues_find(issues, str_of(id), str_of(ui->org));

	if (issue != NULL)
		issues_link(issues, issue, jdoc_get_str(root, "webUrl"),
		    jdoc_get_str(root, "project"),
		    jdoc_get_str(root, "identifier"));
	free(id);
}

static void
answered(void *cookie, struct fetch_result *result)
{
	struct ui *ui = cookie;
	struct buf json = BUF_INIT;
	struct jwrite w = jwrite_begin(&json, 0);
	struct jdoc doc = {0};
	const struct jval *root = NULL;
	int got = result->err.code == ERR_NONE, usable, ok;

	record(ui, result);
	if (jdoc_parse(&doc, buf_text(&result->body), result->body.len, NULL,
		NULL) == 0)
		root = jdoc_root(&doc);
	usable = !got || result->status >= 400 || is_usable(ui, root);
	ok = got && result->status < 400 && usable;
	jwrite_object(&w);
	/* What the person's request to Sentry is answered. */
	jwrite_member_int(&w, "status", got ? result->status : 502);
	jwrite_key(&w, "ok");
	jwrite_bool(&w, ok);
	put_message(ui, &w, usable, ok, root);
	if (!got)
		jwrite_member_text(&w, "error", result->err.msg);
	jwrite_key(&w, "body");
	if (root != NULL)
		jwrite_jval(&w, root);
	else
		jwrite_str(&w,
		    (struct str){buf_text(&result->body), result->body.len});
	jwrite_object_end(&w);
	if (ok && ui->kind == KIND_LINK)
		keep_link(ui, root);
	jdoc_free(&doc);
	sim_reply(ui->call, 200, &json);
}

/* ---- /sim/ui --------------------------------------------------------------
 */

/* Which component is meant; -1 if ${call} was answered. */
static int
find_kind(struct sim_call *call, struct ui *ui)
{
	const char *name = ui->component;

	if (name != NULL && strcmp(name, "alert-rule-action") == 0) {
		ui->kind = KIND_ALERT;
	} else if (name != NULL && (strcmp(name, "issue-link/create") == 0 ||
				       strcmp(name, "issue-link/link") == 0)) {
		ui->kind = KIND_LINK;
	} else if (name != NULL && strncmp(name, "options/", 8) == 0 &&
		   name[8] != '\0' && strpbrk(name, "?# \r\n") == NULL) {
		ui->kind = KIND_OPTIONS;
	} else if (name != NULL && strcmp(name, "stacktrace-link") == 0) {
		ui->kind = KIND_FRAME;
	} else {
		sim_reply_misuse(call,
		    "component must be alert-rule-action, issue-link/create, "
		    "issue-link/link, options/NAME or stacktrace-link");
		return -1;
	}
	if (ui->uri != NULL &&
	    (ui->uri[0] != '/' || strpbrk(ui->uri, "@# \r\n") != NULL)) {
		sim_reply_misuse(call, "uri must be a path: /ui/...");
		return -1;
	}
	return 0;
}

/* Read what the body says; -1 if ${call} was answered. */
static int
read_ui(struct sim_call *call, const struct jval *body, struct ui *ui)
{
	const struct jval *settings = jdoc_gets(body, "settings");
	const struct install *install;

	if (sim_get_text(call, body, "component", &ui->component) == -1 ||
	    sim_get_url(call, body, "url", &ui->url) == -1 ||
	    sim_get_text(call, body, "uri", &ui->uri) == -1 ||
	    sim_get_text(call, body, "query", &ui->query) == -1 ||
	    sim_get_text(call, body, "project", &ui->project) == -1 ||
	    sim_get_text(call, body, "filename", &ui->filename) == -1 ||
	    sim_get_count(call, body, "line", INT32_MAX, &ui->line) == -1 ||
	    sim_get_count(call, body, "issue", INT64_MAX, &ui->issue_id) ==
		-1 ||
	    find_kind(call, ui) == -1)
		return -1;
	if (settings != NULL && jval_kind(settings) != JDOC_OBJECT) {
		sim_reply_misuse(
		    call, "settings must be an object: a value for each name");
		return -1;
	}
	install = sim_get_install(call, body);
	if (install == NULL)
		return -1;
	(void)memcpy(ui->uuid, install->uuid, sizeof(ui->uuid));
	ui->org = mem_strdup(install->org);
	if (ui->url == NULL)
		ui->url = mem_strdup(install->webhook);
	if (ui->url == NULL) {
		sim_reply_misuse(call,
		    "url is missing: the webhook's, for example "
		    "http://127.0.0.1:8080/webhook");
		return -1;
	}
	return 0;
}

void
sim_ui(struct sim_call *call)
{
	static const char *const names[] = {"component", "filename",
	    "installation", "issue", "line", "project", "query", "settings",
	    "uri", "url", NULL};
	const struct jval *body = sim_read_control(call, names), *settings;
	struct fetch_request request = {.timeout_ms = TIMEOUT_MS,
	    .max_bytes = MAX_ANSWER,
	    .done = answered};
	struct ui *ui;
	struct fetch_call *fetch;
	struct err err = ERR_INIT;
	struct jwrite w;
	char *url;
	size_t n = 0;

	if (body == NULL)
		return;
	ui = mem_zalloc(sizeof(*ui));
	w = jwrite_begin(&ui->body, 0);

	/* It goes with the call. */
	call->ui = ui;
	ui->call = call;
	ui->issue_id = 1;
	ui->line = 1;
	ui->project = mem_strdup(DEFAULT_PROJECT);
	ui->filename = mem_strdup("app/main.py");
	if (read_ui(call, body, ui) == -1)
		return;
	settings = jdoc_gets(body, "settings");
	url = make_url(ui);
	free(ui->url);
	ui->url = url;
	if (ui->kind == KIND_OPTIONS || ui->kind == KIND_FRAME) {
		put_query(ui, settings);
	} else {
		jwrite_object(&w);
		if (ui->kind == KIND_ALERT)
			put_alert(ui, &w, settings);
		else
			put_link(ui, &w, settings);
		jwrite_object_end(&w);
	}
	make_headers(ui);
	while (n < HEADERS && ui->headers[n] != NULL)
		n++;
	request.method = ui->body.len > 0 ? "POST" : "GET";
	request.url = ui->url;
	request.headers = (const char *const *)ui->headers;
	request.nheaders = n;
	request.body = (struct str){ui->body.data, ui->body.len};
	request.cookie = ui;
	if (fetch_start(call->sim->fetch, &request, &fetch, &err) == -1)
		sim_reply_misuse(call, "%s", err.msg);
}
