#include "store_util.h"

#include "store/store_internal.h"

TestSuite(
    store_console, .init = util_setup, .fini = util_teardown, .timeout = 60);

static struct store_list list;

/* The ids of a page, as text: "3 2 1 next 1". */
static const char *
page(void)
{
	static char text[4096];
	const char *at, *next;

	(void)memset(&list.op, 0, sizeof(list.op));
	cr_assert_eq(
	    util_do(&list.op, STORE_OP_LIST), 0, "%s", list.op.err.msg);
	cr_assert_eq(list.ret_jsonlen, strlen(list.ret_json));
	text[0] = '\0';
	for (at = list.ret_json; (at = strstr(at, "{\"id\":\"")) != NULL;
	     at += 7) {
		if (text[0] != '\0')
			(void)strcat(text, " ");
		(void)strncat(text, at + 7, strcspn(at + 7, "\""));
	}
	next = strstr(list.ret_json, "],\"next\":\"");
	if (next != NULL) {
		(void)strcat(text, " next ");
		(void)strncat(text, next + 10, strcspn(next + 10, "\""));
	}
	free(list.ret_json);
	return text;
}

static char *
show(uint64_t id)
{
	struct store_get get;

	(void)memset(&get, 0, sizeof(get));
	get.id = id;
	cr_assert_eq(util_do(&get.op, STORE_OP_GET), 0, "%s", get.op.err.msg);
	cr_assert_eq(get.ret_jsonlen, strlen(get.ret_json));
	return get.ret_json;
}

static void
has(const char *json, const char *part)
{
	cr_assert_not_null(strstr(json, part), "%s\nis not in\n%s", part, json);
}

Test(store_console, an_empty_store_is_an_empty_page)
{
	util_open();
	(void)memset(&list.op, 0, sizeof(list.op));
	cr_assert_eq(util_do(&list.op, STORE_OP_LIST), 0);
	cr_assert_str_eq(list.ret_json, "{\"deliveries\":[],\"next\":null}");
	free(list.ret_json);
}

Test(store_console, a_page_has_the_shape_that_is_promised)
{
	struct util_delivery d;

	util_open();
	util_delivery(&d, "jira", "{\"a\":1}");
	d.op.request_id = "r\"1";
	d.op.idempotency_key = "i1";
	d.op.received_unix_ms = 1700000000123;
	d.op.signature = STR("sig");
	(void)util_append(&d);
	(void)util_append(&d);
	(void)memset(&list.op, 0, sizeof(list.op));
	list.limit = 1;
	cr_assert_eq(util_do(&list.op, STORE_OP_LIST), 0);
	cr_assert_str_eq(list.ret_json,
	    "{\"deliveries\":[{\"id\":\"2\",\"integration\":\"default\","
	    "\"channel\":\"issue\",\"resource\":\"issue\",\"action\":"
	    "\"created\",\"request_id\":\"r\\\"1\",\"idempotency_key\":\"i1\","
	    "\"possible_duplicate_of\":\"1\",\"received_at\":"
	    "\"2023-11-14T22:13:20.123Z\",\"size\":7,\"jobs\":[{\"script\":"
	    "\"jira\",\"handler\":\"on_issue\",\"state\":\"pending\","
	    "\"attempts\":0,\"next_at\":null,\"error\":null}],\"state\":"
	    "\"pending\"}],\"next\":\"2\"}");
	free(list.ret_json);
}

Test(store_console, pages_follow_each_other)
{
	int i;

	util_open();
	for (i = 0; i < 7; i++)
		(void)util_add("s", "{}", NULL);
	list.limit = 3;
	cr_assert_str_eq(page(), "7 6 5 next 5");
	list.before_id = 5;
	cr_assert_str_eq(page(), "4 3 2 next 2");
	list.before_id = 2;
	cr_assert_str_eq(page(), "1");
	list.limit = 0;
	list.before_id = 0;
	cr_assert_str_eq(page(), "7 6 5 4 3 2 1");
}

Test(store_console, filters_by_what_a_delivery_is)
{
	struct util_delivery d;

	util_open();
	(void)util_add("a", "{}", NULL);
	util_delivery(&d, "b", "{}");
	d.op.resource = "error";
	d.op.integration = "other";
	(void)util_append(&d);
	util_delivery(&d, "a", "{}");
	d.op.action = NULL;
	d.jobs[1].script = "c";
	d.jobs[1].handler = "on_issue";
	d.op.njobs = 2;
	(void)util_append(&d);
	list.resource = "issue";
	cr_assert_str_eq(page(), "3 1");
	list.action = "created";
	cr_assert_str_eq(page(), "1");
	list.resource = NULL;
	cr_assert_str_eq(page(), "2 1");
	list.action = NULL;
	list.integration = "other";
	cr_assert_str_eq(page(), "2");
	list.integration = NULL;
	list.script = "c";
	cr_assert_str_eq(page(), "3");
	list.script = "a";
	cr_assert_str_eq(page(), "3 1");
	list.script = "nobody";
	cr_assert_str_eq(page(), "");
}

