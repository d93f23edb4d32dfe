#include <sys/resource.h>
#include <sys/syscall.h>

#include <errno.h>

#include "store_util.h"

#include "store/checksum.h"
#include "store/segment.h"
#include "store/u64map.h"

TestSuite(segment, .init = util_setup, .fini = util_teardown, .timeout = 60);

static struct segment *
open_at(uint64_t max_bytes, uint64_t file, uint64_t used)
{
	struct err err = ERR_INIT;
	struct segment *seg = NULL;

	cr_assert_eq(segment_open(util_dir, max_bytes, file, used, &seg, &err),
	    0, "%s", err.msg);
	return seg;
}

static struct segment_ref
put(struct segment *seg, uint64_t id, struct str body)
{
	const struct segment_record record = {
	    STR("{}"), STR("[1]"), body, STR("row"), NULL};
	struct segment_ref ref;
	struct err err = ERR_INIT;

	cr_assert_eq(
	    segment_put(seg, id, &record, &ref, &err), 0, "%s", err.msg);
	return ref;
}

static void
sync_now(struct segment *seg)
{
	struct err err = ERR_INIT;

	cr_assert_eq(segment_sync(seg, &err), 0, "%s", err.msg);
}

static void
expect(const struct segment_ref *ref, uint64_t id, struct str body)
{
	struct segment_reader *reader = segment_reader_create(util_dir);
	struct segment_record record;
	struct err err = ERR_INIT;

	cr_assert_eq(
	    segment_read(reader, ref, id, &record, &err), 0, "%s", err.msg);
	cr_assert(str_eq(record.headers, STR("{}")));
	cr_assert(str_eq(record.warnings, STR("[1]")));
	cr_assert(str_eq(record.body, body));
	free(record.memory);
	segment_reader_free(reader);
}

/* Read what must be refused; returns the code. */
static enum err_code
refused(const struct segment_ref *ref, uint64_t id)
{
	struct segment_reader *reader = segment_reader_create(util_dir);
	struct segment_record record;
	struct err err = ERR_INIT;

	cr_assert_eq(segment_read(reader, ref, id, &record, &err), -1);
	segment_reader_free(reader);
	return err.code;
}

static void
path_of(uint64_t file, char path[static 128])
{
	(void)snprintf(
	    path, 128, "%s/%08llx.seg", util_dir, (unsigned long long)file);
}

Test(segment, crc32c_is_castagnolis_on_every_way)
{
	char text[64];
	size_t i;

	cr_assert_eq(checksum_crc32c(0, "123456789", 9), 0xE3069283U);
	cr_assert_eq(checksum_crc32c(0, "", 0), 0);
	for (i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 37);
	for (i = 0; i <= sizeof(text); i++)
		cr_assert_eq(checksum_crc32c(checksum_crc32c(0, text, i),
				 text + i, sizeof(text) - i),
		    checksum_crc32c(0, text, sizeof(text)));
}

Test(segment, hashes_differ_by_text_and_salt)
{
	uint64_t a = checksum_hash(STR("abc"), 1);

	cr_assert_neq(a, checksum_hash(STR("abd"), 1));
	cr_assert_neq(a, checksum_hash(STR("abc"), 2));
	cr_assert_neq(a, checksum_hash(STR("abc\0"), 1));
	cr_assert_eq(a, checksum_hash(STR("abc"), 1));
}

static int
keep_even(const void *cookie, uint64_t key, uint64_t value)
{
	(void)cookie;
	(void)value;
	return key % 2 == 0;
}

Test(segment, number_map_keeps_what_it_is_given)
{
	struct u64map map = {NULL, 0, 0};
	uint64_t i;

	for (i = 1; i <= 10000; i++)
		u64map_put(&map, i, i * 3, NULL, NULL);
	for (i = 1; i <= 10000; i += 3)
		u64map_remove(&map, i);
	for (i = 1; i <= 10000; i++) {
		if (i % 3 == 1)
			cr_assert_null(u64map_get(&map, i));
		else
			cr_assert_eq(u64map_get(&map, i)->value, i * 3);
	}
	u64map_free(&map);
	for (i = 1; i <= 100000; i++)
		u64map_put(&map, i, i, keep_even, NULL);
	for (i = 2; i <= 100000; i += 2)
		cr_assert_eq(u64map_get(&map, i)->value, i);
	cr_assert_lt(map.count, 100000);
	u64map_free(&map);
}

