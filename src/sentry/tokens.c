#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/secret.h"

#include "sentry/tokens_internal.h"

/* A token is replaced so long before its end, or a tenth of its life. */
#define AHEAD_MS 300000

/* A token that is younger was not revoked: Sentry refuses new ones now and
 * then. */
#define YOUNG_MS 10000

/* Installations that are remembered, at most, where that is a choice. */
#define ENTRIES_MAX 4096

int (*tokens_fault_hook)(const char *point);

uint64_t
tokens_now(const struct tokens *t)
{
	return t->options.now_unix_ms == NULL ? clock_unix_ms()
					      : t->options.now_unix_ms();
}

const struct tokens_integration *
tokens_integration(const struct tokens *t, const char *name)
{
	size_t i;

	for (i = 0; i < t->nintegrations; i++)
		if (strcmp(t->integrations[i].name, name) == 0)
			return &t->integrations[i];
	return NULL;
}

int
tokens_can_exchange(const struct tokens *t, const char *integration)
{
	const struct tokens_integration *in =
	    tokens_integration(t, integration);

	return in != NULL && in->client_id != NULL && in->client_secret != NULL;
}

void
tokens_notice(
    struct tokens_entry *e, enum tokens_notice what, const struct err *err)
{
	const struct tokens_options *o = &e->t->options;

	if (o->notice != NULL)
		o->notice(o->cookie, what, e->integration, e->uuid, err);
}

/* ---- what is known --------------------------------------------------------
 */

static void
wipe(char *s)
{
	if (s != NULL)
		secret_wipe(s, strlen(s));
	free(s);
}

static void
hide(struct tokens_entry *e, char **hidden, const char *now)
{
	const struct tokens_options *o = &e->t->options;

	if (now != NULL && *hidden != NULL && strcmp(*hidden, now) == 0)
		return;
	if (*hidden != NULL && o->secret != NULL)
		o->secret(o->cookie, *hidden, 0);
	wipe(*hidden);
	*hidden = mem_strdup(now);
	if (now != NULL && o->secret != NULL)
		o->secret(o->cookie, now, 1);
}

void
tokens_hide(struct tokens_entry *e)
{
	const struct tokens_waiter *w;

	if (e->record.grant.token != NULL)
		hide(e, &e->hidden, e->record.grant.token);
	for (w = e->waiters; w != NULL; w = w->next)
		if (w->code != NULL)
			hide(e, &e->hidden_code, w->code);
}

int
tokens_is_alive(const struct tokens_entry *e)
{
	const struct grant *g = &e->record.grant;

	return e->version > 0 && g->token != NULL &&
	       (g->expires_unix_ms == 0 ||
		   g->expires_unix_ms > tokens_now(e->t));
}

int
tokens_is_fresh(const struct tokens_entry *e)
{
	const struct grant *g = &e->record.grant;
	uint64_t ahead_ms = AHEAD_MS, life_ms;

	if (e->obtained && g->token != NULL)
		return 1;
	if (!tokens_is_alive(e))
		return 0;
	if (g->expires_unix_ms == 0)
		return 1;
	if (g->expires_unix_ms > e->record.issued_unix_ms) {
		life_ms = g->expires_unix_ms - e->record.issued_unix_ms;
		if (life_ms / 10 < ahead_ms)
			ahead_ms = life_ms / 10;
	}
	return tokens_now(e->t) + ahead_ms < g->expires_unix_ms;
}

/* It was refused, and has only just been issued. */
static int
is_refused_young(const struct tokens_entry *e, const struct tokens_waiter *w)
{
	return w->rejected != 0 && w->rejected == e->record.serial &&
	       tokens_now(e->t) < e->record.issued_unix_ms + YOUNG_MS;
}

int
tokens_is_satisfied(const struct tokens_entry *e, const struct tokens_waiter *w)
{
	switch (w->what) {
	case TOKENS_TOKEN:
		return tokens_is_fresh(e) && (w->rejected != e->record.serial ||
						 is_refused_young(e, w));
	case TOKENS_INSTALL:
		return tokens_is_fresh(e) && e->record.verified;
	case TOKENS_FORGET:
		break;
	}
	return 0;
}

void
tokens_answer(
    struct tokens_entry *e, struct tokens_waiter *w, const struct err *err)
{
	struct tokens_installation in = {
	    .uuid = e->uuid,
	    .token = e->record.grant.token,
	    .serial = e->record.serial,
	    .expires_unix_ms = e->record.grant.expires_unix_ms,
	    .org_slug = e->record.about.org_slug != NULL
			    ? e->record.about.org_slug
			    : e->org_hint,
	    .app_slug = e->record.about.app_slug,
	    .app_uuid = e->record.about.app_uuid,
	    .verified = e->record.verified,
	};
	struct err young = ERR_INIT;

	if (err == NULL && is_refused_young(e, w)) {
		(void)err_set(&young, ERR_UNAUTH,
		    "Sentry refuses a token of installation %s that it has "
		    "only just issued",
		    e->uuid);
		err = &young;
	}
	w->done(w->cookie, err != NULL || w->what == TOKENS_FORGET ? NULL : &in,
	    err);
	wipe(w->code);
	free(w);
}

/* ---- installations ---------------------------------------------------------
 */

static void
entry_free(struct tokens_entry *e)
{
	hide(e, &e->hidden, NULL);
	hide(e, &e->hidden_code, NULL);
	tokens_record_clear(&e->record);
	if (e->timer != NULL)
		event_free(e->timer);
	wipe(e->spending);
	buf_free(&e->sealed);
	free(e->org_hint);
	free(e->what);
	free(e->integration);
	free(e);
}

