#include <sys/socket.h>
#include <sys/time.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "base/err.h"
#include "net/httpd.h"
#include "net/listen.h"
#include "net/loop.h"
#include "net/tls.h"

#include "unit/scratch.h"

static struct scratch scratch;
static struct tls_server *tls;
static struct loop *loop;
static struct httpd *httpd;
static unsigned int port;

/* A key, and a certificate that it has signed itself. */
static void
make_pair(const char *cert_path, const char *key_path)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_NAME *name;
	FILE *f;

	(void)X509_set_version(cert, 2);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	(void)X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	(void)X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	(void)X509_set_pubkey(cert, key);
	name = X509_get_subject_name(cert);
	(void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
	    (const unsigned char *)"localhost", -1, -1, 0);
	(void)X509_set_issuer_name(cert, name);
	cr_assert_gt(X509_sign(cert, key, EVP_sha256()), 0);
	f = fopen(cert_path, "w");
	cr_assert_eq(PEM_write_X509(f, cert), 1);
	(void)fclose(f);
	f = fopen(key_path, "w");
	cr_assert_eq(
	    PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	(void)fclose(f);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static void
handle(struct httpd_request *req, void *cookie)
{
	char text[64];
	int n;

	(void)cookie;
	n = snprintf(
	    text, sizeof(text), "{\"bytes\":%zu}", httpd_body(req).len);
	httpd_reply_json(req, 200, (struct str){text, (size_t)n});
}

static void
begin(void)
{
	struct httpd_options o = {.handle = handle};
	char address[LISTEN_ADDRESS_SIZE];
	struct err err = ERR_INIT;
	int fd;

	scratch_make(&scratch);
	make_pair(
	    scratch_path(&scratch, "c.pem"), scratch_path(&scratch, "k.pem"));
	cr_assert_eq(tls_server_open(scratch_path(&scratch, "c.pem"),
			 scratch_path(&scratch, "k.pem"), &tls, &err),
	    0, "%s", err.msg);
	o.tls = tls;
	cr_assert_eq(loop_create(16, &loop, &err), 0);
	cr_assert_eq(listen_open("0", 1, &fd, address, &err), 0);
	port = (unsigned int)atoi(strrchr(address, ':') + 1);
	cr_assert_eq(httpd_create(loop, fd, &o, &httpd, &err), 0);
	cr_assert_eq(loop_start(loop, "tls", &err), 0);
}

static void
end(void)
{
	loop_stop(loop);
	loop_join(loop);
	httpd_free(httpd);
	loop_free(loop);
	tls_server_free(tls);
	scratch_clear(&scratch);
}

TestSuite(tls, .init = begin, .fini = end, .timeout = 60);

/* Say ${text}, in pieces, and return what comes back; NULL if there can be no
 * connection. */
static char *
talk(const char *text, size_t len, int max_version)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval tv = {20, 0};
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	struct buf b = BUF_INIT;
	size_t done, part;
	SSL *ssl;
	int n, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	(void)SSL_CTX_set_max_proto_version(ctx, max_version);
	(void)SSL_CTX_set_cipher_list(ctx, "ALL:@SECLEVEL=0");
	ssl = SSL_new(ctx);
	(void)SSL_set_fd(ssl, fd);
	if (SSL_connect(ssl) == 1) {
		for (done = 0; done < len; done += part) {
			part = len - done < 9999 ? len - done : 9999;
			cr_expect_eq(
			    SSL_write(ssl, text + done, (int)part), (int)part);
		}
		while ((n = SSL_read(ssl, buf_reserve(&b, 4096), 4096)) > 0)
			b.len += (size_t)n;
		buf_putc(&b, '\0');
	}
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	(void)close(fd);
	return b.data;
}

#define HEAD "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"

Test(tls, carries_requests)
{
	struct buf b = BUF_INIT;
	char *answer;

	buf_puts(&b, HEAD "Content-Length: 300000\r\n\r\n");
	while (b.len < 300000 + sizeof(HEAD) - 1 + 26)
		buf_putc(&b, 'x');
	answer = talk(b.data, b.len, 0);
	cr_assert_not_null(answer);
	cr_expect_not_null(strstr(answer, "{\"bytes\":300000}"), "%s", answer);
	free(answer);
	answer = talk(b.data, b.len, TLS1_2_VERSION);
	cr_assert_not_null(answer);
	free(answer);
	buf_free(&b);
}

Test(tls, has_the_gate_as_well)
{
	static const char bad[] = HEAD "Content-Length: +3\r\n\r\nabc";
	char *answer = talk(bad, sizeof(bad) - 1, 0);

	cr_assert_not_null(answer);
	cr_expect_not_null(strstr(answer, "HTTP/1.1 400 "));
	cr_expect_not_null(strstr(answer, "bad_request"));
	free(answer);
}

Test(tls, is_not_older_than_1_2)
{
	cr_expect_null(talk("x", 1, TLS1_1_VERSION));
}

Test(tls, survives_peers_that_do_not_speak_it)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	char got[64], *answer;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	(void)send(fd, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL);
	while (recv(fd, got, sizeof(got), 0) > 0)
		;
	(void)close(fd);
	answer = talk(HEAD "\r\n", sizeof(HEAD) + 1, 0);
	cr_expect_not_null(strstr(answer, "{\"bytes\":0}"));
	free(answer);
}

Test(tls, files_that_cannot_be_used_are_named)
{
	struct tls_server *other = NULL;
	struct err err = ERR_INIT;
	char cert[256], key[256];

	(void)snprintf(
	    cert, sizeof(cert), "%s", scratch_path(&scratch, "c.pem"));
	(void)snprintf(key, sizeof(key), "%s", scratch_path(&scratch, "k.pem"));
	cr_expect_eq(tls_server_open("/nowhere", key, &other, &err), -1);
	cr_expect_eq(err.code, ERR_NOT_FOUND);
	cr_expect_not_null(strstr(err.msg, "/nowhere cannot be read: No such"));
	cr_expect_eq(tls_server_open(cert, cert, &other, &err), -1);
	cr_expect_not_null(strstr(err.msg, "TLS key"));
	make_pair(
	    scratch_path(&scratch, "c2.pem"), scratch_path(&scratch, "k2.pem"));
	cr_expect_eq(tls_server_open(
			 cert, scratch_path(&scratch, "k2.pem"), &other, &err),
	    -1);
	cr_expect_eq(err.code, ERR_INVALID);
	cr_expect_null(other);
	tls_server_free(NULL);
}
