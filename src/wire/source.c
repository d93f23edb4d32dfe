#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "wire/proto.h"

#include "wire/source.h"

#define SUFFIX ".lua"
#define SUFFIX_TEST "_test.lua"

struct files {
	struct source_file *v; /* Sorted by name; the texts are the arena's. */
	size_t n;
	size_t cap;
};

struct source {
	atomic_size_t refs;
	struct arena arena;
	struct files scripts;
	struct files tests;
	struct files libs;
	int has_links;
};

static struct source *
source_create(void)
{
	struct source *s = mem_zalloc(sizeof(*s));

	atomic_init(&s->refs, 1);
	return s;
}

static int
has_suffix(const char *name, size_t len, const char *suffix)
{
	size_t n = strlen(suffix);

	return len > n && strcmp(name + len - n, suffix) == 0;
}

/* Whether a name in the folder is one of a script, of a lib or of a test. */
static int
is_ours(const char *name)
{
	return name[0] != '.' && has_suffix(name, strlen(name), SUFFIX);
}

static int
is_test(const char *name)
{
	return has_suffix(name, strlen(name), SUFFIX_TEST);
}

/* Names go into log lines, addresses and messages: plain text only. */
static int
is_plain(const char *name)
{
	size_t i, n, len = strlen(name);

	for (i = 0; i < len; i += n) {
		n = str_utf8_len(name + i, len - i);
		if (n == 0 || (unsigned char)name[i] < ' ' || name[i] == 0x7f)
			return 0;
	}
	return 1;
}

static char *
copy(struct source *s, const char *text, size_t len)
{
	return arena_strndup(&s->arena, text == NULL ? "" : text, len);
}

static struct source_file *
add_file(struct source *s, struct files *files, const char *name,
    size_t namelen, const char *chunk)
{
	struct source_file *f;

	files->v =
	    mem_grow(files->v, &files->cap, files->n + 1, sizeof(*files->v));
	f = &files->v[files->n++];
	(void)memset(f, 0, sizeof(*f));
	f->name = copy(s, name, namelen);
	f->chunk = copy(s, chunk, strlen(chunk));
	return f;
}

static void
set_text(struct source *s, struct source_file *f, struct str text)
{
	f->text = (struct str){copy(s, text.data, text.len), text.len};
	f->hash = str_hash(f->text);
}

/* Read the content of the file behind ${f}, or note why that failed. */
static void
read_file(struct source *s, struct source_file *f, const char *path)
{
	struct err err = ERR_INIT;
	struct buf text = BUF_INIT;
	struct stat st;

	if (!is_plain(f->name)) {
		(void)err_set(&err, ERR_INVALID,
		    "a script's name must be UTF-8 text without control "
		    "characters: rename the file");
	} else if (stat(path, &st) == -1) {
		(void)err_set(&err, ERR_UNAVAILABLE, "cannot read it: %s",
		    strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		/* Opening a fifo would wait for ever. */
		(void)err_set(&err, ERR_INVALID, "not a regular file");
	} else if (st.st_size > (off_t)SOURCE_MAX_FILE) {
		(void)err_set(&err, ERR_TOO_LARGE,
		    "longer than a script may be (%u bytes): put data "
		    "elsewhere, shared code into lib/",
		    SOURCE_MAX_FILE);
	} else if (file_read(path, SOURCE_MAX_FILE, &text, &err) == 0) {
		f->saved_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000U +
			      (uint64_t)st.st_mtim.tv_nsec;
		set_text(s, f, (struct str){text.data, text.len});
	}
	if (err.code != ERR_NONE) {
		(void)err_prefix(&err, "%s", f->chunk);
		f->error = copy(s, err.msg, strlen(err.msg));
	}
	buf_free(&text);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct source_file *)a)->name,
	    ((const struct source_file *)b)->name);
}

