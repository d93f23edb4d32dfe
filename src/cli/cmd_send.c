#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "crypto/signature.h"
#include "json/jdoc.h"
#include "json/jwrite.h"

#include "app/app.h"
#include "catalog/catalog.h"
#include "config/config.h"
#include "config/option.h"
#include "net/fetch.h"
#include "net/guard.h"
#include "net/loop.h"

#include "cli/cmd.h"
#include "cli/send_request.h"

/* A body that no host takes needs no more room. */
#define MAX_FILE ((size_t)64 << 20)

/* An answer of a webhook is short; so is the patience of a person. */
#define MAX_ANSWER ((size_t)1 << 20)
#define TIMEOUT_MS 30000

/* Requests under way at a time, with --count. */
#define SIDE_BY_SIDE 16

#define MAX_STATUS 600

struct sender {
	const struct config *config;
	const char *event; /* NULL for a file without one. */
	char *resource;
	char *url;
	struct catalog *catalog;
	struct signature_key *key;
	struct buf *file; /* NULL: samples. */
	struct buf file_text;
	struct loop *loop;
	struct guard *guard;
	struct fetch *fetch;
	uint64_t started;
	uint64_t ended;
	uint64_t start_ms;
	uint64_t answers[MAX_STATUS]; /* How many had that status. */
	struct err err; /* Why the first one got no answer, if one did not. */
	int status;
	int progress; /* Show it. */
};

/* One request under way. */
struct sent {
	struct sender *sender;
	struct send_request request;
};

/* ---- what to send ------------------------------------------------------- */

/* A token of HTTP; anything else could not be a header's value. */
static int
is_token(const char *s)
{
	size_t len = strspn(s, "abcdefghijklmnopqrstuvwxyz"
			       "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");

	return len > 0 && s[len] == '\0';
}

/* --secret, the configured one, or what `serve --dev` has made. */
static int
load_key(struct sender *sender)
{
	const struct config *config = sender->config;
	const struct config_list *known =
	    &config->integrations[0].client_secrets;
	const char *secret = config->secret;
	struct err err = ERR_INIT;
	char *made = NULL;

	if (secret == NULL && known->n > 0)
		secret = known->items[0];
	if (secret == NULL) {
		if (app_dev_secret(config->data, 0, &made, &err) == -1 &&
		    err.code != ERR_NOT_FOUND)
			return cmd_fail(CMD_UNREACHABLE, &err);
		secret = made;
	}
	if (secret == NULL) {
		(void)err_set(&err, ERR_INVALID,
		    "no client secret to sign with: set SENTRY_CLIENT_SECRET, "
		    "give --secret, or start 'moonpost serve --dev', which "
		    "makes one and keeps it in %s/",
		    config->data);
		return cmd_fail(CMD_USAGE, &err);
	}
	sender->key = signature_key_create(secret, strlen(secret));
	if (made != NULL)
		explicit_bzero(made, strlen(made));
	free(made);
	return CMD_GOOD;
}

/* Where to: --url, or the webhook of a host that is configured as we are. */
static char *
make_url(const struct config *config)
{
	const struct config_address *listen = &config->listen;
	const char *host = listen->host;
	int v6 = strchr(host, ':') != NULL;

	if (config_source(config, option_find_key("url")) != CONFIG_DEFAULT ||
	    listen->port == 0)
		return mem_strdup(config->url);
	/* What listens everywhere is here as well. */
	if (strcmp(host, "0.0.0.0") == 0)
		host = "127.0.0.1";
	else if (strcmp(host, "::") == 0)
		host = "::1";
	return mem_printf("%s://%s%s%s:%u/webhook",
	    config->tls_cert != NULL ? "https" : "http", v6 ? "[" : "", host,
	    v6 ? "]" : "", listen->port);
}

