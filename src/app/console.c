#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "base/mem.h"

#include "config/config.h"
#include "config/option.h"
#include "console/console.h"
#include "crypto/secret.h"
#include "crypto/secrets.h"
#include "dispatch/dispatch.h"
#include "ingress/ingress.h"
#include "net/loop.h"

#include "app/app.h"
#include "app/console.h"

/* News of deliveries that may be on their way to the loop; who follows the
 * events is told to read the list again where there were more. */
#define NEWS_MAX 4096

struct app_console {
	struct app_console_options options;
	struct console *console;
	struct ingress *ingress;
	char *address_file;
	atomic_uint news; /* On their way. */
	atomic_int lost;  /* Some were not sent. */
};

/* A delivery, from a thread of the ingress to the loop. */
struct news {
	struct mail mail; /* The first member. */
	struct app_console *console;
	struct buf json;
};

/* ---- what the console asks for ---------------------------------------------
 */

static void
redact(void *cookie, struct buf *text)
{
	struct app_console *c = cookie;

	secrets_redact(c->options.secrets, text);
}

static struct routes *
routes(void *cookie)
{
	struct app_console *c = cookie;

	return c->options.routes(c->options.cookie);
}

static int
script(void *cookie, size_t index, struct console_script *ret_script)
{
	struct app_console *c = cookie;
	struct dispatch_script s;

	if (dispatch_script_at(c->options.dispatch, index, &s) == -1)
		return -1;
	*ret_script =
	    (struct console_script){s.integration, s.name, s.state, s.error};
	return 0;
}

static void
write_script(
    void *cookie, const char *integration, const char *name, struct jwrite *w)
{
	struct app_console *c = cookie;
	struct dispatch_script s;

	if (dispatch_script_find(c->options.dispatch, integration, name, &s) ==
	    0)
		dispatch_write_script(&s, w);
}

static int
pause_script(void *cookie, const char *integration, const char *name,
    int paused, struct err *err)
{
	struct app_console *c = cookie;
	struct dispatch *dispatch = c->options.dispatch;

	return paused ? dispatch_pause(dispatch, integration, name, err)
		      : dispatch_resume(dispatch, integration, name, err);
}

static void
settled(void *cookie)
{
	struct app_console *c = cookie;

	console_reloaded(c->console);
}

static int
reload(void *cookie, struct err *err)
{
	struct app_console *c = cookie;

	if (c->options.look(c->options.cookie, err) == -1)
		return -1;
	dispatch_when_settled(c->options.dispatch, settled, c);
	return 0;
}

static void
put_results(struct buf *out, const struct ingress_stats *in)
{
	const struct {
		const char *result;
		uint64_t n;
	} results[] = {
	    {"accepted", in->accepted},
	    {"duplicate", in->duplicate},
	    {"ignored", in->ignored},
	    {"invalid", in->invalid},
	    {"bad_signature", in->bad_signature},
	    {"bad_request", in->bad_request},
	    {"overloaded", in->overloaded},
	    {"store_unavailable", in->store_unavailable},
	};
	size_t i;

	buf_puts(out,
	    "# HELP moonpost_deliveries_total Deliveries that came in, by what "
	    "they were answered.\n# TYPE moonpost_deliveries_total counter\n");
	for (i = 0; i < NELEMS(results); i++)
		buf_printf(out,
		    "moonpost_deliveries_total{result=\"%s\"} %llu\n",
		    results[i].result, (unsigned long long)results[i].n);
}

static void
put_outcomes(struct buf *out, const struct dispatch_stats *stats)
{
	const struct {
		const char *outcome;
		uint64_t n;
	} outcomes[] = {
	    {"done", stats->done},
	    {"dropped", stats->dropped},
	    {"failed", stats->failed},
	    {"dead", stats->dead},
	    {"returned", stats->returned},
	};
	size_t i;

	buf_puts(out,
	    "# HELP moonpost_job_runs_total Runs of handlers, by outcome; dead "
	    "ones have failed, too.\n# TYPE moonpost_job_runs_total counter\n");
	for (i = 0; i < NELEMS(outcomes); i++)
		buf_printf(out,
		    "moonpost_job_runs_total{outcome=\"%s\"} %llu\n",
		    outcomes[i].outcome, (unsigned long long)outcomes[i].n);
}

static void
put_number(struct buf *out, const char *name, const char *type,
    const char *help, uint64_t n)
{
	buf_printf(out,
	    "# HELP moonpost_%s %s\n# TYPE moonpost_%s %s\nmoonpost_%s %llu\n",
	    name, help, name, type, name, (unsigned long long)n);
}

static void
metrics(void *cookie, struct buf *out)
{
	struct app_console *c = cookie;
	struct dispatch_stats stats;
	struct ingress_stats in;

	buf_printf(out,
	    "# HELP moonpost_info Version.\n# TYPE moonpost_info gauge\n"
	    "moonpost_info{version=\"%s\"} 1\n",
	    MOONPOST_VERSION);
	if (c->ingress != NULL) {
		in = ingress_stats(c->ingress);
		put_results(out, &in);
		put_number(out, "delivery_bytes_total", "counter",
		    "Bodies of what was accepted.", in.body_bytes);
		put_number(out, "connections", "gauge",
		    "Connections to the public listener.", in.connections);
		put_number(out, "requests_refused_total", "counter",
		    "Requests that the HTTP server itself refused.", in.gate);
	}
	dispatch_stats(c->options.dispatch, &stats);
	put_outcomes(out, &stats);
	put_number(out, "workers_killed_total", "counter",
	    "Workers that hung or crashed.", stats.killed);
	put_number(
	    out, "jobs_running", "gauge", "Jobs that run now.", stats.running);
	put_number(
	    out, "workers", "gauge", "Workers that are ready.", stats.workers);
}

