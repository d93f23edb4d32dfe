/* base/arena, base/mem, base/file, base/mailbox, base/ipc, base/log. */

#include <sys/stat.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "base/mem.h"

static char dir[] = "/tmp/moonpost-test-XXXXXX";

static void
make_dir(void)
{
	cr_assert_not_null(mkdtemp(dir));
}

static void
remove_dir(void)
{
	char *cmd = mem_printf("rm -rf '%s'", dir);

	cr_expect_eq(system(cmd), 0);
	free(cmd);
}

Test(arena, pieces_are_aligned_and_survive_growth)
{
	struct arena a = {0};
	char *first, *p;
	int i;

	first = arena_strndup(&a, "first", 5);
	for (i = 0; i < 10000; i++) {
		p = arena_alloc(&a, 33);
		cr_assert_eq((uintptr_t)p % 16, 0);
		(void)memset(p, i, 33);
	}
	cr_expect_str_eq(first, "first");
	p = arena_zalloc(&a, 5 << 20);
	cr_expect_eq(p[(5 << 20) - 1], 0);
	arena_reset(&a);
	cr_expect_not_null(arena_alloc(&a, 10));
	arena_free(&a);
	arena_free(&a);
}

Test(mem, grow_makes_room_and_keeps_the_content)
{
	size_t cap = 0, i;
	int *v = NULL;

	for (i = 0; i < 1000; i++) {
		v = mem_grow(v, &cap, i + 1, sizeof(*v));
		v[i] = (int)i;
	}
	for (i = 0; i < 1000; i++)
		cr_assert_eq(v[i], (int)i);
	free(v);
	cr_expect_null(mem_strdup(NULL));
}

Test(file, replaces_and_reads, .init = make_dir, .fini = remove_dir)
{
	char *path = mem_printf("%s/a/b/c", dir),
	     *folder = mem_printf("%s/a/b", dir);
	struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	struct stat st;

	cr_assert_eq(file_make_dir(folder, 0700, &err), 0, "%s", err.msg);
	cr_assert_eq(file_make_dir(folder, 0700, &err), 0, "twice");
	cr_assert_eq(
	    file_replace(path, "one", 3, 0600, &err), 0, "%s", err.msg);
	cr_assert_eq(
	    file_replace(path, "two!", 4, 0600, &err), 0, "%s", err.msg);
	cr_assert_eq(file_read(path, 100, &b, &err), 0, "%s", err.msg);
	cr_expect_str_eq(b.data, "two!");
	cr_expect_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0600);
	cr_expect_eq(file_read(path, 3, &b, &err), -1);
	cr_expect_eq(err.code, ERR_TOO_LARGE);
	cr_expect_str_eq(b.data, "two!", "as it was");
	buf_free(&b);
	free(path);
	free(folder);
}

Test(file, creates_and_never_overwrites, .init = make_dir, .fini = remove_dir)
{
	char *path = mem_printf("%s/new", dir);
	char *nowhere = mem_printf("%s/none/new", dir);
	struct buf b = BUF_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(file_create(path, "one", 3, 0644, &err), 0, "%s", err.msg);
	cr_expect_eq(file_create(path, "two", 3, 0644, &err), -1);
	cr_expect_eq(err.code, ERR_INVALID);
	cr_assert_eq(file_read(path, 100, &b, NULL), 0);
	cr_expect_str_eq(buf_text(&b), "one");
	cr_expect_eq(file_create(nowhere, "", 0, 0644, &err), -1);
	cr_expect_eq(err.code, ERR_UNAVAILABLE);
	buf_free(&b);
	free(path);
	free(nowhere);
}

