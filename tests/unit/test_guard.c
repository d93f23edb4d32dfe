#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/err.h"
#include "net/guard.h"

static int
permits(
    const struct guard *guard, const char *host, const char *ip, uint16_t port)
{
	struct sockaddr_in6 v6 = {
	    .sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in v4 = {
	    .sin_family = AF_INET, .sin_port = htons(port)};

	if (inet_pton(AF_INET, ip, &v4.sin_addr) == 1)
		return guard_permits(
		    guard, str_of(host), (struct sockaddr *)&v4);
	cr_assert_eq(inet_pton(AF_INET6, ip, &v6.sin6_addr), 1, "%s", ip);
	return guard_permits(guard, str_of(host), (struct sockaddr *)&v6);
}

static const char *const inner[] = {"0.0.0.0", "0.1.2.3", "10.0.0.1",
    "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1",
    "127.255.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255",
    "192.168.1.1", "192.0.0.8", "198.18.0.1", "224.0.0.1", "239.255.255.255",
    "240.0.0.1", "255.255.255.255", "::", "::1", "::7f00:1", "fc00::1",
    "fdff::1", "fe80::1", "febf::1", "fec0::1", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:10.1.2.3", "::ffff:169.254.169.254", "64:ff9b::127.0.0.1",
    "64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::", "2002:c0a8:101::1",
    "100::1"};

static const char *const outer[] = {"1.1.1.1", "8.8.8.8", "9.255.255.255",
    "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1",
    "169.253.0.1", "169.255.0.1", "172.15.255.255", "172.32.0.0",
    "192.167.255.255", "192.169.0.0", "223.255.255.255", "2606:4700::1111",
    "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"};

Test(guard, only_the_public_internet_is_open)
{
	struct guard *g = guard_create();
	size_t i;

	for (i = 0; i < NELEMS(inner); i++)
		cr_expect(!permits(g, "x", inner[i], 80), "%s", inner[i]);
	for (i = 0; i < NELEMS(outer); i++)
		cr_expect(permits(g, "x", outer[i], 80), "%s", outer[i]);
	guard_free(g);
	guard_free(NULL);
}

Test(guard, loopback_opens_loopback_alone)
{
	struct guard *g = guard_create();

	guard_allow_loopback(g);
	cr_expect(permits(g, "x", "127.0.0.1", 80));
	cr_expect(permits(g, "x", "127.9.9.9", 80));
	cr_expect(permits(g, "x", "::1", 80));
	cr_expect(permits(g, "x", "::ffff:127.0.0.1", 80));
	cr_expect(!permits(g, "x", "10.0.0.1", 80));
	cr_expect(!permits(g, "x", "0.0.0.0", 80));
	guard_free(g);
}

Test(guard, a_host_is_opened_by_its_name_and_port)
{
	struct guard *g = guard_create();

	cr_assert_eq(guard_allow_host(g, "db.internal:5432", NULL), 0);
	cr_assert_eq(guard_allow_host(g, "10.0.0.5", NULL), 0);
	cr_assert_eq(guard_allow_host(g, "[fd00::1]:80", NULL), 0);
	cr_assert_eq(guard_allow_host(g, "fd00::2", NULL), 0);
	cr_expect(permits(g, "DB.internal", "10.1.1.1", 5432));
	cr_expect(!permits(g, "db.internal", "10.1.1.1", 80));
	cr_expect(!permits(g, "other.internal", "10.1.1.1", 5432),
	    "the same address by another name");
	cr_expect(permits(g, "10.0.0.5", "10.0.0.5", 1));
	cr_expect(permits(g, "fd00::1", "fd00::1", 80));
	cr_expect(!permits(g, "fd00::1", "fd00::1", 81));
	cr_expect(permits(g, "fd00::2", "fd00::2", 81));
	guard_free(g);
}

Test(guard, nothing_leads_back_into_moonpost)
{
	struct guard *g = guard_create();

	guard_allow_private(g);
	guard_refuse_listener(g, 8080);
	cr_assert_eq(guard_allow_host(g, "localhost:8080", NULL), 0);
	cr_expect(permits(g, "x", "10.0.0.1", 80));
	cr_expect(!permits(g, "localhost", "127.0.0.1", 8080));
	cr_expect(!permits(g, "x", "::1", 8080));
	cr_expect(!permits(g, "x", "0.0.0.0", 8080));
	cr_expect(!permits(g, "x", "::", 8080));
	cr_expect(!permits(g, "x", "127.9.9.9", 8080));
	cr_expect(!permits(g, "x", "::ffff:127.0.0.1", 8080));
	cr_expect(!permits(g, "x", "64:ff9b::127.0.0.1", 8080));
	cr_expect(!permits(g, "x", "2002:7f00:1::1", 8080));
	cr_expect(permits(g, "x", "8.8.8.8", 8080));
	cr_expect(permits(g, "x", "203.0.113.7", 8080), "another machine's");
	guard_free(g);
}

Test(guard, every_address_of_this_machine_is_its_own)
{
	struct guard *g = guard_create();
	struct ifaddrs *all, *one;
	char text[INET6_ADDRSTRLEN];
	struct sockaddr_in6 *v6;
	struct sockaddr_in *v4;
	int n = 0;

	guard_allow_private(g);
	guard_refuse_listener(g, 8080);
	cr_assert_eq(getifaddrs(&all), 0);
	for (one = all; one != NULL; one = one->ifa_next) {
		if (one->ifa_addr == NULL)
			continue;
		v4 = (struct sockaddr_in *)(void *)one->ifa_addr;
		v6 = (struct sockaddr_in6 *)(void *)one->ifa_addr;
		if (one->ifa_addr->sa_family == AF_INET)
			(void)inet_ntop(
			    AF_INET, &v4->sin_addr, text, sizeof(text));
		else if (one->ifa_addr->sa_family == AF_INET6 &&
			 !IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr))
			(void)inet_ntop(
			    AF_INET6, &v6->sin6_addr, text, sizeof(text));
		else
			continue;
		n++;
		cr_expect(!permits(g, "x", text, 8080), "%s", text);
		cr_expect(permits(g, "x", text, 8081), "%s", text);
	}
	cr_expect_gt(n, 0);
	freeifaddrs(all);
	guard_free(g);
}

