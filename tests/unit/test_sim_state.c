/*
 * What the stand-in for Sentry keeps, on a clock of the test's own.
 */

#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/mem.h"
#include "crypto/jwt.h"

#include "sim/breaker.h"
#include "sim/calls.h"
#include "sim/installs.h"
#include "sim/users.h"

#define T0 UINT64_C(1800000000000)
#define HOUR UINT64_C(3600000)

static const char *const secrets[] = {"new-secret", "old-secret"};

static struct installs *
make(uint64_t scale)
{
	return installs_create("client", secrets, 2, scale);
}

static int
exchange(struct installs *installs, struct install *install, const char *code,
    uint64_t now, struct installs_refusal *why)
{
	return installs_exchange(installs, install, str_of(code), now, why);
}

/* ---- installations --------------------------------------------------------
 */

Test(installs, a_code_is_good_once_and_ten_minutes)
{
	struct installs *installs = make(1);
	struct install *a = installs_add(installs, "acme", NULL, 0, T0);
	struct install *b = installs_add(installs, "acme", NULL, 0, T0);
	struct installs_refusal why;
	char *code = mem_strdup(a->code);

	cr_assert_eq(strlen(code), INSTALLS_CODE_HEX);
	cr_assert_eq(exchange(installs, b, code, T0, &why), -1);
	cr_assert_eq(why.status, 401);
	cr_assert_str_eq(why.detail, "Forbidden grant");
	cr_assert_eq(exchange(installs, a, "", T0, &why), -1);
	cr_assert_str_eq(why.detail, "Could not find grant for given code");
	cr_assert_eq(
	    exchange(installs, a, code, T0 + INSTALLS_CODE_MS, &why), -1);
	cr_assert_str_eq(why.detail, "Grant has already expired");
	cr_assert_eq(
	    exchange(installs, a, code, T0 + INSTALLS_CODE_MS - 1, &why), 0);
	cr_assert_eq(a->token_created_unix_ms, T0 + INSTALLS_CODE_MS - 1);
	cr_assert_eq(
	    a->token_until_unix_ms - a->token_created_unix_ms, 8 * HOUR);
	cr_assert_eq(exchange(installs, a, code, T0, &why), -1);
	cr_assert_str_eq(why.detail, "Could not find grant for given code");
	/* No code left is no code, not an empty one. */
	cr_assert_eq(exchange(installs, a, "", T0, &why), -1);
	free(code);
	installs_free(installs);
}

Test(installs, a_refresh_token_is_good_once_and_ends_the_old_token)
{
	struct installs *installs = make(1);
	struct install *a = installs_add(installs, "acme", NULL, 0, T0), *who;
	struct installs_refusal why;
	char *token, *refresh;

	cr_assert_eq(installs_refresh(installs, a, STR(""), T0, &why), -1);
	cr_assert_eq(exchange(installs, a, a->code, T0, &why), 0);
	token = mem_strdup(a->token);
	refresh = mem_strdup(a->refresh);
	cr_assert_eq(
	    installs_authenticate(installs, str_of(token), T0, &who, &why), 0);
	cr_assert_eq(who, a);
	cr_assert_eq(installs_authenticate(installs, str_of(token),
			 T0 + 8 * HOUR - 1, &who, &why),
	    0);
	cr_assert_eq(installs_authenticate(
			 installs, str_of(token), T0 + 8 * HOUR, &who, &why),
	    -1);
	cr_assert_str_eq(why.detail, "Token expired");
	/* It is refreshed long after it has expired. */
	cr_assert_eq(installs_refresh(
			 installs, a, str_of(refresh), T0 + 90 * HOUR, &why),
	    0);
	cr_assert_str_neq(a->token, token);
	cr_assert_str_neq(a->refresh, refresh);
	cr_assert_eq(a->token_until_unix_ms, T0 + 98 * HOUR);
	cr_assert_eq(
	    installs_authenticate(installs, str_of(token), T0, &who, &why), -1);
	cr_assert_str_eq(why.detail, "Token not found");
	cr_assert_eq(
	    installs_refresh(installs, a, str_of(refresh), T0, &why), -1);
	cr_assert_eq(why.status, 401);
	free(token);
	free(refresh);
	installs_free(installs);
}

