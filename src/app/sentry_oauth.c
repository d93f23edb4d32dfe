/*
 * OAuth flows in a browser: begun by a script, which gets an address to send a
 * person to; ended by that person's browser, and then by on_oauth(event) of the
 * same script.  State, verifier and code are sealed in the store; the delivery
 * names the flow and holds none of them.
 */

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "base/mem.h"

#include "catalog/catalog.h"
#include "crypto/base64.h"
#include "crypto/digest.h"
#include "crypto/random.h"
#include "crypto/seal.h"
#include "crypto/secret.h"
#include "crypto/secrets.h"
#include "dispatch/dispatch.h"
#include "ingress/ingress.h"
#include "net/loop.h"
#include "store/store.h"
#include "json/jdoc.h"
#include "json/jwrite.h"

#include "app/sentry_internal.h"

/* How long an address is good for, and how long after that a code is kept for
 * on_oauth to be tried again. */
#define STATE_LIFE_MS 600000
#define FLOW_LIFE_MS 3600000

/* Open at a time, of an integration. */
#define STATES_MAX 1000
#define FLOWS_MAX 1000

#define RANDOM_BYTES 32
#define ID_BYTES 12

#define STATE_KIND "oauth-state"
#define FLOW_KIND "oauth-flow"

/* One step of it, with the store. */
struct flow {
	struct app_sentry *a;
	struct dispatch_ask *ask; /* Who began, or takes the code; or NULL. */
	struct ingress_ui *ui;    /* The browser; or NULL. */
	char *integration;
	char *key;  /* Of the record. */
	char *what; /* To what it is sealed. */
	struct buf sealed;
	struct buf answer; /* For the script, when it is kept. */
	struct buf plain;  /* What was kept. */
	char *code;
	struct store_record op;
	struct store_append append;
	struct store_new_job job;
	char *script;
	char *name;
	struct buf body;
};

static void
wipe(char *s)
{
	if (s != NULL)
		secret_wipe(s, strlen(s));
	free(s);
}

static void
wipe_buf(struct buf *b)
{
	if (b->data != NULL)
		secret_wipe(b->data, b->len);
	buf_free(b);
}

static void
flow_free(struct flow *f)
{
	wipe_buf(&f->answer);
	wipe_buf(&f->plain);
	wipe(f->code);
	buf_free(&f->sealed);
	buf_free(&f->body);
	free(f->integration);
	free(f->key);
	free(f->what);
	free(f->script);
	free(f->name);
	free(f);
}

/* It cannot be done: tell whoever waits.  Consumes ${f}. */
static void
fail(struct flow *f, int status, const char *title, const struct err *err)
{
	if (f->ask != NULL)
		dispatch_answer(f->ask, (struct str){NULL, 0}, err);
	if (f->ui != NULL && f->a->stopped)
		ingress_ui_free(f->ui);
	else if (f->ui != NULL)
		app_sentry_show(f->ui, status, title, err->msg, NULL);
	flow_free(f);
}

static struct flow *
flow_create(struct app_sentry *a, const char *integration, const char *kind,
    const char *key)
{
	struct flow *f = mem_zalloc(sizeof(*f));

	f->a = a;
	f->integration = mem_strdup(integration);
	f->key = mem_strdup(key);
	f->what = mem_printf("%s/%s/%s", kind, integration, key);
	f->op.integration = f->integration;
	f->op.kind = kind;
	f->op.key = str_of(f->key);
	return f;
}

/* Returns -1 when the flow is over. */
static int
submit(struct flow *f, struct store_op *op, enum store_kind kind,
    store_done_cb *done)
{
	struct err err = ERR_INIT;

	*op = (struct store_op){.kind = kind,
	    .reply_to = loop_mailbox(f->a->options.loop),
	    .done = done,
	    .cookie = f};
	if (f->a->stopped)
		(void)err_set(&err, ERR_UNAVAILABLE, "the host is stopping");
	else if (store_submit(f->a->options.store, op, &err) == 0)
		return 0;
	fail(f, 503, "Please try again", &err);
	return -1;
}

/* Have a value hidden wherever something is printed; of many, the oldest are
 * not worth it any more. */
static void
hide(struct app_sentry *a, const char *value)
{
	char **slot = &a->hidden[a->nhidden++ % APP_SENTRY_HIDDEN];

	if (*slot != NULL)
		secrets_forget(a->options.secrets, *slot, strlen(*slot));
	wipe(*slot);
	*slot = mem_strdup(value);
	secrets_remember(a->options.secrets, value, strlen(value));
}