Test(segment, records_come_back_as_they_were)
{
	struct segment *seg = open_at(1 << 20, 0, 0);
	struct segment_ref ref[600], empty;
	char body[32];
	int i;

	for (i = 0; i < 600; i++) {
		(void)snprintf(body, sizeof(body), "body %d", i);
		ref[i] = put(seg, (uint64_t)i + 1, str_of(body));
		sync_now(seg); /* The text is kept only until then. */
	}
	empty = put(seg, 700, STR(""));
	sync_now(seg);
	for (i = 0; i < 600; i++) {
		(void)snprintf(body, sizeof(body), "body %d", i);
		expect(&ref[i], (uint64_t)i + 1, str_of(body));
	}
	expect(&empty, 700, STR(""));
	segment_close(seg);
}

Test(segment, a_batch_may_be_longer_than_one_write)
{
	struct segment *seg = open_at(64 << 20, 0, 0);
	char *big = mem_zalloc(100000);
	struct segment_ref ref[700];
	int i;

	for (i = 0; i < 700; i++)
		ref[i] = put(seg, (uint64_t)i + 1, (struct str){big, 10000});
	sync_now(seg);
	for (i = 0; i < 700; i += 50)
		expect(&ref[i], (uint64_t)i + 1, (struct str){big, 10000});
	segment_close(seg);
	free(big);
}

Test(segment, begins_a_new_file_when_one_is_long_enough)
{
	struct segment *seg = open_at(1000, 0, 0);
	struct segment_ref a, b;
	char body[900] = "x";
	uint64_t used;

	a = put(seg, 1, (struct str){body, sizeof(body)});
	sync_now(seg);
	b = put(seg, 2, (struct str){body, sizeof(body)});
	cr_assert_eq(b.file, 1);
	b = put(seg, 3, (struct str){body, sizeof(body)});
	cr_assert_eq(b.file, 2);
	cr_assert_eq(b.offset, 0);
	sync_now(seg);
	cr_assert_eq(segment_current(seg, &used), 2);
	cr_assert_eq(used, b.len);
	expect(&a, 1, (struct str){body, sizeof(body)});
	expect(&b, 3, (struct str){body, sizeof(body)});
	segment_delete(seg, 1);
	cr_assert_eq(refused(&a, 1), ERR_INVALID);
	segment_close(seg);
}

Test(segment, cuts_a_torn_tail_and_goes_on)
{
	struct segment *seg = open_at(1 << 20, 0, 0);
	struct segment_ref a, b;
	char path[128];
	int fd;

	a = put(seg, 1, STR("first"));
	sync_now(seg);
	segment_close(seg);
	path_of(a.file, path);
	fd = open(path, O_WRONLY | O_APPEND);
	cr_assert_eq(write(fd, "torn tail", 9), 9);
	(void)close(fd);

	seg = open_at(1 << 20, a.file, a.len);
	b = put(seg, 2, STR("second"));
	cr_assert_eq(b.file, a.file);
	cr_assert_eq(b.offset, a.len);
	sync_now(seg);
	expect(&a, 1, STR("first"));
	expect(&b, 2, STR("second"));
	segment_close(seg);
}

Test(segment, a_file_shorter_than_the_rows_say_is_left_alone)
{
	struct segment *seg = open_at(1 << 20, 0, 0);
	struct segment_ref a, b;
	char path[128];

	a = put(seg, 1, STR("first"));
	sync_now(seg);
	segment_close(seg);
	path_of(a.file, path);
	cr_assert_eq(truncate(path, 10), 0);
	seg = open_at(1 << 20, a.file, a.len);
	b = put(seg, 2, STR("second"));
	cr_assert_gt(b.file, a.file);
	sync_now(seg);
	cr_assert_eq(refused(&a, 1), ERR_INVALID);
	expect(&b, 2, STR("second"));
	segment_close(seg);
}