/* Ask by a JWT with these claims; returns why it was refused, or NULL. */
static const char *
ask(struct installs *installs, struct install *install, const char *header,
    const char *claims, const char *secret)
{
	struct installs_refusal why = {0, NULL};
	struct buf jwt = BUF_INIT;

	jwt_hs256_with(
	    &jwt, str_of(header), str_of(claims), secret, strlen(secret));
	if (installs_refresh_jwt(installs, install,
		(struct str){jwt.data, jwt.len}, T0, &why) == 0)
		why.detail = NULL;
	buf_free(&jwt);
	return why.detail;
}

#define HS256 "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define CLAIMS(iss, sub, iat, exp, rest)                                       \
	"{\"iss\":\"" iss "\",\"sub\":\"" sub "\",\"iat\":" iat                \
	",\"exp\":" exp rest "}"
#define JTI ",\"jti\":\"1\""
#define GOOD CLAIMS("client", "client", "1800000000", "1800000060", JTI)

Test(installs, a_jwt_replaces_the_token)
{
	static const struct {
		const char *header, *claims, *secret, *why;
	} cases[] = {
	    {HS256, GOOD, "new-secret", NULL},
	    {HS256, GOOD, "old-secret", NULL},
	    {HS256, GOOD, "other-secret",
		"Invalid JWT: Signature verification failed"},
	    {"{\"alg\":\"none\"}", GOOD, "new-secret",
		"Invalid JWT: alg is not HS256"},
	    {"{\"alg\":\"HS512\"}", GOOD, "new-secret",
		"Invalid JWT: alg is not HS256"},
	    {"[]", GOOD, "new-secret", "Invalid JWT: alg is not HS256"},
	    {"{", GOOD, "new-secret", "Invalid JWT: malformed"},
	    {HS256, "{", "new-secret", "Invalid JWT: malformed"},
	    {HS256, "[]", "new-secret",
		"Invalid JWT: iss is not the client id"},
	    {HS256, CLAIMS("x", "client", "1800000000", "1800000060", JTI),
		"new-secret", "Invalid JWT: iss is not the client id"},
	    {HS256, CLAIMS("client", "x", "1800000000", "1800000060", JTI),
		"new-secret", "Invalid JWT: sub is not the client id"},
	    {HS256, CLAIMS("client", "client", "1799999000", "1800000000", JTI),
		"new-secret", "Invalid JWT: Signature has expired"},
	    {HS256, CLAIMS("client", "client", "1800000061", "1800000099", JTI),
		"new-secret", "Invalid JWT: iat is in the future"},
	    {HS256, CLAIMS("client", "client", "\"1\"", "1800000060", JTI),
		"new-secret", "Invalid JWT: iat and exp must be numbers"},
	    {HS256, CLAIMS("client", "client", "1800000000", "1800000060", ""),
		"new-secret", "Invalid JWT: jti is missing"},
	};
	struct installs *installs = make(1);
	struct install *a = installs_add(installs, "acme", NULL, 0, T0);
	struct installs_refusal why;
	const char *said;
	char *token;
	size_t i;

	/* Before the exchange there is nothing to replace. */
	cr_assert_str_eq(ask(installs, a, HS256, GOOD, "new-secret"),
	    "Installation has no token to refresh");
	cr_assert_eq(exchange(installs, a, a->code, T0, &why), 0);
	for (i = 0; i < NELEMS(cases); i++) {
		token = mem_strdup(a->token);
		said = ask(installs, a, cases[i].header, cases[i].claims,
		    cases[i].secret);
		if (cases[i].why == NULL)
			cr_assert_null(said, "case %zu: %s", i, said);
		else
			cr_assert_str_eq(said, cases[i].why, "case %zu", i);
		cr_assert_eq(strcmp(token, a->token) == 0, cases[i].why != NULL,
		    "case %zu", i);
		free(token);
	}
	installs_free(installs);
}

Test(installs, what_is_no_jwt)
{
	static const char *const texts[] = {"", ".", "..", "a.b", "a.b.c",
	    "....", "e30.e30.", "e30.e30.AA.AA", "\xff.\xff.\xff",
	    "eyJhbGciOiJIUzI1NiJ9.e30.AA"};
	struct installs *installs = make(1);
	struct install *a = installs_add(installs, "acme", NULL, 0, T0);
	struct installs_refusal why;
	size_t i;

	for (i = 0; i < NELEMS(texts); i++) {
		cr_assert_eq(installs_refresh_jwt(
				 installs, a, str_of(texts[i]), T0, &why),
		    -1, "%s", texts[i]);
		cr_assert_eq(why.status, 401);
	}
	installs_free(installs);
}

