/*
 * crypto.  For users: lua/meta/crypto.d.lua
 */

#include <lauxlib.h>
#include <lua.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "crypto/base64.h"
#include "crypto/digest.h"
#include "crypto/jwt.h"
#include "crypto/random.h"
#include "crypto/secret.h"
#include "crypto/signature.h"

#include "script/convert.h"
#include "script/sandbox.h"
#include "script/vm_internal.h"

/* Nobody needs more at once; the kernel gives it in a few milliseconds. */
#define RANDOM_MAX (1U << 20)

/* Claims are no longer than this as JSON: a token goes into a header. */
#define CLAIMS_MAX 65536

/* The string at ${arg}: bytes. */
static struct str
check_bytes(lua_State *L, int arg)
{
	struct str s;

	s.data = luaL_checklstring(L, arg, &s.len);
	return s;
}

/*
 * Room for a result of at most ${max} bytes, as a buf over memory of Lua's, so
 * that the script's limit holds for it: it must not be made to grow.
 */
static struct buf
result_begin(lua_State *L, luaL_Buffer *b, size_t max)
{
	char *room = luaL_buffinitsize(L, b, max + 1);

	return (struct buf){room, 0, max + 1};
}

/* Whether ${arg} asks for bytes and not for digits. */
static int
wants_raw(lua_State *L, int arg)
{
	static const char *const forms[] = {"hex", "raw", NULL};

	return luaL_checkoption(L, arg, "hex", forms) == 1;
}

static int
push_digest(lua_State *L, const uint8_t digest[DIGEST_BYTES], int raw)
{
	luaL_Buffer b;
	struct buf out;

	if (raw) {
		lua_pushlstring(L, (const char *)digest, DIGEST_BYTES);
		return 1;
	}
	out = result_begin(L, &b, (size_t)2 * DIGEST_BYTES);
	str_put_hex(&out, digest, DIGEST_BYTES);
	luaL_pushresultsize(&b, out.len);
	return 1;
}

/* crypto.hmac_sha256(key, message[, "raw"]) */
static int
l_hmac_sha256(lua_State *L)
{
	struct str key = check_bytes(L, 1), message = check_bytes(L, 2);
	int raw = wants_raw(L, 3);
	uint8_t mac[SIGNATURE_BYTES];
	struct signature_key *hmac;

	hmac = signature_key_create(key.data, key.len);
	signature_hmac(hmac, message.data, message.len, mac);
	signature_key_free(hmac);
	return push_digest(L, mac, raw);
}

/* crypto.sha256(message[, "raw"]) */
static int
l_sha256(lua_State *L)
{
	struct str message = check_bytes(L, 1);
	int raw = wants_raw(L, 2);
	uint8_t digest[DIGEST_BYTES];

	digest_sha256(message.data, message.len, digest);
	return push_digest(L, digest, raw);
}

/* crypto.hex(bytes) */
static int
l_hex(lua_State *L)
{
	struct str s = check_bytes(L, 1);
	luaL_Buffer b;
	struct buf out = result_begin(L, &b, 2 * s.len);

	str_put_hex(&out, s.data, s.len);
	luaL_pushresultsize(&b, out.len);
	return 1;
}

static int
encode(lua_State *L, enum base64_kind kind)
{
	struct str s = check_bytes(L, 1);
	luaL_Buffer b;
	struct buf out = result_begin(L, &b, (s.len + 2) / 3 * 4);

	base64_encode(&out, kind, s.data, s.len);
	luaL_pushresultsize(&b, out.len);
	return 1;
}

/* The bytes, or nil, message, code. */
static int
decode(lua_State *L, enum base64_kind kind)
{
	struct str s = check_bytes(L, 1);
	luaL_Buffer b;
	struct buf out = result_begin(L, &b, s.len / 4 * 3 + 4);
	struct err err = ERR_INIT;

	if (base64_decode(&out, kind, s.data, s.len, &err) == -1) {
		luaL_pushfail(L);
		lua_pushstring(L, err.msg);
		lua_pushstring(L, err_code_name(err.code));
		return 3;
	}
	luaL_pushresultsize(&b, out.len);
	return 1;
}

