#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/mem.h"

#include "lint/lintlex.h"

#include "lint/lint.h"

/* Names that are compared with a misspelt one. */
#define MAX_CANDIDATES 1000

/* Names that one statement declares; Lua's limit is a function's 200. */
#define MAX_NAMES 200

/* A name shorter than this is like any other. */
#define MIN_LIKE 3

/*
 * One walk over a source.  The first walk only learns which globals are
 * assigned; the second, which knows them, reports.
 */
struct walk {
	struct lintlex lx;
	unsigned int depth;
	struct str *locals; /* Those in scope, the innermost last. */
	size_t locals_n;
	size_t locals_cap;
	struct str *assigned; /* Globals; sorted before the second walk. */
	size_t assigned_n;
	size_t assigned_cap;
	struct str *read; /* Globals that are read, the same. */
	size_t read_n;
	size_t read_cap;
	int dynamic; /* Globals may come from elsewhere. */
	int own_env; /* What looks like a global may be none. */

	/* Second walk only; NULL in the first. */
	const struct lint_known *known;
	lint_report_cb *report;
	void *cookie;
	unsigned int reports;
};

/* What an expression that may be assigned to is. */
enum operand_kind {
	OPERAND_OTHER,
	OPERAND_GLOBAL, /* A bare name that is no local. */
	OPERAND_FIELD,  /* A global again, by way of _G. */
};

struct operand {
	enum operand_kind kind;
	struct lintlex_token token; /* The name. */
};

static void walk_block(struct walk *w);
static void walk_expression(struct walk *w);

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

static int
is_local(const struct walk *w, struct str name)
{
	size_t i;

	for (i = w->locals_n; i > 0; i--) {
		if (str_eq(w->locals[i - 1], name))
			return 1;
	}
	return 0;
}

static void
add_local(struct walk *w, struct str name)
{
	if (w->locals_n == LINT_MAX_LOCALS) {
		lintlex_fail(&w->lx);
		return;
	}
	/* From here on a name is what somebody put into that table. */
	if (str_eq(name, STR("_ENV")))
		w->own_env = 1;
	w->locals = mem_grow(
	    w->locals, &w->locals_cap, w->locals_n + 1, sizeof(*w->locals));
	w->locals[w->locals_n++] = name;
}

/* ---- findings ----------------------------------------------------------- */

/* All that ${name} may have been meant to be; the caller frees the list with
 * free_candidates(). */
static char **
list_candidates(const struct walk *w, size_t *ret_n)
{
	static const char *const constants[] = {"nil", "true", "false"};
	char **list = mem_array(MAX_CANDIDATES, sizeof(*list));
	size_t i, n = 0;

	/* The innermost first, as that is what is meant if two are alike. */
	for (i = w->locals_n; i > 0 && n < MAX_CANDIDATES; i--)
		list[n++] =
		    mem_strndup(w->locals[i - 1].data, w->locals[i - 1].len);
	for (i = 0; i < NELEMS(constants) && n < MAX_CANDIDATES; i++)
		list[n++] = mem_strdup(constants[i]);
	for (i = 0; i < w->assigned_n && n < MAX_CANDIDATES; i++)
		list[n++] =
		    mem_strndup(w->assigned[i].data, w->assigned[i].len);
	for (i = 0; i < w->known->globals_n && n < MAX_CANDIDATES; i++)
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
report_global(struct walk *w, const struct lintlex_token *where)
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
	w->report(w->cookie, where->line, where->column, message.data);
	w->reports++;
	free_candidates(candidates, n);
	free(name);
	buf_free(&message);
}

static void
report_handler(struct walk *w, const struct lintlex_token *where)
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
		w->report(w->cookie, where->line, where->column, message.data);
		w->reports++;
	}
	free(name);
	buf_free(&message);
}

/* A global is read. */
static void
note_read(struct walk *w, const struct lintlex_token *where)
{
	/* Whoever has the table can put anything into it. */
	if (str_eq(where->text, STR("_G")) ||
	    str_eq(where->text, STR("_ENV"))) {
		w->dynamic = 1;
		return;
	}
	if (w->report == NULL) {
		w->read = mem_grow(
		    w->read, &w->read_cap, w->read_n + 1, sizeof(*w->read));
		w->read[w->read_n++] = where->text;
		return;
	}
	if (w->dynamic || w->reports >= LINT_MAX_REPORTS ||
	    is_in(where->text, w->known->globals, w->known->globals_n) ||
	    is_sorted_in(where->text, w->assigned, w->assigned_n))
		return;
	report_global(w, where);
}

