/*
 * The ingress before a store that does as it is told: what is answered to what,
 * and what the store is given.
 */

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "store/store.h"

#include "unit/ingress_util.h"

/* ---- the store ------------------------------------------------------------
 */

static struct {
	pthread_mutex_t lock;
	int refuse; /* store_submit() fails. */
	int fail;   /* Operations come back with an error. */
	int hold;   /* They do not come back until let_go(). */
	int usable;
	struct store_op *held[64];
	int nheld;
	atomic_int n;

	/* What the last append was. */
	enum store_state state;
	char *integration, *channel, *resource, *action, *request_id, *key;
	char *dedupe, *signature, *headers, *body, *warnings, *pointer;
	char *jobs; /* "script.handler:order;" ... */
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER, .usable = 1};

static char *
copy(struct str s)
{
	return mem_strndup(s.data == NULL ? "" : s.data, s.len);
}

static void
open_op(struct mail *mail)
{
	struct store_op *op = CONTAINER_OF(mail, struct store_op, mail);

	op->done(op);
}

static void
forget_append(void)
{
	char **all[] = {&fake.integration, &fake.channel, &fake.resource,
	    &fake.action, &fake.request_id, &fake.key, &fake.dedupe,
	    &fake.signature, &fake.headers, &fake.body, &fake.warnings,
	    &fake.pointer, &fake.jobs};
	size_t i;

	for (i = 0; i < NELEMS(all); i++) {
		free(*all[i]);
		*all[i] = NULL;
	}
}

static void
note(const struct store_append *a)
{
	struct buf jobs = BUF_INIT;
	size_t i;

	forget_append();
	fake.state = a->state;
	fake.integration = mem_strdup(a->integration);
	fake.channel = mem_strdup(a->channel);
	fake.resource = mem_strdup(a->resource);
	fake.action = mem_strdup(a->action);
	fake.request_id = mem_strdup(a->request_id);
	fake.key = mem_strdup(a->idempotency_key);
	fake.dedupe = copy(a->dedupe_key);
	fake.signature = copy(a->signature);
	fake.headers = copy(a->headers_json);
	fake.body = copy(a->body);
	fake.warnings = copy(a->warnings_json);
	fake.pointer = mem_strdup(a->violation_pointer);
	for (i = 0; i < a->njobs; i++)
		buf_printf(&jobs, "%s.%s:%.*s;", a->jobs[i].script,
		    a->jobs[i].handler, (int)a->jobs[i].order_key.len,
		    a->jobs[i].order_key.data);
	fake.jobs = buf_take(&jobs);
}

static void
give_back(struct store_op *op)
{
	struct store_append *a = (struct store_append *)op;

	op->rc =
	    fake.fail ? err_set(&op->err, ERR_UNAVAILABLE, "disk full") : 0;
	a->ret_id = 42;
	a->ret_duplicate = a->idempotency_key != NULL &&
			   strcmp(a->idempotency_key, "again") == 0;
	op->mail.open = open_op;
	mailbox_put(op->reply_to, &op->mail);
}

int
store_collect(struct store *store, struct store_batch *batch,
    struct store_op *op, struct err *err)
{
	int rc = 0;

	(void)store;
	(void)batch;
	(void)pthread_mutex_lock(&fake.lock);
	if (fake.refuse) {
		rc = err_set(err, ERR_UNAVAILABLE, "too many wait");
	} else {
		note((struct store_append *)op);
		if (fake.hold)
			fake.held[fake.nheld++] = op;
		else
			give_back(op);
		fake.n++;
	}
	(void)pthread_mutex_unlock(&fake.lock);
	return rc;
}

void
store_submit_all(struct store *store, struct store_batch *batch)
{
	(void)store;
	(void)batch;
}

int
store_usable(struct store *store)
{
	(void)store;
	return fake.usable;
}

static void
let_go(void)
{
	(void)pthread_mutex_lock(&fake.lock);
	fake.hold = 0;
	while (fake.nheld > 0)
		give_back(fake.held[--fake.nheld]);
	(void)pthread_mutex_unlock(&fake.lock);
}

static void
wait_for_appends(int n)
{
	while (fake.n < n)
		(void)usleep(200);
}

/* ---- set-up ---------------------------------------------------------------
 */

static char *issue;

static void
begin_with(struct ingress_options o)
{
	log_setup(LOG_FORMAT_JSON, LOG_ERROR, 0);
	util_start(&o);
	issue = util_sample("issue.created");
}

