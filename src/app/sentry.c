#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "base/mem.h"

#include "config/config.h"
#include "crypto/seal.h"
#include "crypto/secret.h"
#include "crypto/secrets.h"
#include "dispatch/dispatch.h"
#include "ingress/ingress.h"
#include "net/loop.h"
#include "sentry/reach.h"
#include "sentry/tokens.h"
#include "store/store.h"
#include "json/jdoc.h"
#include "json/jwrite.h"

#include "app/sentry.h"
#include "app/sentry_internal.h"

/* The token of an internal integration, which has no end. */
#define FIXED_TOKEN "SENTRY_TOKEN"

/* A code lives so long: what is older needs no second look. */
#define CODE_LIFE_MS 600000
#define LOOK_BACK_MAX 500

/* ---- what happens to tokens, in the log -------------------------------------
 */

static void
on_notice(void *cookie, enum tokens_notice what, const char *integration,
    const char *uuid, const struct err *err)
{
	static const char *const texts[] = {
	    [TOKENS_EXCHANGED] = "code exchanged for a token",
	    [TOKENS_VERIFIED] = "installation verified",
	    [TOKENS_REFRESHED] = "token refreshed",
	    [TOKENS_RECOVERED] = "token recovered by the JWT grant",
	    [TOKENS_FORGOTTEN] = "tokens forgotten: uninstalled",
	    [TOKENS_FAILED] = "no token",
	};
	const struct log_field fields[] = {
	    LOG_STR("integration", integration),
	    LOG_STR("installation", uuid),
	    LOG_OPT("error", err == NULL ? NULL : err->msg),
	};

	(void)cookie;
	log_write(what == TOKENS_FAILED      ? LOG_ERROR
		  : what == TOKENS_RECOVERED ? LOG_WARN
					     : LOG_INFO,
	    texts[what], fields, NELEMS(fields));
}

static void
on_secret(void *cookie, const char *value, int is_secret)
{
	struct app_sentry *a = cookie;

	if (is_secret)
		secrets_remember(a->options.secrets, value, strlen(value));
	else
		secrets_forget(a->options.secrets, value, strlen(value));
}

/* ---- what scripts ask -------------------------------------------------------
 */

/* What of the arguments is to be passed on; texts are owned. */
struct args {
	char *uuid;
	char *code;
	char *org;
	uint64_t rejected;
	int automatic;
};

static char *
text_of(const struct jval *object, const char *key)
{
	struct str s = jdoc_get_str(object, key);

	return s.data == NULL || memchr(s.data, '\0', s.len) != NULL
		   ? NULL
		   : mem_strndup(s.data, s.len);
}

static void
read_args(struct str json, struct args *ret)
{
	struct jdoc doc = {0};
	const struct jval *v;

	*ret = (struct args){0};
	if (jdoc_parse(&doc, json.data, json.len, NULL, NULL) == 0) {
		ret->uuid = text_of(jdoc_root(&doc), "uuid");
		ret->code = text_of(jdoc_root(&doc), "code");
		ret->org = text_of(jdoc_root(&doc), "org");
		v = jdoc_gets(jdoc_root(&doc), "rejected");
		if (v != NULL && jval_kind(v) == JDOC_INT && v->v.i > 0)
			ret->rejected = (uint64_t)v->v.i;
		v = jdoc_gets(jdoc_root(&doc), "auto");
		ret->automatic = v != NULL && jval_kind(v) == JDOC_TRUE;
	}
	jdoc_free(&doc);
}

static void
clear_args(struct args *args)
{
	free(args->uuid);
	if (args->code != NULL)
		secret_wipe(args->code, strlen(args->code));
	free(args->code);
	free(args->org);
}

static void
refuse(struct dispatch_ask *ask, enum err_code code, const char *why)
{
	struct err err = ERR_INIT;

	(void)err_set(&err, code, "%s", why);
	dispatch_answer(ask, (struct str){NULL, 0}, &err);
}

static void
member(struct jwrite *w, const char *key, const char *text)
{
	if (text != NULL)
		jwrite_member_text(w, key, text);
}