/* A global is assigned to. */
static void
note_assigned(struct walk *w, const struct lintlex_token *where)
{
	if (str_eq(where->text, STR("_ENV"))) {
		w->own_env = 1;
		return;
	}
	if (w->report == NULL) {
		w->assigned = mem_grow(w->assigned, &w->assigned_cap,
		    w->assigned_n + 1, sizeof(*w->assigned));
		w->assigned[w->assigned_n++] = where->text;
		return;
	}
	if (w->reports < LINT_MAX_REPORTS && where->text.len > 3 &&
	    memcmp(where->text.data, "on_", 3) == 0 &&
	    !is_in(where->text, w->known->handlers, w->known->handlers_n))
		report_handler(w, where);
}

/* ---- tokens ------------------------------------------------------------- */

static int
at(const struct walk *w, int kind)
{
	return w->lx.token.kind == kind;
}

static int
take(struct walk *w, int kind)
{
	if (!at(w, kind))
		return 0;
	lintlex_next(&w->lx);
	return 1;
}

static void
expect(struct walk *w, int kind)
{
	if (!take(w, kind))
		lintlex_fail(&w->lx);
}

static struct lintlex_token
expect_name(struct walk *w)
{
	const struct lintlex_token name = w->lx.token;

	expect(w, LINTLEX_NAME);
	return name;
}

/* Every recursion goes through here, so that no source can overflow the
 * stack. */
static void
enter(struct walk *w)
{
	if (++w->depth > LINT_MAX_DEPTH)
		lintlex_fail(&w->lx);
}

static void
leave(struct walk *w)
{
	w->depth--;
}

/* ---- expressions -------------------------------------------------------- */

static void
walk_expressions(struct walk *w)
{
	do
		walk_expression(w);
	while (take(w, ','));
}

/* Parameters and body, behind the word and the name. */
static void
walk_function(struct walk *w, int is_method)
{
	const size_t outer = w->locals_n;

	if (is_method)
		add_local(w, STR("self"));
	expect(w, '(');
	while (!at(w, ')') && !at(w, LINTLEX_END)) {
		if (!take(w, LINTLEX_DOTS))
			add_local(w, expect_name(w).text);
		if (!take(w, ','))
			break;
	}
	expect(w, ')');
	walk_block(w);
	expect(w, LINTLEX_ENDBLOCK);
	w->locals_n = outer;
}

static void
walk_table(struct walk *w)
{
	struct lintlex before;

	expect(w, '{');
	while (!at(w, '}') && !at(w, LINTLEX_END)) {
		if (take(w, '[')) {
			walk_expression(w);
			expect(w, ']');
			expect(w, '=');
		} else if (at(w, LINTLEX_NAME)) {
			/* A key, unless what follows tells otherwise. */
			before = w->lx;
			lintlex_next(&w->lx);
			if (!take(w, '='))
				w->lx = before;
		}
		walk_expression(w);
		if (!take(w, ',') && !take(w, ';'))
			break;
	}
	expect(w, '}');
}

static int
at_arguments(const struct walk *w)
{
	return at(w, '(') || at(w, '{') || at(w, LINTLEX_STRING);
}

static void
walk_arguments(struct walk *w)
{
	if (take(w, '(')) {
		if (!at(w, ')'))
			walk_expressions(w);
		expect(w, ')');
	} else if (at(w, '{')) {
		walk_table(w);
	} else {
		expect(w, LINTLEX_STRING);
	}
}

/* A field, an index, a method or a call, if one follows. */
static int
walk_suffix(struct walk *w)
{
	if (take(w, '.')) {
		(void)expect_name(w);
	} else if (take(w, '[')) {
		walk_expression(w);
		expect(w, ']');
	} else if (take(w, ':')) {
		(void)expect_name(w);
		walk_arguments(w);
	} else if (at_arguments(w)) {
		walk_arguments(w);
	} else {
		return 0;
	}
	return 1;
}

/* _G.name or _G["name"], behind _G; nothing if it is something else. */
static void
walk_global_field(struct walk *w, struct operand *op)
{
	const struct lintlex before = w->lx;
	struct lintlex_token name;

	if (take(w, '.')) {
		op->token = expect_name(w);
		op->kind = OPERAND_FIELD;
		return;
	}
	if (take(w, '[')) {
		name = w->lx.token;
		if (take(w, LINTLEX_STRING) && take(w, ']')) {
			op->token = name;
			op->kind = OPERAND_FIELD;
			return;
		}
	}
	w->lx = before;
}

