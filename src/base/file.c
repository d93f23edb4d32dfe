#include <sys/stat.h>
#include <sys/types.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#include "base/file.h"

#define CHUNK 65536

int
file_read(const char *path, size_t max, struct buf *buf, struct err *err)
{
	size_t before = buf->len;
	ssize_t n;
	int fd, rc = -1;

	fd = strcmp(path, "-") == 0 ? STDIN_FILENO
				    : open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return err_set(err,
		    errno == ENOENT ? ERR_NOT_FOUND : ERR_UNAVAILABLE,
		    "cannot open %s: %s", path, strerror(errno));
	for (;;) {
		n = read(fd, buf_reserve(buf, CHUNK), CHUNK);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			(void)err_set(err, ERR_UNAVAILABLE,
			    "cannot read %s: %s", path, strerror(errno));
			goto out;
		}
		if (n == 0)
			break;
		buf->len += (size_t)n;
		if (buf->len - before > max) {
			(void)err_set(err, ERR_TOO_LARGE,
			    "%s is longer than %zu bytes", path, max);
			goto out;
		}
	}
	rc = 0;
out:
	if (rc == -1)
		buf->len = before;
	if (buf->data != NULL)
		buf->data[buf->len] = '\0';
	if (fd != STDIN_FILENO)
		(void)close(fd);
	return rc;
}

/* Write all of ${len} bytes.  Return 0, or -1 with errno set. */
static int
write_all(int fd, const char *data, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = write(fd, data, len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The folder that ${path} is in.  The caller frees with free(). */
static char *
parent_of(const char *path)
{
	char *copy = mem_strdup(path), *dir = mem_strdup(dirname(copy));

	free(copy);
	return dir;
}

int
file_replace(const char *path, const void *data, size_t len, mode_t mode,
    struct err *err)
{
	char *tmp = mem_printf("%s.%ld.tmp", path, (long)getpid());
	char *dir = parent_of(path);
	int fd, rc = -1;

	fd = open(
	    tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd == -1 || fchmod(fd, mode) == -1 ||
	    write_all(fd, data, len) == -1 || fsync(fd) == -1 ||
	    rename(tmp, path) == -1) {
		(void)err_set(err, ERR_UNAVAILABLE, "cannot write %s: %s", path,
		    strerror(errno));
		if (fd != -1)
			(void)unlink(tmp);
		goto out;
	}
	rc = file_sync_dir(dir, err);
out:
	if (fd != -1)
		(void)close(fd);
	free(dir);
	free(tmp);
	return rc;
}

/* Make the name of a folder durable, where the one above can be read. */
static int
sync_name(const char *path, struct err *err)
{
	char *parent = parent_of(path);
	int rc = 0;

	if (access(parent, R_OK) == 0)
		rc = file_sync_dir(parent, err);
	free(parent);
	return rc;
}

int
file_create(const char *path, const void *data, size_t len, mode_t mode,
    struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	if (fd != -1 && write_all(fd, data, len) == 0) {
		(void)close(fd);
		return 0;
	}
	(void)err_set(err,
	    fd == -1 && errno == EEXIST ? ERR_INVALID : ERR_UNAVAILABLE,
	    "cannot write %s: %s", path, strerror(errno));
	if (fd != -1) {
		(void)unlink(path);
		(void)close(fd);
	}
	return -1;
}

int
file_make_dir(const char *path, mode_t mode, struct err *err)
{
	struct stat st;
	char *parent;
	int rc;

	rc = mkdir(path, mode);
	if (rc == -1 && errno == ENOENT) {
		parent = parent_of(path);
		rc = strcmp(parent, path) == 0
			 ? -1
			 : file_make_dir(parent, mode, err);
		free(parent);
		if (rc == -1)
			return -1;
		rc = mkdir(path, mode);
	}

	/* Who made it may have been stopped before its name was durable. */
	if (rc == 0 ||
	    (errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode)))
		return sync_name(path, err);
	return err_set(err, ERR_UNAVAILABLE, "cannot make the folder %s: %s",
	    path, strerror(errno));
}

int
file_sync_dir(const char *path, struct err *err)
{
	int fd, rc;

	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = fd == -1 ? -1 : fsync(fd);
	if (rc == -1)
		(void)err_set(err, ERR_UNAVAILABLE, "cannot sync %s: %s", path,
		    strerror(errno));
	if (fd != -1)
		(void)close(fd);
	return rc;
}
