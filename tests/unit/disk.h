#ifndef TESTS_UNIT_DISK_H_
#define TESTS_UNIT_DISK_H_

/*
 * A disk whose power can be cut.  A test program that includes this has every
 * call that changes a file pass through here, those of SQLite too, because the
 * program's own definitions come before libc's.  Below one folder each write,
 * truncation, new or deleted name and sync is noted in a journal.  From the
 * journal follow the disks that a power cut after any of these calls may leave:
 * what was synced is there, all else is there, or not, or in part (by sectors),
 * in any order; a new name is there for sure once its folder was synced.
 *
 * Calls can also be made to fail, or to be the last that the process makes; or
 * from one on nothing changes any more, which is as if the process was killed.
 * After a failed sync what had been written before is in doubt for ever.
 *
 * What is mapped (SQLite's -shm) is not followed: it is rebuilt at each open.
 */

#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#include "store/checksum.h"

#define DISK_SECTOR 512
#define DISK_FDS 4096
#define DISK_NAMES 64
#define DISK_FILES 512
#define DISK_PATH 64
#define DISK_DIED 77 /* Exit status of a process that was cut off. */

enum disk_kind {
	DISK_WRITE,
	DISK_TRUNCATE,
	DISK_SYNC,
	DISK_SYNC_FAILED,
	DISK_CREATE,
	DISK_UNLINK,
	DISK_MKDIR,
	DISK_SYNC_DIR,
	DISK_MARK, /* The test's own: off is its number. */
};

struct disk_event {
	enum disk_kind kind;
	unsigned int file; /* Its number; never used again. */
	uint64_t off;      /* Or the length after a truncation. */
	size_t len;
	char *data;
	char path[DISK_PATH]; /* Below the root; of the folder in SYNC_DIR. */
};

/* What a name stands for now; file 0 is a folder. */
struct disk_name {
	char path[DISK_PATH];
	unsigned int file;
};

struct disk_names {
	struct disk_name names[DISK_NAMES];
	size_t n;
};

static struct {
	pthread_mutex_t lock;
	char root[128]; /* Empty: nothing is noted. */
	struct disk_names live;
	struct disk_name fds[DISK_FDS]; /* An empty path: not ours. */
	char fd_used[DISK_FDS];
	unsigned int last_file;

	struct disk_event *events;
	size_t nevents;
	size_t events_cap;
	size_t scanned; /* Events that say what was there at the start. */