/* Find out what is to be sent, from the command line. */
static int
prepare(struct sender *sender, const struct cmd_call *call)
{
	const struct config *config = call->config;
	struct err err = ERR_INIT;

	sender->config = config;
	sender->url = make_url(config);
	sender->event = call->args[0];
	if (sender->event == NULL &&
	    (config->file == NULL || !config->resource))
		return cmd_misuse(call,
		    "name what to send, RESOURCE.ACTION ('moonpost send "
		    "--list' lists them), or give --file and --resource");
	if (config->resource != NULL)
		sender->resource = mem_strdup(config->resource);
	else
		sender->resource =
		    mem_strndup(sender->event, strcspn(sender->event, "."));
	if (!is_token(sender->resource))
		return cmd_misuse(call,
		    "'%.60s' cannot be the name of a resource",
		    sender->resource);
	if (config->file != NULL) {
		sender->file = &sender->file_text;
		if (file_read(config->file, MAX_FILE, sender->file, &err) == -1)
			return cmd_fail(CMD_UNREACHABLE, &err);
	}
	return load_key(sender);
}

/* Make the next request; with a new sample, as two events are never the same.
 */
static int
next_request(struct sender *sender, struct send_request *request)
{
	struct err err = ERR_INIT;

	*request = (struct send_request){.body = BUF_INIT};
	if (send_body(sender->config, sender->catalog, sender->event,
		sender->file, &request->body, &err) == -1) {
		send_request_clear(request);
		return cmd_fail(CMD_USAGE, &err);
	}
	send_request_fill(request, sender->resource, sender->key);
	return CMD_GOOD;
}

/* ---- sending --------------------------------------------------------------
 */

static void start_some(struct sender *sender);

/* Show one answer to a person. */
static void
show_answer(const struct sender *sender, const struct fetch_result *result)
{
	char status[16];

	(void)snprintf(status, sizeof(status), "%u", result->status);
	cmd_styled(stdout, cmd_colour(stdout),
	    result->status / 100 == 2 ? CMD_GREEN : CMD_RED, status);
	(void)fputc(' ', stdout);
	cmd_put_visible(
	    stdout, (struct str){buf_text(&result->body), result->body.len});
	(void)printf(" (%llu ms)\n", (unsigned long long)result->duration_ms);
	if (result->status == 401) {
		(void)fflush(stdout);
		(void)fprintf(stderr,
		    "The host has another client secret: give the right one "
		    "in SENTRY_CLIENT_SECRET or --secret%s.\n",
		    sender->config->secret == NULL
			? ", or --data if it runs with --dev elsewhere"
			: "");
	}
}

static void
json_answer(const struct sent *sent, const struct fetch_result *result)
{
	struct buf out = BUF_INIT;
	struct jwrite w = jwrite_begin(&out, 2);
	struct jdoc doc = {0};

	jwrite_object(&w);
	jwrite_member_text(&w, "event", sent->sender->event);
	jwrite_member_text(&w, "resource", sent->sender->resource);
	jwrite_member_text(&w, "url", sent->sender->url);
	jwrite_member_text(&w, "request_id", sent->request.request_id);
	jwrite_member_text(
	    &w, "idempotency_key", sent->request.idempotency_key);
	jwrite_member_int(&w, "status", result->status);
	jwrite_member_int(&w, "duration_ms", (int64_t)result->duration_ms);
	jwrite_key(&w, "answer");
	if (jdoc_parse(&doc, buf_text(&result->body), result->body.len, NULL,
		NULL) == 0)
		jwrite_jval(&w, jdoc_root(&doc));
	else
		jwrite_str(&w,
		    (struct str){buf_text(&result->body), result->body.len});
	jwrite_object_end(&w);
	buf_putc(&out, '\n');
	cmd_flush(stdout, &out);
	jdoc_free(&doc);
}

static void
answered(void *cookie, struct fetch_result *result)
{
	struct sent *sent = cookie;
	struct sender *sender = sent->sender;

	sender->ended++;
	if (result->err.code != ERR_NONE) {
		if (sender->err.code == ERR_NONE)
			sender->err = result->err;
	} else {
		sender->answers[result->status % MAX_STATUS]++;
		if (sender->config->count == 1 && sender->config->json)
			json_answer(sent, result);
		else if (sender->config->count == 1)
			show_answer(sender, result);
	}
	if (sender->progress)
		(void)fprintf(stderr, "\r%llu of %llu ",
		    (unsigned long long)sender->ended,
		    (unsigned long long)sender->config->count);
	send_request_clear(&sent->request);
	free(sent);
	start_some(sender);
}

