/* base/str, base/buf, base/clock: text in and out. */

#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"

static void
expect_duration(const char *text, uint64_t want)
{
	struct err err = ERR_INIT;
	uint64_t ms = 0;

	cr_expect_eq(str_parse_duration(str_of(text), &ms, &err), 0, "%s: %s",
	    text, err.msg);
	cr_expect_eq(ms, want, "%s is %llu", text, (unsigned long long)ms);
}

Test(str, reads_durations_with_every_unit)
{
	expect_duration("500ms", 500);
	expect_duration("2s", 2000);
	expect_duration("10m", 600000);
	expect_duration("1h", 3600000);
	expect_duration("7d", 604800000);
	expect_duration("30", 30000);
	expect_duration("0", 0);
}

Test(str, refuses_what_is_no_duration)
{
	const char *const bad[] = {"", "s", "-1s", "1.5s", "5 s", "5 parsecs",
	    "1H", "99999999999999999999s", "9223372036854775807d"};
	struct err err;
	uint64_t ms = 42;
	size_t i;

	for (i = 0; i < NELEMS(bad); i++) {
		cr_expect_eq(str_parse_duration(str_of(bad[i]), &ms, &err), -1,
		    "%s", bad[i]);
		cr_expect_eq(err.code, ERR_INVALID);
	}
	cr_expect_eq(ms, 42, "untouched on failure");
}

Test(str, reads_and_refuses_sizes)
{
	uint64_t n = 0;

	cr_expect_eq(str_parse_size(STR("64MiB"), &n, NULL), 0);
	cr_expect_eq(n, 64U << 20);
	cr_expect_eq(str_parse_size(STR("1kB"), &n, NULL), 0);
	cr_expect_eq(n, 1000);
	cr_expect_eq(str_parse_size(STR("17"), &n, NULL), 0);
	cr_expect_eq(n, 17);
	cr_expect_eq(str_parse_size(STR("8 GiB"), &n, NULL), -1);
	cr_expect_eq(str_parse_size(STR("99999999TiB"), &n, NULL), -1);
}

Test(str, prints_durations_and_sizes_as_people_write_them)
{
	struct buf b = BUF_INIT;

	str_put_duration(&b, 3600000);
	buf_putc(&b, ' ');
	str_put_duration(&b, 1500);
	buf_putc(&b, ' ');
	str_put_duration(&b, 0);
	buf_putc(&b, ' ');
	str_put_size(&b, 64U << 20);
	buf_putc(&b, ' ');
	str_put_size(&b, 1001);
	cr_expect_str_eq(buf_text(&b), "1h 1500ms 0s 64MiB 1001");
	buf_free(&b);
}

Test(str, numbers_stop_at_their_limit)
{
	uint64_t n = 7;

	cr_expect_eq(
	    str_parse_u64(STR("18446744073709551615"), UINT64_MAX, &n), 0);
	cr_expect_eq(n, UINT64_MAX);
	cr_expect_eq(
	    str_parse_u64(STR("18446744073709551616"), UINT64_MAX, &n), -1);
	cr_expect_eq(str_parse_u64(STR("65536"), 65535, &n), -1);
	cr_expect_eq(str_parse_u64(STR("+1"), 100, &n), -1);
	cr_expect_eq(str_parse_u64(STR(""), 100, &n), -1);
	cr_expect_eq(str_parse_u64(STR("9"), 8, &n), -1);
}

Test(str, suggests_what_was_probably_meant)
{
	const char *const names[] = {"on_issue", "on_error", "on_comment"};

	cr_expect_str_eq(str_closest("on_isue", names, 3), "on_issue");
	cr_expect_str_eq(str_closest("on_eror", names, 3), "on_error");
	cr_expect_str_eq(str_closest("on_comemnt", names, 3), "on_comment");
	cr_expect_null(str_closest("frobnicate", names, 3));
	cr_expect_null(str_closest("x", names, 0));
}

Test(str, json_strings_are_always_valid)
{
	struct buf b = BUF_INIT;

	str_put_json(&b, STR("a\"b\\c\n\x01\x7f\xff\xc3\xa9"));
	cr_expect_str_eq(buf_text(&b),
	    "\"a\\\"b\\\\c\\n\\u0001\\u007f\xef\xbf\xbd\xc3\xa9\"");
	buf_free(&b);
}

Test(str, nothing_that_is_made_visible_drives_a_terminal)
{
	struct buf b = BUF_INIT;

	str_put_visible(&b, STR("ok \x1b[31m \xc2\x9b \xff \xc3\xa9"));
	cr_expect_str_eq(
	    buf_text(&b), "ok \\x1b[31m \\xc2\\x9b \\xff \xc3\xa9");
	buf_free(&b);
}

Test(str, bytes_become_two_lower_case_digits_each)
{
	struct buf buf = BUF_INIT;

	str_put_hex(&buf, "", 0);
	cr_expect_str_eq(buf.data, "");
	buf_puts(&buf, "x");
	str_put_hex(&buf, "\x00\x7f\xff\xa0", 4);
	cr_expect_str_eq(buf.data, "x007fffa0");
	cr_expect_eq(buf.len, 9);
	buf_free(&buf);
}