static struct tokens_entry **
bucket_of(struct tokens *t, const char *what)
{
	return &t->buckets[str_hash(str_of(what)) % TOKENS_BUCKETS];
}

/* Somebody asks for what is not there, again and again: forget what costs
 * nothing to look up once more. */
static void
trim(struct tokens *t)
{
	struct tokens_entry **at, *e;
	size_t i;

	for (i = 0; i < TOKENS_BUCKETS && t->nentries >= ENTRIES_MAX; i++) {
		for (at = &t->buckets[i]; (e = *at) != NULL;) {
			if (e->flying) {
				at = &e->next;
				continue;
			}
			*at = e->next;
			entry_free(e);
			t->nentries--;
		}
	}
}

static struct tokens_entry *
entry_of(struct tokens *t, const char *integration, const char *uuid)
{
	struct tokens_entry *e, **bucket;
	char lower[GRANT_UUID_SIZE];
	char *what;
	size_t i;

	for (i = 0; i < GRANT_UUID_SIZE; i++)
		lower[i] = (char)tolower((unsigned char)uuid[i]);
	what = mem_printf("token/%s/%s", integration, lower);
	for (e = *bucket_of(t, what); e != NULL; e = e->next) {
		if (strcmp(e->what, what) == 0) {
			free(what);
			return e;
		}
	}
	trim(t);
	e = mem_zalloc(sizeof(*e));
	e->t = t;
	e->integration = mem_strdup(integration);
	(void)memcpy(e->uuid, lower, sizeof(e->uuid));
	e->what = what;
	bucket = bucket_of(t, what);
	e->next = *bucket;
	*bucket = e;
	t->nentries++;
	return e;
}

/* ---- for everybody ----------------------------------------------------------
 */

struct tokens *
tokens_create(const struct tokens_options *options)
{
	struct tokens *t = mem_zalloc(sizeof(*t));

	t->options = *options;
	return t;
}

static void
forget_integrations(struct tokens *t)
{
	const struct tokens_integration *in;
	size_t i;

	for (i = 0; i < t->nintegrations; i++) {
		in = &t->integrations[i];
		free((char *)(uintptr_t)in->name);
		free((char *)(uintptr_t)in->client_id);
		wipe((char *)(uintptr_t)in->client_secret);
		free((char *)(uintptr_t)in->sentry_url);
	}
	free(t->integrations);
	t->integrations = NULL;
	t->nintegrations = 0;
}

void
tokens_configure(
    struct tokens *t, const struct tokens_integration *list, size_t n)
{
	struct tokens_integration *copy = mem_array(n + 1, sizeof(*copy));
	size_t i;

	for (i = 0; i < n; i++)
		copy[i] = (struct tokens_integration){
		    .name = mem_strdup(list[i].name),
		    .client_id = mem_strdup(list[i].client_id),
		    .client_secret = mem_strdup(list[i].client_secret),
		    .sentry_url = mem_strdup(list[i].sentry_url)};
	forget_integrations(t);
	t->integrations = copy;
	t->nintegrations = n;
}

static void
refuse(const struct tokens_ask *ask, enum err_code code, const char *why)
{
	struct err err = ERR_INIT;

	(void)err_set(&err, code, "%s", why);
	ask->done(ask->cookie, NULL, &err);
}

void
tokens_ask(struct tokens *t, const struct tokens_ask *ask)
{
	struct tokens_waiter *w, **at;
	struct tokens_entry *e;

	if (t->stopped) {
		refuse(ask, ERR_UNAVAILABLE, "the host is stopping");
		return;
	}
	if (tokens_integration(t, ask->integration) == NULL) {
		refuse(ask, ERR_NOT_FOUND, "there is no such integration");
		return;
	}
	if (!grant_is_uuid(str_of(ask->uuid))) {
		refuse(ask, ERR_INVALID,
		    "the id of an installation is a UUID with its dashes");
		return;
	}
	e = entry_of(t, ask->integration, ask->uuid);
	if (ask->org_slug != NULL && grant_is_slug(str_of(ask->org_slug))) {
		free(e->org_hint);
		e->org_hint = mem_strdup(ask->org_slug);
	}
	w = mem_zalloc(sizeof(*w));
	w->what = ask->what;
	w->code = mem_strdup(ask->code);
	w->rejected = ask->rejected;
	w->done = ask->done;
	w->cookie = ask->cookie;
	if (!e->flying && tokens_is_satisfied(e, w)) {
		tokens_answer(e, w, NULL);
		return;
	}
	for (at = &e->waiters; *at != NULL; at = &(*at)->next)
		;
	*at = w;
	tokens_hide(e);
	if (!e->flying)
		tokens_fly(e);
}

void
tokens_stop(struct tokens *t)
{
	struct tokens_entry *e;
	size_t i;

	if (t == NULL)
		return;
	t->stopped = 1;
	for (i = 0; i < TOKENS_BUCKETS; i++)
		for (e = t->buckets[i]; e != NULL; e = e->next)
			if (e->flying)
				tokens_land(e);
}

void
tokens_free(struct tokens *t)
{
	struct tokens_waiter *w;
	struct tokens_entry *e;
	size_t i;

	if (t == NULL)
		return;
	for (i = 0; i < TOKENS_BUCKETS; i++) {
		while ((e = t->buckets[i]) != NULL) {
			t->buckets[i] = e->next;
			while ((w = e->waiters) != NULL) {
				e->waiters = w->next;
				wipe(w->code);
				free(w);
			}
			entry_free(e);
		}
	}
	forget_integrations(t);
	free(t);
}
