#ifndef CLI_TYPES_PAYLOADS_H_
#define CLI_TYPES_PAYLOADS_H_

/*
 * What Sentry sends, and the handlers that get it, as definitions for
 * lua-language-server.
 *
 * Floor: 7 (cli).  May include everything.
 */

struct buf;
struct catalog;

/* Append the definitions of all that ${catalog} knows.  The same catalogue
 * gives the same text. */
void types_put_payloads(const struct catalog *catalog, struct buf *out);

#endif /* !CLI_TYPES_PAYLOADS_H_ */
