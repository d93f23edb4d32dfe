#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/proto.h"
#include "wire/source.h"
#include "json/jdoc.h"
#include "json/jwrite.h"

#include "dispatch/version.h"

/* What begins the line behind the text of a script that is kept. */
#define TRAILER "\n-- moonpost: "

/* A script, its trailer with hundreds of names. */
#define MAX_KEPT (SOURCE_MAX_FILE + (1U << 20))

#define HASH_DIGITS 16

struct version *
version_create(struct source *source, const struct source_file *file)
{
	struct version *v = mem_zalloc(sizeof(*v));

	v->refs = 1;
	v->source = source_ref(source);
	v->file = file;
	return v;
}

struct version *
version_ref(struct version *v)
{
	if (v != NULL)
		v->refs++;
	return v;
}

static void
free_names(char **names, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

void
version_unref(struct version *v)
{
	if (v == NULL || --v->refs > 0)
		return;
	free_names(v->handlers, v->nhandlers);
	free_names(v->libs, v->nlibs);
	free(v->declared);
	source_unref(v->source);
	free(v);
}

static char **
copy_names(char *const *names, size_t n)
{
	char **copy = mem_array(n + 1, sizeof(*copy));
	size_t i;

	for (i = 0; i < n; i++)
		copy[i] = mem_strdup(names[i]);
	return copy;
}

/* Name the version after all that it consists of. */
static void
set_id(struct version *v)
{
	const struct source_file *lib;
	uint64_t hash = v->file->hash;
	size_t i;

	for (i = 0; i < v->nlibs; i++) {
		lib = source_lib(v->source, v->libs[i]);
		if (lib != NULL)
			hash = hash * 31 + lib->hash;
	}
	(void)snprintf(v->id, sizeof(v->id), "%012" PRIx64,
	    (hash ^ hash >> 48) & 0xffffffffffffU);
}

void
version_set_loaded(struct version *v, const struct proto_loaded *loaded)
{
	free_names(v->handlers, v->nhandlers);
	free_names(v->libs, v->nlibs);
	free(v->declared);
	v->handlers = copy_names(loaded->handlers, loaded->nhandlers);
	v->nhandlers = loaded->nhandlers;
	v->libs = copy_names(loaded->libs, loaded->nlibs);
	v->nlibs = loaded->nlibs;
	v->declared = mem_strdup(loaded->declared);
	set_id(v);
}

int
version_has_handler(const struct version *v, const char *handler)
{
	size_t i;

	for (i = 0; i < v->nhandlers; i++)
		if (strcmp(v->handlers[i], handler) == 0)
			return 1;
	return 0;
}

int
version_same(const struct version *v, const struct source *source,
    const struct source_file *file, int whole)
{
	const struct source_file *a, *b;
	size_t i, na, nb;

	if (!source_file_same(v->file, file))
		return 0;
	if (!whole) {
		for (i = 0; i < v->nlibs; i++)
			if (!source_file_same(source_lib(v->source, v->libs[i]),
				source_lib(source, v->libs[i])))
				return 0;
		return 1;
	}
	a = source_libs(v->source, &na);
	b = source_libs(source, &nb);
	if (na != nb || v->file->saved_ns != file->saved_ns)
		return 0;
	for (i = 0; i < na; i++)
		if (strcmp(a[i].name, b[i].name) != 0 ||
		    !source_file_same(&a[i], &b[i]))
			return 0;
	return 1;
}

/* ---- on disk ---------------------------------------------------------- */

/* The folder of an integration. */
static char *
folder(const char *data_dir, const char *integration)
{
	return mem_printf("%s/scripts/%s", data_dir, integration);
}

static void
put_lib_name(struct buf *out, uint64_t hash, const char *name)
{
	buf_printf(out, "%016" PRIx64 "-%s.lua", hash, name);
}

static int
save_libs(const struct version *v, const char *dir, struct err *err)
{
	const struct source_file *lib;
	struct buf path = BUF_INIT;
	size_t i;
	int rc = 0;

	for (i = 0; i < v->nlibs && rc == 0; i++) {
		lib = source_lib(v->source, v->libs[i]);
		if (lib == NULL)
			continue;
		buf_reset(&path);
		buf_printf(&path, "%s/lib/", dir);
		put_lib_name(&path, lib->hash, lib->name);

		/* The name says what is in it: what is there is right. */
		if (access(path.data, F_OK) == -1)
			rc = file_replace(path.data, lib->text.data,
			    lib->text.len, 0600, err);
	}
	buf_free(&path);
	return rc;
}

static void
put_trailer(const struct version *v, struct buf *out)
{
	const struct source_file *lib;
	struct buf name = BUF_INIT;
	struct jwrite w;
	size_t i;

	buf_puts(out, TRAILER);
	w = jwrite_begin(out, 0);
	jwrite_object(&w);
	jwrite_member_text(&w, "chunk", v->file->chunk);
	jwrite_member_int(&w, "length", (int64_t)v->file->text.len);
	jwrite_key(&w, "handlers");
	jwrite_array(&w);
	for (i = 0; i < v->nhandlers; i++)
		jwrite_text(&w, v->handlers[i]);
	jwrite_array_end(&w);
	jwrite_key(&w, "libs");
	jwrite_array(&w);
	for (i = 0; i < v->nlibs; i++) {
		lib = source_lib(v->source, v->libs[i]);
		if (lib == NULL)
			continue;
		buf_reset(&name);
		put_lib_name(&name, lib->hash, lib->name);
		jwrite_text(&w, name.data);
	}
	jwrite_array_end(&w);
	if (v->declared != NULL)
		jwrite_member_text(&w, "declared", v->declared);
	jwrite_object_end(&w);
	buf_putc(out, '\n');
	buf_free(&name);
}

int
version_save(const struct version *v, const char *data_dir,
    const char *integration, struct err *err)
{
	char *dir = folder(data_dir, integration);
	char *lib = mem_printf("%s/lib", dir);
	char *path = mem_printf("%s/%s.lua", dir, v->file->name);
	struct buf text = BUF_INIT, old = BUF_INIT;
	int rc = -1;

	buf_put(&text, v->file->text.data, v->file->text.len);
	put_trailer(v, &text);
	if (file_read(path, MAX_KEPT, &old, NULL) == 0 &&
	    str_eq((struct str){text.data, text.len},
		(struct str){old.data, old.len})) {
		rc = 0;
		goto out;
	}

	/* The libs first: the script's file says that they are there. */
	if (file_make_dir(lib, 0700, err) == 0 && save_libs(v, dir, err) == 0 &&
	    file_replace(path, text.data, text.len, 0600, err) == 0)
		rc = 0;

out:
	buf_free(&text);
	buf_free(&old);
	free(path);
	free(lib);
	free(dir);
	return rc;
}

/* What was read of a script that was kept. */
struct kept {
	struct buf bytes;
	struct jdoc doc; /* Of its trailer; borrows from the bytes. */
	struct str text;
	const struct jval *handlers;
	const struct jval *libs;
};

static void
kept_free(struct kept *k)
{
	jdoc_free(&k->doc);
	buf_free(&k->bytes);
}

static int
all_strings(const struct jval *array)
{
	size_t i;

	if (array == NULL || jval_kind(array) != JDOC_ARRAY)
		return 0;
	for (i = 0; i < array->len; i++)
		if (jval_kind(jdoc_at(array, i)) != JDOC_STRING)
			return 0;
	return 1;
}

static int
kept_read(const char *path, struct kept *k, struct err *err)
{
	const struct jval *root, *length;
	const char *at = NULL, *next;
	size_t offset;

	if (file_read(path, MAX_KEPT, &k->bytes, err) == -1)
		return -1;

	/* The last one counts: the text may hold anything. */
	for (next = k->bytes.data; next != NULL;) {
		next =
		    memmem(next, k->bytes.len - (size_t)(next - k->bytes.data),
			TRAILER, strlen(TRAILER));
		if (next != NULL)
			at = next++;
	}
	if (at == NULL)
		goto damaged;
	next = at + strlen(TRAILER);
	if (jdoc_parse(&k->doc, next,
		k->bytes.len - (size_t)(next - k->bytes.data), &offset,
		NULL) == -1)
		goto damaged;
	root = jdoc_root(&k->doc);
	if (jval_kind(root) != JDOC_OBJECT)
		goto damaged;
	length = jdoc_gets(root, "length");
	k->handlers = jdoc_gets(root, "handlers");
	k->libs = jdoc_gets(root, "libs");
	if (length == NULL || jval_kind(length) != JDOC_INT ||
	    length->v.i != at - k->bytes.data || !all_strings(k->handlers) ||
	    !all_strings(k->libs) || jdoc_get_str(root, "chunk").data == NULL)
		goto damaged;
	k->text = (struct str){k->bytes.data, (size_t)length->v.i};
	return 0;

damaged:
	return err_set(err, ERR_INVALID, "%s is damaged: delete it", path);
}

static char **
texts_of(const struct jval *array, size_t *ret_n)
{
	char **texts = mem_array(array->len + 1, sizeof(*texts));
	struct str s;
	size_t i;

	for (i = 0; i < array->len; i++) {
		s = jval_str(jdoc_at(array, i));
		texts[i] = mem_strndup(s.data, s.len);
	}
	*ret_n = array->len;
	return texts;
}

/* Read a lib that was kept as ${file}; name and text are to be freed. */
static int
read_lib(const char *dir, const char *file, struct source_file *ret_lib,
    struct err *err)
{
	struct buf text = BUF_INIT;
	size_t len = strlen(file);
	char *path;
	int rc = -1;

	if (len <= HASH_DIGITS + strlen("-.lua") || strchr(file, '/') != NULL)
		return err_set(err, ERR_INVALID, "%s: no name of a lib", file);
	path = mem_printf("%s/lib/%s", dir, file);
	if (file_read(path, SOURCE_MAX_FILE, &text, err) == -1)
		goto out;
	ret_lib->name = mem_strndup(
	    file + HASH_DIGITS + 1, len - HASH_DIGITS - strlen("-.lua"));
	ret_lib->chunk = ret_lib->name;
	ret_lib->text.len = text.len;
	ret_lib->text.data = buf_take(&text);
	rc = 0;

out:
	buf_free(&text);
	free(path);
	return rc;
}

static void
free_lib(struct source_file *lib)
{
	free((char *)(uintptr_t)lib->name);
	free((char *)(uintptr_t)lib->text.data);
}

int
version_load(const char *data_dir, const char *integration, const char *name,
    struct version **ret_version, struct err *err)
{
	char *dir = folder(data_dir, integration);
	char *path = mem_printf("%s/%s.lua", dir, name);
	struct source_file script = {.name = name};
	struct source_file *libs = NULL;
	struct kept kept = {0};
	struct source *source;
	struct version *v;
	char **files = NULL, *chunk = NULL;
	size_t i, nread = 0, nfiles = 0;
	struct str s;
	int rc = -1;

	if (kept_read(path, &kept, err) == -1)
		goto out;
	s = jdoc_get_str(jdoc_root(&kept.doc), "chunk");
	script.chunk = chunk = mem_strndup(s.data, s.len);
	script.text = kept.text;
	files = texts_of(kept.libs, &nfiles);
	libs = mem_array(nfiles + 1, sizeof(*libs));
	for (; nread < nfiles; nread++)
		if (read_lib(dir, files[nread], &libs[nread], err) == -1)
			goto out;

	source = source_make(&script, libs, nread);
	v = version_create(source, source_script(source, name));
	source_unref(source);
	v->handlers = texts_of(kept.handlers, &v->nhandlers);
	s = jdoc_get_str(jdoc_root(&kept.doc), "declared");
	if (s.data != NULL)
		v->declared = mem_strndup(s.data, s.len);
	v->nlibs = nread;
	v->libs = mem_array(nread + 1, sizeof(*v->libs));
	for (i = 0; i < nread; i++)
		v->libs[i] = mem_strdup(libs[i].name);
	set_id(v);
	*ret_version = v;
	rc = 0;

out:
	for (i = 0; i < nread; i++)
		free_lib(&libs[i]);
	free(libs);
	free_names(files, nfiles);
	free(chunk);
	kept_free(&kept);
	free(path);
	free(dir);
	return rc;
}

/* Whether ${name} ends in ${suffix}; *${ret_stem} is what stands before. */
static int
cut_suffix(const char *name, const char *suffix, char **ret_stem)
{
	size_t len = strlen(name), n = strlen(suffix);

	if (len <= n || strcmp(name + len - n, suffix) != 0)
		return 0;
	*ret_stem = mem_strndup(name, len - n);
	return 1;
}

/* Forget the scripts that are gone; collect in ${used} what the others need. */
static void
sweep_scripts(const char *dir, const struct source *source, struct buf *used)
{
	const struct dirent *entry;
	struct kept kept;
	struct str s;
	char *stem, *path;
	size_t i;
	DIR *d = opendir(dir);

	while (d != NULL && (entry = readdir(d)) != NULL) {
		/* Who is paused stays so: its jobs wait, and it may be back. */
		if (!cut_suffix(entry->d_name, ".lua", &stem))
			continue;
		path = mem_printf("%s/%s", dir, entry->d_name);
		(void)memset(&kept, 0, sizeof(kept));
		if (source_script(source, stem) == NULL) {
			(void)unlink(path);
		} else if (kept_read(path, &kept, NULL) == 0) {
			for (i = 0; i < kept.libs->len; i++) {
				s = jval_str(jdoc_at(kept.libs, i));
				buf_putc(used, '/');
				buf_put(used, s.data, s.len);
				buf_putc(used, '/');
			}
		}
		kept_free(&kept);
		free(path);
		free(stem);
	}
	if (d != NULL)
		(void)closedir(d);
}

void
version_sweep(
    const char *data_dir, const char *integration, const struct source *source)
{
	char *dir = folder(data_dir, integration);
	char *lib = mem_printf("%s/lib", dir);
	struct buf used = BUF_INIT;
	const struct dirent *entry;
	char *path, *key;
	DIR *d;

	sweep_scripts(dir, source, &used);
	d = opendir(lib);
	while (d != NULL && (entry = readdir(d)) != NULL) {
		key = mem_printf("/%s/", entry->d_name);
		path = mem_printf("%s/%s", lib, entry->d_name);
		if (entry->d_name[0] != '.' &&
		    strstr(buf_text(&used), key) == NULL)
			(void)unlink(path);
		free(path);
		free(key);
	}
	if (d != NULL)
		(void)closedir(d);
	buf_free(&used);
	free(lib);
	free(dir);
}

int
version_is_paused(
    const char *data_dir, const char *integration, const char *name)
{
	char *path =
	    mem_printf("%s/scripts/%s/%s.paused", data_dir, integration, name);
	int there = access(path, F_OK) == 0;

	free(path);
	return there;
}

int
version_set_paused(const char *data_dir, const char *integration,
    const char *name, int paused, struct err *err)
{
	char *dir = folder(data_dir, integration);
	char *path = mem_printf("%s/%s.paused", dir, name);
	int rc = -1;

	if (paused) {
		if (file_make_dir(dir, 0700, err) == 0)
			rc = file_replace(path, "", 0, 0600, err);
	} else if (unlink(path) == 0 || errno == ENOENT) {
		rc = file_sync_dir(dir, NULL) == 0 || errno == ENOENT ? 0 : -1;
		if (rc == -1)
			(void)err_set(err, ERR_UNAVAILABLE,
			    "cannot write to %s: %s", dir, strerror(errno));
	} else {
		(void)err_set(err, ERR_UNAVAILABLE, "cannot delete %s: %s",
		    path, strerror(errno));
	}
	free(path);
	free(dir);
	return rc;
}
