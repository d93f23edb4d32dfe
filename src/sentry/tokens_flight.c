/*
 * Getting a token.  A flight is what is done for all who wait for one
 * installation: lease the record, look what is needed, spend, send, keep, and
 * so on until everybody has what they want; then let the lease go.
 */

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/random.h"
#include "crypto/seal.h"
#include "crypto/secret.h"

#include "sentry/tokens_internal.h"

/* Longer than all requests of a flight together can take. */
#define LEASE_MS 60000

/* Between looks at a lease that another host has, and how long altogether. */
#define POLL_MS 100
#define PATIENCE_MS 45000

/* After a failure: 1 s, doubled each time. */
#define BACK_OFF_FIRST_MS 1000
#define BACK_OFF_MAX_MS 60000

/* A new token that the store does not take is tried to be kept so often. */
#define SAVE_TRIES 20
#define SAVE_AGAIN_MS 500

static void lease(struct tokens_entry *e);
static void decide(struct tokens_entry *e);

/* Whether the flight ends here, as if the host had been killed. */
static int
is_killed(const char *point)
{
	return UNLIKELY(tokens_fault_hook != NULL) && tokens_fault_hook(point);
}

/* ---- who waits -------------------------------------------------------------
 */

/* The code that somebody brought and that was not sent yet; the last one. */
static const char *
find_code(const struct tokens_entry *e)
{
	const struct tokens_waiter *w;
	const char *code = NULL;
	char *hash;

	for (w = e->waiters; w != NULL; w = w->next) {
		if (w->code == NULL)
			continue;
		hash = tokens_code_hash(w->code);
		if (e->record.code_spent == NULL ||
		    strcmp(e->record.code_spent, hash) != 0)
			code = w->code;
		free(hash);
	}
	return code;
}

static int
wants(const struct tokens_entry *e, enum tokens_what what)
{
	const struct tokens_waiter *w;

	for (w = e->waiters; w != NULL; w = w->next)
		if (w->what == what)
			return 1;
	return 0;
}

/* ---- its end ----------------------------------------------------------------
 */

static void
on_released(struct store_op *op)
{
	struct tokens_entry *e = op->cookie;

	e->in_store = 0;
	free(e->op.ret_sealed);
	e->op.ret_sealed = NULL;
	e->flying = 0;
	e->obtained = 0;
	/* Who came meanwhile may want something else. */
	if (e->waiters != NULL)
		tokens_fly(e);
}

/* Hand the operation in.  Returns -1 if that is the end of the flight. */
static int
submit(struct tokens_entry *e, enum store_record_kind what, store_done_cb *done)
{
	struct tokens *t = e->t;
	struct err err = ERR_INIT;

	e->op.op = (struct store_op){.kind = STORE_OP_RECORD,
	    .reply_to = t->options.mailbox,
	    .done = done,
	    .cookie = e};
	e->op.what = what;
	e->op.integration = e->integration;
	e->op.kind = "token";
	e->op.key = str_of(e->uuid);
	e->op.owner = t->options.owner;
	e->op.lease_ms = LEASE_MS;
	if (!t->stopped &&
	    store_submit(t->options.store, &e->op.op, &err) == 0) {
		e->in_store = 1;
		return 0;
	}
	return -1;
}

static void
forget_spending(struct tokens_entry *e)
{
	if (e->spending != NULL)
		secret_wipe(e->spending, strlen(e->spending));
	free(e->spending);
	e->spending = NULL;
}

/* When there is no better one: a token that nobody has seen refused. */
static int
is_good_enough(const struct tokens_entry *e, const struct tokens_waiter *w)
{
	return tokens_is_satisfied(e, w) ||
	       (w->what == TOKENS_TOKEN && tokens_is_alive(e) &&
		   w->rejected != e->record.serial);
}

/* Answer those who have what they want, or all if there is trouble, and let the
 * lease go.  */
static void
end(struct tokens_entry *e, const struct err *err)
{
	struct tokens_waiter *w, *next, *answered = NULL, **last = &answered,
					**at = &e->waiters;

	forget_spending(e);
	while ((w = *at) != NULL) {
		if (err == NULL && !tokens_is_satisfied(e, w)) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		w->next = NULL;
		*last = w;
		last = &w->next;
	}
	if (submit(e, STORE_RECORD_RELEASE, on_released) == -1)
		e->flying = e->obtained = 0;
	for (w = answered; w != NULL; w = next) {
		next = w->next;
		tokens_answer(
		    e, w, err != NULL && !is_good_enough(e, w) ? err : NULL);
	}
}

