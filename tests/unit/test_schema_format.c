/*
 * The formats by themselves; what each accepts and refuses is in
 * tests/unit/schema/formats.json and in the official suite.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/compiler.h"
#include "schema/schema_internal.h"

/* Examples, and whether each that is cut short is still one. */
static const struct {
	enum schema_format format;
	const char *text;
	size_t least; /* All that is shorter is refused. */
} examples[] = {
    {SCHEMA_FORMAT_DATE_TIME, "2024-02-29T12:34:56.789+01:00", 29},
    {SCHEMA_FORMAT_DATE_TIME, "2024-02-29T12:34:56.789Z", 24},
    {SCHEMA_FORMAT_DATE, "2024-02-29", 10},
    {SCHEMA_FORMAT_TIME, "12:34:56.789-00:00", 18},
    {SCHEMA_FORMAT_URI, "https://u:p@[2001:db8::1]:443/a/%20?b#c", 6},
    {SCHEMA_FORMAT_EMAIL, "\"a b\"@x.example", 7},
    {SCHEMA_FORMAT_EMAIL, "a.b@[IPv6:2001:db8::1.2.3.4]", 28},
    {SCHEMA_FORMAT_UUID, "7a485448-a9e2-4c85-8a3c-4f44175783c9", 36},
    {SCHEMA_FORMAT_IPV4, "192.168.100.200", 13},
    {SCHEMA_FORMAT_IPV6, "2001:db8::1:192.168.100.20", 10},
    {SCHEMA_FORMAT_HOSTNAME, "xn--bcher-kva.example", 1},
};

/* In memory of exactly that size, so that reading past it is seen. */
static int
check_exact(enum schema_format format, const char *text, size_t len)
{
	char *copy = malloc(len > 0 ? len : 1);
	int ok;

	cr_assert_not_null(copy);
	memcpy(copy, text, len);
	ok = schema_format_check(format, (struct str){copy, len});
	free(copy);
	return ok;
}

Test(schema_format, names_lead_there_and_back)
{
	int i;

	for (i = SCHEMA_FORMAT_DATE_TIME; i <= SCHEMA_FORMAT_HOSTNAME; i++)
		cr_expect_eq((int)schema_format_find(str_of(
				 schema_format_name((enum schema_format)i))),
		    i);
	cr_expect_eq(schema_format_find(STR("regex")), SCHEMA_FORMAT_NONE);
	cr_expect_eq(schema_format_find(STR("")), SCHEMA_FORMAT_NONE);
	cr_expect_eq(schema_format_find(STR("Date")), SCHEMA_FORMAT_NONE);
}

Test(schema_format, refuses_what_is_cut_short)
{
	size_t i, n;

	for (i = 0; i < NELEMS(examples); i++) {
		n = strlen(examples[i].text);
		cr_expect(check_exact(examples[i].format, examples[i].text, n),
		    "%s", examples[i].text);
		for (n = 0; n < strlen(examples[i].text); n++) {
			if (n < examples[i].least)
				cr_expect(!check_exact(examples[i].format,
					      examples[i].text, n),
				    "%.*s", (int)n, examples[i].text);
			else
				(void)check_exact(
				    examples[i].format, examples[i].text, n);
		}
	}
}

Test(schema_format, refuses_a_byte_behind)
{
	static const char behind[] = {'\0', '\n', ' ', '\x80', '\xff'};
	char text[100];
	size_t i, j, n;

	for (i = 0; i < NELEMS(examples); i++) {
		for (j = 0; j < sizeof(behind); j++) {
			n = strlen(examples[i].text);
			memcpy(text, examples[i].text, n);
			text[n] = behind[j];
			cr_expect(!check_exact(examples[i].format, text, n + 1),
			    "%s with 0x%02x", examples[i].text,
			    (unsigned char)behind[j]);
		}
	}
}

Test(schema_format, survives_any_bytes)
{
	uint64_t state = 88172645463325252U;
	char text[80];
	size_t i, n, k;
	int format;

	for (i = 0; i < 20000; i++) {
		k = i % NELEMS(examples);
		n = strlen(examples[k].text);
		memcpy(text, examples[k].text, n);
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		text[state % n] = (char)(state >> 32);
		text[(state >> 8) % n] = "-.:@[]%xn0"[(state >> 40) % 10];
		for (format = SCHEMA_FORMAT_DATE_TIME;
		     format <= SCHEMA_FORMAT_HOSTNAME; format++)
			(void)check_exact((enum schema_format)format, text, n);
	}
}

Test(schema_format, decodes_international_labels)
{
	/* The examples of RFC 3492, section 7.1, that are lower case. */
	static const char *const good[] = {"xn--ihqwcrb4cv8a8dqg056pqjye",
	    "xn--4dbcagdahymbxekheh6e0a7fei0b", "xn--80akhbyknj4f",
	    "xn--nxasmq6b", "xn--mgbh0fb.xn--kgbechtv", "xn--fiqs8s.xn--wgbh1c",
	    "xn--strae-oqa"};
	static const char *const bad[] = {"xn--a-b", "xn--0", "xn--zzzzzzzz",
	    "xn--999999b", "xn---", "xn--\x80", "xn--abc-", "xn--tda-"};
	size_t i;

	for (i = 0; i < NELEMS(good); i++)
		cr_expect(check_exact(
			      SCHEMA_FORMAT_HOSTNAME, good[i], strlen(good[i])),
		    "%s", good[i]);
	for (i = 0; i < NELEMS(bad); i++)
		cr_expect(!check_exact(
			      SCHEMA_FORMAT_HOSTNAME, bad[i], strlen(bad[i])),
		    "%s", bad[i]);
}
