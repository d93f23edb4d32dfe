#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/mem.h"

#include "lint/lint_event.h"
#include "lint/lint_internal.h"
#include "lint/lintlex.h"

#include "lint/lint.h"

/* Names that are compared with a misspelt one. */
#define MAX_CANDIDATES 1000

/* A name shorter than this is like any other. */
#define MIN_LIKE 3

/* ---- names -------------------------------------------------------------- */

static int
compare_names(const void *pa, const void *pb)
{
	const struct str *a = pa, *b = pb;
	const size_t n = a->len < b->len ? a->len : b->len;
	const int c = n == 0 ? 0 : memcmp(a->data, b->data, n);

	return c != 0 ? c : a->len < b->len ? -1 : a->len > b->len ? 1 : 0;
}

/* Sort a list and leave each name in it once; returns how many those are. */
static size_t
sort_names(struct str *list, size_t n)
{
	size_t i, kept = 0;

	if (n == 0)
		return 0;
	qsort(list, n, sizeof(*list), compare_names);
	for (i = 0; i < n; i++) {
		if (kept == 0 || !str_eq(list[kept - 1], list[i]))
			list[kept++] = list[i];
	}
	return kept;
}

static int
is_sorted_in(struct str name, const struct str *list, size_t n)
{
	return n > 0 &&
	       bsearch(&name, list, n, sizeof(*list), compare_names) != NULL;
}

static int
is_in(struct str name, const char *const *list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (str_eq(name, str_of(list[i])))
			return 1;
	}
	return 0;
}

const struct lint_local *
lint_find_local(const struct lint_walk *w, struct str name)
{
	size_t i;

	for (i = w->locals_n; i > 0; i--) {
		if (str_eq(w->locals[i - 1].name, name))
			return &w->locals[i - 1];
	}
	return NULL;
}

static int
compare_serials(const void *pa, const void *pb)
{
	const size_t *a = pa, *b = pb;

	return *a < *b ? -1 : *a > *b;
}

void
lint_add_local(struct lint_walk *w, struct str name, struct lint_value value)
{
	struct lint_local *local;

	if (w->locals_n == LINT_MAX_LOCALS) {
		lintlex_fail(&w->lx);
		return;
	}
	/* From here on a name is what somebody put into that table. */
	if (str_eq(name, STR("_ENV")))
		w->own_env = 1;
	w->locals = mem_grow(
	    w->locals, &w->locals_cap, w->locals_n + 1, sizeof(*w->locals));
	local = &w->locals[w->locals_n++];
	*local = (struct lint_local){name, ++w->serial, value};
	/* One that is changed later may be changed before, in a loop. */
	if (w->changed_n > 0 &&
	    bsearch(&local->serial, w->changed, w->changed_n,
		sizeof(*w->changed), compare_serials))
		local->value = (struct lint_value){0};
}

void
lint_note_changed(struct lint_walk *w, struct str name)
{
	const struct lint_local *local = lint_find_local(w, name);

	if (w->report != NULL || local == NULL)
		return;
	w->changed = mem_grow(
	    w->changed, &w->changed_cap, w->changed_n + 1, sizeof(*w->changed));
	w->changed[w->changed_n++] = local->serial;
}

static void
add_name(struct str **list, size_t *n, size_t *cap, struct str name)
{
	*list = mem_grow(*list, cap, *n + 1, sizeof(**list));
	(*list)[(*n)++] = name;
}

void
lint_note_field(struct lint_walk *w, struct str field)
{
	if (w->report == NULL)
		add_name(&w->fields, &w->fields_n, &w->fields_cap, field);
}

/* ---- findings ----------------------------------------------------------- */

/* All that ${name} may have been meant to be; the caller frees the list with
 * free_candidates(). */
static char **
list_candidates(const struct lint_walk *w, size_t *ret_n)
{
	static const char *const constants[] = {"nil", "true", "false"};
	char **list = mem_array(MAX_CANDIDATES, sizeof(*list));
	size_t i, n = 0;

	/* The innermost first, as that is what is meant if two are alike. */
	for (i = w->locals_n; i > 0 && n < MAX_CANDIDATES; i--)
		list[n++] = mem_strndup(
		    w->locals[i - 1].name.data, w->locals[i - 1].name.len);
	for (i = 0; i < NELEMS(constants) && n < MAX_CANDIDATES; i++)
		list[n++] = mem_strdup(constants[i]);
	for (i = 0; i < w->assigned_n && n < MAX_CANDIDATES; i++)
		list[n++] =
		    mem_strndup(w->assigned[i].data, w->assigned[i].len);
	for (i = 0; i < w->known->globals_n && n < MAX_CANDIDATES; i++)
		if (strchr(w->known->globals[i], '.') == NULL)
			list[n++] = mem_strdup(w->known->globals[i]);
	*ret_n = n;
	return list;
}