void
tokens_land(struct tokens_entry *e)
{
	struct err err = ERR_INIT;

	if (e->in_store)
		return; /* Its callback comes here again. */
	e->at_sentry = 0;
	if (e->timer != NULL)
		(void)event_del(e->timer);
	(void)err_set(&err, ERR_UNAVAILABLE, "the host is stopping");
	end(e, &err);
}

/* The store refuses. */
static void
give_up(struct tokens_entry *e, const struct err *err)
{
	tokens_notice(e, TOKENS_FAILED, err);
	end(e, err);
}

/* Sentry refuses; not again for a while. */
static void
fail(struct tokens_entry *e, const struct err *err)
{
	uint64_t pause_ms = BACK_OFF_FIRST_MS;
	unsigned int i;

	for (i = 0; i < e->failures && pause_ms < BACK_OFF_MAX_MS; i++)
		pause_ms *= 2;
	if (pause_ms > BACK_OFF_MAX_MS)
		pause_ms = BACK_OFF_MAX_MS;
	if (e->retry_after_ms > pause_ms)
		pause_ms = e->retry_after_ms;
	e->failures++;
	e->failed_until_unix_ms = tokens_now(e->t) + pause_ms;
	e->trouble = *err;
	tokens_notice(e, TOKENS_FAILED, err);
	/* Whoever came meanwhile may know better. */
	if (wants(e, TOKENS_FORGET) ||
	    (e->record.grant.token == NULL && find_code(e) != NULL))
		decide(e);
	else
		end(e, err);
}

/* ---- the record
 * --------------------------------------------------------------- */

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct tokens_entry *e = arg;

	(void)fd;
	(void)what;
	e->timed(e);
}

