#ifndef STORE_SEGMENT_H_
#define STORE_SEGMENT_H_

/*
 * Bodies on disk: files that are only ever appended to, and deleted whole.  A
 * record is a header with a magic number, its lengths, the delivery's id and a
 * CRC-32C of all of it, and then the headers, the warnings and the body of one
 * delivery, and what its rows are made from.
 *
 * They are the log of the store as well: a delivery is safe once its record is
 * synced, and rows that were not committed when the host died are made again
 * from the tail, what is behind the last that the rows speak of.  A record at
 * its end that is not whole was never answered for, and is cut.
 *
 * Floor: 2 (store).  May include base/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"

struct err;
struct segment;

/* Bytes that a record has besides its parts. */
#define SEGMENT_HEADER 32

/* Where a record is. */
struct segment_ref {
	uint64_t file;
	uint64_t offset;
	uint64_t len; /* With its header. */
};

/* A record as it was read: the parts point into ${memory}. */
struct segment_record {
	struct str headers;
	struct str warnings;
	struct str body;
	struct str row; /* The store's; empty: none was kept. */
	char *memory; /* Of one that was read; the caller frees with free(). */
};

/**
 * segment_open(dir, max_bytes, file, used, ret_segment, err):
 * Open the folder ${dir}, made if missing, for appending behind ${used} bytes
 * of the file with the number ${file} (0: none yet); what is behind is cut.  A
 * file is followed by a new one at ${max_bytes}.
 *
 * Errors:    ERR_UNAVAILABLE  the folder cannot be made or read.
 * Ownership: borrows ${dir}; the caller frees with segment_close().
 * Thread:    the one that opened it uses it; blocks on the disk.
 */
int segment_open(const char *dir, uint64_t max_bytes, uint64_t file,
    uint64_t used, struct segment **ret_segment,
    struct err *err) ATTR_MUSTCHECK;

/* Whether there are files of bodies in the folder ${dir}. */
int segment_any(const char *dir);

/* Close it; segment_close(NULL) has no effect. */
void segment_close(struct segment *segment);

/**
 * segment_put(segment, id, record, ret_ref, err):
 * Add a record to the batch.  It is on disk after segment_sync().
 *
 * Errors:    ERR_UNAVAILABLE  the disk is full or refuses: give up the batch
 *                             with segment_drop().
 * Ownership: keeps the four texts until segment_sync(), segment_flush() or
 *            segment_drop().
 */
int segment_put(struct segment *segment, uint64_t id,
    const struct segment_record *record, struct segment_ref *ret_ref,
    struct err *err) ATTR_MUSTCHECK;

/* Write the batch so that it can be read, but do not wait for the disk. */
int segment_flush(struct segment *segment, struct err *err) ATTR_MUSTCHECK;

/**
 * segment_sync(segment, err):
 * Write the batch and make it durable.  After a failed sync nothing more is
 * ever written to that file: what the kernel still holds of it cannot be
 * trusted.
 *
 * Errors:    ERR_UNAVAILABLE  as segment_put().
 */
int segment_sync(struct segment *segment, struct err *err) ATTR_MUSTCHECK;

/* Forget the batch: the next begins where it began. */
void segment_drop(struct segment *segment);

/* Begin a new file with the next record; the present one takes no more. */
void segment_roll(struct segment *segment);

/* The file that is appended to (0: none yet), and its length. */
uint64_t segment_current(const struct segment *segment, uint64_t *ret_used);

/**
 * segment_probe(segment, err):
 * Try whether the disk takes a block again, behind the last record.
 *
 * Errors:    ERR_UNAVAILABLE  it does not.
 */
int segment_probe(struct segment *segment, struct err *err) ATTR_MUSTCHECK;

/* Delete the file with number ${file}. */
void segment_delete(struct segment *segment, uint64_t file);

/**
 * segment_delete_unknown(segment, known, cookie):
 * Delete the files that ${known} does not know: left over from a crash.
 */
void segment_delete_unknown(struct segment *segment,
    int (*known)(void *cookie, uint64_t file), void *cookie);

/* Reading: an object of its own, so that every thread can have one. */
struct segment_reader;

struct segment_reader *segment_reader_create(const char *dir);
void segment_reader_free(struct segment_reader *reader);

/* Close the files that it keeps open, so that deleted ones go. */
void segment_reader_rest(struct segment_reader *reader);

/**
 * segment_read(reader, ref, id, ret_record, err):
 * Read the record of delivery ${id} and check it.
 *
 * Errors:    ERR_INVALID      it is not what was written: the message says
 *                             where;
 *            ERR_UNAVAILABLE  it cannot be read.
 * Ownership: the caller frees ret_record->memory with free().
 * Thread:    one at a time a reader; blocks on the disk.
 */
int segment_read(struct segment_reader *reader, const struct segment_ref *ref,
    uint64_t id, struct segment_record *ret_record,
    struct err *err) ATTR_MUSTCHECK;

/**
 * segment_parse(data, len, id, ret_record, err):
 * Take a record apart that has been kept elsewhere.
 *
 * Errors:    ERR_INVALID      it is not what was written.
 * Ownership: consumes ${data}, from malloc(); the caller frees
 *            ret_record->memory with free().
 */
int segment_parse(char *data, size_t len, uint64_t id,
    struct segment_record *ret_record, struct err *err) ATTR_MUSTCHECK;

/* A record of the tail; all of it is borrowed. */
typedef void segment_found_cb(void *cookie, uint64_t id,
    const struct segment_ref *ref, const struct segment_record *record);

/**
 * segment_tail(dir, file, used, found, cookie, err):
 * Go through the whole records behind ${used} bytes of the file with the number
 * ${file}, and in the files with higher numbers, in the order in which they
 * were written, and make them durable.  A batch that was given up
 * (segment_drop()) may be among them where the disk refused even that: then
 * another record with the same id follows.
 *
 * Errors:    ERR_UNAVAILABLE  a file cannot be read or synced.
 * Thread:    the one that will open the folder; blocks on the disk.
 */
int segment_tail(const char *dir, uint64_t file, uint64_t used,
    segment_found_cb *found, void *cookie, struct err *err) ATTR_MUSTCHECK;

/* Read a record's bytes as they are, to keep them elsewhere. */
int segment_read_raw(struct segment_reader *reader,
    const struct segment_ref *ref, uint64_t id, char **ret_data,
    struct err *err) ATTR_MUSTCHECK;

#endif /* !STORE_SEGMENT_H_ */