Test(segment, a_dropped_batch_leaves_nothing)
{
	struct segment *seg = open_at(1 << 20, 0, 0);
	struct segment_ref a, b;
	struct err err;

	a = put(seg, 1, STR("first"));
	sync_now(seg);
	(void)put(seg, 2, STR("given up"));
	cr_assert_eq(segment_flush(seg, &err), 0);
	segment_drop(seg);
	b = put(seg, 2, STR("again"));
	cr_assert_eq(b.offset, a.len);
	sync_now(seg);
	expect(&b, 2, STR("again"));
	segment_close(seg);
}

Test(segment, damage_is_noticed)
{
	struct segment *seg = open_at(1 << 20, 0, 0);
	struct segment_ref ref, wrong;
	char path[128], c;
	uint64_t i;
	int fd;

	ref = put(seg, 7, STR("precious"));
	sync_now(seg);
	path_of(ref.file, path);
	cr_assert_eq(refused(&ref, 8), ERR_INVALID);
	wrong = ref;
	wrong.len++;
	cr_assert_eq(refused(&wrong, 7), ERR_INVALID);
	wrong = ref;
	wrong.len = 3;
	cr_assert_eq(refused(&wrong, 7), ERR_INVALID);

	/* Any flipped bit. */
	fd = open(path, O_RDWR);
	for (i = 0; i < ref.len; i++) {
		cr_assert_eq(pread(fd, &c, 1, (off_t)i), 1);
		c = (char)(c ^ 0x10);
		cr_assert_eq(pwrite(fd, &c, 1, (off_t)i), 1);
		cr_assert_eq(refused(&ref, 7), ERR_INVALID);
		c = (char)(c ^ 0x10);
		cr_assert_eq(pwrite(fd, &c, 1, (off_t)i), 1);
	}
	(void)close(fd);
	expect(&ref, 7, STR("precious"));
	segment_close(seg);
}

static int
known(void *cookie, uint64_t file)
{
	return file == *(uint64_t *)cookie;
}

Test(segment, files_that_nobody_knows_are_deleted)
{
	struct segment *seg = open_at(10, 0, 0);
	struct segment_ref a, b, c;
	uint64_t keep;

	a = put(seg, 1, STR("aaaaaaaaaaaaaa"));
	b = put(seg, 2, STR("bbbbbbbbbbbbbb"));
	c = put(seg, 3, STR("cccccccccccccc"));
	sync_now(seg);
	keep = b.file;
	segment_delete_unknown(seg, known, &keep);
	cr_assert_eq(refused(&a, 1), ERR_INVALID);
	expect(&b, 2, STR("bbbbbbbbbbbbbb"));
	expect(&c, 3, STR("cccccccccccccc"));
	segment_close(seg);

	/* A number is not used again while a file of it is there. */
	seg = open_at(10, 0, 0);
	cr_assert_gt(put(seg, 4, STR("d")).file, c.file);
	segment_close(seg);
}

Test(segment, a_probe_leaves_no_trace)
{
	struct segment *seg = open_at(1 << 20, 0, 0);
	struct segment_ref a, b;
	struct err err = ERR_INIT;

	cr_assert_eq(segment_probe(seg, &err), 0, "%s", err.msg);
	a = put(seg, 1, STR("first"));
	sync_now(seg);
	cr_assert_eq(segment_probe(seg, &err), 0, "%s", err.msg);
	b = put(seg, 2, STR("second"));
	sync_now(seg);
	expect(&a, 1, STR("first"));
	expect(&b, 2, STR("second"));
	segment_close(seg);
}

Test(segment, a_folder_that_cannot_be_is_an_error)
{
	struct segment *seg;
	struct err err = ERR_INIT;

	cr_assert_eq(segment_open("/proc/no/such", 1000, 0, 0, &seg, &err), -1);
	cr_assert_eq(err.code, ERR_UNAVAILABLE);
}

