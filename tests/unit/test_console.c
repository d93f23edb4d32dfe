/*
 * The console's door, its filters, and what it hides.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "console/access.h"
#include "console/query.h"
#include "console/redact.h"
#include "crypto/secrets.h"
#include "json/jdoc.h"

/* ---- who gets in --------------------------------------------------------- */

static int
host_is_ours(const char *address, const char *host)
{
	struct access *a = access_create("token", address);
	int ours = access_host_is_ours(a, host);

	access_free(a);
	return ours;
}

Test(console_access, knows_its_own_names)
{
	static const char *const ours[] = {"127.0.0.1:8081", "localhost:8081",
	    "LocalHost:8081", "[::1]:8081", "127.0.0.1", "localhost:9000"};
	static const char *const others[] = {NULL, "", "evil.example:8081",
	    "evil.example", "127.0.0.1.evil.example", "127.0.0.1:80:81",
	    "127.0.0.1:8081x", "10.0.0.1:8081", "[::1", "[::1]x", ":8081",
	    "[]:8081", "localhost.evil.example:8081", "::1"};
	size_t i;

	for (i = 0; i < NELEMS(ours); i++)
		cr_expect(
		    host_is_ours("127.0.0.1:8081", ours[i]), "%s", ours[i]);
	for (i = 0; i < NELEMS(others); i++)
		cr_expect_not(host_is_ours("127.0.0.1:8081", others[i]), "%s",
		    others[i] == NULL ? "(none)" : others[i]);
}

Test(console_access, takes_the_address_that_it_listens_on)
{
	cr_expect(host_is_ours("192.168.1.5:8081", "192.168.1.5:8081"));
	cr_expect_not(host_is_ours("192.168.1.5:8081", "192.168.1.6:8081"));
	cr_expect(host_is_ours("[fd00::1]:8081", "[FD00::1]:8081"));
	cr_expect_not(host_is_ours("[fd00::1]:8081", "[fd00::2]:8081"));

	/* On all addresses: any address, but still no name. */
	cr_expect(host_is_ours("0.0.0.0:8081", "192.168.1.6:8081"));
	cr_expect(host_is_ours("[::]:8081", "[fd00::2]:8081"));
	cr_expect_not(host_is_ours("0.0.0.0:8081", "evil.example:8081"));
}

Test(console_access, lets_only_its_own_pages_ask)
{
	cr_expect(access_origin_is_ours(NULL, "127.0.0.1:8081"));
	cr_expect(
	    access_origin_is_ours("http://127.0.0.1:8081", "127.0.0.1:8081"));
	cr_expect(
	    access_origin_is_ours("HTTPS://LOCALHOST:8081", "localhost:8081"));
	cr_expect_not(access_origin_is_ours("null", "127.0.0.1:8081"));
	cr_expect_not(access_origin_is_ours("", "127.0.0.1:8081"));
	cr_expect_not(access_origin_is_ours("http://127.0.0.1:8081", NULL));
	cr_expect_not(
	    access_origin_is_ours("http://127.0.0.1:8082", "127.0.0.1:8081"));
	cr_expect_not(access_origin_is_ours(
	    "http://127.0.0.1:8081.evil.example", "127.0.0.1:8081"));
	cr_expect_not(
	    access_origin_is_ours("ftp://127.0.0.1:8081", "127.0.0.1:8081"));
}

Test(console_access, asks_for_the_token_or_its_cookie)
{
	struct access *a = access_create("s3cr3t", "127.0.0.1:8081");
	struct access *b = access_create("other", "127.0.0.1:8081");
	struct access *c = access_create("s3cr3t", "127.0.0.1:8082");
	char cookie[256], among[600];

	(void)snprintf(cookie, sizeof(cookie), "%.*s",
	    (int)strcspn(access_cookie(a), ";"), access_cookie(a));
	cr_expect(access_is_allowed(a, "Bearer s3cr3t", NULL));
	cr_expect(access_is_allowed(a, "bearer  s3cr3t", NULL));
	cr_expect_not(access_is_allowed(a, NULL, NULL));
	cr_expect_not(access_is_allowed(a, "s3cr3t", NULL));
	cr_expect_not(access_is_allowed(a, "Bearer s3cr3", NULL));
	cr_expect_not(access_is_allowed(a, "Bearer s3cr3tt", NULL));
	cr_expect_not(access_is_allowed(a, "Bearer ", NULL));
	cr_expect_not(access_is_allowed(a, "Basic s3cr3t", NULL));

	cr_expect(access_is_allowed(a, NULL, cookie));
	(void)snprintf(among, sizeof(among), "x=1; %s;y=%s", cookie, cookie);
	cr_expect(access_is_allowed(a, NULL, among));
	(void)snprintf(among, sizeof(among), "x%s", cookie);
	cr_expect_not(access_is_allowed(a, NULL, among));
	cr_expect_not(access_is_allowed(a, NULL, ""));
	cr_expect_not(access_is_allowed(a, NULL, ";;; ;"));
	cr_expect_not(access_is_allowed(a, NULL, "moonpost_8081="));
	cr_expect_not(access_is_allowed(a, NULL, "moonpost_8081=s3cr3t"));
	cr_expect_not(access_is_allowed(b, NULL, cookie));
	cr_expect_not(access_is_allowed(c, NULL, cookie), "another console");

	/* A wrong token is wrong, whatever cookie is beside it. */
	cr_expect_not(access_is_allowed(a, "Bearer x", cookie));
	access_free(a);
	access_free(b);
	access_free(c);
	access_free(NULL);
}

