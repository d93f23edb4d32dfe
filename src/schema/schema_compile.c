#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#include "schema/schema.h"
#include "schema/schema_internal.h"

int
schema_compiler_refuse(
    struct schema_compiler *c, const struct jval *at, const char *what)
{
	struct buf found = BUF_INIT;

	schema_put_value(&found, at);
	(void)schema_index_fail(
	    c->index, at, c->err, "must be %s, is %s", what, buf_text(&found));
	buf_free(&found);
	return -1;
}

int
schema_compiler_node(struct schema_compiler *c, const struct jval *at,
    const struct schema_node **ret_node)
{
	struct schema_node *node;
	enum jdoc_kind kind;
	int is_new;

	kind = jval_kind(at);
	if (kind != JDOC_OBJECT && kind != JDOC_TRUE && kind != JDOC_FALSE)
		return schema_compiler_refuse(
		    c, at, "a schema, which is an object or a boolean");
	if (schema_index_follow(c->index, at, &at, c->err) == -1)
		return -1;
	kind = jval_kind(at);
	if (kind != JDOC_OBJECT && kind != JDOC_TRUE && kind != JDOC_FALSE)
		return schema_compiler_refuse(c, at,
		    "a schema, which is an object or a boolean, since a "
		    "reference leads here");
	node = schema_index_node(c->index, at, c->arena, &is_new);
	if (is_new) {
		c->todo = mem_grow(
		    c->todo, &c->todo_cap, c->ntodo + 1, sizeof(*c->todo));
		node->id = (uint32_t)c->ntodo;
		c->todo[c->ntodo++] = (struct schema_todo){at, node};
	}
	*ret_node = node;
	return 0;
}

static int
compile_node(struct schema_compiler *c, const struct schema_todo *todo)
{
	struct schema_draft d = {.at = todo->at, .node = todo->node};
	const struct jval *v;

	d.node->kinds = SCHEMA_KINDS_ALL;
	if (jval_kind(d.at) == JDOC_FALSE) {
		d.node->kinds = 0;
		d.node->never = 1;
	}
	if (jval_kind(d.at) != JDOC_OBJECT) {
		d.node->plain = 1;
		return 0;
	}
	v = jdoc_gets(d.at, "$id");
	if (v != NULL && jval_kind(v) != JDOC_STRING)
		return schema_compiler_refuse(c, v, "a string: a URI");
	if (schema_keywords_compile(c, &d) == -1)
		return -1;
	if (d.node->nullable)
		d.node->kinds |= SCHEMA_KIND(JDOC_NULL);
	/* Without an `if`, `then` and `else` say nothing. */
	if (d.logic != NULL && d.logic->if_node == NULL)
		d.logic->then_node = d.logic->else_node = NULL;
	d.node->plain = d.node->values == NULL && d.node->constant == NULL &&
			d.number == NULL && d.string == NULL &&
			d.array == NULL && d.object == NULL && d.logic == NULL;
	if (d.object != NULL)
		d.object->by_name = d.object->npatterns == 0 &&
				    d.object->additional == NULL &&
				    d.object->names == NULL;
	return 0;
}

static int visit(struct schema_compiler *c, const struct schema_node *n,
    uint8_t *marks, unsigned int depth);

static int
visit_list(struct schema_compiler *c, const struct schema_list *list,
    uint8_t *marks, unsigned int depth)
{
	size_t i;

	for (i = 0; i < list->n; i++) {
		if (visit(c, list->nodes[i], marks, depth) == -1)
			return -1;
	}
	return 0;
}

/*
 * Follow what is applied to the same value again: a circle there would never
 * come to an end.  Circles by way of members and elements are fine.
 */
static int
visit(struct schema_compiler *c, const struct schema_node *n, uint8_t *marks,
    unsigned int depth)
{
	const struct schema_logic *l;
	size_t i;

	if (n == NULL || marks[n->id] == 2)
		return 0;
	if (marks[n->id] == 1)
		return schema_index_fail(c->index, c->todo[n->id].at, c->err,
		    "refers to itself for the same value, without end");
	if (depth >= SCHEMA_MAX_NESTING)
		return schema_index_fail(c->index, c->todo[n->id].at, c->err,
		    "more than %d schemas apply to the same value, one within "
		    "the other",
		    SCHEMA_MAX_NESTING);
	marks[n->id] = 1;
	depth++;
	for (i = 0; n->object != NULL && i < n->object->ndependencies; i++) {
		if (visit(c, n->object->dependencies[i].node, marks, depth) ==
		    -1)
			return -1;
	}
	l = n->logic;
	if (l != NULL && (visit_list(c, &l->all_of, marks, depth) == -1 ||
			     visit_list(c, &l->any_of, marks, depth) == -1 ||
			     visit_list(c, &l->one_of, marks, depth) == -1 ||
			     visit(c, l->not_node, marks, depth) == -1 ||
			     visit(c, l->if_node, marks, depth) == -1 ||
			     visit(c, l->then_node, marks, depth) == -1 ||
			     visit(c, l->else_node, marks, depth) == -1))
		return -1;
	marks[n->id] = 2;
	return 0;
}

static int
visit_all(struct schema_compiler *c)
{
	uint8_t *marks = mem_array(c->ntodo, sizeof(*marks));
	size_t i;
	int rc = 0;

	for (i = 0; i < c->ntodo && rc == 0; i++)
		rc = visit(c, c->todo[i].node, marks, 0);
	free(marks);
	return rc;
}

int
schema_compile(const struct jval *root, const struct jval *at,
    struct schema **ret_schema, struct err *err)
{
	struct schema_compiler c = {.err = err};
	int rc = -1;

	c.schema = mem_zalloc(sizeof(*c.schema));
	c.arena = &c.schema->arena;
	c.index = schema_index_create(root, at);
	if (schema_compiler_node(&c, at, &c.schema->root) == -1)
		goto out;
	for (c.done = 0; c.done < c.ntodo; c.done++) {
		if (compile_node(&c, &c.todo[c.done]) == -1)
			goto out;
	}
	if (visit_all(&c) == -1)
		goto out;

	/* Success!  Hand over. */
	*ret_schema = c.schema;
	c.schema = NULL;
	rc = 0;

out:
	schema_free(c.schema);
	schema_index_free(c.index);
	free(c.todo);
	return rc;
}

void
schema_free(struct schema *schema)
{
	size_t i;

	if (schema == NULL)
		return;
	for (i = 0; i < schema->npatterns; i++)
		schema_pattern_free(schema->patterns[i]);
	free(schema->patterns);
	arena_free(&schema->arena);
	free(schema);
}