static void
free_candidates(char **list, size_t n)
{
	while (n > 0)
		free(list[--n]);
	free(list);
}

static void
tell(struct lint_walk *w, const struct lintlex_token *where, const char *code,
    const struct buf *message)
{
	w->report(
	    w->cookie, where->line, where->column, code, buf_text(message));
	w->reports++;
}

static void
report_global(struct lint_walk *w, const struct lintlex_token *where)
{
	struct buf message = BUF_INIT;
	const char *closest = NULL;
	char *name, **candidates;
	size_t n;

	name = mem_strndup(where->text.data, where->text.len);
	candidates = list_candidates(w, &n);
	if (where->text.len >= MIN_LIKE)
		closest = str_closest(
		    name, (const char *const *)(void *)candidates, n);
	buf_printf(&message, "undefined global '%.100s'", name);
	if (closest != NULL)
		buf_printf(&message, " (did you mean '%s'?)", closest);
	tell(w, where, "undefined-global", &message);
	free_candidates(candidates, n);
	free(name);
	buf_free(&message);
}

static void
report_handler(struct lint_walk *w, const struct lintlex_token *where)
{
	struct buf message = BUF_INIT;
	const char *closest;
	char *name;

	name = mem_strndup(where->text.data, where->text.len);
	closest = str_closest(name, w->known->handlers, w->known->handlers_n);
	buf_printf(&message, "unknown handler '%.100s'", name);
	if (closest != NULL)
		buf_printf(&message, ", did you mean '%s'?", closest);
	/* One that is like no handler and that the script calls itself is a
	 * function like any other. */
	if (closest != NULL || !is_sorted_in(where->text, w->read, w->read_n)) {
		tell(w, where, "unknown-handler", &message);
	}
	free(name);
	buf_free(&message);
}

/* A global is read. */
void
lint_note_read(struct lint_walk *w, const struct lintlex_token *where)
{
	/* Whoever has the table can put anything into it. */
	if (str_eq(where->text, STR("_G")) ||
	    str_eq(where->text, STR("_ENV"))) {
		w->dynamic = 1;
		return;
	}
	if (w->report == NULL) {
		add_name(&w->read, &w->read_n, &w->read_cap, where->text);
		return;
	}
	if (w->dynamic || w->reports >= LINT_MAX_REPORTS ||
	    is_in(where->text, w->known->globals, w->known->globals_n) ||
	    is_sorted_in(where->text, w->assigned, w->assigned_n))
		return;
	report_global(w, where);
}

/* A global is assigned to. */
void
lint_note_assigned(struct lint_walk *w, const struct lintlex_token *where)
{
	if (str_eq(where->text, STR("_ENV"))) {
		w->own_env = 1;
		return;
	}
	if (w->report == NULL) {
		add_name(&w->assigned, &w->assigned_n, &w->assigned_cap,
		    where->text);
		return;
	}
	if (w->reports < LINT_MAX_REPORTS && where->text.len > 3 &&
	    memcmp(where->text.data, "on_", 3) == 0 &&
	    !is_in(where->text, w->known->handlers, w->known->handlers_n))
		report_handler(w, where);
}
/* Tell what ${message} says, if it says anything. */
static void
tell_field(
    struct lint_walk *w, const struct lintlex_token *where, struct buf *message)
{
	/* What a script has put there itself is there. */
	if (message->len > 0 && w->reports < LINT_MAX_REPORTS &&
	    !is_sorted_in(where->text, w->fields, w->fields_n))
		tell(w, where, "unknown-field", message);
	buf_free(message);
}

struct lint_value
lint_read_field(struct lint_walk *w, struct lint_value value,
    const struct lintlex_token *where)
{
	struct buf message = BUF_INIT;

	if (value.shape == NULL || w->known == NULL)
		return (struct lint_value){0};
	value =
	    lint_event_field(w->known->events, value, where->text, &message);
	tell_field(w, where, &message);
	return value;
}

