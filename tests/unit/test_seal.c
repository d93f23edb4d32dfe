#include <pthread.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/seal.h"
#include "scratch.h"

#define KEY_A "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F"
#define KEY_B "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static struct seal *
with(const char *a, const char *b)
{
	const char *keys[] = {a, b};
	struct seal *seal = NULL;
	struct err err = ERR_INIT;

	cr_assert_eq(seal_create(keys, b == NULL ? 1 : 2, &seal, &err), 0, "%s",
	    err.msg);
	return seal;
}

static void
expect_open(const struct seal *seal, const char *what, struct buf *sealed,
    const char *plain)
{
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	buf_puts(&out, "before ");
	cr_assert_eq(seal_get(seal, str_of(what),
			 (struct str){sealed->data, sealed->len}, &out, &err),
	    0, "%s", err.msg);
	cr_expect_str_eq(out.data + 7, plain);
	buf_free(&out);
}

static void
expect_closed(const struct seal *seal, const char *what, const char *sealed,
    enum err_code code)
{
	struct buf out = BUF_INIT;
	struct err err = ERR_INIT;

	buf_puts(&out, "before");
	cr_expect_eq(
	    seal_get(seal, str_of(what), str_of(sealed), &out, &err), -1);
	cr_expect_eq(err.code, code, "%s: %s", sealed, err.msg);
	cr_expect_str_eq(out.data, "before");
	buf_free(&out);
}

Test(seal, opens_what_it_sealed)
{
	struct seal *seal = with(KEY_A, NULL);
	struct buf sealed = BUF_INIT, again = BUF_INIT;

	seal_put(seal, STR("token/default/1"), STR("a secret"), &sealed);
	seal_put(seal, STR("token/default/1"), STR("a secret"), &again);
	expect_open(seal, "token/default/1", &sealed, "a secret");
	cr_expect_null(strstr(sealed.data, "secret"));
	/* Never the same twice. */
	cr_expect_str_neq(sealed.data, again.data);
	buf_reset(&sealed);
	seal_put(seal, STR(""), STR(""), &sealed);
	expect_open(seal, "", &sealed, "");
	buf_free(&sealed);
	buf_free(&again);
	seal_free(seal);
	seal_free(NULL);
}

/* Made by another implementation of AES-GCM (Python's cryptography). */
Test(seal, opens_what_another_implementation_has_sealed)
{
	struct seal *seal = with(KEY_A, NULL);
	struct buf sealed = BUF_INIT;

	buf_puts(&sealed, "mp1.b2be89d3."
			  "ZGVmZ2hpamtsbW5vKTutAxqbM-qUEQbKM6i0QPggOxutmlSy");
	expect_open(seal, "token/default/1", &sealed, "a secret");
	buf_free(&sealed);
	seal_free(seal);
}

Test(seal, refuses_every_change_of_a_text)
{
	struct seal *seal = with(KEY_A, NULL);
	struct buf sealed = BUF_INIT, out = BUF_INIT;
	struct err err;
	char was;
	size_t i;

	seal_put(seal, STR("here"), STR("value"), &sealed);
	expect_closed(seal, "there", sealed.data, ERR_UNAUTH);
	for (i = 0; i < sealed.len; i++) {
		was = sealed.data[i];
		sealed.data[i] = was == 'A' ? 'B' : 'A';
		cr_expect_eq(
		    seal_get(seal, STR("here"),
			(struct str){sealed.data, sealed.len}, &out, &err),
		    -1, "byte %zu", i);
		sealed.data[i] = was;
		cr_expect_eq(seal_get(seal, STR("here"),
				 (struct str){sealed.data, i}, &out, &err),
		    -1, "cut to %zu", i);
	}
	buf_free(&sealed);
	buf_free(&out);
	seal_free(seal);
}

Test(seal, tells_what_is_no_sealed_text)
{
	struct seal *seal = with(KEY_A, NULL);

	expect_closed(seal, "x", "", ERR_INVALID);
	expect_closed(seal, "x", "mp1.", ERR_INVALID);
	expect_closed(seal, "x", "mp1.b2be89d3.", ERR_INVALID);
	expect_closed(seal, "x", "mp1.b2be89d3.AAAA", ERR_INVALID);
	expect_closed(seal, "x",
	    "mp1.b2be89d3.!GVmZ2hpamtsbW5vKTutAxqbM-qUEQbKM6i0QPggOxutmlSy",
	    ERR_INVALID);
	expect_closed(seal, "x",
	    "mp1.zzzzzzzz.ZGVmZ2hpamtsbW5vKTutAxqbM-qUEQbKM6i0QPggOxutmlSy",
	    ERR_INVALID);
	expect_closed(seal, "x",
	    "mp1.00000000.ZGVmZ2hpamtsbW5vKTutAxqbM-qUEQbKM6i0QPggOxutmlSy",
	    ERR_NOT_FOUND);
	seal_free(seal);
}

