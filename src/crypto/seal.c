#include <sys/stat.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include "crypto/base64.h"
#include "crypto/random.h"
#include "crypto/secret.h"
#include "crypto/signature.h"

#include "crypto/seal.h"

/*
 * "mp1.KEYID.BASE64URL": the nonce, what was encrypted, and the tag.  What is
 * authenticated beside it is the text up to the second dot and ${what}.
 */
#define PREFIX "mp1."
#define ID_HEX 8
#define HEAD (sizeof(PREFIX) - 1 + ID_HEX + 1)
#define NONCE_BYTES 12
#define TAG_BYTES 16

/* What a key's id is made of. */
#define ID_LABEL "moonpost key id"

#define FILE_MAX 4096

struct key {
	char id[ID_HEX + 1];
	uint8_t bytes[SEAL_KEY_BYTES];
};

struct seal {
	size_t nkeys;
	struct key keys[SEAL_KEYS_MAX];
};

/* ---- keys -----------------------------------------------------------------
 */

static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* An HMAC under the key itself: it says nothing about it. */
static void
set_id(struct key *key)
{
	struct signature_key *mac =
	    signature_key_create(key->bytes, sizeof(key->bytes));
	char hex[SIGNATURE_HEX + 1];

	signature_sign(mac, ID_LABEL, sizeof(ID_LABEL) - 1, hex);
	signature_key_free(mac);
	(void)memcpy(key->id, hex, ID_HEX);
	key->id[ID_HEX] = '\0';
}

static int
parse_key(const char *hex, size_t len, struct key *key)
{
	size_t i;
	int hi, lo;

	if (len != SEAL_KEY_HEX)
		return -1;
	for (i = 0; i < SEAL_KEY_BYTES; i++) {
		hi = digit(hex[2 * i]);
		lo = digit(hex[2 * i + 1]);
		if (hi == -1 || lo == -1)
			return -1;
		key->bytes[i] = (uint8_t)(hi << 4 | lo);
	}
	set_id(key);
	return 0;
}

int
seal_create(const char *const *keys, size_t nkeys, struct seal **ret_seal,
    struct err *err)
{
	struct seal *seal;
	size_t i;

	if (nkeys == 0 || nkeys > SEAL_KEYS_MAX)
		return err_set(err, ERR_INVALID,
		    "%zu keys were given: one is needed, at most %d are taken",
		    nkeys, SEAL_KEYS_MAX);
	seal = mem_zalloc(sizeof(*seal));
	for (i = 0; i < nkeys; i++) {
		if (parse_key(keys[i], strlen(keys[i]), &seal->keys[i]) == 0)
			continue;
		seal_free(seal);
		return err_set(err, ERR_INVALID,
		    "key number %zu is not %d hexadecimal digits (`openssl "
		    "rand -hex %d` makes one)",
		    i + 1, SEAL_KEY_HEX, SEAL_KEY_BYTES);
	}
	seal->nkeys = nkeys;
	*ret_seal = seal;
	return 0;
}

void
seal_free(struct seal *seal)
{
	if (seal == NULL)
		return;
	secret_wipe(seal, sizeof(*seal));
	free(seal);
}

/* Nobody else may read the file. */
static int
check_mode(const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) == -1)
		return err_set(err, ERR_UNAVAILABLE, "cannot look at %s: %s",
		    path, strerror(errno));
	if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return err_set(err, ERR_UNAUTH,
		    "others may read the key file %s: 'chmod 600 %s' keeps "
		    "them out",
		    path, path);
	return 0;
}

/* One key a line; what is around it does not matter. */
static int
parse_file(
    const char *path, const char *text, struct seal *seal, struct err *err)
{
	size_t len, line = 0;
	const char *next;

	for (; *text != '\0'; text = next) {
		line++;
		len = strcspn(text, "\n");
		next = text + len + (text[len] == '\n');
		while (len > 0 && isspace((unsigned char)text[len - 1]))
			len--;
		if (len == 0)
			continue;
		if (seal->nkeys == SEAL_KEYS_MAX)
			return err_set(err, ERR_INVALID,
			    "%s: at most %d keys are taken", path,
			    SEAL_KEYS_MAX);
		if (parse_key(text, len, &seal->keys[seal->nkeys]) == -1)
			return err_set(err, ERR_INVALID,
			    "%s:%zu: not %d hexadecimal digits", path, line,
			    SEAL_KEY_HEX);
		seal->nkeys++;
	}
	if (seal->nkeys == 0)
		return err_set(err, ERR_INVALID,
		    "%s is empty: put the key back, or remove the file and "
		    "what was sealed under it",
		    path);
	return 0;
}

