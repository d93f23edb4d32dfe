#ifndef LINT_LINTLEX_H_
#define LINT_LINTLEX_H_

/*
 * Lua 5.4 source as tokens, for lint.  Anything that is not Lua ends the source
 * there.
 *
 * Floor: 2 (lint).  May include base/.
 */

#include <stddef.h>

#include "base/str.h"

/* A token of one character is that character; the others are these. */
enum lintlex_kind {
	LINTLEX_END = 256,
	LINTLEX_NAME,
	LINTLEX_STRING,
	LINTLEX_NUMBER,
	LINTLEX_DOTS,   /* ... */
	LINTLEX_LABEL,  /* :: */
	LINTLEX_BINARY, /* An operator of two operands and nothing else. */
	LINTLEX_EQUAL,  /* == or ~= */
	/* The reserved words, in the order of the table in lintlex.c. */
	LINTLEX_AND,
	LINTLEX_BREAK,
	LINTLEX_DO,
	LINTLEX_ELSE,
	LINTLEX_ELSEIF,
	LINTLEX_ENDBLOCK,
	LINTLEX_FALSE,
	LINTLEX_FOR,
	LINTLEX_FUNCTION,
	LINTLEX_GOTO,
	LINTLEX_IF,
	LINTLEX_IN,
	LINTLEX_LOCAL,
	LINTLEX_NIL,
	LINTLEX_NOT,
	LINTLEX_OR,
	LINTLEX_REPEAT,
	LINTLEX_RETURN,
	LINTLEX_THEN,
	LINTLEX_TRUE,
	LINTLEX_UNTIL,
	LINTLEX_WHILE,
};

struct lintlex_token {
	int kind;        /* enum lintlex_kind, or a character. */
	struct str text; /* Name: itself.  String: what is in the quotes. */
	unsigned int line;
	unsigned int column; /* In bytes, from 1. */
};

/* Embedded in its owner; a copy is a place to go back to. */
struct lintlex {
	const char *p;
	const char *end;
	const char *line_begin;
	unsigned int line;
	int failed;                 /* That was no Lua. */
	struct lintlex_token token; /* The one that is looked at. */
};

/**
 * lintlex_begin(source):
 * Look at the first token.
 *
 * Ownership: the result keeps ${source}.
 */
struct lintlex lintlex_begin(struct str source);

/* Look at the next token; behind the last there is LINTLEX_END for ever. */
void lintlex_next(struct lintlex *lx);

/* That was no Lua: nothing more follows. */
void lintlex_fail(struct lintlex *lx);

#endif /* !LINT_LINTLEX_H_ */
