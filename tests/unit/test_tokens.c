/* The vault, with a real store, a clock of the test's and a Sentry in memory.
 */

#include <dirent.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "crypto/seal.h"
#include "net/loop.h"
#include "sentry/tokens.h"
#include "store/store.h"

#include "unit/fakesentry.h"
#include "unit/scratch.h"

#define OLD_KEY                                                                \
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define NEW_KEY                                                                \
	"fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define OTHER_KEY                                                              \
	"00000000000000000000000000000000000000000000000000000000000000ff"

static struct scratch scratch;
static struct loop *loop;
static struct store *store;
static struct seal *seal;
static struct tokens *tokens, *second;
static const char *keys[2] = {OLD_KEY};
static size_t nkeys = 1;
static int jwt_only;
static struct buf notices, hidden;

/* What somebody was answered. */
struct got {
	int times;
	char token[64];
	uint64_t serial;
	int verified;
	char org[32];
	char app[32];
	enum err_code code;
	char why[400];
};

static void
on_notice(void *cookie, enum tokens_notice what, const char *integration,
    const char *uuid, const struct err *err)
{
	(void)cookie;
	cr_expect_str_eq(integration, "default");
	cr_expect_str_eq(uuid, FAKE_UUID);
	buf_printf(&notices, "%u%s%s;", (unsigned int)what,
	    err == NULL ? "" : " ", err == NULL ? "" : err->msg);
}

static void
on_hide(void *cookie, const char *value, int is_secret)
{
	(void)cookie;
	buf_printf(&hidden, "%s%s ", is_secret ? "+" : "-", value);
}

static struct tokens *
make(const char *owner)
{
	const struct tokens_options options = {
	    .base = loop_base(loop),
	    .mailbox = loop_mailbox(loop),
	    .store = store,
	    .seal = seal,
	    .owner = owner,
	    .jwt_only = jwt_only,
	    .send = fake_send,
	    .now_unix_ms = fake_now,
	    .secret = on_hide,
	    .notice = on_notice,
	};
	const struct tokens_integration list[] = {
	    {"default", "the-id", "secret-canary", "https://sentry.example"},
	    {"bare", NULL, "secret-canary", "https://sentry.example"},
	};
	struct tokens *t = tokens_create(&options);

	tokens_configure(t, list, NELEMS(list));
	return t;
}

static void
begin(void)
{
	const struct store_options so = {.path = scratch_path(&scratch, "data"),
	    .dedupe_window_ms = 3600000};
	struct err err = ERR_INIT;

	cr_assert_eq(seal_create(keys, nkeys, &seal, &err), 0, "%s", err.msg);
	cr_assert_eq(store_open(&so, &store, &err), 0, "%s", err.msg);
	tokens = make("one");
}

static void
finish(void)
{
	tokens_stop(tokens);
	tokens_stop(second);
	store_close(store);
	mailbox_open_all(loop_mailbox(loop));
	/* What Sentry still has to say. */
	(void)event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
	tokens_free(tokens);
	tokens_free(second);
	seal_free(seal);
	tokens = second = NULL;
	store = NULL;
}

static void
setup(void)
{
	struct err err = ERR_INIT;

	scratch_make(&scratch);
	scratch_mkdir(&scratch, "data");
	cr_assert_eq(loop_create(1000, &loop, &err), 0);
	fake_begin(loop_base(loop));
	begin();
}

static void
teardown(void)
{
	finish();
	fake_end();
	loop_free(loop);
	buf_free(&notices);
	buf_free(&hidden);
	scratch_clear(&scratch);
}

TestSuite(tokens, .init = setup, .fini = teardown, .timeout = 60);

static void
on_got(
    void *cookie, const struct tokens_installation *in, const struct err *err)
{
	struct got *g = cookie;

	g->times++;
	if (err != NULL) {
		g->code = err->code;
		(void)snprintf(g->why, sizeof(g->why), "%s", err->msg);
	}
	if (in == NULL)
		return;
	cr_expect_str_eq(in->uuid, FAKE_UUID);
	(void)snprintf(g->token, sizeof(g->token), "%s", in->token);
	(void)snprintf(g->org, sizeof(g->org), "%s",
	    in->org_slug == NULL ? "" : in->org_slug);
	(void)snprintf(g->app, sizeof(g->app), "%s",
	    in->app_slug == NULL ? "" : in->app_slug);
	g->serial = in->serial;
	g->verified = in->verified;
}

