/*
 * The official draft-07 suite, where its files are at hand
 * (MOONPOST_SHARED/suites/json-schema-draft7, ../shared by default), and our
 * own cases in the same form, which always are.
 */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/file.h"
#include "schema/schema.h"
#include "json/jdoc.h"

static unsigned int ran, failed;

static void
run_group(const char *file, const struct jval *group)
{
	const struct jval *tests = jdoc_gets(group, "tests"), *test;
	struct str name = jdoc_get_str(group, "description"), what;
	const struct jval *root = jdoc_gets(group, "schema");
	struct schema_violation violation;
	struct schema *schema;
	struct err err;
	int want, got;
	uint32_t i;

	ran++;
	if (schema_compile(root, root, &schema, &err) == -1) {
		failed++;
		cr_log_error(
		    "%s: %.*s: %s", file, (int)name.len, name.data, err.msg);
		return;
	}
	for (i = 0; i < tests->len; i++) {
		test = jdoc_at(tests, i);
		what = jdoc_get_str(test, "description");
		want = jval_kind(jdoc_gets(test, "valid")) == JDOC_TRUE;
		memset(&violation, 0, sizeof(violation));
		got = schema_check(
			  schema, jdoc_gets(test, "data"), &violation) == 0;
		ran++;
		if (got != want) {
			failed++;
			cr_log_error("%s: %.*s: %.*s: %s, %s %s", file,
			    (int)name.len, name.data, (int)what.len, what.data,
			    got ? "accepted" : "refused", violation.pointer,
			    violation.message);
		} else if (!got && violation.message[0] == '\0') {
			failed++;
			cr_log_error("%s: refused without a message", file);
		}
	}
	schema_free(schema);
}

static int
run_file(const char *dir, const char *file)
{
	struct buf path = BUF_INIT, text = BUF_INIT;
	struct jdoc doc = {0};
	struct err err;
	uint32_t i;
	int found;

	buf_printf(&path, "%s/%s", dir, file);
	found = file_read(buf_text(&path), 64U << 20, &text, &err) == 0;
	if (found) {
		cr_assert_eq(jdoc_parse(&doc, text.data, text.len, NULL, &err),
		    0, "%s: %s", file, err.msg);
		for (i = 0; i < jdoc_root(&doc)->len; i++)
			run_group(file, jdoc_at(jdoc_root(&doc), i));
		jdoc_free(&doc);
	}
	buf_free(&path);
	buf_free(&text);
	return found;
}

static const char *
suite(void)
{
	static char dir[1000];
	const char *shared = getenv("MOONPOST_SHARED");

	(void)snprintf(dir, sizeof(dir), "%s/suites/json-schema-draft7",
	    shared != NULL ? shared : "../shared");
	return dir;
}

static int
is_json(const struct dirent *e)
{
	const char *dot = strrchr(e->d_name, '.');

	/* Remote references are not followed. */
	return dot != NULL && strcmp(dot, ".json") == 0 &&
	       strcmp(e->d_name, "refRemote.json") != 0;
}

static void
run_all(const char *dir)
{
	struct dirent **list;
	int i, n;

	n = scandir(dir, &list, is_json, alphasort);
	for (i = 0; i < n; i++) {
		cr_expect(run_file(dir, list[i]->d_name));
		free(list[i]);
	}
	if (n >= 0)
		free(list);
}

Test(schema_suite, our_own_cases_pass)
{
	run_all("tests/unit/schema");
	cr_expect_gt(ran, 100);
	cr_expect_eq(failed, 0);
}

Test(schema_suite, the_official_suite_passes)
{
	run_all(suite());
	cr_log_info("%u ran, %u failed", ran, failed);
	cr_expect_eq(failed, 0);
}

/*
 * Optional files that do not apply: content (an annotation), cross-draft
 * (remote); formats that are annotations: idn-email, idn-hostname, iri,
 * iri-reference, json-pointer, regex (and its ecmascript-regex),
 * relative-json-pointer, uri-reference, uri-template.
 */
Test(schema_suite, the_optional_files_that_apply_pass)
{
	static const char *const files[] = {"optional/bignum.json",
	    "optional/ecmascript-regex.json", "optional/float-overflow.json",
	    "optional/id.json", "optional/non-bmp-regex.json",
	    "optional/unknownKeyword.json", "optional/format/date-time.json",
	    "optional/format/date.json", "optional/format/email.json",
	    "optional/format/hostname.json", "optional/format/ipv4.json",
	    "optional/format/ipv6.json", "optional/format/time.json",
	    "optional/format/unknown.json", "optional/format/uri.json"};
	size_t i;

	for (i = 0; i < NELEMS(files); i++)
		(void)run_file(suite(), files[i]);
	cr_log_info("%u ran, %u failed", ran, failed);
	cr_expect_eq(failed, 0);
}
