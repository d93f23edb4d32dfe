#include "store_util.h"

TestSuite(store_kv, .init = util_setup, .fini = util_teardown, .timeout = 60);

static struct store_kv kv;

/* Do something to a key; returns 0 or the error's code. */
static int
run(enum store_kv_kind what, const char *key, const char *value)
{
	free(kv.ret_json);
	(void)memset(&kv.op, 0, sizeof(kv.op));
	kv.what = what;
	if (kv.integration == NULL)
		kv.integration = "default";
	kv.key = str_of(key);
	kv.value_json = str_of(value);
	return util_do(&kv.op, STORE_OP_KV) == 0 ? 0 : (int)kv.op.err.code;
}

static int
is(const char *key, const char *value)
{
	cr_assert_eq(run(STORE_KV_GET, key, NULL), 0);
	cr_assert_eq(kv.ret_found, kv.ret_json != NULL);
	if (value == NULL || kv.ret_json == NULL)
		return value == NULL && kv.ret_json == NULL;
	return strcmp(kv.ret_json, value) == 0 &&
	       kv.ret_jsonlen == strlen(value);
}

static int
keys_are(const char *prefix, const char *json)
{
	cr_assert_eq(run(STORE_KV_LIST, prefix, NULL), 0);
	return strcmp(kv.ret_json, json) == 0;
}

Test(store_kv, keeps_values)
{
	util_open();
	cr_assert(is("a", NULL));
	cr_assert_eq(run(STORE_KV_SET, "a", "{\"x\":1}"), 0);
	cr_assert_eq(kv.ret_found, 0);
	cr_assert(is("a", "{\"x\":1}"));
	cr_assert_eq(run(STORE_KV_SET, "a", "2"), 0);
	cr_assert_eq(kv.ret_found, 1);
	util_close();
	util_open();
	cr_assert(is("a", "2"));
	cr_assert_eq(run(STORE_KV_DELETE, "a", NULL), 0);
	cr_assert_eq(kv.ret_found, 1);
	cr_assert_eq(run(STORE_KV_DELETE, "a", NULL), 0);
	cr_assert_eq(kv.ret_found, 0);
	cr_assert(is("a", NULL));
	free(kv.ret_json);
}

Test(store_kv, adds_only_what_is_absent)
{
	util_open();
	cr_assert_eq(run(STORE_KV_ADD, "a", "1"), 0);
	cr_assert_eq(kv.ret_found, 0);
	cr_assert_eq(run(STORE_KV_ADD, "a", "2"), 0);
	cr_assert_eq(kv.ret_found, 1);
	cr_assert(is("a", "1"));
	free(kv.ret_json);
}

Test(store_kv, counts_up_and_down)
{
	util_open();
	kv.by = 5;
	cr_assert_eq(run(STORE_KV_INCR, "n", NULL), 0);
	cr_assert_str_eq(kv.ret_json, "5");
	kv.by = -7;
	cr_assert_eq(run(STORE_KV_INCR, "n", NULL), 0);
	cr_assert_str_eq(kv.ret_json, "-2");
	cr_assert(is("n", "-2"));

	cr_assert_eq(run(STORE_KV_SET, "n", "9223372036854775806"), 0);
	kv.by = 1;
	cr_assert_eq(run(STORE_KV_INCR, "n", NULL), 0);
	cr_assert_str_eq(kv.ret_json, "9223372036854775807");
	cr_assert_eq(run(STORE_KV_INCR, "n", NULL), ERR_INVALID);
	cr_assert(is("n", "9223372036854775807"));
	cr_assert_eq(run(STORE_KV_SET, "n", "-9223372036854775808"), 0);
	cr_assert_eq(run(STORE_KV_INCR, "n", NULL), 0);
	cr_assert_str_eq(kv.ret_json, "-9223372036854775807");
	free(kv.ret_json);
}

Test(store_kv, only_an_integer_can_be_counted)
{
	static const char *const bad[] = {"1.5", "\"1\"", "null", "1e3", "-",
	    "", "01", "9223372036854775808", "[1]", " 1"};
	size_t i;

	util_open();
	kv.by = 1;
	for (i = 0; i < NELEMS(bad); i++) {
		cr_assert_eq(run(STORE_KV_SET, "n", bad[i]), 0);
		cr_assert_eq(run(STORE_KV_INCR, "n", NULL), ERR_INVALID);
		cr_assert(is("n", bad[i]), "%s", bad[i]);
	}
	free(kv.ret_json);
}

