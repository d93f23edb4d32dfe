#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/config.h"
#include "ingress/ingress.h"
#include "sentry/grant.h"
#include "sentry/tokens.h"
#include "json/jdoc.h"

#include "app/sentry_internal.h"

/* Append text as HTML has it. */
static void
put_html(struct buf *out, const char *s)
{
	for (; *s != '\0'; s++) {
		switch (*s) {
		case '&':
			buf_puts(out, "&amp;");
			break;
		case '<':
			buf_puts(out, "&lt;");
			break;
		case '>':
			buf_puts(out, "&gt;");
			break;
		case '"':
			buf_puts(out, "&quot;");
			break;
		default:
			buf_putc(out, *s);
			break;
		}
	}
}

void
app_sentry_show(struct ingress_ui *ui, int status, const char *title,
    const char *text, const char *detail)
{
	struct buf *out = &ui->body;

	buf_puts(out, "<!DOCTYPE html>\n<html lang=\"en\"><head>"
		      "<meta charset=\"utf-8\"><meta name=\"viewport\" "
		      "content=\"width=device-width\"><title>");
	put_html(out, title);
	buf_puts(out, "</title><style>body{font:16px/1.5 system-ui,sans-serif;"
		      "max-width:36em;margin:4em auto;padding:0 1em;"
		      "color:#222;background:#fff}code{color:#555}"
		      "@media(prefers-color-scheme:dark){body{color:#eee;"
		      "background:#181818}code{color:#aaa}}</style></head>"
		      "<body><h1>");
	put_html(out, title);
	buf_puts(out, "</h1><p>");
	put_html(out, text);
	buf_puts(out, "</p>");
	if (detail != NULL) {
		buf_puts(out, "<p><code>");
		put_html(out, detail);
		buf_puts(out, "</code></p>");
	}
	buf_puts(out, "</body></html>\n");
	ui->status = status;
	ui->is_page = 1;
	ingress_ui_return(ui);
}

/* ---- GET /setup
 * ----------------------------------------------------------------- */

/* A person who has just installed the integration. */
struct setup {
	struct app_sentry *a;
	struct ingress_ui *ui;
	char *org;
};

static char *
text_of(const struct jval *object, const char *key)
{
	struct str s = jdoc_get_str(object, key);

	return s.len == 0 || memchr(s.data, '\0', s.len) != NULL
		   ? NULL
		   : mem_strndup(s.data, s.len);
}

/* Where Sentry shows what is installed. */
static char *
settings_url(struct app_sentry *a, const struct setup *s, const char *app_slug)
{
	const struct config_integration *in =
	    config_find_integration(a->latest, s->ui->integration);

	if (a->latest->setup_redirect != NULL)
		return mem_strdup(a->latest->setup_redirect);
	return mem_printf("%s/settings/%s/sentry-apps/%s%s",
	    in == NULL ? "https://sentry.io" : in->sentry_url, s->org,
	    app_slug == NULL ? "" : app_slug, app_slug == NULL ? "" : "/");
}

static void
on_set_up(
    void *cookie, const struct tokens_installation *in, const struct err *err)
{
	struct setup *s = cookie;
	struct ingress_ui *ui = s->ui;
	int may_pass = err != NULL && err->code != ERR_UNAUTH &&
		       err->code != ERR_NOT_FOUND && err->code != ERR_INVALID;

	if (s->a->stopped) {
		ingress_ui_free(ui);
	} else if (in != NULL) {
		ui->status = 302;
		ui->is_page = 1;
		ui->location = settings_url(s->a, s, in->app_slug);
		ingress_ui_return(ui);
	} else {
		log_warn("setup failed",
		    LOG_STR("integration", ui->integration),
		    LOG_STR("error", err->msg));
		app_sentry_show(ui, may_pass ? 503 : 502,
		    "The installation is not finished",
		    may_pass ? "Something between moonpost and Sentry did not "
			       "work. Reload this page in a minute."
			     : "Sentry did not accept the installation. "
			       "Uninstall the integration in Sentry, and "
			       "install it again.",
		    err->msg);
	}
	free(s->org);
	free(s);
}

void
app_sentry_setup(struct app_sentry *a, struct ingress_ui *ui)
{
	struct jdoc doc = {0};
	struct tokens_ask ask = {.what = TOKENS_INSTALL,
	    .integration = ui->integration,
	    .done = on_set_up};
	char *code = NULL, *uuid = NULL, *org = NULL;
	const struct jval *query = NULL;
	struct setup *s;

	if (jdoc_parse(&doc, ui->request.data, ui->request.len, NULL, NULL) ==
	    0)
		query = jdoc_root(&doc);
	code = text_of(query, "code");
	uuid = text_of(query, "installationId");
	org = text_of(query, "orgSlug");
	jdoc_free(&doc);
	if (code == NULL || uuid == NULL || org == NULL ||
	    !grant_is_uuid(str_of(uuid)) || !grant_is_slug(str_of(org))) {
		app_sentry_show(ui, 400, "This is not how Sentry comes here",
		    "After somebody has installed the integration, Sentry "
		    "sends them to this address, with code, installationId and "
		    "orgSlug in it. One of them is missing, or is not what it "
		    "should be.",
		    NULL);
	} else if (!tokens_can_exchange(a->tokens, ui->integration)) {
		app_sentry_show(ui, 503,
		    "moonpost is not ready for installations",
		    "It needs the client id and the client secret of the "
		    "integration: SENTRY_CLIENT_ID and SENTRY_CLIENT_SECRET.",
		    NULL);
	} else {
		s = mem_zalloc(sizeof(*s));
		s->a = a;
		s->ui = ui;
		s->org = mem_strdup(org);
		ask.uuid = uuid;
		ask.code = code;
		ask.org_slug = org;
		ask.cookie = s;
		tokens_ask(a->tokens, &ask);
	}
	free(code);
	free(uuid);
	free(org);
}