static void
begin(void)
{
	begin_with(util_ingress_options());
}

static void
end(void)
{
	util_stop();
	forget_append();
	free(issue);
}

TestSuite(ingress, .init = begin, .fini = end, .timeout = 60);

/* ---- routes ---------------------------------------------------------------
 */

Test(ingress, answers_health)
{
	ASK(.method = "GET", .path = "/healthz", .secret = "");
	EXPECT(200, "{\"status\":\"ok\"}");
	ASK(.method = "GET", .path = "/readyz", .secret = "");
	EXPECT(200, "{\"status\":\"ready\"}");
	ASK(.method = "HEAD", .path = "/healthz", .secret = "");
	EXPECT(200, "");
	fake.usable = 0;
	ASK(.method = "GET", .path = "/readyz", .secret = "");
	EXPECT(503, "{\"error\":\"store_unavailable\"}");
	ASK(.method = "GET", .path = "/healthz", .secret = "");
	EXPECT(200, "{\"status\":\"ok\"}");
}

Test(ingress, knows_its_paths_and_methods)
{
	static const char *const none[] = {"/", "/webhook/", "/webhooks",
	    "/i//webhook", "/i/webhook", "/i/nobody/webhook", "/i/acme",
	    "/i/acme/webhook/", "/%77ebhook", "/healthz/x"};
	size_t i;

	for (i = 0; i < NELEMS(none); i++) {
		ASK(.path = none[i], .body = issue);
		EXPECT_IN(404, "{\"error\":\"not_found\",\"message\":");
	}
	ASK(.method = "GET");
	EXPECT_IN(405, "{\"error\":\"method_not_allowed\",\"message\":");
	cr_expect_not_null(strstr(util_answer.text, "Allow: POST\r\n"));
	ASK(.method = "PATCH", .path = "/i/acme/webhook");
	EXPECT_IN(405, "method_not_allowed");
	ASK(.path = "/healthz");
	EXPECT_IN(405, "method_not_allowed");
	cr_expect_not_null(strstr(util_answer.text, "Allow: GET, HEAD\r\n"));
	ASK(.method = "PROPFIND");
	EXPECT_IN(405, "method_not_allowed");
	cr_expect_eq(fake.n, 0);
}

Test(ingress, refuses_what_is_too_long_after_looking_at_the_route)
{
	struct buf b = BUF_INIT;

	while (b.len <= 1 << 20)
		buf_puts(&b, "          ");
	ASK(.body = b.data, .bodylen = b.len);
	EXPECT_IN(413, "{\"error\":\"too_large\",\"message\":");
	ASK(.path = "/nowhere", .body = b.data, .bodylen = b.len);
	EXPECT_IN(404, "not_found");
	ASK(.method = "PUT", .body = b.data, .bodylen = b.len);
	EXPECT_IN(405, "method_not_allowed");
	buf_free(&b);
}

/* ---- headers and signature ------------------------------------------------
 */

Test(ingress, takes_json_types_alone)
{
	static const char *const good[] = {"application/json",
	    "Application/JSON; charset=utf-8", "application/json ;x=y",
	    "application/vnd.sentry+json", "application/problem+JSON;a"};
	static const char *const bad[] = {"text/plain", "application/jsonx",
	    "application/x-www-form-urlencoded", "json", "+json",
	    "text/json; application/json"};
	char line[128];
	size_t i;

	for (i = 0; i < NELEMS(good); i++) {
		(void)snprintf(
		    line, sizeof(line), "Content-Type: %s\r\n", good[i]);
		ASK(.body = issue, .headers = line);
		EXPECT(200, "{\"status\":\"accepted\",\"id\":\"42\"}");
	}
	for (i = 0; i < NELEMS(bad); i++) {
		(void)snprintf(
		    line, sizeof(line), "Content-Type: %s\r\n", bad[i]);
		/* Before the signature. */
		ASK(.body = issue, .headers = line, .secret = "wrong");
		EXPECT_IN(415, "{\"error\":\"unsupported_media_type\","
			       "\"message\":");
	}
}