/* A name or a parenthesis, with what is behind it. */
static struct operand
walk_suffixed(struct walk *w)
{
	struct operand op = {OPERAND_OTHER, w->lx.token};

	if (take(w, '(')) {
		walk_expression(w);
		expect(w, ')');
	} else {
		op.token = expect_name(w);
		if (!is_local(w, op.token.text))
			op.kind = OPERAND_GLOBAL;
	}

	/* Alone it may be assigned to; with more behind it, it is read. */
	if (op.kind == OPERAND_GLOBAL &&
	    (str_eq(op.token.text, STR("_G")) ||
		str_eq(op.token.text, STR("_ENV"))))
		walk_global_field(w, &op);
	if ((at(w, '.') || at(w, '[') || at(w, ':') || at_arguments(w)) &&
	    op.kind == OPERAND_GLOBAL)
		note_read(w, &op.token);
	while (walk_suffix(w))
		op.kind = OPERAND_OTHER;
	return op;
}

static void
walk_operand(struct walk *w)
{
	struct operand op;

	while (at(w, '-') || at(w, '~') || at(w, '#') || at(w, LINTLEX_NOT))
		lintlex_next(&w->lx);
	if (take(w, LINTLEX_NUMBER) || take(w, LINTLEX_STRING) ||
	    take(w, LINTLEX_NIL) || take(w, LINTLEX_TRUE) ||
	    take(w, LINTLEX_FALSE) || take(w, LINTLEX_DOTS))
		return;
	if (at(w, '{')) {
		walk_table(w);
	} else if (take(w, LINTLEX_FUNCTION)) {
		walk_function(w, 0);
	} else {
		op = walk_suffixed(w);
		if (op.kind == OPERAND_GLOBAL)
			note_read(w, &op.token);
	}
}

/* Which operator binds how strongly changes nothing about names. */
static void
walk_expression(struct walk *w)
{
	enter(w);
	do
		walk_operand(w);
	while (take(w, LINTLEX_BINARY) || take(w, '-') || take(w, '~') ||
	       take(w, '<') || take(w, '>') || take(w, LINTLEX_AND) ||
	       take(w, LINTLEX_OR));
	leave(w);
}

/* ---- statements --------------------------------------------------------- */

/* A block with names of its own, up to the word that ends it. */
static void
walk_scope(struct walk *w)
{
	const size_t outer = w->locals_n;

	walk_block(w);
	w->locals_n = outer;
}

/* if, elseif, else. */
static void
walk_if(struct walk *w)
{
	do {
		walk_expression(w);
		expect(w, LINTLEX_THEN);
		walk_scope(w);
	} while (take(w, LINTLEX_ELSEIF));
	if (take(w, LINTLEX_ELSE))
		walk_scope(w);
	expect(w, LINTLEX_ENDBLOCK);
}

/* The names come into being behind the expressions. */
static void
walk_for(struct walk *w)
{
	const size_t outer = w->locals_n;
	struct str names[MAX_NAMES];
	size_t i, n = 0;

	do {
		if (n == NELEMS(names)) {
			lintlex_fail(&w->lx);
			return;
		}
		names[n++] = expect_name(w).text;
	} while (take(w, ','));
	if (!take(w, '='))
		expect(w, LINTLEX_IN);
	walk_expressions(w);
	expect(w, LINTLEX_DO);
	for (i = 0; i < n; i++)
		add_local(w, names[i]);
	walk_block(w);
	expect(w, LINTLEX_ENDBLOCK);
	w->locals_n = outer;
}

/* function a.b:c() ... end */
static void
walk_named_function(struct walk *w)
{
	struct operand op = {OPERAND_OTHER, expect_name(w)};
	int is_method = 0;

	if (!is_local(w, op.token.text))
		op.kind = OPERAND_GLOBAL;
	if (op.kind == OPERAND_GLOBAL && str_eq(op.token.text, STR("_G")))
		walk_global_field(w, &op);
	if ((at(w, '.') || at(w, ':')) && op.kind == OPERAND_GLOBAL)
		note_read(w, &op.token);
	while (take(w, '.')) {
		(void)expect_name(w);
		op.kind = OPERAND_OTHER;
	}
	if (take(w, ':')) {
		(void)expect_name(w);
		op.kind = OPERAND_OTHER;
		is_method = 1;
	}
	if (op.kind != OPERAND_OTHER)
		note_assigned(w, &op.token);
	walk_function(w, is_method);
}

