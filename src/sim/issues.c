#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "catalog/catalog.h"
#include "json/jdoc.h"
#include "json/jpath.h"
#include "json/jwrite.h"

#include "sim/body.h"

#include "sim/issues.h"

/* What a stand-in that was just started has. */
#define AT_START 3

/* Where the numbers of those begin that are made here. */
#define FIRST_ID UINT64_C(4529830551)

struct issues {
	const struct catalog *catalog;
	const char *url;
	struct issue **items; /* The oldest first. */
	size_t n, cap;
	uint64_t next_id;
	uint64_t next_note;
	uint64_t next_link;
};

struct issues *
issues_create(const struct catalog *catalog, const char *url)
{
	struct issues *issues = mem_zalloc(sizeof(*issues));

	issues->catalog = catalog;
	issues->url = url;
	issues->next_id = FIRST_ID;
	issues->next_note = issues->next_link = 1;
	issues_make(issues, AT_START, STR("example"));
	return issues;
}

static void
drop_note(struct issue *issue, size_t i)
{
	free(issue->notes[i].text);
	free(issue->notes[i].author);
	issue->nnotes--;
	(void)memmove(issue->notes + i, issue->notes + i + 1,
	    (issue->nnotes - i) * sizeof(issue->notes[0]));
}

static void
issue_free(struct issue *issue)
{
	while (issue->nnotes > 0)
		drop_note(issue, issue->nnotes - 1);
	free(issue->notes);
	free(issue->link_url);
	free(issue->link_name);
	buf_free(&issue->json);
	free(issue);
}

void
issues_free(struct issues *issues)
{
	size_t i;

	if (issues == NULL)
		return;
	for (i = 0; i < issues->n; i++)
		issue_free(issues->items[i]);
	free(issues->items);
	free(issues);
}

/* Write the sample's issue with an id and addresses of its own. */
static void
write_issue(struct jwrite *w, const struct jval *sample, const char *url,
    uint64_t id, struct str org)
{
	char *own = mem_printf("%llu", (unsigned long long)id),
	     *api = mem_printf("%s/api/0/organizations/%.*s/issues/%s/", url,
		 (int)org.len, org.data, own),
	     *web = mem_printf("%s/organizations/%.*s/issues/%s/", url,
		 (int)org.len, org.data, own),
	     *name = mem_printf("SIM-%llu",
		 (unsigned long long)(id >= FIRST_ID ? id - FIRST_ID + 1 : id));
	const struct {
		const char *key, *value;
	} own_values[] = {{"id", own}, {"url", api}, {"web_url", web},
	    {"permalink", web}, {"shortId", name}};
	const struct jval *e;
	size_t i, k;

	jwrite_object(w);
	for (e = sample + 1, i = 0; i < sample->len;
	     i++, e = jval_next(e + 1)) {
		jwrite_keyn(w, jval_str(e));
		for (k = 0; k < NELEMS(own_values); k++) {
			if (str_eq(jval_str(e), str_of(own_values[k].key)))
				break;
		}
		if (k < NELEMS(own_values))
			jwrite_text(w, own_values[k].value);
		else
			jwrite_jval(w, e + 1);
	}
	jwrite_object_end(w);
	free(own);
	free(api);
	free(web);
	free(name);
}

static struct issue *
make(struct issues *issues, uint64_t id, struct str org)
{
	struct issue *issue = mem_zalloc(sizeof(*issue));
	struct jwrite w = jwrite_begin(&issue->json, 0);
	struct buf text = BUF_INIT;
	struct jdoc doc = {0};
	const struct jval *sample = NULL;

	if (catalog_sample(issues->catalog, "issue.created", &text, NULL) ==
		0 &&
	    jdoc_parse(&doc, buf_text(&text), text.len, NULL, NULL) == 0)
		sample = jdoc_gets(jdoc_gets(jdoc_root(&doc), "data"), "issue");
	if (sample != NULL && jval_kind(sample) == JDOC_OBJECT)
		write_issue(&w, sample, issues->url, id, org);
	else
		buf_puts(&issue->json, "{}");
	jdoc_free(&doc);
	buf_free(&text);
	issue->id = id;
	if (issues->n == ISSUES_MAX) {
		issue_free(issues->items[0]);
		issues->n--;
		(void)memmove(issues->items, issues->items + 1,
		    issues->n * sizeof(struct issue *));
	}
	issues->items = mem_grow(
	    issues->items, &issues->cap, issues->n + 1, sizeof(struct issue *));
	issues->items[issues->n++] = issue;
	return issue;
}

