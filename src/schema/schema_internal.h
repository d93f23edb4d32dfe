#ifndef SCHEMA_SCHEMA_INTERNAL_H_
#define SCHEMA_SCHEMA_INTERNAL_H_

/*
 * What a compiled schema is made of, for the schema_*.c files alone.
 *
 * A schema is a graph of nodes, one for each (sub)schema that is an object or a
 * boolean; a `$ref` is no node of its own but an edge to the node that it
 * names.  Everything is in one arena and never changes after compiling.
 *
 * Floor: 2 (schema).  May include base/, json/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/str.h"
#include "json/jdoc.h"

struct buf;
struct err;
struct schema_violation;

/* Schemas within schemas and values within values, taken together; what is
 * nested deeper would need too much of a thread's stack. */
#define SCHEMA_MAX_NESTING 2048

/* A set of kinds of values: a bit for each enum jdoc_kind, and one for reals
 * that are whole numbers. */
#define SCHEMA_KIND(kind) (1U << (unsigned int)(kind))
#define SCHEMA_KIND_WHOLE (1U << 9)
#define SCHEMA_KINDS_BOOLEAN (SCHEMA_KIND(JDOC_FALSE) | SCHEMA_KIND(JDOC_TRUE))
#define SCHEMA_KINDS_INTEGER                                                   \
	(SCHEMA_KIND(JDOC_INT) | SCHEMA_KIND(JDOC_UINT) | SCHEMA_KIND_WHOLE)
#define SCHEMA_KINDS_NUMBER (SCHEMA_KINDS_INTEGER | SCHEMA_KIND(JDOC_REAL))
#define SCHEMA_KINDS_ALL 0x3FFU

/* What can be wrong with a value. */
enum schema_fault_kind {
	SCHEMA_FAULT_NONE = 0,
	SCHEMA_FAULT_FALSE, /* The schema there is `false`. */
	SCHEMA_FAULT_TYPE,
	SCHEMA_FAULT_ENUM,
	SCHEMA_FAULT_CONST,
	SCHEMA_FAULT_MULTIPLE,
	SCHEMA_FAULT_MAXIMUM,
	SCHEMA_FAULT_EXCLUSIVE_MAXIMUM,
	SCHEMA_FAULT_MINIMUM,
	SCHEMA_FAULT_EXCLUSIVE_MINIMUM,
	SCHEMA_FAULT_MAX_LENGTH,
	SCHEMA_FAULT_MIN_LENGTH,
	SCHEMA_FAULT_PATTERN,
	SCHEMA_FAULT_FORMAT,
	SCHEMA_FAULT_MAX_ITEMS,
	SCHEMA_FAULT_MIN_ITEMS,
	SCHEMA_FAULT_EXTRA_ITEM,
	SCHEMA_FAULT_UNIQUE, /* number: the element that it repeats. */
	SCHEMA_FAULT_CONTAINS,
	SCHEMA_FAULT_MAX_PROPERTIES, /* number: how many there are. */
	SCHEMA_FAULT_MIN_PROPERTIES, /* The same. */
	SCHEMA_FAULT_REQUIRED,       /* name: what is missing. */
	SCHEMA_FAULT_DEPENDENCY,     /* name: what is missing; beside: ... */
	SCHEMA_FAULT_UNKNOWN_MEMBER,
	SCHEMA_FAULT_NOT,
	SCHEMA_FAULT_ANY_OF_TYPES, /* number: the kinds that were accepted. */
	SCHEMA_FAULT_ONE_OF,       /* number, other: two that match, from 0. */
	SCHEMA_FAULT_TOO_COMPLEX,
	SCHEMA_FAULT_TOO_DEEP,
	SCHEMA_FAULT_PATTERN_LIMIT, /* name: the pattern. */
};

enum schema_format {
	SCHEMA_FORMAT_NONE = 0, /* Unknown: an annotation. */
	SCHEMA_FORMAT_DATE_TIME,
	SCHEMA_FORMAT_DATE,
	SCHEMA_FORMAT_TIME,
	SCHEMA_FORMAT_URI,
	SCHEMA_FORMAT_EMAIL,
	SCHEMA_FORMAT_UUID,
	SCHEMA_FORMAT_IPV4,
	SCHEMA_FORMAT_IPV6,
	SCHEMA_FORMAT_HOSTNAME,
};

