#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/err.h"

#include "wire/proto.h"

static struct buf out;
static struct ipc_frame frame;

TestSuite(proto, .timeout = 20);

/* The one frame in ${out}. */
static struct str
payload(enum proto_type type, uint64_t id)
{
	cr_assert_eq(
	    ipc_next(out.data, out.len, &frame, NULL), (ptrdiff_t)out.len);
	cr_assert_eq(frame.type, (uint32_t)type);
	cr_assert_eq(frame.id, id);
	return frame.payload;
}

/* Read ${p} as what ${type} is and give it back; 0 if it was well-formed. */
static int
get(enum proto_type type, struct str p)
{
	union {
		struct proto_setup setup;
		struct proto_load load;
		struct proto_loaded loaded;
		struct proto_run run;
		struct proto_outcome outcome;
		struct proto_invoke invoke;
		struct proto_invoked invoked;
		struct proto_log log;
		struct proto_step_put step;
		struct proto_kv kv;
		struct proto_ask ask;
		struct proto_answer answer;
		struct proto_call call;
	} m;
	char *a = NULL, *b = NULL;
	uint64_t n;
	int rc = -1;

#define GET(name)                                                              \
	rc = proto_get_##name(p, &m.name);                                     \
	if (rc == 0)                                                           \
		proto_##name##_clear(&m.name);                                 \
	break
	switch ((int)type) {
	case PROTO_SETUP:
		rc = proto_get_setup(p, &m.setup);
		break;
	case PROTO_LOAD:
		GET(load);
	case PROTO_LOADED:
		GET(loaded);
	case PROTO_RUN:
		GET(run);
	case PROTO_OUTCOME:
		GET(outcome);
	case PROTO_INVOKE:
		GET(invoke);
	case PROTO_INVOKED:
		GET(invoked);
	case PROTO_LOG:
		GET(log);
	case PROTO_SECRET:
		rc = proto_get_secret(p, &n, &a);
		break;
	case PROTO_PING:
		rc = proto_get_number(p, &n);
		break;
	case PROTO_STEP:
		rc = proto_get_step(p, &m.step);
		break;
	case PROTO_KV:
		rc = proto_get_kv(p, &m.kv);
		break;
	case PROTO_ASK:
		rc = proto_get_ask(p, &m.ask);
		break;
	case PROTO_STEP_IS:
	case PROTO_KV_IS:
	case PROTO_ASK_IS:
		rc = proto_get_answer(p, &m.answer);
		break;
	case PROTO_CALL:
		rc = proto_get_call(p, &m.call);
		break;
	default:
		rc = proto_get_texts(p, &a, &b);
		break;
	}
#undef GET
	free(a);
	free(b);
	return rc;
}

/*
 * The frame in ${out} is read, and refused when any byte is missing at its end
 * or one is too many.  The copies are exact, so that ASan sees a read beyond.
 */
static void
must_refuse_other_lengths(enum proto_type type)
{
	struct str p = payload(type, 7);
	char *copy;
	size_t n;

	cr_assert_eq(get(type, p), 0);
	for (n = 0; n < p.len; n++) {
		copy = malloc(n == 0 ? 1 : n);
		(void)memcpy(copy, p.data, n);
		cr_assert_eq(get(type, (struct str){copy, n}), -1,
		    "type %d, %zu of %zu bytes", (int)type, n, p.len);
		free(copy);
	}
	copy = calloc(1, p.len + 1);
	(void)memcpy(copy, p.data, p.len);
	cr_assert_eq(get(type, (struct str){copy, p.len + 1}), -1);
	free(copy);

	/* Any byte may be anything: nothing but 0 and -1, and no crash. */
	copy = malloc(p.len);
	for (n = 0; n < p.len; n++) {
		(void)memcpy(copy, p.data, p.len);
		copy[n] = (char)0xFF;
		(void)get(type, (struct str){copy, p.len});
		copy[n] = 0x7F;
		(void)get(type, (struct str){copy, p.len});
	}
	free(copy);
	buf_free(&out);
}

Test(proto, setup_survives)
{
	struct proto_setup in = {.mem_bytes = 1,
	    .cpu_ms = 2,
	    .slow_ms = 3,
	    .handler_ms = UINT64_MAX,
	    .debug = 1,
	    .guard = STR("loopback\n"),
	    .proxy = STR("http://u:p@h:1")};
	struct proto_setup back;

	proto_put_setup(&out, &in);
	cr_assert_eq(proto_get_setup(payload(PROTO_SETUP, 0), &back), 0);
	cr_expect_eq(back.mem_bytes, 1);
	cr_expect_eq(back.cpu_ms, 2);
	cr_expect_eq(back.slow_ms, 3);
	cr_expect_eq(back.handler_ms, UINT64_MAX);
	cr_expect_eq(back.debug, 1);
	cr_expect_eq(back.unsafe, 0);
	cr_expect(str_eq(back.guard, in.guard));
	cr_expect(str_eq(back.proxy, in.proxy));

	frame.id = 7;
	(void)memcpy(out.data + 8, &frame.id, 8);
	must_refuse_other_lengths(PROTO_SETUP);

	in.debug = 0;
	in.unsafe = 1;
	buf_reset(&out);
	proto_put_setup(&out, &in);
	cr_assert_eq(proto_get_setup(payload(PROTO_SETUP, 0), &back), 0);
	cr_expect_eq(back.debug, 0);
	cr_expect_eq(back.unsafe, 1);
}

