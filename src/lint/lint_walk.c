#include "base/compiler.h"

#include "lint/lintlex.h"

#include "lint/lint_internal.h"

/* Names that one statement declares; Lua's limit is a function's 200. */
#define MAX_NAMES 200

/* What an expression that may be assigned to is. */
enum operand_kind {
	OPERAND_OTHER,
	OPERAND_GLOBAL, /* A bare name that is no local. */
	OPERAND_LOCAL,  /* A bare name that is one. */
	OPERAND_FIELD,  /* A global again, by way of _G. */
	OPERAND_MEMBER, /* A named field of something. */
	OPERAND_CALL,
};

struct operand {
	enum operand_kind kind;
	struct lintlex_token token; /* The name. */
	struct lint_value value;    /* What it is, MEMBER: what has it. */
	struct str module;          /* MEMBER: of which global; or empty. */
};

static const struct lint_value unknown;

static void walk_block(struct lint_walk *w);
static struct lint_value walk_expression(struct lint_walk *w);

/* ---- tokens ------------------------------------------------------------- */

static int
at(const struct lint_walk *w, int kind)
{
	return w->lx.token.kind == kind;
}

static int
take(struct lint_walk *w, int kind)
{
	if (!at(w, kind))
		return 0;
	lintlex_next(&w->lx);
	return 1;
}

static void
expect(struct lint_walk *w, int kind)
{
	if (!take(w, kind))
		lintlex_fail(&w->lx);
}

static struct lintlex_token
expect_name(struct lint_walk *w)
{
	const struct lintlex_token name = w->lx.token;

	expect(w, LINTLEX_NAME);
	return name;
}

/* Every recursion goes through here, so that no source can overflow the
 * stack. */
static void
enter(struct lint_walk *w)
{
	if (++w->depth > LINT_MAX_DEPTH)
		lintlex_fail(&w->lx);
}

static void
leave(struct lint_walk *w)
{
	w->depth--;
}

/* ---- expressions -------------------------------------------------------- */

/* A list; what the first ${max} are is kept in ${values} (NULL: not). */
static void
walk_expressions(struct lint_walk *w, struct lint_value *values, size_t max)
{
	struct lint_value value;
	size_t n = 0;

	do {
		value = walk_expression(w);
		if (n < max)
			values[n++] = value;
	} while (take(w, ','));
}

/* Parameters and body, behind the word and the name; what the first parameter
 * is. */
static void
walk_function(struct lint_walk *w, int is_method, struct lint_value first)
{
	const size_t outer = w->locals_n;

	if (is_method)
		lint_add_local(w, STR("self"), unknown);
	expect(w, '(');
	while (!at(w, ')') && !at(w, LINTLEX_END)) {
		if (!take(w, LINTLEX_DOTS))
			lint_add_local(w, expect_name(w).text, first);
		first = unknown;
		if (!take(w, ','))
			break;
	}
	expect(w, ')');
	walk_block(w);
	expect(w, LINTLEX_ENDBLOCK);
	w->locals_n = outer;
}

static void
walk_table(struct lint_walk *w)
{
	struct lintlex before;

	expect(w, '{');
	while (!at(w, '}') && !at(w, LINTLEX_END)) {
		if (take(w, '[')) {
			(void)walk_expression(w);
			expect(w, ']');
			expect(w, '=');
		} else if (at(w, LINTLEX_NAME)) {
			/* A key, unless what follows tells otherwise. */
			before = w->lx;
			lintlex_next(&w->lx);
			if (!take(w, '='))
				w->lx = before;
		}
		(void)walk_expression(w);
		if (!take(w, ',') && !take(w, ';'))
			break;
	}
	expect(w, '}');
}

static int
at_arguments(const struct lint_walk *w)
{
	return at(w, '(') || at(w, '{') || at(w, LINTLEX_STRING);
}

/* Arguments; what the first parameter is of a function that is written there.
 */
static void
walk_arguments(struct lint_walk *w, struct lint_value first)
{
	if (take(w, '(')) {
		if (take(w, ')'))
			return;
		do {
			if (first.shape != NULL && take(w, LINTLEX_FUNCTION))
				walk_function(w, 0, first);
			else
				(void)walk_expression(w);
		} while (take(w, ','));
		expect(w, ')');
	} else if (at(w, '{')) {
		walk_table(w);
	} else {
		expect(w, LINTLEX_STRING);
	}
}

/* What an operand is, now that more follows, or nothing does. */
static void
settle(struct lint_walk *w, struct operand *op)
{
	if (op->kind == OPERAND_MEMBER)
		op->value = lint_read_field(w, op->value, &op->token);
	op->kind = OPERAND_OTHER;
}