/* Names, and their places in an array of the owner's. */
struct schema_keys {
	struct str *names;
	size_t n;
	uint64_t glance; /* Sorts most unknown names out. */
	struct schema_slot *slots;
	uint32_t mask; /* Slots less one; a power of two less one. */
};

struct schema_slot {
	uint32_t hash;
	uint32_t place; /* In names[], plus one; 0 is an empty slot. */
};

/* A regular expression, compiled. */
struct schema_pattern {
	struct str text;
	void *code; /* pcre2_code, freed with the schema. */
};

/* A decimal number: digits * 10^exponent, for exact division. */
struct schema_decimal {
	uint64_t digits;
	int exponent;
};

/* `enum` and `const`. */
struct schema_values {
	const struct jval **values; /* Copies; the arena's. */
	size_t n;
	struct schema_keys strings; /* Those that are strings. */
	size_t nothers;             /* How many are not. */
};

struct schema_number {
	const struct jval *multiple_of; /* These are NULL if not given. */
	const struct jval *maximum;
	const struct jval *exclusive_maximum;
	const struct jval *minimum;
	const struct jval *exclusive_minimum;
	struct schema_decimal multiple;
};

struct schema_string {
	uint64_t max_length; /* Code points; UINT64_MAX: none. */
	uint64_t min_length;
	const struct schema_pattern *pattern; /* Or NULL. */
	enum schema_format format;
};

struct schema_array {
	const struct schema_node **tuple; /* `items` that is an array. */
	size_t ntuple;
	const struct schema_node *rest;     /* For elements behind; or NULL. */
	const struct schema_node *contains; /* Or NULL. */
	uint64_t max_items;
	uint64_t min_items;
	int unique;
};

/* One name in `properties` or `required`. */
struct schema_member {
	const struct schema_node *node; /* NULL: not in `properties`. */
	uint64_t bit;                   /* Its bit if required, or 0. */
};

struct schema_pattern_member {
	const struct schema_pattern *pattern;
	const struct schema_node *node;
};

/* `dependencies`: where `name` is there, the object must ... */
struct schema_dependency {
	struct str name;
	const struct schema_node *node; /* ... satisfy this, */
	struct str *needs;              /* or else have all these. */
	size_t nneeds;
};

struct schema_object {
	struct schema_keys keys;
	struct schema_member *members; /* For each key. */
	struct str *required;
	size_t nrequired;
	uint64_t required_bits; /* Of the first 64. */
	struct schema_pattern_member *patterns;
	size_t npatterns;
	const struct schema_node *additional; /* Or NULL. */
	const struct schema_node *names;      /* Or NULL. */
	struct schema_dependency *dependencies;
	size_t ndependencies;
	uint64_t max_properties;
	uint64_t min_properties;
	int by_name; /* Only names in `keys` matter. */
};

struct schema_list {
	const struct schema_node **nodes;
	size_t n;
};

/* What is applied to the same value once more. */
struct schema_logic {
	struct schema_list all_of;
	struct schema_list any_of;
	struct schema_list one_of;
	const struct schema_node *not_node; /* These are NULL if not given. */
	const struct schema_node *if_node;
	const struct schema_node *then_node;
	const struct schema_node *else_node;
};

struct schema_node {
	uint32_t kinds; /* Accepted ones. */
	uint8_t plain;  /* The kind is all there is to check. */
	uint8_t never;  /* The schema `false`. */
	uint8_t nullable;
	uint32_t id;                        /* Its number, from 0. */
	const struct schema_values *values; /* These are NULL if not given. */
	const struct schema_values *constant;
	const struct schema_number *number;
	const struct schema_string *string;
	const struct schema_array *array;
	const struct schema_object *object;
	const struct schema_logic *logic;
};

struct schema {
	struct arena arena;
	const struct schema_node *root;
	struct schema_pattern **patterns; /* All of them, to be freed. */
	size_t npatterns;
	size_t patterns_cap;
};