/* A question with the vault. */
struct asked {
	struct app_sentry *a;
	struct dispatch_ask *ask;
};

static const char *
sentry_url(const struct app_sentry *a, const char *integration)
{
	const struct config_integration *in =
	    config_find_integration(a->latest, integration);

	if (in == NULL)
		in = config_find_integration(a->options.config, integration);
	return in == NULL ? "" : in->sentry_url;
}

static void
on_token(
    void *cookie, const struct tokens_installation *in, const struct err *err)
{
	struct asked *q = cookie;
	struct buf out = BUF_INIT;
	struct jwrite w = jwrite_begin(&out, 0);

	if (in == NULL) {
		dispatch_answer(q->ask, (struct str){NULL, 0}, err);
	} else {
		jwrite_object(&w);
		jwrite_member_text(&w, "token", in->token);
		jwrite_member_text(
		    &w, "url", sentry_url(q->a, q->ask->integration));
		member(&w, "org", in->org_slug);
		jwrite_key(&w, "serial");
		jwrite_uint(&w, in->serial);
		jwrite_object_end(&w);
		dispatch_answer(q->ask, (struct str){out.data, out.len}, NULL);
		secret_wipe(out.data, out.len);
	}
	buf_free(&out);
	free(q);
}

static void
on_installed(
    void *cookie, const struct tokens_installation *in, const struct err *err)
{
	struct asked *q = cookie;
	struct buf out = BUF_INIT;
	struct jwrite w = jwrite_begin(&out, 0);

	if (in == NULL) {
		dispatch_answer(q->ask, (struct str){NULL, 0}, err);
	} else {
		jwrite_object(&w);
		jwrite_member_text(&w, "uuid", in->uuid);
		jwrite_member_text(&w, "status", "installed");
		jwrite_key(&w, "organization");
		jwrite_object(&w);
		member(&w, "slug", in->org_slug);
		jwrite_object_end(&w);
		jwrite_key(&w, "app");
		jwrite_object(&w);
		member(&w, "slug", in->app_slug);
		member(&w, "uuid", in->app_uuid);
		jwrite_object_end(&w);
		jwrite_object_end(&w);
		dispatch_answer(q->ask, (struct str){out.data, out.len}, NULL);
	}
	buf_free(&out);
	free(q);
}

/* The token of an internal integration.  Returns 0 if there is none. */
static struct secret *
fixed_token(struct app_sentry *a, const char *integration)
{
	struct secret *secret = NULL;

	if (secrets_get(a->options.secrets, integration, FIXED_TOKEN, &secret,
		NULL) == -1)
		return NULL;
	return secret;
}

static void
answer_fixed(struct app_sentry *a, struct dispatch_ask *ask,
    const struct args *args, struct secret *token)
{
	struct buf out = BUF_INIT;
	struct jwrite w = jwrite_begin(&out, 0);

	jwrite_object(&w);
	if (strcmp(ask->topic, "token") == 0) {
		jwrite_member_text(&w, "token", token->data);
		jwrite_member_text(&w, "url", sentry_url(a, ask->integration));
		member(&w, "org", args->org);
	} else {
		member(&w, "uuid", args->uuid);
		jwrite_member_text(&w, "status", "installed");
		jwrite_key(&w, "organization");
		jwrite_object(&w);
		member(&w, "slug", args->org);
		jwrite_object_end(&w);
	}
	jwrite_object_end(&w);
	dispatch_answer(ask, (struct str){out.data, out.len}, NULL);
	secret_wipe(out.data, out.len);
	buf_free(&out);
	secret_free(token);
}

/* Have the vault answer. */
static void
ask_vault(struct app_sentry *a, struct dispatch_ask *ask,
    const struct args *args, enum tokens_what what)
{
	struct asked *q = mem_zalloc(sizeof(*q));
	const struct tokens_ask t = {
	    .what = what,
	    .integration = ask->integration,
	    .uuid = args->uuid,
	    .code = args->code,
	    .org_slug = args->org,
	    .rejected = args->rejected,
	    .done = what == TOKENS_TOKEN ? on_token : on_installed,
	    .cookie = q,
	};

	q->a = a;
	q->ask = ask;
	tokens_ask(a->tokens, &t);
}