Test(store_kv, lists_keys_sorted_by_prefix)
{
	util_open();
	cr_assert(keys_are("", "[]"));
	cr_assert_eq(run(STORE_KV_SET, "b:2", "1"), 0);
	cr_assert_eq(run(STORE_KV_SET, "b:1", "1"), 0);
	cr_assert_eq(run(STORE_KV_SET, "b", "1"), 0);
	cr_assert_eq(run(STORE_KV_SET, "c\"", "1"), 0);
	cr_assert_eq(run(STORE_KV_SET, "a", "1"), 0);
	cr_assert_eq(run(STORE_KV_SET, "b\xC3\xBF", "1"), 0);
	cr_assert(keys_are("b:", "[\"b:1\",\"b:2\"]"));
	cr_assert(keys_are("b", "[\"b\",\"b:1\",\"b:2\",\"b\xC3\xBF\"]"));
	cr_assert(keys_are("", "[\"a\",\"b\",\"b:1\",\"b:2\",\"b\xC3\xBF\","
			       "\"c\\\"\"]"));
	cr_assert(keys_are("zz", "[]"));
	free(kv.ret_json);
}

Test(store_kv, integrations_are_apart)
{
	util_open();
	cr_assert_eq(run(STORE_KV_SET, "a", "1"), 0);
	kv.integration = "other";
	cr_assert(is("a", NULL));
	cr_assert(keys_are("", "[]"));
	free(kv.ret_json);
}

Test(store_kv, values_expire)
{
	util_open();
	kv.ttl_ms = 20;
	cr_assert_eq(run(STORE_KV_SET, "a", "1"), 0);
	cr_assert_eq(run(STORE_KV_SET, "n", "41"), 0);
	kv.ttl_ms = HOUR_MS;
	cr_assert_eq(run(STORE_KV_SET, "long", "1"), 0);
	kv.ttl_ms = 0;
	cr_assert(is("long", "1"));
	while (!is("a", NULL))
		(void)usleep(1000);
	while (!is("n", NULL))
		(void)usleep(1000);
	cr_assert(keys_are("", "[\"long\"]"));
	cr_assert_eq(run(STORE_KV_ADD, "a", "2"), 0);
	cr_assert_eq(kv.ret_found, 0);
	cr_assert(is("a", "2"));
	kv.by = 1;
	cr_assert_eq(run(STORE_KV_INCR, "n", NULL), 0);
	cr_assert_str_eq(kv.ret_json, "1");

	/* Counting keeps the time that is left, if any is. */
	do {
		kv.ttl_ms = 50;
		cr_assert_eq(run(STORE_KV_SET, "m", "1"), 0);
		kv.ttl_ms = 0;
		cr_assert_eq(run(STORE_KV_INCR, "m", NULL), 0);
	} while (strcmp(kv.ret_json, "2") != 0);
	while (!is("m", NULL))
		(void)usleep(1000);
	free(kv.ret_json);
}

Test(store_kv, has_limits)
{
	char *big = mem_alloc(STORE_VALUE_MAX + 2);
	char key[STORE_KEY_MAX + 2];

	util_open();
	(void)memset(big, '1', STORE_VALUE_MAX + 1);
	big[STORE_VALUE_MAX + 1] = '\0';
	cr_assert_eq(run(STORE_KV_SET, "a", big), ERR_TOO_LARGE);
	cr_assert(is("a", NULL));
	big[STORE_VALUE_MAX] = '\0';
	cr_assert_eq(run(STORE_KV_SET, "a", big), 0);
	cr_assert(is("a", big));
	(void)memset(key, 'k', sizeof(key));
	key[STORE_KEY_MAX + 1] = '\0';
	cr_assert_eq(run(STORE_KV_SET, key, "1"), ERR_TOO_LARGE);
	key[STORE_KEY_MAX] = '\0';
	cr_assert_eq(run(STORE_KV_SET, key, "1"), 0);
	cr_assert(is(key, "1"));
	cr_assert_eq(run(STORE_KV_SET, "", "1"), ERR_INVALID);
	free(big);
	free(kv.ret_json);
}

Test(store_kv, an_integration_has_a_share)
{
	char *big = mem_alloc(STORE_VALUE_MAX + 1);
	char key[32];
	int i;

	util_open();
	(void)memset(big, '1', STORE_VALUE_MAX);
	big[STORE_VALUE_MAX] = '\0';
	for (i = 0; i < 1023; i++) {
		(void)snprintf(key, sizeof(key), "key-%04d", i);
		kv.ttl_ms = i < 2 ? 1 : 0;
		cr_assert_eq(run(STORE_KV_SET, key, big), 0);
	}
	kv.ttl_ms = 0;

	/* What has expired makes room. */
	cr_assert_eq(run(STORE_KV_SET, "one", big), 0);
	cr_assert_eq(run(STORE_KV_SET, "two", big), 0);
	cr_assert_eq(run(STORE_KV_SET, "three", big), ERR_TOO_LARGE);
	cr_assert(is("three", NULL));
	cr_assert_eq(run(STORE_KV_SET, "one", "1"), 0);
	cr_assert_eq(run(STORE_KV_SET, "three", "33"), 0);
	cr_assert_eq(run(STORE_KV_DELETE, "two", NULL), 0);
	cr_assert_eq(run(STORE_KV_SET, "three", big), 0);
	kv.integration = "other";
	cr_assert_eq(run(STORE_KV_SET, "a", big), 0);
	free(big);
	free(kv.ret_json);
}
