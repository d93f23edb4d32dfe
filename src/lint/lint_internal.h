#ifndef LINT_LINT_INTERNAL_H_
#define LINT_LINT_INTERNAL_H_

/*
 * One walk over a source: lint_walk.c knows the grammar and which value an
 * expression has, lint.c the names and what is told about them, lint_event.c
 * what is in an event.
 *
 * Floor: 2 (lint).  Private to its folder.
 */

#include <stddef.h>

#include "base/str.h"
#include "lint/lint_event.h"
#include "lint/lintlex.h"

#include "lint/lint.h"

/* A local name. */
struct lint_local {
	struct str name;
	size_t serial; /* Which of all in the source, from 1. */
	struct lint_value value;
};

/*
 * The first walk only learns which globals are assigned; the second, which
 * knows them, reports.
 */
struct lint_walk {
	struct lintlex lx;
	unsigned int depth;
	struct lint_local *locals; /* Those in scope, the innermost last. */
	size_t locals_n;
	size_t locals_cap;
	size_t serial;        /* Of the last local that was declared. */
	struct str *assigned; /* Globals; sorted before the second walk. */
	size_t assigned_n;
	size_t assigned_cap;
	struct str *read; /* Globals that are read, the same. */
	size_t read_n;
	size_t read_cap;
	struct str *fields; /* Names of fields that are assigned, the same. */
	size_t fields_n;
	size_t fields_cap;
	size_t *changed; /* Serials of locals that get another value. */
	size_t changed_n;
	size_t changed_cap;
	int dynamic; /* Globals may come from elsewhere. */
	int own_env; /* What looks like a global may be none. */

	/* Second walk only; NULL in the first. */
	const struct lint_known *known;
	lint_report_cb *report;
	void *cookie;
	unsigned int reports;
};

/* Walk over a source; -1 if it is not Lua. */
int lint_walk_source(struct lint_walk *w, struct str source);

/* ---- lint.c: what the walk meets ------------------------------------------
 */

/* A local is declared, with that value. */
void lint_add_local(
    struct lint_walk *w, struct str name, struct lint_value value);

/* The local of that name which is visible here, or NULL. */
const struct lint_local *lint_find_local(
    const struct lint_walk *w, struct str name);

/* A global is read, or is assigned to. */
void lint_note_read(struct lint_walk *w, const struct lintlex_token *where);
void lint_note_assigned(struct lint_walk *w, const struct lintlex_token *where);

/* A local is assigned to, or a field of whatever it is. */
void lint_note_changed(struct lint_walk *w, struct str name);
void lint_note_field(struct lint_walk *w, struct str field);

/* The field of a value is read: what it is. */
struct lint_value lint_read_field(struct lint_walk *w, struct lint_value value,
    const struct lintlex_token *where);

/* The elements of a value are. */
struct lint_value lint_items(struct lint_walk *w, struct lint_value value);

/* A method of a value is called. */
void lint_read_method(struct lint_walk *w, struct lint_value value,
    const struct lintlex_token *where);

/* A value is compared with a token, which may be text. */
void lint_compare(struct lint_walk *w, struct lint_value value,
    const struct lintlex_token *text);

/* The field of a global is read. */
void lint_read_module(
    struct lint_walk *w, struct str global, const struct lintlex_token *where);

/* What the first parameter of a global function is. */
struct lint_value lint_parameter(
    const struct lint_walk *w, struct str function);

/* What is either of two. */
struct lint_value lint_either(
    struct lint_walk *w, struct lint_value a, struct lint_value b);

#endif /* !LINT_LINT_INTERNAL_H_ */