static void
ask_of(struct tokens *t, enum tokens_what what, const char *code,
    uint64_t rejected, struct got *g)
{
	const struct tokens_ask ask = {
	    what, "default", FAKE_UUID, code, "hint", rejected, on_got, g};

	*g = (struct got){0};
	tokens_ask(t, &ask);
}

static void
wait_for(const int *condition)
{
	uint64_t from = clock_mono_ms();

	while (!*condition) {
		cr_assert_lt(clock_mono_ms() - from, 50000);
		(void)event_base_loop(loop_base(loop), EVLOOP_ONCE);
	}
}

/* Ask and wait. */
static struct got
get(enum tokens_what what, const char *code, uint64_t rejected)
{
	struct got g;

	ask_of(tokens, what, code, rejected, &g);
	wait_for(&g.times);
	cr_expect_eq(g.times, 1);
	return g;
}

static struct got
install(void)
{
	struct got g = get(TOKENS_INSTALL, FAKE_CODE, 0);

	cr_assert_eq(g.code, ERR_NONE, "%s", g.why);
	return g;
}

/* ---- the ways of a token ----------------------------------------------------
 */

Test(tokens, an_installation_is_exchanged_and_verified)
{
	struct got g = install();

	cr_expect_str_eq(g.token, "token-canary-1");
	cr_expect_str_eq(g.org, "acme");
	cr_expect_str_eq(g.app, "our-app");
	cr_expect(g.verified);
	cr_expect(sentry.verified);
	cr_assert_eq(sentry.nrequests, 2);
	cr_expect_str_eq(sentry.requests[0].line,
	    "POST "
	    "https://sentry.example/api/0/sentry-app-installations/" FAKE_UUID
	    "/authorizations/");
	cr_expect_null(sentry.requests[0].bearer);
	cr_expect_str_eq(sentry.requests[0].body,
	    "{\"grant_type\":\"authorization_code\","
	    "\"code\":\"" FAKE_CODE "\",\"client_id\":\"the-id\","
	    "\"client_secret\":\"secret-canary\"}");
	cr_expect_str_eq(sentry.requests[1].line,
	    "PUT "
	    "https://sentry.example/api/0/sentry-app-installations/" FAKE_UUID
	    "/");
	cr_expect_str_eq(sentry.requests[1].bearer, "token-canary-1");
	cr_expect_str_eq(sentry.requests[1].body, "{\"status\":\"installed\"}");
	cr_expect_str_eq(buf_text(&notices), "0;1;");
}

Test(tokens, a_second_install_does_nothing)
{
	struct got g;

	(void)install();
	g = install();
	cr_expect_str_eq(g.token, "token-canary-1");
	finish();
	begin();
	g = install();
	cr_expect_str_eq(g.token, "token-canary-1");
	cr_expect_eq(sentry.nrequests, 2);
}

Test(tokens, webhook_and_redirect_at_once_are_one_exchange)
{
	struct got a, b;

	ask_of(tokens, TOKENS_INSTALL, FAKE_CODE, 0, &a);
	ask_of(tokens, TOKENS_INSTALL, FAKE_CODE, 0, &b);
	wait_for(&a.times);
	wait_for(&b.times);
	cr_expect_str_eq(a.token, "token-canary-1");
	cr_expect_str_eq(b.token, "token-canary-1");
	cr_expect_eq(sentry.exchanges, 1);
	cr_expect_eq(sentry.verifies, 1);
}

Test(tokens, a_token_is_refreshed_ahead_of_its_end)
{
	struct got g = install();

	sentry.now_unix_ms += (8 * 3600 - 301) * UINT64_C(1000);
	g = get(TOKENS_TOKEN, NULL, 0);
	cr_expect_str_eq(g.token, "token-canary-1");
	sentry.now_unix_ms += 2000;
	g = get(TOKENS_TOKEN, NULL, 0);
	cr_expect_str_eq(g.token, "token-canary-2");
	cr_assert_eq(sentry.nrequests, 3);
	cr_expect_str_eq(sentry.requests[2].body,
	    "{\"grant_type\":\"refresh_token\","
	    "\"refresh_token\":\"refresh-canary-1\",\"client_id\":\"the-id\","
	    "\"client_secret\":\"secret-canary\"}");
	cr_expect_eq(sentry.jwts, 0);
	g = get(TOKENS_TOKEN, NULL, 0);
	cr_expect_eq(sentry.nrequests, 3);
}