Test(proto, load_survives)
{
	char integration[] = "default", script[] = "on_issue";
	char chunk[] = "scripts/on_issue.lua";
	struct proto_lib libs[] = {
	    {STR("slack"), STR("return {}")}, {STR("x"), {"a\0b", 3}}};
	struct proto_load back;
	struct proto_load in = {integration, script, chunk,
	    STR("function on_issue() end"), libs, NELEMS(libs)};

	proto_put_load(&out, 7, &in);
	cr_assert_eq(proto_get_load(payload(PROTO_LOAD, 7), &back), 0);
	cr_expect_str_eq(back.integration, "default");
	cr_expect_str_eq(back.script, "on_issue");
	cr_expect_str_eq(back.chunk, "scripts/on_issue.lua");
	cr_expect(str_eq(back.source, in.source));
	cr_assert_eq(back.nlibs, 2);
	cr_expect(str_eq(back.libs[0].name, STR("slack")));
	cr_expect(str_eq(back.libs[1].source, libs[1].source));
	proto_load_clear(&back);
	must_refuse_other_lengths(PROTO_LOAD);
}

Test(proto, loaded_survives)
{
	char error[] = "a.lua:1: x", h1[] = "on_issue", h2[] = "on_event";
	char declared[] = "{\"schedule\":[{}]}";
	char *handlers[] = {h1, h2}, *libs[] = {h2};
	struct proto_loaded in = {error, NULL, handlers, 2, libs, 1, declared},
			    back;

	proto_put_loaded(&out, 7, &in);
	cr_assert_eq(proto_get_loaded(payload(PROTO_LOADED, 7), &back), 0);
	cr_expect_str_eq(back.error, error);
	cr_expect_null(back.traceback);
	cr_assert_eq(back.nhandlers, 2);
	cr_expect_str_eq(back.handlers[1], "on_event");
	cr_assert_eq(back.nlibs, 1);
	cr_expect_str_eq(back.libs[0], "on_event");
	cr_expect_str_eq(back.declared, declared);
	proto_loaded_clear(&back);
	must_refuse_other_lengths(PROTO_LOADED);
}

Test(proto, run_survives)
{
	char handler[] = "on_issue", delivery[] = "42", deflt[] = "default";
	char issue[] = "issue", created[] = "created";
	struct proto_step steps[] = {{STR("jira"), STR("\"OPS-1\"")}};
	struct proto_run in = {3, handler, delivery, deflt, issue, issue,
	    created, NULL, 1700000000000, 2, STR("{}"), {NULL, 0},
	    STR("{\"action\":\"created\"}"), steps, 1};
	struct proto_run back;

	proto_put_run(&out, 7, &in);
	cr_assert_eq(proto_get_run(payload(PROTO_RUN, 7), &back), 0);
	cr_expect_eq(back.bundle, 3);
	cr_expect_str_eq(back.handler, handler);
	cr_expect_str_eq(back.delivery, "42");
	cr_expect_str_eq(back.action, "created");
	cr_expect_null(back.request_id);
	cr_expect_eq(back.received_unix_ms, 1700000000000);
	cr_expect_eq(back.attempt, 2);
	cr_expect_null(back.warnings_json.data);
	cr_expect(str_eq(back.body, in.body));
	cr_assert_eq(back.nsteps, 1);
	cr_expect(str_eq(back.steps[0].result_json, steps[0].result_json));
	proto_run_clear(&back);
	must_refuse_other_lengths(PROTO_RUN);
}

Test(proto, outcome_survives)
{
	char error[] = "boom", traceback[] = "stack";
	struct proto_outcome back;
	struct proto_outcome in = {
	    PROTO_RETRY, UINT64_MAX, error, traceback, 1, 2, 3, 4, 1, 0};

	proto_put_outcome(&out, 7, &in);
	cr_assert_eq(proto_get_outcome(payload(PROTO_OUTCOME, 7), &back), 0);
	cr_expect_eq(back.result, PROTO_RETRY);
	cr_expect_eq(back.after_ms, UINT64_MAX);
	cr_expect_str_eq(back.error, error);
	cr_expect_str_eq(back.traceback, traceback);
	cr_expect_eq(back.duration_ms, 1);
	cr_expect_eq(back.cpu_us, 2);
	cr_expect_eq(back.slice_us, 3);
	cr_expect_eq(back.memory_bytes, 4);
	cr_expect_eq(back.uncharged, 1);
	cr_expect_eq(back.late, 0);
	proto_outcome_clear(&back);
	must_refuse_other_lengths(PROTO_OUTCOME);
}