	/* Calls are counted from 1. */
	unsigned long calls;
	unsigned long die_at;    /* 0: never. */
	unsigned long freeze_at; /* From here on nothing changes; 0: never. */
	int frozen;
	unsigned long fail_from;
	unsigned long fail_to; /* Behind the last that fails. */
	int fail_errno;        /* 0: write half of it. */
	unsigned long failures;
	int quick; /* Syncs do nothing: the machine itself stays up. */
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- names ----------------------------------------------------------------
 */

static inline struct disk_name *
disk_find(struct disk_names *names, const char *path)
{
	size_t i;

	for (i = 0; i < names->n; i++) {
		if (strcmp(names->names[i].path, path) == 0)
			return &names->names[i];
	}
	return NULL;
}

static inline void
disk_name_add(struct disk_names *names, const char *path, unsigned int file)
{
	struct disk_name *name = disk_find(names, path);

	if (name == NULL) {
		if (names->n == DISK_NAMES)
			abort();
		name = &names->names[names->n++];
		(void)snprintf(name->path, sizeof(name->path), "%s", path);
	}
	name->file = file;
}

static inline void
disk_name_remove(struct disk_names *names, const char *path)
{
	struct disk_name *name = disk_find(names, path);

	if (name != NULL)
		*name = names->names[--names->n];
}

/* The folder that a path is in. */
static inline void
disk_parent(const char *path, char parent[static DISK_PATH])
{
	char *slash;

	(void)snprintf(parent, DISK_PATH, "%s", path);
	slash = strrchr(parent, '/');
	*(slash == NULL ? parent : slash) = '\0';
}

/* The path below the root, or 0 if it is elsewhere or not followed. */
static inline int
disk_path(int dirfd, const char *path, char rel[static DISK_PATH])
{
	size_t n = strlen(disk.root), len = strlen(path);

	if (n == 0 || (len > 4 && strcmp(path + len - 4, "-shm") == 0))
		return 0;
	if (path[0] == '/') {
		if (strncmp(path, disk.root, n) != 0 ||
		    (path[n] != '/' && path[n] != '\0'))
			return 0;
		(void)snprintf(
		    rel, DISK_PATH, "%s", path + n + (path[n] == '/' ? 1 : 0));
		return 1;
	}
	if (dirfd < 0 || dirfd >= DISK_FDS || !disk.fd_used[dirfd] ||
	    disk.fds[dirfd].file != 0)
		return 0;
	if (snprintf(rel, DISK_PATH, "%s%s%s", disk.fds[dirfd].path,
		disk.fds[dirfd].path[0] == '\0' ? "" : "/", path) >= DISK_PATH)
		abort();
	return 1;
}

/* ---- the journal ------------------------------------------------------------
 */

static inline struct disk_event *
disk_note(enum disk_kind kind, unsigned int file, const char *path)
{
	struct disk_event *e;

	disk.events = mem_grow(disk.events, &disk.events_cap, disk.nevents + 1,
	    sizeof(*disk.events));
	e = &disk.events[disk.nevents++];
	(void)memset(e, 0, sizeof(*e));
	e->kind = kind;
	e->file = file;
	(void)snprintf(e->path, sizeof(e->path), "%s", path);
	return e;
}

/* Before a call that changes something.  -1: it is to fail. */
static inline int
disk_call(void)
{
	disk.calls++;
	if (disk.calls == disk.die_at)
		_exit(DISK_DIED);
	if (disk.freeze_at != 0 && disk.calls >= disk.freeze_at) {
		disk.frozen = 1;
		errno = EIO;
		return -1;
	}
	if (disk.calls < disk.fail_from || disk.calls >= disk.fail_to)
		return 0;
	disk.failures++;
	if (disk.fail_errno == 0)
		return 1;
	errno = disk.fail_errno;
	return -1;
}

static inline int
disk_open(int dirfd, const char *path, int flags, mode_t mode)
{
	char rel[DISK_PATH];
	struct disk_name *name = NULL;
	int ours, fd = -1;

	(void)pthread_mutex_lock(&disk.lock);
	ours = disk_path(dirfd, path, rel);
	if (ours)
		name = disk_find(&disk.live, rel);
	if (ours && name == NULL && (flags & O_CREAT) && disk_call() == -1)
		goto out;
	fd = (int)syscall(SYS_openat, dirfd, path, flags | O_LARGEFILE, mode);
	if (fd < 0 || fd >= DISK_FDS)
		goto out;
	disk.fd_used[fd] = (char)ours;
	if (!ours)
		goto out;
	if (name == NULL && rel[0] != '\0') {
		if (!(flags & O_CREAT))
			abort(); /* It came here by a way that is not known. */
		disk_name_add(&disk.live, rel, ++disk.last_file);
		name = disk_find(&disk.live, rel);
		(void)disk_note(DISK_CREATE, name->file, rel);
	} else if (flags & O_TRUNC) {
		(void)disk_note(DISK_TRUNCATE, name->file, rel);
	}
	(void)snprintf(disk.fds[fd].path, DISK_PATH, "%s", rel);
	disk.fds[fd].file = name == NULL ? 0 : name->file;
out:
	(void)pthread_mutex_unlock(&disk.lock);
	return fd;
}

/* Whether a descriptor is of a file or folder that is followed. */
static inline struct disk_name *
disk_of(int fd)
{
	if (disk.root[0] == '\0' || fd < 0 || fd >= DISK_FDS ||
	    !disk.fd_used[fd])
		return NULL;
	return &disk.fds[fd];
}

static inline ssize_t
disk_writev(int fd, const struct iovec *parts, int n, off_t off)
{
	const struct disk_name *of;
	struct disk_event *e;
	struct iovec half;
	size_t at, take;
	ssize_t put = -1;
	int i, how = 0;

	(void)pthread_mutex_lock(&disk.lock);
	of = disk_of(fd);
	if (of != NULL)
		how = disk_call();
	if (how == -1)
		goto out;
	if (how == 1) {
		half = parts[0];
		half.iov_len = half.iov_len / 2 + 1;
		parts = &half;
		n = 1;
	}
	put = syscall(SYS_pwritev, fd, parts, n, off, 0L);
	if (of == NULL || put <= 0)
		goto out;
	e = disk_note(DISK_WRITE, of->file, of->path);
	e->off = (uint64_t)off;
	e->len = (size_t)put;
	e->data = mem_alloc((size_t)put);
	for (i = 0, at = 0; at < e->len; i++) {
		take = parts[i].iov_len;
		if (take > e->len - at)
			take = e->len - at;
		(void)memcpy(e->data + at, parts[i].iov_base, take);
		at += take;
	}
out:
	(void)pthread_mutex_unlock(&disk.lock);
	return put;
}

static inline int
disk_truncate(int fd, off_t len)
{
	const struct disk_name *of;
	int rc = -1;

	(void)pthread_mutex_lock(&disk.lock);
	of = disk_of(fd);
	if (of == NULL || disk_call() != -1)
		rc = (int)syscall(SYS_ftruncate, fd, len);
	if (of != NULL && rc == 0)
		disk_note(DISK_TRUNCATE, of->file, of->path)->off =
		    (uint64_t)len;
	(void)pthread_mutex_unlock(&disk.lock);
	return rc;
}

static inline int
disk_sync(int fd, long call)
{
	const struct disk_name *of;
	int rc = -1;

	(void)pthread_mutex_lock(&disk.lock);
	of = disk_of(fd);
	if (of == NULL || disk_call() != -1)
		rc = disk.quick ? 0 : (int)syscall(call, fd);
	if (disk.frozen)
		; /* It is as if the process was no more. */
	else if (of != NULL && of->file != 0)
		(void)disk_note(
		    rc == 0 ? DISK_SYNC : DISK_SYNC_FAILED, of->file, of->path);
	else if (of != NULL && rc == 0)
		(void)disk_note(DISK_SYNC_DIR, 0, of->path);
	(void)pthread_mutex_unlock(&disk.lock);
	return rc;
}

static inline int
disk_unlink(int dirfd, const char *path, int flags)
{
	char rel[DISK_PATH];
	int ours, rc = -1;

	(void)pthread_mutex_lock(&disk.lock);
	ours =
	    disk_path(dirfd, path, rel) && disk_find(&disk.live, rel) != NULL;
	if (!ours || disk_call() != -1)
		rc = (int)syscall(SYS_unlinkat, dirfd, path, flags);
	if (ours && rc == 0) {
		disk_name_remove(&disk.live, rel);
		(void)disk_note(DISK_UNLINK, 0, rel);
	}
	(void)pthread_mutex_unlock(&disk.lock);
	return rc;
}

static inline int
disk_mkdir(const char *path, mode_t mode)
{
	char rel[DISK_PATH];
	int ours, rc = -1;

	(void)pthread_mutex_lock(&disk.lock);
	ours = disk_path(AT_FDCWD, path, rel) &&
	       disk_find(&disk.live, rel) == NULL;
	if (!ours || disk_call() != -1)
		rc = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
	if (ours && rc == 0) {
		disk_name_add(&disk.live, rel, 0);
		(void)disk_note(DISK_MKDIR, 0, rel);
	}
	(void)pthread_mutex_unlock(&disk.lock);
	return rc;
}

/* Put the test's own mark into the journal. */
static inline void
disk_mark(uint64_t number)
{
	(void)pthread_mutex_lock(&disk.lock);
	disk_note(DISK_MARK, 0, "")->off = number;
	(void)pthread_mutex_unlock(&disk.lock);
}

/* ---- the calls that are taken over ------------------------------------------
 */

#define DISK_MODE(flags, mode)                                                 \
	do {                                                                   \
		va_list ap;                                                    \
		va_start(ap, flags);                                           \
		(mode) =                                                       \
		    (flags) & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;  \
		va_end(ap);                                                    \
	} while (0)

#define DISK_OPEN(name)                                                        \
	int name(const char *path, int flags, ...)                             \
	{                                                                      \
		mode_t mode;                                                   \
		DISK_MODE(flags, mode);                                        \
		return disk_open(AT_FDCWD, path, flags, mode);                 \
	}
#define DISK_OPENAT(name)                                                      \
	int name(int dirfd, const char *path, int flags, ...)                  \
	{                                                                      \
		mode_t mode;                                                   \
		DISK_MODE(flags, mode);                                        \
		return disk_open(dirfd, path, flags, mode);                    \
	}
#define DISK_PWRITE(name)                                                      \
	ssize_t name(int fd, const void *data, size_t len, off_t off)          \
	{                                                                      \
		struct iovec part = {(void *)(uintptr_t)data, len};            \
		return disk_writev(fd, &part, 1, off);                         \
	}
#define DISK_PWRITEV(name)                                                     \
	ssize_t name(int fd, const struct iovec *parts, int n, off_t off)      \
	{                                                                      \
		return disk_writev(fd, parts, n, off);                         \
	}
#define DISK_FTRUNCATE(name)                                                   \
	int name(int fd, off_t len)                                            \
	{                                                                      \
		return disk_truncate(fd, len);                                 \
	}

DISK_OPEN(open)
DISK_OPEN(open64)
DISK_OPENAT(openat)
DISK_OPENAT(openat64)
DISK_PWRITE(pwrite)
DISK_PWRITE(pwrite64)
DISK_PWRITEV(pwritev)
DISK_PWRITEV(pwritev64)
DISK_FTRUNCATE(ftruncate)
DISK_FTRUNCATE(ftruncate64)

/* What nobody does to files of the store: to be followed too, if it comes. */
ssize_t
write(int fd, const void *data, size_t len)
{
	(void)pthread_mutex_lock(&disk.lock);
	if (disk_of(fd) != NULL)
		abort();
	(void)pthread_mutex_unlock(&disk.lock);
	return syscall(SYS_write, fd, data, len);
}

int
rename(const char *from, const char *to)
{
	char rel[DISK_PATH];

	(void)pthread_mutex_lock(&disk.lock);
	if (disk_path(AT_FDCWD, from, rel) || disk_path(AT_FDCWD, to, rel))
		abort();
	(void)pthread_mutex_unlock(&disk.lock);
	return (int)syscall(SYS_rename, from, to);
}

int
fsync(int fd)
{
	return disk_sync(fd, SYS_fsync);
}

int
fdatasync(int fd)
{
	return disk_sync(fd, SYS_fdatasync);
}

int
unlink(const char *path)
{
	return disk_unlink(AT_FDCWD, path, 0);
}

int
unlinkat(int dirfd, const char *path, int flags)
{
	return disk_unlink(dirfd, path, flags);
}

int
rmdir(const char *path)
{
	return disk_unlink(AT_FDCWD, path, AT_REMOVEDIR);
}

int
mkdir(const char *path, mode_t mode)
{
	return disk_mkdir(path, mode);
}

int
close(int fd)
{
	(void)pthread_mutex_lock(&disk.lock);
	if (fd >= 0 && fd < DISK_FDS)
		disk.fd_used[fd] = 0;
	(void)pthread_mutex_unlock(&disk.lock);
	return (int)syscall(SYS_close, fd);
}

/* ---- from the journal to disks ----------------------------------------------
 */

/* A write or truncation that was not synced. */
struct disk_pending {
	const struct disk_event *event;
	int doubt; /* A sync of it has failed. */
	int must;  /* It was synced, but something before it is in doubt. */
};

struct disk_file {
	char *data; /* What is there for sure. */
	size_t len;
	struct disk_pending *pending;
	size_t npending;
	size_t pending_cap;
};

/* What is known of the disk at some place of the journal. */
struct disk_state {
	struct disk_names names;                      /* There for sure. */
	const struct disk_event *changes[DISK_FILES]; /* Of names, not synced */
	size_t nchanges;
	struct disk_file files[DISK_FILES];
};

enum disk_luck {
	DISK_NOTHING, /* Nothing that was not synced is there. */
	DISK_ALL,     /* All of it, as after a kill. */
	DISK_NAMES_ONLY,
	DISK_DATA_ONLY,
	DISK_TORN, /* All, but the last write in part. */
	DISK_RANDOM,
};

static inline uint64_t
disk_random(uint64_t *seed)
{
	uint64_t z = *seed += 0x9E3779B97F4A7C15U;

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
	return z ^ (z >> 31);
}

static inline void
disk_put(char **data, size_t *len, uint64_t off, const char *from, size_t n)
{
	if (n == 0)
		return;
	if (off + n > *len) {
		*data = mem_realloc(*data, off + n + 1);
		if (off > *len)
			(void)memset(*data + *len, 0, off - *len);
		*len = off + n;
	}
	(void)memcpy(*data + off, from, n);
}

static inline void
disk_resize(char **data, size_t *len, uint64_t to)
{
	if (to > *len) {
		*data = mem_realloc(*data, to + 1);
		(void)memset(*data + *len, 0, to - *len);
	}
	*len = to;
}

static inline void
disk_apply(char **data, size_t *len, const struct disk_event *e)
{
	if (e->kind == DISK_WRITE)
		disk_put(data, len, e->off, e->data, e->len);
	else
		disk_resize(data, len, e->off);
}

static inline void
disk_rename(struct disk_names *names, const struct disk_event *e)
{
	if (e->kind == DISK_UNLINK)
		disk_name_remove(names, e->path);
	else
		disk_name_add(names, e->path, e->file);
}

static inline void
disk_synced(struct disk_file *f, int failed)
{
	size_t i, n = 0;
	int doubt = 0;

	for (i = 0; i < f->npending; i++) {
		if (failed)
			f->pending[i].doubt |= !f->pending[i].must;
		else
			f->pending[i].must |= !f->pending[i].doubt;
		doubt |= f->pending[i].doubt;
	}
	if (failed || doubt)
		return;
	for (; n < f->npending; n++)
		disk_apply(&f->data, &f->len, f->pending[n].event);
	f->npending = 0;
}

/* Take the next event into the state.  ${dropped}: syncs of what has that in
 * its path do nothing; NULL: all are real. */
static inline void
disk_follow(
    struct disk_state *s, const struct disk_event *e, const char *dropped)
{
	struct disk_file *f = &s->files[e->file];
	char parent[DISK_PATH];
	size_t i, n = 0;

