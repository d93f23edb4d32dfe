#include <sys/stat.h>
#include <sys/uio.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include "store/checksum.h"
#include "store/segment.h"

#define MAGIC 0x3147504DU       /* "MPG1" */
#define BATCH 256               /* Records that wait for one writev(). */
#define PARTS 5                 /* Of a record: the header, and four texts. */
#define READER_FILES 8          /* That a reader keeps open. */
#define AHEAD (256U << 10)      /* Zeros that are written at once... */
#define AHEAD_BATCH (AHEAD / 4) /* ...unless a batch is so long. */
#define PATH_SIZE 32            /* Of a file's name inside the folder. */

/* The layout on disk; numbers are little-endian, as on every machine served. */
struct header {
	uint32_t magic;
	uint32_t crc; /* Of what is behind this field. */
	uint64_t id;
	uint32_t headers_len;
	uint32_t warnings_len;
	uint32_t body_len;
	uint32_t row_len; /* 0 in what was written before there were rows. */
};
_Static_assert(sizeof(struct header) == SEGMENT_HEADER, "layout on disk");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "layout on disk");

struct segment {
	char *dir;
	int dirfd;
	uint64_t max_bytes;
	uint64_t last; /* The highest number that was ever used. */

	int fd;         /* Of the current file; -1: none. */
	uint64_t file;  /* Its number; 0: none. */
	uint64_t used;  /* Bytes of it that count. */
	uint64_t begun; /* The same when the batch began. */
	uint64_t written;
	uint64_t ready; /* Bytes that it has, with the zeros at its end. */
	int dirty;      /* Written since the last sync. */

	struct header headers[BATCH];
	struct iovec parts[BATCH * PARTS];
	size_t nheaders;
	size_t nparts;
};

struct segment_reader {
	int dirfd;
	struct {
		uint64_t file; /* 0: free. */
		int fd;
	} files[READER_FILES];
	size_t next; /* The one to close next. */
};

/* Of a record, with its header. */
static uint64_t
record_len(const struct header *h)
{
	return sizeof(*h) + (uint64_t)h->headers_len + h->warnings_len +
	       h->body_len + h->row_len;
}

static void
file_name(uint64_t file, char name[static PATH_SIZE])
{
	(void)snprintf(name, PATH_SIZE, "%08llx.seg", (unsigned long long)file);
}

/* The number in a file's name, or 0. */
static uint64_t
file_number(const char *name)
{
	char again[PATH_SIZE];
	uint64_t file;
	char *end;

	file = strtoull(name, &end, 16);
	if (end == name || strcmp(end, ".seg") != 0)
		return 0;
	file_name(file, again);
	return strcmp(again, name) == 0 ? file : 0;
}

static int
refused(const struct segment *seg, const char *what, struct err *err)
{
	return err_set(err, ERR_UNAVAILABLE, "cannot %s %s/%08llx.seg: %s",
	    what, seg->dir, (unsigned long long)seg->file, strerror(errno));
}

static void
close_current(struct segment *seg)
{
	if (seg->fd != -1) {
		if (seg->ready > seg->used)
			(void)!ftruncate(seg->fd, (off_t)seg->used);
		(void)close(seg->fd);
	}
	seg->fd = -1;
	seg->file = seg->used = seg->begun = seg->written = seg->ready = 0;
	seg->dirty = 0;
}

/* Go through the files in a folder.  Return -1 and set errno if it cannot be
 * read to its end. */
static int
each_file(
    const char *path, void (*found)(void *cookie, uint64_t file), void *cookie)
{
	struct dirent *entry;
	uint64_t file;
	int failed;
	DIR *dir;

	dir = opendir(path);
	if (dir == NULL)
		return -1;
	/* The stream is this call's own. */
	/* cppcheck-suppress readdirCalled */
	while (errno = 0, (entry = readdir(dir)) != NULL) {
		file = file_number(entry->d_name);
		if (file != 0)
			found(cookie, file);
	}
	failed = errno;
	(void)closedir(dir);
	errno = failed;
	return failed == 0 ? 0 : -1;
}

static void
note_one(void *cookie, uint64_t file)
{
	(void)file;
	*(int *)cookie = 1;
}