Test(proto, an_outcome_that_is_none_is_refused)
{
	struct proto_outcome in = {0}, back;

	in.result = (enum proto_result)(PROTO_GONE + 1);
	proto_put_outcome(&out, 7, &in);
	cr_expect_eq(proto_get_outcome(payload(PROTO_OUTCOME, 7), &back), -1);
	buf_free(&out);
}

Test(proto, invocations_survive)
{
	char route[] = "options/a", error[] = "boom", answer[] = "{}";
	struct proto_invoke in = {1, 2, 3, route, STR("{\"q\":1}")}, back;
	struct proto_invoked done = {
	    {PROTO_ERROR, 0, error, NULL, 1, 2, 3, 4, 0, 1}, answer};
	struct proto_invoked done_back;

	proto_put_invoke(&out, 7, &in);
	cr_assert_eq(proto_get_invoke(payload(PROTO_INVOKE, 7), &back), 0);
	cr_expect_eq(back.bundle, 1);
	cr_expect_eq(back.deadline_ms, 2);
	cr_expect_eq(back.spent_ms, 3);
	cr_expect_str_eq(back.route, route);
	cr_expect(str_eq(back.request_json, in.request_json));
	proto_invoke_clear(&back);
	must_refuse_other_lengths(PROTO_INVOKE);

	proto_put_invoked(&out, 7, &done);
	cr_assert_eq(
	    proto_get_invoked(payload(PROTO_INVOKED, 7), &done_back), 0);
	cr_expect_eq(done_back.outcome.result, PROTO_ERROR);
	cr_expect_eq(done_back.outcome.uncharged, 0);
	cr_expect_eq(done_back.outcome.late, 1);
	cr_expect_str_eq(done_back.outcome.error, error);
	cr_expect_str_eq(done_back.answer, answer);
	proto_invoked_clear(&done_back);
	must_refuse_other_lengths(PROTO_INVOKED);
}

Test(proto, log_survives)
{
	char script[] = "on_issue", message[] = "linked";
	struct proto_field fields[] = {{STR("ticket"), STR("\"OPS-1\"")}};
	struct proto_log in = {1, 2, script, message, fields, 1}, back;

	proto_put_log(&out, 7, &in);
	cr_assert_eq(proto_get_log(payload(PROTO_LOG, 7), &back), 0);
	cr_expect_eq(back.level, 1);
	cr_expect_eq(back.at_unix_ms, 2);
	cr_expect_str_eq(back.script, script);
	cr_expect_str_eq(back.message, message);
	cr_assert_eq(back.nfields, 1);
	cr_expect(str_eq(back.fields[0].key, STR("ticket")));
	proto_log_clear(&back);
	must_refuse_other_lengths(PROTO_LOG);
}

Test(proto, secret_number_and_texts_survive)
{
	uint64_t n = 0;
	char *a, *b;

	proto_put_secret(&out, 7, 9, "JIRA_URL");
	cr_assert_eq(proto_get_secret(payload(PROTO_SECRET, 7), &n, &a), 0);
	cr_expect_eq(n, 9);
	cr_expect_str_eq(a, "JIRA_URL");
	free(a);
	must_refuse_other_lengths(PROTO_SECRET);

	proto_put_number(&out, PROTO_PING, 7, 12);
	cr_assert_eq(proto_get_number(payload(PROTO_PING, 7), &n), 0);
	cr_expect_eq(n, 12);
	must_refuse_other_lengths(PROTO_PING);

	proto_put_texts(&out, PROTO_EVALUATED, 7, NULL, "no");
	cr_assert_eq(proto_get_texts(payload(PROTO_EVALUATED, 7), &a, &b), 0);
	cr_expect_null(a);
	cr_expect_str_eq(b, "no");
	free(b);
	must_refuse_other_lengths(PROTO_EVALUATED);

	proto_put_plain(&out, PROTO_READY, 7);
	cr_expect_eq(payload(PROTO_READY, 7).len, 0);
	buf_free(&out);
}

Test(proto, a_count_that_cannot_be_true_allocates_nothing)
{
	struct proto_loaded back;
	size_t at = ipc_begin(&out, PROTO_LOADED, 7);

	pack_text(&out, NULL);
	pack_text(&out, NULL);
	pack_u64(&out, UINT64_MAX / 16);
	pack_u64(&out, 0);
	ipc_end(&out, at);
	cr_expect_eq(proto_get_loaded(payload(PROTO_LOADED, 7), &back), -1);
	buf_free(&out);
}