Test(ingress, takes_any_secret_and_either_header)
{
	ASK(.body = issue);
	EXPECT(200, "{\"status\":\"accepted\",\"id\":\"42\"}");
	ASK(.body = issue, .secret = "old-secret");
	EXPECT_IN(200, "accepted");
	ASK(.body = issue, .signature_name = "sentry-app-signature");
	EXPECT_IN(200, "accepted");
	ASK(.body = issue, .headers = "Sentry-App-Signature: nonsense\r\n");
	EXPECT_IN(200, "accepted");
	ASK(.body = issue, .path = "/i/acme/webhook", .secret = "acme-secret");
	EXPECT_IN(200, "accepted");
	cr_expect_str_eq(fake.integration, "acme");
}

Test(ingress, answers_every_bad_signature_alike)
{
	static const char *const bad[] = {"", "x",
	    "0e2041f59516f3d4507b22216f2e0050931692c1ae71c4207d38d79781963df",
	    "0e2041f59516f3d4507b22216f2e0050931692c1ae71c4207d38d79781963dfa",
	    "ze2041f59516f3d4507b22216f2e0050931692c1ae71c4207d38d79781963dfa",
	    "sha256="
	    "0e2041f59516f3d4507b22216f2e0050931692c1ae71c4207d38d79781963df"};
	size_t i;

	for (i = 0; i < NELEMS(bad); i++) {
		ASK(.body = issue, .signature = bad[i]);
		EXPECT(401, "{\"error\":\"bad_signature\"}");
	}
	ASK(.body = issue, .secret = "");
	EXPECT(401, "{\"error\":\"bad_signature\"}");
	ASK(.body = issue, .secret = "wrong");
	EXPECT(401, "{\"error\":\"bad_signature\"}");
	/* Another integration's secret, and an empty one. */
	ASK(.body = issue, .secret = "acme-secret");
	EXPECT(401, "{\"error\":\"bad_signature\"}");
	ASK(.body = "{}", .path = "/i/acme/webhook",
	    .signature = "1068c3c7c1bb2d5b4c0c6e2d0e6b3c6d0f5a5e0d3b9d6ad0c6d5"
			 "a3f1b0e9d8c7");
	EXPECT(401, "{\"error\":\"bad_signature\"}");
	cr_expect_eq(fake.n, 0);
}

Test(ingress, takes_no_signature_made_with_an_empty_secret)
{
	struct signature_key *key = signature_key_create("", 0);
	char hex[SIGNATURE_HEX + 1];

	signature_sign(key, issue, strlen(issue), hex);
	ASK(.body = issue, .path = "/i/acme/webhook", .signature = hex);
	EXPECT(401, "{\"error\":\"bad_signature\"}");
	signature_key_free(key);
}

Test(ingress, looks_at_the_signature_before_anything_in_the_body)
{
	ASK(.body = "not json", .secret = "wrong");
	EXPECT(401, "{\"error\":\"bad_signature\"}");
	ASK(.body = "not json", .secret = "wrong", .resource = "");
	EXPECT(401, "{\"error\":\"bad_signature\"}");
	ASK(.body = "not json", .resource = "");
	EXPECT(400, "{\"error\":\"missing_header\",\"header\":"
		    "\"Sentry-Hook-Resource\"}");
	ASK(.body = "{\"a\":1,}");
	EXPECT_IN(400, "{\"error\":\"invalid_json\",\"offset\":7,\"message\":");
	ASK(.body = "");
	EXPECT_IN(400, "{\"error\":\"invalid_json\",\"offset\":0,\"message\":");
	ASK(.body = "{\"action\":\"created\"}");
	EXPECT_IN(422, "{\"error\":\"schema_violation\",\"pointer\":");
}

/* ---- the body -------------------------------------------------------------
 */

Test(ingress, quarantines_what_violates_its_schema)
{
	ASK(.body = "{\"action\":\"created\",\"data\":{\"issue\":7},"
		    "\"installation\":{\"uuid\":\"u\"}}");
	EXPECT_IN(422, "\"id\":\"42\"}");
	cr_expect_eq(fake.state, STORE_INVALID);
	cr_expect_str_eq(fake.pointer, "/data/issue");
	cr_expect_str_eq(fake.jobs, "");
	cr_expect_str_eq(fake.action, "created");
}