Test(store_console, filters_by_state)
{
	struct util_delivery d;
	uint64_t job;
	int i;

	util_open();
	for (i = 0; i < 5; i++)
		(void)util_add("s", "{}", NULL);
	(void)util_add("s", "{}", "k");
	(void)util_add("s", "{}", "k"); /* 7: blocked. */
	cr_assert_eq(util_finish(util_claim_one("s", NULL), STORE_DONE, 0), 0);
	cr_assert_eq(util_finish(util_claim_one("s", NULL), STORE_DEAD, 0), 0);
	cr_assert_eq(
	    util_finish(util_claim_one("s", NULL), STORE_DROPPED, 0), 0);
	cr_assert_eq(util_finish(util_claim_one("s", NULL), STORE_RETRYING,
			 clock_unix_ms() + HOUR_MS),
	    0);
	(void)util_claim_one("s", NULL);
	util_delivery(&d, "s", "{}");
	d.op.njobs = 0;
	d.op.state = STORE_INVALID;
	(void)util_append(&d);
	d.op.state = STORE_UNHANDLED;
	(void)util_append(&d);

	/* The worst of its jobs counts. */
	util_delivery(&d, "x", "{}");
	d.jobs[1].script = "y";
	d.jobs[1].handler = "on_issue";
	d.op.njobs = 2;
	(void)util_append(&d);
	cr_assert_eq(util_finish(util_claim_one("x", NULL), STORE_DEAD, 0), 0);
	list.state = "done";
	cr_assert_str_eq(page(), "1");
	list.state = "dead";
	cr_assert_str_eq(page(), "10 2");
	list.state = "dropped";
	cr_assert_str_eq(page(), "3");
	list.state = "retrying";
	cr_assert_str_eq(page(), "4");
	list.state = "running";
	cr_assert_str_eq(page(), "5");
	list.state = "pending";
	cr_assert_str_eq(page(), "7 6");
	list.state = "invalid";
	cr_assert_str_eq(page(), "8");
	list.state = "unhandled";
	cr_assert_str_eq(page(), "9");
	job = util_claim_one("y", NULL);
	cr_assert_eq(util_finish(job, STORE_DONE, 0), 0);
	list.state = "dead";
	list.limit = 1;
	cr_assert_str_eq(page(), "10 next 10");
	list.before_id = 10;
	cr_assert_str_eq(page(), "2");
	list.state = "alive";
	cr_assert_eq(util_do(&list.op, STORE_OP_LIST), -1);
	cr_assert_eq(list.op.err.code, ERR_INVALID);
}

Test(store_console, filters_by_time)
{
	const uint64_t day = 24 * HOUR_MS, start = 1700000000000;
	struct util_delivery d;
	uint64_t i;

	util_open();
	for (i = 0; i < 300; i++) {
		util_delivery(&d, "s", "{}");
		d.op.received_unix_ms = start + i * day;
		(void)util_append(&d);
	}
	list.since_unix_ms = start + 297 * day;
	cr_assert_str_eq(page(), "300 299 298");
	list.since_unix_ms = start + 9 * day;
	list.until_unix_ms = start + 11 * day;
	cr_assert_str_eq(page(), "12 11 10");
	list.since_unix_ms = 0;
	list.until_unix_ms = start + day;
	cr_assert_str_eq(page(), "2 1");
	list.until_unix_ms = start - 1;
	cr_assert_str_eq(page(), "");
	list.since_unix_ms = start + 400 * day;
	list.until_unix_ms = 0;
	cr_assert_str_eq(page(), "");
}

Test(store_console, searches_bodies_headers_errors_and_ids)
{
	struct util_delivery d;

	util_open();
	(void)util_add("s", "{\"title\":\"Needle in a stack\"}", NULL);
	util_delivery(&d, "s", "{}");
	d.op.headers_json = STR("{\"X-Odd\":\"thread\"}");
	d.op.request_id = "req-77";
	(void)util_append(&d);
	list.text = "needle";
	cr_assert_str_eq(page(), "1");
	list.text = "THREAD";
	cr_assert_str_eq(page(), "2");
	list.text = "req-77";
	cr_assert_str_eq(page(), "2");
	list.text = "boom";
	cr_assert_str_eq(page(), "");
	cr_assert_eq(util_finish(util_claim_one("s", NULL), STORE_DEAD, 0), 0);
	cr_assert_str_eq(page(), "1");
	list.text = "stack\"}}";
	cr_assert_str_eq(page(), "");
	list.text = "";
	cr_assert_str_eq(page(), "2 1");
}

