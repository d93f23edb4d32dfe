#ifndef STORE_U64MAP_H_
#define STORE_U64MAP_H_

/*
 * A hash table from one number to another, 16 bytes a place: millions of keys
 * are remembered in it.
 *
 * Floor: 2 (store).  May include base/.
 */

#include <stddef.h>
#include <stdint.h>

struct u64map_place {
	uint64_t key; /* 0: free. */
	uint64_t value;
};

/* Embedded in its owner; all zero is an empty table. */
struct u64map {
	struct u64map_place *places;
	size_t mask; /* Places - 1. */
	size_t count;
};

/* Whether an entry is still wanted; asked when the table is about to grow. */
typedef int u64map_keep_cb(const void *cookie, uint64_t key, uint64_t value);

/* Give the memory back; the table is empty. */
void u64map_free(struct u64map *map);

/**
 * u64map_get(map, key):
 * The place of ${key}, whose value may be changed; NULL if it is not there.
 *
 * Ownership: the map's, until the next put or remove.
 */
struct u64map_place *u64map_get(const struct u64map *map, uint64_t key);

/**
 * u64map_put(map, key, value, keep, cookie):
 * Set the value of ${key}, which is not 0.  Before the table grows, the entries
 * that ${keep} (may be NULL) does not want are forgotten.
 */
void u64map_put(struct u64map *map, uint64_t key, uint64_t value,
    u64map_keep_cb *keep, const void *cookie);

/* Forget ${key}, if it is there. */
void u64map_remove(struct u64map *map, uint64_t key);

#endif /* !STORE_U64MAP_H_ */