Test(ingress, gives_the_store_all_there_is)
{
	ASK(.body =
		"{\"action\":\"created\",\"data\":{\"issue\":{\"id\":\"7\"}},"
		"\"installation\":{\"uuid\":\"u-1\"}}",
	    .resource = "future", .path = "/i/acme/webhook",
	    .secret = "acme-secret",
	    .headers = "Request-ID: r-1\r\nIdempotency-Key: k-1\r\n"
		       "X-Custom: a\r\nx-custom: b\xff\r\n"
		       "Authorization: Bearer t\r\n");
	EXPECT_IN(200, "accepted");
	cr_expect_eq(fake.state, STORE_PENDING);
	cr_expect_str_eq(fake.resource, "future");
	cr_expect_null(fake.channel);
	cr_expect_str_eq(fake.action, "created");
	cr_expect_str_eq(fake.request_id, "r-1");
	cr_expect_str_eq(fake.key, "k-1");
	cr_expect_str_eq(fake.jobs, "all.on_event:u-1:7;");
	cr_expect_not_null(
	    strstr(fake.headers, "\"X-Custom\":\"a, b\xef\xbf\xbd\""));
	cr_expect_not_null(
	    strstr(fake.headers, "\"Authorization\":\"Bearer t\""));
	cr_expect_null(strstr(fake.headers, "x-custom"));
	cr_expect_null(strstr(fake.headers, "Signature"));
	cr_expect_eq(strlen(fake.signature), 64);
	cr_expect_eq(strncmp(fake.dedupe, "acme\nk-1\n", 9), 0);
	cr_expect_str_eq(fake.dedupe + 9, fake.signature);
	cr_expect_str_eq(fake.warnings, "");
}

Test(ingress, keeps_the_order_of_an_issue)
{
	static const char *const bodies[][2] = {
	    {"{\"data\":{\"issue\":{\"id\":17}},\"installation\":{\"uuid\":"
	     "\"u\"}}",
		"all.on_event:u:17;"},
	    {"{\"data\":{\"event\":{\"issue_id\":\"8\"}}}", "all.on_event::8;"},
	    {"{\"data\":{\"error\":{\"issue_id\":9}},\"installation\":{"
	     "\"uuid\":\"u\"}}",
		"all.on_event:u:9;"},
	    {"{\"data\":{\"issue_id\":\"10\"},\"installation\":{\"uuid\":"
	     "\"u\"}}",
		"all.on_event:u:10;"},
	    {"{\"data\":{\"issue\":{\"id\":\"\"}}}", "all.on_event:;"},
	    {"{\"data\":{\"issue\":{\"id\":null}}}", "all.on_event:;"},
	    {"{\"data\":{}}", "all.on_event:;"}, {"[1,2]", "all.on_event:;"},
	    {"null", "all.on_event:;"}};
	size_t i;

	for (i = 0; i < NELEMS(bodies); i++) {
		ASK(.body = bodies[i][0], .resource = "future",
		    .path = "/i/acme/webhook", .secret = "acme-secret");
		EXPECT_IN(200, "accepted");
		cr_expect_str_eq(fake.jobs, bodies[i][1]);
	}
}

Test(ingress, tells_duplicates)
{
	ASK(.body = issue, .headers = "Idempotency-Key: again\r\n");
	EXPECT(200, "{\"status\":\"duplicate\",\"id\":\"42\"}");
	/* No key: a delivery of its own. */
	ASK(.body = issue);
	EXPECT_IN(200, "accepted");
	cr_expect_str_eq(fake.dedupe, "");
	ASK(.body = issue, .headers = "Idempotency-Key:\r\n");
	cr_expect_str_eq(fake.dedupe, "");
}

Test(ingress, stores_what_nobody_wants_as_unhandled)
{
	char *error = util_sample("error.created");

	ASK(.body = error, .resource = "error");
	EXPECT_IN(200, "accepted");
	cr_expect_eq(fake.state, STORE_UNHANDLED);
	free(error);
}

Test(ingress, takes_every_sample)
{
	const struct catalog_resource *r;
	char name[128], *body;
	size_t i, k;

	for (i = 0; i < catalog_count(util_catalog); i++) {
		r = catalog_at(util_catalog, i);
		for (k = 0; k < r->nactions; k++) {
			(void)snprintf(name, sizeof(name), "%s.%s", r->name,
			    r->actions[k]);
			body = util_sample(name);
			ASK(.body = body, .resource = r->name);
			EXPECT_IN(200, "accepted");
			cr_expect_str_eq(fake.action, r->actions[k]);
			cr_expect_str_eq(fake.channel, r->channel);
			cr_expect_str_eq(fake.body, body);
			free(body);
		}
	}
}

/* ---- the store's troubles -------------------------------------------------
 */