static int
read_file(const char *path, struct seal **ret_seal, struct err *err)
{
	struct seal *seal = NULL;
	struct buf text = BUF_INIT;
	int rc;

	rc = file_read(path, FILE_MAX, &text, err);
	if (rc == 0)
		rc = check_mode(path, err);
	if (rc == 0) {
		seal = mem_zalloc(sizeof(*seal));
		rc = parse_file(path, buf_text(&text), seal, err);
	}
	if (rc == 0) {
		*ret_seal = seal;
		seal = NULL;
	}
	seal_free(seal);
	if (text.data != NULL)
		secret_wipe(text.data, text.cap);
	buf_free(&text);
	return rc;
}

/*
 * Make the file, unless somebody else was faster.  It appears under its name
 * only when it is whole, and never replaces one that is there.
 */
static int
make_file(const char *data_dir, const char *path, struct err *err)
{
	char hex[SEAL_KEY_HEX + 1], suffix[17];
	char *tmp;
	int rc;

	if (file_make_dir(data_dir, 0700, err) == -1)
		return -1;
	random_hex(suffix, 8);
	tmp = mem_printf("%s.%s", path, suffix);
	random_hex(hex, SEAL_KEY_BYTES);
	hex[SEAL_KEY_HEX] = '\n';
	rc = file_replace(tmp, hex, sizeof(hex), 0600, err);
	secret_wipe(hex, sizeof(hex));
	if (rc == 0 && link(tmp, path) == -1 && errno != EEXIST)
		rc = err_set(err, ERR_UNAVAILABLE, "cannot make %s: %s", path,
		    strerror(errno));
	(void)unlink(tmp);
	if (rc == 0)
		rc = file_sync_dir(data_dir, err);
	free(tmp);
	return rc;
}

int
seal_load(
    const char *data_dir, int make, struct seal **ret_seal, struct err *err)
{
	char *path = mem_printf("%s/%s", data_dir, SEAL_FILE);
	struct err why = ERR_INIT;
	int rc;

	rc = read_file(path, ret_seal, &why);
	if (rc == -1 && why.code == ERR_NOT_FOUND && make) {
		rc = make_file(data_dir, path, &why);
		if (rc == 0)
			rc = read_file(path, ret_seal, &why);
	}
	if (rc == -1 && err != NULL)
		*err = why;
	free(path);
	return rc;
}

int
seal_open(const char *const *keys, size_t nkeys, const char *data_dir, int make,
    struct seal **ret_seal, struct err *err)
{
	if (nkeys > 0)
		return seal_create(keys, nkeys, ret_seal, err);
	return seal_load(data_dir, make, ret_seal, err);
}

const char *
seal_key_id(const struct seal *seal)
{
	return seal->keys[0].id;
}

/* ---- texts ----------------------------------------------------------------
 */

/* Both directions begin in the same way; these fail only without memory. */
static EVP_CIPHER_CTX *
begin(const struct key *key, const uint8_t *nonce, struct str head,
    struct str what, int encrypt)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n;

	if (ctx == NULL ||
	    EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->bytes, nonce,
		encrypt) != 1 ||
	    EVP_CipherUpdate(ctx, NULL, &n, (const uint8_t *)head.data,
		(int)head.len) != 1 ||
	    EVP_CipherUpdate(
		ctx, NULL, &n, (const uint8_t *)what.data, (int)what.len) != 1)
		abort();
	return ctx;
}

