#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/form.h"
#include "base/mem.h"
#include "crypto/secret.h"
#include "net/httpd.h"
#include "net/listen.h"
#include "net/loop.h"
#include "json/jwrite.h"

#include "cli/cmd.h"

#include "cli/login_flow.h"

/* How long the browser may be away; Sentry's code lives as long. */
#define PATIENCE_MS (10 * UINT64_C(60000))

/* For the last page to be taken. */
#define LAST_PAGE_MS 2000
#define LOOK_MS 10

struct browser {
	struct login_flow *flow;
	struct loop *loop;
	struct loop_timer *timer;
	struct httpd *httpd;
	char *redirect_uri;
	char state[LOGIN_SECRET_SIZE];
	char verifier[LOGIN_SECRET_SIZE];

	/* What the browser came back with. */
	struct httpd_request *req; /* To be answered; NULL: it did not come. */
	char *code;
	char *error;
	uint64_t closing_mono_ms; /* 0: not yet. */
};

/* Have loop_run() return; unlike after loop_stop(), it can run again. */
static void
leave(struct browser *browser)
{
	(void)event_base_loopbreak(loop_base(browser->loop));
}

static void
reply_page(
    struct httpd_request *req, int status, const char *title, const char *text)
{
	static const struct httpd_header headers[] = {
	    {"Content-Type", "text/html; charset=utf-8"},
	    {"Cache-Control", "no-store"},
	    {"Content-Security-Policy", "default-src 'none'"},
	    {"Referrer-Policy", "no-referrer"},
	};
	struct buf page = BUF_INIT;

	buf_printf(&page,
	    "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
	    "<title>moonpost</title>\n<h1>%s</h1>\n<p>%s</p>\n",
	    title, text);
	httpd_reply(req, status, headers, NELEMS(headers),
	    (struct str){page.data, page.len});
	buf_free(&page);
}

/* Something came to the port: the browser, or whoever else found it. */
static void
came_back(struct httpd_request *req, void *cookie)
{
	struct browser *browser = cookie;
	struct str query = httpd_query(req);
	char *state;
	int ours;

	if (!str_eq(httpd_path(req), STR("/callback"))) {
		httpd_reply_error(req, 404, "not_found", NULL);
		return;
	}
	if (httpd_method(req) != HTTPD_GET) {
		httpd_reply_not_allowed(req, "GET");
		return;
	}
	state = form_get(query, "state");
	ours = state != NULL && secret_equal(state, strlen(state),
				    browser->state, strlen(browser->state));
	free(state);
	if (!ours || browser->req != NULL) {
		reply_page(req, 400, "Not from here",
		    "This answer belongs to no login that waits. Begin again "
		    "with <code>moonpost login --pkce</code>.");
		return;
	}
	browser->code = form_get(query, "code");
	browser->error = form_get(query, "error");
	if (browser->code == NULL && browser->error == NULL) {
		httpd_reply_error(
		    req, 400, "bad_request", "neither a code nor an error");
		return;
	}
	browser->req = req;
	leave(browser);
}

/* The patience is over; or the last page may have been taken. */
static void
tick(void *cookie)
{
	struct browser *browser = cookie;

	if (browser->closing_mono_ms == 0 ||
	    httpd_stats(browser->httpd).open == 0 ||
	    clock_mono_ms() > browser->closing_mono_ms + LAST_PAGE_MS)
		leave(browser);
	else
		loop_timer_set(browser->timer, LOOK_MS);
}

static int
listen_here(struct browser *browser)
{
	struct httpd_options options = {.handle = came_back, .cookie = browser};
	char address[LISTEN_ADDRESS_SIZE];
	struct err err = ERR_INIT;
	int fd;

	if (loop_create(8, &browser->loop, &err) == -1 ||
	    listen_open("127.0.0.1:0", 1, &fd, address, &err) == -1 ||
	    httpd_create(browser->loop, fd, &options, &browser->httpd, &err) ==
		-1)
		return cmd_fail(CMD_UNREACHABLE, &err);
	browser->timer = loop_timer_create(browser->loop, tick, browser);
	browser->redirect_uri = mem_printf("http://%s/callback", address);
	return CMD_GOOD;
}

