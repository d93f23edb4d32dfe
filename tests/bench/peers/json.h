#ifndef BENCH_PEERS_JSON_H_
#define BENCH_PEERS_JSON_H_

/*
 * What other libraries make of a JSON text: parse it into their values, and
 * give these back.  One file each where their names collide.
 */

#include <stddef.h>

/* 0, or -1 if the text was refused. */
int peer_cjson(const char *text, size_t len);
int peer_jansson(const char *text, size_t len);
int peer_json_c(const char *text, size_t len);

#endif /* !BENCH_PEERS_JSON_H_ */
