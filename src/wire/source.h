#ifndef WIRE_SOURCE_H_
#define WIRE_SOURCE_H_

/*
 * What lies in a folder of scripts, read at one moment: an immutable snapshot
 * that is shared by reference count.  Every *.lua directly in the folder is a
 * script, but for tests (*_test.lua) and hidden files; every *.lua in its lib/
 * is code that they share.  A test of NAME.lua is NAME_test.lua.
 *
 * Floor: 3 (wire).  May include base/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"

struct err;
struct proto_load;
struct proto_test;
struct source;

/* A longer file is refused; so is lib/ when all of it is longer than that. */
#define SOURCE_MAX_FILE (1U << 20)
#define SOURCE_MAX_LIBS (16U << 20)

/* More files than this in one folder are a mistake. */
#define SOURCE_MAX_FILES 1000

/* One file.  Everything is the snapshot's. */
struct source_file {
	const char *name;  /* "on_issue" */
	const char *chunk; /* What messages call it: "scripts/on_issue.lua". */
	struct str text;   /* Empty if it could not be read. */
	uint64_t hash;     /* Of the text. */
	uint64_t saved_ns; /* Its time of modification: tells a second save of
			    * the same text. */
	const char *error; /* NULL, or why it could not be read, with the name
			    * of the file in front. */
};

/**
 * source_scan(dir, ret_source, err):
 * Read the folder ${dir}.  A file that cannot be read, is too long, or is not a
 * regular file after following links has its error beside it, and the others
 * are read all the same.
 *
 * Errors:    ERR_NOT_FOUND    there is no such folder;
 *            ERR_TOO_LARGE    too many files, or lib/ is too long;
 *            ERR_UNAVAILABLE  it cannot be read.
 * Ownership: the caller has one reference, and gives it up with source_unref().
 * Thread:    any; reads files.
 */
int source_scan(const char *dir, struct source **ret_source,
    struct err *err) ATTR_MUSTCHECK;

/**
 * source_one(path, ret_source, err):
 * A snapshot that holds the single script ${path} and the lib/ beside it: for a
 * command that was given a file.
 *
 * Errors:    as source_scan(), and those of reading the file itself.
 * Ownership: as source_scan().
 * Thread:    any; reads files.
 */
int source_one(const char *path, struct source **ret_source,
    struct err *err) ATTR_MUSTCHECK;

/**
 * source_make(script, libs, nlibs):
 * A snapshot made by hand, of one script and some libs; of each file, name,
 * chunk and text are looked at.
 *
 * Ownership: borrows everything; the result as source_scan()'s.
 */
struct source *source_make(const struct source_file *script,
    const struct source_file *libs, size_t nlibs);

struct source *source_ref(struct source *source);
void source_unref(struct source *source);

/* All scripts, all tests ("on_issue_test") and all libs, each sorted by name.
 */
const struct source_file *source_scripts(
    const struct source *source, size_t *ret_n);
const struct source_file *source_tests(
    const struct source *source, size_t *ret_n);
const struct source_file *source_libs(
    const struct source *source, size_t *ret_n);

/* The script, the test or the lib of that name, or NULL. */
const struct source_file *source_test(
    const struct source *source, const char *name);
const struct source_file *source_script(
    const struct source *source, const char *name);
const struct source_file *source_lib(
    const struct source *source, const char *name);

/* Whether one of its files is behind a symbolic link, so that a change of it
 * may not show in the folder. */
int source_has_links(const struct source *source);

/* Whether two snapshots hold the same files with the same content, saved at the
 * same time. */
int source_same(const struct source *a, const struct source *b);

/* Whether two files have the same content (or cannot be read for the same
 * reason); NULL is the same as NULL alone. */
int source_file_same(const struct source_file *a, const struct source_file *b);

/**
 * source_fill(source, script, integration, ret_load):
 * Fill in what a worker must be sent to load ${script}.
 *
 * Ownership: ${ret_load} borrows from all three; the caller frees
 * ret_load->libs alone, with free().
 */
void source_fill(const struct source *source, const struct source_file *script,
    const char *integration, struct proto_load *ret_load);

/**
 * source_fill_test(source, test, ret_test):
 * Fill in what a worker must be sent to list the tests of the file ${test}.
 *
 * Ownership: ${ret_test} borrows from both; the caller frees ret_test->scripts
 *            and ->libs alone, with free().
 */
void source_fill_test(const struct source *source,
    const struct source_file *test, struct proto_test *ret_test);

#endif /* !WIRE_SOURCE_H_ */
