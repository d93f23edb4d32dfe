#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "crypto/secret.h"
#include "json/jwrite.h"

#include "cli/cmd.h"
#include "cli/qr.h"

#include "cli/login_flow.h"

/* An answer about tokens is short. */
#define MAX_ANSWER ((size_t)1 << 20)

/* The longest wait between two polls where the server is not reached. */
#define BACKOFF_MAX_S 60

int
login_flow_post(const char *sentry_url, const char *path,
    const struct proxy *proxy, struct buf *form,
    struct httpc_answer *ret_answer, struct err *err)
{
	static const char *const headers[] = {
	    "Content-Type: application/x-www-form-urlencoded",
	    "Accept: application/json"};
	struct httpc_request request = {.method = "POST",
	    .headers = headers,
	    .nheaders = NELEMS(headers),
	    .max_bytes = MAX_ANSWER,
	    .proxy = proxy};
	char *url = mem_printf("%s%s", sentry_url, path);
	int rc;

	request.url = url;
	request.body = (struct str){buf_text(form), form->len};
	rc = httpc_call(&request, ret_answer, err);
	if (rc == -1)
		(void)err_prefix(err, "%.200s", sentry_url);
	if (form->data != NULL)
		secret_wipe(form->data, form->cap);
	buf_free(form);
	free(url);
	return rc;
}

void
login_flow_forget(struct httpc_answer *answer)
{
	if (answer->body.data != NULL)
		secret_wipe(answer->body.data, answer->body.cap);
	httpc_answer_free(answer);
}

int
login_flow_status(const struct err *err)
{
	switch (err->code) {
	case ERR_UNAUTH:
		return CMD_USAGE; /* The client id is wrong. */
	case ERR_RESOLVE:
	case ERR_CONNECT:
	case ERR_TLS:
	case ERR_TIMEOUT:
	case ERR_UNAVAILABLE:
		return CMD_UNREACHABLE;
	case ERR_NONE:
	case ERR_INVALID:
	case ERR_NOT_FOUND:
	case ERR_TOO_LARGE:
	case ERR_BLOCKED:
	case ERR_INTERNAL:
	default:
		return CMD_BAD;
	}
}

/* ---- what a person sees ---------------------------------------------------
 */

/* Whether standard output is a terminal that shows blocks of UTF-8. */
static int
can_draw(void)
{
	static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
	const char *value = NULL;
	size_t i;

	/* The first of them that is set counts. */
	for (i = 0; i < NELEMS(names); i++) {
		value = getenv(names[i]);
		if (value != NULL && value[0] != '\0')
			break;
	}
	return isatty(STDOUT_FILENO) && cmd_colour(stdout) && value != NULL &&
	       (strcasestr(value, "utf-8") != NULL ||
		   strcasestr(value, "utf8") != NULL);
}

static void
show_json(const struct login_device *device)
{
	struct buf out = BUF_INIT;
	struct jwrite w = jwrite_begin(&out, 0);

	jwrite_object(&w);
	jwrite_member_text(&w, "user_code", device->user_code);
	jwrite_member_text(&w, "verification_uri", device->uri);
	jwrite_member_text(
	    &w, "verification_uri_complete", device->uri_complete);
	jwrite_member_int(&w, "expires_in", (int64_t)device->expires_in_s);
	jwrite_object_end(&w);
	buf_putc(&out, '\n');
	cmd_flush(stdout, &out);
	(void)fflush(stdout);
}

static void
show(const struct login_device *device)
{
	struct buf qr = BUF_INIT, lasts = BUF_INIT;

	(void)fputs("Open ", stdout);
	cmd_put_visible(stdout, str_of(device->uri));
	(void)fputs("\nand enter the code\n\n    ", stdout);
	cmd_styled(stdout, cmd_colour(stdout), CMD_BOLD, device->user_code);
	(void)fputs("\n\n", stdout);
	if (device->uri_complete != NULL) {
		(void)fputs("or open ", stdout);
		cmd_put_visible(stdout, str_of(device->uri_complete));
		(void)fputc('\n', stdout);
		if (can_draw() && qr_put(&qr, device->uri_complete, 4) == 0) {
			(void)fputc('\n', stdout);
			cmd_flush(stdout, &qr);
			(void)fputc('\n', stdout);
		}
	}
	str_put_duration(&lasts, device->expires_in_s * 1000);
	(void)printf(
	    "The code is good for %s.  Waiting ...\n", buf_text(&lasts));
	(void)fflush(stdout);
	buf_free(&lasts);
}

