/*
 * From bytes to Lua tables and back, beside lua-cjson; and a signature beside
 * OpenSSL's HMAC().  The bodies of a FILE, one a line, follow each other.  Each
 * side has a Lua state and tables of its own.
 *
 *	build/release/tests/bench/bench_lua FILE...
 *
 *	BENCH_ROUNDS  turns of each (default 15)
 *	BENCH_MS      of a turn, in CPU time (default 10)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua-cjson.h>
#include <lua.h>
#include <lualib.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#include "crypto/signature.h"
#include "script/convert.h"
#include "json/jdoc.h"

#include "bench/measure.h"

/* Of a text of this length or more. */
#define GOAL_BYTES 20000
#define GOAL_DECODE 2.0

/* As a worker has it. */
#define KEEP_BYTES (4U << 20)

static const char secret[] = "bench-secret-4c1f";

struct subject {
	struct measure_texts *texts;
	struct jdoc doc;
	struct buf out;
	/* What decodes has little to keep, as a worker has; what encodes has
	 * the tables of each text on its stack. */
	lua_State *ours;
	lua_State *theirs; /* cjson.decode */
	lua_State *our_tables;
	lua_State *their_tables; /* Behind cjson.encode. */
	struct signature_key *key;
	char hex[MEASURE_TEXTS][SIGNATURE_HEX + 1]; /* Of each text. */
};

static void
parse(void *cookie)
{
	struct subject *s = cookie;
	const struct str text = s->texts->list[measure_next(s->texts)];
	struct err err;

	if (jdoc_parse(&s->doc, text.data, text.len, NULL, &err) == -1)
		measure_fail("parse", err.msg);
}

static void
decode(void *cookie)
{
	struct subject *s = cookie;

	parse(s);
	convert_push(s->ours, jdoc_root(&s->doc));
	lua_pop(s->ours, 1);
}

/* It reads a Lua string, which somebody has to make of what came in. */
static void
cjson_decode(void *cookie)
{
	struct subject *s = cookie;
	const struct str text = s->texts->list[measure_next(s->texts)];

	lua_pushvalue(s->theirs, 1);
	(void)lua_pushlstring(s->theirs, text.data, text.len);
	lua_call(s->theirs, 1, 1);
	lua_pop(s->theirs, 1);
}

/* Both end with a Lua string. */
static void
encode(void *cookie)
{
	struct subject *s = cookie;
	const int at = (int)measure_next(s->texts) + 1;
	struct err err;

	buf_reset(&s->out);
	if (convert_encode(s->our_tables, at, 1 << 24, &s->out, &err) == -1)
		measure_fail("encode", err.msg);
	(void)lua_pushlstring(s->our_tables, s->out.data, s->out.len);
	lua_pop(s->our_tables, 1);
}

static void
cjson_encode(void *cookie)
{
	struct subject *s = cookie;

	lua_pushvalue(s->their_tables, 1);
	lua_pushvalue(s->their_tables, (int)measure_next(s->texts) + 2);
	lua_call(s->their_tables, 1, 1);
	lua_pop(s->their_tables, 1);
}

static void
verify(void *cookie)
{
	struct subject *s = cookie;
	const struct signature_key *keys[] = {s->key};
	const size_t i = measure_next(s->texts);
	const struct str text = s->texts->list[i];

	if (signature_verify(keys, 1, (struct str){s->hex[i], SIGNATURE_HEX},
		text.data, text.len) != SIGNATURE_GOOD)
		measure_fail("signature_verify", "a good one is refused");
}

static void
openssl_hmac(void *cookie)
{
	struct subject *s = cookie;
	const struct str text = s->texts->list[measure_next(s->texts)];
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned int len;

	if (HMAC(EVP_sha256(), secret, sizeof(secret) - 1,
		(const unsigned char *)text.data, text.len, mac, &len) == NULL)
		measure_fail("HMAC()", "failed");
}

/* A state with a function of cjson on its stack, or with ours at hand. */
static lua_State *
state_create(const char *function)
{
	lua_State *L = luaL_newstate();

	luaL_openlibs(L);
	convert_open(L);
	luaL_checkstack(L, MEASURE_TEXTS + 8, NULL);
	if (function != NULL) {
		(void)luaopen_cjson(L);
		(void)lua_getfield(L, -1, function);
		lua_remove(L, 1);
	}
	return L;
}

