#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "net/fetch_hop.h"

static char *
to(unsigned int status, const char *headers)
{
	struct buf buf = BUF_INIT;
	char *value;

	buf_puts(&buf, headers);
	value = fetch_hop_to(status, &buf);
	buf_free(&buf);
	return value;
}

Test(fetch_hop, only_a_redirect_leads_elsewhere)
{
	const unsigned int redirects[] = {301, 302, 303, 307, 308};
	const unsigned int others[] = {200, 201, 300, 304, 400, 503};
	char *value;
	size_t i;

	for (i = 0; i < NELEMS(redirects); i++) {
		value = to(redirects[i],
		    "X-Location: /a\nLOCATION: \t/b c \nLocation: /d\n");
		cr_expect_str_eq(value, "/b c");
		free(value);
		cr_expect_null(to(redirects[i], "X: y\n"));
		cr_expect_null(to(redirects[i], "Location:  \n"));
		cr_expect_null(to(redirects[i], ""));
	}
	for (i = 0; i < NELEMS(others); i++)
		cr_expect_null(to(others[i], "Location: /b\n"));
}

Test(fetch_hop, an_origin_is_scheme_host_and_port)
{
	const struct {
		const char *from, *to, *url;
		int elsewhere;
	} c[] = {
	    {"http://h/a/b?c", "d", "http://h/a/d", 0},
	    {"http://h/a", "/x y#z", "http://h/x%20y", 0},
	    {"http://h/a", "http://H:80/b", "http://H:80/b", 0},
	    {"https://h/", "https://h:443/", "https://h:443/", 0},
	    {"http://h/", "https://h/", "https://h/", 1},
	    {"https://h/", "http://h/", "http://h/", 1},
	    {"http://h/", "http://h:81/", "http://h:81/", 1},
	    {"http://h/", "http://h.example/", "http://h.example/", 1},
	    {"http://h/", "//other/a", "http://other/a", 1},
	    {"http://u:p@h/a", "b", "http://u:p@h/b", 0},
	    {"http://u:p@h/a", "http://h/b", "http://u:p@h/b", 0},
	    {"http://u:p@h/a", "http://v@h/b", "http://v@h/b", 0},
	    {"http://u:p@h/a", "http://other/b", "http://other/b", 1},
	    {"http://u:p@h/a", "//other/b", "http://other/b", 1},
	    {"http://u:p@h/a", "https://h/b", "https://h/b", 1},
	    {"http://h/", "file:///etc/passwd", NULL, 0},
	    {"http://h/", "gopher://h/", NULL, 0},
	    {"http://h/", "http://", NULL, 0},
	    {"http://h/", "http://h:99999/", NULL, 0},
	    {"file:///x", "http://h/", NULL, 0},
	};
	int elsewhere;
	char *url;
	size_t i;

	for (i = 0; i < NELEMS(c); i++) {
		elsewhere = 0;
		url = fetch_hop_url(c[i].from, c[i].to, &elsewhere);
		if (c[i].url == NULL)
			cr_expect_null(url, "%s", c[i].to);
		else
			cr_expect(url != NULL && strcmp(url, c[i].url) == 0,
			    "%s: %s", c[i].to, url);
		cr_expect_eq(elsewhere, c[i].elsewhere, "%s", c[i].to);
		free(url);
	}
}

Test(fetch_hop, what_may_be_a_key_does_not_go_elsewhere)
{
	const char *const kept[] = {"Accept: a/b", "accept-language;",
	    "Content-Type: a/b", "USER-AGENT: x", "Range: bytes=0-1",
	    "If-None-Match: \"a\"", "Idempotency-Key: k"};
	const char *const dropped[] = {"Authorization: x", "Cookie: a=b",
	    "X-Api-Key: k", "Accept-Token: k", "Content-Key: k", "Acc: x",
	    "Host: h", "X-Empty;", "PRIVATE-TOKEN: k"};
	size_t i;

	for (i = 0; i < NELEMS(kept); i++)
		cr_expect(fetch_hop_keeps(kept[i], 1, 0), "%s", kept[i]);
	for (i = 0; i < NELEMS(dropped); i++) {
		cr_expect_not(
		    fetch_hop_keeps(dropped[i], 1, 0), "%s", dropped[i]);
		cr_expect(fetch_hop_keeps(dropped[i], 0, 0), "%s", dropped[i]);
	}
	cr_expect_not(fetch_hop_keeps("Content-Type: a/b", 0, 1));
	cr_expect(fetch_hop_keeps("Accept: a/b", 1, 1));
}

Test(fetch_hop, a_post_becomes_a_get_as_in_browsers)
{
	cr_expect(fetch_hop_is_get(301, "POST"));
	cr_expect(fetch_hop_is_get(302, "POST"));
	cr_expect(fetch_hop_is_get(303, "POST"));
	cr_expect(fetch_hop_is_get(303, "PUT"));
	cr_expect_not(fetch_hop_is_get(303, "HEAD"));
	cr_expect_not(fetch_hop_is_get(301, "PUT"));
	cr_expect_not(fetch_hop_is_get(307, "POST"));
	cr_expect_not(fetch_hop_is_get(308, "POST"));
}