/* Keep as many under way as may be; stop the loop behind the last. */
static void
start_some(struct sender *sender)
{
	struct fetch_request request = {.method = "POST"};
	struct fetch_call *call;
	struct sent *sent;

	while (sender->err.code == ERR_NONE && sender->status == CMD_GOOD &&
	       sender->started < sender->config->count &&
	       sender->started - sender->ended < SIDE_BY_SIDE) {
		sent = mem_zalloc(sizeof(*sent));
		sent->sender = sender;
		sender->status = next_request(sender, &sent->request);
		if (sender->status != CMD_GOOD) {
			free(sent);
			break;
		}
		request.url = sender->url;
		request.headers = (const char *const *)sent->request.headers;
		request.nheaders = SEND_HEADERS;
		request.body = (struct str){
		    buf_text(&sent->request.body), sent->request.body.len};
		request.timeout_ms = TIMEOUT_MS;
		request.max_bytes = MAX_ANSWER;
		request.done = answered;
		request.cookie = sent;
		if (fetch_start(sender->fetch, &request, &call, &sender->err) ==
		    -1) {
			sender->status = CMD_USAGE;
			send_request_clear(&sent->request);
			free(sent);
			break;
		}
		sender->started++;
	}
	if (sender->started == sender->ended)
		loop_stop(sender->loop);
}

/* What came of many. */
static void
show_summary(const struct sender *sender)
{
	uint64_t ms = clock_mono_ms() - sender->start_ms;
	struct buf out = BUF_INIT;
	struct jwrite w = jwrite_begin(&out, 2);
	char name[8];
	size_t i;

	if (!sender->config->json) {
		for (i = 0; i < MAX_STATUS; i++) {
			if (sender->answers[i] > 0)
				(void)printf("%zu: %llu\n", i,
				    (unsigned long long)sender->answers[i]);
		}
		(void)printf("%llu sent in %llu ms\n",
		    (unsigned long long)sender->ended, (unsigned long long)ms);
		return;
	}
	jwrite_object(&w);
	jwrite_member_text(&w, "event", sender->event);
	jwrite_member_text(&w, "resource", sender->resource);
	jwrite_member_text(&w, "url", sender->url);
	jwrite_member_int(&w, "sent", (int64_t)sender->ended);
	jwrite_member_int(&w, "duration_ms", (int64_t)ms);
	jwrite_key(&w, "statuses");
	jwrite_object(&w);
	for (i = 0; i < MAX_STATUS; i++) {
		if (sender->answers[i] == 0)
			continue;
		(void)snprintf(name, sizeof(name), "%zu", i);
		jwrite_member_int(&w, name, (int64_t)sender->answers[i]);
	}
	jwrite_object_end(&w);
	jwrite_object_end(&w);
	buf_putc(&out, '\n');
	cmd_flush(stdout, &out);
}

/* Nothing came back, and why. */
static int
unreachable(const struct sender *sender)
{
	struct err err = sender->err;

	if (err.code == ERR_CONNECT)
		(void)err_set(&err, ERR_CONNECT,
		    "nobody listens at %.200s; start 'moonpost serve --dev', "
		    "or name another --url",
		    sender->url);
	else
		(void)err_prefix(&err, "%.200s", sender->url);
	return cmd_fail(CMD_UNREACHABLE, &err);
}

