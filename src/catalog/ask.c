#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "schedule/ask.h"
#include "json/jdoc.h"
#include "json/jwrite.h"

#include "catalog/ask.h"
#include "catalog/catalog.h"

static void
tell_resource(const struct catalog *catalog, const char *name, struct buf *out)
{
	const struct catalog_resource *r = catalog_find(catalog, str_of(name));
	struct jwrite w = jwrite_begin(out, 0);
	const char *const *handlers;
	size_t i, n;

	if (r != NULL) {
		handlers = r->handlers;
		n = r->nhandlers;
	} else {
		handlers = catalog_fallback_handlers(&n);
	}
	jwrite_object(&w);
	jwrite_member_text(&w, "resource", name);
	jwrite_member_text(&w, "channel", r == NULL ? NULL : r->channel);
	jwrite_key(&w, "known");
	jwrite_bool(&w, r != NULL);
	jwrite_key(&w, "fires");
	jwrite_bool(&w, r != NULL && r->fires);
	jwrite_key(&w, "handlers");
	jwrite_array(&w);
	for (i = 0; i < n; i++)
		jwrite_text(&w, handlers[i]);
	jwrite_array_end(&w);
	jwrite_object_end(&w);
}

static int
tell_check(const struct catalog *catalog, const char *name, const char *body,
    struct buf *out, struct err *err)
{
	const struct catalog_resource *r = catalog_find(catalog, str_of(name));
	struct catalog_violation violation;
	struct jwrite w = jwrite_begin(out, 0);
	struct jdoc doc = {0};
	size_t offset;
	int rc = -1;

	if (body == NULL)
		return err_set(err, ERR_INVALID, "there is no body to check");
	if (jdoc_parse(&doc, body, strlen(body), &offset, err) == -1) {
		(void)err_prefix(err, "the body is not JSON");
		goto out;
	}
	jwrite_object(&w);
	if (r != NULL && catalog_check(catalog, r, &doc, &violation) == -1) {
		jwrite_member_text(&w, "pointer", violation.pointer);
		jwrite_member_text(&w, "message", violation.message);
	}
	jwrite_object_end(&w);
	rc = 0;

out:
	jdoc_free(&doc);
	return rc;
}

static int
tell_due(
    const char *after, const char *declared, char **ret_json, struct err *err)
{
	uint64_t after_s;

	if (str_parse_u64(str_of(after), INT64_MAX, &after_s) == -1)
		return err_set(err, ERR_INVALID, "'%.100s' is no time", after);
	return schedule_ask(declared, (int64_t)after_s, ret_json, err);
}

int
catalog_ask(const struct catalog *catalog, const char *question,
    const char *body, char **ret_json, struct err *err)
{
	const char *colon = strchr(question, ':');
	struct str what;
	struct buf out = BUF_INIT;
	int rc = 0;

	if (colon == NULL)
		return err_set(
		    err, ERR_INVALID, "no such question: '%.100s'", question);
	what = (struct str){question, (size_t)(colon - question)};
	if (str_eq(what, STR("due")))
		return tell_due(colon + 1, body, ret_json, err);
	if (str_eq(what, STR("resource")))
		tell_resource(catalog, colon + 1, &out);
	else if (str_eq(what, STR("sample")))
		rc = catalog_sample(catalog, colon + 1, &out, err);
	else if (str_eq(what, STR("check")))
		rc = tell_check(catalog, colon + 1, body, &out, err);
	else
		rc = err_set(
		    err, ERR_INVALID, "no such question: '%.100s'", question);
	if (rc == 0)
		*ret_json = buf_take(&out);
	buf_free(&out);
	return rc;
}
