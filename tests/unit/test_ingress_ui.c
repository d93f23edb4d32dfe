/*
 * Requests to UI components at the door: who may ask, what is passed on, and
 * how what comes back is answered.
 */

#include <pthread.h>

#include "base/mailbox.h"
#include "store/store.h"

#include "unit/ingress_util.h"

/* No delivery comes, so nothing is asked of the store. */
void
store_submit_all(struct store *store, struct store_batch *batch)
{
	(void)store;
	(void)batch;
}

int
store_collect(struct store *store, struct store_batch *batch,
    struct store_op *op, struct err *err)
{
	(void)store;
	(void)batch;
	(void)op;
	return err_set(err, ERR_UNAVAILABLE, "no store");
}

int
store_usable(struct store *store)
{
	(void)store;
	return 1;
}

/* ---- who answers ----------------------------------------------------------
 */

static struct {
	pthread_mutex_t lock;
	int hold; /* Keep them. */
	struct ingress_ui *held[300];
	size_t nheld;
	size_t n;
	char integration[32], route[64], request[256];
	int status;
	const char *location;
} other = {.lock = PTHREAD_MUTEX_INITIALIZER, .status = 200};

static void
answer_ui(void *cookie, struct ingress_ui *ui)
{
	(void)cookie;
	(void)pthread_mutex_lock(&other.lock);
	other.n++;
	(void)snprintf(other.integration, sizeof(other.integration), "%s",
	    ui->integration);
	(void)snprintf(other.route, sizeof(other.route), "%s", ui->route);
	(void)snprintf(
	    other.request, sizeof(other.request), "%s", buf_text(&ui->request));
	if (other.hold) {
		other.held[other.nheld++] = ui;
	} else {
		ui->status = other.status;
		ui->location = mem_strdup(other.location);
		buf_puts(&ui->body, "{\"message\":\"m\"}");
		ingress_ui_return(ui);
	}
	(void)pthread_mutex_unlock(&other.lock);
}

static void
begin(void)
{
	struct ingress_options o = util_ingress_options();

	o.ui = answer_ui;
	util_start(&o);
}

TestSuite(ingress_ui, .init = begin, .fini = util_stop, .timeout = 60);

#define APP "Sentry-App-Signature"
#define JSON "Content-Type: application/json\r\n"

Test(ingress_ui, passes_a_form_on_and_its_answer_back)
{
	ASK(.path = "/ui/alert-rule-action", .signature_name = APP,
	    .resource = "", .headers = JSON, .body = "{\"fields\":[]}");
	EXPECT(200, "{\"message\":\"m\"}");
	cr_assert_str_eq(other.integration, "default");
	cr_assert_str_eq(other.route, "alert-rule-action");
	cr_assert_str_eq(other.request, "{\"fields\":[]}");
	other.status = 400;
	ASK(.path = "/i/acme/ui/issue-link/link", .secret = "acme-secret",
	    .resource = "", .body = "{}");
	EXPECT(400, "{\"message\":\"m\"}");
	cr_assert_str_eq(other.integration, "acme");
	cr_assert_str_eq(other.route, "issue-link/link");
}

Test(ingress_ui, options_are_signed_over_the_empty_text)
{
	ASK(.method = "GET", .path = "/ui/options/a?query=x+y&b=%22&query=2",
	    .signature_name = APP, .resource = "", .body = "");
	EXPECT(200, "{\"message\":\"m\"}");
	cr_assert_str_eq(other.route, "options/a");
	cr_assert_str_eq(other.request,
	    "{\"query\":\"x y\",\"b\":\"\\\"\",\"query\":\"2\"}");
	ASK(.method = "GET", .path = "/ui/options/a", .signature_name = APP,
	    .secret = "another", .resource = "", .body = "");
	EXPECT(401, "{\"error\":\"bad_signature\"}");
	ASK(.method = "GET", .path = "/ui/options/a", .secret = "",
	    .resource = "", .body = "");
	EXPECT(401, "{\"error\":\"bad_signature\"}");
	ASK(.method = "GET", .path = "/ui/options/a?x=%4",
	    .signature_name = APP, .resource = "", .body = "");
	EXPECT_IN(400, "bad_request");
	cr_assert_eq(other.n, 1);
}