Test(installs, clients_time_and_room)
{
	struct installs *installs = make(1000000);
	struct install *first =
			   installs_add(installs, "acme", "http://h", 1, T0),
		       *a;
	struct installs_refusal why;
	char uuid[RANDOM_UUID_SIZE];
	size_t i;

	cr_assert(
	    installs_is_client(installs, STR("client"), STR("old-secret")));
	cr_assert(!installs_is_client(installs, STR("client"), STR("")));
	cr_assert(
	    !installs_is_client(installs, STR("clien"), STR("new-secret")));
	/* However fast time goes, there is a second. */
	cr_assert_eq(exchange(installs, first, first->code, T0 + 999, &why), 0);
	cr_assert_eq(first->token_until_unix_ms, T0 + 999 + 1000);
	cr_assert_str_eq(first->webhook, "http://h");

	(void)strcpy(uuid, first->uuid);
	cr_assert_eq(installs_find(installs, str_of(uuid)), first);
	for (i = 0; i < INSTALLS_MAX; i++)
		a = installs_add(installs, "acme", NULL, 0, T0);
	cr_assert_eq(installs_count(installs), INSTALLS_MAX);
	cr_assert_null(installs_find(installs, str_of(uuid)));
	cr_assert_eq(installs_newest(installs), a);
	installs_remove(installs, a);
	cr_assert_eq(installs_count(installs), INSTALLS_MAX - 1);
	cr_assert_null(installs_at(installs, INSTALLS_MAX - 1));
	installs_free(installs);
	installs_free(NULL);
}

/* ---- users ----------------------------------------------------------------
 */

Test(users, codes_and_pkce)
{
	/* RFC 7636, appendix B. */
	static const char verifier[] =
	    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
			  challenge[] =
			      "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
	static const struct {
		const char *challenge, *uri, *verifier;
		uint64_t after_ms;
		int good;
	} cases[] = {
	    {challenge, "http://h/b", verifier, 0, 1},
	    {challenge, "http://h/b", verifier, 599999, 1},
	    {challenge, "http://h/b", verifier, 600000, 0},
	    {challenge, "http://h/c", verifier, 0, 0},
	    {challenge, NULL, verifier, 0, 0},
	    {challenge, "http://h/b", NULL, 0, 0},
	    {challenge, "http://h/b", challenge, 0, 0},
	    {challenge, "http://h/b", "short", 0, 0},
	    {NULL, "http://h/b", NULL, 0, 1},
	    {NULL, "http://h/b", verifier, 0, 0},
	};
	struct users *users = users_create(1);
	const struct users_token *token;
	const char *said;
	char *code;
	size_t i;

	for (i = 0; i < NELEMS(cases); i++) {
		code = mem_strdup(users_add_code(
		    users, "http://h/b", "org:read", cases[i].challenge, T0));
		said = users_redeem_code(users, str_of(code), cases[i].uri,
		    cases[i].verifier, T0 + cases[i].after_ms, &token);
		if (cases[i].good) {
			cr_assert_null(said, "case %zu", i);
			cr_assert_str_eq(token->scope, "org:read");
			cr_assert_eq(token->until_unix_ms,
			    T0 + cases[i].after_ms + USERS_TOKEN_S * 1000);
		} else {
			cr_assert_str_eq(said, "invalid_grant", "case %zu", i);
		}
		/* Right or wrong, it was the only try. */
		cr_assert_str_eq(users_redeem_code(users, str_of(code),
				     "http://h/b", verifier, T0, &token),
		    "invalid_grant");
		free(code);
	}
	cr_assert(users_is_challenge(str_of(challenge)));
	cr_assert(!users_is_challenge(STR("E9Melhoa")));
	cr_assert(!users_is_challenge(
	    STR("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM")));
	users_free(users);
}

