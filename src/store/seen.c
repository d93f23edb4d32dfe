#include <stdlib.h>

#include "base/mem.h"

#include "store/checksum.h"
#include "store/seen.h"
#include "store/u64map.h"

#define SIGNATURE_WINDOW_MS 3600000
#define GRAINS 1024   /* Steps in which a window moves on. */
#define CHECK_BITS 24 /* Of the key's second hash, beside the id. */
#define CHECK_MASK ((1U << CHECK_BITS) - 1)

/* Deliveries from ${first_id} on came at ${at_unix_ms} or a grain later. */
struct mark {
	uint64_t first_id;
	uint64_t at_unix_ms;
};

struct seen {
	uint64_t key_window_ms;
	uint64_t signature_window_ms;
	uint64_t grain_ms;
	struct mark *marks; /* In order of time. */
	size_t nmarks;
	size_t marks_cap;
	uint64_t key_from; /* Ids below are out of the window. */
	uint64_t signature_from;
	struct u64map keys;       /* Hash -> id and check bits. */
	struct u64map signatures; /* Hash -> id. */
};

struct seen *
seen_create(uint64_t window_ms)
{
	struct seen *seen = mem_zalloc(sizeof(*seen));

	seen->key_window_ms = window_ms;
	seen->signature_window_ms =
	    window_ms > SIGNATURE_WINDOW_MS ? window_ms : SIGNATURE_WINDOW_MS;
	seen->grain_ms = window_ms / GRAINS + 1;
	return seen;
}

void
seen_free(struct seen *seen)
{
	if (seen == NULL)
		return;
	u64map_free(&seen->keys);
	u64map_free(&seen->signatures);
	free(seen->marks);
	free(seen);
}

uint64_t
seen_keep_ms(const struct seen *seen)
{
	return seen->signature_window_ms + seen->grain_ms;
}

/* The first id that is not older than ${window_ms}. */
static uint64_t
first_within(const struct seen *seen, uint64_t now, uint64_t window_ms)
{
	size_t low = 0, high = seen->nmarks, mid;

	/* The first mark whose grain has not yet left the window. */
	while (low < high) {
		mid = low + (high - low) / 2;
		if (seen->marks[mid].at_unix_ms + seen->grain_ms + window_ms <
		    now)
			low = mid + 1;
		else
			high = mid;
	}
	return low == seen->nmarks ? UINT64_MAX : seen->marks[low].first_id;
}

void
seen_advance(struct seen *seen, uint64_t now, uint64_t next_id)
{
	struct mark *last =
	    seen->nmarks == 0 ? NULL : &seen->marks[seen->nmarks - 1];
	size_t i, gone;

	/* A clock that was set back: time stands still until it is over. */
	if (last != NULL && now < last->at_unix_ms)
		now = last->at_unix_ms;
	if (last == NULL || now >= last->at_unix_ms + seen->grain_ms) {
		seen->marks = mem_grow(seen->marks, &seen->marks_cap,
		    seen->nmarks + 1, sizeof(*seen->marks));
		seen->marks[seen->nmarks++] = (struct mark){next_id, now};
	}
	seen->key_from = seen->key_window_ms == 0
			     ? UINT64_MAX
			     : first_within(seen, now, seen->key_window_ms);
	seen->signature_from =
	    first_within(seen, now, seen->signature_window_ms);

	/* Forget marks in bulk, so that moving them costs nothing. */
	for (gone = 0; gone < seen->nmarks &&
		       seen->marks[gone].first_id < seen->signature_from;
	     gone++)
		continue;
	if (gone > seen->nmarks / 2 && gone > 16) {
		for (i = gone; i < seen->nmarks; i++)
			seen->marks[i - gone] = seen->marks[i];
		seen->nmarks -= gone;
	}
}

uint64_t
seen_set_back(struct seen *seen, uint64_t now)
{
	uint64_t ahead, *at;
	size_t i;

	if (seen->nmarks == 0 ||
	    seen->marks[seen->nmarks - 1].at_unix_ms <= now)
		return 0;
	ahead = seen->marks[seen->nmarks - 1].at_unix_ms - now;
	for (i = 0; i < seen->nmarks; i++) {
		at = &seen->marks[i].at_unix_ms;
		*at = *at > ahead ? *at - ahead : 0;
	}
	return ahead;
}

struct seen_entry
seen_hash(struct str key, struct str signature)
{
	struct seen_entry e = {0, {0, 0}, 0};

	if (key.len > 0) {
		e.key[0] = checksum_hash(key, 1);
		e.key[1] = checksum_hash(key, 2) & CHECK_MASK;
	}
	if (signature.len > 0)
		e.signature = checksum_hash(signature, 3);
	return e;
}

uint64_t
seen_by_key(const struct seen *seen, const struct seen_entry *e)
{
	const struct u64map_place *place;
	uint64_t id;

	if (e->key[0] == 0)
		return 0;
	place = u64map_get(&seen->keys, e->key[0]);
	if (place == NULL || (place->value & CHECK_MASK) != e->key[1])
		return 0;
	id = place->value >> CHECK_BITS;
	return id >= seen->key_from ? id : 0;
}

uint64_t
seen_by_signature(const struct seen *seen, const struct seen_entry *e)
{
	const struct u64map_place *place;

	if (e->signature == 0)
		return 0;
	place = u64map_get(&seen->signatures, e->signature);
	return place != NULL && place->value >= seen->signature_from
		   ? place->value
		   : 0;
}

static int
key_kept(const void *cookie, uint64_t key, uint64_t value)
{
	const struct seen *seen = cookie;

	(void)key;
	return value >> CHECK_BITS >= seen->key_from;
}

static int
signature_kept(const void *cookie, uint64_t key, uint64_t value)
{
	const struct seen *seen = cookie;

	(void)key;
	return value >= seen->signature_from;
}

void
seen_add(struct seen *seen, const struct seen_entry *e)
{
	if (e->key[0] != 0 && seen->key_window_ms != 0)
		u64map_put(&seen->keys, e->key[0],
		    e->id << CHECK_BITS | e->key[1], key_kept, seen);
	if (e->signature != 0)
		u64map_put(&seen->signatures, e->signature, e->id,
		    signature_kept, seen);
}

void
seen_forget(struct seen *seen, const struct seen_entry *e)
{
	const struct u64map_place *place;

	place = u64map_get(&seen->keys, e->key[0]);
	if (place != NULL && place->value >> CHECK_BITS == e->id)
		u64map_remove(&seen->keys, e->key[0]);
	place = u64map_get(&seen->signatures, e->signature);
	if (place != NULL && place->value == e->id)
		u64map_remove(&seen->signatures, e->signature);
}