/* Wait ${ms}, on a terminal with the time that is left until ${end}. */
static void
wait_shown(uint64_t ms, uint64_t end_mono_ms)
{
	int shown = isatty(STDERR_FILENO);
	uint64_t now, until = clock_mono_ms() + ms, step, left_s;
	struct timespec pause;

	while ((now = clock_mono_ms()) < until) {
		if (shown) {
			left_s =
			    now < end_mono_ms ? (end_mono_ms - now) / 1000 : 0;
			(void)fprintf(stderr, "\r%llu:%02llu left ",
			    (unsigned long long)left_s / 60,
			    (unsigned long long)left_s % 60);
			(void)fflush(stderr);
		}
		step = until - now > 1000 ? 1000 : until - now;
		pause.tv_sec = (time_t)(step / 1000);
		pause.tv_nsec = (long)(step % 1000) * 1000000;
		(void)nanosleep(&pause, NULL);
	}
	if (shown)
		(void)fputs("\r\033[K", stderr);
}

/* ---- a device -------------------------------------------------------------
 */

static int
begin_device(const struct login_flow *flow, struct login_device *device)
{
	struct httpc_answer answer;
	struct buf form = BUF_INIT;
	struct err err = ERR_INIT;
	struct str body;
	int rc;

	login_put_device(&form, flow->client_id, flow->scope);
	if (login_flow_post(flow->sentry_url, "/oauth/device/code/",
		flow->proxy, &form, &answer, &err) == -1)
		return cmd_fail(login_flow_status(&err), &err);
	body = (struct str){buf_text(&answer.body), answer.body.len};
	rc = answer.status == 200 ? login_read_device(body, device, &err)
				  : login_refusal(answer.status, body, &err);
	login_flow_forget(&answer);
	if (rc == 0)
		return CMD_GOOD;
	(void)err_prefix(&err, "%.200s", flow->sentry_url);
	return cmd_fail(login_flow_status(&err), &err);
}

/* One poll; also a server that was not reached is LOGIN_LATER. */
static enum login_outcome
poll_device(
    struct login_flow *flow, const struct login_device *device, struct err *err)
{
	struct httpc_answer answer;
	enum login_outcome outcome;
	struct buf form = BUF_INIT;

	*err = (struct err)ERR_INIT;
	login_put_poll(&form, flow->client_id, device->device_code);
	if (login_flow_post(flow->sentry_url, "/oauth/token/", flow->proxy,
		&form, &answer, err) == -1)
		return LOGIN_LATER;
	outcome = login_read_token(answer.status,
	    (struct str){buf_text(&answer.body), answer.body.len},
	    clock_unix_ms(), &flow->login, err);
	login_flow_forget(&answer);
	return outcome;
}

static int
wait_for_device(struct login_flow *flow, const struct login_device *device)
{
	uint64_t end = clock_mono_ms() + device->expires_in_s * 1000,
		 interval_s = device->interval_s, backoff_s = 0, wait_s;
	enum login_outcome outcome = LOGIN_PENDING;
	struct err err = ERR_INIT;

	for (;;) {
		wait_s = backoff_s > interval_s ? backoff_s : interval_s;
		if (clock_mono_ms() + wait_s * 1000 > end)
			break;
		wait_shown(wait_s * 1000, end);
		outcome = poll_device(flow, device, &err);
		switch (outcome) {
		case LOGIN_GOOD:
			return CMD_GOOD;
		case LOGIN_PENDING:
			backoff_s = 0;
			continue;
		case LOGIN_SLOW_DOWN:
			interval_s += LOGIN_SLOW_DOWN_S;
			continue;
		case LOGIN_LATER:
			backoff_s =
			    backoff_s == 0 ? 2 * interval_s : 2 * backoff_s;
			if (backoff_s > BACKOFF_MAX_S)
				backoff_s = BACKOFF_MAX_S;
			continue;
		case LOGIN_DENIED:
		case LOGIN_EXPIRED:
		case LOGIN_INVALID:
			return cmd_fail(CMD_BAD, &err);
		case LOGIN_REFUSED:
		default:
			return cmd_fail(login_flow_status(&err), &err);
		}
	}
	/* The time is up. */
	if (outcome == LOGIN_LATER)
		return cmd_fail(CMD_UNREACHABLE, &err);
	(void)err_set(
	    &err, ERR_TIMEOUT, "the code has expired before it was confirmed");
	return cmd_fail(CMD_BAD, &err);
}

int
login_flow_device(struct login_flow *flow)
{
	struct login_device device = {0};
	int status = begin_device(flow, &device);

	if (status == CMD_GOOD) {
		if (flow->json)
			show_json(&device);
		else
			show(&device);
		status = wait_for_device(flow, &device);
	}
	login_device_clear(&device);
	return status;
}
