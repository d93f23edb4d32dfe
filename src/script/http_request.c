#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/err.h"
#include "base/mem.h"

#include "script/convert.h"
#include "script/hold.h"
#include "script/larg.h"
#include "script/vm_internal.h"

#include "wire/proto.h"

#include "script/http_request.h"

#define TIMEOUT_DEFAULT_MS 10000
#define TIMEOUT_MAX_MS 3600000
#define MAX_BYTES_DEFAULT (8U << 20)
#define MAX_BYTES_MAX (256U << 20)
/* Longer JSON is not sent. */
#define BODY_MAX (32U << 20)

#define RETRIES_MAX 20

/* A year: who asks for more makes no sense. */
#define RETRY_AFTER_MAX_S 31536000

#define REDIRECTS_DEFAULT 10
#define REDIRECTS_MAX 50

/* Letters of a method and of a header's name (RFC 9110, token). */
#define TOKEN                                                                  \
	"!#$%&'*+-.^_`|~0123456789"                                            \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

static const char *const option_names[] = {"json", "form", "body", "headers",
    "query", "timeout", "retries", "follow", "max_bytes", "method", "url"};

void
http_request_clear(struct http_request *request)
{
	size_t i;

	for (i = 0; i < request->nheaders; i++)
		free(request->headers[i]);
	free(request->headers);
	buf_free(&request->url);
	buf_free(&request->body);
	*request = (struct http_request){0};
}

/* Append a "Name: value" line. */
static void
add_header(struct http_request *r, const char *name, const char *value)
{
	r->headers = mem_grow(
	    r->headers, &r->headers_cap, r->nheaders + 1, sizeof(*r->headers));
	/* libcurl drops a header without a value unless it ends in ';'. */
	r->bytes += sizeof(*r->headers) + strlen(name) + strlen(value) + 32;
	r->headers[r->nheaders++] = value[0] == '\0'
					? mem_printf("%s;", name)
					: mem_printf("%s: %s", name, value);
}

static int
has_header(const struct http_request *r, const char *name)
{
	size_t len = strlen(name), i;

	for (i = 0; i < r->nheaders; i++) {
		if (strncasecmp(r->headers[i], name, len) == 0 &&
		    (r->headers[i][len] == ':' || r->headers[i][len] == ';'))
			return 1;
	}
	return 0;
}

static void
read_headers(lua_State *L, int options, struct http_request *r)
{
	const char *name, *value;
	size_t len;

	if (lua_getfield(L, options, "headers") == LUA_TNIL) {
		lua_pop(L, 1);
		return;
	}
	if (!lua_istable(L, -1))
		luaL_error(L, "http: headers must be a table");
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
		if (lua_type(L, -2) != LUA_TSTRING)
			luaL_error(
			    L, "http: the name of a header must be text");
		name = lua_tolstring(L, -2, &len);
		if (len == 0 || strspn(name, TOKEN) != len)
			luaL_error(
			    L, "http: '%s' is no name of a header", name);
		if (strcasecmp(name, "content-length") == 0 ||
		    strcasecmp(name, "transfer-encoding") == 0)
			luaL_error(L, "http: %s is set by itself", name);
		/* A copy: converting a number in place would confuse next. */
		lua_pushvalue(L, -1);
		value = lua_tolstring(L, -1, &len);
		if (value == NULL)
			luaL_error(L,
			    "http: the header %s must be text, is a %s", name,
			    luaL_typename(L, -1));
		hold_check(L, len);
		if (strlen(value) != len || strpbrk(value, "\r\n") != NULL)
			luaL_error(L,
			    "http: the header %s has a line break in it", name);
		add_header(r, name, value);
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
}

/* Append ${s} percent-encoded (RFC 3986); a form has '+' for a space. */
static void
put_encoded(struct buf *out, const char *s, size_t len, int form)
{
	static const char plain[] = "-._~0123456789"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz";
	size_t i;

	for (i = 0; i < len; i++) {
		if (s[i] != '\0' && strchr(plain, s[i]) != NULL)
			buf_putc(out, s[i]);
		else if (form && s[i] == ' ')
			buf_putc(out, '+');
		else
			buf_printf(out, "%%%02X", (unsigned char)s[i]);
	}
}

/* Append key=value; the value is on top. */
static void
put_pair(lua_State *L, struct buf *out, const char *key, size_t keylen,
    int form, const char *what)
{
	const char *value;
	size_t len;

	if (lua_isboolean(L, -1)) {
		lua_pushstring(L, lua_toboolean(L, -1) ? "true" : "false");
	} else if (lua_type(L, -1) == LUA_TNUMBER ||
		   lua_type(L, -1) == LUA_TSTRING) {
		lua_pushvalue(L, -1);
	} else {
		luaL_error(L, "http: %s.%s must be text or a number, is a %s",
		    what, key, luaL_typename(L, -1));
	}
	value = lua_tolstring(L, -1, &len);
	/* Every byte may become three, in a buffer that grows by half. */
	hold_check(L, (keylen + len) * 5 + out->len);
	if (out->len > 0 && strchr("?&", out->data[out->len - 1]) == NULL)
		buf_putc(out, '&');
	put_encoded(out, key, keylen, form);
	buf_putc(out, '=');
	put_encoded(out, value, len, form);
	lua_pop(L, 1);
}

