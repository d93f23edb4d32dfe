#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "catalog/catalog.h"
#include "json/jdoc.h"
#include "json/jpath.h"
#include "json/jwrite.h"

#include "sim/installs.h"
#include "sim/sender.h"
#include "sim/sim_internal.h"

#include "sim/body.h"

void
body_put_install(struct jwrite *w, const struct install *install, int with_code)
{
	jwrite_object(w);
	jwrite_key(w, "app");
	jwrite_object(w);
	jwrite_member_text(w, "uuid", BODY_APP_UUID);
	jwrite_member_text(w, "slug", BODY_APP_SLUG);
	jwrite_member_int(w, "sentryAppId", 1);
	jwrite_object_end(w);
	jwrite_key(w, "organization");
	jwrite_object(w);
	jwrite_member_text(w, "slug", install->org);
	jwrite_member_int(w, "id", 1);
	jwrite_object_end(w);
	jwrite_member_text(w, "uuid", install->uuid);
	jwrite_member_text(
	    w, "status", install->installed ? "installed" : "pending");
	if (with_code && install->code[0] != '\0')
		jwrite_member_text(w, "code", install->code);
	jwrite_object_end(w);
}

void
body_send_install(
    struct sim *sim, const struct install *install, const char *action)
{
	struct buf json = BUF_INIT;
	struct jwrite w = jwrite_begin(&json, 0);

	if (install->webhook == NULL)
		return;
	jwrite_object(&w);
	jwrite_member_text(&w, "action", action);
	jwrite_key(&w, "installation");
	jwrite_object(&w);
	jwrite_member_text(&w, "uuid", install->uuid);
	jwrite_object_end(&w);
	jwrite_key(&w, "data");
	jwrite_object(&w);
	jwrite_key(&w, "installation");
	body_put_install(&w, install, 1);
	jwrite_object_end(&w);
	jwrite_key(&w, "actor");
	jwrite_object(&w);
	jwrite_member_text(&w, "type", "user");
	jwrite_member_int(&w, "id", BODY_USER_ID);
	jwrite_member_text(&w, "name", BODY_USER_NAME);
	jwrite_object_end(&w);
	jwrite_object_end(&w);
	(void)sender_send(sim->sender, install->webhook, "installation",
	    install->published, &json, NULL, NULL);
}

/* Replace what is at a dotted path of the JSON text ${body}. */
static int
set_at(struct buf *body, struct str path, struct str json, struct err *err)
{
	struct jdoc doc = {0};
	struct buf out = BUF_INIT;
	int rc = -1;

	if (jdoc_parse(&doc, buf_text(body), body->len, NULL, err) == 0)
		rc = jpath_set(jdoc_root(&doc), path, json, &out, err);
	jdoc_free(&doc);
	if (rc == -1) {
		buf_free(&out);
		return err_prefix(
		    err, "set: %.*s", (int)(path.len % 200), path.data);
	}
	buf_free(body);
	*body = out;
	return 0;
}

void
body_set(struct buf *body, struct str path, struct buf *json)
{
	(void)set_at(body, path, (struct str){buf_text(json), json->len}, NULL);
	buf_reset(json);
}

int
body_sample(const struct sim *sim, const char *event,
    const struct install *install, const struct jval *set, struct buf *out,
    struct err *err)
{
	struct buf json = BUF_INIT;
	struct jwrite w;
	const struct jval *e;
	size_t i;
	int rc = 0;

	if (catalog_sample(sim->options.catalog, event, out, err) == -1)
		return -1;
	if (install != NULL) {
		str_put_json(&json, str_of(install->uuid));
		rc = set_at(out, STR("installation.uuid"),
		    (struct str){json.data, json.len}, err);
	}
	if (set == NULL)
		goto out;
	for (e = set + 1, i = 0; rc == 0 && i < set->len;
	     i++, e = jval_next(e + 1)) {
		buf_reset(&json);
		w = jwrite_begin(&json, 0);
		jwrite_jval(&w, e + 1);
		rc = set_at(
		    out, jval_str(e), (struct str){json.data, json.len}, err);
	}

out:
	buf_free(&json);
	return rc;
}
