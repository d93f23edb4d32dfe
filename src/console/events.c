#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "net/httpd.h"
#include "net/loop.h"

#include "console/events.h"

/* Events that are kept, and their bytes. */
#define KEPT 2048
#define KEPT_BYTES (4U << 20)

/* Who may follow at a time. */
#define FOLLOWERS 64

/* Bytes that a follower may be behind. */
#define BACKLOG_BYTES (8U << 20)

/* Something is said that often, so that a dead connection is noticed. */
#define PING_MS 15000

/* Whoever followed may come back within that. */
#define GRACE_MS 600000

/* A client waits that long before it comes back. */
#define RETRY "retry: 1000\n\n"

#define RESET "event: reset\ndata: {}\n\n"

struct event_kept {
	uint64_t id;
	char *text; /* As it is sent. */
	size_t len;
};

struct follower {
	struct follower *next;
	struct events *events;
	struct httpd_request *req;
};

struct events {
	struct loop_timer *ping;
	struct event_kept ring[KEPT];
	size_t first, n;
	size_t bytes;
	uint64_t next_id;
	struct follower *followers;
	unsigned int nfollowers;
	atomic_int wanted;
	uint64_t grace_mono_ms; /* Its end, while nobody follows. */
};

static void
drop_oldest(struct events *e)
{
	struct event_kept *old = &e->ring[e->first];

	e->bytes -= old->len;
	free(old->text);
	*old = (struct event_kept){0, NULL, 0};
	e->first = (e->first + 1) % KEPT;
	e->n--;
}

static void
unlink_follower(struct follower *f)
{
	struct follower **at = &f->events->followers;

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	f->events->nfollowers--;
	free(f);
}

/* The client has hung up. */
static void
gone_cb(struct httpd_request *req, void *cookie)
{
	(void)req;
	unlink_follower(cookie);
}

/* Send; who is too far behind is cut off.  Returns 0 if that happened. */
static int
send_to(struct follower *f, struct str text)
{
	struct httpd_request *req = f->req;

	if (httpd_stream_put(req, text) <= BACKLOG_BYTES)
		return 1;
	unlink_follower(f);
	httpd_stream_end(req);
	return 0;
}

static void
send_to_all(struct events *e, struct str text)
{
	struct follower *f, *next;

	for (f = e->followers; f != NULL; f = next) {
		next = f->next;
		(void)send_to(f, text);
	}
}

/* Nobody has been here for long.  Who was, has missed something from now on. */
static void
forget(struct events *e)
{
	atomic_store(&e->wanted, 0);
	while (e->n > 0)
		drop_oldest(e);
	e->next_id++;
}

static void
ping_cb(void *cookie)
{
	struct events *e = cookie;

	if (e->followers != NULL) {
		e->grace_mono_ms = clock_mono_ms() + GRACE_MS;
		send_to_all(e, STR(": still here\n\n"));
	} else if (clock_mono_ms() >= e->grace_mono_ms) {
		forget(e);
		return;
	}
	loop_timer_set(e->ping, PING_MS);
}

int
events_are_wanted(const struct events *e)
{
	return atomic_load_explicit(&e->wanted, memory_order_relaxed);
}

struct events *
events_create(struct loop *loop)
{
	struct events *e = mem_zalloc(sizeof(*e));

	/* Ids of an earlier host are smaller, and none is given twice. */
	e->next_id = clock_unix_ms() * 1000;
	e->ping = loop_timer_create(loop, ping_cb, e);
	return e;
}

void
events_free(struct events *e)
{
	struct httpd_request *req;

	if (e == NULL)
		return;
	while (e->followers != NULL) {
		req = e->followers->req;
		unlink_follower(e->followers);
		httpd_stream_end(req);
	}
	while (e->n > 0)
		drop_oldest(e);
	loop_timer_free(e->ping);
	free(e);
}

void
events_put(struct events *e, const char *name, struct str data)
{
	struct buf text = BUF_INIT;
	struct event_kept *kept;

	if (!events_are_wanted(e))
		return;
	buf_printf(&text,
	    "id: %llu\nevent: %s\ndata: ", (unsigned long long)e->next_id,
	    name);
	buf_put(&text, data.data, data.len);
	buf_puts(&text, "\n\n");
	while (e->n == KEPT || (e->n > 0 && e->bytes + text.len > KEPT_BYTES))
		drop_oldest(e);
	kept = &e->ring[(e->first + e->n) % KEPT];
	kept->id = e->next_id++;
	kept->len = text.len;
	kept->text = buf_take(&text);
	e->n++;
	e->bytes += kept->len;
	send_to_all(e, (struct str){kept->text, kept->len});
}

/* What came after ${last}. */
static void
send_missed(struct follower *f, uint64_t last)
{
	const struct events *e = f->events;
	uint64_t oldest = e->next_id - e->n;
	struct buf text = BUF_INIT;
	size_t i;

	if (last >= e->next_id || last + 1 < oldest)
		buf_puts(&text, RESET);
	for (i = 0; i < e->n; i++) {
		const struct event_kept *kept = &e->ring[(e->first + i) % KEPT];

		if (kept->id > last || last >= e->next_id)
			buf_put(&text, kept->text, kept->len);
	}
	if (text.len > 0)
		(void)send_to(f, (struct str){text.data, text.len});
	buf_free(&text);
}

void
events_follow(struct events *e, struct httpd_request *req)
{
	static const struct httpd_header headers[] = {
	    {"Content-Type", "text/event-stream"},
	    {"Cache-Control", "no-store"},
	    {"X-Accel-Buffering", "no"},
	    {"X-Content-Type-Options", "nosniff"},
	};
	const char *since = httpd_header(req, "Last-Event-ID");
	struct follower *f;
	uint64_t last = 0;

	if (e->nfollowers >= FOLLOWERS) {
		httpd_reply_error(req, 503, "overloaded",
		    "too many follow the events already");
		return;
	}
	if (since != NULL && since[0] != '\0' &&
	    str_parse_u64(str_of(since), UINT64_MAX - 1, &last) == -1) {
		httpd_reply_error(
		    req, 400, "bad_request", "Last-Event-ID is none of ours");
		return;
	}
	f = mem_zalloc(sizeof(*f));
	f->events = e;
	f->req = req;
	f->next = e->followers;
	e->followers = f;
	e->nfollowers++;
	if (!atomic_exchange(&e->wanted, 1))
		loop_timer_set(e->ping, PING_MS);
	e->grace_mono_ms = clock_mono_ms() + GRACE_MS;
	httpd_stream_begin(req, headers, NELEMS(headers), gone_cb, f);
	if (send_to(f, STR(RETRY)) && since != NULL && since[0] != '\0')
		send_missed(f, last);
}