Test(store_console, a_page_ends_when_the_time_is_up)
{
	struct store_options o = util_options();
	const char *next;
	int i, pages = 0;
	uint64_t at;

	o.read_limit_ms = 1;
	util_open_with(&o);
	for (i = 0; i < 2000; i++)
		(void)util_add(
		    "s", "{\"text\":\"some body to be searched\"}", NULL);
	list.text = "not there";
	list.limit = 500;
	do {
		(void)memset(&list.op, 0, sizeof(list.op));
		cr_assert_lt(++pages, 50000);

		/* On a busy machine it is up before the first was seen. */
		if (util_do(&list.op, STORE_OP_LIST) == -1) {
			cr_assert_eq(list.op.err.code, ERR_TIMEOUT);
			continue;
		}
		next = strstr(list.ret_json, "],\"next\":\"");
		if (next != NULL) {
			at = strtoull(next + 10, NULL, 10);
			cr_assert(list.before_id == 0 || at <= list.before_id);
			list.before_id = at;
		} else {
			list.before_id = 0;
		}
		free(list.ret_json);
	} while (list.op.rc == -1 || list.before_id != 0);
	cr_assert_gt(pages, 1);
}

Test(store_console, a_single_one_has_all_there_is)
{
	struct store_finish f;
	struct store_run run;
	struct store_step_put s;
	struct util_delivery d;
	struct store_get get;
	char *json;

	util_open();
	util_delivery(&d, "jira", "{\"a\":[1,2]}");
	d.op.warnings_json = STR("[\"odd\"]");
	(void)util_append(&d);
	(void)memset(&f, 0, sizeof(f));
	(void)memset(&run, 0, sizeof(run));
	(void)memset(&s, 0, sizeof(s));
	f.job_id = s.job_id = util_claim_one("jira", NULL);
	s.name = STR("ticket");
	s.result_json = STR("\"OPS-1\"");
	cr_assert_eq(util_do(&s.op, STORE_OP_STEP), 0);
	json = show(1);
	has(json, "\"state\":\"running\"");
	free(json);
	run.started_unix_ms = 1700000000123;
	run.duration_ms = 12;
	run.cpu_us = 3045;
	run.memory_bytes = 4096;
	run.outcome = "error";
	run.error = "jira.lua:3: \"down\"";
	run.traceback = "stack\n\tline";
	run.log_json = STR("[{\"message\":\"hello\"}]");
	run.calls_json = STR("[{\"method\":\"GET\"}]");
	f.run = &run;
	f.state = STORE_RETRYING;
	f.next_unix_ms = 1800000000000;
	cr_assert_eq(util_do(&f.op, STORE_OP_FINISH), 0);
	json = show(1);
	has(json, "{\"id\":\"1\",\"integration\":\"default\"");
	has(json, "\"state\":\"retrying\",\"attempts\":1,"
		  "\"next_at\":\"2027-01-15T08:00:00.000Z\","
		  "\"error\":\"jira.lua:3: \\\"down\\\"\"");
	has(json, "\"runs\":[{\"n\":1,\"started_at\":"
		  "\"2023-11-14T22:13:20.123Z\",\"duration_ms\":12,"
		  "\"cpu_ms\":3.045,\"memory_bytes\":4096,"
		  "\"outcome\":\"error\","
		  "\"error\":\"jira.lua:3: \\\"down\\\"\","
		  "\"traceback\":\"stack\\n\\tline\","
		  "\"log\":[{\"message\":\"hello\"}],"
		  "\"calls\":[{\"method\":\"GET\"}]}]");
	has(json, "\"steps\":[{\"name\":\"ticket\",\"result\":\"OPS-1\","
		  "\"at\":\"");
	has(json, "\"headers\":{\"Host\":\"x\"}");
	has(json, "\"warnings\":[\"odd\"]");
	has(json, "\"payload\":{\"a\":[1,2]}");
	has(json, "\"violation\":null");
	free(json);

	util_delivery(&d, "s", "{}");
	d.op.njobs = 0;
	d.op.state = STORE_INVALID;
	d.op.violation_pointer = "/data";
	d.op.violation_message = "is missing";
	(void)util_append(&d);
	json = show(2);
	has(json, "\"jobs\":[],\"state\":\"invalid\"");
	has(json, "\"violation\":{\"pointer\":\"/data\","
		  "\"message\":\"is missing\"}");
	free(json);
	(void)memset(&get, 0, sizeof(get));
	get.id = 3;
	cr_assert_eq(util_do(&get.op, STORE_OP_GET), -1);
	cr_assert_eq(get.op.err.code, ERR_NOT_FOUND);
}

