#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "json/jdoc.h"
#include "json/jwrite.h"

#include "sentry/ui_schema.h"

/* As a script declares them, in the order in which they are written. */
static const char *const kinds[] = {
    "issue_link", "alert_action", "stacktrace_link"};

/* Parse what a script declared; its components, or NULL if it has none. */
static const struct jval *
components_of(struct jdoc *doc, const char *declared)
{
	const struct jval *list;

	if (declared == NULL ||
	    jdoc_parse(doc, declared, strlen(declared), NULL, NULL) == -1)
		return NULL;
	list = jdoc_gets(jdoc_root(doc), "ui");
	return list == NULL || jval_kind(list) != JDOC_ARRAY ? NULL : list;
}

/* The component of that kind among ${list}, which may be NULL. */
static const struct jval *
find_kind(const struct jval *list, const char *kind)
{
	const struct jval *e;
	size_t i;

	for (i = 0; list != NULL && i < list->len; i++) {
		e = jdoc_at(list, i);
		if (str_eq(jdoc_get_str(e, "kind"), str_of(kind)))
			return e;
	}
	return NULL;
}

/* The fields of a form; an empty list where there are none.  What a worker says
 * may be anything. */
static const struct jval *
fields_of(const struct jval *form)
{
	static const struct jval none = {.kind = JDOC_ARRAY};
	const struct jval *fields = jdoc_gets(form, "fields");

	return fields == NULL || jval_kind(fields) != JDOC_ARRAY ? &none
								 : fields;
}

static int
is_true(const struct jval *object, const char *key)
{
	const struct jval *v = jdoc_gets(object, key);

	return v != NULL && jval_kind(v) == JDOC_TRUE;
}

/* ---- the schema ---------------------------------------------------------- */

static void
put_member(struct jwrite *w, const struct jval *field, const char *key)
{
	const struct jval *v = jdoc_gets(field, key);

	if (v == NULL)
		return;
	jwrite_key(w, key);
	jwrite_jval(w, v);
}

static void
put_uri(struct jwrite *w, const char *prefix, struct str path)
{
	struct buf uri = BUF_INIT;

	buf_puts(&uri, prefix);
	buf_put(&uri, path.data, path.len);
	jwrite_member_text(w, "uri", buf_text(&uri));
	buf_free(&uri);
}

static void
put_field(struct jwrite *w, const struct jval *field, const char *prefix)
{
	jwrite_object(w);
	put_member(w, field, "type");
	put_member(w, field, "label");
	put_member(w, field, "name");
	put_member(w, field, "default");
	if (is_true(field, "dynamic"))
		put_uri(w, prefix, jdoc_get_str(field, "uri"));
	put_member(w, field, "options");
	put_member(w, field, "async");
	put_member(w, field, "depends_on");
	put_member(w, field, "skip_load_on_open");
	jwrite_object_end(w);
}

/* The fields that are required, or those that are not; Sentry refuses an empty
 * list. */
static void
put_fields(
    struct jwrite *w, const struct jval *form, int required, const char *prefix)
{
	const struct jval *fields = fields_of(form), *e;
	size_t i, n = 0;

	for (i = 0, e = fields + 1; i < fields->len; i++, e = jval_next(e)) {
		if (is_true(e, "required") != required)
			continue;
		if (n++ == 0) {
			jwrite_key(w,
			    required ? "required_fields" : "optional_fields");
			jwrite_array(w);
		}
		put_field(w, e, prefix);
	}
	if (n > 0)
		jwrite_array_end(w);
}

static void
put_form(struct jwrite *w, const struct jval *form, const char *name,
    const char *prefix)
{
	struct buf path = BUF_INIT;

	buf_printf(&path, "/ui/issue-link/%s", name);
	jwrite_key(w, name);
	jwrite_object(w);
	put_uri(w, prefix, (struct str){path.data, path.len});
	put_fields(w, form, 1, prefix);
	put_fields(w, form, 0, prefix);
	jwrite_object_end(w);
	buf_free(&path);
}

static void
put_component(struct jwrite *w, const struct jval *c, const char *prefix)
{
	struct str kind = jdoc_get_str(c, "kind");

	jwrite_object(w);
	if (str_eq(kind, STR("issue_link"))) {
		jwrite_member_text(w, "type", "issue-link");
		put_form(w, jdoc_gets(c, "create"), "create", prefix);
		put_form(w, jdoc_gets(c, "link"), "link", prefix);
	} else if (str_eq(kind, STR("alert_action"))) {
		jwrite_member_text(w, "type", "alert-rule-action");
		put_member(w, c, "title");
		jwrite_key(w, "settings");
		jwrite_object(w);
		jwrite_member_text(w, "type", "alert-rule-settings");
		put_uri(w, prefix, STR("/ui/alert-rule-action"));
		put_member(w, c, "description");
		put_fields(w, c, 1, prefix);
		put_fields(w, c, 0, prefix);
		jwrite_object_end(w);
	} else {
		jwrite_member_text(w, "type", "stacktrace-link");
		put_uri(w, prefix, STR("/ui/stacktrace-link"));
	}
	jwrite_object_end(w);
}

