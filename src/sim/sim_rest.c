#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/form.h"
#include "base/mem.h"
#include "json/jwrite.h"

#include "sim/body.h"
#include "sim/installs.h"
#include "sim/issues.h"
#include "sim/sim_internal.h"

#define PER_PAGE_MAX 100

/* ---- pages ----------------------------------------------------------------
 */

struct page {
	uint64_t first;
	uint64_t per_page;
};

/* Read ?cursor=0:OFFSET:0&per_page=N; -1 if ${call} was answered. */
static int
read_page(struct sim_call *call, struct page *page)
{
	struct str query = httpd_query(call->req);
	char *cursor = form_get(query, "cursor"),
	     *per_page = form_get(query, "per_page"), *colon;
	int good = 1;

	page->first = 0;
	page->per_page = PER_PAGE_MAX;
	if (per_page != NULL)
		good = str_parse_u64(str_of(per_page), PER_PAGE_MAX,
			   &page->per_page) == 0 &&
		       page->per_page > 0;
	if (!good) {
		sim_reply_detail(call, 400,
		    "Invalid per_page value. Must be between 1 and 100.");
	} else if (cursor != NULL) {
		colon = strchr(cursor, ':');
		good = colon != NULL && strchr(colon + 1, ':') != NULL &&
		       str_parse_u64(
			   (struct str){colon + 1, strcspn(colon + 1, ":")},
			   INT32_MAX, &page->first) == 0;
		if (!good)
			sim_reply_detail(
			    call, 400, "Invalid cursor parameter.");
	}
	free(cursor);
	free(per_page);
	return good ? 0 : -1;
}

/* Append one of the two links: the request's own address with a cursor. */
static void
put_link(struct sim_call *call, struct buf *out, const char *rel, int results,
    uint64_t first, int is_previous)
{
	struct str path = httpd_path(call->req), query = httpd_query(call->req);
	struct buf name = BUF_INIT, value = BUF_INIT;

	buf_printf(
	    out, "<%s%.*s?", call->sim->options.url, (int)path.len, path.data);
	while (form_next(&query, &name, &value) == 1) {
		if (strcmp(buf_text(&name), "cursor") == 0)
			continue;
		form_put(out, buf_text(&name), buf_text(&value));
	}
	buf_printf(out,
	    "&cursor=0:%llu:%d>; rel=\"%s\"; results=\"%s\"; "
	    "cursor=\"0:%llu:%d\"",
	    (unsigned long long)first, is_previous, rel,
	    results ? "true" : "false", (unsigned long long)first, is_previous);
	buf_free(&name);
	buf_free(&value);
}

/* Answer a page of ${total} rows, which were written by the caller. */
static void
reply_page(struct sim_call *call, const struct page *page, uint64_t total,
    struct buf *json)
{
	struct buf link = BUF_INIT;
	uint64_t before =
	    page->first > page->per_page ? page->first - page->per_page : 0;

	put_link(call, &link, "previous", page->first > 0, before, 1);
	buf_puts(&link, ", ");
	put_link(call, &link, "next", page->first + page->per_page < total,
	    page->first + page->per_page, 0);
	sim_header(call, "Link", "%s", link.data);
	buf_free(&link);
	sim_reply(call, 200, json);
}

/* ---- organizations --------------------------------------------------------
 */

static void
write_org(struct jwrite *w, struct str slug)
{
	jwrite_object(w);
	jwrite_member_text(w, "id", "1");
	jwrite_key(w, "slug");
	jwrite_str(w, slug);
	jwrite_key(w, "name");
	jwrite_str(w, slug);
	jwrite_object_end(w);
}

/* Whose organization the token is of; a user's has the one of the newest
 * installation. */
static struct str
own_org(const struct sim_call *call)
{
	const struct install *install =
	    call->install != NULL ? call->install
				  : installs_newest(call->sim->installs);

	return install == NULL ? STR("example") : str_of(install->org);
}

static void
list_orgs(struct sim_call *call)
{
	struct buf json = BUF_INIT;
	struct jwrite w = jwrite_begin(&json, 0);
	struct page page;

	if (sim_authenticate(call) == -1 || read_page(call, &page) == -1)
		return;
	jwrite_array(&w);
	if (page.first == 0)
		write_org(&w, own_org(call));
	jwrite_array_end(&w);
	reply_page(call, &page, 1, &json);
}

/* Check the token, and that it is good for the organization of the path. */
static int
enter_org(struct sim_call *call)
{
	if (sim_authenticate(call) == -1)
		return -1;
	if (call->install == NULL ||
	    str_eq(str_of(call->install->org), call->part[0]))
		return 0;
	sim_reply_detail(
	    call, 403, "You do not have permission to perform this action.");
	return -1;
}