/* What a check found. */
struct schema_fault {
	enum schema_fault_kind kind;
	unsigned int depth; /* Parts of the pointer. */
	const struct schema_node *node;
	const struct jval *at; /* The value, or the key, that is refused. */
	struct str name;       /* See enum schema_fault_kind. */
	struct str beside;
	uint64_t number;
	uint64_t other;
};

/* ---- schema_keys.c ------------------------------------------------------- */

/* Build the look-up of keys->names; its memory is the arena's. */
void schema_keys_build(struct schema_keys *keys, struct arena *arena);

/* One of 64 bits: a name whose bit no other has is unknown at a glance. */
static inline uint64_t
schema_keys_glance(struct str name)
{
	unsigned int bit = (unsigned int)name.len * 7;

	if (LIKELY(name.len > 0))
		bit += (unsigned char)name.data[0] * 3U +
		       (unsigned char)name.data[name.len - 1] * 5U;
	return (uint64_t)1 << (bit % 64);
}

/* The place of ${name}, or SIZE_MAX. */
size_t schema_keys_look_up(const struct schema_keys *keys, struct str name);

static inline size_t
schema_keys_find(const struct schema_keys *keys, struct str name)
{
	if (LIKELY((keys->glance & schema_keys_glance(name)) == 0))
		return SIZE_MAX;
	return schema_keys_look_up(keys, name);
}

/* ---- schema_set.c -------------------------------------------------------- */

/* Values that were seen, for `uniqueItems` and for counting names.  Up to half
 * of `small` needs no allocation. */
struct schema_set {
	struct schema_set_entry {
		uint64_t hash;
		const struct jval *value; /* NULL: free. */
	} small[64], *entries;
	size_t mask;
};

/* Make room for ${n} values; clear with schema_set_clear(). */
void schema_set_init(struct schema_set *set, size_t n);
void schema_set_clear(struct schema_set *set);

/**
 * schema_set_add(set, v, steps):
 * Add ${v}.  The work is taken from *${steps}; at 0 nothing more is done.
 *
 * Returns:   the value there that is equal to it, or NULL if it was added.
 * Ownership: keeps ${v}.
 */
const struct jval *schema_set_add(
    struct schema_set *set, const struct jval *v, uint64_t *steps);

/* Whether the member ${key} is not the last of its name, and so does not count;
 * ${left} members are behind it.  The work is taken from *${steps}. */
int schema_is_overridden(const struct jval *key, size_t left, uint64_t *steps);

/* ---- schema_pattern.c ---------------------------------------------------- */

/* How a match ended. */
enum schema_match {
	SCHEMA_MATCH_NO = 0,
	SCHEMA_MATCH_YES,
	SCHEMA_MATCH_LIMIT, /* Given up: too much backtracking. */
};

/* Memory for matching; all zero at first, used by one thread. */
struct schema_matcher {
	void *data;    /* pcre2_match_data */
	void *context; /* pcre2_match_context */
};

/**
 * schema_pattern_compile(pattern, err):
 * Compile pattern->text, which is in the syntax of ECMA 262.
 *
 * Errors:    ERR_INVALID      it is not; the message says where.
 * Ownership: free with schema_pattern_free().
 */
int schema_pattern_compile(
    struct schema_pattern *pattern, struct err *err) ATTR_MUSTCHECK;
void schema_pattern_free(struct schema_pattern *pattern);

/**
 * schema_pattern_match(pattern, matcher, s, hard):
 * Look for the pattern anywhere in ${s}.  Unless ${hard}, give up early: nearly
 * all matches are easy, and the caller keeps count of the others.
 *
 * Ownership: ${matcher} may allocate; free it with schema_matcher_free().
 */
enum schema_match schema_pattern_match(const struct schema_pattern *pattern,
    struct schema_matcher *matcher, struct str s, int hard);
void schema_matcher_free(struct schema_matcher *matcher);

/* ---- schema_format.c ----------------------------------------------------- */

/* The format of that name; SCHEMA_FORMAT_NONE if it is not checked. */
enum schema_format schema_format_find(struct str name);
const char *schema_format_name(enum schema_format format);