Test(tokens, many_who_want_one_cause_one_refresh)
{
	struct got all[50];
	size_t i;

	(void)install();
	second = make("two");
	sentry.now_unix_ms += 9 * 3600 * UINT64_C(1000);
	for (i = 0; i < NELEMS(all); i++)
		ask_of(i % 2 == 0 ? tokens : second, TOKENS_TOKEN, NULL, 0,
		    &all[i]);
	for (i = 0; i < NELEMS(all); i++) {
		wait_for(&all[i].times);
		cr_expect_str_eq(
		    all[i].token, "token-canary-2", "%s", all[i].why);
	}
	cr_expect_eq(sentry.refreshes, 1);
	cr_expect_eq(sentry.jwts, 0);
}

Test(tokens, a_lost_answer_is_recovered_by_the_jwt_grant)
{
	struct got g = install();

	sentry.now_unix_ms += 9 * 3600 * UINT64_C(1000);
	sentry.drop = 1;
	g = get(TOKENS_TOKEN, NULL, 0);
	cr_expect_str_eq(g.token, "token-canary-3", "%s", g.why);
	cr_expect_eq(sentry.refreshes, 1);
	cr_expect_eq(sentry.jwts, 1);
	cr_expect_not_null(strstr(buf_text(&notices), "connection was reset"));
	cr_expect_str_eq(
	    sentry.requests[3].body, "{\"grant_type\":\"" FAKE_JWT_GRANT "\"}");
}

Test(tokens, by_option_the_jwt_grant_is_the_only_one)
{
	struct got g;

	finish();
	jwt_only = 1;
	begin();
	(void)install();
	sentry.now_unix_ms += 9 * 3600 * UINT64_C(1000);
	g = get(TOKENS_TOKEN, NULL, 0);
	cr_expect_str_eq(g.token, "token-canary-2");
	cr_expect_eq(sentry.refreshes, 0);
	cr_expect_eq(sentry.jwts, 1);
}

Test(tokens, a_code_that_was_used_is_no_reason_to_give_up)
{
	struct got g;

	sentry.code[0] = '\0';
	g = install();
	cr_expect_str_eq(g.token, "token-canary-1");
	cr_expect_eq(sentry.exchanges, 1);
	cr_expect_eq(sentry.jwts, 1);
	cr_expect(sentry.verified);
}

Test(tokens, an_unknown_installation_gets_a_token_by_the_jwt_grant)
{
	struct got g = get(TOKENS_TOKEN, NULL, 0);

	cr_expect_str_eq(g.token, "token-canary-1");
	cr_expect_eq(sentry.jwts, 1);
}

/* ---- trouble
 * ------------------------------------------------------------------ */

Test(tokens, one_401_is_no_revocation)
{
	struct got g = install(), again;

	/* Too young: Sentry does that. */
	again = get(TOKENS_TOKEN, NULL, g.serial);
	cr_expect_eq(again.code, ERR_UNAUTH);
	cr_expect_eq(sentry.nrequests, 2);

	sentry.now_unix_ms += 60000;
	again = get(TOKENS_TOKEN, NULL, g.serial);
	cr_expect_str_eq(again.token, "token-canary-2");
	cr_expect_neq(again.serial, g.serial);
	cr_expect_eq(sentry.refreshes, 1);

	/* Who comes late with the old one gets the new one. */
	again = get(TOKENS_TOKEN, NULL, g.serial);
	cr_expect_str_eq(again.token, "token-canary-2");
	cr_expect_eq(sentry.refreshes, 1);
}

