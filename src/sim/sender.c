#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/random.h"
#include "crypto/signature.h"
#include "net/fetch.h"
#include "net/loop.h"
#include "json/jwrite.h"

#include "sim/breaker.h"
#include "sim/calls.h"
#include "sim/mask.h"
#include "sim/sim_internal.h"

#include "sim/sender.h"

#define HEADERS 8
#define MAX_ANSWER ((size_t)1 << 20)

/* One delivery and the attempt that is under way, or waited for. */
struct delivery {
	struct sender *sender;
	uint64_t number;
	char *url;
	char *resource;
	int published;
	struct buf body;
	char idempotency_key[33];
	char *headers[HEADERS]; /* Of this attempt. */
	unsigned int attempts;
	sender_cb *done; /* NULL once it was called. */
	void *cookie;
	struct loop_timer *timer;
	TAILQ_ENTRY(delivery) entry;
};

struct sender {
	struct sim *sim;
	struct breaker breaker;
	uint64_t last;
	TAILQ_HEAD(, delivery) deliveries;
};

static void start(void *cookie);

static void
clear_headers(struct delivery *delivery)
{
	size_t i;

	for (i = 0; i < HEADERS; i++) {
		free(delivery->headers[i]);
		delivery->headers[i] = NULL;
	}
}

static void
delivery_free(struct delivery *delivery)
{
	TAILQ_REMOVE(&delivery->sender->deliveries, delivery, entry);
	loop_timer_free(delivery->timer);
	clear_headers(delivery);
	buf_free(&delivery->body);
	free(delivery->url);
	free(delivery->resource);
	free(delivery);
}

struct sender *
sender_create(struct sim *sim)
{
	struct sender *sender = mem_zalloc(sizeof(*sender));

	sender->sim = sim;
	sender->breaker.scale = sim->options.scale;
	TAILQ_INIT(&sender->deliveries);
	return sender;
}

void
sender_free(struct sender *sender)
{
	struct delivery *delivery;

	if (sender == NULL)
		return;
	while ((delivery = TAILQ_FIRST(&sender->deliveries)) != NULL)
		delivery_free(delivery);
	free(sender);
}

/* ---- what came of an attempt --------------------------------------------- */

static void
record(const struct delivery *delivery, const struct sender_attempt *attempt,
    struct str answer)
{
	struct buf out = BUF_INIT, json = BUF_INIT;
	struct jwrite w = jwrite_begin(&out, 0);
	const char *colon;
	size_t i;

	jwrite_object(&w);
	jwrite_member_text(&w, "direction", "out");
	jwrite_key(&w, "at");
	jwrite_time(&w, clock_unix_ms());
	jwrite_member_text(&w, "method", "POST");
	jwrite_member_text(&w, "url", delivery->url);
	jwrite_key(&w, "headers");
	jwrite_object(&w);
	for (i = 0; i < HEADERS && delivery->headers[i] != NULL; i++) {
		colon = strchr(delivery->headers[i], ':');
		mask_header(&w,
		    (struct str){delivery->headers[i],
			(size_t)(colon - delivery->headers[i])},
		    str_of(colon + 2));
	}
	jwrite_object_end(&w);
	jwrite_key(&w, "body");
	mask_json(
	    &w, (struct str){buf_text(&delivery->body), delivery->body.len});
	jwrite_member_int(&w, "delivery", (int64_t)attempt->delivery);
	jwrite_member_int(&w, "attempt", attempt->n);
	jwrite_member_int(&w, "status", attempt->status);
	jwrite_member_text(&w, "outcome", attempt->outcome);
	jwrite_member_text(&w, "error", attempt->error);
	jwrite_key(&w, "answer");
	mask_json(&w, answer);
	jwrite_object_end(&w);
	buf_put(&json, out.data + 1, out.len - 2);
	(void)calls_add(delivery->sender->sim->calls, &json);
	buf_free(&out);
}

static void
tell(const struct delivery *delivery, const struct sender_attempt *attempt)
{
	const struct log_field fields[] = {
	    LOG_INT("delivery", attempt->delivery),
	    LOG_STR("resource", delivery->resource),
	    LOG_STR("url", delivery->url),
	    LOG_INT("attempt", attempt->n),
	    LOG_INT("status", attempt->status),
	    LOG_STR("outcome", attempt->outcome),
	    LOG_OPT("error", attempt->error),
	};

	log_write(
	    strcmp(attempt->outcome, "delivered") == 0 ? LOG_INFO : LOG_WARN,
	    "delivery", fields, NELEMS(fields));
}

/* An attempt has ended: tell everybody, and wait for the next or be gone. */
static void
end(struct delivery *delivery, struct sender_attempt *attempt,
    struct str answer)
{
	sender_cb *done = delivery->done;

