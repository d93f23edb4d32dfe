#ifndef CLI_EMBEDDED_H_
#define CLI_EMBEDDED_H_

/*
 * Files that the binary carries and that are listed while it is built.
 *
 * Floor: 7 (cli).  May include everything.
 */

#include <stddef.h>

struct embedded_file {
	const char *name; /* Without the folder. */
	const unsigned char *text;
	const size_t *len;
};

/* The definitions in lua/meta that are written by hand, sorted; the last one
 * has no name. */
extern const struct embedded_file embedded_lua_meta[];

#endif /* !CLI_EMBEDDED_H_ */