/* crypto.base64(bytes) */
static int
l_base64(lua_State *L)
{
	return encode(L, BASE64_STANDARD);
}

/* crypto.base64url(bytes) */
static int
l_base64url(lua_State *L)
{
	return encode(L, BASE64_URL);
}

/* crypto.unbase64(text) */
static int
l_unbase64(lua_State *L)
{
	return decode(L, BASE64_STANDARD);
}

/* crypto.unbase64url(text) */
static int
l_unbase64url(lua_State *L)
{
	return decode(L, BASE64_URL);
}

/* crypto.random(n) */
static int
l_random(lua_State *L)
{
	lua_Integer n = luaL_checkinteger(L, 1);
	luaL_Buffer b;

	luaL_argcheck(L, n >= 0 && n <= (lua_Integer)RANDOM_MAX, 1,
	    "a number of bytes from 0 to 1048576");
	random_bytes(luaL_buffinitsize(L, &b, (size_t)n), (size_t)n);
	luaL_pushresultsize(&b, (size_t)n);
	return 1;
}

/* crypto.uuid() */
static int
l_uuid(lua_State *L)
{
	char text[RANDOM_UUID_SIZE];

	lua_pushstring(L, random_uuid4(text));
	return 1;
}

/* crypto.equal(a, b) */
static int
l_equal(lua_State *L)
{
	struct str a = check_bytes(L, 1), b = check_bytes(L, 2);

	lua_pushboolean(L, secret_equal(a.data, a.len, b.data, b.len));
	return 1;
}

/* crypto.jwt_hs256(claims, key) */
static int
l_jwt_hs256(lua_State *L)
{
	struct vm *vm = vm_of(L);
	struct err err = ERR_INIT;
	struct str claims, key;

	luaL_checktype(L, 1, LUA_TTABLE);
	key = check_bytes(L, 2);
	lua_settop(L, 2);
	buf_reset(&vm->scratch);
	if (convert_encode(L, 1, CLAIMS_MAX, &vm->scratch, &err) == -1) {
		vm_trim(vm);
		if (err.code == ERR_TIMEOUT)
			return vm_kill_cpu(L);
		if (err.code != ERR_TOO_LARGE)
			return luaL_error(L, "crypto.jwt_hs256: %s", err.msg);
	}
	if (err.code == ERR_TOO_LARGE || vm->scratch.len > CLAIMS_MAX)
		return luaL_error(L,
		    "crypto.jwt_hs256: the claims are more than %d bytes as "
		    "JSON",
		    CLAIMS_MAX);
	if (vm->scratch.data[0] != '{')
		return luaL_error(L,
		    "crypto.jwt_hs256: claims must have names, as in {sub = "
		    "\"...\"}");
	/* The text moves to Lua, as the token takes its place. */
	lua_pushlstring(L, vm->scratch.data, vm->scratch.len);
	claims.data = lua_tolstring(L, 3, &claims.len);
	buf_reset(&vm->scratch);
	jwt_hs256(&vm->scratch, claims, key.data, key.len);
	lua_pushlstring(L, vm->scratch.data, vm->scratch.len);
	vm_trim(vm);
	return 1;
}

static const luaL_Reg crypto_funcs[] = {
    {"hmac_sha256", l_hmac_sha256},
    {"sha256", l_sha256},
    {"hex", l_hex},
    {"base64", l_base64},
    {"base64url", l_base64url},
    {"unbase64", l_unbase64},
    {"unbase64url", l_unbase64url},
    {"random", l_random},
    {"uuid", l_uuid},
    {"equal", l_equal},
    {"jwt_hs256", l_jwt_hs256},
    {NULL, NULL},
};

int
luaopen_moonpost_crypto(lua_State *L)
{
	luaL_newlib(L, crypto_funcs);
	return 1;
}