Test(ingress_ui, refuses_before_a_script_is_asked)
{
	static const char *const bodies[] = {"[]", "1", "{", "{\"a\":1}x"};
	size_t i;

	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		ASK(.path = "/ui/alert-rule-action", .resource = "",
		    .body = bodies[i]);
		EXPECT_IN(400, "invalid_json");
	}
	ASK(.path = "/ui/alert-rule-action", .resource = "", .body = "{}",
	    .headers = "Content-Type: text/plain\r\n");
	EXPECT_IN(415, "unsupported_media_type");
	ASK(.path = "/ui/alert-rule-action", .resource = "", .body = "{}",
	    .secret = "another", .signature_name = APP);
	EXPECT(401, "{\"error\":\"bad_signature\"}");
	cr_assert_eq(other.n, 0);
}

Test(ingress_ui, knows_its_routes)
{
	static const char *const none[] = {"/ui", "/ui/", "/ui/other",
	    "/ui/options/", "/ui/options/a/b", "/ui/issue-link",
	    "/ui/issue-link/delete", "/i/nobody/ui/stacktrace-link",
	    "/i/acme/ui/"};
	size_t i;

	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		ASK(.path = none[i], .resource = "", .body = "{}");
		EXPECT_IN(404, "not_found");
	}
	ASK(.method = "GET", .path = "/ui/issue-link/create", .resource = "");
	EXPECT_IN(405, "method_not_allowed");
	ASK(.path = "/ui/options/a", .resource = "", .body = "{}");
	EXPECT_IN(405, "method_not_allowed");
	ASK(.method = "HEAD", .path = "/ui/stacktrace-link", .resource = "");
	cr_assert_eq(util_answer.status, 405);
}

Test(ingress_ui, a_link_is_not_signed_and_redirects)
{
	other.status = 302;
	other.location = "https://code.example/x";
	ASK(.method = "GET", .path = "/ui/stacktrace-link?filename=x",
	    .secret = "", .resource = "");
	cr_assert_eq(util_answer.status, 302);
	cr_assert_not_null(
	    strstr(util_answer.text, "Location: https://code.example/x\r\n"));
}

Test(ingress_ui, links_are_few_a_second)
{
	size_t i, refused = 0;

	for (i = 0; i < 100; i++) {
		ASK(.method = "GET", .path = "/ui/stacktrace-link",
		    .secret = "", .resource = "");
		refused += util_answer.status == 429;
	}
	cr_assert_gt(refused, 0);
	cr_assert_lt(refused, 100);
}

Test(ingress_ui, too_many_at_a_time_are_refused)
{
	int fds[257];
	size_t i;

	other.hold = 1;
	for (i = 0; i < 256; i++)
		fds[i] = util_send((struct ask){.path = "/ui/alert-rule-action",
		    .resource = "",
		    .body = "{}"});
	for (;;) {
		(void)pthread_mutex_lock(&other.lock);
		i = other.nheld;
		(void)pthread_mutex_unlock(&other.lock);
		if (i == 256)
			break;
		(void)usleep(1000);
	}
	ASK(.path = "/ui/alert-rule-action", .resource = "", .body = "{}");
	EXPECT_IN(503, "overloaded");
	other.hold = 0;
	for (i = 0; i < 256; i++) {
		other.held[i]->status = 200;
		buf_puts(&other.held[i]->body, "{}");
		ingress_ui_return(other.held[i]);
		util_read(fds[i]);
		cr_assert_eq(util_answer.status, 200);
	}
}

Test(ingress_ui, can_be_freed_while_a_script_is_at_it)
{
	int fd;

	other.hold = 1;
	fd = util_send((struct ask){
	    .path = "/ui/alert-rule-action", .resource = "", .body = "{}"});
	for (;;) {
		(void)pthread_mutex_lock(&other.lock);
		if (other.nheld == 1)
			break;
		(void)pthread_mutex_unlock(&other.lock);
		(void)usleep(1000);
	}
	(void)pthread_mutex_unlock(&other.lock);
	ingress_free(util_ingress);
	util_ingress = NULL;
	ingress_ui_free(other.held[0]);
	(void)close(fd);
}

Test(ingress_ui, without_anybody_who_answers_there_are_none)
{
	struct ingress_options o;

	util_stop();
	util_catalog = NULL;
	util_answer.text = NULL;
	o = util_ingress_options();
	util_start(&o);
	ASK(.path = "/ui/alert-rule-action", .resource = "", .body = "{}");
	EXPECT_IN(404, "not_found");
}
