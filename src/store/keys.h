#ifndef STORE_KEYS_H_
#define STORE_KEYS_H_

/*
 * How many jobs each ordering key has that wait, known in memory: most keys
 * have one, and then neither an append nor a finish has to ask the database.
 *
 * Changes belong to a group of operations and can be undone with it.
 *
 * Floor: 2 (store).  May include base/.
 */

#include <stdint.h>

struct keys;

struct keys *keys_create(void);
void keys_free(struct keys *keys);

/**
 * keys_add(keys, order_hash, holders, blocked):
 * There are so many more (or fewer, if negative) jobs of a key that hold it:
 * are pending, and in strict order retrying; or are blocked on it.
 */
void keys_add(
    struct keys *keys, uint64_t order_hash, int32_t holders, int32_t blocked);

/* How many hold it; how many are blocked on it. */
uint32_t keys_holders(const struct keys *keys, uint64_t order_hash);
uint32_t keys_blocked(const struct keys *keys, uint64_t order_hash);

/* The end of a group: keep its changes, or undo them. */
void keys_commit(struct keys *keys);
void keys_rollback(struct keys *keys);

#endif /* !STORE_KEYS_H_ */
