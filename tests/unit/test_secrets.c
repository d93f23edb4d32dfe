#include <sys/stat.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "crypto/base64.h"
#include "crypto/secret.h"
#include "crypto/secrets.h"

static char dir[] = "/tmp/moonpost-secrets-XXXXXX";

static void
put(const char *name, const char *content, size_t len)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	cr_assert_eq(file_replace(path, content, len, 0600, NULL), 0);
}

static void
make_dir(void)
{
	char path[256];

	cr_assert_not_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/acme", dir);
	cr_assert_eq(mkdir(path, 0700), 0);
}

static void
remove_dir(void)
{
	char command[300];

	(void)snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_expect_eq(system(command), 0);
}

TestSuite(secrets, .init = make_dir, .fini = remove_dir);

static void
expect(struct secrets *s, const char *integration, const char *name,
    const char *value)
{
	struct secret *secret = NULL;
	struct err err = ERR_INIT;

	cr_assert_eq(
	    secrets_get(s, integration, name, &secret, &err), 0, "%s", err.msg);
	cr_expect_str_eq(secret->data, value);
	cr_expect_eq(secret->len, strlen(value));
	secret_free(secret);
}

static void
expect_error(struct secrets *s, const char *integration, const char *name,
    enum err_code code)
{
	struct secret *secret = NULL;
	struct err err = ERR_INIT;

	cr_expect_eq(secrets_get(s, integration, name, &secret, &err), -1);
	cr_expect_eq(err.code, code, "%s: %s", name, err.msg);
	cr_expect_null(secret);
}

Test(secrets, come_from_the_environment_then_the_folder)
{
	struct secrets *s = secrets_create(dir);

	cr_assert_eq(setenv("JIRA_URL", "from-env", 1), 0);
	put("JIRA_URL", "from-file", 9);
	put("PAGER_URL", "of-the-file\n", 12);
	put("TWO_LINES", "a\n\n", 3);
	put("EMPTY", "", 0);
	expect(s, "default", "JIRA_URL", "from-env");
	expect(s, NULL, "JIRA_URL", "from-env");
	expect(s, "default", "PAGER_URL", "of-the-file");
	expect(s, "default", "TWO_LINES", "a\n");
	expect(s, "default", "EMPTY", "");
	secrets_free(s);
}

Test(secrets, of_an_integration_are_its_own)
{
	struct secrets *s = secrets_create(dir);

	cr_assert_eq(setenv("acme__KEY", "acme-env", 1), 0);
	cr_assert_eq(setenv("KEY", "default-env", 1), 0);
	cr_assert_eq(setenv("ONLY_DEFAULT", "default-env", 1), 0);
	put("acme/FILE", "acme-file\n", 10);
	expect(s, "acme", "KEY", "acme-env");
	expect(s, "default", "KEY", "default-env");
	expect(s, "acme", "FILE", "acme-file");
	expect_error(s, "default", "FILE", ERR_NOT_FOUND);
	expect_error(s, "acme", "ONLY_DEFAULT", ERR_NOT_FOUND);
	expect_error(s, "default", "ACME__KEY", ERR_INVALID);
	expect_error(s, "..", "KEY", ERR_INVALID);
	expect_error(s, "", "KEY", ERR_INVALID);
	secrets_free(s);
}