static int
is_automatic(const struct app_sentry *a, const char *integration)
{
	return a->latest->auto_install &&
	       tokens_can_exchange(a->tokens, integration);
}

/* "token", "install" */
static void
ask_token(struct app_sentry *a, struct dispatch_ask *ask)
{
	int is_token = strcmp(ask->topic, "token") == 0;
	struct secret *fixed;
	struct args args;

	read_args(ask->args_json, &args);
	fixed = fixed_token(a, ask->integration);
	if (args.automatic &&
	    (fixed != NULL || !is_automatic(a, ask->integration))) {
		secret_free(fixed);
		dispatch_answer(ask, STR("null"), NULL);
	} else if (fixed != NULL) {
		answer_fixed(a, ask, &args, fixed);
	} else if (args.uuid == NULL) {
		refuse(ask, ERR_INVALID,
		    "whose token?  Name an installation, or set the secret "
		    "SENTRY_TOKEN of an internal integration");
	} else {
		ask_vault(
		    a, ask, &args, is_token ? TOKENS_TOKEN : TOKENS_INSTALL);
	}
	clear_args(&args);
}

/* "sentry": where it is. */
static void
answer_sentry(struct app_sentry *a, struct dispatch_ask *ask)
{
	struct buf out = BUF_INIT;
	struct jwrite w = jwrite_begin(&out, 0);

	jwrite_object(&w);
	jwrite_member_text(&w, "url", sentry_url(a, ask->integration));
	jwrite_object_end(&w);
	dispatch_answer(ask, (struct str){out.data, out.len}, NULL);
	buf_free(&out);
}

void
app_sentry_ask(void *cookie, struct dispatch_ask *ask)
{
	struct app_sentry *a = cookie;
	struct jdoc doc = {0};

	if (a->stopped) {
		refuse(ask, ERR_UNAVAILABLE, "the host is stopping");
	} else if (jdoc_parse(&doc, ask->args_json.data, ask->args_json.len,
		       NULL, NULL) == -1) {
		refuse(ask, ERR_INVALID, "that is no JSON");
	} else if (strcmp(ask->topic, "token") == 0 ||
		   strcmp(ask->topic, "install") == 0) {
		ask_token(a, ask);
	} else if (strcmp(ask->topic, "sentry") == 0) {
		answer_sentry(a, ask);
	} else if (strcmp(ask->topic, "oauth-begin") == 0) {
		app_sentry_oauth_begin(a, ask, jdoc_root(&doc));
	} else if (strcmp(ask->topic, "oauth-flow") == 0) {
		app_sentry_oauth_flow(a, ask, jdoc_root(&doc));
	} else {
		refuse(ask, ERR_NOT_FOUND, "the host knows no such thing");
	}
	jdoc_free(&doc);
}

/* ---- installations that come and go ----------------------------------------
 */

/* One that was stored, on its way to the main loop. */
struct arrival {
	struct mail mail;
	struct app_sentry *a;
	char *integration;
	struct args args;
	int deleted;
};

static void
arrival_free(struct arrival *v)
{
	clear_args(&v->args);
	free(v->integration);
	free(v);
}

static void
on_done(
    void *cookie, const struct tokens_installation *in, const struct err *err)
{
	/* What there is to say about it is in the log. */
	(void)cookie;
	(void)in;
	(void)err;
}

/* Do our part; consumes ${v}. */
static void
handle_arrival(struct arrival *v)
{
	struct app_sentry *a = v->a;
	const struct tokens_ask ask = {
	    .what = v->deleted ? TOKENS_FORGET : TOKENS_INSTALL,
	    .integration = v->integration,
	    .uuid = v->args.uuid,
	    .code = v->args.code,
	    .org_slug = v->args.org,
	    .done = on_done,
	};
	struct secret *fixed;

	if (!a->stopped && v->args.uuid != NULL) {
		fixed = v->deleted ? NULL : fixed_token(a, v->integration);
		if (v->deleted ||
		    (fixed == NULL && is_automatic(a, v->integration)))
			tokens_ask(a->tokens, &ask);
		secret_free(fixed);
	}
	arrival_free(v);
}