/* ---- what it is told --------------------------------------------------------
 */

static void
open_news(struct mail *mail)
{
	struct news *news = (struct news *)(void *)mail;
	struct app_console *c = news->console;

	(void)atomic_fetch_sub(&c->news, 1);
	if (atomic_exchange(&c->lost, 0))
		console_tell_gap(c->console);
	console_tell_delivery(
	    c->console, (struct str){news->json.data, news->json.len});
	buf_free(&news->json);
	free(news);
}

void
app_console_delivery(void *cookie, const struct store_append *append)
{
	struct app_console *c = cookie;
	struct news *news;

	if (c == NULL || !console_is_followed(c->console))
		return;
	if (atomic_fetch_add(&c->news, 1) >= NEWS_MAX) {
		(void)atomic_fetch_sub(&c->news, 1);
		atomic_store(&c->lost, 1);
		return;
	}
	news = mem_zalloc(sizeof(*news));
	news->mail.open = open_news;
	news->console = c;
	console_delivery_json(append, &news->json);
	mailbox_put(loop_mailbox(c->options.loop), &news->mail);
}

void
app_console_job(struct app_console *c, const struct store_job *job,
    enum store_state state, uint64_t next_unix_ms, const char *error)
{
	if (c != NULL)
		console_tell_job(c->console, job, state, next_unix_ms, error);
}

void
app_console_script(
    struct app_console *c, const char *integration, const char *name)
{
	if (c != NULL)
		console_tell_script(c->console, integration, name);
}

void
app_console_set_ingress(struct app_console *c, struct ingress *ingress)
{
	if (c != NULL)
		c->ingress = ingress;
}

uint16_t
app_console_port(const struct app_console *c)
{
	const char *colon =
	    c == NULL ? NULL : strrchr(console_address(c->console), ':');

	return colon == NULL ? 0 : (uint16_t)strtoul(colon + 1, NULL, 10);
}

/* ---- start and end ----------------------------------------------------------
 */

char *
app_console_address_file(const struct config *config)
{
	return mem_printf("%s/console-address", config->data);
}

/* Say where it is: the token only to a person. */
static void
announce(const struct app_console *c, const char *token)
{
	const char *address = console_address(c->console);
	char *url = mem_printf("http://%s/", address);

	log_info("console", LOG_STR("url", url));
	free(url);
	if (!c->options.config->dev && !isatty(STDOUT_FILENO))
		return;
	/* What listens everywhere is here as well. */
	if (strncmp(address, "0.0.0.0:", 8) == 0)
		(void)printf(
		    "console: http://127.0.0.1%s/?token=", address + 7);
	else if (strncmp(address, "[::]:", 5) == 0)
		(void)printf("console: http://[::1]%s/?token=", address + 4);
	else
		(void)printf("console: http://%s/?token=", address);
	for (; *token != '\0'; token++) {
		if (strchr("-._~", *token) != NULL ||
		    (*token >= '0' && *token <= '9') ||
		    ((*token | 0x20) >= 'a' && (*token | 0x20) <= 'z'))
			(void)putchar(*token);
		else
			(void)printf("%%%02X", (unsigned char)*token);
	}
	(void)putchar('\n');
	(void)fflush(stdout);
}

static int
listen_somewhere(
    struct app_console *c, struct console_options *options, struct err *err)
{
	const struct config *config = c->options.config;
	struct err why = ERR_INIT;

	options->address = config->console.text;
	if (console_start(options, &c->console, &why) == 0)
		return 0;
	if (why.code != ERR_UNAVAILABLE ||
	    config_source(config, option_find_key("console")) !=
		CONFIG_DEFAULT) {
		if (err != NULL)
			*err = why;
		return err_prefix(err, "console (--console)");
	}
	log_warn("the console takes another port", LOG_STR("error", why.msg));
	options->address = "127.0.0.1:0";
	return console_start(options, &c->console, err);
}

int
app_console_start(const struct app_console_options *o,
    struct app_console **ret_console, struct err *err)
{
	struct app_console *c = mem_zalloc(sizeof(*c));
	struct console_options options = {
	    .loop = o->loop,
	    .store = o->store,
	    .catalog = o->catalog,
	    .cookie = c,
	    .redact = redact,
	    .routes = routes,
	    .script = script,
	    .write_script = write_script,
	    .pause = pause_script,
	    .reload = reload,
	    .metrics = metrics,
	};
	const char *address;
	char *token = NULL;
	int rc = -1;

	c->options = *o;
	if (app_console_token(o->config, 1, &token, err) == -1)
		goto out;
	secrets_remember(o->secrets, token, strlen(token));
	options.token = token;
	if (listen_somewhere(c, &options, err) == -1)
		goto out;
	c->address_file = app_console_address_file(o->config);
	address = console_address(c->console);
	if (file_replace(
		c->address_file, address, strlen(address), 0600, err) == -1)
		goto out;
	announce(c, token);
	*ret_console = c;
	c = NULL;
	rc = 0;
out:
	app_console_free(c);
	if (token != NULL)
		secret_wipe(token, strlen(token));
	free(token);
	return rc;
}

void
app_console_free(struct app_console *c)
{
	if (c == NULL)
		return;
	console_free(c->console);
	if (c->address_file != NULL)
		(void)unlink(c->address_file);
	free(c->address_file);
	free(c);
}
