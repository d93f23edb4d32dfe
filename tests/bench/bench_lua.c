/*
 * From bytes to Lua tables and back, beside lua-cjson; and a signature beside
 * OpenSSL's HMAC().  Each side has a Lua state and tables of its own.
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
#include "base/file.h"
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
	struct str text;
	lua_State *ours;   /* Its stack: the tables. */
	lua_State *theirs; /* cjson.decode, cjson.encode, the text, the tables.
			    */
	struct jdoc doc;
	struct buf out;
	struct signature_key *key;
	char hex[SIGNATURE_HEX + 1];
};

static void
convert(void *cookie)
{
	struct subject *s = cookie;

	convert_push(s->ours, jdoc_root(&s->doc));
	lua_pop(s->ours, 1);
}

static void
parse_and_convert(void *cookie)
{
	struct subject *s = cookie;
	struct err err;

	if (jdoc_parse(&s->doc, s->text.data, s->text.len, NULL, &err) == -1)
		measure_fail("parse", err.msg);
	convert(s);
}

static void
cjson_decode(void *cookie)
{
	struct subject *s = cookie;

	lua_pushvalue(s->theirs, 1);
	lua_pushvalue(s->theirs, 3);
	lua_call(s->theirs, 1, 1);
	lua_pop(s->theirs, 1);
}

/* Both end with a Lua string. */
static void
encode(void *cookie)
{
	struct subject *s = cookie;
	struct err err;

	buf_reset(&s->out);
	if (convert_encode(s->ours, 1, 1 << 24, &s->out, &err) == -1)
		measure_fail("encode", err.msg);
	(void)lua_pushlstring(s->ours, s->out.data, s->out.len);
	lua_pop(s->ours, 1);
}

static void
cjson_encode(void *cookie)
{
	struct subject *s = cookie;

	lua_pushvalue(s->theirs, 2);
	lua_pushvalue(s->theirs, 4);
	lua_call(s->theirs, 1, 1);
	lua_pop(s->theirs, 1);
}

static void
verify(void *cookie)
{
	struct subject *s = cookie;
	const struct signature_key *keys[] = {s->key};

	if (signature_verify(keys, 1, (struct str){s->hex, SIGNATURE_HEX},
		s->text.data, s->text.len) != SIGNATURE_GOOD)
		measure_fail("signature_verify", "a good one is refused");
}

static void
openssl_hmac(void *cookie)
{
	struct subject *s = cookie;
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned int len;

	if (HMAC(EVP_sha256(), secret, sizeof(secret) - 1,
		(const unsigned char *)s->text.data, s->text.len, mac,
		&len) == NULL)
		measure_fail("HMAC()", "failed");
}

static void
subject_init(struct subject *s, struct str text)
{
	(void)memset(s, 0, sizeof(*s));
	s->text = text;
	s->key = signature_key_create(secret, sizeof(secret) - 1);
	signature_sign(s->key, text.data, text.len, s->hex);

	s->ours = luaL_newstate();
	luaL_openlibs(s->ours);
	convert_open(s->ours);
	parse_and_convert(s);
	convert_push(s->ours, jdoc_root(&s->doc));

	s->theirs = luaL_newstate();
	luaL_openlibs(s->theirs);
	(void)luaopen_cjson(s->theirs);
	(void)lua_getfield(s->theirs, 1, "decode");
	(void)lua_getfield(s->theirs, 1, "encode");
	lua_remove(s->theirs, 1);
	(void)lua_pushlstring(s->theirs, text.data, text.len);
	lua_pushvalue(s->theirs, 1);
	lua_pushvalue(s->theirs, 3);
	lua_call(s->theirs, 1, 1);
}

static void
subject_clear(struct subject *s)
{
	lua_close(s->ours);
	lua_close(s->theirs);
	signature_key_free(s->key);
	jdoc_free(&s->doc);
	buf_free(&s->out);
}

static void
compare(const char *name, struct str text)
{
	enum {
		TABLES,
		BYTES,
		CJSON_DECODE,
		ENCODE,
		CJSON_ENCODE,
		VERIFY,
		ONE_SHOT
	};
	struct subject s;
	struct measure m[] = {
	    {"parsed -> Lua tables", convert, &s, 0},
	    {"bytes -> Lua tables", parse_and_convert, &s, 0},
	    {"bytes -> Lua tables, lua-cjson", cjson_decode, &s, 0},
	    {"Lua tables -> JSON", encode, &s, 0},
	    {"Lua tables -> JSON, lua-cjson", cjson_encode, &s, 0},
	    {"signature_verify, prepared key", verify, &s, 0},
	    {"HMAC() of OpenSSL", openssl_hmac, &s, 0},
	};
	/* What each is compared with. */
	static const int other[] = {
	    CJSON_DECODE, CJSON_DECODE, -1, CJSON_ENCODE, -1, ONE_SHOT, -1};
	size_t i;

	subject_init(&s, text);
	measure_in_turns(m, NELEMS(m));
	(void)printf("\n%s, %zu bytes\n", name, text.len);
	(void)printf(
	    "  %-32s %10s %8s %10s\n", "", "CPU us", "GB/s", "faster by");
	for (i = 0; i < NELEMS(m); i++) {
		(void)printf("  %-32s %10.2f %8.2f", m[i].name, m[i].ns / 1e3,
		    (double)text.len / m[i].ns);
		if (other[i] == -1)
			(void)printf("\n");
		else
			(void)printf(" %8.2f x\n", m[other[i]].ns / m[i].ns);
	}
	if (text.len >= GOAL_BYTES) {
		measure_verdict("parsed -> Lua / lua-cjson's decode",
		    m[CJSON_DECODE].ns / m[TABLES].ns, MEASURE_AT_LEAST,
		    GOAL_DECODE, " x");
		measure_verdict("bytes -> Lua / lua-cjson's decode",
		    m[CJSON_DECODE].ns / m[BYTES].ns, MEASURE_AT_LEAST,
		    GOAL_DECODE, " x");
	}
	subject_clear(&s);
}

int
main(int argc, char *argv[])
{
	struct buf text = BUF_INIT;
	struct err err;
	int i;

	mem_keep(KEEP_BYTES);
	for (i = 1; i < argc; i++) {
		buf_reset(&text);
		if (file_read(argv[i], 1 << 24, &text, &err) == -1)
			measure_fail(argv[i], err.msg);
		compare(strrchr(argv[i], '/') == NULL
			    ? argv[i]
			    : strrchr(argv[i], '/') + 1,
		    (struct str){text.data, text.len});
	}
	buf_free(&text);
	return EXIT_SUCCESS;
}