static int
send_all(struct sender *sender)
{
	struct fetch_options options = {.max_idle_connections = SIDE_BY_SIDE};
	size_t i;

	if (loop_create(16, &sender->loop, &sender->err) == -1)
		return cmd_fail(CMD_UNREACHABLE, &sender->err);
	/* A person says where to; the guard is for scripts. */
	sender->guard = guard_create();
	guard_allow_private(sender->guard);
	options.base = loop_base(sender->loop);
	options.guard = sender->guard;
	sender->fetch = fetch_create(&options, &sender->err);
	if (sender->fetch == NULL)
		return cmd_fail(CMD_UNREACHABLE, &sender->err);

	sender->progress = sender->config->count > 1 && isatty(STDERR_FILENO);
	sender->start_ms = clock_mono_ms();
	start_some(sender);
	if (sender->started > 0)
		loop_run(sender->loop);
	if (sender->progress)
		(void)fputs("\r\033[K", stderr);

	if (sender->config->count > 1 && sender->ended > 0)
		show_summary(sender);
	if (sender->status == CMD_USAGE && sender->err.code != ERR_NONE)
		return cmd_fail(CMD_USAGE, &sender->err);
	if (sender->status != CMD_GOOD)
		return sender->status;
	if (sender->err.code != ERR_NONE)
		return unreachable(sender);
	for (i = 0; i < MAX_STATUS; i++) {
		if (sender->answers[i] > 0 && i / 100 != 2)
			return CMD_BAD;
	}
	return CMD_GOOD;
}

static int
print_all(struct sender *sender)
{
	struct send_request request;
	struct buf out = BUF_INIT;
	uint64_t i;
	int status;

	for (i = 0; i < sender->config->count; i++) {
		status = next_request(sender, &request);
		if (status != CMD_GOOD)
			return status;
		send_put_curl(&request, sender->url, &out);
		cmd_flush(stdout, &out);
		send_request_clear(&request);
	}
	return CMD_GOOD;
}

/* ---- the command ----------------------------------------------------------
 */

static void
list_events(const struct catalog *catalog, int json)
{
	const struct catalog_resource *resource;
	struct buf out = BUF_INIT;
	struct jwrite w = jwrite_begin(&out, 2);
	size_t i, k;
	char *event;

	jwrite_array(&w);
	for (i = 0; i < catalog_count(catalog); i++) {
		resource = catalog_at(catalog, i);
		for (k = 0; k < resource->nactions; k++) {
			event = mem_printf(
			    "%s.%s", resource->name, resource->actions[k]);
			if (json)
				jwrite_text(&w, event);
			else
				(void)puts(event);
			free(event);
		}
	}
	jwrite_array_end(&w);
	buf_putc(&out, '\n');
	if (json)
		cmd_flush(stdout, &out);
	buf_free(&out);
}

static int
run(const struct cmd_call *call)
{
	struct sender sender = {.err = ERR_INIT};
	int status;

	status = cmd_open_catalog(call->config, &sender.catalog);
	if (status != CMD_GOOD)
		return status;
	if (call->config->list) {
		list_events(sender.catalog, call->config->json);
	} else {
		status = prepare(&sender, call);
		if (status == CMD_GOOD)
			status = call->config->print ? print_all(&sender)
						     : send_all(&sender);
	}

	fetch_free(sender.fetch);
	guard_free(sender.guard);
	loop_free(sender.loop);
	signature_key_free(sender.key);
	catalog_free(sender.catalog);
	buf_free(&sender.file_text);
	free(sender.resource);
	free(sender.url);
	return status;
}

const struct cmd_entry cmd_send = {
    .name = "send",
    .usage = "RESOURCE.ACTION [options]",
    .help = "sign a sample, or any body, and post it",
    .about =
	"Build a realistic sample of what Sentry sends, change it as you like, "
	"sign it, post it to a running host with the headers that Sentry "
	"sends, and show the answer.\n\n"
	"Exit status: 0 the answer was 2xx, 1 it was another, 2 wrong usage, 3 "
	"nobody listens.",
    .examples = "moonpost send issue.created --set data.issue.level=fatal\n"
		"moonpost send issue.created --file delivery.json\n"
		"moonpost send metric_alert.critical --print\n"
		"moonpost send --list",
    .options = OPTION_FOR_SEND,
    .max_args = 1,
    .run = run,
};
