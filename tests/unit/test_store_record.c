#include "store_util.h"

TestSuite(
    store_record, .init = util_setup, .fini = util_teardown, .timeout = 60);

static struct store_record r;

/* Do something to a record; returns 0 or the error's code. */
static int
run(enum store_record_kind what, const char *key)
{
	free(r.ret_sealed);
	(void)memset(&r.op, 0, sizeof(r.op));
	r.what = what;
	if (r.integration == NULL)
		r.integration = "default";
	if (r.kind == NULL)
		r.kind = "token";
	r.key = str_of(key);
	return util_do(&r.op, STORE_OP_RECORD) == 0 ? 0 : (int)r.op.err.code;
}

static int
put(const char *key, uint64_t version, const char *sealed)
{
	r.version = version;
	r.sealed = str_of(sealed);
	cr_assert_eq(run(STORE_RECORD_PUT, key), 0);
	return r.ret_done;
}

static int
lease(const char *key, const char *owner, uint64_t ms)
{
	r.owner = owner;
	r.lease_ms = ms;
	cr_assert_eq(run(STORE_RECORD_LEASE, key), 0);
	return r.ret_done;
}

static int
is(const char *key, uint64_t version, const char *sealed)
{
	cr_assert_eq(run(STORE_RECORD_GET, key), 0);
	cr_assert_eq(r.ret_found, version > 0);
	if (r.ret_version != version)
		return 0;
	return sealed == NULL
		   ? r.ret_sealed == NULL
		   : r.ret_sealed != NULL && strcmp(r.ret_sealed, sealed) == 0;
}

Test(store_record, only_the_first_of_two_writers_writes)
{
	util_open();
	cr_assert(is("a", 0, NULL));
	cr_assert_eq(put("a", 1, "x"), 0);
	cr_assert_eq(put("a", 0, "one"), 1);
	cr_assert_eq(r.ret_version, 1);
	cr_assert_eq(put("a", 0, "two"), 0);
	cr_assert_str_eq(r.ret_sealed, "one");
	cr_assert_eq(put("a", 1, "two"), 1);
	cr_assert_eq(put("a", 1, "three"), 0);
	cr_assert_eq(r.ret_version, 2);
	util_close();
	util_open();
	cr_assert(is("a", 2, "two"));
	free(r.ret_sealed);
}

Test(store_record, is_of_an_integration_and_a_kind)
{
	util_open();
	cr_assert(put("a", 0, "one"));
	r.kind = "state";
	cr_assert(is("a", 0, NULL));
	cr_assert(put("a", 0, "two"));
	r.kind = "token";
	r.integration = "other";
	cr_assert(is("a", 0, NULL));
	r.integration = "default";
	cr_assert(is("a", 1, "one"));
	free(r.ret_sealed);
}

Test(store_record, can_be_taken_once)
{
	util_open();
	cr_assert(put("a", 0, "one"));
	cr_assert_eq(run(STORE_RECORD_TAKE, "a"), 0);
	cr_assert(r.ret_done);
	cr_assert_str_eq(r.ret_sealed, "one");
	cr_assert_eq(run(STORE_RECORD_TAKE, "a"), 0);
	cr_assert_not(r.ret_done);
	cr_assert_null(r.ret_sealed);
	cr_assert(is("a", 0, NULL));
}

Test(store_record, is_leased_to_one_at_a_time)
{
	util_open();
	cr_assert(put("a", 0, "one"));
	cr_assert(lease("a", "me", 60000));
	cr_assert_str_eq(r.ret_sealed, "one");
	cr_assert_not(lease("a", "you", 60000));
	cr_assert_gt(r.ret_lease_ms, 50000);
	cr_assert_leq(r.ret_lease_ms, 60000);
	cr_assert(lease("a", "me", 60000));
	r.owner = "you";
	cr_assert_eq(run(STORE_RECORD_RELEASE, "a"), 0);
	cr_assert_not(r.ret_done);
	cr_assert(put("a", 1, "two"));
	cr_assert_not(lease("a", "you", 1));
	r.owner = "me";
	cr_assert_eq(run(STORE_RECORD_RELEASE, "a"), 0);
	cr_assert(r.ret_done);
	cr_assert(lease("a", "you", 60000));
	cr_assert(is("a", 2, "two"));
	free(r.ret_sealed);
}

Test(store_record, can_be_leased_before_it_is_there)
{
	util_open();
	cr_assert(lease("a", "me", 60000));
	cr_assert(is("a", 0, NULL));
	cr_assert_not(lease("a", "you", 60000));
	cr_assert(put("a", 0, "one"));
	cr_assert_not(lease("a", "you", 60000));
	cr_assert(is("a", 1, "one"));
	cr_assert(lease("b", "me", 60000));
	r.owner = "me";
	cr_assert_eq(run(STORE_RECORD_RELEASE, "b"), 0);
	cr_assert(lease("b", "you", 60000));
	free(r.ret_sealed);
}

Test(store_record, a_lease_ends_by_itself)
{
	util_open();
	cr_assert(put("a", 0, "one"));
	cr_assert(lease("a", "me", 1));
	cr_assert(lease("b", "me", 1));
	(void)usleep(3000);
	cr_assert(lease("a", "you", 60000));
	cr_assert_eq(r.ret_version, 1);
	cr_assert(lease("b", "you", 60000));
	free(r.ret_sealed);
}

Test(store_record, goes_when_its_time_is_over)
{
	util_open();
	r.expires_unix_ms = 1000;
	cr_assert(put("a", 0, "one"));
	cr_assert(is("a", 0, NULL));
	r.expires_unix_ms = clock_unix_ms() + HOUR_MS;
	cr_assert(put("a", 0, "two"));
	cr_assert(is("a", 1, "two"));
	free(r.ret_sealed);
}

Test(store_record, is_limited)
{
	char *long_text = mem_alloc(STORE_RECORD_MAX + 2);

	util_open();
	(void)memset(long_text, 'x', STORE_RECORD_MAX + 1);
	long_text[STORE_RECORD_MAX + 1] = '\0';
	r.sealed = str_of(long_text);
	cr_assert_eq(run(STORE_RECORD_PUT, "a"), ERR_TOO_LARGE);
	cr_assert_eq(run(STORE_RECORD_GET, ""), ERR_TOO_LARGE);
	long_text[STORE_KEY_MAX + 1] = '\0';
	cr_assert_eq(run(STORE_RECORD_GET, long_text), ERR_TOO_LARGE);
	r.max = 2;
	cr_assert(put("a", 0, "1"));
	cr_assert(put("b", 0, "1"));
	r.version = 0;
	cr_assert_eq(run(STORE_RECORD_PUT, "c"), ERR_TOO_LARGE);
	cr_assert(put("b", 1, "2"));
	free(long_text);
	free(r.ret_sealed);
}