struct issue *
issues_find(struct issues *issues, struct str id, struct str org)
{
	uint64_t number;
	size_t i;

	if (str_parse_u64(id, INT64_MAX, &number) == -1 || number == 0)
		return NULL;
	for (i = 0; i < issues->n; i++) {
		if (issues->items[i]->id == number)
			return issues->items[i];
	}
	return make(issues, number, org);
}

void
issues_make(struct issues *issues, uint64_t n, struct str org)
{
	for (; n > 0; n--)
		(void)make(issues, issues->next_id++, org);
}

size_t
issues_count(const struct issues *issues)
{
	return issues->n;
}

struct issue *
issues_at(const struct issues *issues, size_t index)
{
	return index < issues->n ? issues->items[issues->n - 1 - index] : NULL;
}

/* ---- changing one ---------------------------------------------------------
 */

static int
is_one_of(const struct jval *v, const char *const *names)
{
	for (; *names != NULL; names++) {
		if (jval_kind(v) == JDOC_STRING &&
		    str_eq(jval_str(v), str_of(*names)))
			return 1;
	}
	return 0;
}

static void
put_status(struct buf *json, struct buf *text, const struct jval *v)
{
	int next = str_eq(jval_str(v), STR("resolvedInNextRelease"));

	str_put_json(text, next ? STR("resolved") : jval_str(v));
	body_set(json, STR("status"), text);
	buf_puts(text, next ? "{\"inNextRelease\":true}" : "{}");
	body_set(json, STR("statusDetails"), text);
}

/* "user:1", "team:42", the one user by name or address, "" for nobody. */
static int
put_assignee(struct buf *json, struct buf *text, const struct jval *v)
{
	struct jwrite w = jwrite_begin(text, 0);
	struct str s = jval_str(v);
	int is_user;
	uint64_t id;

	if (jval_kind(v) == JDOC_NULL || s.len == 0) {
		jwrite_null(&w);
	} else if (str_eq(s, STR(BODY_USER_NAME)) ||
		   str_eq(s, STR(BODY_USER_EMAIL))) {
		buf_printf(text,
		    "{\"type\":\"user\",\"id\":\"%d\",\"name\":\"%s\","
		    "\"email\":\"%s\"}",
		    BODY_USER_ID, BODY_USER_NAME, BODY_USER_EMAIL);
	} else {
		is_user = memcmp(s.data, "user:", s.len < 5 ? s.len : 5) == 0;
		if (s.len < 6 ||
		    (!is_user && memcmp(s.data, "team:", 5) != 0) ||
		    str_parse_u64((struct str){s.data + 5, s.len - 5},
			INT64_MAX, &id) == -1)
			return -1;
		jwrite_object(&w);
		jwrite_member_text(&w, "type", is_user ? "user" : "team");
		jwrite_key(&w, "id");
		jwrite_str(&w, (struct str){s.data + 5, s.len - 5});
		jwrite_member_text(
		    &w, "name", is_user ? BODY_USER_NAME : "example-team");
		jwrite_object_end(&w);
	}
	body_set(json, STR("assignedTo"), text);
	return 0;
}

/* Apply one member; returns what is wrong with it, or NULL. */
static const char *
apply(struct buf *json, struct str name, const struct jval *v)
{
	static const char *const statuses[] = {
	    "resolved", "resolvedInNextRelease", "unresolved", "ignored", NULL};
	static const char *const priorities[] = {"low", "medium", "high", NULL};
	static const char *const switches[] = {
	    "hasSeen", "isBookmarked", "isSubscribed", "isPublic"};
	struct buf text = BUF_INIT;
	struct jwrite w = jwrite_begin(&text, 0);
	const char *wrong = NULL;
	size_t i;

	for (i = 0; i < NELEMS(switches); i++) {
		if (str_eq(name, str_of(switches[i])))
			break;
	}
	if (i < NELEMS(switches)) {
		if (jval_kind(v) != JDOC_TRUE && jval_kind(v) != JDOC_FALSE)
			wrong = "Must be a valid boolean.";
	} else if (str_eq(name, STR("priority"))) {
		if (!is_one_of(v, priorities))
			wrong = "Not a valid choice.";
	} else if (str_eq(name, STR("substatus"))) {
		if (jval_kind(v) != JDOC_STRING)
			wrong = "Not a valid choice.";
	} else if (str_eq(name, STR("statusDetails"))) {
		if (jval_kind(v) != JDOC_OBJECT)
			wrong = "Invalid data. Expected a dictionary.";
	} else {
		if (str_eq(name, STR("status"))) {
			if (is_one_of(v, statuses))
				put_status(json, &text, v);
			else
				wrong = "Not a valid choice.";
		} else if (str_eq(name, STR("assignedTo")) &&
			   ((jval_kind(v) != JDOC_STRING &&
				jval_kind(v) != JDOC_NULL) ||
			       put_assignee(json, &text, v) == -1)) {
			wrong = "Unknown actor input";
		}
		goto out;
	}
	if (wrong == NULL) {
		jwrite_jval(&w, v);
		body_set(json, name, &text);
	}

out:
	buf_free(&text);
	return wrong;
}