/* Append the table on top as pairs, sorted by key; a list repeats its key. */
static void
put_pairs(lua_State *L, struct buf *out, int form, const char *what)
{
	int table = lua_gettop(L), keys;
	lua_Integer n = 0, i, k;
	const char *key;
	size_t len;

	if (!lua_istable(L, table))
		luaL_error(L, "http: %s must be a table", what);
	lua_newtable(L);
	keys = lua_gettop(L);
	for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
		if (lua_type(L, -2) != LUA_TSTRING)
			luaL_error(
			    L, "http: the keys of %s must be text", what);
		lua_pushvalue(L, -2);
		lua_rawseti(L, keys, ++n);
	}
	/* Insertion: there are a handful. */
	for (i = 2; i <= n; i++) {
		for (k = i; k > 1; k--) {
			lua_rawgeti(L, keys, k - 1);
			lua_rawgeti(L, keys, k);
			if (!lua_compare(L, -1, -2, LUA_OPLT)) {
				lua_pop(L, 2);
				break;
			}
			lua_rawseti(L, keys, k - 1);
			lua_rawseti(L, keys, k);
		}
	}
	for (i = 1; i <= n; i++) {
		lua_rawgeti(L, keys, i);
		key = lua_tolstring(L, -1, &len);
		lua_pushvalue(L, -1);
		if (lua_rawget(L, table) == LUA_TTABLE) {
			for (k = 1; lua_rawgeti(L, -1, k) != LUA_TNIL; k++) {
				put_pair(L, out, key, len, form, what);
				lua_pop(L, 1);
			}
			lua_pop(L, 1);
		} else {
			put_pair(L, out, key, len, form, what);
		}
		lua_pop(L, 2);
	}
	lua_settop(L, table);
}

static void
read_url(lua_State *L, int options, int url, struct http_request *r)
{
	const char *s;
	size_t len, end;

	if (url == 0)
		lua_getfield(L, options, "url");
	else
		lua_pushvalue(L, url);
	if (lua_type(L, -1) != LUA_TSTRING)
		luaL_error(L, "http: url must be text, is %s",
		    lua_isnil(L, -1) ? "missing" : luaL_typename(L, -1));
	s = lua_tolstring(L, -1, &len);
	if (strlen(s) != len || strpbrk(s, " \t\r\n") != NULL)
		luaL_error(
		    L, "http: a space or a control character in the url");
	hold_check(L, len);
	/* What is behind '#' is the reader's, not the server's. */
	end = strcspn(s, "#");
	buf_put(&r->url, s, end);
	lua_pop(L, 1);

	if (options != 0 && lua_getfield(L, options, "query") != LUA_TNIL) {
		if (strchr(r->url.data, '?') == NULL)
			buf_putc(&r->url, '?');
		put_pairs(L, &r->url, 0, "query");
	}
	if (options != 0)
		lua_pop(L, 1);
}

static void
read_method(
    lua_State *L, int options, const char *method, struct http_request *r)
{
	size_t len, i;

	if (method == NULL) {
		if (lua_getfield(L, options, "method") == LUA_TNIL) {
			lua_pop(L, 1);
			lua_pushliteral(L, "GET");
		}
		if (lua_type(L, -1) != LUA_TSTRING)
			luaL_error(L, "http: method must be text");
		method = lua_tostring(L, -1);
	} else {
		lua_pushnil(L);
	}
	len = strlen(method);
	if (len == 0 || len >= sizeof(r->method) ||
	    strspn(method, TOKEN) != len)
		luaL_error(L, "http: '%s' is no method", method);
	for (i = 0; i < len; i++)
		r->method[i] =
		    (char)(method[i] >= 'a' && method[i] <= 'z' ? method[i] - 32
								: method[i]);
	lua_pop(L, 1);
}

static void
read_body(lua_State *L, int options, struct http_request *r)
{
	struct err err = ERR_INIT;
	const char *type = NULL, *s;
	size_t len, room;
	int n = 0;

	if (lua_getfield(L, options, "json") != LUA_TNIL) {
		room = hold_room(vm_of(L)) / 2;
		if (convert_encode(L, -1, room < BODY_MAX ? room : BODY_MAX,
			&r->body, &err) == -1) {
			if (err.code == ERR_TIMEOUT)
				(void)vm_kill_cpu(L);
			if (err.code == ERR_TOO_LARGE && room < BODY_MAX)
				(void)hold_refuse(L);
			luaL_error(L, "http: json: %s", err.msg);
		}
		type = "application/json";
		n++;
	}
	if (lua_getfield(L, options, "form") != LUA_TNIL) {
		put_pairs(L, &r->body, 1, "form");
		type = "application/x-www-form-urlencoded";
		n++;
	}
	if (lua_getfield(L, options, "body") != LUA_TNIL) {
		if (lua_type(L, -1) != LUA_TSTRING)
			luaL_error(L, "http: body must be text, is a %s",
			    luaL_typename(L, -1));
		s = lua_tolstring(L, -1, &len);
		hold_check(L, len);
		buf_put(&r->body, s, len);
		n++;
	}
	lua_pop(L, 3);
	if (n > 1)
		luaL_error(L, "http: only one of json, form and body");
	r->has_body = n == 1;
	if (type != NULL && !has_header(r, "content-type"))
		add_header(r, "Content-Type", type);
}

