#include <sys/stat.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "crypto/seal.h"

#include "sentry/login.h"
#include "sentry/login_file.h"

#include "scratch.h"

#define T0 UINT64_C(1800000000000)

static void
check_form(struct buf *form, const char *wanted)
{
	cr_assert_str_eq(buf_text(form), wanted);
	buf_free(form);
}

Test(login, requests_are_forms)
{
	struct buf form = BUF_INIT;

	login_put_device(&form, "id", "org:read event:read");
	check_form(&form, "client_id=id&scope=org%3Aread%20event%3Aread");
	login_put_poll(&form, "id", "d&c");
	check_form(&form, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%"
			  "3Adevice_code&device_code=d%26c&client_id=id");
	login_put_code(&form, "id", "c", "http://127.0.0.1:1/callback", "v");
	check_form(&form,
	    "grant_type=authorization_code&code=c&redirect_uri=http%3A%2F%"
	    "2F127.0.0.1%3A1%2Fcallback&client_id=id&code_verifier=v");
	login_put_refresh(&form, "id", "r");
	check_form(
	    &form, "grant_type=refresh_token&refresh_token=r&client_id=id");
}

Test(login, the_challenge_is_that_of_rfc_7636)
{
	struct buf url = BUF_INIT;

	login_put_authorize(&url, "https://sentry.io", "id",
	    "http://127.0.0.1:1/callback", "org:read", "st",
	    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
	check_form(&url,
	    "https://sentry.io/oauth/authorize/?client_id=id&response_type="
	    "code&redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2Fcallback&scope="
	    "org%3Aread&state=st&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8"
	    "URWbuGJSstw-cM&code_challenge_method=S256");
}

Test(login, secrets_are_long_and_new)
{
	char a[LOGIN_SECRET_SIZE], b[LOGIN_SECRET_SIZE];

	cr_assert_eq(strlen(login_make_secret(a)), 43);
	cr_assert_str_neq(a, login_make_secret(b));
	cr_assert_eq(
	    strspn(a, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuv"
		      "wxyz0123456789-_"),
	    43);
}

Test(login, reads_what_a_device_is_answered)
{
	struct login_device d = {0};
	struct err err = ERR_INIT;

	cr_assert_eq(
	    login_read_device(
		STR("{\"device_code\":\"dc_secret\",\"user_code\":\"WDJB-"
		    "MJHT\","
		    "\"verification_uri\":\"https://sentry.io/oauth/device/\","
		    "\"verification_uri_complete\":\"https://sentry.io/oauth/"
		    "device/?user_code=WDJB-MJHT\",\"expires_in\":600,"
		    "\"interval\":5}"),
		&d, &err),
	    0);
	cr_assert_str_eq(d.device_code, "dc_secret");
	cr_assert_str_eq(d.user_code, "WDJB-MJHT");
	cr_assert_eq(d.expires_in_s, 600);
	cr_assert_eq(d.interval_s, 5);
	login_device_clear(&d);

	/* What may be left out (RFC 8628, 3.2), and what is nonsense. */
	cr_assert_eq(login_read_device(
			 STR("{\"device_code\":\"d\",\"user_code\":\"u\","
			     "\"verification_uri\":\"v\",\"expires_in\":-1,"
			     "\"interval\":0}"),
			 &d, &err),
	    0);
	cr_assert_null(d.uri_complete);
	cr_assert_eq(d.expires_in_s, 600);
	cr_assert_eq(d.interval_s, LOGIN_INTERVAL_S);
	login_device_clear(&d);
	cr_assert_eq(login_read_device(
			 STR("{\"device_code\":\"d\",\"user_code\":\"u\","
			     "\"verification_uri\":\"v\",\"interval\":0.25}"),
			 &d, &err),
	    0);
	cr_assert_eq(d.interval_s, 1);
	login_device_clear(&d);
	login_device_clear(&d);
}

Test(login, what_is_no_answer_for_a_device)
{
	static const struct {
		const char *body, *said;
	} cases[] = {
	    {"", "not JSON"},
	    {"<html>", "not JSON"},
	    {"[]", "not JSON"},
	    {"{}", "no device_code"},
	    {"{\"device_code\":7}", "no device_code"},
	    {"{\"device_code\":\"a\\u0000b\"}", "no device_code"},
	    {"{\"device_code\":\"d\"}", "no user_code"},
	    {"{\"device_code\":\"d\",\"user_code\":\"u\"}",
		"no verification_uri"},
	};
	struct login_device d = {0};
	struct err err;
	size_t i;

	for (i = 0; i < NELEMS(cases); i++) {
		err = (struct err)ERR_INIT;
		cr_assert_eq(
		    login_read_device(str_of(cases[i].body), &d, &err), -1);
		cr_assert_eq(err.code, ERR_INVALID);
		cr_assert_not_null(strstr(err.msg, cases[i].said), "%s: %s",
		    cases[i].body, err.msg);
		cr_assert_null(d.device_code);
	}
}

Test(login, reads_a_token)
{
	struct login login = {0};
	struct err err = ERR_INIT;

	cr_assert_eq(
	    login_read_token(200,
		STR("{\"access_token\":\"a\",\"refresh_token\":\"r\","
		    "\"expires_in\":2592000,\"token_type\":\"Bearer\","
		    "\"scope\":\"org:read\",\"user\":{\"id\":\"1\",\"name\":"
		    "\"Ada\",\"email\":\"ada@example.com\"}}"),
		T0, &login, &err),
	    LOGIN_GOOD);
	cr_assert_str_eq(login.access, "a");
	cr_assert_str_eq(login.refresh, "r");
	cr_assert_str_eq(login.who, "Ada <ada@example.com>");
	cr_assert_eq(login.expires_unix_ms, T0 + UINT64_C(2592000000));

	/* A refresh that is silent about the rest. */
	cr_assert_eq(login_read_token(200,
			 STR("{\"access_token\":\"b\",\"expires_in\":null}"),
			 T0, &login, &err),
	    LOGIN_GOOD);
	cr_assert_str_eq(login.access, "b");
	cr_assert_str_eq(login.refresh, "r");
	cr_assert_str_eq(login.who, "Ada <ada@example.com>");
	cr_assert_eq(login.expires_unix_ms, 0);
	cr_assert(!login_is_due(&login, UINT64_MAX));
	cr_assert(!login_is_over(&login, UINT64_MAX));
	login_clear(&login);
	login_clear(&login);
}

Test(login, reads_what_came_instead_of_a_token)
{
	static const struct {
		unsigned int status;
		const char *body;
		enum login_outcome outcome;
		enum err_code code;
	} cases[] = {
	    {400, "{\"error\":\"authorization_pending\"}", LOGIN_PENDING,
		ERR_UNAUTH},
	    {400, "{\"error\":\"slow_down\"}", LOGIN_SLOW_DOWN, ERR_UNAUTH},
	    {400, "{\"error\":\"access_denied\"}", LOGIN_DENIED, ERR_UNAUTH},
	    {400, "{\"error\":\"expired_token\"}", LOGIN_EXPIRED, ERR_UNAUTH},
	    {400, "{\"error\":\"invalid_grant\"}", LOGIN_INVALID, ERR_UNAUTH},
	    {400, "{\"error\":\"invalid_request\"}", LOGIN_REFUSED,
		ERR_INVALID},
	    {400, "{\"error\":7}", LOGIN_REFUSED, ERR_INVALID},
	    {401, "{\"error\":\"invalid_client\"}", LOGIN_REFUSED, ERR_UNAUTH},
	    {404, "<html>", LOGIN_REFUSED, ERR_INVALID},
	    {200, "{}", LOGIN_REFUSED, ERR_INVALID},
	    {200, "[]", LOGIN_REFUSED, ERR_INVALID},
	    {200, "", LOGIN_REFUSED, ERR_INVALID},
	    {302, "{}", LOGIN_REFUSED, ERR_INVALID},
	    {429, "", LOGIN_LATER, ERR_UNAVAILABLE},
	    {500, "<html>", LOGIN_LATER, ERR_UNAVAILABLE},
	    {503, "{\"detail\":\"Down\"}", LOGIN_LATER, ERR_UNAVAILABLE},
	};
	struct login login = {0};
	struct err err;
	size_t i;

	for (i = 0; i < NELEMS(cases); i++) {
		err = (struct err)ERR_INIT;
		cr_assert_eq(login_read_token(cases[i].status,
				 str_of(cases[i].body), T0, &login, &err),
		    cases[i].outcome, "case %zu", i);
		cr_assert_eq(err.code, cases[i].code, "case %zu", i);
		cr_assert_neq(err.msg[0], '\0');
		cr_assert_null(login.access);
	}
}

Test(login, is_due_before_it_is_over)
{
	struct login login = {.created_unix_ms = T0,
	    .expires_unix_ms = T0 + UINT64_C(2592000000)};
	uint64_t end = login.expires_unix_ms;

	cr_assert(!login_is_due(&login, end - 60001));
	cr_assert(login_is_due(&login, end - 60000));
	cr_assert(!login_is_over(&login, end - 1));
	cr_assert(login_is_over(&login, end));
	/* Of a short life, the last tenth. */
	login.expires_unix_ms = T0 + 10000;
	cr_assert(!login_is_due(&login, T0 + 8999));
	cr_assert(login_is_due(&login, T0 + 9000));
}

/* ---- the file -------------------------------------------------------------
 */

static const char *const keys[] = {
    "1111111111111111111111111111111111111111111111111111111111111111",
    "2222222222222222222222222222222222222222222222222222222222222222"};

Test(login_file, keeps_what_it_is_given)
{
	struct scratch scratch;
	char *path;
	const char *dir = scratch.dir;
	struct login login = {.sentry_url = mem_strdup("https://sentry.io"),
			 .client_id = mem_strdup("id"),
			 .access = mem_strdup("the-access-token"),
			 .created_unix_ms = T0,
			 .expires_unix_ms = T0 + 1},
		     read = {0};
	struct seal *seal, *other;
	struct buf text = BUF_INIT;
	struct err err = ERR_INIT;
	struct stat st;
	int was_there, lock;

	scratch_make(&scratch);
	path = mem_printf("%s/" LOGIN_FILE, dir);
	cr_assert_eq(seal_create(keys, 1, &seal, &err), 0);
	cr_assert_eq(seal_create(keys + 1, 1, &other, &err), 0);
	cr_assert_eq(login_file_load(dir, seal, &read, &err), -1);
	cr_assert_eq(err.code, ERR_NOT_FOUND);
	cr_assert_eq(login_file_lock(dir, &lock, &err), 0);
	cr_assert_eq(login_file_save(dir, seal, &login, &err), 0);
	cr_assert_eq(close(lock), 0);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	cr_assert_eq(login_file_load(dir, seal, &read, &err), 0);
	cr_assert_str_eq(read.access, "the-access-token");
	cr_assert_str_eq(read.sentry_url, "https://sentry.io");
	cr_assert_null(read.refresh);
	cr_assert_null(read.who);
	cr_assert_eq(read.created_unix_ms, T0);
	cr_assert_eq(read.expires_unix_ms, T0 + 1);
	login_clear(&read);

	cr_assert_eq(login_file_load(dir, other, &read, &err), -1);
	cr_assert_eq(err.code, ERR_NOT_FOUND);
	cr_assert_eq(file_read(path, 65536, &text, &err), 0);
	cr_assert_null(strstr(text.data, "the-access-token"));
	text.data[text.len - 4] = text.data[text.len - 4] == 'A' ? 'B' : 'A';
	cr_assert_eq(file_replace(path, text.data, text.len, 0600, &err), 0);
	cr_assert_eq(login_file_load(dir, seal, &read, &err), -1);
	cr_assert_eq(err.code, ERR_UNAUTH);
	cr_assert_eq(file_replace(path, "", 0, 0600, &err), 0);
	cr_assert_eq(login_file_load(dir, seal, &read, &err), -1);
	cr_assert_eq(err.code, ERR_INVALID);

	/* Sealed rightly, but not what it should be. */
	buf_reset(&text);
	seal_put(seal, STR("login"), STR("{\"access_token\":\"x\"}"), &text);
	cr_assert_eq(file_replace(path, text.data, text.len, 0600, &err), 0);
	cr_assert_eq(login_file_load(dir, seal, &read, &err), -1);
	cr_assert_eq(err.code, ERR_INVALID);

	cr_assert_eq(login_file_remove(dir, &was_there, &err), 0);
	cr_assert(was_there);
	cr_assert_eq(login_file_remove(dir, &was_there, &err), 0);
	cr_assert(!was_there);
	buf_free(&text);
	login_clear(&login);
	seal_free(seal);
	seal_free(other);
	free(path);
	scratch_clear(&scratch);
}

Test(login_file, a_folder_that_is_not_there)
{
	struct login login = {.sentry_url = mem_strdup("u"),
	    .client_id = mem_strdup("c"),
	    .access = mem_strdup("a")};
	struct seal *seal;
	struct err err = ERR_INIT;
	int lock, was_there = 1;

	cr_assert_eq(seal_create(keys, 1, &seal, &err), 0);
	cr_assert_eq(login_file_lock("/nowhere/at/all", &lock, &err), -1);
	cr_assert_eq(err.code, ERR_UNAVAILABLE);
	cr_assert_eq(
	    login_file_save("/nowhere/at/all", seal, &login, &err), -1);
	cr_assert_eq(err.code, ERR_UNAVAILABLE);
	cr_assert_eq(login_file_remove("/nowhere/at/all", &was_there, &err), 0);
	cr_assert(!was_there);
	login_clear(&login);
	seal_free(seal);
}
