#include <string.h>

#include "schema/schema_internal.h"

/* Of names as they come: the two ends and the length tell most of them apart.
 */
static inline uint32_t
hash_name(struct str s)
{
	uint64_t a = 0, b = 0;
	uint32_t a4, b4;

	if (s.len >= 8) {
		memcpy(&a, s.data, 8);
		memcpy(&b, s.data + s.len - 8, 8);
	} else if (s.len >= 4) {
		memcpy(&a4, s.data, 4);
		memcpy(&b4, s.data + s.len - 4, 4);
		a = a4;
		b = b4;
	} else if (s.len > 0) {
		a = (unsigned char)s.data[0];
		b = (unsigned char)s.data[s.len / 2] |
		    (uint64_t)(unsigned char)s.data[s.len - 1] << 8;
	}
	a ^= (b << 27 | b >> 37) ^ s.len * 0xC2B2AE3D27D4EB4FU;
	return (uint32_t)((a * 0x9E3779B97F4A7C15U) >> 32);
}

void
schema_keys_build(struct schema_keys *keys, struct arena *arena)
{
	uint32_t hash, i;
	size_t slots = 4, place;

	/* Sparse, so that an unknown name meets an empty slot at once. */
	while (slots < keys->n * 4)
		slots *= 2;
	keys->slots = arena_zalloc(arena, slots * sizeof(*keys->slots));
	keys->mask = (uint32_t)(slots - 1);
	for (place = 0; place < keys->n; place++) {
		/* Of two that are the same the last one counts. */
		keys->glance |= schema_keys_glance(keys->names[place]);
		hash = hash_name(keys->names[place]);
		for (i = hash & keys->mask;
		     keys->slots[i].place != 0 &&
		     !str_eq(keys->names[keys->slots[i].place - 1],
			 keys->names[place]);
		     i = (i + 1) & keys->mask)
			;
		keys->slots[i].hash = hash;
		keys->slots[i].place = (uint32_t)place + 1;
	}
}

size_t
schema_keys_look_up(const struct schema_keys *keys, struct str name)
{
	const struct schema_slot *slot;
	const struct str *known;
	uint32_t hash, i;

	hash = hash_name(name);
	for (i = hash & keys->mask;; i = (i + 1) & keys->mask) {
		slot = &keys->slots[i];
		if (slot->place == 0)
			return SIZE_MAX;
		if (slot->hash != hash)
			continue;
		known = &keys->names[slot->place - 1];
		if (known->len == name.len &&
		    memcmp(known->data, name.data, name.len) == 0)
			return slot->place - 1;
	}
}