/* ---- filters ---------------------------------------------------------------
 */

#define NOW UINT64_C(1769860800000) /* 2026-01-31T12:00:00Z */

static struct err err;

static int
parse(const char *query, struct query_filter *ret)
{
	err = (struct err)ERR_INIT;
	return query_filter_parse(str_of(query), NOW, ret, &err);
}

Test(console_query, reads_every_filter)
{
	struct query_filter f;

	cr_assert_eq(parse("state=dead&resource=issue&action=created&script="
			   "a%2Fb&integration=default&q=x%20y+z%26&since=1h&"
			   "until=2026-01-31T13:00:00%2B01:00&limit=7&before="
			   "42",
			 &f),
	    0, "%s", err.msg);
	cr_expect_str_eq(f.texts[QUERY_STATE], "dead");
	cr_expect_str_eq(f.texts[QUERY_RESOURCE], "issue");
	cr_expect_str_eq(f.texts[QUERY_ACTION], "created");
	cr_expect_str_eq(f.texts[QUERY_SCRIPT], "a/b");
	cr_expect_str_eq(f.texts[QUERY_INTEGRATION], "default");
	cr_expect_str_eq(f.texts[QUERY_Q], "x y z&");
	cr_expect_eq(f.since_unix_ms, NOW - 3600000);
	cr_expect_eq(f.until_unix_ms, NOW);
	cr_expect_eq(f.limit, 7);
	cr_expect_eq(f.before_id, 42);
	query_filter_clear(&f);
}

Test(console_query, takes_an_empty_value_for_none)
{
	struct query_filter f;
	size_t i;

	cr_assert_eq(parse("state=&&q&limit=&before=&since=&", &f), 0);
	for (i = 0; i < QUERY_TEXTS; i++)
		cr_expect_null(f.texts[i]);
	cr_expect_eq(f.limit, 0);
	query_filter_clear(&f);
	cr_assert_eq(parse("", &f), 0);
	query_filter_clear(&f);

	/* The last one counts, and no page is longer than this. */
	cr_assert_eq(parse("q=a&q=b&limit=100000", &f), 0);
	cr_expect_str_eq(f.texts[QUERY_Q], "b");
	cr_expect_eq(f.limit, 500);
	query_filter_clear(&f);
}

Test(console_query, refuses_what_is_wrong)
{
	static const char *const wrong[][2] = {
	    {"state=deaf", "'deaf' is none of"},
	    {"stat=dead", "did you mean 'state'"},
	    {"q=1&nonsense=1", "no filter 'nonsense'"},
	    {"limit=0", "limit"},
	    {"limit=-1", "limit"},
	    {"limit=99999999999999999999", "limit"},
	    {"before=x", "before"},
	    {"before=9223372036854775807", "before"},
	    {"since=yesterday", "since: 'yesterday' is neither"},
	    {"until=2026-02-30T00:00:00Z", "until"},
	    {"q=%", "encoded"},
	    {"q=%1", "encoded"},
	    {"q=%zz", "encoded"},
	    {"q=%00", "encoded"},
	    {"%ff%=1", "encoded"},
	    {"=1", "no filter ''"},
	};
	struct query_filter f;
	size_t i;

	for (i = 0; i < NELEMS(wrong); i++) {
		cr_expect_eq(parse(wrong[i][0], &f), -1, "%s", wrong[i][0]);
		cr_expect_eq(err.code, ERR_INVALID);
		cr_expect_not_null(strstr(err.msg, wrong[i][1]), "%s: %s",
		    wrong[i][0], err.msg);
	}
}

