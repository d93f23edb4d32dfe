#include <arpa/inet.h>
#include <netinet/in.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#include "net/guard.h"

#define MAX_PORTS 8

struct guard_host {
	char *name;
	uint16_t port; /* 0 = every. */
};

struct guard {
	int loopback;
	int everything;
	struct guard_host *hosts;
	size_t nhosts;
	size_t hosts_cap;
	uint16_t refused[MAX_PORTS]; /* Ports of our own listeners. */
	size_t nrefused;
};

/* IANA's special-purpose registry (RFC 6890 and its successors): what is not
 * the public internet. */
static const struct {
	uint32_t net;
	unsigned int bits;
} inner_nets[] = {
    {0x00000000, 8},  /* this network */
    {0x0A000000, 8},  /* private */
    {0x64400000, 10}, /* carrier-grade NAT */
    {0xA9FE0000, 16}, /* link-local, and cloud metadata */
    {0xAC100000, 12}, /* private */
    {0xC0000000, 24}, /* protocol assignments */
    {0xC0A80000, 16}, /* private */
    {0xC6120000, 15}, /* benchmarking */
    {0xE0000000, 4},  /* multicast */
    {0xF0000000, 4},  /* reserved, and broadcast */
};

enum reach {
	REACH_PUBLIC,
	REACH_LOOPBACK,
	REACH_INNER
};

static enum reach
reach_of_v4(uint32_t ip)
{
	size_t i;

	if (ip >> 24 == 127)
		return REACH_LOOPBACK;
	for (i = 0; i < NELEMS(inner_nets); i++) {
		if ((ip ^ inner_nets[i].net) >> (32 - inner_nets[i].bits) == 0)
			return REACH_INNER;
	}
	return REACH_PUBLIC;
}