int
issues_update(
    struct issue *issue, const struct jval *changes, struct buf *ret_faults)
{
	struct buf json = BUF_INIT;
	struct jwrite w = jwrite_begin(ret_faults, 0);
	const struct jval *e;
	const char *wrong;
	size_t i, faults = 0;

	buf_put(&json, buf_text(&issue->json), issue->json.len);
	jwrite_object(&w);
	for (e = changes + 1, i = 0; i < changes->len;
	     i++, e = jval_next(e + 1)) {
		wrong = apply(&json, jval_str(e), e + 1);
		if (wrong == NULL)
			continue;
		jwrite_keyn(&w, jval_str(e));
		jwrite_array(&w);
		jwrite_text(&w, wrong);
		jwrite_array_end(&w);
		faults++;
	}
	jwrite_object_end(&w);
	if (faults > 0) {
		buf_free(&json);
		return -1;
	}
	buf_free(ret_faults);
	buf_free(&issue->json);
	issue->json = json;
	return 0;
}

/* ---- notes and links ------------------------------------------------------
 */

const struct issues_note *
issues_add_note(struct issues *issues, struct issue *issue, struct str text,
    const char *author, uint64_t now_unix_ms)
{
	struct issues_note *note;
	char count[24];
	size_t i;

	for (i = 0; i < issue->nnotes; i++) {
		note = &issue->notes[i];
		if (now_unix_ms - note->at_unix_ms < ISSUES_NOTE_MS &&
		    strcmp(note->author, author) == 0 &&
		    str_eq(str_of(note->text), text))
			return NULL;
	}
	if (issue->nnotes == ISSUES_MAX_NOTES)
		drop_note(issue, 0);
	issue->notes = mem_grow(issue->notes, &issue->notes_cap,
	    issue->nnotes + 1, sizeof(issue->notes[0]));
	note = &issue->notes[issue->nnotes++];
	note->id = issues->next_note++;
	note->text = mem_strndup(text.data, text.len);
	note->author = mem_strdup(author);
	note->at_unix_ms = now_unix_ms;
	{
		struct buf json = BUF_INIT;

		(void)snprintf(count, sizeof(count), "%zu", issue->nnotes);
		buf_puts(&json, count);
		body_set(&issue->json, STR("numComments"), &json);
		buf_free(&json);
	}
	return note;
}

void
issues_link(struct issues *issues, struct issue *issue, struct str url,
    struct str project, struct str identifier)
{
	free(issue->link_url);
	free(issue->link_name);
	issue->link_url = mem_strndup(url.data, url.len);
	issue->link_name = mem_printf("%.*s#%.*s", (int)project.len,
	    project.data, (int)identifier.len, identifier.data);
	if (issue->link_id == 0)
		issue->link_id = issues->next_link++;
}

int
issues_unlink(struct issues *issues, struct str link_id)
{
	uint64_t number;
	size_t i;

	if (str_parse_u64(link_id, INT64_MAX, &number) == -1 || number == 0)
		return -1;
	for (i = 0; i < issues->n; i++) {
		if (issues->items[i]->link_id != number)
			continue;
		issues->items[i]->link_id = 0;
		free(issues->items[i]->link_url);
		free(issues->items[i]->link_name);
		issues->items[i]->link_url = NULL;
		issues->items[i]->link_name = NULL;
		return 0;
	}
	return -1;
}
