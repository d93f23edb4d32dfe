/* What is said about tokens, compared with Sentry's documentation. */

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "crypto/base64.h"
#include "sentry/grant.h"
#include "json/jdoc.h"

/* The documented answer. */
static const char documented[] =
    "{\"id\": \"38\", \"token\": \"ec48bf98637d44c294ead7566513686237e74ab67a07"
    "4c64b3aaca2d93dbb8f1\", \"refreshToken\": \"c866f154a65841638d44ee26364409"
    "b0a1a67bd642bd46e7a476f34f810712d6\", \"dateCreated\": "
    "\"2019-08-07T20:25:09.870Z\", \"expiresAt\": "
    "\"2019-08-08T04:25:09.870Z\", "
    "\"state\": null, \"application\": null}";

static int
read(const char *body, struct grant *ret)
{
	return grant_read(str_of(body), 1000000, ret, NULL);
}

Test(grant, the_documented_answer_is_read)
{
	struct grant g;

	cr_assert_eq(read(documented, &g), 0);
	cr_expect_str_eq(g.token, "ec48bf98637d44c294ead7566513686237e74ab67a07"
				  "4c64b3aaca2d93dbb8f1");
	cr_expect_str_eq(g.refresh, "c866f154a65841638d44ee26364409b0a1a67bd642"
				    "bd46e7a476f34f810712d6");
	/* Eight hours from now, whatever the clock over there says. */
	cr_expect_eq(g.expires_unix_ms, 1000000 + 8 * 3600000);
	grant_clear(&g);
	cr_expect_null(g.token);
}

Test(grant, the_example_applications_answer_is_read)
{
	struct grant g;

	cr_assert_eq(read("{\"token\":\"abc123\",\"refreshToken\":\"def456\","
			  "\"expiresAt\":\"3000-01-01T08:00:00.000Z\"}",
			 &g),
	    0);
	cr_expect_str_eq(g.token, "abc123");
	cr_expect_eq(g.expires_unix_ms, UINT64_C(32503708800000));
	grant_clear(&g);
	cr_assert_eq(read("{\"token\":\"abc123\",\"expiresAt\":null}", &g), 0);
	cr_expect_null(g.refresh);
	cr_expect_eq(g.expires_unix_ms, 0);
	grant_clear(&g);
	cr_assert_eq(read("{\"token\":\"a\",\"expiresAt\":\"soon\"}", &g), 0);
	cr_expect_eq(g.expires_unix_ms, 1000000 + 3600000);
	grant_clear(&g);
}

Test(grant, what_is_no_token_is_refused)
{
	static const char *const bad[] = {"", "[]", "{}", "{\"token\":7}",
	    "{\"token\":\"\"}", "{\"token\":\"a b\"}",
	    "{\"token\":\"a\\r\\nX: y\"}", "{\"token\":\"a\\u0000\"}",
	    "{\"token\":\"\xc3\xa9\"}", "<html>"};
	struct err err;
	struct grant g;
	size_t i;

	for (i = 0; i < NELEMS(bad); i++) {
		err = (struct err)ERR_INIT;
		cr_expect_eq(
		    grant_read(str_of(bad[i]), 0, &g, &err), -1, "%s", bad[i]);
		cr_expect_eq(err.code, ERR_INVALID);
	}
}

Test(grant, bodies_are_as_documented)
{
	struct buf b = BUF_INIT;

	grant_put_code(&b, "the-\"code\"", "id", "secret");
	cr_expect_str_eq(buf_text(&b),
	    "{\"grant_type\":\"authorization_code\",\"code\":\"the-"
	    "\\\"code\\\"\",\"client_id\":\"id\",\"client_secret\":"
	    "\"secret\"}");
	buf_reset(&b);
	grant_put_refresh(&b, "r", "id", "secret");
	cr_expect_str_eq(buf_text(&b),
	    "{\"grant_type\":\"refresh_token\",\"refresh_token\":\"r\","
	    "\"client_id\":\"id\",\"client_secret\":\"secret\"}");
	buf_reset(&b);
	grant_put_jwt_body(&b);
	cr_expect_str_eq(buf_text(&b),
	    "{\"grant_type\":\"urn:sentry:params:oauth:grant-type:jwt-"
	    "bearer\"}");
	buf_reset(&b);
	grant_put_url(&b, "https://sentry.io", "U", 1);
	cr_expect_str_eq(buf_text(&b),
	    "https://sentry.io/api/0/sentry-app-installations/U/"
	    "authorizations/");
	buf_reset(&b);
	grant_put_url(&b, "https://de.sentry.io", "U", 0);
	cr_expect_str_eq(buf_text(&b),
	    "https://de.sentry.io/api/0/sentry-app-installations/U/");
	buf_free(&b);
}