static void
on_arrival(struct mail *mail)
{
	handle_arrival(CONTAINER_OF(mail, struct arrival, mail));
}

/* What a payload says about an installation; NULL if that is not its business.
 */
static struct arrival *
read_arrival(
    struct app_sentry *a, const char *integration, const struct jval *payload)
{
	const struct jval *in =
	    jdoc_gets(jdoc_gets(payload, "data"), "installation");
	struct str action = jdoc_get_str(payload, "action");
	struct arrival *v;

	if (!str_eq(action, STR("created")) && !str_eq(action, STR("deleted")))
		return NULL;
	v = mem_zalloc(sizeof(*v));
	v->a = a;
	v->integration = mem_strdup(integration);
	v->deleted = str_eq(action, STR("deleted"));
	v->args.uuid = text_of(jdoc_gets(payload, "installation"), "uuid");
	if (v->args.uuid == NULL)
		v->args.uuid = text_of(in, "uuid");
	v->args.code = text_of(in, "code");
	v->args.org = text_of(jdoc_gets(in, "organization"), "slug");
	return v;
}

void
app_sentry_stored(struct app_sentry *a, const struct store_append *append)
{
	struct arrival *v = NULL;
	struct jdoc doc = {0};

	if (strcmp(append->resource, "installation") != 0 ||
	    append->state == STORE_INVALID)
		return;
	if (jdoc_parse(&doc, append->body.data, append->body.len, NULL, NULL) ==
	    0)
		v = read_arrival(a, append->integration, jdoc_root(&doc));
	jdoc_free(&doc);
	if (v == NULL)
		return;
	v->mail.open = on_arrival;
	mailbox_put(loop_mailbox(a->options.loop), &v->mail);
}

/* ---- what was left to do ----------------------------------------------------
 */

/* The deliveries of the last minutes, the oldest first. */
struct look {
	struct app_sentry *a;
	struct store_list list;
	struct store_get get;
	uint64_t *ids;
	size_t nids; /* That are still to be looked at. */
};

static void
look_end(struct look *look)
{
	look->a->look = NULL;
	free(look->ids);
	free(look);
}

static int
look_submit(struct look *look, struct store_op *op, enum store_kind kind,
    store_done_cb *done)
{
	op->kind = kind;
	op->reply_to = loop_mailbox(look->a->options.loop);
	op->done = done;
	op->cookie = look;
	if (look->a->stopped ||
	    store_submit(look->a->options.store, op, NULL) == -1) {
		look_end(look);
		return -1;
	}
	return 0;
}

static void look_next(struct look *look);

static void
on_look_got(struct store_op *op)
{
	struct look *look = op->cookie;
	struct arrival *v = NULL;
	struct jdoc doc = {0};
	char *integration;

	if (op->rc == 0 && jdoc_parse(&doc, look->get.ret_json,
			       look->get.ret_jsonlen, NULL, NULL) == 0) {
		integration = text_of(jdoc_root(&doc), "integration");
		if (integration != NULL)
			v = read_arrival(look->a, integration,
			    jdoc_gets(jdoc_root(&doc), "payload"));
		free(integration);
	}
	jdoc_free(&doc);
	free(look->get.ret_json);
	if (v != NULL)
		handle_arrival(v);
	look_next(look);
}

static void
look_next(struct look *look)
{
	if (look->nids == 0) {
		look_end(look);
		return;
	}
	look->get = (struct store_get){.id = look->ids[--look->nids]};
	(void)look_submit(look, &look->get.op, STORE_OP_GET, on_look_got);
}

static void
on_look_listed(struct store_op *op)
{
	struct look *look = op->cookie;
	const struct jval *list = NULL, *e;
	struct jdoc doc = {0};
	size_t i;

	if (op->rc == 0 && jdoc_parse(&doc, look->list.ret_json,
			       look->list.ret_jsonlen, NULL, NULL) == 0)
		list = jdoc_gets(jdoc_root(&doc), "deliveries");
	if (list != NULL && jval_kind(list) == JDOC_ARRAY) {
		look->ids = mem_array(list->len + 1, sizeof(*look->ids));
		for (e = list + 1, i = 0; i < list->len;
		     i++, e = jval_next(e)) {
			if (str_parse_u64(jdoc_get_str(e, "id"), UINT64_MAX,
				&look->ids[look->nids]) == 0)
				look->nids++;
		}
	}
	jdoc_free(&doc);
	free(look->list.ret_json);
	look_next(look);
}