Test(tokens, trouble_is_not_asked_for_again_at_once)
{
	struct got g = install();

	sentry.now_unix_ms += 9 * 3600 * UINT64_C(1000);
	sentry.fail = 2;
	g = get(TOKENS_TOKEN, NULL, 0);
	cr_expect_eq(g.code, ERR_UNAVAILABLE);
	cr_expect_not_null(strstr(g.why, "503"), "%s", g.why);
	cr_expect_eq(sentry.nrequests, 4);
	g = get(TOKENS_TOKEN, NULL, 0);
	cr_expect_eq(g.code, ERR_UNAVAILABLE);
	cr_expect_eq(sentry.nrequests, 4);
	sentry.now_unix_ms += 2001;
	g = get(TOKENS_TOKEN, NULL, 0);
	cr_expect_str_eq(g.token, "token-canary-2", "%s", g.why);
	cr_expect_eq(sentry.refreshes, 0);
}

Test(tokens, a_token_that_still_lives_is_given_when_there_is_no_new_one)
{
	struct got g = install();

	sentry.now_unix_ms += (8 * 3600 - 100) * UINT64_C(1000);
	sentry.fail = 2;
	g = get(TOKENS_TOKEN, NULL, 0);
	cr_expect_str_eq(g.token, "token-canary-1", "%s", g.why);
	cr_expect_eq(sentry.nrequests, 4);
}

Test(tokens, a_refusal_is_told)
{
	struct got g;

	sentry.code[0] = '\0';
	sentry.refuse_jwt = 1;
	g = get(TOKENS_INSTALL, FAKE_CODE, 0);
	cr_expect_eq(g.code, ERR_UNAUTH);
	cr_expect_not_null(strstr(g.why, "code exchange: Sentry answered 401: "
					 "Could not find grant; then"),
	    "%s", g.why);
	cr_expect_not_null(strstr(g.why, FAKE_UUID));
	cr_expect_null(strstr(g.why, "canary"));
}

Test(tokens, what_cannot_be_asked_for_is_refused)
{
	struct got g = {0};
	struct tokens_ask ask = {
	    TOKENS_TOKEN, "default", "../../x", NULL, NULL, 0, on_got, &g};

	tokens_ask(tokens, &ask);
	cr_expect_eq(g.code, ERR_INVALID);
	ask.uuid = FAKE_UUID;
	ask.integration = "nobody";
	tokens_ask(tokens, &ask);
	cr_expect_eq(g.code, ERR_NOT_FOUND);
	ask.integration = "bare";
	g.times = 0;
	tokens_ask(tokens, &ask);
	wait_for(&g.times);
	cr_expect_eq(g.code, ERR_INVALID);
	cr_expect_not_null(strstr(g.why, "SENTRY_CLIENT_ID"));
	cr_expect_eq(sentry.nrequests, 0);
	cr_expect(tokens_can_exchange(tokens, "default"));
	cr_expect_not(tokens_can_exchange(tokens, "bare"));
}

Test(tokens, a_host_that_stops_answers_all)
{
	struct got g;

	ask_of(tokens, TOKENS_INSTALL, FAKE_CODE, 0, &g);
	finish();
	cr_expect_eq(g.times, 1);
	cr_expect_eq(g.code, ERR_UNAVAILABLE);
	begin();
}

Test(tokens, an_uninstalled_one_is_forgotten)
{
	struct got g;

	(void)install();
	g = get(TOKENS_FORGET, NULL, 0);
	cr_expect_eq(g.code, ERR_NONE);
	cr_expect_str_empty(g.token);
	sentry.refuse_jwt = 1;
	g = get(TOKENS_TOKEN, NULL, 0);
	cr_expect_eq(g.code, ERR_UNAUTH);
	cr_expect_eq(sentry.jwts, 1);
}

/* ---- at rest
 * ------------------------------------------------------------------- */

/* Whether some file of the data folder has ${what} in it. */
static int
is_on_disk(const char *what)
{
	struct buf content = BUF_INIT;
	struct dirent *entry;
	char *path;
	int found = 0;
	DIR *d = opendir(scratch_path(&scratch, "data"));

	cr_assert_not_null(d);
	while ((entry = readdir(d)) != NULL) {
		path = mem_printf("%s/data/%s", scratch.dir, entry->d_name);
		buf_reset(&content);
		if (file_read(path, 64U << 20, &content, NULL) == 0 &&
		    content.len > 0 &&
		    memmem(content.data, content.len, what, strlen(what)) !=
			NULL)
			found = 1;
		free(path);
	}
	(void)closedir(d);
	buf_free(&content);
	return found;
}

