#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#include "schema/schema_internal.h"

/* Take steps from the budget; 0 when it is used up. */
static int
spend(uint64_t *steps, uint64_t n)
{
	*steps -= *steps < n ? *steps : n;
	return *steps > 0;
}

static uint64_t
mix(uint64_t h)
{
	h ^= h >> 32;
	h *= 0x9E3779B97F4A7C15U;
	h ^= h >> 29;
	return h * 0xBF58476D1CE4E5B9U;
}

int
schema_is_overridden(const struct jval *key, size_t left, uint64_t *steps)
{
	const struct jval *e = key;
	size_t i;

	for (i = 0; i < left; i++) {
		e = jval_next(e + 1);
		if (i % 16 == 0 && !spend(steps, 1))
			return 0;
		if (str_eq(jval_str(e), jval_str(key)))
			return 1;
	}
	return 0;
}

/* Equal numbers have equal hashes, however they are written. */
static uint64_t
hash_real(double d)
{
	uint64_t bits;

	if (floor(d) == d && d >= -0x1p63 && d < 0x1p63)
		return mix((uint64_t)(int64_t)d + 11);
	if (floor(d) == d && d > 0 && d < 0x1p64)
		return mix((uint64_t)d + 11);
	memcpy(&bits, &d, sizeof(bits));
	return mix(bits + 13);
}

/* Equal values have equal hashes, whatever the order of members. */
static uint64_t
hash_value(const struct jval *v, uint64_t *steps)
{
	const struct jval *e;
	uint64_t h;
	size_t i;

	switch (jval_kind(v)) {
	case JDOC_INT:
	case JDOC_UINT:
		return mix(v->v.u + 11);
	case JDOC_REAL:
		return hash_real(v->v.d);
	case JDOC_STRING:
		return mix(str_hash(jval_str(v)) + 17);
	case JDOC_ARRAY:
		h = 19;
		for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e))
			h = mix(h + hash_value(e, steps));
		return h;
	case JDOC_OBJECT:
		h = 23;
		for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e + 1)) {
			if (schema_is_overridden(e, v->len - i - 1, steps))
				continue;
			if (*steps == 0)
				return 0;
			h += mix(hash_value(e, steps) +
				 mix(hash_value(e + 1, steps)));
		}
		return mix(h);
	case JDOC_NULL:
	case JDOC_FALSE:
	case JDOC_TRUE:
		break;
	}
	return mix(jval_kind(v) + 1);
}

void
schema_set_init(struct schema_set *set, size_t n)
{
	size_t slots = NELEMS(set->small);

	set->entries = set->small;
	if (n > slots / 2) {
		while (slots < 2 * n)
			slots *= 2;
		set->entries = mem_array(slots, sizeof(*set->entries));
	} else {
		memset(set->small, 0, sizeof(set->small));
	}
	set->mask = slots - 1;
}

void
schema_set_clear(struct schema_set *set)
{
	if (set->entries != set->small)
		free(set->entries);
	set->entries = set->small;
}

const struct jval *
schema_set_add(struct schema_set *set, const struct jval *v, uint64_t *steps)
{
	uint64_t hash = hash_value(v, steps);
	struct schema_set_entry *entry;
	size_t i;

	for (i = hash & set->mask;; i = (i + 1) & set->mask) {
		entry = &set->entries[i];
		if (!spend(steps, 1))
			return NULL;
		if (entry->value == NULL)
			break;
		if (entry->hash != hash)
			continue;
		if (!spend(steps, (uint64_t)(jval_next(v) - v)))
			return NULL;
		if (jdoc_equal(entry->value, v))
			return entry->value;
	}
	*entry = (struct schema_set_entry){hash, v};
	return NULL;
}