int
segment_any(const char *dir)
{
	int any = 0;

	(void)each_file(dir, note_one, &any);
	return any;
}

static void
note_last(void *cookie, uint64_t file)
{
	struct segment *seg = cookie;

	if (file > seg->last)
		seg->last = file;
}

int
segment_open(const char *dir, uint64_t max_bytes, uint64_t file, uint64_t used,
    struct segment **ret_segment, struct err *err)
{
	struct segment *seg = mem_zalloc(sizeof(*seg));
	char name[PATH_SIZE];
	struct stat st;
	int rc = -1;

	seg->dir = mem_strdup(dir);
	seg->dirfd = seg->fd = -1;
	seg->max_bytes = max_bytes;
	if (file_make_dir(dir, 0700, err) == -1)
		goto out;
	seg->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (seg->dirfd == -1) {
		(void)err_set(err, ERR_UNAVAILABLE, "cannot open %s: %s", dir,
		    strerror(errno));
		goto out;
	}
	seg->last = file;
	(void)each_file(seg->dir, note_last, seg);

	/* Go on in the last file, if it has what the rows say. */
	if (file != 0 && used < max_bytes) {
		file_name(file, name);
		seg->fd =
		    openat(seg->dirfd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
		if (seg->fd != -1 && fstat(seg->fd, &st) == 0 &&
		    (uint64_t)st.st_size >= used &&
		    ftruncate(seg->fd, (off_t)used) == 0) {
			seg->file = file;
			seg->used = seg->begun = seg->written = used;
			seg->ready = used;
		} else {
			close_current(seg);
		}
	}
	*ret_segment = seg;
	seg = NULL;
	rc = 0;
out:
	segment_close(seg);
	return rc;
}

void
segment_close(struct segment *seg)
{
	if (seg == NULL)
		return;
	close_current(seg);
	if (seg->dirfd != -1)
		(void)close(seg->dirfd);
	free(seg->dir);
	free(seg);
}

/*
 * A file that grows costs the journal of the file system a commit at each sync,
 * which takes longer than to write zeros in advance and then over them.
 */
static void
write_ahead(struct segment *seg)
{
	static const char zeros[AHEAD];
	uint64_t end = seg->used + AHEAD;
	ssize_t n;

	if (end > seg->max_bytes)
		end = seg->max_bytes;
	if (end <= seg->used || seg->used - seg->begun > AHEAD_BATCH)
		return;
	n = pwrite(seg->fd, zeros, end - seg->used, (off_t)seg->used);
	/* The room is not there: it is left for what counts. */
	if (n != (ssize_t)(end - seg->used))
		(void)!ftruncate(seg->fd, (off_t)seg->used);
	else
		seg->ready = end;
}

int
segment_flush(struct segment *seg, struct err *err)
{
	struct iovec *part = seg->parts;
	size_t left = seg->nparts;
	ssize_t n;

	while (left > 0) {
		n = pwritev(seg->fd, part,
		    (int)(left > IOV_MAX ? IOV_MAX : left),
		    (off_t)seg->written);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return refused(seg, "write to", err);
		seg->dirty = 1;
		seg->written += (uint64_t)n;
		while (left > 0 && (size_t)n >= part->iov_len) {
			n -= (ssize_t)part->iov_len;
			part++;
			left--;
		}
		if (left > 0) {
			part->iov_base = (char *)part->iov_base + n;
			part->iov_len -= (size_t)n;
		}
	}
	seg->nheaders = seg->nparts = 0;
	if (seg->used > seg->ready) {
		seg->ready = seg->used;
		write_ahead(seg);
	}
	return 0;
}

int
segment_sync(struct segment *seg, struct err *err)
{
	if (segment_flush(seg, err) == -1)
		return -1;
	if (seg->dirty && fdatasync(seg->fd) == -1) {
		(void)refused(seg, "sync", err);
		segment_roll(seg);
		return -1;
	}
	seg->dirty = 0;
	seg->begun = seg->used;
	return 0;
}

void
segment_drop(struct segment *seg)
{
	seg->nheaders = seg->nparts = 0;
	if (seg->fd == -1)
		return;
	/* What was written of it may be all that fills the disk. */
	if (seg->written > seg->begun &&
	    ftruncate(seg->fd, (off_t)seg->begun) == -1) {
		segment_roll(seg);
		return;
	}
	if (seg->written > seg->begun)
		seg->ready = seg->begun;
	seg->used = seg->written = seg->begun;
}

void
segment_roll(struct segment *seg)
{
	seg->nheaders = seg->nparts = 0;
	close_current(seg);
}

/* Begin the next file. */
static int
start_file(struct segment *seg, struct err *err)
{
	char name[PATH_SIZE];

	/*
	 * A file that is there already was begun while the disk refused, to be
	 * unlinked even: nothing in it counts, and the next number will do.
	 */
	for (;;) {
		seg->file = seg->last + 1;
		file_name(seg->file, name);
		seg->fd = openat(seg->dirfd, name,
		    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (seg->fd != -1 || errno != EEXIST)
			break;
		seg->last = seg->file;
	}
	if (seg->fd == -1 || fsync(seg->dirfd) == -1) {
		(void)refused(seg, "create", err);
		if (seg->fd != -1)
			(void)unlinkat(seg->dirfd, name, 0);
		close_current(seg);
		return -1;
	}
	seg->last = seg->file;
	return 0;
}

static void
add_part(struct segment *seg, struct header *h, struct str s)
{
	if (s.len == 0)
		return;
	/* writev() does not write to it. */
	seg->parts[seg->nparts].iov_base = (void *)(uintptr_t)s.data;
	seg->parts[seg->nparts++].iov_len = s.len;
	h->crc = checksum_crc32c(h->crc, s.data, s.len);
}

int
segment_put(struct segment *seg, uint64_t id,
    const struct segment_record *record, struct segment_ref *ret_ref,
    struct err *err)
{
	struct header *h;

	if (seg->fd != -1 && seg->used >= seg->max_bytes) {
		if (segment_sync(seg, err) == -1)
			return -1;
		segment_roll(seg);
	}
	if (seg->fd == -1 && start_file(seg, err) == -1)
		return -1;
	if (seg->nheaders == BATCH && segment_flush(seg, err) == -1)
		return -1;
	h = &seg->headers[seg->nheaders++];
	h->magic = MAGIC;
	h->id = id;
	h->headers_len = (uint32_t)record->headers.len;
	h->warnings_len = (uint32_t)record->warnings.len;
	h->body_len = (uint32_t)record->body.len;
	h->row_len = (uint32_t)record->row.len;
	h->crc = checksum_crc32c(0, &h->id, sizeof(*h) - 8);
	seg->parts[seg->nparts].iov_base = h;
	seg->parts[seg->nparts++].iov_len = sizeof(*h);
	add_part(seg, h, record->headers);
	add_part(seg, h, record->warnings);
	add_part(seg, h, record->body);
	add_part(seg, h, record->row);

	ret_ref->file = seg->file;
	ret_ref->offset = seg->used;
	ret_ref->len = record_len(h);
	seg->used += ret_ref->len;
	return 0;
}

uint64_t
segment_current(const struct segment *seg, uint64_t *ret_used)
{
	*ret_used = seg->used;
	return seg->file;
}

int
segment_probe(struct segment *seg, struct err *err)
{
	static const char block[4096];
	ssize_t n;

	if (seg->fd == -1 && start_file(seg, err) == -1)
		return -1;
	n = pwrite(seg->fd, block, sizeof(block), (off_t)seg->used);
	if (n != (ssize_t)sizeof(block)) {
		errno = n == -1 ? errno : ENOSPC;
		(void)refused(seg, "write to", err);
		segment_drop(seg);
		return -1;
	}
	if (fdatasync(seg->fd) == -1) {
		(void)refused(seg, "sync", err);
		segment_roll(seg);
		return -1;
	}
	seg->written = seg->used + sizeof(block);
	segment_drop(seg);
	return 0;
}

void
segment_delete(struct segment *seg, uint64_t file)
{
	char name[PATH_SIZE];

	file_name(file, name);
	(void)unlinkat(seg->dirfd, name, 0);
}

struct unknown {
	struct segment *seg;
	int (*known)(void *cookie, uint64_t file);
	void *cookie;
};

static void
delete_if_unknown(void *cookie, uint64_t file)
{
	struct unknown *u = cookie;

	if (file != u->seg->file && !u->known(u->cookie, file))
		segment_delete(u->seg, file);
}

void
segment_delete_unknown(struct segment *seg,
    int (*known)(void *cookie, uint64_t file), void *cookie)
{
	struct unknown u = {seg, known, cookie};

	(void)each_file(seg->dir, delete_if_unknown, &u);
}

struct segment_reader *
segment_reader_create(const char *dir)
{
	struct segment_reader *reader = mem_zalloc(sizeof(*reader));

	reader->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return reader;
}

void
segment_reader_rest(struct segment_reader *reader)
{
	size_t i;

	for (i = 0; i < READER_FILES; i++) {
		if (reader->files[i].file != 0)
			(void)close(reader->files[i].fd);
		reader->files[i].file = 0;
	}
}

void
segment_reader_free(struct segment_reader *reader)
{
	if (reader == NULL)
		return;
	segment_reader_rest(reader);
	if (reader->dirfd != -1)
		(void)close(reader->dirfd);
	free(reader);
}

/* The descriptor of a file, or -1. */
static int
reader_fd(struct segment_reader *reader, uint64_t file)
{
	char name[PATH_SIZE];
	size_t i;
	int fd;

	for (i = 0; i < READER_FILES; i++) {
		if (reader->files[i].file == file)
			return reader->files[i].fd;
	}
	file_name(file, name);
	fd = openat(reader->dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1)
		return -1;
	i = reader->next++ % READER_FILES;
	if (reader->files[i].file != 0)
		(void)close(reader->files[i].fd);
	reader->files[i].file = file;
	reader->files[i].fd = fd;
	return fd;
}

int
segment_parse(char *data, size_t len, uint64_t id,
    struct segment_record *ret_record, struct err *err)
{
	struct header h;
	char *at;

	if (len < sizeof(h))
		goto bad;
	(void)memcpy(&h, data, sizeof(h));
	if (h.magic != MAGIC || h.id != id || len != record_len(&h) ||
	    h.crc != checksum_crc32c(0, data + 8, len - 8))
		goto bad;
	at = data + sizeof(h);
	ret_record->headers = (struct str){at, h.headers_len};
	at += h.headers_len;
	ret_record->warnings = (struct str){at, h.warnings_len};
	at += h.warnings_len;
	ret_record->body = (struct str){at, h.body_len};
	at += h.body_len;
	ret_record->row = (struct str){at, h.row_len};
	ret_record->memory = data;
	return 0;
bad:
	free(data);
	return err_set(err, ERR_INVALID,
	    "the stored body of delivery %llu is damaged",
	    (unsigned long long)id);
}

int
segment_read_raw(struct segment_reader *reader, const struct segment_ref *ref,
    uint64_t id, char **ret_data, struct err *err)
{
	char *data;
	size_t got;
	ssize_t n;
	int fd;

	fd = reader_fd(reader, ref->file);
	if (fd == -1) {
		(void)err_set(err,
		    errno == ENOENT ? ERR_INVALID : ERR_UNAVAILABLE,
		    "cannot read the body of delivery %llu: %08llx.seg: %s",
		    (unsigned long long)id, (unsigned long long)ref->file,
		    strerror(errno));
		return -1;
	}
	data = mem_alloc(ref->len + 1);
	for (got = 0; got < ref->len; got += (size_t)n) {
		n = pread(
		    fd, data + got, ref->len - got, (off_t)(ref->offset + got));
		if (n == -1 && errno == EINTR) {
			n = 0;
			continue;
		}
		if (n > 0)
			continue;
		(void)err_set(err, n == 0 ? ERR_INVALID : ERR_UNAVAILABLE,
		    "cannot read the body of delivery %llu: %08llx.seg at "
		    "%llu: %s",
		    (unsigned long long)id, (unsigned long long)ref->file,
		    (unsigned long long)ref->offset,
		    n == 0 ? "the file ends before it" : strerror(errno));
		free(data);
		return -1;
	}
	data[got] = '\0';
	*ret_data = data;
	return 0;
}

int
segment_read(struct segment_reader *reader, const struct segment_ref *ref,
    uint64_t id, struct segment_record *ret_record, struct err *err)
{
	char *data = NULL;

	if (segment_read_raw(reader, ref, id, &data, err) == -1)
		return -1;
	if (segment_parse(data, ref->len, id, ret_record, err) == -1)
		return err_prefix(err, "%08llx.seg at %llu",
		    (unsigned long long)ref->file,
		    (unsigned long long)ref->offset);
	return 0;
}

/* ---- the tail -------------------------------------------------------------
 */

struct files {
	uint64_t from;
	uint64_t *numbers;
	size_t n;
	size_t cap;
};

static void
note_later(void *cookie, uint64_t file)
{
	struct files *files = cookie;

	if (file < files->from)
		return;
	files->numbers = mem_grow(
	    files->numbers, &files->cap, files->n + 1, sizeof(*files->numbers));
	files->numbers[files->n++] = file;
}

static int
by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Read ${len} bytes that are there.  Return -1 and set errno if the disk does
 * not give them. */
static int
read_all(int fd, void *to, uint64_t len, uint64_t offset)
{
	uint64_t got = 0;
	ssize_t n;

	while (got < len) {
		n = pread(
		    fd, (char *)to + got, len - got, (off_t)(offset + got));
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n == 0 ? EIO : errno;
			return -1;
		}
		got += (uint64_t)n;
	}
	return 0;
}

/* The record at ${offset} of ${size} bytes, whose length is *ret_len; 0: there
 * is no whole one.  Returns -1 and sets errno if it cannot be read. */
static int
read_whole(int fd, uint64_t offset, uint64_t size, uint64_t *ret_len,
    uint64_t *ret_id, struct segment_record *ret_record)
{
	struct err damaged;
	struct header h;
	uint64_t len;
	char *data;

	*ret_len = 0;
	if (size - offset < sizeof(h))
		return 0;
	if (read_all(fd, &h, sizeof(h), offset) == -1)
		return -1;
	len = record_len(&h);
	if (h.magic != MAGIC || len > size - offset)
		return 0;
	data = mem_alloc(len + 1);
	if (read_all(fd, data, len, offset) == -1) {
		free(data);
		return -1;
	}
	data[len] = '\0';
	*ret_id = h.id;
	if (segment_parse(data, len, h.id, ret_record, &damaged) == 0)
		*ret_len = len;
	return 0;
}

static int
tail_of(const char *dir, struct segment_ref at, segment_found_cb *found,
    void *cookie, struct err *err)
{
	struct segment_record record;
	char name[PATH_SIZE];
	struct stat st;
	uint64_t id = 0;
	char *path;
	int fd, rc = -1;

	file_name(at.file, name);
	path = mem_printf("%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1 && errno == ENOENT) {
		rc = 0;
		goto out;
	}
	/* What was written when the host was killed need not be on disk yet. */
	if (fd == -1 || fdatasync(fd) == -1 || fstat(fd, &st) == -1)
		goto unreadable;
	while (at.offset < (uint64_t)st.st_size) {
		if (read_whole(fd, at.offset, (uint64_t)st.st_size, &at.len,
			&id, &record) == -1)
			goto unreadable;
		if (at.len == 0)
			break;
		found(cookie, id, &at, &record);
		free(record.memory);
		at.offset += at.len;
	}
	rc = 0;
	goto out;
unreadable:
	/* To cut what cannot be read now would be to lose it. */
	(void)err_set(
	    err, ERR_UNAVAILABLE, "cannot read %s: %s", path, strerror(errno));
out:
	if (fd != -1)
		(void)close(fd);
	free(path);
	return rc;
}

int
segment_tail(const char *dir, uint64_t file, uint64_t used,
    segment_found_cb *found, void *cookie, struct err *err)
{
	struct files files = {.from = file == 0 ? 1 : file};
	size_t i;
	int rc = 0;

	if (each_file(dir, note_later, &files) == -1 && errno != ENOENT)
		rc = err_set(err, ERR_UNAVAILABLE, "cannot read %s: %s", dir,
		    strerror(errno));
	if (files.n > 1)
		qsort(
		    files.numbers, files.n, sizeof(*files.numbers), by_number);
	for (i = 0; i < files.n && rc == 0; i++)
		rc = tail_of(dir,
		    (struct segment_ref){files.numbers[i],
			files.numbers[i] == file ? used : 0, 0},
		    found, cookie, err);
	free(files.numbers);
	return rc;
}