Test(file, says_what_is_in_the_way, .init = make_dir, .fini = remove_dir)
{
	char *path = mem_printf("%s/x", dir),
	     *below = mem_printf("%s/x/y", dir);
	struct buf b = BUF_INIT;
	struct err err = ERR_INIT;

	cr_expect_eq(file_read(path, 1, &b, &err), -1);
	cr_expect_eq(err.code, ERR_NOT_FOUND);
	cr_expect_eq(file_replace(path, "", 0, 0600, &err), 0);
	cr_expect_eq(file_make_dir(path, 0700, &err), -1);
	cr_expect_eq(err.code, ERR_UNAVAILABLE);
	cr_expect_eq(file_replace(below, "", 0, 0600, &err), -1);
	cr_expect_eq(err.code, ERR_UNAVAILABLE);
	cr_expect_eq(file_sync_dir(below, &err), -1);
	buf_free(&b);
	free(path);
	free(below);
}

struct letter {
	struct mail mail;
	int number;
};

static int opened;
static int in_order = 1;

static void
open_letter(struct mail *mail)
{
	struct letter *l = CONTAINER_OF(mail, struct letter, mail);

	in_order = in_order && l->number == opened;
	opened++;
	free(l);
}

static void *
send_letters(void *cookie)
{
	struct letter *l;
	int i;

	for (i = 0; i < 20000; i++) {
		l = mem_zalloc(sizeof(*l));
		l->mail.open = open_letter;
		l->number = i;
		mailbox_put(cookie, &l->mail);
	}
	return NULL;
}

Test(mailbox, letters_arrive_once_and_in_order, .timeout = 20)
{
	struct mailbox *mb = mailbox_create(10);
	pthread_t thread;

	cr_expect(mailbox_room(mb));
	cr_assert_eq(pthread_create(&thread, NULL, send_letters, mb), 0);
	while (opened < 20000) {
		mailbox_wait(mb, -1);
		mailbox_open_all(mb);
	}
	(void)pthread_join(thread, NULL);
	cr_expect(in_order);
	cr_expect_null(mailbox_take(mb));
	mailbox_wait(mb, 0);
	mailbox_free(mb);
	mailbox_free(NULL);
}

Test(mailbox, several_letters_go_in_at_once)
{
	struct mailbox *mb = mailbox_create(3);
	struct mail a, b = {NULL, NULL}, c = {NULL, NULL};

	mailbox_put(mb, &a);
	b.next = &c;
	mailbox_put_all(mb, &b);
	cr_expect(!mailbox_room(mb));
	cr_expect_eq(mailbox_take(mb), &a);
	cr_expect_eq(a.next, &b);
	cr_expect_eq(b.next, &c);
	cr_expect_null(c.next);
	cr_expect_null(mailbox_take(mb));
	mailbox_free(mb);
}

Test(mailbox, says_when_it_is_full)
{
	struct mailbox *mb = mailbox_create(2);
	struct mail a = {NULL, NULL}, b = {NULL, NULL};

	mailbox_put(mb, &a);
	cr_expect(mailbox_room(mb));
	mailbox_put(mb, &b);
	cr_expect(!mailbox_room(mb));
	cr_expect_eq(mailbox_take(mb), &a);
	cr_expect_eq(a.next, &b);
	cr_expect(mailbox_room(mb));
	mailbox_free(mb);
}

Test(ipc, frames_survive_being_cut_anywhere)
{
	struct buf out = BUF_INIT;
	struct ipc_frame f;
	struct unpack u;
	size_t at, n;
	char *text;

	at = ipc_begin(&out, 7, 99);
	pack_u64(&out, 5);
	pack_text(&out, "hello");
	pack_text(&out, NULL);
	pack_str(&out, STR(""));
	ipc_end(&out, at);
	for (n = 0; n < out.len; n++)
		cr_assert_eq(ipc_next(out.data, n, &f, NULL), 0);
	cr_expect_eq(ipc_wanted(out.data, 3), IPC_HEADER_SIZE);
	cr_expect_eq(ipc_wanted(out.data, out.len), out.len);
	cr_assert_eq(ipc_next(out.data, out.len, &f, NULL), (ptrdiff_t)out.len);
	cr_expect_eq(f.type, 7);
	cr_expect_eq(f.id, 99);
	u = unpack_begin(f.payload);
	cr_expect_eq(unpack_u64(&u), 5);
	cr_expect_eq(unpack_end(&u), -1, "something is left");
	text = unpack_text(&u);
	cr_expect_str_eq(text, "hello");
	free(text);
	cr_expect_null(unpack_text(&u));
	cr_expect_not_null(unpack_str(&u).data, "empty is not absent");
	cr_expect_eq(unpack_end(&u), 0);
	cr_expect_eq(unpack_u64(&u), 0, "past the end");
	cr_expect_eq(unpack_end(&u), -1, "and it stays failed");
	buf_free(&out);
}