Test(tokens, nothing_readable_is_on_the_disk)
{
	(void)install();
	cr_expect(is_on_disk(FAKE_UUID));
	cr_expect_not(is_on_disk("canary"));
	finish();
	cr_expect_not(is_on_disk("canary"));
	begin();
}

Test(tokens, what_is_handed_out_is_hidden_and_later_forgotten)
{
	(void)install();
	cr_expect_str_eq(buf_text(&hidden), "+" FAKE_CODE " +token-canary-1 ");
	sentry.now_unix_ms += 9 * 3600 * UINT64_C(1000);
	buf_reset(&hidden);
	(void)get(TOKENS_TOKEN, NULL, 0);
	cr_expect_str_eq(buf_text(&hidden), "-token-canary-1 +token-canary-2 ");
}

Test(tokens, a_key_can_be_replaced)
{
	struct got g = install();

	finish();
	keys[0] = NEW_KEY;
	keys[1] = OLD_KEY;
	nkeys = 2;
	begin();
	g = get(TOKENS_TOKEN, NULL, 0);
	cr_expect_str_eq(g.token, "token-canary-1");

	/* It was sealed anew: the old key can go. */
	finish();
	nkeys = 1;
	begin();
	g = get(TOKENS_TOKEN, NULL, 0);
	cr_expect_str_eq(g.token, "token-canary-1");
	cr_expect_eq(sentry.nrequests, 2);

	/* Without any key that opens it there is still a way. */
	finish();
	keys[0] = OTHER_KEY;
	begin();
	g = get(TOKENS_TOKEN, NULL, 0);
	cr_expect_str_eq(g.token, "token-canary-2");
	cr_expect_eq(sentry.jwts, 1);
}

/* ---- killed between two steps
 * -------------------------------------------------- */

static const char *kill_at;
static int killed;

static int
on_point(const char *point)
{
	if (kill_at == NULL || strcmp(point, kill_at) != 0)
		return 0;
	killed = 1;
	return 1;
}

/* Begin, be killed at ${point}, start again; whoever asks then has a token. */
static void
kill_and_recover(enum tokens_what what, const char *code, const char *point)
{
	struct got g;

	killed = 0;
	kill_at = point;
	tokens_fault_hook = on_point;
	ask_of(tokens, what, code, 0, &g);
	wait_for(&killed);
	cr_expect_eq(g.times, 0, "answered before %s", point);
	finish();
	kill_at = NULL;
	begin();
	g = get(what, code, 0);
	cr_expect_eq(g.code, ERR_NONE, "killed at '%s': %s", point, g.why);
	cr_expect_str_eq(g.token, sentry.token, "killed at '%s'", point);
	if (what == TOKENS_INSTALL)
		cr_expect(g.verified, "killed at '%s'", point);
}

Test(tokens, an_install_survives_a_kill_at_every_step)
{
	static const char *const points[] = {"leased", "spent", "answered",
	    "kept", "before it is verified", "verified"};
	char code[32];
	size_t i;

	for (i = 0; i < NELEMS(points); i++) {
		(void)snprintf(code, sizeof(code), "code-canary-%zu", i + 10);
		(void)strcpy(sentry.code, code);
		kill_and_recover(TOKENS_INSTALL, code, points[i]);
		cr_expect_eq(get(TOKENS_FORGET, NULL, 0).code, ERR_NONE);
	}
}

Test(tokens, a_refresh_survives_a_kill_at_every_step)
{
	static const char *const points[] = {
	    "leased", "spent", "answered", "kept"};
	size_t i;

	(void)install();
	for (i = 0; i < NELEMS(points); i++) {
		sentry.now_unix_ms += 9 * 3600 * UINT64_C(1000);
		kill_and_recover(TOKENS_TOKEN, NULL, points[i]);
	}
}

Test(tokens, a_recovery_survives_a_kill_at_every_step)
{
	static const char *const points[] = {
	    "refused", "before the JWT grant", "answered", "kept"};
	size_t i;

	(void)install();
	for (i = 0; i < NELEMS(points); i++) {
		sentry.now_unix_ms += 9 * 3600 * UINT64_C(1000);
		sentry.drop = 1;
		kill_and_recover(TOKENS_TOKEN, NULL, points[i]);
		sentry.drop = 0;
	}
}