Test(proto, step_survives)
{
	struct proto_step_put in = {9, STR("jira"), STR("\"OPS-1\"")}, back;

	proto_put_step(&out, 7, &in);
	cr_assert_eq(proto_get_step(payload(PROTO_STEP, 7), &back), 0);
	cr_expect_eq(back.job, 9);
	cr_expect(str_eq(back.name, in.name));
	cr_expect(str_eq(back.result_json, in.result_json));
	must_refuse_other_lengths(PROTO_STEP);
}

Test(proto, kv_survives)
{
	struct proto_kv back,
	    in = {3, PROTO_KV_INCR, {"a\0b", 3}, STR("{}"), INT64_MIN, 5000};

	proto_put_kv(&out, 7, &in);
	cr_assert_eq(proto_get_kv(payload(PROTO_KV, 7), &back), 0);
	cr_expect_eq(back.bundle, 3);
	cr_expect_eq(back.what, PROTO_KV_INCR);
	cr_expect(str_eq(back.key, in.key));
	cr_expect(str_eq(back.value_json, in.value_json));
	cr_expect_eq(back.by, INT64_MIN);
	cr_expect_eq(back.ttl_ms, 5000);
	must_refuse_other_lengths(PROTO_KV);
}

Test(proto, a_kind_of_kv_that_is_none_is_refused)
{
	struct proto_kv in = {0}, back;

	in.what = (enum proto_kv_kind)(PROTO_KV_LIST + 1);
	proto_put_kv(&out, 7, &in);
	cr_expect_eq(proto_get_kv(payload(PROTO_KV, 7), &back), -1);
	buf_free(&out);
}

Test(proto, test_survives)
{
	struct proto_lib scripts[] = {{STR("a"), STR("x = 1")}};
	struct proto_lib libs[] = {{STR("l"), STR("")}, {STR("m"), STR("y")}};
	struct proto_test in = {.name = (char *)(uintptr_t) "a_test",
	    .chunk = (char *)(uintptr_t) "scripts/a_test.lua",
	    .wall_ms = 9,
	    .source = STR("function test_x() end"),
	    .scripts = scripts,
	    .nscripts = 1,
	    .libs = libs,
	    .nlibs = 2};
	struct proto_test back;

	proto_put_test(&out, 5, &in);
	cr_assert_eq(proto_get_test(payload(PROTO_TEST, 5), &back), 0);
	cr_expect_str_eq(back.name, "a_test");
	cr_expect_str_eq(back.chunk, "scripts/a_test.lua");
	cr_expect_null(back.test);
	cr_expect_eq(back.wall_ms, 9);
	cr_expect(str_eq(back.source, in.source));
	cr_assert_eq(back.nscripts, 1);
	cr_expect(str_eq(back.scripts[0].source, STR("x = 1")));
	cr_assert_eq(back.nlibs, 2);
	cr_expect(str_eq(back.libs[1].name, STR("m")));
	proto_test_clear(&back);
}

Test(proto, ask_survives)
{
	struct proto_ask in = {3, 9, STR("token"), STR("{\"a\":1}")}, back;

	proto_put_ask(&out, 7, &in);
	cr_assert_eq(proto_get_ask(payload(PROTO_ASK, 7), &back), 0);
	cr_expect_eq(back.bundle, 3);
	cr_expect_eq(back.job, 9);
	cr_expect(str_eq(back.topic, in.topic));
	cr_expect(str_eq(back.args_json, in.args_json));
	must_refuse_other_lengths(PROTO_ASK);
}

Test(proto, an_answer_survives)
{
	struct proto_answer in = {1, STR("[1]"), ERR_TOO_LARGE, STR("no")};
	struct proto_answer back;

	proto_put_answer(&out, PROTO_KV_IS, 7, &in);
	cr_assert_eq(proto_get_answer(payload(PROTO_KV_IS, 7), &back), 0);
	cr_expect_eq(back.found, 1);
	cr_expect(str_eq(back.json, in.json));
	cr_expect_eq(back.code, ERR_TOO_LARGE);
	cr_expect(str_eq(back.error, in.error));
	must_refuse_other_lengths(PROTO_KV_IS);
}

Test(proto, call_survives)
{
	struct proto_call in = {
	    STR("POST"), STR("https://jira.example/"), 201, 12, {NULL, 0}};
	struct proto_call back;

	proto_put_call(&out, 7, &in);
	cr_assert_eq(proto_get_call(payload(PROTO_CALL, 7), &back), 0);
	cr_expect(str_eq(back.method, in.method));
	cr_expect(str_eq(back.url, in.url));
	cr_expect_eq(back.status, 201);
	cr_expect_eq(back.duration_ms, 12);
	cr_expect_eq(back.error.len, 0);
	must_refuse_other_lengths(PROTO_CALL);
}