size_t
ui_schema(const struct ui_script *scripts, size_t n, const char *prefix,
    struct buf *out)
{
	struct jwrite w = jwrite_begin(out, 2);
	struct jdoc doc = {0};
	const struct jval *c;
	size_t i, k, found = 0;

	for (k = 0; k < NELEMS(kinds); k++) {
		for (i = 0; i < n; i++) {
			c = find_kind(
			    components_of(&doc, scripts[i].declared), kinds[k]);
			if (c == NULL)
				continue;
			if (found++ == 0) {
				jwrite_object(&w);
				jwrite_key(&w, "elements");
				jwrite_array(&w);
			}
			put_component(&w, c, prefix);
		}
	}
	if (found > 0) {
		jwrite_array_end(&w);
		jwrite_object_end(&w);
	}
	jdoc_free(&doc);
	return found;
}

/* ---- who answers what ---------------------------------------------------- */

/* Call ${cb} for each options list of a form until it returns non-zero. */
static int
each_list(const struct jval *form,
    int (*cb)(const void *cookie, struct str name), const void *cookie)
{
	const struct jval *fields = fields_of(form), *e;
	size_t i;

	for (i = 0, e = fields + 1; i < fields->len; i++, e = jval_next(e)) {
		if (is_true(e, "dynamic") &&
		    cb(cookie, jdoc_get_str(e, "name")) != 0)
			return 1;
	}
	return 0;
}

/* The same for all components of a script. */
static int
each_list_of(const struct jval *components,
    int (*cb)(const void *cookie, struct str name), const void *cookie)
{
	const struct jval *c = find_kind(components, "issue_link");

	return each_list(find_kind(components, "alert_action"), cb, cookie) ||
	       each_list(jdoc_gets(c, "create"), cb, cookie) ||
	       each_list(jdoc_gets(c, "link"), cb, cookie);
}

static int
is_name(const void *cookie, struct str name)
{
	return str_eq(name, *(const struct str *)cookie);
}

int
ui_serves(const char *declared, struct str route)
{
	static const struct {
		const char *route;
		const char *kind;
	} fixed[] = {
	    {"alert-rule-action", "alert_action"},
	    {"issue-link/create", "issue_link"},
	    {"issue-link/link", "issue_link"},
	    {"stacktrace-link", "stacktrace_link"},
	};
	static const char options[] = "options/";
	struct jdoc doc = {0};
	const struct jval *components = components_of(&doc, declared);
	struct str name;
	size_t i;
	int serves = 0;

	for (i = 0; i < NELEMS(fixed); i++) {
		if (str_eq(route, str_of(fixed[i].route)))
			serves = find_kind(components, fixed[i].kind) != NULL;
	}
	if (route.len > sizeof(options) - 1 &&
	    memcmp(route.data, options, sizeof(options) - 1) == 0) {
		name = (struct str){route.data + sizeof(options) - 1,
		    route.len - (sizeof(options) - 1)};
		serves = each_list_of(components, is_name, &name);
	}
	jdoc_free(&doc);
	return serves;
}

/* What is looked for among the lists of another script, and what was found. */
struct clash {
	const struct jval *components; /* The other's. */
	struct str *found;
};

static int
is_taken(const void *cookie, struct str name)
{
	const struct clash *clash = cookie;

	if (!each_list_of(clash->components, is_name, &name))
		return 0;
	*clash->found = name;
	return 1;
}

/* What ${a} and ${b} both declare, or NULL; ${name} is that of a list. */
static const char *
find_clash(const struct jval *a, const struct jval *b, struct str *ret_name)
{
	const struct clash clash = {b, ret_name};
	size_t k;

	for (k = 0; k < NELEMS(kinds); k++)
		if (find_kind(a, kinds[k]) != NULL &&
		    find_kind(b, kinds[k]) != NULL)
			return kinds[k];
	return each_list_of(a, is_taken, &clash) ? "options" : NULL;
}

int
ui_conflict(const struct ui_script *script, const struct ui_script *others,
    size_t n, struct err *err)
{
	struct jdoc a = {0}, b = {0};
	const struct jval *ours = components_of(&a, script->declared);
	struct str name = {NULL, 0};
	const char *what;
	size_t i;
	int rc = 0;

	for (i = 0; i < n && rc == 0; i++) {
		what = find_clash(
		    ours, components_of(&b, others[i].declared), &name);
		if (what == NULL)
			continue;
		if (name.len > 0)
			rc = err_set(err, ERR_INVALID,
			    "%s: %s has an options function for a field '%.*s' "
			    "too: both would be /ui/options/%.*s",
			    script->chunk, others[i].chunk, (int)name.len,
			    name.data, (int)name.len, name.data);
		else
			rc = err_set(err, ERR_INVALID,
			    "%s: %s is declared in %s already: an integration "
			    "has one of each",
			    script->chunk, what, others[i].chunk);
	}
	jdoc_free(&a);
	jdoc_free(&b);
	return rc;
}