/* A whole number between 0 and ${max}; ${preset} if the option is not there. */
static lua_Integer
read_count(lua_State *L, int options, const char *name, lua_Integer preset,
    lua_Integer max)
{
	lua_Integer n = preset;
	int ok = 1;

	if (lua_getfield(L, options, name) != LUA_TNIL)
		n = lua_tointegerx(L, -1, &ok);
	if (!ok || n < 0 || n > max)
		luaL_error(L, "http: %s must be a whole number from 0 to %I",
		    name, (LUAI_UACINT)max);
	lua_pop(L, 1);
	return n;
}

static uint64_t
read_timeout(lua_State *L, int options)
{
	uint64_t ms = TIMEOUT_DEFAULT_MS;

	if (lua_getfield(L, options, "timeout") != LUA_TNIL)
		ms = larg_duration_ms(L, lua_gettop(L), "http: timeout");
	if (ms == 0 || ms > TIMEOUT_MAX_MS)
		luaL_error(
		    L, "http: timeout must be more than 0 and at most an hour");
	lua_pop(L, 1);
	return ms;
}

void
http_request_read(lua_State *L, int options, const char *method, int url,
    struct http_request *ret)
{
	int none = lua_isnoneornil(L, options);

	ret->timeout_ms = TIMEOUT_DEFAULT_MS;
	ret->max_bytes = MAX_BYTES_DEFAULT;
	larg_options(L, options, option_names, NELEMS(option_names));
	read_method(L, options, method, ret);
	read_url(L, none ? 0 : options, url, ret);
	if (!none) {
		read_headers(L, options, ret);
		read_body(L, options, ret);
		ret->timeout_ms = read_timeout(L, options);
		ret->max_bytes = (size_t)read_count(L, options, "max_bytes",
		    (lua_Integer)MAX_BYTES_DEFAULT, (lua_Integer)MAX_BYTES_MAX);
		ret->retries = (unsigned int)read_count(
		    L, options, "retries", 0, RETRIES_MAX);
		if (lua_getfield(L, options, "follow") == LUA_TBOOLEAN)
			ret->redirects =
			    lua_toboolean(L, -1) ? REDIRECTS_DEFAULT : 0;
		else
			ret->redirects = (unsigned int)read_count(
			    L, options, "follow", 0, REDIRECTS_MAX);
		lua_pop(L, 1);
	}
	ret->bytes += ret->url.cap + ret->body.cap;
	ret->idempotent = (strcmp(ret->method, "POST") != 0 &&
			      strcmp(ret->method, "PATCH") != 0) ||
			  has_header(ret, "idempotency-key");
}

struct str
http_header_value(const struct buf *headers, const char *name)
{
	const char *line = buf_text(headers), *end;
	size_t len = strlen(name);

	for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		if ((size_t)(end - line) <= len || line[len] != ':' ||
		    strncasecmp(line, name, len) != 0)
			continue;
		for (line += len + 1; *line == ' '; line++)
			;
		return (struct str){line, (size_t)(end - line)};
	}
	return (struct str){NULL, 0};
}

int64_t
http_retry_after_ms(const struct buf *headers, uint64_t now_unix_ms)
{
	struct str after = http_header_value(headers, "retry-after");
	struct tm tm = {0};
	uint64_t seconds;
	char text[40];
	int64_t at;

	if (after.data == NULL)
		return -1;
	if (str_parse_u64(after, RETRY_AFTER_MAX_S, &seconds) == 0)
		return (int64_t)seconds * 1000;
	if (after.len >= sizeof(text))
		return -1;
	(void)memcpy(text, after.data, after.len);
	text[after.len] = '\0';
	if (strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm) == NULL)
		return -1;
	at = (int64_t)timegm(&tm) * 1000 - (int64_t)now_unix_ms;
	return at > 0 ? at : 0;
}

void
http_put_url(struct buf *out, const struct buf *url)
{
	const char *s = buf_text(url), *slashes = strstr(s, "//"), *at;
	size_t begin, end;

	if (slashes != NULL) {
		begin = (size_t)(slashes - s) + 2;
		end = begin + strcspn(s + begin, "/?#");
		at = memrchr(s + begin, '@', end - begin);
		if (at != NULL) {
			buf_put(out, s, begin);
			s = at + 1;
		}
	}
	buf_put(out, s, strnlen(s, PROTO_TEXT_MAX));
}