/* [expression], behind the bracket. */
static void
walk_index(struct lint_walk *w, struct operand *op)
{
	const struct lintlex before = w->lx;
	const struct lintlex_token key = w->lx.token;

	/* A name in quotes is a name. */
	if (take(w, LINTLEX_STRING) && take(w, ']')) {
		op->kind = OPERAND_MEMBER;
		op->token = key;
		return;
	}
	w->lx = before;
	(void)walk_expression(w);
	expect(w, ']');
	op->value = lint_items(w, op->value);
}

/* What a function gets that is handed to schedule.every() or cron(). */
static struct lint_value
callback_of(struct lint_walk *w, const struct operand *op)
{
	if (op->kind != OPERAND_MEMBER || !str_eq(op->module, STR("schedule")))
		return unknown;
	return lint_parameter(w, STR(LINT_SCHEDULE));
}

/* A field, an index, a method or a call, if one follows. */
static int
walk_suffix(struct lint_walk *w, struct operand *op)
{
	struct lintlex_token name;
	struct lint_value first;

	if (take(w, '.')) {
		op->module =
		    op->kind == OPERAND_GLOBAL ? op->token.text : STR("");
		settle(w, op);
		op->token = expect_name(w);
		op->kind = OPERAND_MEMBER;
	} else if (take(w, '[')) {
		settle(w, op);
		walk_index(w, op);
	} else if (take(w, ':')) {
		settle(w, op);
		name = expect_name(w);
		lint_read_method(w, op->value, &name);
		walk_arguments(w, unknown);
		op->value = unknown;
		op->kind = OPERAND_CALL;
	} else if (at_arguments(w)) {
		first = callback_of(w, op);
		settle(w, op);
		walk_arguments(w, first);
		op->value = unknown;
		op->kind = OPERAND_CALL;
	} else {
		return 0;
	}
	return 1;
}

/* _G.name or _G["name"], behind _G; nothing if it is something else. */
static void
walk_global_field(struct lint_walk *w, struct operand *op)
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

static int
is_environment(struct str name)
{
	return str_eq(name, STR("_G")) || str_eq(name, STR("_ENV"));
}

/* A global with more behind it is read; so is the field of a module. */
static void
walk_global(struct lint_walk *w, const struct operand *op)
{
	const struct lintlex before = w->lx;
	struct lintlex_token name;

	lint_note_read(w, &op->token);
	if (!take(w, '.'))
		return;
	name = w->lx.token;
	if (take(w, LINTLEX_NAME) && !at(w, '='))
		lint_read_module(w, op->token.text, &name);
	w->lx = before;
}

/* A name or a parenthesis, with what is behind it. */
static struct operand
walk_suffixed(struct lint_walk *w)
{
	struct operand op = {OPERAND_OTHER, w->lx.token, unknown, {0}};
	const struct lint_local *local;

	if (take(w, '(')) {
		op.value = walk_expression(w);
		expect(w, ')');
	} else {
		op.token = expect_name(w);
		local = lint_find_local(w, op.token.text);
		op.kind = local == NULL ? OPERAND_GLOBAL : OPERAND_LOCAL;
		if (local != NULL)
			op.value = local->value;
	}

	/* Alone it may be assigned to; with more behind it, it is read. */
	if (op.kind == OPERAND_GLOBAL && is_environment(op.token.text))
		walk_global_field(w, &op);
	if ((at(w, '.') || at(w, '[') || at(w, ':') || at_arguments(w)) &&
	    op.kind == OPERAND_GLOBAL)
		walk_global(w, &op);
	while (walk_suffix(w, &op))
		continue;
	return op;
}

static int
take_constant(struct lint_walk *w)
{
	return take(w, LINTLEX_NUMBER) || take(w, LINTLEX_STRING) ||
	       take(w, LINTLEX_NIL) || take(w, LINTLEX_TRUE) ||
	       take(w, LINTLEX_FALSE) || take(w, LINTLEX_DOTS);
}

/* What one operand of an expression is. */
struct operand_value {
	struct lint_value value;
	int is_fixed; /* A constant, or a table that is written there. */
	struct lintlex_token text; /* If it is text that is written there. */
};