/* ---- the tail ---- */

struct found {
	size_t n;
	uint64_t ids[16];
	struct segment_ref refs[16];
};

static void
note_found(void *cookie, uint64_t id, const struct segment_ref *ref,
    const struct segment_record *record)
{
	struct found *f = cookie;

	cr_assert_lt(f->n, NELEMS(f->ids));
	cr_assert(str_eq(record->headers, STR("{}")));
	cr_assert(str_eq(record->warnings, STR("[1]")));
	cr_assert(str_eq(record->row, STR("row")));
	f->ids[f->n] = id;
	f->refs[f->n++] = *ref;
}

/* What is behind ${used} bytes of a file. */
static struct found
tail(uint64_t file, uint64_t used)
{
	struct err err = ERR_INIT;
	struct found f = {0};

	cr_assert_eq(segment_tail(util_dir, file, used, note_found, &f, &err),
	    0, "%s", err.msg);
	return f;
}

static void
expect_ids(const struct found *f, size_t n, const uint64_t *ids)
{
	size_t i;

	cr_assert_eq(f->n, n, "%zu", f->n);
	for (i = 0; i < n; i++)
		cr_assert_eq(f->ids[i], ids[i], "%zu", i);
}

/* Three records in the first file, three in the second. */
static void
write_six(struct segment_ref refs[static 6])
{
	struct segment *seg = open_at(1 << 20, 0, 0);
	uint64_t id;

	for (id = 1; id <= 6; id++) {
		if (id == 4)
			segment_roll(seg);
		refs[id - 1] = put(seg, id, STR("body"));
		sync_now(seg);
	}
	segment_close(seg);
}

static void
overwrite(const struct segment_ref *ref, uint64_t at, char c)
{
	char path[128];
	int fd;

	path_of(ref->file, path);
	fd = open(path, O_WRONLY);
	cr_assert_eq(pwrite(fd, &c, 1, (off_t)(ref->offset + at)), 1);
	(void)close(fd);
}

Test(segment, the_tail_is_what_is_behind_in_the_order_of_writing)
{
	static const uint64_t all[] = {1, 2, 3, 4, 5, 6};
	struct segment_ref refs[6];
	struct found f;
	size_t i;

	f = tail(0, 0);
	expect_ids(&f, 0, all);
	write_six(refs);
	f = tail(0, 0);
	expect_ids(&f, 6, all);
	for (i = 0; i < 6; i++) {
		cr_assert_eq(f.refs[i].file, refs[i].file);
		cr_assert_eq(f.refs[i].offset, refs[i].offset);
		cr_assert_eq(f.refs[i].len, refs[i].len);
		expect(&f.refs[i], i + 1, STR("body"));
	}
	f = tail(1, refs[2].offset);
	expect_ids(&f, 4, all + 2);
	f = tail(1, refs[2].offset + refs[2].len);
	expect_ids(&f, 3, all + 3);
	f = tail(2, refs[5].offset);
	expect_ids(&f, 1, all + 5);
	f = tail(2, refs[5].offset + refs[5].len);
	expect_ids(&f, 0, all);
	/* More than there is; a file that is not there. */
	f = tail(2, 1 << 20);
	expect_ids(&f, 0, all);
	f = tail(7, 0);
	expect_ids(&f, 0, all);
}

Test(segment, a_folder_that_is_not_there_has_no_tail)
{
	struct err err = ERR_INIT;
	struct found f = {0};
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/none", util_dir);
	cr_assert_eq(segment_tail(path, 0, 0, note_found, &f, &err), 0);
	cr_assert_eq(f.n, 0);
}

