#ifndef CRYPTO_SEAL_H_
#define CRYPTO_SEAL_H_

/*
 * Secrets at rest: AES-256-GCM under the keys of MOONPOST_KEY, or of a file in
 * the data folder.  A sealed text names the key that it is under, so that keys
 * can be replaced: the first of several seals, the others only open what is
 * old.
 *
 * Floor: 1 (crypto).  May include base/.
 */

#include <stddef.h>

#include "base/compiler.h"
#include "base/str.h"

struct buf;
struct err;
struct seal;

#define SEAL_KEY_BYTES 32
#define SEAL_KEY_HEX 64

/* Keys that can be given, the one that seals included. */
#define SEAL_KEYS_MAX 16

/* The file in the data folder: one key a line, the newest first. */
#define SEAL_FILE "key"

/**
 * seal_create(keys, nkeys, ret_seal, err):
 * The keys are given as SEAL_KEY_HEX hexadecimal digits each; the first one
 * seals.
 *
 * Errors:    ERR_INVALID      no key, too many, or not 64 hexadecimal digits;
 *                             the message says which, never what it is.
 * Ownership: borrows ${keys}; the caller frees with seal_free(), which wipes
 *            them.
 * Thread:    any; read-only from then on, and may be shared.
 */
int seal_create(const char *const *keys, size_t nkeys, struct seal **ret_seal,
    struct err *err) ATTR_MUSTCHECK;

/**
 * seal_load(data_dir, make, ret_seal, err):
 * Take the keys from the file SEAL_FILE in ${data_dir}; with ${make}, put a new
 * one there (0600, durable) if there is none.  Of two processes that make it at
 * once, both get the same.
 *
 * Errors:    ERR_NOT_FOUND    there is none, and none is to be made;
 *            ERR_INVALID      it does not hold keys;
 *            ERR_UNAUTH       others may read it; the message says what to do;
 *            ERR_UNAVAILABLE  it cannot be read or written.
 * Ownership: the caller frees with seal_free().
 * Thread:    any; blocks on the disk.
 */
int seal_load(const char *data_dir, int make, struct seal **ret_seal,
    struct err *err) ATTR_MUSTCHECK;

/**
 * seal_open(keys, nkeys, data_dir, make, ret_seal, err):
 * seal_create() where keys are given, else seal_load().
 */
int seal_open(const char *const *keys, size_t nkeys, const char *data_dir,
    int make, struct seal **ret_seal, struct err *err) ATTR_MUSTCHECK;

void seal_free(struct seal *seal);

/**
 * seal_put(seal, what, plain, out):
 * Append ${plain}, sealed, as text without spaces or quotes.  ${what} says what
 * it is ("token/default/UUID"): it is not in the text, but opens it only
 * together with it, so that nobody can put one sealed text in another's place.
 *
 * Thread:    any.
 */
void seal_put(const struct seal *seal, struct str what, struct str plain,
    struct buf *out);

/**
 * seal_get(seal, what, sealed, out, err):
 * Append what was sealed; wipe it with secret_wipe() when done.
 *
 * Returns:   0, or -1 and ${out} is as it was.
 * Errors:    ERR_INVALID      not a sealed text;
 *            ERR_NOT_FOUND    it is under a key that is not given; the message
 *                             names it by its id;
 *            ERR_UNAUTH       it was changed, or is not ${what}.
 * Thread:    any.
 */
int seal_get(const struct seal *seal, struct str what, struct str sealed,
    struct buf *out, struct err *err) ATTR_MUSTCHECK;

/* Whether the text is under the key that seals now: what is not should be
 * sealed anew, so that the old keys can go. */
int seal_is_current(const struct seal *seal, struct str sealed);

/* The id of the key that seals, which tells nothing about it: 8 hexadecimal
 * digits, and "a key of that id is missing" in messages. */
const char *seal_key_id(const struct seal *seal);

#endif /* !CRYPTO_SEAL_H_ */
