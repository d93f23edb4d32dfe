#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/err.h"
#include "base/mem.h"
#include "crypto/secret.h"

#include "net/proxy.h"

/* What libcurl calls them.  Names are never resolved by SOCKS: where they have
 * to be checked, they were already, and elsewhere the proxy knows best. */
static const struct {
	const char *scheme, *name;
	int socks;
} kinds[] = {
    {"http", "http", 0},
    {"https", "https", 0},
    {"socks5", "socks5h", 1},
    {"socks5h", "socks5h", 1},
};

/* A part of the URL, or NULL; *${bad} is set if it is there, but nothing that
 * can be sent. */
static char *
part(CURLU *u, CURLUPart what, int *bad)
{
	char *got = NULL, *copy = NULL;
	CURLUcode rc = curl_url_get(u, what, &got, CURLU_URLDECODE);

	*bad |= rc == CURLUE_URLDECODE;
	if (rc == CURLUE_OK) {
		copy = mem_strdup(got);
		secret_wipe(got, strlen(got));
		curl_free(got);
	}
	return copy;
}

static int
is_nothing(const char *path)
{
	return path == NULL || strcmp(path, "") == 0 || strcmp(path, "/") == 0;
}

int
proxy_parse(const char *text, struct proxy **ret, struct err *err)
{
	CURLU *u;
	struct proxy *proxy;
	char *scheme, *host, *port, *path, *query;
	size_t i;
	int rc = -1, bad;

	if (text == NULL || text[0] == '\0') {
		*ret = NULL;
		return 0;
	}
	u = curl_url();
	proxy = mem_zalloc(sizeof(*proxy));
	bad = curl_url_set(u, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) !=
	      CURLUE_OK;
	scheme = part(u, CURLUPART_SCHEME, &bad);
	host = part(u, CURLUPART_HOST, &bad);
	port = part(u, CURLUPART_PORT, &bad);
	path = part(u, CURLUPART_PATH, &bad);
	query = part(u, CURLUPART_QUERY, &bad);
	proxy->user = part(u, CURLUPART_USER, &bad);
	proxy->password = part(u, CURLUPART_PASSWORD, &bad);
	for (i = 0; !bad && scheme != NULL && host != NULL && port != NULL &&
		    is_nothing(path) && query == NULL && i < NELEMS(kinds);
	     i++) {
		if (strcmp(scheme, kinds[i].scheme) != 0)
			continue;
		proxy->socks = kinds[i].socks;
		proxy->url =
		    mem_printf("%s://%s:%s", kinds[i].name, host, port);
		*ret = proxy;
		proxy = NULL;
		rc = 0;
		break;
	}
	free(scheme);
	free(host);
	free(port);
	free(path);
	free(query);
	curl_url_cleanup(u);
	proxy_free(proxy);
	if (rc == -1)
		return err_set(err, ERR_INVALID,
		    "is not a proxy; say http://HOST:PORT, https://HOST:PORT "
		    "or socks5h://HOST:PORT, with USER:PASSWORD@ before HOST "
		    "where it asks for them");
	return 0;
}

void
proxy_free(struct proxy *proxy)
{
	if (proxy == NULL)
		return;
	if (proxy->password != NULL)
		secret_wipe(proxy->password, strlen(proxy->password));
	if (proxy->user != NULL)
		secret_wipe(proxy->user, strlen(proxy->user));
	free(proxy->password);
	free(proxy->user);
	free(proxy->url);
	free(proxy);
}
