#ifndef DISPATCH_VERSION_H_
#define DISPATCH_VERSION_H_

/*
 * One version of a script: its text, the libs beside it, and, once it was
 * loaded, what it offers.  The last good version of every script is kept in the
 * data folder, so that a restart with a broken file can serve it:
 *
 *	scripts/INTEGRATION/NAME.lua            the text, and behind it a line
 *	                                        that says what it needs
 *	scripts/INTEGRATION/lib/HASH-NAME.lua   its libs as they were then
 *
 * Floor: 5 (dispatch).  May include base/, json/, script/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

struct err;
struct proto_loaded;
struct source;
struct source_file;

/* Digits of a hash, and a NUL. */
#define VERSION_ID_SIZE 13

struct version {
	size_t refs;
	struct source *source;          /* Holds a reference. */
	const struct source_file *file; /* The script, in there. */
	char **handlers;                /* Once it was loaded. */
	size_t nhandlers;
	char **libs; /* Names that it required. */
	size_t nlibs;
	char *declared; /* JSON, as in struct proto_loaded; NULL: nothing. */
	char id[VERSION_ID_SIZE]; /* Of the text and those libs. */
	uint64_t loaded_unix_ms;  /* 0: never yet. */
};

/**
 * version_create(source, file):
 * The version of the script ${file} in ${source}.
 *
 * Ownership: takes a reference to ${source}; the caller has one to the result,
 *            and gives it up with version_unref().
 * Thread:    one at a time, as for everything here.
 */
struct version *version_create(
    struct source *source, const struct source_file *file);
struct version *version_ref(struct version *version);
void version_unref(struct version *version);

/**
 * version_set_loaded(version, loaded):
 * Note what a worker has found in it.
 *
 * Ownership: borrows ${loaded}.
 */
void version_set_loaded(
    struct version *version, const struct proto_loaded *loaded);

/* Whether it has that handler. */
int version_has_handler(const struct version *version, const char *handler);

/**
 * version_same(version, source, file, whole):
 * Whether ${file} of ${source} is what this version is: the same text, and the
 * same text of each lib that it required, or (${whole}) of each lib that is
 * there, and saved at the same time.
 */
int version_same(const struct version *version, const struct source *source,
    const struct source_file *file, int whole);

/**
 * version_save(version, data_dir, integration, err):
 * Keep it as the last good one.
 *
 * Errors:    ERR_UNAVAILABLE  the disk refused.
 * Thread:    blocks on the disk.
 */
int version_save(const struct version *version, const char *data_dir,
    const char *integration, struct err *err) ATTR_MUSTCHECK;

/**
 * version_load(data_dir, integration, name, ret_version, err):
 * The last good version that was kept.
 *
 * Errors:    ERR_NOT_FOUND    none was;
 *            ERR_INVALID      what is there is damaged;
 *            ERR_UNAVAILABLE  it cannot be read.
 * Ownership: the caller has a reference.
 * Thread:    blocks on the disk.
 */
int version_load(const char *data_dir, const char *integration,
    const char *name, struct version **ret_version,
    struct err *err) ATTR_MUSTCHECK;

/**
 * version_sweep(data_dir, integration, source):
 * Forget the scripts that are not in ${source}, and the libs that nobody needs;
 * not which ones are paused.
 *
 * Thread:    blocks on the disk.
 */
void version_sweep(
    const char *data_dir, const char *integration, const struct source *source);

/* Whether a script was paused, and noting that; kept beside it. */
int version_is_paused(
    const char *data_dir, const char *integration, const char *name);
int version_set_paused(const char *data_dir, const char *integration,
    const char *name, int paused, struct err *err) ATTR_MUSTCHECK;

#endif /* !DISPATCH_VERSION_H_ */
