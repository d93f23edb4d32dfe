/*
 * From bytes to Lua tables and back, beside lua-cjson; and the signature beside
 * OpenSSL's HMAC().
 *
 *	build/release/tests/bench/bench_lua FILE...
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
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"

#include "crypto/signature.h"
#include "script/convert.h"
#include "json/jdoc.h"

/* Each figure is the best of some runs of about this long. */
#define RUNS 7
#define RUN_NS 100000000U

struct subject {
	lua_State *L; /* Its stack: cjson.decode, cjson.encode, the table. */
	struct str text;
	struct jdoc doc;
	struct buf out;
	struct signature_key *key;
};

static void
check(int rc, const char *what)
{
	if (rc == 0)
		return;
	(void)fprintf(stderr, "bench_lua: %s failed\n", what);
	exit(EXIT_FAILURE);
}

static void
convert(struct subject *s)
{
	convert_push(s->L, jdoc_root(&s->doc));
	lua_pop(s->L, 1);
}

static void
parse_and_convert(struct subject *s)
{
	struct err err;

	check(jdoc_parse(&s->doc, s->text.data, s->text.len, NULL, &err),
	    "parse");
	convert(s);
}

static void
cjson_decode(struct subject *s)
{
	lua_pushvalue(s->L, 1);
	(void)lua_pushlstring(s->L, s->text.data, s->text.len);
	lua_call(s->L, 1, 1);
	lua_pop(s->L, 1);
}

static void
encode(struct subject *s)
{
	struct err err;

	buf_reset(&s->out);
	check(convert_encode(s->L, 3, 1 << 24, &s->out, &err), "encode");
}

static void
cjson_encode(struct subject *s)
{
	lua_pushvalue(s->L, 2);
	lua_pushvalue(s->L, 3);
	lua_call(s->L, 1, 1);
	lua_pop(s->L, 1);
}

static void
sign(struct subject *s)
{
	uint8_t mac[SIGNATURE_BYTES];

	signature_hmac(s->key, s->text.data, s->text.len, mac);
}

static void
openssl_hmac(struct subject *s)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned int len;

	(void)HMAC(EVP_sha256(), "secret", 6,
	    (const unsigned char *)s->text.data, s->text.len, mac, &len);
}

static void
measure(const char *name, void (*what)(struct subject *s), struct subject *s)
{
	uint64_t start, ns;
	double best = 0, each;
	int run, n;

	for (run = 0; run < RUNS; run++) {
		start = clock_mono_ns();
		for (n = 0, ns = 0; ns < RUN_NS; n++) {
			what(s);
			ns = clock_mono_ns() - start;
		}
		each = (double)ns / n;
		if (run == 0 || each < best)
			best = each;
	}
	(void)printf("  %-28s %9.1f us %7.0f MB/s\n", name, best / 1e3,
	    (double)s->text.len * 1e3 / best);
}

int
main(int argc, char *argv[])
{
	struct subject s;
	struct buf text = BUF_INIT;
	struct err err;
	int i;

	for (i = 1; i < argc; i++) {
		(void)memset(&s, 0, sizeof(s));
		buf_reset(&text);
		check(file_read(argv[i], 1 << 24, &text, &err), argv[i]);
		s.text = (struct str){text.data, text.len};
		s.key = signature_key_create("secret", 6);
		s.L = luaL_newstate();
		luaL_openlibs(s.L);
		convert_open(s.L);
		(void)luaopen_cjson(s.L);
		(void)lua_getfield(s.L, -1, "decode");
		(void)lua_getfield(s.L, -2, "encode");
		lua_remove(s.L, 1);
		parse_and_convert(&s);
		convert_push(s.L, jdoc_root(&s.doc));
		(void)printf("%s, %zu bytes\n", argv[i], s.text.len);
		measure("parsed -> Lua", convert, &s);
		measure("bytes -> Lua", parse_and_convert, &s);
		measure("bytes -> Lua, lua-cjson", cjson_decode, &s);
		measure("Lua -> bytes", encode, &s);
		measure("Lua -> bytes, lua-cjson", cjson_encode, &s);
		measure("HMAC", sign, &s);
		measure("HMAC, OpenSSL's HMAC()", openssl_hmac, &s);
		lua_close(s.L);
		signature_key_free(s.key);
		jdoc_free(&s.doc);
		buf_free(&s.out);
	}
	buf_free(&text);
	return EXIT_SUCCESS;
}