Test(ipc, a_length_that_lies_is_refused)
{
	struct buf out = BUF_INIT;
	struct ipc_frame f;
	struct unpack u;
	struct err err;
	uint32_t huge = IPC_MAX_PAYLOAD + 1;
	char text[] = "\xff\xff\xff\x7f"
		      "abc";

	(void)ipc_begin(&out, 1, 1);
	(void)memcpy(out.data, &huge, sizeof(huge));
	cr_expect_eq(ipc_next(out.data, out.len, &f, &err), -1);
	cr_expect_eq(err.code, ERR_INVALID);
	u = unpack_begin((struct str){text, sizeof(text) - 1});
	cr_expect_null(unpack_str(&u).data);
	cr_expect_eq(unpack_end(&u), -1);
	buf_free(&out);
}

/* Run ${f} with standard error in a file; return what it wrote. */
static char *
logged(void (*f)(void))
{
	char *path = mem_printf("%s/log", dir);
	struct buf b = BUF_INIT;
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600),
	    old = dup(STDERR_FILENO);

	(void)dup2(fd, STDERR_FILENO);
	f();
	(void)dup2(old, STDERR_FILENO);
	(void)close(old);
	(void)close(fd);
	cr_assert_eq(file_read(path, 1 << 20, &b, NULL), 0);
	free(path);
	return buf_take(&b);
}

static void
redact(void *cookie, struct buf *line)
{
	char *at = strstr(line->data, cookie);

	if (at != NULL)
		(void)memset(at, '*', strlen(cookie));
}

static void
log_some(void)
{
	static char secret[] = "hunter2";

	log_set_redactor(redact, secret);
	log_debug("not this");
	log_info("plain");
	log_warn("with", LOG_STR("s", "a\"b hunter2"), LOG_INT("n", -3),
	    LOG_OPT("none", (const char *)NULL), LOG_JSON("j", "[1]", 3));
	log_set_redactor(NULL, NULL);
}

Test(log, json_lines_have_the_documented_keys, .init = make_dir,
    .fini = remove_dir)
{
	char *text;

	log_setup(LOG_FORMAT_JSON, LOG_INFO, 0);
	text = logged(log_some);
	cr_expect_null(strstr(text, "not this"));
	cr_expect_eq(strncmp(text, "{\"time\":\"20", 11), 0, "%s", text);
	cr_expect_not_null(
	    strstr(text, "Z\",\"level\":\"info\",\"msg\":\"plain\"}\n"), "%s",
	    text);
	cr_expect_not_null(strstr(text, "\"msg\":\"with\",\"s\":\"a\\\"b "
					"*******\",\"n\":-3,\"j\":[1]}\n"),
	    "%s", text);
	free(text);
}

static void
log_hostile(void)
{
	log_error(
	    "x", LOG_STR("a", "\x1b[2J"), LOG_STR("traceback", "one\ntwo"));
}

Test(log, pretty_lines_cannot_drive_a_terminal, .init = make_dir,
    .fini = remove_dir)
{
	enum log_level level;
	char *text;

	log_setup(LOG_FORMAT_PRETTY, LOG_DEBUG, 0);
	text = logged(log_hostile);
	cr_expect_not_null(
	    strstr(text, "error x a=\\x1b[2J\n         one\n         two\n"),
	    "%s", text);
	free(text);
	cr_expect_eq(log_level_parse(STR("warn"), &level), 0);
	cr_expect_eq(level, LOG_WARN);
	cr_expect_eq(log_level_parse(STR("loud"), &level), -1);
	cr_expect_str_eq(log_level_name(LOG_ERROR), "error");
}
