#include <sys/file.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypto/seal.h"
#include "crypto/secret.h"
#include "json/jdoc.h"
#include "json/jwrite.h"

#include "sentry/login.h"

#include "sentry/login_file.h"

#define MAX_FILE 65536
#define WHAT "login"

static void
wipe_buf(struct buf *buf)
{
	if (buf->data != NULL)
		secret_wipe(buf->data, buf->cap);
	buf_free(buf);
}

static char *
copy(const struct jval *object, const char *name)
{
	struct str s = jdoc_get_str(object, name);

	return s.data == NULL ? NULL : mem_strndup(s.data, s.len);
}

static int
copy_time(const struct jval *object, const char *name, uint64_t *ret)
{
	const struct jval *v = jdoc_gets(object, name);

	if (v == NULL || jval_kind(v) != JDOC_INT || v->v.i < 0)
		return -1;
	*ret = (uint64_t)v->v.i;
	return 0;
}

static int
read_plain(const struct buf *plain, struct login *ret)
{
	struct login login = {0};
	struct jdoc doc = {0};
	const struct jval *root;
	int rc = -1;

	if (jdoc_parse(&doc, buf_text(plain), plain->len, NULL, NULL) == -1)
		goto out;
	root = jdoc_root(&doc);
	login.sentry_url = copy(root, "sentry_url");
	login.client_id = copy(root, "client_id");
	login.access = copy(root, "access_token");
	login.refresh = copy(root, "refresh_token");
	login.scope = copy(root, "scope");
	login.who = copy(root, "who");
	if (login.sentry_url == NULL || login.client_id == NULL ||
	    login.access == NULL ||
	    copy_time(root, "created", &login.created_unix_ms) == -1 ||
	    copy_time(root, "expires", &login.expires_unix_ms) == -1)
		goto out;
	*ret = login;
	login = (struct login){0};
	rc = 0;

out:
	login_clear(&login);
	jdoc_free(&doc);
	return rc;
}

int
login_file_load(const char *data_dir, const struct seal *seal,
    struct login *ret, struct err *err)
{
	char *path = mem_printf("%s/%s", data_dir, LOGIN_FILE);
	struct buf sealed = BUF_INIT, plain = BUF_INIT;
	int rc = -1;

	if (file_read(path, MAX_FILE, &sealed, err) == -1) {
		if (err->code == ERR_NOT_FOUND)
			(void)err_set(err, ERR_NOT_FOUND,
			    "nobody is logged in: 'moonpost login' comes "
			    "first");
		goto out;
	}
	while (sealed.len > 0 && sealed.data[sealed.len - 1] == '\n')
		sealed.len--;
	if (seal_get(seal, STR(WHAT),
		(struct str){buf_text(&sealed), sealed.len}, &plain,
		err) == -1) {
		(void)err_prefix(err, "%s", path);
		goto out;
	}
	if (read_plain(&plain, ret) == -1) {
		(void)err_set(err, ERR_INVALID,
		    "%s does not hold a token: 'moonpost login' makes it anew",
		    path);
		goto out;
	}
	rc = 0;

out:
	wipe_buf(&plain);
	buf_free(&sealed);
	free(path);
	return rc;
}

int
login_file_save(const char *data_dir, const struct seal *seal,
    const struct login *login, struct err *err)
{
	char *path = mem_printf("%s/%s", data_dir, LOGIN_FILE);
	struct buf sealed = BUF_INIT, plain = BUF_INIT;
	struct jwrite w = jwrite_begin(&plain, 0);
	int rc;

	jwrite_object(&w);
	jwrite_member_text(&w, "sentry_url", login->sentry_url);
	jwrite_member_text(&w, "client_id", login->client_id);
	jwrite_member_text(&w, "access_token", login->access);
	jwrite_member_text(&w, "refresh_token", login->refresh);
	jwrite_member_text(&w, "scope", login->scope);
	jwrite_member_text(&w, "who", login->who);
	jwrite_member_int(&w, "created", (int64_t)login->created_unix_ms);
	jwrite_member_int(&w, "expires", (int64_t)login->expires_unix_ms);
	jwrite_object_end(&w);
	seal_put(seal, STR(WHAT), (struct str){plain.data, plain.len}, &sealed);
	buf_putc(&sealed, '\n');
	rc = file_replace(path, sealed.data, sealed.len, 0600, err);
	wipe_buf(&plain);
	buf_free(&sealed);
	free(path);
	return rc;
}

int
login_file_remove(const char *data_dir, int *ret_was_there, struct err *err)
{
	char *path = mem_printf("%s/%s", data_dir, LOGIN_FILE);
	int was_there = unlink(path) == 0, rc = 0;

	if (!was_there && errno != ENOENT && errno != ENOTDIR)
		rc = err_set(err, ERR_UNAVAILABLE, "cannot remove %s: %s", path,
		    strerror(errno));
	else if (was_there)
		rc = file_sync_dir(data_dir, err);
	if (rc == 0)
		*ret_was_there = was_there;
	free(path);
	return rc;
}

int
login_file_lock(const char *data_dir, int *ret_fd, struct err *err)
{
	char *path = mem_printf("%s/%s", data_dir, LOGIN_LOCK);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600),
	    rc = 0;

	if (fd != -1) {
		do {
			rc = flock(fd, LOCK_EX);
		} while (rc == -1 && errno == EINTR);
	}
	if (fd == -1 || rc == -1) {
		rc = err_set(err, ERR_UNAVAILABLE, "cannot lock %s: %s", path,
		    strerror(errno));
		if (fd != -1)
			(void)close(fd);
	} else {
		*ret_fd = fd;
	}
	free(path);
	return rc;
}