static struct operand_value
walk_operand(struct lint_walk *w)
{
	struct operand_value v = {unknown, 0, w->lx.token};
	struct operand op;
	int is_changed = 0;

	for (; at(w, '-') || at(w, '~') || at(w, '#') || at(w, LINTLEX_NOT);
	     is_changed = 1)
		lintlex_next(&w->lx);
	v.is_fixed = 1;
	if (take_constant(w)) {
		if (is_changed)
			v.text.kind = LINTLEX_END;
		return v;
	}
	if (at(w, '{')) {
		walk_table(w);
		return v;
	}
	v.is_fixed = 0;
	if (take(w, LINTLEX_FUNCTION)) {
		walk_function(w, 0, unknown);
		return v;
	}
	op = walk_suffixed(w);
	if (op.kind == OPERAND_GLOBAL)
		lint_note_read(w, &op.token);
	settle(w, &op);
	if (!is_changed)
		v.value = op.value;
	return v;
}

static int
at_operator(const struct lint_walk *w)
{
	return at(w, LINTLEX_BINARY) || at(w, LINTLEX_EQUAL) || at(w, '-') ||
	       at(w, '~') || at(w, '<') || at(w, '>');
}

/* Operands up to the next `and` or `or`.  What stands alone on both sides of
 * == is compared. */
static struct operand_value
walk_operands(struct lint_walk *w)
{
	struct operand_value v = walk_operand(w), left;
	int alone = 1, is_equal;

	while (at_operator(w)) {
		is_equal = at(w, LINTLEX_EQUAL);
		lintlex_next(&w->lx);
		left = v;
		v = walk_operand(w);
		if (is_equal && alone && !at_operator(w)) {
			lint_compare(w, left.value, &v.text);
			lint_compare(w, v.value, &left.text);
		}
		alone = 0;
		v = (struct operand_value){0};
	}
	return v;
}

/*
 * Which operator binds how strongly changes nothing about names.  What comes
 * out is known of a single operand, of the last one behind `and`, and of what
 * is on both sides of `or`.
 */
static struct lint_value
walk_expression(struct lint_walk *w)
{
	struct operand_value whole = {0}, v;
	int behind = 0; /* LINTLEX_AND, LINTLEX_OR. */

	enter(w);
	for (;;) {
		v = walk_operands(w);
		if (behind == LINTLEX_OR && v.is_fixed)
			v = whole; /* x or {}: nothing is misspelt in there. */
		else if (behind == LINTLEX_OR && !whole.is_fixed)
			v.value = lint_either(w, whole.value, v.value);
		whole = v;
		behind = w->lx.token.kind;
		if (!take(w, LINTLEX_AND) && !take(w, LINTLEX_OR))
			break;
	}
	leave(w);
	return whole.value;
}

/* ---- statements --------------------------------------------------------- */

/* A block with names of its own, up to the word that ends it. */
static void
walk_scope(struct lint_walk *w)
{
	const size_t outer = w->locals_n;

	walk_block(w);
	w->locals_n = outer;
}

/* if, elseif, else. */
static void
walk_if(struct lint_walk *w)
{
	do {
		(void)walk_expression(w);
		expect(w, LINTLEX_THEN);
		walk_scope(w);
	} while (take(w, LINTLEX_ELSEIF));
	if (take(w, LINTLEX_ELSE))
		walk_scope(w);
	expect(w, LINTLEX_ENDBLOCK);
}

/* What a loop goes over; returns what its second name is, which is known of
 * ipairs(). */
static struct lint_value
walk_iterator(struct lint_walk *w)
{
	const struct lintlex before = w->lx;
	const struct lintlex_token name = w->lx.token;
	struct lint_value value;

	if (take(w, LINTLEX_NAME) && str_eq(name.text, STR("ipairs")) &&
	    lint_find_local(w, name.text) == NULL && take(w, '(')) {
		lint_note_read(w, &name);
		value = walk_expression(w);
		expect(w, ')');
		return lint_items(w, value);
	}
	w->lx = before;
	walk_expressions(w, NULL, 0);
	return unknown;
}

/* The names come into being behind the expressions. */
static void
walk_for(struct lint_walk *w)
{
	const size_t outer = w->locals_n;
	struct str names[MAX_NAMES];
	struct lint_value items;
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
	items = walk_iterator(w);
	expect(w, LINTLEX_DO);
	for (i = 0; i < n; i++)
		lint_add_local(w, names[i], i == 1 ? items : unknown);
	walk_block(w);
	expect(w, LINTLEX_ENDBLOCK);
	w->locals_n = outer;
}