void
app_sentry_forget_hidden(struct app_sentry *a)
{
	size_t i;

	for (i = 0; i < APP_SENTRY_HIDDEN; i++)
		wipe(a->hidden[i]);
}

static char *
random_text(void)
{
	unsigned char bytes[RANDOM_BYTES];
	struct buf text = BUF_INIT;

	random_bytes(bytes, sizeof(bytes));
	base64_encode(&text, BASE64_URL, bytes, sizeof(bytes));
	secret_wipe(bytes, sizeof(bytes));
	return buf_take(&text);
}

/* What a state is looked up by: who can read the store cannot use one. */
static char *
key_of(const char *state)
{
	uint8_t digest[DIGEST_BYTES];
	struct buf hex = BUF_INIT;

	digest_sha256(state, strlen(state), digest);
	str_put_hex(&hex, digest, sizeof(digest));
	return buf_take(&hex);
}

static void
put_text(struct jwrite *w, const char *key, struct str s)
{
	if (s.data == NULL)
		return;
	jwrite_key(w, key);
	jwrite_str(w, s);
}

/* The texts that go with a flow from its beginning to its end. */
static void
copy_members(struct jwrite *w, const struct jval *from)
{
	static const char *const texts[] = {
	    "client_id", "redirect_uri", "token_url"};
	size_t i;

	for (i = 0; i < NELEMS(texts); i++)
		put_text(w, texts[i], jdoc_get_str(from, texts[i]));
}

/* ---- it begins
 * ------------------------------------------------------------------ */

static void
on_begun(struct store_op *op)
{
	struct flow *f = op->cookie;

	free(f->op.ret_sealed);
	if (op->rc == -1) {
		fail(f, 0, NULL, &op->err);
		return;
	}
	dispatch_answer(
	    f->ask, (struct str){f->answer.data, f->answer.len}, NULL);
	flow_free(f);
}

void
app_sentry_oauth_begin(
    struct app_sentry *a, struct dispatch_ask *ask, const struct jval *args)
{
	char *state = random_text(), *verifier = random_text(),
	     *key = key_of(state);
	struct flow *f = flow_create(a, ask->integration, STATE_KIND, key);
	uint8_t digest[DIGEST_BYTES];
	struct buf challenge = BUF_INIT;
	const struct jval *data = jdoc_gets(args, "data");
	struct str name = jdoc_get_str(args, "name");
	struct jwrite w;

	f->ask = ask;
	hide(a, state);
	hide(a, verifier);
	digest_sha256(verifier, strlen(verifier), digest);
	base64_encode(&challenge, BASE64_URL, digest, sizeof(digest));

	w = jwrite_begin(&f->answer, 0);
	jwrite_object(&w);
	jwrite_member_text(&w, "state", state);
	jwrite_member_text(&w, "challenge", buf_text(&challenge));
	jwrite_object_end(&w);

	w = jwrite_begin(&f->plain, 0);
	jwrite_object(&w);
	jwrite_member_text(&w, "script", ask->script);
	jwrite_member_text(&w, "verifier", verifier);
	put_text(&w, "name", name.len > 0 ? name : STR("authorized"));
	copy_members(&w, args);
	if (data != NULL) {
		jwrite_key(&w, "data");
		jwrite_jval(&w, data);
	}
	jwrite_object_end(&w);
	seal_put(a->seal, str_of(f->what),
	    (struct str){f->plain.data, f->plain.len}, &f->sealed);

	f->op.what = STORE_RECORD_PUT;
	f->op.sealed = (struct str){f->sealed.data, f->sealed.len};
	f->op.expires_unix_ms = clock_unix_ms() + STATE_LIFE_MS;
	f->op.max = STATES_MAX;
	(void)submit(f, &f->op.op, STORE_OP_RECORD, on_begun);
	wipe(state);
	wipe(verifier);
	free(key);
	buf_free(&challenge);
}

/* ---- the browser comes back
 * ------------------------------------------------------ */

static void
on_delivered(struct store_op *op)
{
	struct flow *f = op->cookie;

	if (op->rc == -1) {
		fail(f, 503, "Please try again", &op->err);
		return;
	}
	log_info("authorization came back",
	    LOG_STR("integration", f->integration),
	    LOG_STR("script", f->script),
	    LOG_INT("delivery", f->append.ret_id));
	if (f->a->stopped)
		ingress_ui_free(f->ui);
	else
		app_sentry_show(f->ui, 200, "Thank you",
		    "The authorization has arrived. You can close this page.",
		    NULL);
	flow_free(f);
}