/* Start the browser where there is one: $BROWSER, or that of the desktop. */
static int
open_browser(const char *url)
{
	const char *named = getenv("BROWSER");
	char *program, *const *env = environ;
	posix_spawn_file_actions_t files;
	char *args[3];
	pid_t pid;
	int rc;

	if (named != NULL && named[0] != '\0')
		program = mem_strndup(named, strcspn(named, ":"));
	else if (getenv("DISPLAY") != NULL || getenv("WAYLAND_DISPLAY") != NULL)
		program = mem_strdup("xdg-open");
	else
		return 0;
	args[0] = program;
	args[1] = mem_strdup(url);
	args[2] = NULL;
	(void)posix_spawn_file_actions_init(&files);
	(void)posix_spawn_file_actions_addopen(
	    &files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_addopen(
	    &files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	(void)posix_spawn_file_actions_addopen(
	    &files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	rc = posix_spawnp(&pid, program, &files, NULL, args, env);
	(void)posix_spawn_file_actions_destroy(&files);
	free(args[1]);
	free(program);
	return rc == 0;
}

static void
show(const struct login_flow *flow, const char *url, int opened)
{
	struct buf out = BUF_INIT;
	struct jwrite w = jwrite_begin(&out, 0);

	if (flow->json) {
		jwrite_object(&w);
		jwrite_member_text(&w, "authorize_url", url);
		jwrite_object_end(&w);
		buf_putc(&out, '\n');
		cmd_flush(stdout, &out);
	} else {
		(void)printf("%s\n\n    %s\n\nWaiting ...\n",
		    opened ? "Your browser should show this page now; if it "
			     "does not, open"
			   : "Open this page in a browser on this machine",
		    url);
	}
	(void)fflush(stdout);
}

static int
exchange(struct browser *browser)
{
	struct login_flow *flow = browser->flow;
	struct httpc_answer answer;
	enum login_outcome outcome;
	struct buf form = BUF_INIT;
	struct err err = ERR_INIT;

	login_put_code(&form, flow->client_id, browser->code,
	    browser->redirect_uri, browser->verifier);
	if (login_flow_post(flow->sentry_url, "/oauth/token/", flow->proxy,
		&form, &answer, &err) == -1)
		return cmd_fail(login_flow_status(&err), &err);
	outcome = login_read_token(answer.status,
	    (struct str){buf_text(&answer.body), answer.body.len},
	    clock_unix_ms(), &flow->login, &err);
	login_flow_forget(&answer);
	if (outcome == LOGIN_GOOD)
		return CMD_GOOD;
	return cmd_fail(
	    outcome == LOGIN_INVALID ? CMD_BAD : login_flow_status(&err), &err);
}

/* The browser is back, or was away too long. */
static int
conclude(struct browser *browser)
{
	struct err err = ERR_INIT;

	if (browser->req == NULL) {
		(void)err_set(&err, ERR_TIMEOUT,
		    "nobody has confirmed the login within 10 minutes");
		return cmd_fail(CMD_BAD, &err);
	}
	if (browser->error == NULL)
		return exchange(browser);
	if (strcmp(browser->error, "access_denied") == 0)
		(void)err_set(&err, ERR_UNAUTH, "the request was denied");
	else
		(void)err_set(&err, ERR_INVALID, "Sentry said no: %.100s",
		    browser->error);
	return cmd_fail(CMD_BAD, &err);
}

/* Show the last page, and wait until it was taken. */
static void
say_goodbye(struct browser *browser, int status)
{
	if (browser->req == NULL)
		return;
	if (status == CMD_GOOD)
		reply_page(
		    browser->req, 200, "Logged in", "You can close this page.");
	else
		reply_page(browser->req, 200, "Not logged in",
		    "The terminal says why.");
	browser->req = NULL;
	browser->closing_mono_ms = clock_mono_ms();
	httpd_stop_accepting(browser->httpd);
	loop_timer_set(browser->timer, LOOK_MS);
	loop_run(browser->loop);
}

static void
browser_clear(struct browser *browser)
{
	httpd_free(browser->httpd);
	loop_timer_free(browser->timer);
	loop_free(browser->loop);
	free(browser->redirect_uri);
	if (browser->code != NULL)
		secret_wipe(browser->code, strlen(browser->code));
	free(browser->code);
	free(browser->error);
	secret_wipe(browser->state, sizeof(browser->state));
	secret_wipe(browser->verifier, sizeof(browser->verifier));
}

int
login_flow_browser(struct login_flow *flow)
{
	struct browser browser = {.flow = flow};
	struct buf url = BUF_INIT;
	int status = listen_here(&browser);

	if (status == CMD_GOOD) {
		login_put_authorize(&url, flow->sentry_url, flow->client_id,
		    browser.redirect_uri, flow->scope,
		    login_make_secret(browser.state),
		    login_make_secret(browser.verifier));
		show(flow, url.data, open_browser(url.data));
		buf_free(&url);
		loop_timer_set(browser.timer, PATIENCE_MS);
		loop_run(browser.loop);
		status = conclude(&browser);
		say_goodbye(&browser, status);
	}
	browser_clear(&browser);
	return status;
}