static void
get_org(struct sim_call *call)
{
	struct buf json = BUF_INIT;
	struct jwrite w = jwrite_begin(&json, 0);

	if (enter_org(call) == -1)
		return;
	write_org(&w, call->part[0]);
	sim_reply(call, 200, &json);
}

static void
list_installs(struct sim_call *call)
{
	const struct installs *installs = call->sim->installs;
	struct buf json = BUF_INIT;
	struct jwrite w = jwrite_begin(&json, 0);
	const struct install *install;
	struct page page;
	uint64_t n = 0;
	size_t i;

	if (enter_org(call) == -1 || read_page(call, &page) == -1)
		return;
	jwrite_array(&w);
	for (i = 0; i < installs_count(installs); i++) {
		install = installs_at(installs, i);
		if (!str_eq(str_of(install->org), call->part[0]))
			continue;
		if (n >= page.first && n < page.first + page.per_page)
			body_put_install(&w, install, 0);
		n++;
	}
	jwrite_array_end(&w);
	reply_page(call, &page, n, &json);
}

/* ---- issues ---------------------------------------------------------------
 */

static void
list_issues(struct sim_call *call)
{
	const struct issues *issues = call->sim->issues;
	const struct issue *issue;
	struct buf json = BUF_INIT;
	struct jwrite w = jwrite_begin(&json, 0);
	struct page page;
	uint64_t i;

	if (enter_org(call) == -1 || read_page(call, &page) == -1)
		return;
	jwrite_array(&w);
	for (i = page.first; i < page.first + page.per_page; i++) {
		issue = issues_at(issues, i);
		if (issue == NULL)
			break;
		jwrite_raw(&w, (struct str){issue->json.data, issue->json.len});
	}
	jwrite_array_end(&w);
	reply_page(call, &page, issues_count(issues), &json);
}

/* The issue that ${id} names; NULL if ${call} was answered. */
static struct issue *
find_issue(struct sim_call *call, struct str id)
{
	struct issue *issue = issues_find(call->sim->issues, id,
	    call->install != NULL ? str_of(call->install->org) : own_org(call));

	if (issue == NULL)
		sim_reply_detail(
		    call, 404, "The requested resource does not exist");
	return issue;
}

static struct issue *
org_issue(struct sim_call *call)
{
	return enter_org(call) == -1 ? NULL : find_issue(call, call->part[1]);
}

static void
reply_issue(struct sim_call *call, const struct issue *issue)
{
	struct buf json = BUF_INIT;

	buf_put(&json, issue->json.data, issue->json.len);
	sim_reply(call, 200, &json);
}

static void
get_issue(struct sim_call *call)
{
	struct issue *issue = org_issue(call);

	if (issue != NULL)
		reply_issue(call, issue);
}

static void
update(struct sim_call *call, struct issue *issue)
{
	const struct jval *body = issue == NULL ? NULL : sim_read_body(call);
	struct buf faults = BUF_INIT;

	if (body == NULL)
		return;
	if (issues_update(issue, body, &faults) == -1)
		sim_reply(call, 400, &faults);
	else
		reply_issue(call, issue);
}

static void
put_issue(struct sim_call *call)
{
	update(call, org_issue(call));
}

/* The older form, without the organization. */
static void
put_bare_issue(struct sim_call *call)
{
	if (sim_authenticate(call) == 0)
		update(call, find_issue(call, call->part[0]));
}

/* ---- notes ----------------------------------------------------------------
 */

static void
write_note(struct jwrite *w, const struct issues_note *note)
{
	char *id = mem_printf("%llu", (unsigned long long)note->id);

	jwrite_object(w);
	jwrite_member_text(w, "id", id);
	jwrite_key(w, "user");
	jwrite_object(w);
	jwrite_member_text(w, "id", "1");
	jwrite_member_text(w, "name", note->author);
	jwrite_object_end(w);
	jwrite_member_text(w, "type", "note");
	jwrite_key(w, "data");
	jwrite_object(w);
	jwrite_member_text(w, "text", note->text);
	jwrite_object_end(w);
	jwrite_key(w, "dateCreated");
	jwrite_time(w, note->at_unix_ms);
	jwrite_object_end(w);
	free(id);
}

static void
list_notes(struct sim_call *call)
{
	struct issue *issue = org_issue(call);
	struct buf json = BUF_INIT;
	struct jwrite w = jwrite_begin(&json, 0);
	struct page page;
	uint64_t i;

	if (issue == NULL || read_page(call, &page) == -1)
		return;
	jwrite_array(&w);
	/* The newest first. */
	for (i = page.first;
	     i < issue->nnotes && i < page.first + page.per_page; i++)
		write_note(&w, &issue->notes[issue->nnotes - 1 - i]);
	jwrite_array_end(&w);
	reply_page(call, &page, issue->nnotes, &json);
}

