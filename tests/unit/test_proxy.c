#include <string.h>

#include <criterion/criterion.h>

#include "base/compiler.h"
#include "base/err.h"
#include "net/proxy.h"

Test(proxy, who_it_is_for_is_kept_apart)
{
	const struct {
		const char *text, *url, *user, *password;
		int socks;
	} c[] = {
	    {"http://h:3128", "http://h:3128", NULL, NULL, 0},
	    {"HTTP://h:3128/", "http://h:3128", NULL, NULL, 0},
	    {"https://u:p@proxy.internal:443", "https://proxy.internal:443",
		"u", "p", 0},
	    {"http://u@[fd00::1]:80", "http://[fd00::1]:80", "u", NULL, 0},
	    {"socks5://10.0.0.1:1080", "socks5h://10.0.0.1:1080", NULL, NULL,
		1},
	    {"socks5h://a%40b:p%3Aq%2f%20@h:1", "socks5h://h:1", "a@b", "p:q/ ",
		1},
	};
	struct proxy *proxy;
	size_t i;

	for (i = 0; i < NELEMS(c); i++) {
		cr_assert_eq(
		    proxy_parse(c[i].text, &proxy, NULL), 0, "%s", c[i].text);
		cr_expect_str_eq(proxy->url, c[i].url);
		cr_expect_eq(proxy->socks, c[i].socks);
		if (c[i].user == NULL)
			cr_expect_null(proxy->user);
		else
			cr_expect_str_eq(proxy->user, c[i].user);
		if (c[i].password == NULL)
			cr_expect_null(proxy->password);
		else
			cr_expect_str_eq(proxy->password, c[i].password);
		proxy_free(proxy);
	}
	cr_assert_eq(proxy_parse(NULL, &proxy, NULL), 0);
	cr_expect_null(proxy);
	cr_assert_eq(proxy_parse("", &proxy, NULL), 0);
	cr_expect_null(proxy);
	proxy_free(NULL);
}

Test(proxy, what_is_none_is_not_repeated)
{
	const char *const bad[] = {"h", "h:3128", "http://s3cret", "http://:1",
	    "http://s3cret:s3cret@h", "http://s3cret@h:99999",
	    "http://s3cret@h:x", "ftp://s3cret@h:1", "socks4://s3cret@h:1",
	    "http://s3cret@h:1/path", "http://s3cret@h:1?q", "file:///s3cret",
	    "http://s3 cret@h:1", "http://s3cret%0a@h:1", " http://s3cret@h:1"};
	struct proxy *proxy = NULL;
	struct err err;
	size_t i;

	for (i = 0; i < NELEMS(bad); i++) {
		cr_expect_eq(
		    proxy_parse(bad[i], &proxy, &err), -1, "%s", bad[i]);
		cr_expect_eq(err.code, ERR_INVALID);
		cr_expect_null(strstr(err.msg, "s3cret"), "%s", err.msg);
		cr_expect_null(proxy);
	}
}
