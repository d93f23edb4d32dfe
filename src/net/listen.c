#include <sys/socket.h>
#include <sys/types.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/str.h"

#include "net/listen.h"

/* Connections that the kernel keeps until they are accepted. */
#define BACKLOG 1024

#define HOST_SIZE 256

int
listen_split(const char *address, char *ret_host, size_t hostlen,
    unsigned int *ret_port, struct err *err)
{
	const char *colon = strrchr(address, ':');
	struct str host = STR("127.0.0.1"), port = str_of(address);
	uint64_t n;

	if (colon != NULL) {
		host = (struct str){address, (size_t)(colon - address)};
		port = str_of(colon + 1);
	}
	if (host.len >= 2 && host.data[0] == '[' &&
	    host.data[host.len - 1] == ']') {
		host.data++;
		host.len -= 2;
	} else if (memchr(host.data, ':', host.len) != NULL) {
		host.len = 0;
	}
	if (host.len == 0 || host.len >= hostlen ||
	    str_parse_u64(port, 65535, &n) == -1)
		return err_set(err, ERR_INVALID,
		    "\"%s\" is not an address: HOST:PORT, [IPv6]:PORT or PORT "
		    "is wanted, as in 127.0.0.1:8080",
		    address);
	(void)memcpy(ret_host, host.data, host.len);
	ret_host[host.len] = '\0';
	*ret_port = (unsigned int)n;
	return 0;
}

/* A bound socket, or -1 with errno set. */
static int
bind_one(const struct sockaddr *sa, socklen_t len, int shared)
{
	const int on = 1;
	int fd, e;

	fd = socket(
	    sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    (!shared || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on,
			    sizeof(on)) == 0) &&
	    (sa->sa_family != AF_INET6 ||
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) ==
		    0) &&
	    bind(fd, sa, len) == 0)
		return fd;
	e = errno;
	(void)close(fd);
	errno = e;
	return -1;
}

/* Sockets on one address.  Return 0, or -1 with errno set and none open. */
static int
open_all(struct sockaddr_storage *ss, socklen_t len, size_t n, int *ret_fds)
{
	struct sockaddr *sa = (struct sockaddr *)ss;
	size_t i = 0;
	int e, probe;

	/*
	 * Sockets that share a port also share it with those of another
	 * process, which would silently take half of everything.  So one that
	 * shares with nobody is tried before.
	 */
	if (n > 1) {
		probe = bind_one(sa, len, 0);
		if (probe == -1)
			return -1;
		(void)getsockname(probe, sa, &len);
		if (listen(probe, 1) == -1) {
			e = errno;
			(void)close(probe);
			errno = e;
			return -1;
		}
		(void)close(probe);
	}
	for (i = 0; i < n; i++) {
		ret_fds[i] = bind_one(sa, len, n > 1);
		if (ret_fds[i] == -1)
			goto bad;
		if (listen(ret_fds[i], BACKLOG) == -1) {
			i++;
			goto bad;
		}
		(void)getsockname(ret_fds[i], sa, &len);
	}
	return 0;
bad:
	e = errno;
	while (i-- > 0)
		(void)close(ret_fds[i]);
	errno = e;
	return -1;
}

static void
put_address(const struct sockaddr_storage *ss, char ret[LISTEN_ADDRESS_SIZE])
{
	const struct sockaddr_in *in = (const void *)ss;
	const struct sockaddr_in6 *in6 = (const void *)ss;
	char text[INET6_ADDRSTRLEN];

	if (ss->ss_family == AF_INET6) {
		(void)inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
		(void)snprintf(ret, LISTEN_ADDRESS_SIZE, "[%s]:%u", text,
		    ntohs(in6->sin6_port));
	} else {
		(void)inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
		(void)snprintf(ret, LISTEN_ADDRESS_SIZE, "%s:%u", text,
		    ntohs(in->sin_port));
	}
}

int
listen_open(const char *address, size_t n, int *ret_fds,
    char ret_address[LISTEN_ADDRESS_SIZE], struct err *err)
{
	struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
	    .ai_family = AF_UNSPEC,
	    .ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL, *ai;
	struct sockaddr_storage ss;
	char host[HOST_SIZE], port[8];
	unsigned int number;
	int e, rc = -1;

	if (listen_split(address, host, sizeof(host), &number, err) == -1)
		return -1;
	(void)snprintf(port, sizeof(port), "%u", number);
	e = getaddrinfo(host, port, &hints, &list);
	if (e != 0)
		return err_set(err, ERR_RESOLVE, "cannot listen on %s: %s",
		    address, gai_strerror(e));

	/* A name may stand for several addresses: the first that can be had. */
	for (ai = list; ai != NULL && rc == -1; ai = ai->ai_next) {
		(void)memcpy(&ss, ai->ai_addr, ai->ai_addrlen);
		rc = open_all(&ss, ai->ai_addrlen, n, ret_fds);
	}
	if (rc == -1)
		(void)err_set(err, ERR_UNAVAILABLE, "cannot listen on %s: %s%s",
		    address, strerror(errno),
		    errno == EADDRINUSE
			? " (is another moonpost running there?)"
			: "");
	else
		put_address(&ss, ret_address);
	freeaddrinfo(list);
	return rc;
}