/* function a.b:c() ... end */
static void
walk_named_function(struct lint_walk *w)
{
	struct operand op = {OPERAND_OTHER, expect_name(w), unknown, {0}};
	struct lint_value first = unknown;
	struct lintlex_token name;
	int is_method = 0;

	if (lint_find_local(w, op.token.text) == NULL)
		op.kind = OPERAND_GLOBAL;
	else if (!at(w, '.') && !at(w, ':'))
		lint_note_changed(w, op.token.text);
	if (op.kind == OPERAND_GLOBAL && str_eq(op.token.text, STR("_G")))
		walk_global_field(w, &op);
	if ((at(w, '.') || at(w, ':')) && op.kind == OPERAND_GLOBAL)
		lint_note_read(w, &op.token);
	while (take(w, '.')) {
		name = expect_name(w);
		lint_note_field(w, name.text);
		op.kind = OPERAND_OTHER;
	}
	if (take(w, ':')) {
		name = expect_name(w);
		lint_note_field(w, name.text);
		op.kind = OPERAND_OTHER;
		is_method = 1;
	}
	if (op.kind != OPERAND_OTHER) {
		lint_note_assigned(w, &op.token);
		first = lint_parameter(w, op.token.text);
	}
	walk_function(w, is_method, first);
}

/* local function a() ... end, local a <const>, b = 1, 2 */
static void
walk_local(struct lint_walk *w)
{
	struct lint_value values[MAX_NAMES];
	struct str names[MAX_NAMES];
	size_t i, n = 0;

	if (take(w, LINTLEX_FUNCTION)) {
		lint_add_local(w, expect_name(w).text, unknown);
		walk_function(w, 0, unknown);
		return;
	}
	do {
		if (n == NELEMS(names)) {
			lintlex_fail(&w->lx);
			return;
		}
		values[n] = unknown;
		names[n++] = expect_name(w).text;
		if (take(w, '<')) {
			(void)expect_name(w);
			expect(w, '>');
		}
	} while (take(w, ','));
	if (take(w, '='))
		walk_expressions(w, values, n);
	for (i = 0; i < n; i++)
		lint_add_local(w, names[i], values[i]);
}

/* What is assigned to. */
static void
note_target(struct lint_walk *w, const struct operand *op)
{
	if (op->kind == OPERAND_GLOBAL || op->kind == OPERAND_FIELD)
		lint_note_assigned(w, &op->token);
	else if (op->kind == OPERAND_LOCAL)
		lint_note_changed(w, op->token.text);
	else if (op->kind == OPERAND_MEMBER)
		lint_note_field(w, op->token.text);
}

/* on_issue = function(event) ... end, behind the sign; 0 if it is none. */
static int
walk_handler(struct lint_walk *w, const struct operand *op)
{
	if ((op->kind != OPERAND_GLOBAL && op->kind != OPERAND_FIELD) ||
	    !take(w, LINTLEX_FUNCTION))
		return 0;
	walk_function(w, 0, lint_parameter(w, op->token.text));
	return 1;
}

/* A call, or an assignment to one thing or to several. */
static void
walk_assignment(struct lint_walk *w)
{
	struct operand op;
	int several = 0;

	for (;;) {
		op = walk_suffixed(w);
		several |= at(w, ',');
		if (several || at(w, '='))
			note_target(w, &op);
		else if (op.kind == OPERAND_GLOBAL)
			lint_note_read(w, &op.token);
		else
			settle(w, &op);
		if (!take(w, ','))
			break;
	}
	if (take(w, '=')) {
		if (!several && walk_handler(w, &op))
			return;
		walk_expressions(w, NULL, 0);
	} else if (several) {
		lintlex_fail(&w->lx);
	}
}

static void
walk_repeat(struct lint_walk *w)
{
	const size_t outer = w->locals_n;

	/* The condition sees the names of the block. */
	walk_block(w);
	expect(w, LINTLEX_UNTIL);
	(void)walk_expression(w);
	w->locals_n = outer;
}

static void
walk_statement(struct lint_walk *w)
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
		(void)walk_expression(w);
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
at_block_end(const struct lint_walk *w)
{
	return at(w, LINTLEX_END) || at(w, LINTLEX_ENDBLOCK) ||
	       at(w, LINTLEX_ELSE) || at(w, LINTLEX_ELSEIF) ||
	       at(w, LINTLEX_UNTIL);
}

static void
walk_block(struct lint_walk *w)
{
	enter(w);
	while (!at_block_end(w)) {
		if (take(w, LINTLEX_RETURN)) {
			if (!at_block_end(w) && !at(w, ';'))
				walk_expressions(w, NULL, 0);
			(void)take(w, ';');
			break;
		}
		walk_statement(w);
	}
	leave(w);
}

int
lint_walk_source(struct lint_walk *w, struct str source)
{
	w->lx = lintlex_begin(source);
	w->depth = 0;
	w->locals_n = 0;
	w->serial = 0;
	walk_block(w);
	return w->lx.failed || !at(w, LINTLEX_END) ? -1 : 0;
}
