#include <arpa/inet.h>
#include <netinet/in.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

#include "net/guard.h"
#include "net/proxy.h"

#include "net/fetch_internal.h"

/*
 * A proxy resolves names by itself, out of reach of the guard.  So where there
 * is one, the name of a hop is looked up here first, by libcurl's own resolver:
 * a thread that the loop does not wait for, with the files, the rules and the
 * cache of requests without a proxy, and nothing of it needs more than the wall
 * around a worker leaves.  (evdns knows neither nsswitch.conf nor that cache,
 * and a second resolver that sees names otherwise would be a hole.)  The way to
 * its addresses is the callback that opens the sockets of a connection: libcurl
 * tries each address, none is opened, and all were seen.
 *
 * The request is then bound to an address that was checked, so that a name
 * cannot mean another one by the time that the proxy looks it up: CONNECT and
 * SOCKS are given the address, and TLS still checks the certificate of the name
 * through the tunnel.  Two kinds of requests go by name:
 *
 * - Plain http through an HTTP proxy.  It has the whole URL in its first line,
 *   a proxy must make the Host header from that (RFC 9112, 3.2.2), and a server
 *   that was asked by its address would not know which site is meant.  (Many
 *   proxies tunnel to port 443 alone, so that CONNECT is no way out.)
 * - What the user has opened by that very name: it may lead anywhere already,
 *   and proxies that let requests pass by name get to see it.
 */

int
fetch_proxy_looks(const struct fetch_call *call)
{
	return call->fetch->proxy != NULL && call->fetch->guard != NULL &&
	       !call->looked;
}

void
fetch_proxy_look(struct fetch_call *call, const struct sockaddr *address)
{
	const struct guard *guard = call->fetch->guard;
	struct str host = str_of(call->host);
	char text[INET6_ADDRSTRLEN];
	struct sockaddr_in6 v6;
	struct sockaddr_in v4;

	call->seen++;
	/* One that is refused is enough: nobody knows which it will be. */
	if (!guard_permits(guard, host, address)) {
		call->blocked = 1;
		return;
	}
	call->by_name = guard_opens(guard, host, address);
	/* The first one, but for IPv6: the proxy may have none, and would not
	 * try the next address. */
	if (address->sa_family == AF_INET && !call->bound_v4) {
		(void)memcpy(&v4, address, sizeof(v4));
		(void)inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text));
		call->bound_v4 = 1;
	} else if (address->sa_family == AF_INET6 && call->bound == NULL) {
		(void)memcpy(&v6, address, sizeof(v6));
		(void)inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text));
	} else {
		return;
	}
	free(call->bound);
	call->bound = mem_strdup(text);
}

/* The request as a proxy gets it that is to read it: what says where it goes,
 * or who may use the proxy, is not for a script to say. */
static void
set_readable(struct fetch_call *call)
{
	const struct curl_slist *h;

	for (h = call->headers; h != NULL; h = h->next) {
		if ((strncasecmp(h->data, "Host", 4) == 0 &&
			strcspn(h->data, ":;") == 4) ||
		    strncasecmp(h->data, "Proxy-", 6) == 0)
			continue;
		call->proxied = curl_slist_append(call->proxied, h->data);
	}
	(void)curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->proxied);
}

void
fetch_proxy_set(struct fetch_call *call)
{
	const struct proxy *proxy = call->fetch->proxy;
	CURL *easy = call->easy;
	char *to;

	(void)curl_easy_setopt(easy, CURLOPT_PROXY, proxy->url);
	(void)curl_easy_setopt(easy, CURLOPT_PROXYUSERNAME, proxy->user);
	(void)curl_easy_setopt(easy, CURLOPT_PROXYPASSWORD,
	    proxy->user != NULL && proxy->password == NULL ? ""
							   : proxy->password);
	/* Else no_proxy of the environment would count. */
	(void)curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
	(void)curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	call->tunnel = proxy->socks || strncasecmp(call->url, "https:", 6) == 0;
	if (!call->tunnel) {
		set_readable(call);
	} else if (call->bound != NULL && !call->by_name) {
		/* Instead of any host, at the port of the URL. */
		to = mem_printf(
		    call->bound_v4 ? "::%s:" : "::[%s]:", call->bound);
		call->connect_to = curl_slist_append(NULL, to);
		free(to);
		(void)curl_easy_setopt(
		    easy, CURLOPT_CONNECT_TO, call->connect_to);
	}
}

void
fetch_proxy_forget(struct fetch_call *call)
{
	curl_slist_free_all(call->proxied);
	call->proxied = NULL;
	curl_slist_free_all(call->connect_to);
	call->connect_to = NULL;
}

void
fetch_proxy_unbind(struct fetch_call *call)
{
	free(call->bound);
	call->bound = NULL;
	call->bound_v4 = 0;
	call->by_name = 0;
	call->seen = 0;
	call->looked = 0;
}

int
fetch_proxy_tell(struct fetch_call *call, CURLcode rc, long status)
{
	const struct proxy *proxy = call->fetch->proxy;
	const char *why =
	    call->error[0] != '\0' ? call->error : curl_easy_strerror(rc);
	enum err_code code = fetch_easy_code(call, rc);
	struct err *err = &call->result.err;
	double connected = 0;
	long answer = 0;

	if (proxy == NULL || call->overflow || call->refused)
		return 0;
	if (call->looking) {
		if (code != ERR_RESOLVE)
			return 0;
		(void)err_set(err, code,
		    "%s: %s (names are looked up here first, before the proxy "
		    "of --proxy is asked)",
		    call->host, why);
		return 1;
	}
	(void)curl_easy_getinfo(call->easy, CURLINFO_HTTP_CONNECTCODE, &answer);
	(void)curl_easy_getinfo(call->easy, CURLINFO_CONNECT_TIME, &connected);
	if (rc == CURLE_OK && (status != 407 || call->tunnel))
		return 0;
	if (call->blocked)
		(void)err_set(err, ERR_BLOCKED,
		    "the proxy %s (--proxy) is a listener of moonpost's own",
		    proxy->url);
	else if (rc == CURLE_OK || answer == 407)
		(void)err_set(err, ERR_CONNECT,
		    "the proxy %s wants %s user name and password (407): put "
		    "them into the URL of --proxy",
		    proxy->url, proxy->user == NULL ? "a" : "another");
	else if (answer != 0 && answer / 100 != 2)
		(void)err_set(err, ERR_CONNECT,
		    "the proxy %s (--proxy) does not connect to %s: it "
		    "answered %ld",
		    proxy->url, call->host, answer);
	else if (rc == CURLE_COULDNT_RESOLVE_PROXY ||
		 rc == CURLE_COULDNT_CONNECT || connected == 0)
		(void)err_set(err, code == ERR_RESOLVE ? ERR_CONNECT : code,
		    "cannot reach the proxy %s (--proxy): %s", proxy->url, why);
	else
		(void)err_set(err, code,
		    "%s, through the proxy %s (--proxy): %s", call->host,
		    proxy->url, why);
	return 1;
}
