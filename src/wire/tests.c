#include <sys/stat.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/proto.h"
#include "wire/remote.h"
#include "wire/source.h"
#include "json/jdoc.h"

#include "wire/tests.h"

#define SUFFIX "_test.lua"

static int
is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

int
tests_scan(const char *path, struct source **ret_source, struct err *err)
{
	const char *slash = strrchr(path, '/');
	size_t len = strlen(path);
	char *dir;
	int rc;

	if (!is_file(path))
		return source_scan(path, ret_source, err);
	if (len < strlen(SUFFIX) ||
	    strcmp(path + len - strlen(SUFFIX), SUFFIX) != 0)
		return err_set(err, ERR_INVALID,
		    "%s is not a file of tests: those are called NAME" SUFFIX,
		    path);
	dir = slash == NULL ? mem_strdup(".")
			    : mem_strndup(path, (size_t)(slash + 1 - path));
	rc = source_scan(dir, ret_source, err);
	free(dir);
	return rc;
}

static struct tests_entry *
add(struct tests *tests, const struct source_file *file)
{
	struct tests_entry *entry;

	tests->v =
	    mem_grow(tests->v, &tests->cap, tests->n + 1, sizeof(*tests->v));
	entry = &tests->v[tests->n++];
	*entry = (struct tests_entry){.file = file};
	return entry;
}

/* What a worker says of the file. */
static void
take_list(struct tests *tests, const struct source_file *file,
    const struct jval *answer, const char *only)
{
	const struct jval *list = jdoc_gets(answer, "tests"), *test, *line;
	struct str error = jdoc_get_str(answer, "error"), name;
	struct tests_entry *entry;
	char *text;
	uint32_t i;

	if (error.len > 0) {
		add(tests, file)->error = mem_strndup(error.data, error.len);
		return;
	}
	if (list == NULL || jval_kind(list) != JDOC_ARRAY || list->len == 0) {
		add(tests, file)->error =
		    mem_printf("%s defines no function test_*", file->chunk);
		return;
	}
	for (test = list + 1, i = 0; i < list->len;
	     i++, test = jval_next(test)) {
		name = jdoc_get_str(test, "name");
		line = jdoc_gets(test, "line");
		text = mem_strndup(name.data, name.len);
		if (only != NULL && strstr(text, only) == NULL &&
		    strstr(file->name, only) == NULL) {
			free(text);
			continue;
		}
		entry = add(tests, file);
		entry->name = text;
		if (line != NULL && jval_kind(line) == JDOC_INT)
			entry->line = (unsigned int)line->v.i;
	}
}

void
tests_take(struct tests *tests, const struct source_file *file,
    const char *json, const char *only)
{
	struct err err = ERR_INIT;
	struct jdoc doc = {0};

	if (jdoc_parse(&doc, json, strlen(json), NULL, &err) == 0)
		take_list(tests, file, jdoc_root(&doc), only);
	else
		add(tests, file)->error = mem_strdup(err.msg);
	jdoc_free(&doc);
}

char *
tests_failure(const char *json)
{
	const struct jval *ok;
	struct jdoc doc = {0};
	struct str message;
	char *why = NULL;

	if (jdoc_parse(&doc, json, strlen(json), NULL, NULL) == -1)
		return mem_strdup("the worker's answer makes no sense");
	ok = jdoc_gets(jdoc_root(&doc), "ok");
	if (ok == NULL || jval_kind(ok) != JDOC_TRUE) {
		message = jdoc_get_str(jdoc_root(&doc), "message");
		why = message.len > 0 ? mem_strndup(message.data, message.len)
				      : mem_strdup("it says not why");
	}
	jdoc_free(&doc);
	return why;
}

static int
list_file(struct remote *remote, const struct source *source,
    const struct source_file *file, const char *only, struct tests *tests,
    struct err *err)
{
	struct err why = ERR_INIT;
	struct proto_test test;
	char *json = NULL;
	int rc;

	if (file->error != NULL) {
		add(tests, file)->error = mem_strdup(file->error);
		return 0;
	}
	source_fill_test(source, file, &test);
	test.wall_ms = TESTS_WALL_MS;
	rc = remote_test(remote, &test, &json, &why);
	free(test.scripts);
	free(test.libs);
	if (rc == -1 && why.code == ERR_UNAVAILABLE) {
		*err = why;
		return -1;
	}
	if (rc == 0)
		tests_take(tests, file, json, only);
	else
		add(tests, file)->error = mem_strdup(why.msg);
	free(json);
	return 0;
}

/* "scripts/x_test.lua" is file "x_test". */
static int
is_of(const struct source_file *file, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash == NULL ? path : slash + 1;
	size_t len = strlen(file->name);

	return strncmp(name, file->name, len) == 0 &&
	       strcmp(name + len, ".lua") == 0;
}

int
tests_are_of(const char *name, struct str script)
{
	return strncmp(name, script.data, script.len) == 0 &&
	       strcmp(name + script.len, TESTS_SUFFIX) == 0;
}

int
tests_list(struct remote *remote, const struct source *source, const char *path,
    const char *only, struct tests *ret_tests, struct err *err)
{
	const struct source_file *files;
	int one = path != NULL && is_file(path);
	size_t i, n;

	*ret_tests = (struct tests){0};
	files = source_tests(source, &n);
	for (i = 0; i < n; i++) {
		if (one && !is_of(&files[i], path))
			continue;
		if (list_file(remote, source, &files[i], only, ret_tests,
			err) == -1) {
			tests_clear(ret_tests);
			return -1;
		}
	}
	return 0;
}

int
tests_run(struct remote *remote, const struct source *source,
    const struct tests_entry *entry, char **ret_json, struct err *err)
{
	struct proto_test test;
	int rc;

	source_fill_test(source, entry->file, &test);
	test.test = entry->name;
	test.wall_ms = TESTS_WALL_MS;
	rc = remote_test(remote, &test, ret_json, err);
	free(test.scripts);
	free(test.libs);
	return rc;
}

void
tests_clear(struct tests *tests)
{
	size_t i;

	for (i = 0; i < tests->n; i++) {
		free(tests->v[i].name);
		free(tests->v[i].error);
	}
	free(tests->v);
	*tests = (struct tests){0};
}