Test(segment, what_is_torn_ends_the_tail_of_its_file)
{
	static const uint64_t some[] = {1, 2, 4, 5, 6};
	struct segment_ref refs[6];
	uint64_t left;
	struct found f;
	char path[128];

	write_six(refs);
	path_of(1, path);
	/* Wherever it is cut. */
	for (left = refs[2].len; left-- > 0;) {
		cr_assert_eq(truncate(path, (off_t)(refs[2].offset + left)), 0);
		f = tail(0, 0);
		expect_ids(&f, 5, some);
	}
	/* Zeros, as of a probe or a hole. */
	cr_assert_eq(truncate(path, 9000), 0);
	f = tail(0, 0);
	expect_ids(&f, 5, some);
}

Test(segment, a_flipped_bit_ends_the_tail_of_its_file)
{
	static const uint64_t some[] = {1, 4, 5, 6};
	struct segment_ref refs[6];
	struct found f;
	char path[128], c;
	uint64_t i;
	int fd;

	write_six(refs);
	path_of(1, path);
	fd = open(path, O_RDONLY);
	for (i = 0; i < refs[1].len; i++) {
		cr_assert_eq(pread(fd, &c, 1, (off_t)(refs[1].offset + i)), 1);
		overwrite(&refs[1], i, (char)(c ^ 0x10));
		f = tail(0, 0);
		expect_ids(&f, 4, some);
		overwrite(&refs[1], i, c);
	}
	(void)close(fd);
	f = tail(0, 0);
	cr_assert_eq(f.n, 6);
}

Test(segment, what_was_given_up_is_in_the_tail_before_what_came_again)
{
	static const uint64_t all[] = {1, 2, 1};
	struct segment *seg = open_at(1 << 20, 0, 0);
	struct found f;

	(void)put(seg, 1, STR("given up"));
	(void)put(seg, 2, STR("given up"));
	sync_now(seg);
	segment_roll(seg);
	(void)put(seg, 1, STR("again"));
	sync_now(seg);
	f = tail(0, 0);
	expect_ids(&f, 3, all);
	expect(&f.refs[2], 1, STR("again"));

	/* A batch that was dropped is not there. */
	(void)put(seg, 2, STR("dropped"));
	{
		struct err err = ERR_INIT;

		cr_assert_eq(segment_flush(seg, &err), 0);
	}
	segment_drop(seg);
	f = tail(0, 0);
	expect_ids(&f, 3, all);
	segment_close(seg);
}

static int sick_reads; /* pread() that go well until one fails; 0: all do. */

/* Takes the place of the C library's in this program. */
ssize_t
pread(int fd, void *data, size_t len, off_t offset)
{
	if (sick_reads > 0 && --sick_reads == 0) {
		errno = EIO;
		return -1;
	}
	return syscall(SYS_pread64, fd, data, len, offset);
}

Test(segment, a_tail_that_cannot_be_read_is_an_error)
{
	struct segment_ref refs[6];
	struct rlimit all, few;
	struct found f = {0};
	struct err err = ERR_INIT;
	char path[128];
	int i;

	write_six(refs);
	/* Each record is read in two: its header, and all of it. */
	for (i = 1; i <= 12; i++) {
		sick_reads = i;
		f.n = 0;
		err = (struct err)ERR_INIT;
		cr_assert_eq(segment_tail(util_dir, 0, 0, note_found, &f, &err),
		    -1, "%d", i);
		cr_assert_eq(err.code, ERR_UNAVAILABLE);
		cr_assert_not_null(strstr(err.msg, ".seg: "), "%s", err.msg);
		cr_assert_eq(f.n, (size_t)(i - 1) / 2);
	}
	sick_reads = 0;

	/* The folder cannot be read. */
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &all), 0);
	few = all;
	few.rlim_cur = 0;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	cr_assert_eq(segment_tail(util_dir, 0, 0, note_found, &f, &err), -1);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &all), 0);
	cr_assert_eq(err.code, ERR_UNAVAILABLE);
	cr_assert_not_null(strstr(err.msg, util_dir), "%s", err.msg);

	/* What has the name of a file is none. */
	path_of(9, path);
	cr_assert_eq(mkdir(path, 0700), 0);
	cr_assert_eq(segment_tail(util_dir, 0, 0, note_found, &f, &err), -1);
	cr_assert_not_null(strstr(err.msg, path), "%s", err.msg);
}