Test(seal, replaces_keys)
{
	struct seal *old = with(KEY_A, NULL), *both = with(KEY_B, KEY_A);
	struct seal *fresh = with(KEY_B, NULL);
	struct buf sealed = BUF_INIT;

	cr_expect_str_eq(seal_key_id(old), "b2be89d3");
	cr_expect_str_eq(seal_key_id(both), seal_key_id(fresh));
	seal_put(old, STR("w"), STR("value"), &sealed);
	expect_open(both, "w", &sealed, "value");
	cr_expect(seal_is_current(old, str_of(sealed.data)));
	cr_expect_not(seal_is_current(both, str_of(sealed.data)));
	cr_expect_not(seal_is_current(both, STR("")));
	expect_closed(fresh, "w", sealed.data, ERR_NOT_FOUND);

	/* What is sealed anew needs the old key no more. */
	buf_reset(&sealed);
	seal_put(both, STR("w"), STR("value"), &sealed);
	expect_open(fresh, "w", &sealed, "value");
	cr_expect(seal_is_current(both, str_of(sealed.data)));
	buf_free(&sealed);
	seal_free(old);
	seal_free(both);
	seal_free(fresh);
}

Test(seal, refuses_what_is_no_key)
{
	static const char *const bad[] = {"", "abc", KEY_A "0",
	    "g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"};
	const char *many[SEAL_KEYS_MAX + 1];
	struct seal *seal = NULL;
	struct err err = ERR_INIT;
	size_t i;

	for (i = 0; i < 4; i++) {
		cr_expect_eq(seal_create(&bad[i], 1, &seal, &err), -1);
		cr_expect_eq(err.code, ERR_INVALID);
		cr_expect_null(strstr(err.msg, "abc"));
	}
	cr_expect_eq(seal_create(NULL, 0, &seal, &err), -1);
	for (i = 0; i <= SEAL_KEYS_MAX; i++)
		many[i] = KEY_A;
	cr_expect_eq(seal_create(many, SEAL_KEYS_MAX + 1, &seal, &err), -1);
	cr_expect_null(seal);
}

/* ---- the file -------------------------------------------------------------
 */

static void
expect_load(const char *dir, int make, enum err_code code, const char *says)
{
	struct seal *seal = NULL;
	struct err err = ERR_INIT;

	cr_expect_eq(seal_load(dir, make, &seal, &err), -1);
	cr_expect_eq(err.code, code, "%s", err.msg);
	cr_expect_not_null(strstr(err.msg, says), "%s", err.msg);
	cr_expect_null(strstr(err.msg, "0b0c0d"), "a key in: %s", err.msg);
	cr_expect_null(seal);
}

Test(seal, makes_a_key_file_once)
{
	struct scratch s;
	struct seal *first = NULL, *second = NULL;
	struct stat st;
	const char *dir;

	scratch_make(&s);
	dir = scratch_path(&s, "data");
	expect_load(dir, 0, ERR_NOT_FOUND, "");
	cr_assert_eq(seal_open(NULL, 0, dir, 1, &first, NULL), 0);
	cr_assert_eq(seal_open(NULL, 0, dir, 0, &second, NULL), 0);
	cr_expect_str_eq(seal_key_id(first), seal_key_id(second));
	cr_assert_eq(stat(scratch_path(&s, "data/key"), &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0600);
	cr_expect_eq(st.st_nlink, 1);
	seal_free(first);
	seal_free(second);
	scratch_clear(&s);
}

static void *
load_main(void *cookie)
{
	struct seal *seal = NULL;

	if (seal_load(cookie, 1, &seal, NULL) == -1)
		abort();
	return seal;
}

Test(seal, gives_all_who_make_it_at_once_the_same_key)
{
	struct scratch s;
	pthread_t threads[8];
	struct seal *seals[8];
	char dir[256];
	void *result;
	size_t i;

	scratch_make(&s);
	(void)snprintf(dir, sizeof(dir), "%s", scratch_path(&s, "data"));
	for (i = 0; i < 8; i++)
		cr_assert_eq(
		    pthread_create(&threads[i], NULL, load_main, dir), 0);
	for (i = 0; i < 8; i++) {
		(void)pthread_join(threads[i], &result);
		seals[i] = result;
	}
	for (i = 0; i < 8; i++)
		cr_expect_str_eq(seal_key_id(seals[0]), seal_key_id(seals[i]));
	for (i = 0; i < 8; i++)
		seal_free(seals[i]);
	scratch_clear(&s);
}

Test(seal, takes_several_keys_from_the_file)
{
	struct scratch s;
	struct seal *seal = NULL, *old = with(KEY_A, NULL);
	struct buf sealed = BUF_INIT;

	scratch_make(&s);
	scratch_write(&s, "key", KEY_B "\r\n\n" KEY_A " \n");
	(void)chmod(scratch_path(&s, "key"), 0600);
	cr_assert_eq(seal_load(s.dir, 0, &seal, NULL), 0);
	seal_put(old, STR("w"), STR("value"), &sealed);
	expect_open(seal, "w", &sealed, "value");
	cr_expect_not(seal_is_current(seal, str_of(sealed.data)));
	buf_free(&sealed);
	seal_free(seal);
	seal_free(old);
	scratch_clear(&s);
}

Test(seal, refuses_a_file_that_is_not_right)
{
	struct scratch s;

	scratch_make(&s);
	scratch_write(&s, "key", "");
	(void)chmod(scratch_path(&s, "key"), 0600);
	expect_load(s.dir, 1, ERR_INVALID, "empty");
	scratch_write(&s, "key", KEY_A "\n00\n");
	expect_load(s.dir, 1, ERR_INVALID, "key:2:");
	scratch_write(&s, "key", KEY_A);
	(void)chmod(scratch_path(&s, "key"), 0640);
	expect_load(s.dir, 1, ERR_UNAUTH, "chmod 600");
	scratch_write(&s, "file", "");
	expect_load(scratch_path(&s, "file/x"), 1, ERR_UNAVAILABLE, "");
	scratch_clear(&s);
}