static void
later(struct tokens_entry *e, uint64_t ms, void (*timed)(struct tokens_entry *))
{
	const struct timeval tv = {
	    (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};

	e->timed = timed;
	if (e->timer == NULL)
		e->timer = evtimer_new(e->t->options.base, on_timer, e);
	if (e->timer == NULL || evtimer_add(e->timer, &tv) == -1)
		abort();
}

/* Take over what the store has.  What cannot be opened is as good as none: the
 * JWT grant needs nothing of it. */
static void
load(struct tokens_entry *e)
{
	struct str sealed = {e->op.ret_sealed, e->op.ret_sealedlen};
	struct buf plain = BUF_INIT;

	e->unreadable = (struct err)ERR_INIT;
	if (e->op.ret_version == e->version && e->version > 0)
		return;
	tokens_record_clear(&e->record);
	e->version = e->op.ret_version;
	e->old_key = 0;
	if (sealed.data == NULL)
		return;
	if (seal_get(e->t->options.seal, str_of(e->what), sealed, &plain,
		&e->unreadable) == 0) {
		if (tokens_record_read(
			(struct str){plain.data, plain.len}, &e->record) == -1)
			(void)err_set(&e->unreadable, ERR_INVALID,
			    "what was kept is damaged");
		e->old_key = !seal_is_current(e->t->options.seal, sealed);
	}
	if (plain.data != NULL)
		secret_wipe(plain.data, plain.len);
	buf_free(&plain);
	tokens_hide(e);
}

static void
on_leased(struct store_op *op)
{
	struct tokens_entry *e = op->cookie;
	struct err err = ERR_INIT;

	e->in_store = 0;
	if (e->t->stopped) {
		free(e->op.ret_sealed);
		e->op.ret_sealed = NULL;
		tokens_land(e);
		return;
	}
	if (op->rc == 0)
		load(e);
	free(e->op.ret_sealed);
	e->op.ret_sealed = NULL;
	if (op->rc == -1) {
		give_up(e, &op->err);
	} else if (e->op.ret_done) {
		if (!is_killed("leased"))
			decide(e);
	} else if (clock_mono_ms() - e->begun_mono_ms < PATIENCE_MS) {
		later(e, POLL_MS, lease);
	} else {
		(void)err_set(&err, ERR_UNAVAILABLE,
		    "another moonpost has been at the token of installation "
		    "%s for too long",
		    e->uuid);
		give_up(e, &err);
	}
}

static void
lease(struct tokens_entry *e)
{
	if (submit(e, STORE_RECORD_LEASE, on_leased) == -1)
		tokens_land(e);
}

void
tokens_fly(struct tokens_entry *e)
{
	e->flying = 1;
	e->obtained = 0;
	e->begun_mono_ms = clock_mono_ms();
	e->why = (struct err)ERR_INIT;
	e->retry_after_ms = 0;
	lease(e);
}

static void save_again(struct tokens_entry *e);

static void
on_saved(struct store_op *op)
{
	struct tokens_entry *e = op->cookie;
	struct err err = ERR_INIT;
	int found = e->op.ret_found;

	e->in_store = 0;
	free(e->op.ret_sealed);
	e->op.ret_sealed = NULL;
	if (e->t->stopped) {
		tokens_land(e);
	} else if (op->rc == -1 && op->err.code == ERR_UNAVAILABLE &&
		   ++e->tries < SAVE_TRIES) {
		later(e, SAVE_AGAIN_MS, save_again);
	} else if (op->rc == -1) {
		/* What is in memory is not what is kept: look again. */
		e->version = 0;
		give_up(e, &op->err);
	} else if (!e->op.ret_done && !found) {
		e->version = 0;
		tokens_record_clear(&e->record);
		(void)err_set(&err, ERR_NOT_FOUND,
		    "installation %s was uninstalled meanwhile", e->uuid);
		give_up(e, &err);
	} else if (!e->op.ret_done) {
		/* Another host was faster: what it has is newer. */
		forget_spending(e);
		e->version = 0;
		lease(e);
	} else {
		e->version = e->op.ret_version;
		e->old_key = 0;
		e->saved(e);
	}
}

static void
save_again(struct tokens_entry *e)
{
	e->op.version = e->version;
	e->op.sealed = (struct str){e->sealed.data, e->sealed.len};
	e->op.expires_unix_ms = 0;
	e->op.max = 0;
	if (submit(e, STORE_RECORD_PUT, on_saved) == -1)
		tokens_land(e);
}

/* Make what is known durable, then go on with ${saved}. */
static void
save(struct tokens_entry *e, void (*saved)(struct tokens_entry *))
{
	struct buf plain = BUF_INIT;

	e->saved = saved;
	e->tries = 0;
	buf_reset(&e->sealed);
	tokens_record_put(&e->record, &plain);
	seal_put(e->t->options.seal, str_of(e->what),
	    (struct str){plain.data, plain.len}, &e->sealed);
	secret_wipe(plain.data, plain.len);
	buf_free(&plain);
	save_again(e);
}

/* ---- what Sentry is asked --------------------------------------------------
 */

static void
post(struct tokens_entry *e, struct reach_request *request, int authorize,
    reach_done_cb *done)
{
	const struct tokens_options *o = &e->t->options;
	const struct tokens_integration *in =
	    tokens_integration(e->t, e->integration);
	struct buf url = BUF_INIT;

	grant_put_url(&url, in->sentry_url, e->uuid, authorize);
	request->url = buf_text(&url);
	request->content_type = "application/json";
	e->at_sentry = 1;
	o->send(o->reach, request, done, e);
	buf_free(&url);
}

/* The answer's trouble; 0 if it is a success. */
static int
is_trouble(struct tokens_entry *e, const struct reach_answer *answer,
    const char *what, struct err *ret_err)
{
	if (answer->retry_after_ms > 0)
		e->retry_after_ms = answer->retry_after_ms;
	if (answer->status == 0) {
		*ret_err = answer->err;
		(void)err_prefix(ret_err, "%s", what);
		return 1;
	}
	if (answer->status >= 200 && answer->status < 300)
		return 0;
	(void)grant_refusal(what, answer->status, answer->body, ret_err);
	return 1;
}

/* A new token is kept: it may be used. */
static void
has_kept(struct tokens_entry *e)
{
	e->obtained = 1;
	e->failures = 0;
	e->failed_until_unix_ms = 0;
	if (!is_killed("kept"))
		decide(e);
}

/* Take over a new token.  Returns -1 if there is none in the answer. */
static int
take(struct tokens_entry *e, const struct reach_answer *answer,
    enum tokens_notice notice, struct err *err)
{
	struct grant grant;

	if (grant_read(answer->body, tokens_now(e->t), &grant, err) == -1)
		return -1;
	grant_clear(&e->record.grant);
	e->record.grant = grant;
	e->record.issued_unix_ms = tokens_now(e->t);
	e->record.serial = e->record.issued_unix_ms > e->record.serial
			       ? e->record.issued_unix_ms
			       : e->record.serial + 1;
	tokens_hide(e);
	if (is_killed("answered"))
		return 0;
	tokens_notice(e, notice, e->why.code == ERR_NONE ? NULL : &e->why);
	save(e, has_kept);
	return 0;
}

static void
on_jwt(void *cookie, const struct reach_answer *answer)
{
	struct tokens_entry *e = cookie;
	struct err err = ERR_INIT;

	e->at_sentry = 0;
	if (e->t->stopped)
		return;
	if (!is_trouble(e, answer, "JWT grant", &err) &&
	    take(e, answer,
		e->why.code == ERR_NONE ? TOKENS_REFRESHED : TOKENS_RECOVERED,
		&err) == 0)
		return;
	if (e->why.code != ERR_NONE)
		(void)err_prefix(&err, "%.150s; then", e->why.msg);
	(void)err_prefix(&err, "no token for installation %s", e->uuid);
	fail(e, &err);
}

/* Nothing is spent by this, so that it can be done at any time. */
static void
send_jwt(struct tokens_entry *e)
{
	const struct tokens_integration *in =
	    tokens_integration(e->t, e->integration);
	struct reach_request request = {.method = "POST"};
	struct buf body = BUF_INIT, jwt = BUF_INIT;
	char jti[RANDOM_UUID_SIZE];

	if (is_killed("before the JWT grant"))
		return;
	grant_put_jwt_body(&body);
	grant_put_jwt(&jwt, in->client_id, in->client_secret, tokens_now(e->t),
	    random_uuid4(jti));
	request.bearer = buf_text(&jwt);
	request.body = (struct str){body.data, body.len};
	post(e, &request, 1, on_jwt);
	secret_wipe(jwt.data, jwt.len);
	buf_free(&jwt);
	buf_free(&body);
}

static void
on_spent_answer(struct tokens_entry *e, const struct reach_answer *answer,
    const char *what, enum tokens_notice notice)
{
	struct err err = ERR_INIT;

	e->at_sentry = 0;
	forget_spending(e);
	if (e->t->stopped)
		return;
	if (!is_trouble(e, answer, what, &err) &&
	    take(e, answer, notice, &err) == 0)
		return;
	/* It is spent, whatever became of it. */
	e->why = err;
	if (is_killed("refused"))
		return;
	send_jwt(e);
}

static void
on_refreshed(void *cookie, const struct reach_answer *answer)
{
	on_spent_answer(cookie, answer, "refresh", TOKENS_REFRESHED);
}

static void
on_exchanged(void *cookie, const struct reach_answer *answer)
{
	on_spent_answer(cookie, answer, "code exchange", TOKENS_EXCHANGED);
}

/* What is to be sent is noted as spent. */
static void
send_spent(struct tokens_entry *e, int is_code)
{
	const struct tokens_integration *in =
	    tokens_integration(e->t, e->integration);
	struct reach_request request = {.method = "POST"};
	struct buf body = BUF_INIT;

	if (is_killed("spent"))
		return;
	if (is_code)
		grant_put_code(
		    &body, e->spending, in->client_id, in->client_secret);
	else
		grant_put_refresh(
		    &body, e->spending, in->client_id, in->client_secret);
	request.body = (struct str){body.data, body.len};
	post(e, &request, 1, is_code ? on_exchanged : on_refreshed);
	secret_wipe(body.data, body.len);
	buf_free(&body);
}

static void
send_code(struct tokens_entry *e)
{
	send_spent(e, 1);
}

static void
send_refresh(struct tokens_entry *e)
{
	send_spent(e, 0);
}

static void
has_verified(struct tokens_entry *e)
{
	tokens_notice(e, TOKENS_VERIFIED, NULL);
	if (!is_killed("verified"))
		decide(e);
}

static void
on_verified(void *cookie, const struct reach_answer *answer)
{
	struct tokens_entry *e = cookie;
	struct grant_installation about;
	struct err err = ERR_INIT;

	e->at_sentry = 0;
	if (e->t->stopped)
		return;
	if (is_trouble(e, answer, "verifying the installation", &err) ||
	    grant_read_installation(answer->body, &about, &err) == -1) {
		/* The token has only just been issued: it is not that. */
		if (err.code == ERR_UNAUTH)
			err.code = ERR_UNAVAILABLE;
		fail(e, &err);
		return;
	}
	if (about.org_slug == NULL)
		about.org_slug = mem_strdup(e->org_hint);
	grant_installation_clear(&e->record.about);
	e->record.about = about;
	e->record.verified = 1;
	save(e, has_verified);
}

static void
verify(struct tokens_entry *e)
{
	struct reach_request request = {.method = "PUT",
	    .bearer = e->record.grant.token,
	    .body = STR("{\"status\":\"installed\"}")};

	if (is_killed("before it is verified"))
		return;
	post(e, &request, 0, on_verified);
}

/* ---- what is to be done -----------------------------------------------------
 */

static void
on_forgotten(struct store_op *op)
{
	struct tokens_entry *e = op->cookie;
	struct tokens_waiter *w, *next, *all = e->waiters;
	struct err gone = ERR_INIT, err = op->err;
	int failed = op->rc == -1;

	e->in_store = 0;
	free(e->op.ret_sealed);
	e->op.ret_sealed = NULL;
	e->flying = 0;
	e->waiters = NULL;
	if (!failed) {
		e->version = 0;
		tokens_record_clear(&e->record);
		tokens_notice(e, TOKENS_FORGOTTEN, NULL);
	}
	(void)err_set(
	    &gone, ERR_NOT_FOUND, "installation %s was uninstalled", e->uuid);
	for (w = all; w != NULL; w = next) {
		next = w->next;
		tokens_answer(e, w,
		    failed                     ? &err
		    : w->what == TOKENS_FORGET ? NULL
					       : &gone);
	}
}

/* Whether a token that somebody has seen refused is the one that is known. */
static int
is_rejected(const struct tokens_entry *e)
{
	const struct tokens_waiter *w;

	for (w = e->waiters; w != NULL; w = w->next)
		if (w->what == TOKENS_TOKEN && w->rejected != 0 &&
		    w->rejected == e->record.serial &&
		    !tokens_is_satisfied(e, w))
			return 1;
	return 0;
}

/* There is no token that is good enough: get one. */
static void
obtain(struct tokens_entry *e)
{
	const char *code = find_code(e);
	struct err err = ERR_INIT;

	if (!tokens_can_exchange(e->t, e->integration)) {
		(void)err_set(&err, ERR_INVALID,
		    "there is no token for installation %s: set "
		    "SENTRY_CLIENT_ID and SENTRY_CLIENT_SECRET (client_id and "
		    "client_secret of the integration in moonpost.lua), or "
		    "the secret SENTRY_TOKEN for an internal integration",
		    e->uuid);
		end(e, &err);
		return;
	}
	if (tokens_now(e->t) < e->failed_until_unix_ms &&
	    (code == NULL || e->record.grant.token != NULL)) {
		end(e, &e->trouble);
		return;
	}
	if (e->unreadable.code != ERR_NONE)
		e->why = e->unreadable;
	if (e->record.grant.token == NULL && code != NULL) {
		forget_spending(e);
		e->spending = mem_strdup(code);
		free(e->record.code_spent);
		e->record.code_spent = tokens_code_hash(code);
		save(e, send_code);
	} else if (e->record.grant.refresh != NULL && !e->t->options.jwt_only) {
		forget_spending(e);
		e->spending = e->record.grant.refresh;
		e->record.grant.refresh = NULL;
		save(e, send_refresh);
	} else {
		if (e->record.code_spent != NULL &&
		    e->record.grant.token == NULL && e->why.code == ERR_NONE)
			(void)err_set(&e->why, ERR_UNAVAILABLE,
			    "nobody knows what became of the code");
		send_jwt(e);
	}
}

static void
decide(struct tokens_entry *e)
{
	if (wants(e, TOKENS_FORGET)) {
		if (submit(e, STORE_RECORD_TAKE, on_forgotten) == -1)
			tokens_land(e);
	} else if (!tokens_is_fresh(e) || is_rejected(e)) {
		obtain(e);
	} else if (wants(e, TOKENS_INSTALL) && !e->record.verified) {
		if (tokens_now(e->t) < e->failed_until_unix_ms)
			end(e, &e->trouble);
		else
			verify(e);
	} else if (e->old_key) {
		save(e, decide);
	} else {
		end(e, NULL);
	}
}
