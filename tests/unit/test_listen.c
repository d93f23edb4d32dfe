#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/err.h"
#include "net/listen.h"

Test(listen, takes_addresses_and_reports_the_port)
{
	char address[LISTEN_ADDRESS_SIZE], again[LISTEN_ADDRESS_SIZE];
	struct err err = ERR_INIT;
	int fds[3], other[2], i;

	cr_assert_eq(listen_open("127.0.0.1:0", 3, fds, address, &err), 0);
	cr_expect_eq(strncmp(address, "127.0.0.1:", 10), 0);
	cr_expect_str_neq(address, "127.0.0.1:0");
	/* Somebody else is refused, whether they would share or not. */
	for (i = 1; i <= 2; i++) {
		cr_expect_eq(
		    listen_open(address, (size_t)i, other, again, &err), -1);
		cr_expect_eq(err.code, ERR_UNAVAILABLE);
		cr_expect_not_null(strstr(err.msg, address));
		cr_expect_not_null(strstr(err.msg, "in use"));
	}
	for (i = 0; i < 3; i++)
		(void)close(fds[i]);
	cr_assert_eq(listen_open("localhost:0", 1, fds, address, &err), 0);
	(void)close(fds[0]);
	if (listen_open("[::1]:0", 1, fds, address, &err) == 0) {
		cr_expect_eq(strncmp(address, "[::1]:", 6), 0);
		(void)close(fds[0]);
	}
}

Test(listen, refuses_what_is_no_address)
{
	static const char *const bad[] = {"", ":", ":80", "a:", "a:b",
	    "1:65536", "::1:80", "[::1]", "[]:1", "127.0.0.1:-1", "99999"};
	char address[LISTEN_ADDRESS_SIZE];
	struct err err = ERR_INIT;
	size_t i;
	int fd;

	for (i = 0; i < NELEMS(bad); i++) {
		cr_expect_eq(listen_open(bad[i], 1, &fd, address, &err), -1,
		    "%s", bad[i]);
		cr_expect_eq(err.code, ERR_INVALID, "%s", bad[i]);
	}
	cr_expect_eq(
	    listen_open("no-such-host.invalid:1", 1, &fd, address, &err), -1);
	cr_expect_eq(err.code, ERR_RESOLVE);
}