void
seal_put(
    const struct seal *seal, struct str what, struct str plain, struct buf *out)
{
	const struct key *key = &seal->keys[0];
	size_t len = NONCE_BYTES + plain.len + TAG_BYTES;
	uint8_t *raw = mem_alloc(len), *at = raw + NONCE_BYTES;
	char head[HEAD + 1];
	EVP_CIPHER_CTX *ctx;
	int n = 0, last = 0;

	(void)memcpy(head, PREFIX, sizeof(PREFIX) - 1);
	(void)memcpy(head + sizeof(PREFIX) - 1, key->id, ID_HEX);
	head[HEAD - 1] = '.';
	head[HEAD] = '\0';
	random_bytes(raw, NONCE_BYTES);
	ctx = begin(key, raw, (struct str){head, HEAD}, what, 1);
	if (plain.len > 0 &&
	    EVP_EncryptUpdate(
		ctx, at, &n, (const uint8_t *)plain.data, (int)plain.len) != 1)
		abort();
	if (EVP_EncryptFinal_ex(ctx, at + n, &last) != 1 ||
	    EVP_CIPHER_CTX_ctrl(
		ctx, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, at + plain.len) != 1)
		abort();
	EVP_CIPHER_CTX_free(ctx);
	buf_put(out, head, HEAD);
	base64_encode(out, BASE64_URL, raw, len);
	free(raw);
}

/* Take the text apart: the key that it names, and its bytes. */
static int
take_apart(const struct seal *seal, struct str sealed,
    const struct key **ret_key, struct buf *raw, struct err *err)
{
	const char *id = sealed.data + sizeof(PREFIX) - 1;
	size_t i;

	if (sealed.len <= HEAD ||
	    memcmp(sealed.data, PREFIX, sizeof(PREFIX) - 1) != 0 ||
	    sealed.data[HEAD - 1] != '.' ||
	    base64_decode(raw, BASE64_URL, sealed.data + HEAD,
		sealed.len - HEAD, NULL) == -1 ||
	    raw->len < NONCE_BYTES + TAG_BYTES)
		return err_set(err, ERR_INVALID, "this is not a sealed text");
	for (i = 0; i < seal->nkeys; i++) {
		if (memcmp(seal->keys[i].id, id, ID_HEX) == 0) {
			*ret_key = &seal->keys[i];
			return 0;
		}
	}
	for (i = 0; i < ID_HEX; i++) {
		if (digit(id[i]) == -1)
			return err_set(
			    err, ERR_INVALID, "this is not a sealed text");
	}
	return err_set(err, ERR_NOT_FOUND,
	    "it is sealed under the key with the id %.*s, which is not among "
	    "those given (MOONPOST_KEY, or the file '" SEAL_FILE "' in the "
	    "data folder)",
	    ID_HEX, id);
}

int
seal_get(const struct seal *seal, struct str what, struct str sealed,
    struct buf *out, struct err *err)
{
	const struct key *key = NULL;
	struct buf raw = BUF_INIT;
	EVP_CIPHER_CTX *ctx = NULL;
	uint8_t *from, *to;
	size_t len;
	int n = 0, last = 0, rc;

	rc = take_apart(seal, sealed, &key, &raw, err);
	if (rc == -1)
		goto out;
	len = raw.len - NONCE_BYTES - TAG_BYTES;
	from = (uint8_t *)raw.data + NONCE_BYTES;
	to = (uint8_t *)buf_reserve(out, len + 1);
	ctx = begin(
	    key, (uint8_t *)raw.data, (struct str){sealed.data, HEAD}, what, 0);
	if (len > 0 && EVP_DecryptUpdate(ctx, to, &n, from, (int)len) != 1)
		abort();
	if (EVP_CIPHER_CTX_ctrl(
		ctx, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, from + len) != 1 ||
	    EVP_DecryptFinal_ex(ctx, to + n, &last) != 1) {
		secret_wipe(to, len);
		rc = err_set(err, ERR_UNAUTH,
		    "it was changed after it was sealed, or belongs elsewhere");
		goto out;
	}
	out->len += len;
	out->data[out->len] = '\0';
out:
	EVP_CIPHER_CTX_free(ctx);
	buf_free(&raw);
	return rc;
}

int
seal_is_current(const struct seal *seal, struct str sealed)
{
	return sealed.len > HEAD &&
	       memcmp(sealed.data, PREFIX, sizeof(PREFIX) - 1) == 0 &&
	       memcmp(sealed.data + sizeof(PREFIX) - 1, seal->keys[0].id,
		   ID_HEX) == 0 &&
	       sealed.data[HEAD - 1] == '.';
}