Test(guard, refuses_what_is_no_host)
{
	const char *const bad[] = {"", ":80", "a:0", "a:65536", "a:x", "[::1",
	    "[::1]x", "http://a", "a b", "u@h", "[]:1"};
	struct guard *g = guard_create();
	struct err err;
	size_t i;

	for (i = 0; i < NELEMS(bad); i++) {
		cr_expect_eq(
		    guard_allow_host(g, bad[i], &err), -1, "%s", bad[i]);
		cr_expect_eq(err.code, ERR_INVALID);
	}
	guard_free(g);
}

Test(guard, survives_the_way_into_another_process)
{
	struct guard *g = guard_create(), *copy;
	struct buf text = BUF_INIT;

	guard_allow_loopback(g);
	guard_refuse_listener(g, 8080);
	cr_assert_eq(guard_allow_host(g, "db.internal:5432", NULL), 0);
	guard_put(g, &text);
	copy = guard_parse((struct str){text.data, text.len});
	cr_expect(permits(copy, "x", "127.0.0.1", 80));
	cr_expect(!permits(copy, "x", "127.0.0.1", 8080));
	cr_expect(permits(copy, "db.internal", "10.1.1.1", 5432));
	cr_expect(!permits(copy, "db.internal", "10.1.1.1", 5433));
	guard_free(g);
	guard_free(copy);
	copy = guard_parse((struct str){NULL, 0});
	cr_expect(!permits(copy, "x", "127.0.0.1", 80));
	guard_free(copy);
	buf_free(&text);
}