Test(store_console, a_damaged_body_is_shown_as_such)
{
	char path[256], *json;
	int fd;

	util_open();
	(void)util_add("s", "{\"first\":1}", NULL);
	(void)snprintf(path, sizeof(path), "%s/bodies/00000001.seg", util_dir);
	fd = open(path, O_WRONLY);
	cr_assert_eq(pwrite(fd, "XX", 2, 45), 2);
	(void)close(fd);
	json = show(1);
	has(json, "\"payload\":null,\"payload_error\":\"");
	has(json, "damaged");
	free(json);
}

/* ---- retention ---- */

static void
wait_for_deliveries(uint64_t n)
{
	struct store_counts c;
	int tries;

	for (tries = 0;; tries++) {
		util_counts(&c, NULL);
		if (c.ret_deliveries == n)
			return;
		cr_assert_lt(tries, 10000, "%llu are there",
		    (unsigned long long)c.ret_deliveries);
		(void)usleep(1000);
	}
}

Test(store_console, what_is_old_goes_and_what_lives_stays)
{
	struct store_options o = util_options();
	struct store_counts c;
	struct util_delivery d;
	int i;

	util_open();
	for (i = 0; i < 9; i++)
		(void)util_add("s", "{}", NULL);
	util_delivery(&d, "s", "{}");
	d.op.njobs = 0;
	d.op.state = STORE_INVALID;
	(void)util_append(&d);
	d.op.state = STORE_UNHANDLED;
	(void)util_append(&d);
	cr_assert_eq(util_finish(util_claim_one("s", NULL), STORE_DONE, 0), 0);
	cr_assert_eq(util_finish(util_claim_one("s", NULL), STORE_DEAD, 0), 0);
	cr_assert_eq(
	    util_finish(util_claim_one("s", NULL), STORE_DROPPED, 0), 0);
	cr_assert_eq(util_finish(util_claim_one("s", NULL), STORE_RETRYING,
			 clock_unix_ms() + HOUR_MS),
	    0);
	(void)util_claim_one("s", NULL);
	util_close();

	/* First what is done, dropped or unhandled... */
	o.retain_done_ms = 1;
	util_open_with(&o);
	wait_for_deliveries(8);
	cr_assert_str_eq(page(), "10 9 8 7 6 5 4 2");
	util_close();

	/* ...then also what is dead or invalid. */
	o.retain_dead_ms = 1;
	util_open_with(&o);
	wait_for_deliveries(6);
	cr_assert_str_eq(page(), "9 8 7 6 5 4");
	util_counts(&c, NULL);
	cr_assert_eq(c.ret_jobs[STORE_PENDING], 5);
	cr_assert_eq(c.ret_jobs[STORE_RETRYING], 1);
	cr_assert_eq(c.ret_jobs[STORE_DONE], 0);
	cr_assert_eq(c.ret_jobs[STORE_DEAD], 0);
	cr_assert_eq(c.ret_jobs[STORE_INVALID], 0);
	cr_assert_eq(c.ret_jobs[STORE_UNHANDLED], 0);
	cr_assert_eq(util_run_all("s", STORE_DONE), 5);
	wait_for_deliveries(1);
}

static int
count_files(void)
{
	struct dirent *entry;
	char path[256];
	int n = 0;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "%s/bodies", util_dir);
	dir = opendir(path);
	cr_assert_not_null(dir);
	while ((entry = readdir(dir)) != NULL)
		n += strstr(entry->d_name, ".seg") != NULL;
	(void)closedir(dir);
	return n;
}

static void
add_large(const char *script, int n, size_t len)
{
	char *body = mem_alloc(len);
	struct util_delivery d;
	int i;

	(void)memset(body, '7', len);
	for (i = 0; i < n; i++) {
		util_delivery(&d, script, "");
		d.op.body = (struct str){body, len};
		(void)util_append(&d);
	}
	free(body);
}