static void
add_note(struct sim_call *call)
{
	static const char *const names[] = {"text"};
	struct issue *issue = org_issue(call);
	const struct jval *body = issue == NULL ? NULL : sim_read_body(call);
	struct buf json = BUF_INIT;
	struct jwrite w = jwrite_begin(&json, 0);
	const struct issues_note *note;

	if (body == NULL || sim_require(call, body, names, 1) == -1)
		return;
	note = issues_add_note(call->sim->issues, issue,
	    jdoc_get_str(body, "text"),
	    call->install != NULL ? BODY_APP_NAME : BODY_USER_NAME,
	    call->now_unix_ms);
	if (note == NULL) {
		sim_reply_detail(
		    call, 400, "You have already posted that comment.");
		return;
	}
	write_note(&w, note);
	sim_reply(call, 201, &json);
}

/* ---- external issues ------------------------------------------------------
 */

static void
reply_link(struct sim_call *call, const struct issue *issue)
{
	struct buf json = BUF_INIT;
	struct jwrite w = jwrite_begin(&json, 0);
	char *id = mem_printf("%llu", (unsigned long long)issue->link_id),
	     *of = mem_printf("%llu", (unsigned long long)issue->id);

	jwrite_object(&w);
	jwrite_member_text(&w, "id", id);
	jwrite_member_text(&w, "issueId", of);
	jwrite_member_text(&w, "serviceType", BODY_APP_SLUG);
	jwrite_member_text(&w, "displayName", issue->link_name);
	jwrite_member_text(&w, "webUrl", issue->link_url);
	jwrite_object_end(&w);
	free(id);
	free(of);
	sim_reply(call, 200, &json);
}

static void
link_issue(struct sim_call *call)
{
	static const char *const names[] = {"webUrl", "project", "identifier"};
	struct install *install = sim_own_install(call);
	const struct jval *body = install == NULL ? NULL : sim_read_body(call),
			  *number;
	struct issue *issue;
	struct buf json = BUF_INIT;
	char id[24];

	if (body == NULL)
		return;
	number = jdoc_gets(body, "issueId");
	if (number == NULL || jval_kind(number) != JDOC_INT) {
		buf_puts(&json, number == NULL
				    ? "{\"issueId\":[\"This field is "
				      "required.\"]}"
				    : "{\"issueId\":[\"A valid integer is "
				      "required.\"]}");
		sim_reply(call, 400, &json);
		return;
	}
	if (sim_require(call, body, names, 3) == -1)
		return;
	(void)snprintf(id, sizeof(id), "%lld", (long long)number->v.i);
	issue = find_issue(call, str_of(id));
	if (issue == NULL)
		return;
	issues_link(call->sim->issues, issue, jdoc_get_str(body, "webUrl"),
	    jdoc_get_str(body, "project"), jdoc_get_str(body, "identifier"));
	reply_link(call, issue);
}

static void
unlink_issue(struct sim_call *call)
{
	struct install *install = sim_own_install(call);
	struct buf none = BUF_INIT;

	if (install == NULL)
		return;
	if (issues_unlink(call->sim->issues, call->part[1]) == -1)
		sim_reply_detail(
		    call, 404, "The requested resource does not exist");
	else
		sim_reply(call, 204, &none);
}

#define ORG "/api/0/organizations/*/"
#define ISSUE ORG "issues/*/"
#define INSTALL "/api/0/sentry-app-installations/*/"

const struct sim_route sim_rest_routes[] = {
    {HTTPD_GET, "/api/0/organizations/", list_orgs},
    {HTTPD_GET, ORG, get_org},
    {HTTPD_GET, ORG "sentry-app-installations/", list_installs},
    {HTTPD_GET, ORG "issues/", list_issues},
    {HTTPD_GET, ISSUE, get_issue},
    {HTTPD_PUT, ISSUE, put_issue},
    {HTTPD_PUT, "/api/0/issues/*/", put_bare_issue},
    {HTTPD_GET, ISSUE "notes/", list_notes},
    {HTTPD_POST, ISSUE "notes/", add_note},
    {HTTPD_GET, ISSUE "comments/", list_notes},
    {HTTPD_POST, ISSUE "comments/", add_note},
    {HTTPD_POST, INSTALL "external-issues/", link_issue},
    {HTTPD_DELETE, INSTALL "external-issues/*/", unlink_issue},
    {HTTPD_GET, NULL, NULL},
};
