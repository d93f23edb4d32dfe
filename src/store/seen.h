#ifndef STORE_SEEN_H_
#define STORE_SEEN_H_

/*
 * Which deliveries have come lately: by dedupe key, and by signature.  It is in
 * memory, since a look-up on disk at a random place for each delivery would
 * cost more than all the rest; a line for each group in the store lets it be
 * made again at open.
 *
 * A key is remembered as a hash of 88 bits: a collision of two of a million
 * keys has a probability of one in 10^14.
 *
 * Floor: 2 (store).  May include base/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct seen;

/* What one delivery leaves; also the layout on disk. */
struct seen_entry {
	uint64_t id;
	uint64_t key[2];    /* 0: it had no dedupe key. */
	uint64_t signature; /* 0: it had none. */
};

/**
 * seen_create(window_ms):
 * Remember dedupe keys for ${window_ms} (0: not at all), and signatures as
 * long, or for an hour.
 */
struct seen *seen_create(uint64_t window_ms);
void seen_free(struct seen *seen);

/* For how long lines have to be kept on disk. */
uint64_t seen_keep_ms(const struct seen *seen);

/* Move on to ${now_unix_ms}: what is older than its window is not found any
 * more.  ${next_id} is that of the next delivery. */
void seen_advance(struct seen *seen, uint64_t now_unix_ms, uint64_t next_id);

/* It is ${now_unix_ms} only, and what was remembered so far came before: move
 * it back together, so that the newest is as old as now.  Returns by how many
 * ms; mostly 0. */
uint64_t seen_set_back(struct seen *seen, uint64_t now_unix_ms);

/* The entry for a delivery to come; its id is still 0. */
struct seen_entry seen_hash(struct str key, struct str signature);

/* The delivery that had this key, or this signature; 0 if none. */
uint64_t seen_by_key(const struct seen *seen, const struct seen_entry *entry);
uint64_t seen_by_signature(
    const struct seen *seen, const struct seen_entry *entry);

/* Remember a delivery; forget one that was never committed. */
void seen_add(struct seen *seen, const struct seen_entry *entry);
void seen_forget(struct seen *seen, const struct seen_entry *entry);

#endif /* !STORE_SEEN_H_ */