Test(secrets, refuse_names_that_are_not_the_users)
{
	static const char *const bad[] = {"", "lower", "1A", "_A", "A-B", "A.B",
	    "A/B", "../A", "A B", "MOONPOST_KEY", "MOONPOST_",
	    "SENTRY_CLIENT_SECRET", "SENTRY_CLIENT_ID", "A__B", "\xc3\x84"};
	struct secrets *s = secrets_create(dir);
	size_t i;

	cr_assert_eq(setenv("MOONPOST_KEY", "no", 1), 0);
	cr_assert_eq(setenv("SENTRY_CLIENT_SECRET", "no", 1), 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect_error(s, "default", bad[i], ERR_INVALID);
	cr_assert_eq(setenv("SENTRY_DSN", "good", 1), 0);
	expect(s, "default", "SENTRY_DSN", "good");
	secrets_free(s);
}

Test(secrets, tell_where_to_put_one_that_is_missing)
{
	struct secrets *s = secrets_create(NULL);
	struct secret *secret = NULL;
	struct err err = ERR_INIT;

	cr_expect_eq(secrets_get(s, "default", "NOT_THERE", &secret, &err), -1);
	cr_expect_eq(err.code, ERR_NOT_FOUND);
	cr_expect_not_null(strstr(err.msg, "NOT_THERE"));
	cr_expect_not_null(strstr(err.msg, "--secrets"));
	secrets_free(s);
	secrets_free(NULL);
}

Test(secrets, refuse_files_that_are_none)
{
	struct secrets *s = secrets_create(dir);
	char *big = calloc(1, SECRETS_MAX_BYTES + 1);
	char path[256];

	put("BIG", big, SECRETS_MAX_BYTES + 1);
	(void)snprintf(path, sizeof(path), "%s/FOLDER", dir);
	cr_assert_eq(mkdir(path, 0700), 0);
	expect_error(s, "default", "BIG", ERR_TOO_LARGE);
	expect_error(s, "default", "FOLDER", ERR_UNAVAILABLE);
	free(big);
	secrets_free(s);
}

static void
must_redact(struct secrets *s, const char *line, const char *want)
{
	struct buf b = BUF_INIT;

	buf_puts(&b, line);
	secrets_redact(s, &b);
	cr_expect_str_eq(b.data, want);
	buf_free(&b);
}

Test(secrets, are_redacted_in_every_form)
{
	static const char value[] = "p@ss/w\"rd+1?";
	struct secrets *s = secrets_create(NULL);
	struct buf line = BUF_INIT, padded = BUF_INIT;
	int kind, shift, tail;

	secrets_remember(s, value, strlen(value));
	must_redact(s, "x p@ss/w\"rd+1? y", "x [redacted] y");
	must_redact(s, "{\"a\":\"p@ss/w\\\"rd+1?\"}", "{\"a\":\"[redacted]\"}");
	must_redact(s, "?q=p%40ss%2Fw%22rd%2B1%3F&", "?q=[redacted]&");
	must_redact(s, "?q=p%40ss%2fw%22rd%2b1%3f&", "?q=[redacted]&");
	must_redact(s, "p@ss/w\"rd+1?p@ss/w\"rd+1?", "[redacted][redacted]");
	must_redact(s, "nothing here", "nothing here");
	must_redact(NULL, "no secrets", "no secrets");

	/* In base64, wherever it stands in what was encoded. */
	for (kind = 0; kind < 2; kind++) {
		for (shift = 0; shift < 7; shift++) {
			for (tail = 0; tail < 4; tail++) {
				buf_reset(&padded);
				buf_reset(&line);
				buf_put(&padded, "user:::", (size_t)shift);
				buf_puts(&padded, value);
				buf_put(&padded, "more", (size_t)tail);
				base64_encode(&line, (enum base64_kind)kind,
				    padded.data, padded.len);
				secrets_redact(s, &line);
				cr_expect_not_null(
				    strstr(line.data, "[redacted]"));
			}
		}
	}
	buf_free(&padded);
	buf_free(&line);
	secrets_free(s);
}

Test(secrets, that_hold_another_are_replaced_whole)
{
	struct secrets *s = secrets_create(NULL);

	secrets_remember(s, "abcdef", 6);
	secrets_remember(s, "xxabcdefxx", 10);
	secrets_remember(s, "abcdef", 6);
	must_redact(s, "xxabcdefxx abcdef", "[redacted] [redacted]");
	secrets_free(s);
}

Test(secrets, that_are_short_are_left_alone)
{
	struct secrets *s = secrets_create(NULL);

	secrets_remember(s, "12345", 5);
	secrets_remember(s, "", 0);
	must_redact(s, "12345", "12345");
	secrets_free(s);
}

Test(secrets, can_be_forgotten)
{
	struct secrets *s = secrets_create(NULL);

	secrets_remember(s, "old-token", 9);
	secrets_remember(s, "a-new-token", 11);
	secrets_remember(s, "a-new-token", 11);
	secrets_forget(s, "old-token", 9);
	secrets_forget(s, "a-new-token", 11);
	secrets_forget(s, "never-known", 11);
	must_redact(s, "old-token b2xkLXRva2Vu a-new-token",
	    "old-token b2xkLXRva2Vu [redacted]");
	secrets_forget(s, "a-new-token", 11);
	must_redact(s, "a-new-token", "a-new-token");
	secrets_free(s);
}

static void *
reveal(void *arg)
{
	char value[32];
	int i;

	for (i = 0; i < 200; i++) {
		(void)snprintf(value, sizeof(value), "secret-value-%d", i);
		secrets_remember(arg, value, strlen(value));
	}
	return NULL;
}

Test(secrets, may_be_revealed_while_lines_are_redacted)
{
	struct secrets *s = secrets_create(NULL);
	pthread_t thread;
	int i;

	secrets_remember(s, "first-one", 9);
	cr_assert_eq(pthread_create(&thread, NULL, reveal, s), 0);
	for (i = 0; i < 200; i++)
		must_redact(s, "a first-one b", "a [redacted] b");
	cr_assert_eq(pthread_join(thread, NULL), 0);
	must_redact(s, "secret-value-199", "[redacted]");
	secrets_free(s);
}

Test(secret, is_a_copy_with_a_nul_behind)
{
	struct secret *s = secret_create("a\0b", 3);

	cr_expect_eq(s->len, 3);
	cr_expect_eq(memcmp(s->data, "a\0b", 4), 0);
	cr_expect(secret_equal(s->data, 3, "a\0b", 3));
	cr_expect_not(secret_equal(s->data, 3, "a\0c", 3));
	cr_expect_not(secret_equal(s->data, 3, "a", 1));
	secret_free(s);
	secret_free(NULL);
}