Test(console_query, reads_times_and_ages)
{
	uint64_t t;

	cr_expect_eq(query_time("15m", NOW, &t, NULL), 0);
	cr_expect_eq(t, NOW - 900000);
	cr_expect_eq(query_time("99999d", NOW, &t, NULL), 0);
	cr_expect_eq(t, 0, "before all time");
	cr_expect_eq(query_time("2026-01-31T13:00:00 01:00", NOW, &t, NULL), 0);
	cr_expect_eq(t, NOW, "a plus sign that was not encoded");
	cr_expect_eq(query_time("", NOW, &t, NULL), -1);
	cr_expect_eq(query_time("      ", NOW, &t, NULL), -1);
}

/* ---- what is hidden --------------------------------------------------------
 */

static void
hide(void *cookie, struct buf *text)
{
	secrets_redact(cookie, text);
}

/* Free the result. */
static char *
redacted(const char *json, struct secrets *secrets)
{
	struct buf out = BUF_INIT;
	struct jdoc doc = {0};

	redact_json(str_of(json), secrets == NULL ? NULL : hide, secrets, &out);
	cr_assert_eq(jdoc_parse(&doc, buf_text(&out), out.len, NULL, NULL), 0,
	    "not JSON any more: %s", buf_text(&out));
	jdoc_free(&doc);
	return buf_take(&out);
}

static void
check(const char *json, struct secrets *secrets, const char *expected)
{
	char *is = redacted(json, secrets);

	cr_expect_str_eq(is, expected);
	free(is);
}

Test(console_redact, leaves_all_else_as_it_is)
{
	static const char *const same[] = {"{}", "[]", "\"x\"", "1.50", "null",
	    " { \"a\" : [ 1e5 , -0.0, true,\n{} ] } ",
	    "{\"payload\":{\"code\":\"abcdefgh\",\"x-y\":1,\"a\\\"}b\":\"\\\\"
	    "\"}}",
	    "{\"payload\":{\"headers\":{\"Authorization\":\"x\"}}}",
	    "{\"data\":{\"installation\":{\"code\":\"abcdefgh\"}}}"};
	size_t i;

	for (i = 0; i < NELEMS(same); i++)
		check(same[i], NULL, same[i]);
}

Test(console_redact, hides_headers)
{
	check("{\"headers\":{\"Host\":\"h\",\"AUTHORIZATION\":\"a\",\"X-Y\":"
	      "\"b\",\"Cookie\":\"c\",\"My-Signature\":\"d\",\"Api-Key\":\"e\","
	      "\"Private-Token\":\"f\",\"Idempotency-Key\":\"g\"}}",
	    NULL,
	    "{\"headers\":{\"Host\":\"h\",\"AUTHORIZATION\":\"[redacted]\","
	    "\"X-Y\":\"[redacted]\",\"Cookie\":\"[redacted]\",\"My-Signature\":"
	    "\"[redacted]\",\"Api-Key\":\"[redacted]\",\"Private-Token\":"
	    "\"[redacted]\",\"Idempotency-Key\":\"g\"}}");
}

Test(console_redact, hides_the_code_of_an_installation)
{
	check("{\"jobs\":[\"it is abc-123-x.\",1],\"payload\":{\"data\":{"
	      "\"installation\":{\"code\" : \"abc-123-x\",\"uuid\":\"u\"}}}}",
	    NULL,
	    "{\"jobs\":[\"it is [redacted].\",1],\"payload\":{\"data\":{"
	    "\"installation\":{\"code\" : \"[redacted]\",\"uuid\":\"u\"}}}}");

	/* Spelt otherwise, of another type, and too short to look for. */
	check("{\"payload\":{\"installation\":{\"\\u0063ode\":12345678}}}",
	    NULL,
	    "{\"payload\":{\"installation\":{\"\\u0063ode\":\"[redacted]\"}}}");
	check("{\"a\":\"xyz\",\"payload\":{\"installation\":{\"code\":\"x\"}}}",
	    NULL,
	    "{\"a\":\"xyz\",\"payload\":{\"installation\":{\"code\":"
	    "\"[redacted]\"}}}");
	check("{\"payload\":{\"installation\":{\"code\":null}}}", NULL,
	    "{\"payload\":{\"installation\":{\"code\":null}}}");
}

Test(console_redact, hides_secrets_and_leaves_json)
{
	struct secrets *secrets = secrets_create(NULL);

	secrets_remember(secrets, "1234567", 7);
	secrets_remember(secrets, "pass\"word", 9);
	check("{\"a\":1234567,\"b\":12345678.5,\"c\":\"x1234567y\","
	      "\"d1234567\":true,\"e\":\"pass\\\"word\",\"f\":123}",
	    secrets,
	    "{\"a\":\"[redacted]\",\"b\":\"[redacted]\",\"c\":\"x[redacted]y\","
	    "\"d[redacted]\":true,\"e\":\"[redacted]\",\"f\":123}");
	secrets_free(secrets);
}