void
app_sentry_look_back(struct app_sentry *a)
{
	struct look *look = mem_zalloc(sizeof(*look));

	look->a = a;
	a->look = look;
	look->list.resource = "installation";
	look->list.since_unix_ms = clock_unix_ms() - CODE_LIFE_MS;
	look->list.limit = LOOK_BACK_MAX;
	(void)look_submit(look, &look->list.op, STORE_OP_LIST, on_look_listed);
}

/* ---- pages
 * -------------------------------------------------------------------- */

static void
on_page(struct mail *mail)
{
	struct ingress_ui *ui = CONTAINER_OF(mail, struct ingress_ui, mail);
	struct app_sentry *a = ui->carrier;

	if (a->stopped)
		ingress_ui_free(ui);
	else if (strcmp(ui->route, "setup") == 0)
		app_sentry_setup(a, ui);
	else
		app_sentry_oauth_callback(a, ui);
}

void
app_sentry_page(void *cookie, struct ingress_ui *ui)
{
	struct app_sentry *a = cookie;

	ui->carrier = a;
	ui->mail.open = on_page;
	mailbox_put(loop_mailbox(a->options.loop), &ui->mail);
}

/* ---- its life
 * ------------------------------------------------------------------ */

void
app_sentry_configure(struct app_sentry *a, const struct config *latest)
{
	const struct config *config = a->options.config;
	const struct config_integration *in;
	struct tokens_integration *list;
	size_t i;

	a->latest = latest;
	list = mem_array(config->nintegrations, sizeof(*list));
	for (i = 0; i < config->nintegrations; i++) {
		in = config_find_integration(
		    latest, config->integrations[i].name);
		if (in == NULL || in->client_secrets.n == 0)
			in = &config->integrations[i];
		list[i] = (struct tokens_integration){
		    .name = in->name,
		    .client_id = in->client_id,
		    .client_secret = in->client_secrets.n == 0
					 ? NULL
					 : in->client_secrets.items[0],
		    .sentry_url = in->sentry_url,
		};
	}
	tokens_configure(a->tokens, list, config->nintegrations);
	free(list);
}

int
app_sentry_start(const struct app_sentry_options *options,
    struct app_sentry **ret, struct err *err)
{
	const struct config *config = options->config;
	struct app_sentry *a = mem_zalloc(sizeof(*a));
	struct tokens_options tokens = {0};

	a->options = *options;
	if (seal_open((const char *const *)config->keys.items, config->keys.n,
		config->data, 1, &a->seal, err) == -1) {
		app_sentry_free(a);
		return -1;
	}
	a->reach = reach_create(loop_base(options->loop), options->proxy);
	tokens.base = loop_base(options->loop);
	tokens.mailbox = loop_mailbox(options->loop);
	tokens.store = options->store;
	tokens.seal = a->seal;
	/* The store is locked against a second host: it is always this one. */
	tokens.owner = "host";
	tokens.jwt_only = config->token_grant == CONFIG_TOKEN_JWT;
	tokens.cookie = a;
	tokens.send = reach_send;
	tokens.reach = a->reach;
	tokens.secret = on_secret;
	tokens.notice = on_notice;
	a->tokens = tokens_create(&tokens);
	app_sentry_configure(a, config);
	*ret = a;
	return 0;
}

void
app_sentry_stop(struct app_sentry *a)
{
	if (a == NULL)
		return;
	a->stopped = 1;
	tokens_stop(a->tokens);
	reach_free(a->reach);
	a->reach = NULL;
}

void
app_sentry_free(struct app_sentry *a)
{
	if (a == NULL)
		return;
	tokens_free(a->tokens);
	app_sentry_forget_hidden(a);
	reach_free(a->reach);
	seal_free(a->seal);
	free(a);
}