/* The store's trouble is in the log: not here. */
static void
swallow_line(void *cookie, struct buf *line)
{
	(void)cookie;
	buf_reset(line);
}

Test(ingress, claims_nothing_when_nothing_was_stored)
{
	fake.refuse = 1;
	ASK(.body = issue);
	EXPECT(503, "{\"error\":\"overloaded\"}");
	cr_expect_not_null(strstr(util_answer.text, "Retry-After: "));
	fake.refuse = 0;
	fake.fail = 1;
	log_set_redactor(swallow_line, NULL);
	ASK(.body = issue);
	EXPECT(503, "{\"error\":\"store_unavailable\"}");
	cr_expect_not_null(strstr(util_answer.text, "Retry-After: "));
	ASK(.body = "{}");
	EXPECT(503, "{\"error\":\"store_unavailable\"}");
	fake.fail = 0;
	ASK(.body = issue);
	EXPECT_IN(200, "accepted");
}

Test(ingress_limits, answers_503_when_too_many_wait, .fini = end, .timeout = 60)
{
	struct ingress_options o = util_ingress_options();
	int fds[2];

	o.max_waiting = 2;
	begin_with(o);
	fake.hold = 1;
	fds[0] = util_send((struct ask){.body = issue});
	fds[1] = util_send((struct ask){.body = issue});
	wait_for_appends(2);
	ASK(.body = issue);
	EXPECT(503, "{\"error\":\"overloaded\"}");
	let_go();
	util_read(fds[0]);
	EXPECT_IN(200, "accepted");
	util_read(fds[1]);
	EXPECT_IN(200, "accepted");
}