/* The code is kept: have on_oauth run. */
static void
on_kept(struct store_op *op)
{
	struct flow *f = op->cookie;
	struct jdoc doc = {0};
	struct jwrite w = jwrite_begin(&f->body, 0);
	const struct jval *data = NULL;

	free(f->op.ret_sealed);
	if (op->rc == -1) {
		fail(f, 503, "Please try again", &op->err);
		return;
	}
	if (jdoc_parse(&doc, f->plain.data, f->plain.len, NULL, NULL) == 0)
		data = jdoc_gets(jdoc_root(&doc), "data");
	jwrite_object(&w);
	jwrite_member_text(&w, "action", f->name);
	jwrite_key(&w, "data");
	jwrite_object(&w);
	jwrite_member_text(&w, "flow", f->key);
	if (data != NULL) {
		jwrite_key(&w, "data");
		jwrite_jval(&w, data);
	}
	jwrite_object_end(&w);
	jwrite_object_end(&w);
	jdoc_free(&doc);

	f->job = (struct store_new_job){
	    .script = f->script, .handler = CATALOG_ON_OAUTH};
	f->append = (struct store_append){
	    .state = STORE_PENDING,
	    .integration = f->integration,
	    .channel = CATALOG_OAUTH,
	    .resource = CATALOG_OAUTH,
	    .action = f->name,
	    .headers_json = STR("{}"),
	    .body = {f->body.data, f->body.len},
	    .received_unix_ms = clock_unix_ms(),
	    .jobs = &f->job,
	    .njobs = 1,
	};
	(void)submit(f, &f->append.op, STORE_OP_APPEND, on_delivered);
}

static char *
text_of(const struct jval *object, const char *key)
{
	struct str s = jdoc_get_str(object, key);

	return s.len == 0 || memchr(s.data, '\0', s.len) != NULL
		   ? NULL
		   : mem_strndup(s.data, s.len);
}

/* Keep the code under a number of its own.  Consumes ${f}. */
static void
keep_code(struct flow *f)
{
	struct jdoc doc = {0};
	const struct jval *root;
	struct buf plain = BUF_INIT;
	char id[2 * ID_BYTES + 1];
	struct jwrite w;

	if (jdoc_parse(&doc, f->plain.data, f->plain.len, NULL, NULL) == -1) {
		jdoc_free(&doc);
		flow_free(f);
		return;
	}
	root = jdoc_root(&doc);
	f->script = text_of(root, "script");
	f->name = text_of(root, "name");
	random_hex(id, ID_BYTES);
	free(f->key);
	free(f->what);
	f->key = mem_strdup(id);
	f->what = mem_printf("%s/%s/%s", FLOW_KIND, f->integration, id);

	w = jwrite_begin(&plain, 0);
	jwrite_object(&w);
	jwrite_member_text(&w, "code", f->code);
	put_text(&w, "code_verifier", jdoc_get_str(root, "verifier"));
	put_text(&w, "script", jdoc_get_str(root, "script"));
	copy_members(&w, root);
	jwrite_object_end(&w);
	buf_reset(&f->sealed);
	seal_put(f->a->seal, str_of(f->what),
	    (struct str){plain.data, plain.len}, &f->sealed);
	wipe_buf(&plain);
	jdoc_free(&doc);

	f->op = (struct store_record){
	    .what = STORE_RECORD_PUT,
	    .integration = f->integration,
	    .kind = FLOW_KIND,
	    .key = str_of(f->key),
	    .sealed = {f->sealed.data, f->sealed.len},
	    .expires_unix_ms = clock_unix_ms() + FLOW_LIFE_MS,
	    .max = FLOWS_MAX,
	};
	(void)submit(f, &f->op.op, STORE_OP_RECORD, on_kept);
}

static void
log_refused(const struct flow *f, const char *why)
{
	log_warn("authorization refused",
	    LOG_STR("integration", f->integration), LOG_STR("error", why));
}