static uint32_t
v4_at(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

static enum reach
reach_of_v6(const uint8_t ip[static 16])
{
	static const uint8_t zero[16] = {0};
	static const uint8_t mapped[12] = {
	    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
	static const uint8_t nat64[12] = {0, 0x64, 0xFF, 0x9B};

	if (memcmp(ip, zero, 15) == 0 && ip[15] == 1)
		return REACH_LOOPBACK;
	/* Forms that carry an IPv4 address: mapped, NAT64, 6to4. */
	if (memcmp(ip, mapped, 12) == 0 || memcmp(ip, nat64, 12) == 0)
		return reach_of_v4(v4_at(ip + 12));
	if (ip[0] == 0x20 && ip[1] == 0x02)
		return reach_of_v4(v4_at(ip + 2));
	/* ::/96, fc00::/7, fe80::/10, fec0::/10, ff00::/8, 64:ff9b:1::/48,
	 * 100::/64 */
	if (memcmp(ip, zero, 12) == 0 || (ip[0] & 0xFE) == 0xFC ||
	    (ip[0] == 0xFE && ip[1] >= 0x80) || ip[0] == 0xFF ||
	    memcmp(ip, "\0\x64\xFF\x9B\0\x01", 6) == 0 ||
	    memcmp(ip, "\x01\0\0\0\0\0\0\0", 8) == 0)
		return REACH_INNER;
	return REACH_PUBLIC;
}

/* Whether ${v6} stands for an IPv4 address, and for which. */
static int
is_v4_inside(const uint8_t v6[static 16], struct in_addr *ret)
{
	static const uint8_t zero[12] = {0};
	static const uint8_t mapped[12] = {
	    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
	static const uint8_t nat64[12] = {0, 0x64, 0xFF, 0x9B};
	const uint8_t *at = v6 + 12;

	if (v6[0] == 0x20 && v6[1] == 0x02)
		at = v6 + 2;
	else if (memcmp(v6, mapped, 12) != 0 && memcmp(v6, nat64, 12) != 0 &&
		 (memcmp(v6, zero, 12) != 0 || v4_at(at) <= 1))
		return 0;
	ret->s_addr = htonl(v4_at(at));
	return 1;
}

/*
 * Whether an address is this machine's: then the way there begins at that
 * address, too.  (No packet is sent.)  When in doubt it is.
 */
static int
is_ours(const struct sockaddr *address)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} to = {.any.sa_family = AF_UNSPEC}, from = to;
	socklen_t size = sizeof(to.v4), got = sizeof(from);
	struct in_addr inner;
	int fd, ours = 1;

	if (address->sa_family == AF_INET) {
		(void)memcpy(&to.v4, address, sizeof(to.v4));
	} else {
		(void)memcpy(&to.v6, address, sizeof(to.v6));
		size = sizeof(to.v6);
		if (is_v4_inside(to.v6.sin6_addr.s6_addr, &inner)) {
			to.v4 = (struct sockaddr_in){.sin_family = AF_INET,
			    .sin_port = to.v6.sin6_port,
			    .sin_addr = inner};
			size = sizeof(to.v4);
		}
	}
	if (to.any.sa_family == AF_INET
		? v4_at((const uint8_t *)&to.v4.sin_addr) >> 24 == 127 ||
		      v4_at((const uint8_t *)&to.v4.sin_addr) >> 24 == 0
		: IN6_IS_ADDR_LOOPBACK(&to.v6.sin6_addr) ||
		      IN6_IS_ADDR_UNSPECIFIED(&to.v6.sin6_addr))
		return 1;
	fd = socket(to.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return 1;
	if (connect(fd, &to.any, size) == -1)
		ours = 0; /* There is no way to it at all. */
	else if (getsockname(fd, &from.any, &got) == 0)
		ours =
		    to.any.sa_family == AF_INET
			? to.v4.sin_addr.s_addr == from.v4.sin_addr.s_addr
			: memcmp(&to.v6.sin6_addr, &from.v6.sin6_addr, 16) == 0;
	(void)close(fd);
	return ours;
}

struct guard *
guard_create(void)
{
	return mem_zalloc(sizeof(struct guard));
}

void
guard_free(struct guard *guard)
{
	size_t i;

	if (guard == NULL)
		return;
	for (i = 0; i < guard->nhosts; i++)
		free(guard->hosts[i].name);
	free(guard->hosts);
	free(guard);
}

void
guard_allow_loopback(struct guard *guard)
{
	guard->loopback = 1;
}

void
guard_allow_private(struct guard *guard)
{
	guard->everything = 1;
}

/* Remember a host.  Ownership: consumes ${name}. */
static void
add_host(struct guard *guard, char *name, uint16_t port)
{
	guard->hosts = mem_grow(guard->hosts, &guard->hosts_cap,
	    guard->nhosts + 1, sizeof(*guard->hosts));
	guard->hosts[guard->nhosts++] = (struct guard_host){name, port};
}

int
guard_allow_host(struct guard *guard, const char *text, struct err *err)
{
	const char *name = text, *end = text + strlen(text);
	const char *colon = strrchr(text, ':');
	uint64_t port = 0;

	if (text[0] == '[') {
		name = text + 1;
		end = strchr(text, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			goto bad;
		colon = end[1] == ':' ? end + 1 : NULL;
	} else if (colon != NULL && strchr(text, ':') == colon) {
		end = colon;
	} else {
		colon =
		    NULL; /* No port, or an IPv6 address without brackets. */
	}
	if (colon != NULL &&
	    (str_parse_u64(str_of(colon + 1), UINT16_MAX, &port) == -1 ||
		port == 0))
		goto bad;
	if (end == name || strpbrk(name, "/@ \n") != NULL)
		goto bad;
	add_host(
	    guard, mem_strndup(name, (size_t)(end - name)), (uint16_t)port);
	return 0;

bad:
	return err_set(err, ERR_INVALID,
	    "'%s' is not a host (examples: db.internal, 10.0.0.5:8080, "
	    "[fd00::1]:80)",
	    text);
}

void
guard_refuse_listener(struct guard *guard, uint16_t port)
{
	size_t i;

	for (i = 0; i < guard->nrefused; i++) {
		if (guard->refused[i] == port)
			return;
	}
	if (guard->nrefused < MAX_PORTS)
		guard->refused[guard->nrefused++] = port;
}

/* The port of an address; -1 if it is none of IP. */
static int
port_of(const struct sockaddr *address)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (address->sa_family == AF_INET) {
		(void)memcpy(&v4, address, sizeof(v4));
		return ntohs(v4.sin_port);
	}
	if (address->sa_family == AF_INET6) {
		(void)memcpy(&v6, address, sizeof(v6));
		return ntohs(v6.sin6_port);
	}
	return -1;
}

static enum reach
reach_of(const struct sockaddr *address)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (address->sa_family == AF_INET) {
		(void)memcpy(&v4, address, sizeof(v4));
		return reach_of_v4(ntohl(v4.sin_addr.s_addr));
	}
	(void)memcpy(&v6, address, sizeof(v6));
	return reach_of_v6(v6.sin6_addr.s6_addr);
}

int
guard_is_listener(const struct guard *guard, const struct sockaddr *address)
{
	size_t i;

	for (i = 0; i < guard->nrefused; i++) {
		if (guard->refused[i] == port_of(address) && is_ours(address))
			return 1;
	}
	return 0;
}

int
guard_opens(
    const struct guard *guard, struct str host, const struct sockaddr *address)
{
	size_t i;

	for (i = 0; i < guard->nhosts; i++) {
		if (str_eq_nocase(host, str_of(guard->hosts[i].name)) &&
		    (guard->hosts[i].port == 0 ||
			guard->hosts[i].port == port_of(address)))
			return 1;
	}
	return 0;
}

int
guard_permits(
    const struct guard *guard, struct str host, const struct sockaddr *address)
{
	enum reach reach;

	if (port_of(address) == -1)
		return 0;
	/* Not even a host that was opened leads back into moonpost. */
	if (guard_is_listener(guard, address))
		return 0;
	reach = reach_of(address);
	return reach == REACH_PUBLIC || guard->everything ||
	       (reach == REACH_LOOPBACK && guard->loopback) ||
	       guard_opens(guard, host, address);
}

void
guard_put(const struct guard *guard, struct buf *out)
{
	size_t i;

	if (guard->loopback)
		buf_puts(out, "loopback\n");
	if (guard->everything)
		buf_puts(out, "everything\n");
	for (i = 0; i < guard->nrefused; i++)
		buf_printf(out, "refuse %u\n", guard->refused[i]);
	for (i = 0; i < guard->nhosts; i++)
		buf_printf(out, "host %u %s\n", guard->hosts[i].port,
		    guard->hosts[i].name);
}

struct guard *
guard_parse(struct str text)
{
	struct guard *guard = guard_create();
	char *copy = mem_strndup(text.data, text.len), *rest = copy, *line, *at;
	unsigned long port;

	while ((line = strsep(&rest, "\n")) != NULL) {
		if (strcmp(line, "loopback") == 0) {
			guard_allow_loopback(guard);
		} else if (strcmp(line, "everything") == 0) {
			guard_allow_private(guard);
		} else if (strncmp(line, "refuse ", 7) == 0) {
			guard_refuse_listener(
			    guard, (uint16_t)strtoul(line + 7, NULL, 10));
		} else if (strncmp(line, "host ", 5) == 0) {
			port = strtoul(line + 5, &at, 10);
			add_host(guard, mem_strdup(at + (*at == ' ')),
			    (uint16_t)port);
		}
	}
	free(copy);
	return guard;
}
