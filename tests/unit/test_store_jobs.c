#include "store_util.h"

TestSuite(store_jobs, .init = util_setup, .fini = util_teardown, .timeout = 60);

Test(store_jobs, gives_back_what_was_appended)
{
	struct util_delivery d;
	struct store_claim c;
	const struct store_job *job;
	uint64_t id;

	util_open();
	util_delivery(&d, "jira", "{\"a\":1}");
	d.op.request_id = "r-1";
	d.op.warnings_json = STR("[\"w\"]");
	d.jobs[0].order_key = STR("k");
	id = util_append(&d);
	cr_assert_eq(id, 1);
	util_claim(&c, "jira", 10);
	cr_assert_eq(c.ret_njobs, 1);
	job = c.ret_jobs[0];
	cr_assert_eq(job->delivery_id, id);
	cr_assert_str_eq(job->integration, "default");
	cr_assert_str_eq(job->script, "jira");
	cr_assert_str_eq(job->handler, "on_issue");
	cr_assert_str_eq(job->channel, "issue");
	cr_assert_str_eq(job->action, "created");
	cr_assert_str_eq(job->request_id, "r-1");
	cr_assert(str_eq(job->body, STR("{\"a\":1}")));
	cr_assert(str_eq(job->headers_json, STR("{\"Host\":\"x\"}")));
	cr_assert(str_eq(job->warnings_json, STR("[\"w\"]")));
	cr_assert(str_eq(job->order_key, STR("k")));
	cr_assert_eq(job->received_unix_ms, d.op.received_unix_ms);
	cr_assert_eq(job->attempt, 1);
	cr_assert_eq(job->nsteps, 0);
	cr_assert_eq(c.ret_next_unix_ms, 0);
	store_claim_clear(&c);
}