Test(grant, the_jwt_has_the_documented_claims)
{
	struct buf jwt = BUF_INIT, part = BUF_INIT;
	char *dot, *second;

	grant_put_jwt(&jwt, "the-id", "the-secret", 1700000000999, "J");
	dot = strchr(jwt.data, '.');
	second = strchr(dot + 1, '.');
	cr_assert_eq(base64_decode(&part, BASE64_URL, jwt.data,
			 (size_t)(dot - jwt.data), NULL),
	    0);
	cr_expect_str_eq(
	    buf_text(&part), "{\"alg\":\"HS256\",\"typ\":\"JWT\"}");
	buf_reset(&part);
	cr_assert_eq(base64_decode(&part, BASE64_URL, dot + 1,
			 (size_t)(second - dot - 1), NULL),
	    0);
	cr_expect_str_eq(buf_text(&part),
	    "{\"iss\":\"the-id\",\"sub\":\"the-id\",\"iat\":1700000000,"
	    "\"exp\":1700000060,\"jti\":\"J\"}");
	buf_free(&part);
	buf_free(&jwt);
}

Test(grant, an_installation_is_read)
{
	struct grant_installation in;

	cr_assert_eq(grant_read_installation(
			 STR("{\"app\":{\"uuid\":\"64bf2cf4-37ca-4365-8dd3-"
			     "6b6e56d741b8\",\"slug\":\"app\"},"
			     "\"organization\":{\"slug\":\"example\"},"
			     "\"uuid\":\"7a485448-a9e2-4c85-8a3c-"
			     "4f44175783c9\"}"),
			 &in, NULL),
	    0);
	cr_expect_str_eq(in.app_slug, "app");
	cr_expect_str_eq(in.org_slug, "example");
	cr_expect_null(in.status);
	grant_installation_clear(&in);
	cr_assert_eq(grant_read_installation(STR("{}"), &in, NULL), 0);
	cr_expect_null(in.app_slug);
	cr_expect_eq(grant_read_installation(STR("nope"), &in, NULL), -1);
}

Test(grant, a_refusal_has_its_code)
{
	static const struct {
		unsigned int status;
		enum err_code code;
	} cases[] = {{400, ERR_INVALID}, {401, ERR_UNAUTH}, {403, ERR_UNAUTH},
	    {404, ERR_NOT_FOUND}, {410, ERR_NOT_FOUND}, {429, ERR_UNAVAILABLE},
	    {500, ERR_UNAVAILABLE}, {503, ERR_UNAVAILABLE}, {302, ERR_INVALID}};
	struct err err = ERR_INIT;
	size_t i;

	for (i = 0; i < NELEMS(cases); i++) {
		cr_expect_eq(grant_refusal("it", cases[i].status,
				 STR("{\"detail\":\"no\\u001b[2J\"}"), &err),
		    -1);
		cr_expect_eq(err.code, cases[i].code, "%u", cases[i].status);
	}
	cr_expect_str_eq(err.msg, "it: Sentry answered 302: no\\x1b[2J");
	(void)grant_refusal("it", 500, STR("<html>"), &err);
	cr_expect_str_eq(err.msg, "it: Sentry answered 500");
}

Test(grant, ids_and_slugs_are_checked)
{
	cr_expect(grant_is_uuid(STR("7a485448-a9e2-4c85-8a3c-4f44175783c9")));
	cr_expect(grant_is_uuid(STR("7A485448-A9E2-4C85-8A3C-4F44175783C9")));
	cr_expect_not(
	    grant_is_uuid(STR("7a485448-a9e2-4c85-8a3c-4f44175783c")));
	cr_expect_not(
	    grant_is_uuid(STR("7a485448-a9e2-4c85-8a3c-4f44175783cg")));
	cr_expect_not(
	    grant_is_uuid(STR("7a485448a-9e2-4c85-8a3c-4f44175783c9")));
	cr_expect_not(grant_is_uuid(STR("")));
	cr_expect(grant_is_slug(STR("acme-2")));
	cr_expect_not(grant_is_slug(STR("")));
	cr_expect_not(grant_is_slug(STR("Acme")));
	cr_expect_not(grant_is_slug(STR("a/b")));
	cr_expect_not(grant_is_slug(STR("a b")));
}