/* Whether the entry is a link; a file system may leave that to lstat(). */
static int
is_link(const char *path, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type == DT_LNK;
	return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

/* Whether it is a folder, links followed: those are nobody's script. */
static int
is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Read the files of a folder; the tests go to ${tests}, or, if that is NULL,
 * are left out. */
static int
scan_folder(struct source *s, const char *dir, struct files *files,
    struct files *tests, struct err *err)
{
	const struct dirent *entry;
	struct source_file *f;
	struct files *to;
	char *path;
	DIR *d;
	int rc = -1;

	d = opendir(dir);
	if (d == NULL)
		return err_set(err,
		    errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND
							: ERR_UNAVAILABLE,
		    "cannot open the folder %s: %s", dir, strerror(errno));

	/* An entry that goes away meanwhile shows as one that is not there. */
	for (;;) {
		errno = 0;
		entry = readdir(d);
		if (entry == NULL)
			break;
		to = is_test(entry->d_name) ? tests : files;
		if (!is_ours(entry->d_name) || to == NULL)
			continue;
		path = mem_printf("%s/%s", dir, entry->d_name);
		if (!is_folder(path)) {
			f = add_file(s, to, entry->d_name,
			    strlen(entry->d_name) - strlen(SUFFIX), path);
			s->has_links |= is_link(path, entry);
			read_file(s, f, path);
		}
		free(path);
		if (to->n > SOURCE_MAX_FILES) {
			(void)err_set(err, ERR_TOO_LARGE,
			    "the folder %s holds more than %d files", dir,
			    SOURCE_MAX_FILES);
			goto out;
		}
	}
	if (errno != 0) {
		(void)err_set(err, ERR_UNAVAILABLE,
		    "cannot read the folder %s: %s", dir, strerror(errno));
		goto out;
	}
	if (files->n > 0)
		qsort(files->v, files->n, sizeof(*files->v), by_name);
	if (tests != NULL && tests->n > 0)
		qsort(tests->v, tests->n, sizeof(*tests->v), by_name);
	rc = 0;

out:
	(void)closedir(d);
	return rc;
}

/* Read lib/ in ${dir}, which may be missing. */
static int
scan_libs(struct source *s, const char *dir, struct err *err)
{
	struct err why = ERR_INIT;
	struct stat st;
	char *lib = mem_printf("%s/lib", dir);
	size_t i, total = 0;
	int rc = 0;

	if (lstat(lib, &st) == 0)
		s->has_links |= S_ISLNK(st.st_mode);
	if (scan_folder(s, lib, &s->libs, NULL, &why) == -1 &&
	    why.code != ERR_NOT_FOUND) {
		*err = why;
		rc = -1;
	}
	for (i = 0; i < s->libs.n; i++)
		total += s->libs.v[i].text.len;
	if (rc == 0 && total > SOURCE_MAX_LIBS)
		rc = err_set(err, ERR_TOO_LARGE,
		    "the files in %s have more than %u bytes in all", lib,
		    SOURCE_MAX_LIBS);
	free(lib);
	return rc;
}

/* ${dir} without slashes at its end, "" being the root. */
static char *
trimmed(const char *dir)
{
	size_t len = strlen(dir);

	while (len > 0 && dir[len - 1] == '/')
		len--;
	return mem_strndup(dir, len);
}

int
source_scan(const char *dir, struct source **ret_source, struct err *err)
{
	struct source *s = source_create();
	char *given = trimmed(dir);
	int rc = -1;

	if (scan_folder(s, given, &s->scripts, &s->tests, err) == -1 ||
	    scan_libs(s, given, err) == -1)
		goto out;
	*ret_source = s;
	s = NULL;
	rc = 0;

out:
	free(given);
	source_unref(s);
	return rc;
}

int
source_one(const char *path, struct source **ret_source, struct err *err)
{
	struct source *s = source_create();
	const char *slash = strrchr(path, '/');
	const char *file = slash == NULL ? path : slash + 1;
	char *dir = slash == NULL ? mem_strdup(".")
				  : mem_strndup(path, (size_t)(slash - path));
	size_t len = strlen(file);
	struct source_file *f;
	struct stat st;
	int rc = -1;

	if (stat(path, &st) == -1) {
		(void)err_set(err,
		    errno == ENOENT ? ERR_NOT_FOUND : ERR_UNAVAILABLE,
		    "cannot open %s: %s", path, strerror(errno));
		goto out;
	}
	f = add_file(s, &s->scripts, file,
	    has_suffix(file, len, SUFFIX) ? len - strlen(SUFFIX) : len, path);
	read_file(s, f, path);
	if (f->error != NULL) {
		(void)err_set(err, ERR_UNAVAILABLE, "%s", f->error);
		goto out;
	}
	if (scan_libs(s, dir, err) == -1)
		goto out;
	*ret_source = s;
	s = NULL;
	rc = 0;

out:
	free(dir);
	source_unref(s);
	return rc;
}

struct source *
source_make(const struct source_file *script, const struct source_file *libs,
    size_t nlibs)
{
	struct source *s = source_create();
	size_t i;

	set_text(s,
	    add_file(s, &s->scripts, script->name, strlen(script->name),
		script->chunk),
	    script->text);
	for (i = 0; i < nlibs; i++)
		set_text(s,
		    add_file(s, &s->libs, libs[i].name, strlen(libs[i].name),
			libs[i].chunk),
		    libs[i].text);
	if (s->libs.n > 0)
		qsort(s->libs.v, s->libs.n, sizeof(*s->libs.v), by_name);
	return s;
}

struct source *
source_ref(struct source *s)
{
	(void)atomic_fetch_add(&s->refs, 1);
	return s;
}

void
source_unref(struct source *s)
{
	if (s == NULL || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	free(s->scripts.v);
	free(s->tests.v);
	free(s->libs.v);
	arena_free(&s->arena);
	free(s);
}

const struct source_file *
source_scripts(const struct source *s, size_t *ret_n)
{
	*ret_n = s->scripts.n;
	return s->scripts.v;
}

const struct source_file *
source_tests(const struct source *s, size_t *ret_n)
{
	*ret_n = s->tests.n;
	return s->tests.v;
}

const struct source_file *
source_libs(const struct source *s, size_t *ret_n)
{
	*ret_n = s->libs.n;
	return s->libs.v;
}

static const struct source_file *
find(const struct files *files, const char *name)
{
	const struct source_file key = {.name = name};

	if (files->n == 0)
		return NULL;
	return bsearch(&key, files->v, files->n, sizeof(*files->v), by_name);
}

const struct source_file *
source_script(const struct source *s, const char *name)
{
	return find(&s->scripts, name);
}

const struct source_file *
source_test(const struct source *s, const char *name)
{
	return find(&s->tests, name);
}

const struct source_file *
source_lib(const struct source *s, const char *name)
{
	return find(&s->libs, name);
}

int
source_has_links(const struct source *s)
{
	return s->has_links;
}

int
source_file_same(const struct source_file *a, const struct source_file *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	if (a->error != NULL || b->error != NULL)
		return a->error != NULL && b->error != NULL &&
		       strcmp(a->error, b->error) == 0;
	return a->hash == b->hash && str_eq(a->text, b->text);
}

static int
files_same(const struct files *a, const struct files *b)
{
	size_t i;

	if (a->n != b->n)
		return 0;
	for (i = 0; i < a->n; i++)
		if (strcmp(a->v[i].name, b->v[i].name) != 0 ||
		    a->v[i].saved_ns != b->v[i].saved_ns ||
		    !source_file_same(&a->v[i], &b->v[i]))
			return 0;
	return 1;
}

int
source_same(const struct source *a, const struct source *b)
{
	return files_same(&a->scripts, &b->scripts) &&
	       files_same(&a->tests, &b->tests) &&
	       files_same(&a->libs, &b->libs);
}

/* Those that could be read, as the wire has them; for free(). */
static struct proto_lib *
for_wire(const struct files *files, size_t *ret_n)
{
	struct proto_lib *libs = mem_array(files->n + 1, sizeof(*libs));
	size_t i;

	*ret_n = 0;
	for (i = 0; i < files->n; i++) {
		if (files->v[i].error != NULL)
			continue;
		libs[(*ret_n)++] = (struct proto_lib){
		    str_of(files->v[i].name), files->v[i].text};
	}
	return libs;
}

void
source_fill(const struct source *s, const struct source_file *script,
    const char *integration, struct proto_load *ret_load)
{
	*ret_load = (struct proto_load){.source = script->text};
	ret_load->libs = for_wire(&s->libs, &ret_load->nlibs);
	/* The receiving side owns its texts, the sending side only reads. */
	ret_load->integration = (char *)(uintptr_t)integration;
	ret_load->script = (char *)(uintptr_t)script->name;
	ret_load->chunk = (char *)(uintptr_t)script->chunk;
}

void
source_fill_test(const struct source *s, const struct source_file *test,
    struct proto_test *ret_test)
{
	*ret_test = (struct proto_test){.source = test->text};
	/* As above. */
	ret_test->name = (char *)(uintptr_t)test->name;
	ret_test->chunk = (char *)(uintptr_t)test->chunk;
	ret_test->scripts = for_wire(&s->scripts, &ret_test->nscripts);
	ret_test->libs = for_wire(&s->libs, &ret_test->nlibs);
}