Test(ingress, survives_clients_that_do_not_wait)
{
	struct linger hard = {1, 0};
	int i, fd;

	fake.hold = 1;
	for (i = 0; i < 10; i++) {
		fd = util_send((struct ask){.body = issue});
		wait_for_appends(i + 1);
		(void)setsockopt(
		    fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		(void)close(fd);
	}
	let_go();
	ASK(.body = issue);
	EXPECT_IN(200, "accepted");
}

static void *
let_go_soon(void *arg)
{
	(void)arg;
	(void)usleep(5000);
	let_go();
	return NULL;
}

Test(ingress, answers_what_is_on_its_way_when_it_drains)
{
	pthread_t thread;
	int fd;

	fake.hold = 1;
	fd = util_send((struct ask){.body = issue});
	wait_for_appends(1);
	cr_assert_eq(pthread_create(&thread, NULL, let_go_soon, NULL), 0);
	cr_assert_eq(ingress_drain(util_ingress, 20000), 0);
	cr_assert_eq(pthread_join(thread, NULL), 0);
	util_read(fd);
	EXPECT_IN(200, "accepted");
}

Test(ingress, can_be_freed_while_the_store_is_busy)
{
	pthread_t thread;

	fake.hold = 1;
	(void)close(util_send((struct ask){.body = issue}));
	wait_for_appends(1);
	cr_assert_eq(pthread_create(&thread, NULL, let_go_soon, NULL), 0);
	ingress_free(util_ingress);
	util_ingress = NULL;
	cr_assert_eq(pthread_join(thread, NULL), 0);
}

/* ---- settings -------------------------------------------------------------
 */

TestSuite(ingress_settings, .init = begin, .fini = end, .timeout = 60);

static const char odd[] = "{\"action\":\"created\",\"data\":{\"issue\":{\"id\":"
			  "\"1\",\"level\":5}},\"installation\":{\"uuid\":"
			  "\"u\"}}";

Test(ingress_settings, warn_and_off_let_odd_bodies_in)
{
	struct ingress_options o = util_ingress_options();

	ASK(.body = odd);
	EXPECT_IN(422, "schema_violation");
	o.validation = INGRESS_VALIDATION_WARN;
	ingress_change(util_ingress, &o);
	ASK(.body = odd);
	EXPECT_IN(200, "accepted");
	cr_expect_eq(fake.state, STORE_PENDING);
	cr_expect_str_eq(fake.jobs, "hook.on_issue:u:1;");
	cr_expect_eq(strncmp(fake.warnings, "[{\"pointer\":\"/data/", 18), 0,
	    "%s", fake.warnings);
	o.validation = INGRESS_VALIDATION_OFF;
	ingress_change(util_ingress, &o);
	ASK(.body = odd);
	EXPECT_IN(200, "accepted");
	cr_expect_str_eq(fake.warnings, "");
}

Test(ingress_settings, dedupe_by_signature_or_not_at_all)
{
	struct ingress_options o = util_ingress_options();

	o.dedupe = INGRESS_DEDUPE_SIGNATURE;
	o.nintegrations = 0; /* The secrets stay. */
	ingress_change(util_ingress, &o);
	ASK(.body = issue);
	cr_expect_eq(strncmp(fake.dedupe, "default\n", 8), 0);
	cr_expect_str_eq(fake.dedupe + 8, fake.signature);
	o.dedupe = INGRESS_DEDUPE_OFF;
	ingress_change(util_ingress, &o);
	ASK(.body = issue, .headers = "Idempotency-Key: k\r\n");
	EXPECT_IN(200, "accepted");
	cr_expect_str_eq(fake.dedupe, "");
}

Test(ingress_settings, forget_what_nobody_wants)
{
	struct ingress_options o = util_ingress_options();
	char *error = util_sample("error.created");

	o.keep_unhandled = 0;
	ingress_change(util_ingress, &o);
	ASK(.body = error, .resource = "error");
	EXPECT(200, "{\"status\":\"ignored\"}");
	/* Validated all the same. */
	ASK(.body = "{}", .resource = "error");
	EXPECT_IN(422, "schema_violation");
	ASK(.body = issue);
	EXPECT_IN(200, "accepted");
	free(error);
}

Test(ingress_settings, refuse_what_is_too_old)
{
	struct ingress_options o = util_ingress_options();
	char line[100], text[CLOCK_RFC3339_SIZE];
	uint64_t now = clock_unix_ms();

	/* Off, as it is to begin with, anything goes. */
	ASK(.body = issue, .headers = "Sentry-Hook-Timestamp: junk\r\n");
	EXPECT_IN(200, "accepted");
	o.max_age_ms = 60000;
	ingress_change(util_ingress, &o);
	/* It is a check of what was sent. */
	ASK(.body = issue);
	EXPECT_IN(200, "accepted");
	ASK(.body = issue, .headers = "Sentry-Hook-Timestamp: junk\r\n");
	EXPECT_IN(422, "{\"error\":\"schema_violation\",\"pointer\":\"\",");
	EXPECT_IN(422, "\"id\":\"");
	ASK(.body = issue, .headers = "Sentry-Hook-Timestamp: 1662377141\r\n");
	EXPECT_IN(422, "older than --max-age");
	cr_expect_eq(fake.state, STORE_INVALID);
	ASK(.body = issue,
	    .headers = "Sentry-Hook-Timestamp: 2022-04-04T18:17:18Z\r\n");
	EXPECT_IN(422, "older than --max-age");
	ASK(.body = "{", .headers = "Sentry-Hook-Timestamp: 1662377141\r\n");
	EXPECT_IN(400, "invalid_json");
	(void)snprintf(line, sizeof(line), "Sentry-Hook-Timestamp: %llu\r\n",
	    (unsigned long long)(now / 1000));
	ASK(.body = issue, .headers = line);
	EXPECT_IN(200, "accepted");
	(void)snprintf(line, sizeof(line), "Sentry-Hook-Timestamp: %s\r\n",
	    clock_rfc3339(now - 30000, text));
	ASK(.body = issue, .headers = line);
	EXPECT_IN(200, "accepted");
	/* The signature counts first. */
	ASK(.body = issue, .secret = "wrong");
	EXPECT_IN(401, "bad_signature");
}

Test(ingress_settings, take_new_secrets_and_routes)
{
	static const char *const fresh[] = {"new-secret", "abc123"};
	static const struct ingress_integration one = {"default", fresh, 2};
	static const char *const on_event[] = {"on_event"};
	static const struct routes_script script = {
	    "default", "other", on_event, 1};
	struct ingress_options o = util_ingress_options();
	struct routes *routes;

	o.integrations = &one;
	o.nintegrations = 1;
	ingress_change(util_ingress, &o);
	ASK(.body = issue, .secret = "new-secret");
	EXPECT_IN(200, "accepted");
	ASK(.body = issue, .secret = "old-secret");
	EXPECT_IN(401, "bad_signature");
	ASK(.body = issue, .path = "/i/acme/webhook", .secret = "acme-secret");
	EXPECT_IN(404, "not_found");

	routes = routes_create(util_catalog, &script, 1);
	ingress_set_routes(util_ingress, routes);
	ingress_set_routes(util_ingress, routes);
	routes_unref(routes);
	ASK(.body = issue);
	EXPECT_IN(200, "accepted");
	cr_expect_eq(strncmp(fake.jobs, "other.on_event:", 15), 0);
}

Test(ingress, counts_what_became_of_requests)
{
	struct ingress_stats stats;

	ASK(.body = issue);
	ASK(.body = issue, .headers = "Idempotency-Key: again\r\n");
	ASK(.body = issue, .secret = "wrong");
	ASK(.body = "{}");
	ASK(.body = "{");
	stats = ingress_stats(util_ingress);
	cr_expect_eq(stats.accepted, 1);
	cr_expect_eq(stats.duplicate, 1);
	cr_expect_eq(stats.bad_signature, 1);
	cr_expect_eq(stats.invalid, 1);
	cr_expect_eq(stats.bad_request, 1);
	cr_expect_eq(stats.body_bytes, strlen(issue));
}

Test(ingress_start, tells_why_it_cannot, .init = begin, .fini = end)
{
	struct ingress_options o = util_ingress_options();
	struct ingress *other = NULL;
	struct err err = ERR_INIT;

	o.port = ingress_port(util_ingress);
	o.threads = 2;
	cr_expect_eq(ingress_start(&o, &other, &err), -1);
	cr_expect_eq(err.code, ERR_UNAVAILABLE);
	cr_expect_not_null(strstr(err.msg, ingress_address(util_ingress)));
	o.port = 0;
	o.tls_cert = "/nowhere.pem";
	o.tls_key = "/nowhere.pem";
	cr_expect_eq(ingress_start(&o, &other, &err), -1);
	cr_expect_eq(err.code, ERR_NOT_FOUND);
	cr_expect_not_null(strstr(err.msg, "/nowhere.pem"));
	cr_expect_null(other);
	ingress_free(NULL);
}

/* ---- what the log says of a signature -------------------------------------
 */

static struct buf logged;

static void
catch_line(void *cookie, struct buf *line)
{
	(void)cookie;
	(void)pthread_mutex_lock(&fake.lock);
	buf_puts(&logged, buf_text(line));
	(void)pthread_mutex_unlock(&fake.lock);
	buf_reset(line);
}

static void
must_log(const char *what)
{
	EXPECT(401, "{\"error\":\"bad_signature\"}");
	(void)pthread_mutex_lock(&fake.lock);
	cr_expect_not_null(strstr(buf_text(&logged), what), "no %s in %s", what,
	    buf_text(&logged));
	cr_expect_null(strstr(buf_text(&logged), "abc123"));
	buf_reset(&logged);
	(void)pthread_mutex_unlock(&fake.lock);
}

/* Sign one text and send another. */
static void
ask_changed(const char *signed_text, const char *sent)
{
	struct signature_key *key = signature_key_create("abc123", 6);
	char hex[SIGNATURE_HEX + 1];

	signature_sign(key, signed_text, strlen(signed_text), hex);
	signature_key_free(key);
	ASK(.body = sent, .signature = hex);
}

Test(ingress_log, says_why_a_signature_is_bad, .init = begin, .fini = end,
    .timeout = 60)
{
	log_setup(LOG_FORMAT_JSON, LOG_INFO, 0);
	log_set_redactor(catch_line, NULL);
	ASK(.body = issue, .secret = "");
	must_log("neither Sentry-Hook-Signature nor Sentry-App-Signature");
	ASK(.body = issue, .signature = "abc");
	must_log("64 characters");
	ASK(.body = issue,
	    .signature = "ze2041f59516f3d4507b22216f2e0050931692c1ae71c4207d38"
			 "d79781963dfa");
	must_log("64 hexadecimal digits");
	ask_changed("{\"a\":1}", "{\"a\":1}\n");
	must_log("newline at the end");
	ask_changed("{\"a\":[1,\"\\u00e4\\ud83d\\udc40\\n\\u001f\"]}",
	    "{ \"a\" : [1, \"\xc3\xa4\xf0\x9f\x91\x80\\n\\u001F\"] }");
	must_log("written anew");
	ask_changed("{\"a\": [1, 2.5, true, {}]}", "{\"a\":[1,2.5,true,{}]}");
	must_log("written anew");
	ASK(.body = issue, .secret = "wrong");
	must_log("no secret matches");
	log_set_redactor(NULL, NULL);
	buf_free(&logged);
}