Test(users, tokens_are_refreshed_once)
{
	struct users *users = users_create(1);
	const struct users_token *token;
	char *code = mem_strdup(users_add_code(users, "u", "", NULL, T0)),
	     *access, *refresh;

	cr_assert_null(
	    users_redeem_code(users, str_of(code), "u", NULL, T0, &token));
	access = mem_strdup(token->access);
	refresh = mem_strdup(token->refresh);
	cr_assert_null(users_authenticate(users, str_of(access), T0));
	cr_assert_str_eq(users_authenticate(
			     users, str_of(access), T0 + USERS_TOKEN_S * 1000),
	    "Token expired");
	cr_assert_null(users_refresh(users, str_of(refresh), T0, &token));
	cr_assert_str_eq(
	    users_authenticate(users, str_of(access), T0), "Token not found");
	cr_assert_str_eq(
	    users_refresh(users, str_of(refresh), T0, &token), "invalid_grant");
	cr_assert_eq(users_expire_all(users, T0), 1);
	cr_assert_eq(users_expire_all(users, T0), 0);
	cr_assert_str_eq(users_authenticate(users, str_of(token->access), T0),
	    "Token expired");
	free(code);
	free(access);
	free(refresh);
	users_free(users);
}

Test(users, a_device_from_pending_to_good)
{
	struct users *users = users_create(1);
	const struct users_token *token;
	struct users_device d = *users_add_device(users, "org:read", T0);
	struct str code = str_of(d.device_code);

	cr_assert_eq(strspn(d.user_code, "BCDFGHJKLMNPQRSTVWXZ-"), 9);
	cr_assert_eq(d.user_code[4], '-');
	cr_assert_str_eq(
	    users_poll(users, code, T0, &token), "authorization_pending");
	/* Within five seconds, however often. */
	cr_assert_str_eq(users_poll(users, code, T0 + 1, &token), "slow_down");
	cr_assert_str_eq(
	    users_poll(users, code, T0 + 4999, &token), "slow_down");
	cr_assert_str_eq(users_poll(users, code, T0 + 5000, &token),
	    "authorization_pending");
	cr_assert_eq(
	    users_decide(users, str_of(d.user_code), USERS_APPROVE), 0);
	cr_assert_eq(
	    users_decide(users, str_of(d.user_code), USERS_SLOW_DOWN), 0);
	cr_assert_str_eq(
	    users_poll(users, code, T0 + 10000, &token), "slow_down");
	cr_assert_null(users_poll(users, code, T0 + 10001, &token));
	cr_assert_str_eq(token->scope, "org:read");
	cr_assert_str_eq(
	    users_poll(users, code, T0 + 20000, &token), "invalid_grant");
	cr_assert_eq(
	    users_decide(users, str_of(d.user_code), USERS_APPROVE), -1);
	users_free(users);
}

Test(users, a_device_that_ends_badly)
{
	struct users *users = users_create(1);
	const struct users_token *token;
	struct users_device d = *users_add_device(users, "", T0);
	char lower[USERS_USER_CODE_SIZE] = "";
	size_t i, n = 0;

	/* As a person types it. */
	for (i = 0; d.user_code[i] != '\0'; i++) {
		if (d.user_code[i] != '-')
			lower[n++] = (char)(d.user_code[i] | 0x20);
	}
	cr_assert_eq(users_decide(users, str_of(lower), USERS_DENY), 0);
	cr_assert_eq(users_decide(users, STR(""), USERS_DENY), -1);
	cr_assert_str_eq(users_poll(users, str_of(d.device_code), T0, &token),
	    "access_denied");
	cr_assert_str_eq(users_poll(users, str_of(d.device_code), T0, &token),
	    "invalid_grant");

	d = *users_add_device(users, "", T0);
	cr_assert_str_eq(users_poll(users, str_of(d.device_code),
			     T0 + USERS_DEVICE_S * 1000 - 1, &token),
	    "authorization_pending");
	cr_assert_str_eq(users_poll(users, str_of(d.device_code),
			     T0 + USERS_DEVICE_S * 1000, &token),
	    "expired_token");

	d = *users_add_device(users, "", T0);
	cr_assert_eq(users_decide(users, str_of(d.user_code), USERS_EXPIRE), 0);
	cr_assert_str_eq(users_poll(users, str_of(d.device_code), T0, &token),
	    "expired_token");
	users_free(users);
}

