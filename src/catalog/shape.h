#ifndef CATALOG_SHAPE_H_
#define CATALOG_SHAPE_H_

/*
 * What the bodies of a resource can look like, drawn together from all that the
 * documents say: their schemas and their examples.  For editor types and for
 * names that are misspelt; what is valid only the schemas say.
 *
 * Floor: 2 (catalog).  May include base/, json/.
 */

#include <stddef.h>

#include "base/compiler.h"
#include "base/str.h"

struct catalog;
struct catalog_resource;
struct jval;
struct shape;
struct shapes;

/* What a value may be. */
enum shape_type {
	SHAPE_NULL = 1 << 0,
	SHAPE_BOOLEAN = 1 << 1,
	SHAPE_INTEGER = 1 << 2,
	SHAPE_NUMBER = 1 << 3,
	SHAPE_STRING = 1 << 4,
	SHAPE_ARRAY = 1 << 5,
	SHAPE_OBJECT = 1 << 6,
	SHAPE_ANY = (1 << 7) - 1,
};

struct shape_field {
	const char *name;
	struct shape *shape;
	int required; /* By every message. */
};

struct shape {
	unsigned int types;         /* Of enum shape_type. */
	struct shape_field *fields; /* Of an object; sorted by name. */
	size_t nfields;
	int listed; /* Its fields are all that the documents know; an object
		     * about which one of them is silent is not. */
	int closed; /* A body with another one would be refused. */
	struct shape *items; /* Of an array; NULL: anything. */
	const char **values; /* If it is one of a few texts. */
	size_t nvalues;
	const char *about; /* For a person; NULL: nothing is said. */
};

/**
 * shapes_create(catalog):
 * Room for shapes.
 *
 * Ownership: keeps ${catalog}; the caller frees with shapes_free().
 */
struct shapes *shapes_create(const struct catalog *catalog);
void shapes_free(struct shapes *shapes);

/**
 * shapes_of(shapes, resource):
 * The shape of the bodies of ${resource}.
 *
 * Ownership: it lives as long as ${shapes}.
 */
struct shape *shapes_of(
    struct shapes *shapes, const struct catalog_resource *resource);

/**
 * shapes_either(shapes, a, b):
 * What is ${a} or ${b}; NULL is nothing.
 *
 * Ownership: as shapes_of().
 */
struct shape *shapes_either(
    struct shapes *shapes, const struct shape *a, const struct shape *b);

/* The field of that name, or NULL. */
const struct shape_field *shape_field(
    const struct shape *shape, struct str name);

#endif /* !CATALOG_SHAPE_H_ */