Test(store_console, segments_go_and_what_lives_in_them_is_moved)
{
	struct store_options o = util_options();
	struct store_claim c;
	int tries;
	char *json;

	o.segment_bytes = 1 << 18;
	o.retain_done_ms = 1;
	util_open_with(&o);
	(void)util_add("keep", "{\"kept\":true}", NULL);
	add_large("s", 40, 30000);
	cr_assert_gt(count_files(), 3);
	(void)util_run_all("s", STORE_DONE);
	wait_for_deliveries(1);
	for (tries = 0; count_files() > 1; tries++) {
		cr_assert_lt(tries, 10000);
		(void)usleep(1000);
	}
	json = show(1);
	has(json, "\"payload\":{\"kept\":true}");
	free(json);
	util_close();
	util_open_with(&o);
	util_claim(&c, "keep", 1);
	cr_assert_eq(c.ret_njobs, 1);
	cr_assert(str_eq(c.ret_jobs[0]->body, STR("{\"kept\":true}")));
	cr_assert_eq(util_finish(c.ret_jobs[0]->id, STORE_DONE, 0), 0);
	store_claim_clear(&c);
	wait_for_deliveries(0);
}

Test(store_console, under_a_cap_the_oldest_done_go_first)
{
	struct store_options o = util_options();
	struct store_counts c;
	int i;

	o.max_bytes = 8 << 20;
	util_open_with(&o);
	add_large("dead", 50, 20000);
	(void)util_run_all("dead", STORE_DEAD);
	for (i = 0; i < 20; i++) {
		add_large("s", 50, 20000);
		(void)util_run_all("s", STORE_DONE);
	}
	util_counts(&c, NULL);
	cr_assert_eq(c.ret_max_bytes, 8 << 20);
	cr_assert_lt(c.ret_bytes, 10 << 20);
	cr_assert_eq(c.ret_jobs[STORE_DEAD], 50);
	cr_assert_lt(c.ret_jobs[STORE_DONE], 600);
	cr_assert_gt(c.ret_jobs[STORE_DONE], 150);
	cr_assert_gt(store_fill_percent(util_store), 50);
	list.limit = 5;
	cr_assert_str_eq(page(), "1050 1049 1048 1047 1046 next 1046");
}

/* Append until the store says that it is full; returns how many. */
static int
fill(const char *script)
{
	static char body[20000];
	struct util_delivery d;
	int n = 0;

	(void)memset(body, '7', sizeof(body));
	for (;;) {
		util_delivery(&d, script, "");
		d.op.body = (struct str){body, sizeof(body)};
		if (util_do(&d.op.op, STORE_OP_APPEND) == -1)
			break;
		cr_assert_lt(++n, 2000);
	}
	cr_assert_eq(d.op.op.err.code, ERR_UNAVAILABLE);
	return n;
}

Test(store_console, live_work_is_never_dropped_for_room)
{
	struct store_options o = util_options();
	struct store_discard discard;
	struct store_counts c;
	int n, tries;

	o.max_bytes = 4 << 20;
	util_open_with(&o);
	add_large("dead", 20, 20000);
	(void)util_run_all("dead", STORE_DEAD);
	n = fill("live");
	cr_assert_gt(n, 100);
	for (tries = 0; store_usable(util_store); tries++) {
		cr_assert_lt(tries, 5000);
		(void)usleep(1000);
	}
	util_counts(&c, NULL);
	cr_assert_eq(c.ret_jobs[STORE_DEAD], 0);
	cr_assert_geq(c.ret_jobs[STORE_PENDING], (uint64_t)n);
	cr_assert_geq(store_fill_percent(util_store), 100);

	/* What is finished makes room again. */
	(void)memset(&discard, 0, sizeof(discard));
	discard.integration = "default";
	discard.script = "live";
	cr_assert_eq(util_do(&discard.op, STORE_OP_DISCARD), 0);
	cr_assert_eq(discard.ret_count, (uint64_t)n);
	for (tries = 0; !store_usable(util_store); tries++) {
		cr_assert_lt(tries, 10000);
		(void)usleep(1000);
	}
	(void)util_add("live", "{}", NULL);
}

Test(store_console, retention_does_not_hold_up_an_append)
{
	struct store_options o = util_options();
	uint64_t start, worst = 0, took;
	struct store_counts c;
	int i;

	util_open();
	for (i = 0; i < 5000; i++)
		(void)util_add("s", "{}", NULL);
	(void)util_run_all("s", STORE_DONE);
	util_close();
	o.retain_done_ms = 1;
	util_open_with(&o);
	do {
		start = clock_mono_ms();
		(void)util_add("t", "{}", NULL);
		took = clock_mono_ms() - start;
		worst = took > worst ? took : worst;
		util_counts(&c, "s");
	} while (c.ret_jobs[STORE_DONE] > 0);
	cr_assert_lt(worst, 2000);
}