Test(users, scopes_scale_and_room)
{
	struct users *users = users_create(100);
	struct users_device first, last;
	const struct users_token *token;
	size_t i;

	cr_assert(users_scope_is_known(STR("")));
	cr_assert(users_scope_is_known(STR("org:read  event:write ")));
	cr_assert(!users_scope_is_known(STR("org:read event")));
	cr_assert_eq(users_token_s(users), USERS_TOKEN_S / 100);
	cr_assert_eq(users_interval_s(users), 1);
	cr_assert_eq(users_device_s(users), USERS_POLLS);
	first = *users_add_device(users, "", T0);
	for (i = 0; i < USERS_MAX; i++)
		last = *users_add_device(users, "", T0);
	cr_assert_str_eq(
	    users_poll(users, str_of(first.device_code), T0, &token),
	    "invalid_grant");
	cr_assert_str_eq(
	    users_poll(users, str_of(last.device_code), T0, &token),
	    "authorization_pending");
	users_free(users);
	users_free(NULL);
}

/* ---- the circuit breaker --------------------------------------------------
 */

Test(breaker, opens_where_half_of_five_hundred_hang)
{
	struct breaker b = {.scale = 1};
	int i;

	for (i = 0; i < 499; i++)
		cr_assert_eq(breaker_count(&b, i % 2, T0), 0);
	cr_assert(breaker_is_closed(&b, T0));
	/* The five hundredth: 250 of 500 hung. */
	cr_assert_eq(breaker_count(&b, 1, T0), 1);
	cr_assert(!breaker_is_closed(&b, T0));
	cr_assert(!breaker_is_closed(&b, T0 + BREAKER_OPEN_MS - 1));
	cr_assert(breaker_is_closed(&b, T0 + BREAKER_OPEN_MS));
	/* It begins anew. */
	cr_assert_eq(breaker_count(&b, 1, T0 + BREAKER_OPEN_MS), 0);
}

Test(breaker, stays_closed_below_half_and_forgets)
{
	struct breaker b = {.scale = 1};
	int i;

	for (i = 0; i < 3000; i++)
		cr_assert_eq(breaker_count(&b, i % 5 < 2, T0), 0);

	/* 499 that hung are forgotten after ten minutes. */
	b = (struct breaker){.scale = 1};
	for (i = 0; i < 499; i++)
		cr_assert_eq(breaker_count(&b, 1, T0), 0);
	cr_assert_eq(breaker_count(&b, 1, T0 + BREAKER_WINDOW_MS + 10000), 0);
	cr_assert(breaker_is_closed(&b, T0 + BREAKER_WINDOW_MS + 10000));

	/* And sooner where time goes faster. */
	b = (struct breaker){.scale = 600};
	for (i = 0; i < 499; i++)
		cr_assert_eq(breaker_count(&b, 1, T0), 0);
	cr_assert_eq(breaker_count(&b, 1, T0 + 500), 1);
	cr_assert(breaker_is_closed(&b, T0 + 500 + BREAKER_OPEN_MS / 600));
}

/* ---- calls ----------------------------------------------------------------
 */

Test(calls, keeps_the_newest)
{
	struct calls *calls = calls_create();
	struct buf one = BUF_INIT, out = BUF_INIT;
	uint64_t n;

	for (n = 1; n <= CALLS_MAX + 2; n++) {
		buf_printf(&one, "\"v\":%llu", (unsigned long long)n);
		cr_assert_eq(calls_add(calls, &one), n);
	}
	calls_put(calls, 0, &out);
	cr_assert_eq(
	    strncmp(out.data, "{\"calls\":[{\"n\":3,\"v\":3},", 24), 0);
	buf_reset(&out);
	calls_put(calls, CALLS_MAX + 1, &out);
	cr_assert_str_eq(out.data, "{\"calls\":[{\"n\":2002,\"v\":2002}]}");
	calls_clear(calls);
	buf_reset(&out);
	calls_put(calls, 0, &out);
	cr_assert_str_eq(out.data, "{\"calls\":[]}");
	buf_puts(&one, "\"v\":0");
	cr_assert_eq(calls_add(calls, &one), CALLS_MAX + 3);
	buf_free(&out);
	calls_free(calls);
	calls_free(NULL);
}