/* The state is used up, whatever follows. */
static void
on_taken(struct store_op *op)
{
	struct flow *f = op->cookie;
	struct str sealed = {f->op.ret_sealed, f->op.ret_sealedlen};
	struct err err = ERR_INIT;

	if (op->rc == -1) {
		free(f->op.ret_sealed);
		fail(f, 503, "Please try again", &op->err);
		return;
	}
	if (!f->op.ret_done || sealed.data == NULL ||
	    seal_get(f->a->seal, str_of(f->what), sealed, &f->plain, &err) ==
		-1) {
		free(f->op.ret_sealed);
		log_refused(f, "its state is unknown, used, or too old");
		err = (struct err)ERR_INIT;
		(void)err_set(&err, ERR_NOT_FOUND,
		    "This address was used before, or it is older than 10 "
		    "minutes. Ask for a new one.");
		fail(f, 400, "This link is not valid any more", &err);
		return;
	}
	free(f->op.ret_sealed);
	if (f->code == NULL) {
		log_refused(f, buf_text(&f->body));
		(void)err_set(&err, ERR_UNAUTH,
		    "The authorization was not given (%s).",
		    buf_text(&f->body));
		fail(f, 400, "Nothing was authorized", &err);
		return;
	}
	keep_code(f);
}

void
app_sentry_oauth_callback(struct app_sentry *a, struct ingress_ui *ui)
{
	struct jdoc doc = {0};
	const struct jval *query = NULL;
	char *state, *code, *error, *key;
	struct str visible;
	struct flow *f;

	if (jdoc_parse(&doc, ui->request.data, ui->request.len, NULL, NULL) ==
	    0)
		query = jdoc_root(&doc);
	state = text_of(query, "state");
	code = text_of(query, "code");
	error = text_of(query, "error");
	jdoc_free(&doc);
	if (state == NULL || (code == NULL && error == NULL)) {
		app_sentry_show(ui, 400, "This is not the end of a flow",
		    "A browser comes here with state and code, when somebody "
		    "has allowed something.",
		    NULL);
	} else {
		key = key_of(state);
		f = flow_create(a, ui->integration, STATE_KIND, key);
		f->ui = ui;
		if (error == NULL) {
			hide(a, code);
			f->code = code;
			code = NULL;
		} else {
			visible = str_of(error);
			if (visible.len > 100)
				visible.len = 100;
			str_put_visible(&f->body, visible);
		}
		f->op.what = STORE_RECORD_TAKE;
		(void)submit(f, &f->op.op, STORE_OP_RECORD, on_taken);
		free(key);
	}
	wipe(state);
	wipe(code);
	free(error);
}

/* ---- the script takes the code
 * ------------------------------------------------- */

static void
on_found(struct store_op *op)
{
	struct flow *f = op->cookie;
	struct str sealed = {f->op.ret_sealed, f->op.ret_sealedlen}, script;
	struct jdoc doc = {0};
	struct err err = ERR_INIT;
	struct buf out = BUF_INIT;
	struct jwrite w;

	if (op->rc == -1) {
		err = op->err;
	} else if (sealed.data == NULL) {
		(void)err_set(&err, ERR_NOT_FOUND,
		    "the code of this flow is gone: it is kept for an hour");
	} else if (seal_get(f->a->seal, str_of(f->what), sealed, &f->plain,
		       &err) == 0 &&
		   jdoc_parse(&doc, f->plain.data, f->plain.len, NULL, &err) ==
		       0) {
		script = jdoc_get_str(jdoc_root(&doc), "script");
		if (!str_eq(script, str_of(f->ask->script)))
			(void)err_set(&err, ERR_UNAUTH,
			    "another script has begun this flow");
	}
	free(f->op.ret_sealed);
	if (err.code != ERR_NONE) {
		jdoc_free(&doc);
		fail(f, 0, NULL, &err);
		return;
	}
	w = jwrite_begin(&out, 0);
	jwrite_object(&w);
	put_text(&w, "code", jdoc_get_str(jdoc_root(&doc), "code"));
	put_text(&w, "code_verifier",
	    jdoc_get_str(jdoc_root(&doc), "code_verifier"));
	copy_members(&w, jdoc_root(&doc));
	jwrite_object_end(&w);
	dispatch_answer(f->ask, (struct str){out.data, out.len}, NULL);
	wipe_buf(&out);
	jdoc_free(&doc);
	flow_free(f);
}

void
app_sentry_oauth_flow(
    struct app_sentry *a, struct dispatch_ask *ask, const struct jval *args)
{
	char *id = text_of(args, "flow");
	struct flow *f =
	    flow_create(a, ask->integration, FLOW_KIND, id == NULL ? "" : id);

	f->ask = ask;
	f->op.what = STORE_RECORD_GET;
	(void)submit(f, &f->op.op, STORE_OP_RECORD, on_found);
	free(id);
}