/* Whether ${s} is of that format. */
int schema_format_check(enum schema_format format, struct str s);

/* ---- schema_hostname.c --------------------------------------------------- */

/* A host name of RFC 1123, with labels "xn--..." as IDNA 2008 has them. */
int schema_hostname_check(struct str s);

/* ---- schema_number.c ----------------------------------------------------- */

/* -1, 0 or 1: ${a} is less than, equal to, more than ${b}; exact. */
int schema_number_compare(const struct jval *a, const struct jval *b);

/* The shortest decimal that reads back as ${v}, without its sign. */
struct schema_decimal schema_decimal_of(const struct jval *v);

/* Whether ${a} is a whole number of ${b}, which is not 0. */
int schema_decimal_divides(struct schema_decimal a, struct schema_decimal b);

/* ---- schema_ref.c -------------------------------------------------------- */

/* Where schemas are in the documents, under which URIs they go, and the nodes
 * that were made of them. */
struct schema_index;

struct schema_index *schema_index_create(
    const struct jval *root, const struct jval *at);
void schema_index_free(struct schema_index *index);

/**
 * schema_index_follow(index, at, ret_at, err):
 * The schema that stands for ${at}: itself, or where its `$ref` leads.
 *
 * Errors:    ERR_INVALID      a reference leads nowhere, outside, or in a
 *                             circle; the message has the place.
 */
int schema_index_follow(struct schema_index *index, const struct jval *at,
    const struct jval **ret_at, struct err *err) ATTR_MUSTCHECK;

/* The node for the schema at ${at}: *${ret_new} says that it was not there, and
 * is all zero. */
struct schema_node *schema_index_node(struct schema_index *index,
    const struct jval *at, struct arena *arena, int *ret_new);

/**
 * schema_index_fail(index, at, err, fmt, ...):
 * Fill in ${err} with the place ${at} and a message.  Return -1.
 */
int schema_index_fail(const struct schema_index *index, const struct jval *at,
    struct err *err, const char *fmt, ...) ATTR_PRINTF(4, 5);

/* ---- schema_compile.c, schema_keyword.c ---------------------------------- */

/* A schema whose node is there, but not filled in before its turn comes: so
 * that a schema may contain itself. */
struct schema_todo {
	const struct jval *at;
	struct schema_node *node;
};

struct schema_compiler {
	struct schema *schema;
	struct arena *arena; /* The schema's. */
	struct schema_index *index;
	struct schema_todo
	    *todo; /* All nodes; those before `done` are filled in. */
	size_t ntodo, todo_cap, done;
	struct err *err; /* The caller's. */
};

/* The node that is being filled in; the parts are made when needed. */
struct schema_draft {
	const struct jval *at;
	struct schema_node *node;
	struct schema_number *number;
	struct schema_string *string;
	struct schema_array *array;
	struct schema_object *object;
	struct schema_logic *logic;
};

/* Refuse the schema, since ${at} is not ${what}.  Return -1. */
int schema_compiler_refuse(
    struct schema_compiler *c, const struct jval *at, const char *what);

/* The node of the schema ${at}, which is filled in later. */
int schema_compiler_node(struct schema_compiler *c, const struct jval *at,
    const struct schema_node **ret_node) ATTR_MUSTCHECK;

/* Fill in what the keywords of d->at say. */
int schema_keywords_compile(
    struct schema_compiler *c, struct schema_draft *d) ATTR_MUSTCHECK;

/* ---- schema_explain.c ---------------------------------------------------- */

/* Say in words what ${fault} is, in a value within ${root}. */
void schema_explain(const struct schema_fault *fault, const struct jval *root,
    struct schema_violation *ret_violation);

/* Append the JSON Pointer of ${target}, a value or key within ${root}; returns
 * whether it is a key. */
int schema_put_pointer(
    struct buf *buf, const struct jval *root, const struct jval *target);

/* Append ${v} for a person: short, one line; containers by their name. */
void schema_put_value(struct buf *buf, const struct jval *v);

/* Append the kinds in a set: "a string or null". */
void schema_put_kinds(struct buf *buf, uint32_t kinds);

#endif /* !SCHEMA_SCHEMA_INTERNAL_H_ */