	if (e->file >= DISK_FILES)
		abort();
	switch (e->kind) {
	case DISK_WRITE:
	case DISK_TRUNCATE:
		f->pending = mem_grow(f->pending, &f->pending_cap,
		    f->npending + 1, sizeof(*f->pending));
		f->pending[f->npending++] = (struct disk_pending){e, 0, 0};
		break;
	case DISK_SYNC:
	case DISK_SYNC_FAILED:
		if (dropped == NULL || strstr(e->path, dropped) == NULL)
			disk_synced(f, e->kind == DISK_SYNC_FAILED);
		break;
	case DISK_CREATE:
	case DISK_UNLINK:
	case DISK_MKDIR:
		if (s->nchanges == DISK_FILES)
			abort();
		s->changes[s->nchanges++] = e;
		break;
	case DISK_SYNC_DIR:
		if (dropped != NULL && strcmp(dropped, "/") == 0)
			break;
		for (i = 0; i < s->nchanges; i++) {
			disk_parent(s->changes[i]->path, parent);
			if (strcmp(parent, e->path) == 0)
				disk_rename(&s->names, s->changes[i]);
			else
				s->changes[n++] = s->changes[i];
		}
		s->nchanges = n;
		break;
	case DISK_MARK:
		break;
	}
}

/* The content that a file has by luck. */
static inline char *
disk_content(const struct disk_file *f, enum disk_luck luck, uint64_t *seed,
    size_t *ret_len)
{
	unsigned int percent = (unsigned int)(disk_random(seed) % 3) * 40 + 10;
	size_t len = f->len, i, at, end;
	const struct disk_event *e;
	char *data = mem_alloc(len + 1);
	int torn;

	if (len > 0)
		(void)memcpy(data, f->data, len);
	for (i = 0; i < f->npending; i++) {
		e = f->pending[i].event;
		torn = luck == DISK_RANDOM ||
		       (luck == DISK_TORN && i + 1 == f->npending);
		if (f->pending[i].must || (!torn && luck != DISK_NOTHING &&
					      luck != DISK_NAMES_ONLY)) {
			disk_apply(&data, &len, e);
		} else if (torn && e->kind == DISK_TRUNCATE) {
			if (disk_random(seed) % 100 < percent)
				disk_apply(&data, &len, e);
		} else if (torn) {
			for (at = 0; at < e->len; at = end) {
				end = ((e->off + at) / DISK_SECTOR + 1) *
					  DISK_SECTOR -
				      e->off;
				if (end > e->len)
					end = e->len;
				if (disk_random(seed) % 100 < percent)
					disk_put(&data, &len, e->off + at,
					    e->data + at, end - at);
			}
		}
	}
	*ret_len = len;
	return data;
}

/* The names that are there by luck. */
static inline void
disk_lucky_names(const struct disk_state *s, enum disk_luck luck,
    uint64_t *seed, struct disk_names *names)
{
	char parent[DISK_PATH];
	size_t i, n;
	int take;

	*names = s->names;
	for (i = 0; i < s->nchanges; i++) {
		take = luck == DISK_RANDOM
			   ? (int)(disk_random(seed) % 2)
			   : luck != DISK_NOTHING && luck != DISK_DATA_ONLY;
		if (take)
			disk_rename(names, s->changes[i]);
	}

	/* What is in a folder that is not there is not there. */
	do {
		n = names->n;
		for (i = 0; i < names->n; i++) {
			disk_parent(names->names[i].path, parent);
			if (parent[0] != '\0' &&
			    disk_find(names, parent) == NULL) {
				names->names[i] = names->names[--names->n];
				break;
			}
		}
	} while (names->n < n);
}

static inline void
disk_write_file(const char *path, const char *data, size_t len)
{
	int fd = (int)syscall(
	    SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	if (fd == -1 || syscall(SYS_write, fd, data, len) != (long)len)
		abort();
	(void)syscall(SYS_close, fd);
}

/*
 * Make below ${root}, which is empty, a disk that a power cut may leave; or
 * with NULL only say what it would be.  Returns a hash of it.
 */
static inline uint64_t
disk_make(const struct disk_state *s, enum disk_luck luck, uint64_t seed,
    const char *root)
{
	struct disk_names names;
	uint64_t hash = 0, mine;
	char path[256], *data;
	size_t len, i, depth, slashes;
	const char *p;

	disk_lucky_names(s, luck, &seed, &names);
	for (depth = 0; depth < 4; depth++) {
		for (i = 0; i < names.n; i++) {
			for (slashes = 0, p = names.names[i].path; *p; p++)
				slashes += *p == '/';
			if (slashes != depth)
				continue;
			(void)snprintf(path, sizeof(path), "%s/%s",
			    root == NULL ? "" : root, names.names[i].path);
			mine = checksum_hash(
			    str_of(names.names[i].path), names.names[i].file);
			if (names.names[i].file == 0) {
				hash += mine;
				if (root != NULL &&
				    syscall(SYS_mkdirat, AT_FDCWD, path,
					0700) == -1)
					abort();
				continue;
			}
			data = disk_content(
			    &s->files[names.names[i].file], luck, &seed, &len);
			hash += checksum_hash((struct str){data, len}, mine);
			if (root != NULL)
				disk_write_file(path, data, len);
			free(data);
		}
	}
	return hash;
}

static inline struct disk_state *
disk_state_create(void)
{
	return mem_zalloc(sizeof(struct disk_state));
}

static inline void
disk_state_free(struct disk_state *s)
{
	size_t i;

	for (i = 0; i < DISK_FILES; i++) {
		free(s->files[i].data);
		free(s->files[i].pending);
	}
	free(s);
}

/* ---- recording --------------------------------------------------------------
 */

static inline void
disk_forget(void)
{
	size_t i;

	for (i = 0; i < disk.nevents; i++)
		free(disk.events[i].data);
	free(disk.events);
	disk.events = NULL;
	disk.nevents = disk.events_cap = 0;
}

/* What is there already is there for sure: note it as if it had been made. */
static inline void
disk_scan(const char *rel)
{
	char path[256], inside[DISK_PATH];
	struct dirent *entry;
	struct disk_event *e;
	struct stat st;
	DIR *dir;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", disk.root, rel);
	dir = opendir(path);
	if (dir == NULL)
		abort();
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.' ||
		    strstr(entry->d_name, "-shm") != NULL)
			continue;
		if (snprintf(inside, sizeof(inside), "%s%s%s", rel,
			rel[0] == '\0' ? "" : "/",
			entry->d_name) >= (int)sizeof(inside))
			abort();
		(void)snprintf(path, sizeof(path), "%s/%s", disk.root, inside);
		if (stat(path, &st) == -1)
			abort();
		if (S_ISDIR(st.st_mode)) {
			disk_name_add(&disk.live, inside, 0);
			(void)disk_note(DISK_MKDIR, 0, inside);
			disk_scan(inside);
			continue;
		}
		disk_name_add(&disk.live, inside, ++disk.last_file);
		(void)disk_note(DISK_CREATE, disk.last_file, inside);
		e = disk_note(DISK_WRITE, disk.last_file, inside);
		e->len = (size_t)st.st_size;
		e->data = mem_alloc(e->len + 1);
		fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY);
		if (fd == -1 ||
		    syscall(SYS_read, fd, e->data, e->len) != (long)e->len)
			abort();
		(void)syscall(SYS_close, fd);
		(void)disk_note(DISK_SYNC, disk.last_file, inside);
	}
	(void)closedir(dir);
	(void)disk_note(DISK_SYNC_DIR, 0, rel);
}

/* Note from now on what happens below ${root}; forget what was noted. */
static inline void
disk_record(const char *root)
{
	(void)pthread_mutex_lock(&disk.lock);
	disk_forget();
	(void)memset(&disk.live, 0, sizeof(disk.live));
	(void)memset(disk.fd_used, 0, sizeof(disk.fd_used));
	disk.last_file = 0;
	disk.calls = disk.die_at = disk.fail_from = disk.fail_to = 0;
	disk.freeze_at = 0;
	disk.frozen = 0;
	disk.failures = 0;
	(void)snprintf(disk.root, sizeof(disk.root), "%s", root);
	disk_scan("");
	disk.scanned = disk.nevents;
	(void)pthread_mutex_unlock(&disk.lock);
}

static inline void
disk_stop(void)
{
	(void)pthread_mutex_lock(&disk.lock);
	disk.root[0] = '\0';
	(void)pthread_mutex_unlock(&disk.lock);
}

#endif /* !TESTS_UNIT_DISK_H_ */
