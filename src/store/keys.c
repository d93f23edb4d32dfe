#include <stddef.h>
#include <stdlib.h>

#include "base/mem.h"

#include "store/keys.h"
#include "store/u64map.h"

struct change {
	uint64_t order_hash;
	int32_t holders;
	int32_t blocked;
};

struct keys {
	struct u64map map; /* Holders in the high half, blocked in the low. */
	struct change *changes;
	size_t nchanges;
	size_t changes_cap;
};

struct keys *
keys_create(void)
{
	return mem_zalloc(sizeof(struct keys));
}

void
keys_free(struct keys *keys)
{
	if (keys == NULL)
		return;
	u64map_free(&keys->map);
	free(keys->changes);
	free(keys);
}

uint32_t
keys_holders(const struct keys *keys, uint64_t order_hash)
{
	const struct u64map_place *place = u64map_get(&keys->map, order_hash);

	return place == NULL ? 0 : (uint32_t)(place->value >> 32);
}

uint32_t
keys_blocked(const struct keys *keys, uint64_t order_hash)
{
	const struct u64map_place *place = u64map_get(&keys->map, order_hash);

	return place == NULL ? 0 : (uint32_t)place->value;
}

static void
apply(struct keys *keys, uint64_t order_hash, int32_t holders, int32_t blocked)
{
	uint32_t h, b;

	h = keys_holders(keys, order_hash) + (uint32_t)holders;
	b = keys_blocked(keys, order_hash) + (uint32_t)blocked;
	if (h == 0 && b == 0)
		u64map_remove(&keys->map, order_hash);
	else
		u64map_put(
		    &keys->map, order_hash, (uint64_t)h << 32 | b, NULL, NULL);
}

void
keys_add(
    struct keys *keys, uint64_t order_hash, int32_t holders, int32_t blocked)
{
	if (order_hash == 0)
		return;
	apply(keys, order_hash, holders, blocked);
	keys->changes = mem_grow(keys->changes, &keys->changes_cap,
	    keys->nchanges + 1, sizeof(*keys->changes));
	keys->changes[keys->nchanges++] =
	    (struct change){order_hash, holders, blocked};
}

void
keys_commit(struct keys *keys)
{
	keys->nchanges = 0;
}

void
keys_rollback(struct keys *keys)
{
	const struct change *c;

	while (keys->nchanges > 0) {
		c = &keys->changes[--keys->nchanges];
		apply(keys, c->order_hash, -c->holders, -c->blocked);
	}
}
