#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/err.h"
#include "base/mem.h"

#include "net/tls.h"

struct tls_server {
	SSL_CTX *ctx;
};

static const char *
reason(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	return text == NULL ? "not readable" : text;
}

/* evhttp speaks HTTP/1.1 and nothing else. */
static int
choose_protocol(SSL *ssl, const unsigned char **ret, unsigned char *retlen,
    const unsigned char *in, unsigned int inlen, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned char *chosen;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, retlen, ours, sizeof(ours) - 1, in,
		inlen) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*ret = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* OpenSSL would only say "system lib". */
static int
check_file(const char *what, const char *path, struct err *err)
{
	if (access(path, R_OK) == 0)
		return 0;
	return err_set(err,
	    errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_INVALID,
	    "the TLS %s %s cannot be read: %s", what, path, strerror(errno));
}

int
tls_server_open(const char *cert, const char *key, struct tls_server **ret_tls,
    struct err *err)
{
	struct tls_server *tls = mem_zalloc(sizeof(*tls));
	int rc = -1;

	ERR_clear_error();
	if (check_file("certificate", cert, err) == -1 ||
	    check_file("key", key, err) == -1)
		goto out;
	tls->ctx = SSL_CTX_new(TLS_server_method());
	if (tls->ctx == NULL ||
	    SSL_CTX_set_min_proto_version(tls->ctx, TLS1_2_VERSION) != 1) {
		(void)err_set(
		    err, ERR_INTERNAL, "cannot set up TLS: %s", reason());
		goto out;
	}
	(void)SSL_CTX_set_options(tls->ctx,
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
		SSL_OP_NO_COMPRESSION);
	(void)SSL_CTX_set_mode(tls->ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_alpn_select_cb(tls->ctx, choose_protocol, NULL);
	if (SSL_CTX_use_certificate_chain_file(tls->ctx, cert) != 1) {
		(void)err_set(err, ERR_INVALID,
		    "the TLS certificate %s cannot be used: %s", cert,
		    reason());
		goto out;
	}
	if (SSL_CTX_use_PrivateKey_file(tls->ctx, key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(tls->ctx) != 1) {
		(void)err_set(err, ERR_INVALID,
		    "the TLS key %s cannot be used: %s", key, reason());
		goto out;
	}
	*ret_tls = tls;
	tls = NULL;
	rc = 0;
out:
	ERR_clear_error();
	tls_server_free(tls);
	return rc;
}

void
tls_server_free(struct tls_server *tls)
{
	if (tls == NULL)
		return;
	SSL_CTX_free(tls->ctx);
	free(tls);
}

struct bufferevent *
tls_server_bev(struct tls_server *tls, struct event_base *base)
{
	struct bufferevent *bev;
	SSL *ssl = SSL_new(tls->ctx);

	if (ssl == NULL)
		return NULL;
	/* No deferred callbacks: they do not go together with TLS. */
	bev = bufferevent_openssl_socket_new(
	    base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	if (bev == NULL) {
		SSL_free(ssl);
		return NULL;
	}
	/* Most peers just hang up; that must not leave a socket behind. */
	bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	return bev;
}

void
tls_say_goodbye(struct bufferevent *bev)
{
	SSL *ssl = bufferevent_openssl_get_ssl(bev);

	if (ssl != NULL && SSL_is_init_finished(ssl))
		(void)SSL_shutdown(ssl);
	ERR_clear_error();
}