	attempt->delivery = delivery->number;
	attempt->n = delivery->attempts;
	record(delivery, attempt, answer);
	tell(delivery, attempt);
	delivery->done = NULL;
	if (done != NULL)
		done(delivery->cookie, attempt);
	if (strcmp(attempt->outcome, "retrying") == 0)
		loop_timer_set(delivery->timer,
		    SENDER_RETRY_MS / delivery->sender->sim->options.scale);
	else
		delivery_free(delivery);
}

/* What Sentry repeats, if the integration is published: what got no answer in
 * time for one piece of it, and what the server failed at.  Neither what took
 * too long as a whole, nor 503 and 504, which it tells apart. */
static int
is_repeated(const struct fetch_result *result)
{
	if (result->err.code != ERR_NONE)
		return result->err.code != ERR_TIMEOUT ||
		       result->duration_ms < SENDER_HARD_MS;
	return result->status >= 500 && result->status != 503 &&
	       result->status != 504;
}

static void
ended(void *cookie, struct fetch_result *result)
{
	struct delivery *delivery = cookie;
	struct sender *sender = delivery->sender;
	int hung = result->err.code == ERR_TIMEOUT &&
		   result->duration_ms >= SENDER_HARD_MS;
	struct sender_attempt attempt = {.status = result->status};

	if (breaker_count(&sender->breaker, hung, clock_mono_ms()))
		log_warn("circuit open: half of the deliveries hung",
		    LOG_INT("for_ms", BREAKER_OPEN_MS / sender->breaker.scale));
	if (result->err.code != ERR_NONE)
		attempt.error = result->err.msg;
	if (result->err.code == ERR_NONE && result->status < 400)
		attempt.outcome = "delivered";
	else if (delivery->published && is_repeated(result) &&
		 delivery->attempts <= SENDER_RETRIES)
		attempt.outcome = "retrying";
	else
		attempt.outcome = "failed";
	end(delivery, &attempt,
	    (struct str){buf_text(&result->body), result->body.len});
}

/* ---- an attempt -----------------------------------------------------------
 */

static void
make_headers(struct delivery *delivery)
{
	char signature[SIGNATURE_HEX + 1], request_id[33];
	char **header = delivery->headers;

	clear_headers(delivery);
	random_hex(request_id, 16);
	signature_sign(delivery->sender->sim->key, buf_text(&delivery->body),
	    delivery->body.len, signature);
	*header++ = mem_strdup("Accept: */*");
	*header++ = mem_strdup("Content-Type: application/json");
	*header++ = mem_printf("Request-ID: %s", request_id);
	*header++ = mem_printf("Sentry-Hook-Resource: %s", delivery->resource);
	*header++ = mem_printf("Sentry-Hook-Timestamp: %llu",
	    (unsigned long long)(clock_unix_ms() / 1000));
	*header++ = mem_printf("Sentry-Hook-Signature: %s", signature);
	*header++ =
	    mem_printf("Idempotency-Key: %s", delivery->idempotency_key);
	*header++ = mem_strdup("User-Agent: sentry/moonpost-" MOONPOST_VERSION
			       " (https://sentry.io)");
}

/* Begin the next attempt of a delivery. */
static void
start(void *cookie)
{
	struct delivery *delivery = cookie;
	struct sender *sender = delivery->sender;
	struct fetch_request request = {.method = "POST"};
	struct sender_attempt attempt = {0};
	struct err err = ERR_INIT;
	struct fetch_call *call;

	delivery->attempts++;
	make_headers(delivery);
	if (!breaker_is_closed(&sender->breaker, clock_mono_ms())) {
		attempt.outcome = "dropped";
		end(delivery, &attempt, (struct str){"", 0});
		return;
	}
	request.url = delivery->url;
	request.headers = (const char *const *)delivery->headers;
	request.nheaders = HEADERS;
	request.body =
	    (struct str){buf_text(&delivery->body), delivery->body.len};
	request.timeout_ms = SENDER_HARD_MS;
	request.stall_ms = SENDER_SOFT_MS;
	request.max_bytes = MAX_ANSWER;
	request.done = ended;
	request.cookie = delivery;
	if (fetch_start(sender->sim->fetch, &request, &call, &err) == -1) {
		attempt.outcome = "failed";
		attempt.error = err.msg;
		end(delivery, &attempt, (struct str){"", 0});
	}
}

uint64_t
sender_send(struct sender *sender, const char *url, const char *resource,
    int published, struct buf *body, sender_cb *done, void *cookie)
{
	struct delivery *delivery = mem_zalloc(sizeof(*delivery));

	TAILQ_INSERT_TAIL(&sender->deliveries, delivery, entry);
	delivery->sender = sender;
	delivery->number = ++sender->last;
	delivery->url = mem_strdup(url);
	delivery->resource = mem_strdup(resource);
	delivery->published = published;
	delivery->body = *body;
	*body = (struct buf)BUF_INIT;
	random_hex(delivery->idempotency_key, 16);
	delivery->done = done;
	delivery->cookie = cookie;
	delivery->timer =
	    loop_timer_create(sender->sim->options.loop, start, delivery);
	loop_timer_now(delivery->timer);
	return delivery->number;
}
