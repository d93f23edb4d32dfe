#ifndef SCRIPT_LPATTERN_H_
#define SCRIPT_LPATTERN_H_

/*
 * Lua's patterns, written from section 6.4.1 of the reference manual, because
 * the ones in Lua's own library cannot be interrupted: ".-.-.-b$" on 400 bytes
 * takes them 11 s.  Here every step looks at the CPU limit of the slice.
 *
 * Floor: 4 (script), private.
 */

#include <stddef.h>

#include <lua.h>

#define LPATTERN_ESCAPE '%'

/* As many as Lua's own has. */
#define LPATTERN_CAPTURES 32

/* Special lengths of a capture. */
#define LPATTERN_OPEN (-1)     /* Its ")" has not been met. */
#define LPATTERN_POSITION (-2) /* "()": where, not what. */

struct lpattern {
	lua_State *L; /* For errors. */
	const char *src;
	const char *src_end;
	const char *pat_end;
	int depth; /* Recursion that is left. */
	int ncaptures;
	struct {
		const char *at;
		ptrdiff_t len;
	} captures[LPATTERN_CAPTURES];
};

/* Begin to match pattern ${pat} (without its anchor) on ${src}; both borrowed.
 */
void lpattern_init(struct lpattern *m, lua_State *L, const char *src,
    size_t srclen, const char *pat, size_t patlen);

/**
 * lpattern_match(m, s, p):
 * Match the pattern ${p} at ${s} exactly; forgets the captures of before.
 *
 * Returns:   where the match ends, or NULL.
 * Lua stack: [-0, +0, v]  malformed pattern, CPU limit.
 */
const char *lpattern_match(struct lpattern *m, const char *s, const char *p);

#endif /* !SCRIPT_LPATTERN_H_ */