static void
subject_init(struct subject *s, struct measure_texts *texts)
{
	struct str text;
	size_t i;

	(void)memset(s, 0, sizeof(*s));
	s->texts = texts;
	s->key = signature_key_create(secret, sizeof(secret) - 1);
	s->ours = state_create(NULL);
	s->theirs = state_create("decode");
	s->our_tables = state_create(NULL);
	s->their_tables = state_create("encode");
	for (i = 0; i < texts->n; i++) {
		text = texts->list[i];
		signature_sign(s->key, text.data, text.len, s->hex[i]);
		texts->next = i;
		parse(s);
		convert_push(s->our_tables, jdoc_root(&s->doc));
		convert_push(s->their_tables, jdoc_root(&s->doc));
	}
}

static void
subject_clear(struct subject *s)
{
	lua_close(s->ours);
	lua_close(s->theirs);
	lua_close(s->our_tables);
	lua_close(s->their_tables);
	signature_key_free(s->key);
	jdoc_free(&s->doc);
	buf_free(&s->out);
}

static void
row(const char *what, double bytes, double ns, double other_ns)
{
	(void)printf("  %-32s %10.2f %8.2f", what, ns / 1e3, bytes / ns);
	if (other_ns > 0)
		(void)printf(" %8.2f x", other_ns / ns);
	(void)printf("\n");
}

static void
compare(const char *path)
{
	enum {
		PARSE,
		DECODE,
		CJSON_DECODE,
		ENCODE,
		CJSON_ENCODE,
		VERIFY,
		ONCE
	};
	static struct subject s;
	struct measure_texts texts;
	struct measure m[] = {
	    {"bytes -> jdoc", parse, &s, 0},
	    {"bytes -> jdoc -> Lua", decode, &s, 0},
	    {"bytes -> Lua, lua-cjson", cjson_decode, &s, 0},
	    {"Lua -> JSON", encode, &s, 0},
	    {"Lua -> JSON, lua-cjson", cjson_encode, &s, 0},
	    {"signature_verify, prepared key", verify, &s, 0},
	    {"HMAC() of OpenSSL", openssl_hmac, &s, 0},
	};
	double bytes, tables_ns;

	measure_texts_read(path, &texts);
	bytes = texts.bytes;
	subject_init(&s, &texts);
	measure_in_turns(m, NELEMS(m));
	/* Not measured by itself: the tape is where the parser has left it. */
	tables_ns = m[DECODE].ns - m[PARSE].ns;

	(void)printf(
	    "\n%s, %zu bodies of %.0f bytes\n", texts.name, texts.n, bytes);
	(void)printf(
	    "  %-32s %10s %8s %10s\n", "", "CPU us", "GB/s", "faster by");
	row("jdoc -> Lua (the difference)", bytes, tables_ns,
	    m[CJSON_DECODE].ns);
	row(m[DECODE].name, bytes, m[DECODE].ns, m[CJSON_DECODE].ns);
	row(m[CJSON_DECODE].name, bytes, m[CJSON_DECODE].ns, 0);
	row(m[ENCODE].name, bytes, m[ENCODE].ns, m[CJSON_ENCODE].ns);
	row(m[CJSON_ENCODE].name, bytes, m[CJSON_ENCODE].ns, 0);
	row(m[VERIFY].name, bytes, m[VERIFY].ns, m[ONCE].ns);
	row(m[ONCE].name, bytes, m[ONCE].ns, 0);
	if (bytes >= GOAL_BYTES) {
		measure_verdict("jdoc -> Lua beside lua-cjson's decode",
		    m[CJSON_DECODE].ns / tables_ns, MEASURE_AT_LEAST,
		    GOAL_DECODE, " x");
		measure_verdict("with the parse",
		    m[CJSON_DECODE].ns / m[DECODE].ns, MEASURE_AT_LEAST,
		    GOAL_DECODE, " x");
	}
	subject_clear(&s);
	measure_texts_free(&texts);
}

int
main(int argc, char *argv[])
{
	int i;

	mem_keep(KEEP_BYTES);
	for (i = 1; i < argc; i++)
		compare(argv[i]);
	return EXIT_SUCCESS;
}