/* local function a() ... end, local a <const>, b = 1, 2 */
static void
walk_local(struct walk *w)
{
	struct str names[MAX_NAMES];
	size_t i, n = 0;

	if (take(w, LINTLEX_FUNCTION)) {
		add_local(w, expect_name(w).text);
		walk_function(w, 0);
		return;
	}
	do {
		if (n == NELEMS(names)) {
			lintlex_fail(&w->lx);
			return;
		}
		names[n++] = expect_name(w).text;
		if (take(w, '<')) {
			(void)expect_name(w);
			expect(w, '>');
		}
	} while (take(w, ','));
	if (take(w, '='))
		walk_expressions(w);
	for (i = 0; i < n; i++)
		add_local(w, names[i]);
}

/* A call, or an assignment to one thing or to several. */
static void
walk_assignment(struct walk *w)
{
	struct operand op;
	int several = 0;

	for (;;) {
		op = walk_suffixed(w);
		several |= at(w, ',');
		if (op.kind != OPERAND_OTHER && (several || at(w, '=')))
			note_assigned(w, &op.token);
		else if (op.kind == OPERAND_GLOBAL)
			note_read(w, &op.token);
		if (!take(w, ','))
			break;
	}
	if (take(w, '='))
		walk_expressions(w);
	else if (several)
		lintlex_fail(&w->lx);
}

static void
walk_repeat(struct walk *w)
{
	const size_t outer = w->locals_n;

	/* The condition sees the names of the block. */
	walk_block(w);
	expect(w, LINTLEX_UNTIL);
	walk_expression(w);
	w->locals_n = outer;
}

static void
walk_statement(struct walk *w)
{
	if (take(w, ';') || take(w, LINTLEX_BREAK))
		return;
	if (take(w, LINTLEX_LABEL)) {
		(void)expect_name(w);
		expect(w, LINTLEX_LABEL);
	} else if (take(w, LINTLEX_GOTO)) {
		(void)expect_name(w);
	} else if (take(w, LINTLEX_DO)) {
		walk_scope(w);
		expect(w, LINTLEX_ENDBLOCK);
	} else if (take(w, LINTLEX_WHILE)) {
		walk_expression(w);
		expect(w, LINTLEX_DO);
		walk_scope(w);
		expect(w, LINTLEX_ENDBLOCK);
	} else if (take(w, LINTLEX_REPEAT)) {
		walk_repeat(w);
	} else if (take(w, LINTLEX_IF)) {
		walk_if(w);
	} else if (take(w, LINTLEX_FOR)) {
		walk_for(w);
	} else if (take(w, LINTLEX_FUNCTION)) {
		walk_named_function(w);
	} else if (take(w, LINTLEX_LOCAL)) {
		walk_local(w);
	} else {
		walk_assignment(w);
	}
}

static int
at_block_end(const struct walk *w)
{
	return at(w, LINTLEX_END) || at(w, LINTLEX_ENDBLOCK) ||
	       at(w, LINTLEX_ELSE) || at(w, LINTLEX_ELSEIF) ||
	       at(w, LINTLEX_UNTIL);
}

static void
walk_block(struct walk *w)
{
	enter(w);
	while (!at_block_end(w)) {
		if (take(w, LINTLEX_RETURN)) {
			if (!at_block_end(w) && !at(w, ';'))
				walk_expressions(w);
			(void)take(w, ';');
			break;
		}
		walk_statement(w);
	}
	leave(w);
}

/* Once over the source; -1 if it is not Lua. */
static int
walk_source(struct walk *w, struct str source)
{
	w->lx = lintlex_begin(source);
	w->depth = 0;
	w->locals_n = 0;
	walk_block(w);
	return w->lx.failed || !at(w, LINTLEX_END) ? -1 : 0;
}

/* The first walk. */
static int
learn(struct walk *w, struct str source)
{
	if (walk_source(w, source) == -1)
		return -1;
	w->assigned_n = sort_names(w->assigned, w->assigned_n);
	w->read_n = sort_names(w->read, w->read_n);
	return 0;
}

static void
clear(struct walk *w)
{
	free(w->locals);
	free(w->assigned);
	free(w->read);
}

void
lint_check(struct str source, const struct lint_known *known,
    lint_report_cb *report, void *cookie)
{
	struct walk w = {0};

	if (learn(&w, source) == 0 && !w.own_env) {
		w.known = known;
		w.report = report;
		w.cookie = cookie;
		(void)walk_source(&w, source);
	}
	clear(&w);
}

void
lint_globals(struct str source, lint_global_cb *found, void *cookie)
{
	struct walk w = {0};
	size_t i;

	if (learn(&w, source) == 0) {
		for (i = 0; i < w.assigned_n; i++)
			found(cookie, w.assigned[i]);
	}
	clear(&w);
}