void
lint_compare(struct lint_walk *w, struct lint_value value,
    const struct lintlex_token *text)
{
	struct buf message = BUF_INIT;

	if (value.shape == NULL || text->kind != LINTLEX_STRING ||
	    w->reports >= LINT_MAX_REPORTS ||
	    memchr(text->text.data, '\\', text->text.len) != NULL)
		return;
	lint_event_compare(value, text->text, &message);
	if (message.len > 0)
		tell(w, text, "unknown-value", &message);
	buf_free(&message);
}

struct lint_value
lint_items(struct lint_walk *w, struct lint_value value)
{
	if (value.shape == NULL || w->known == NULL)
		return (struct lint_value){0};
	return lint_event_items(w->known->events, value);
}

void
lint_read_method(struct lint_walk *w, struct lint_value value,
    const struct lintlex_token *where)
{
	struct buf message = BUF_INIT;

	if (value.shape == NULL)
		return;
	lint_event_method(value, where->text, &message);
	tell_field(w, where, &message);
}

struct lint_value
lint_parameter(const struct lint_walk *w, struct str function)
{
	if (w->known == NULL)
		return (struct lint_value){0};
	return lint_event_of(w->known->events, function);
}

struct lint_value
lint_either(struct lint_walk *w, struct lint_value a, struct lint_value b)
{
	if (w->known == NULL)
		return (struct lint_value){0};
	return lint_event_either(w->known->events, a, b);
}

/* Whether a known name begins with ${prefix}; ${ret_names} gets what follows
 * it in each (room for MAX_CANDIDATES). */
static size_t
list_fields(
    const struct lint_known *known, const char *prefix, const char **ret_names)
{
	size_t len = strlen(prefix), i, n = 0;

	for (i = 0; i < known->globals_n && n < MAX_CANDIDATES; i++)
		if (strncmp(known->globals[i], prefix, len) == 0)
			ret_names[n++] = known->globals[i] + len;
	return n;
}

void
lint_read_module(
    struct lint_walk *w, struct str global, const struct lintlex_token *where)
{
	const char **names, *closest;
	struct buf message = BUF_INIT;
	char *prefix, *name;
	size_t n, i;

	if (w->known == NULL || w->dynamic ||
	    is_sorted_in(global, w->assigned, w->assigned_n))
		return;
	prefix = mem_printf("%.*s.", (int)global.len, global.data);
	name = mem_strndup(where->text.data, where->text.len);
	names = mem_array(MAX_CANDIDATES, sizeof(*names));
	n = list_fields(w->known, prefix, names);
	for (i = 0; i < n && strcmp(names[i], name) != 0; i++)
		continue;
	if (n > 0 && i == n) {
		buf_printf(&message, "there is no %s%.100s", prefix, name);
		closest = str_closest(name, names, n);
		if (closest != NULL)
			buf_printf(
			    &message, ", did you mean %s%s?", prefix, closest);
	}
	tell_field(w, where, &message);
	free(names);
	free(name);
	free(prefix);
}

/* The first walk. */
static int
learn(struct lint_walk *w, struct str source)
{
	if (lint_walk_source(w, source) == -1)
		return -1;
	w->assigned_n = sort_names(w->assigned, w->assigned_n);
	w->read_n = sort_names(w->read, w->read_n);
	w->fields_n = sort_names(w->fields, w->fields_n);
	if (w->changed_n > 0)
		qsort(w->changed, w->changed_n, sizeof(*w->changed),
		    compare_serials);
	return 0;
}

static void
clear(struct lint_walk *w)
{
	free(w->locals);
	free(w->assigned);
	free(w->read);
	free(w->fields);
	free(w->changed);
}

void
lint_check(struct str source, const struct lint_known *known,
    lint_report_cb *report, void *cookie)
{
	struct lint_walk w = {0};

	if (learn(&w, source) == 0 && !w.own_env) {
		w.known = known;
		w.report = report;
		w.cookie = cookie;
		(void)lint_walk_source(&w, source);
	}
	clear(&w);
}

void
lint_globals(struct str source, lint_global_cb *found, void *cookie)
{
	struct lint_walk w = {0};
	size_t i;

	if (learn(&w, source) == 0) {
		for (i = 0; i < w.assigned_n; i++)
			found(cookie, w.assigned[i]);
	}
	clear(&w);
}