Test(str, utf8_is_checked_as_rfc_3629_says)
{
	cr_expect_eq(str_utf8_len("a", 1), 1);
	cr_expect_eq(str_utf8_len("\xc3\xa9", 2), 2);
	cr_expect_eq(str_utf8_len("\xe2\x82\xac", 3), 3);
	cr_expect_eq(str_utf8_len("\xf0\x9f\x91\x80", 4), 4);
	cr_expect_eq(str_utf8_len("\xc0\x80", 2), 0, "overlong");
	cr_expect_eq(str_utf8_len("\xe0\x80\x80", 3), 0, "overlong");
	cr_expect_eq(str_utf8_len("\xed\xa0\x80", 3), 0, "surrogate");
	cr_expect_eq(str_utf8_len("\xf4\x90\x80\x80", 4), 0, "past U+10FFFF");
	cr_expect_eq(str_utf8_len("\xe2\x82", 2), 0, "cut");
	cr_expect_eq(str_utf8_len("\x80", 1), 0, "stray");
	cr_expect_eq(str_utf8_len("", 0), 0);
}

Test(buf, forgets_what_was_used)
{
	struct buf b = BUF_INIT;
	size_t at = 0, i;

	buf_forget(&b, &at);
	cr_assert_eq(at, 0);
	buf_puts(&b, "used, kept");
	at = 4;
	buf_forget(&b, &at);
	cr_assert_eq(at, 4, "it is not worth it yet");
	at = 6;
	buf_forget(&b, &at);
	cr_assert_eq(at, 0);
	cr_assert_str_eq(b.data, "kept");
	cr_assert_eq(b.len, 4);

	/* A queue that always has something in it. */
	for (i = 0; i < 100000; i++) {
		buf_puts(&b, "0123456789");
		at += 10;
		buf_forget(&b, &at);
	}
	cr_assert_eq(b.len - at, 4);
	cr_assert_lt(b.cap, 1000);
	at = b.len;
	buf_forget(&b, &at);
	cr_assert_eq(b.len, 0);
	buf_free(&b);
}

Test(buf, grows_and_stays_a_c_string)
{
	struct buf b = BUF_INIT;
	char *text;
	int i;

	cr_expect_str_eq(buf_text(&b), "");
	for (i = 0; i < 1000; i++)
		buf_printf(&b, "%d,", i);
	cr_expect_eq(b.len, strlen(b.data));
	cr_expect_eq(b.data[b.len - 1], ',');
	text = buf_take(&b);
	cr_expect_eq(strncmp(text, "0,1,2,", 6), 0);
	cr_expect_eq(b.len, 0);
	free(text);
	text = buf_take(&b);
	cr_expect_str_eq(text, "");
	free(text);
	buf_free(&b);
}

Test(clock, writes_and_reads_rfc_3339)
{
	char text[CLOCK_RFC3339_SIZE];
	uint64_t ms = 0;

	cr_expect_str_eq(
	    clock_rfc3339(1763906820123, text), "2025-11-23T14:07:00.123Z");
	cr_expect_eq(clock_parse_rfc3339(text, strlen(text), &ms), 0);
	cr_expect_eq(ms, 1763906820123);
	cr_expect_eq(
	    clock_parse_rfc3339("2025-11-23T15:07:00.123456+01:00", 32, &ms),
	    0);
	cr_expect_eq(ms, 1763906820123);
	cr_expect_eq(clock_parse_rfc3339("2024-02-29T00:00:00Z", 20, &ms), 0,
	    "a leap day");
}

Test(clock, refuses_what_is_no_time)
{
	const char *const bad[] = {"", "2025-11-23", "2025-11-23T14:07:00",
	    "2025-11-23 14:07:00Z", "2025-13-01T00:00:00Z",
	    "2025-02-29T00:00:00Z", "2025-01-01T24:00:00Z",
	    "2025-01-01T00:60:00Z", "2025-01-01T00:00:00.Z",
	    "2025-01-01T00:00:00+1:00", "2025-01-01T00:00:00Zx",
	    "1969-12-31T23:59:59Z", "2025-07-14T11:41:32+053031+00:00"};
	uint64_t ms;
	size_t i;

	for (i = 0; i < NELEMS(bad); i++)
		cr_expect_eq(clock_parse_rfc3339(bad[i], strlen(bad[i]), &ms),
		    -1, "%s", bad[i]);
}

Test(err, names_every_code_and_keeps_messages_whole)
{
	struct err err = ERR_INIT;
	int code;

	for (code = ERR_NONE; code <= ERR_INTERNAL; code++)
		cr_expect_not_null(err_code_name((enum err_code)code));
	cr_expect_eq(err_set(&err, ERR_INVALID, "line %d", 3), -1);
	cr_expect_eq(err_prefix(&err, "%s", "scripts/a.lua"), -1);
	cr_expect_str_eq(err.msg, "scripts/a.lua: line 3");
	cr_expect_eq(err.code, ERR_INVALID);
	cr_expect_eq(err_set(NULL, ERR_INVALID, "x"), -1);
	cr_expect_eq(err_prefix(NULL, "x"), -1);
}

Test(err, a_cut_message_ends_at_a_character)
{
	struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	size_t i, n;

	while (b.len < 600)
		buf_puts(&b, "\xe2\x82\xac");
	(void)err_set(&err, ERR_INVALID, "%s", b.data);
	for (i = 0; err.msg[i] != '\0'; i += n) {
		n = str_utf8_len(err.msg + i, strlen(err.msg + i));
		cr_assert_neq(n, 0);
	}
	cr_expect_gt(i, 390);
	buf_free(&b);
}
