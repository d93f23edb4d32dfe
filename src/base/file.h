#ifndef BASE_FILE_H_
#define BASE_FILE_H_

/*
 * Whole files: reading, replacing, making private folders.
 *
 * Floor: 0 (base).
 */

#include <sys/types.h>

#include <stddef.h>

#include "base/compiler.h"

struct buf;
struct err;

/**
 * file_read(path, max, buf, err):
 * Append the content of the file ${path} to ${buf}.  "-" is standard input.
 *
 * Units:     ${max} bytes, after which it is refused.
 * Returns:   0, or -1 and ${buf} is as it was.
 * Errors:    ERR_NOT_FOUND    there is no such file;
 *            ERR_TOO_LARGE    longer than ${max};
 *            ERR_UNAVAILABLE  it cannot be read.
 * Thread:    any; blocks on the disk.
 */
int file_read(const char *path, size_t max, struct buf *buf,
    struct err *err) ATTR_MUSTCHECK;

/**
 * file_replace(path, data, len, mode, err):
 * Make ${path} hold ${len} bytes, durably and at once: whoever opens it sees
 * the old content or the new one, also after a power cut.
 *
 * Errors:    ERR_UNAVAILABLE  it cannot be written.
 * Thread:    any; blocks on the disk.
 */
int file_replace(const char *path, const void *data, size_t len, mode_t mode,
    struct err *err) ATTR_MUSTCHECK;

/**
 * file_create(path, data, len, mode, err):
 * Make the file ${path} of ${len} bytes; nothing that is there is changed.
 *
 * Errors:    ERR_INVALID      there is something of that name;
 *            ERR_UNAVAILABLE  it cannot be written.
 * Thread:    any; blocks on the disk.
 */
int file_create(const char *path, const void *data, size_t len, mode_t mode,
    struct err *err) ATTR_MUSTCHECK;

/**
 * file_make_dir(path, mode, err):
 * Make the folder ${path}, and those above it that are missing.  One that is
 * there already is left as it is.  Its name is durable after this.
 *
 * Errors:    ERR_UNAVAILABLE  it cannot be made or synced, or a file is in the
 *                             way.
 * Thread:    any; blocks on the disk.
 */
int file_make_dir(
    const char *path, mode_t mode, struct err *err) ATTR_MUSTCHECK;

/**
 * file_sync_dir(path, err):
 * Make the names in the folder ${path} durable.
 *
 * Errors:    ERR_UNAVAILABLE  the disk refused.
 * Thread:    any; blocks on the disk.
 */
int file_sync_dir(const char *path, struct err *err) ATTR_MUSTCHECK;

#endif /* !BASE_FILE_H_ */
