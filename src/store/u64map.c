#include <stdlib.h>

#include "base/mem.h"

#include "store/u64map.h"

#define FIRST_PLACES 64

void
u64map_free(struct u64map *map)
{
	free(map->places);
	*map = (struct u64map){NULL, 0, 0};
}

/* Where ${key} would like to be: its bits mixed, as keys may be in a row. */
static size_t
home_of(const struct u64map *map, uint64_t key)
{
	key ^= key >> 32;
	key *= 0x9E3779B97F4A7C15U;
	return (size_t)(key >> 29) & map->mask;
}

/* The place of ${key}, or the free one where it belongs. */
static struct u64map_place *
find(const struct u64map *map, uint64_t key)
{
	size_t i = home_of(map, key);

	while (map->places[i].key != 0 && map->places[i].key != key)
		i = (i + 1) & map->mask;
	return &map->places[i];
}

struct u64map_place *
u64map_get(const struct u64map *map, uint64_t key)
{
	struct u64map_place *place;

	if (map->count == 0)
		return NULL;
	place = find(map, key);
	return place->key == 0 ? NULL : place;
}

/* Move what is wanted into a table that it fills to less than half. */
static void
rebuild(struct u64map *map, u64map_keep_cb *keep, const void *cookie)
{
	struct u64map old = *map;
	size_t i, n = 0, places = FIRST_PLACES;

	for (i = 0; old.places != NULL && i <= old.mask; i++) {
		if (old.places[i].key == 0)
			continue;
		if (keep != NULL &&
		    !keep(cookie, old.places[i].key, old.places[i].value))
			old.places[i].key = 0;
		else
			n++;
	}
	while (places <= n * 2)
		places *= 2;
	map->places = mem_array(places, sizeof(*map->places));
	map->mask = places - 1;
	map->count = n;
	for (i = 0; old.places != NULL && i <= old.mask; i++) {
		if (old.places[i].key != 0)
			*find(map, old.places[i].key) = old.places[i];
	}
	free(old.places);
}

void
u64map_put(struct u64map *map, uint64_t key, uint64_t value,
    u64map_keep_cb *keep, const void *cookie)
{
	struct u64map_place *place;

	/* Never more than three quarters full, so that a free one is near. */
	if (map->places == NULL || (map->count + 1) * 4 > (map->mask + 1) * 3)
		rebuild(map, keep, cookie);
	place = find(map, key);
	if (place->key == 0)
		map->count++;
	place->key = key;
	place->value = value;
}

void
u64map_remove(struct u64map *map, uint64_t key)
{
	struct u64map_place *place = u64map_get(map, key);
	size_t hole, i;

	if (place == NULL)
		return;
	map->count--;

	/* Those behind that may move into the hole do, so that none is lost. */
	hole = (size_t)(place - map->places);
	for (i = (hole + 1) & map->mask; map->places[i].key != 0;
	     i = (i + 1) & map->mask) {
		if (((i - home_of(map, map->places[i].key)) & map->mask) >=
		    ((i - hole) & map->mask)) {
			map->places[hole] = map->places[i];
			hole = i;
		}
	}
	map->places[hole] = (struct u64map_place){0, 0};
}
