#include <limits.h>
#include <math.h>
#include <string.h>

#include "schema/schema.h"
#include "schema/schema_internal.h"

/*
 * Work that one check may do, in steps of some ten nanoseconds: a schema whose
 * alternatives nest makes it grow exponentially, and a body is not ours.
 */
#define STEPS_BASE (1U << 20)
#define STEPS_PER_VALUE 32U
#define STEPS_PER_MATCH 16U
#define STEPS_PER_HARD_MATCH 100000U

/* One check under way. */
struct run {
	uint64_t steps;       /* Left. */
	unsigned int nesting; /* Of check() in itself. */
	unsigned int depth;   /* Parts of the pointer of the value at hand. */
	int collect;          /* Look on after a fault, for the deepest. */
	unsigned int nfaults; /* Told while collecting. */
	struct schema_fault best;
	struct schema_fault stop; /* Given up: everything is refused. */
	struct schema_matcher matcher;
};

static int check(
    struct run *run, const struct schema_node *n, const struct jval *v);

static int
is_whole(double d)
{
	return floor(d) == d;
}

static inline int
kind_fits(const struct schema_node *n, const struct jval *v)
{
	unsigned int kind = jval_kind(v);

	if ((n->kinds >> kind & 1) != 0)
		return 1;
	return kind == JDOC_REAL && (n->kinds & SCHEMA_KIND_WHOLE) != 0 &&
	       is_whole(v->v.d);
}

/* Give up: whatever is found from here on, the document is refused. */
static int
stop(struct run *run, enum schema_fault_kind kind, const struct schema_node *n,
    const struct jval *at, struct str name)
{
	if (run->stop.kind == SCHEMA_FAULT_NONE) {
		run->stop = (struct schema_fault){.kind = kind,
		    .node = n,
		    .at = at,
		    .name = name,
		    .depth = run->depth};
	}
	run->steps = 0;
	return 0;
}

/* Take steps from the budget; 0 when it is used up. */
static inline int
spend(struct run *run, uint64_t steps, const struct schema_node *n,
    const struct jval *at)
{
	if (UNLIKELY(run->steps <= steps))
		return stop(run, SCHEMA_FAULT_TOO_COMPLEX, n, at, STR(""));
	run->steps -= steps;
	return 1;
}

/* Note a fault; returns whether to look on for others. */
static int
tell(struct run *run, const struct schema_fault *fault)
{
	if (!run->collect || run->stop.kind != SCHEMA_FAULT_NONE)
		return 0;
	run->nfaults++;
	if (run->best.kind == SCHEMA_FAULT_NONE ||
	    fault->depth > run->best.depth)
		run->best = *fault;
	return 1;
}

/* The same for a fault of the value at hand with nothing more to say. */
static int
refuse(struct run *run, enum schema_fault_kind kind,
    const struct schema_node *n, const struct jval *at)
{
	struct schema_fault fault = {
	    .kind = kind, .node = n, .at = at, .depth = run->depth};

	return tell(run, &fault);
}

/* check() for a question whose "no" is not a fault. */
static int
quietly(struct run *run, const struct schema_node *n, const struct jval *v)
{
	int collect = run->collect, ok;

	run->collect = 0;
	ok = check(run, n, v);
	run->collect = collect;
	return ok && run->stop.kind == SCHEMA_FAULT_NONE;
}

static int
match(struct run *run, const struct schema_node *n,
    const struct schema_pattern *pattern, const struct jval *v)
{
	struct str s = jval_str(v);
	enum schema_match m;

	if (!spend(run, STEPS_PER_MATCH + s.len / 8, n, v))
		return 0;
	m = schema_pattern_match(pattern, &run->matcher, s, 0);
	if (m == SCHEMA_MATCH_LIMIT) {
		if (!spend(run, STEPS_PER_HARD_MATCH, n, v))
			return 0;
		m = schema_pattern_match(pattern, &run->matcher, s, 1);
	}
	if (m == SCHEMA_MATCH_LIMIT) {
		return stop(
		    run, SCHEMA_FAULT_PATTERN_LIMIT, n, v, pattern->text);
	}
	return m == SCHEMA_MATCH_YES;
}

/* The members of an object, each name once.  Not inlined, as the set would make
 * the frame large of a function that calls itself. */
static __attribute__((noinline)) uint64_t
count_names(struct run *run, const struct jval *v)
{
	const struct jval *e;
	struct schema_set set;
	uint64_t n = 0;
	size_t i;

	schema_set_init(&set, v->len);
	for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e + 1))
		n += schema_set_add(&set, e, &run->steps) == NULL;
	schema_set_clear(&set);
	return n;
}

/* ---- values that are not containers -------------------------------------- */

static int
is_among(struct run *run, const struct schema_values *values,
    const struct schema_node *n, const struct jval *v)
{
	size_t i;

	if (jval_kind(v) == JDOC_STRING)
		return schema_keys_find(&values->strings, jval_str(v)) !=
		       SIZE_MAX;
	if (values->nothers == 0)
		return 0;
	for (i = 0; i < values->n; i++) {
		if (!spend(run, (uint64_t)(jval_next(v) - v), n, v))
			return 0;
		if (jdoc_equal(values->values[i], v))
			return 1;
	}
	return 0;
}

static int
check_number(struct run *run, const struct schema_node *n, const struct jval *v)
{
	const struct schema_number *r = n->number;

	if (r->maximum != NULL && schema_number_compare(v, r->maximum) > 0 &&
	    !refuse(run, SCHEMA_FAULT_MAXIMUM, n, v))
		return 0;
	if (r->exclusive_maximum != NULL &&
	    schema_number_compare(v, r->exclusive_maximum) >= 0 &&
	    !refuse(run, SCHEMA_FAULT_EXCLUSIVE_MAXIMUM, n, v))
		return 0;
	if (r->minimum != NULL && schema_number_compare(v, r->minimum) < 0 &&
	    !refuse(run, SCHEMA_FAULT_MINIMUM, n, v))
		return 0;
	if (r->exclusive_minimum != NULL &&
	    schema_number_compare(v, r->exclusive_minimum) <= 0 &&
	    !refuse(run, SCHEMA_FAULT_EXCLUSIVE_MINIMUM, n, v))
		return 0;
	if (r->multiple_of != NULL &&
	    !schema_decimal_divides(schema_decimal_of(v), r->multiple) &&
	    !refuse(run, SCHEMA_FAULT_MULTIPLE, n, v))
		return 0;
	return 1;
}

/* Whether the text has at least or at most so many code points. */
static int
length_fits(struct str s, uint64_t min, uint64_t max)
{
	uint64_t n = 0;
	size_t i;

	/* A code point has one to four bytes: mostly no need to count. */
	if (s.len < min || s.len / 4 > max)
		return 0;
	if (s.len / 4 >= min && s.len <= max)
		return 1;
	for (i = 0; i < s.len; i++)
		n += ((unsigned char)s.data[i] & 0xC0) != 0x80;
	return n >= min && n <= max;
}

static int
check_string(struct run *run, const struct schema_node *n, const struct jval *v)
{
	const struct schema_string *r = n->string;
	struct str s = jval_str(v);

	if (!length_fits(s, 0, r->max_length) &&
	    !refuse(run, SCHEMA_FAULT_MAX_LENGTH, n, v))
		return 0;
	if (!length_fits(s, r->min_length, UINT64_MAX) &&
	    !refuse(run, SCHEMA_FAULT_MIN_LENGTH, n, v))
		return 0;
	if (r->pattern != NULL && !match(run, n, r->pattern, v) &&
	    !refuse(run, SCHEMA_FAULT_PATTERN, n, v))
		return 0;
	if (r->format != SCHEMA_FORMAT_NONE &&
	    !schema_format_check(r->format, s) &&
	    !refuse(run, SCHEMA_FAULT_FORMAT, n, v))
		return 0;
	return 1;
}

/* ---- arrays -------------------------------------------------------------- */

static int
check_elements(
    struct run *run, const struct schema_node *n, const struct jval *v)
{
	const struct schema_array *r = n->array;
	const struct schema_node *node;
	const struct jval *e;
	int ok;
	size_t i;

	for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e)) {
		node = i < r->ntuple ? r->tuple[i] : r->rest;
		if (node == NULL)
			return 1;
		if (node->plain && kind_fits(node, e))
			continue;
		run->depth++;
		if (i >= r->ntuple && r->ntuple > 0 && node->never)
			ok = refuse(run, SCHEMA_FAULT_EXTRA_ITEM, n, e);
		else
			ok = check(run, node, e);
		run->depth--;
		if (!ok && (!run->collect || run->steps == 0))
			return 0;
	}
	return 1;
}

static __attribute__((noinline)) int
check_unique(struct run *run, const struct schema_node *n, const struct jval *v)
{
	const struct jval *e, *same = NULL, *first;
	struct schema_fault fault;
	struct schema_set set;
	size_t i;

	schema_set_init(&set, v->len);
	for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e)) {
		same = schema_set_add(&set, e, &run->steps);
		if (same != NULL)
			break;
	}
	schema_set_clear(&set);
	if (run->steps == 0)
		return stop(run, SCHEMA_FAULT_TOO_COMPLEX, n, v, STR(""));
	if (same == NULL)
		return 1;
	fault = (struct schema_fault){.kind = SCHEMA_FAULT_UNIQUE,
	    .node = n,
	    .at = e,
	    .depth = run->depth + 1};
	for (first = v + 1; first != same; first = jval_next(first))
		fault.number++;
	return tell(run, &fault);
}

static int
has_match(struct run *run, const struct schema_node *n, const struct jval *v)
{
	const struct jval *e;
	size_t i;

	for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e)) {
		if (quietly(run, n, e))
			return 1;
	}
	return 0;
}

static int
check_array(struct run *run, const struct schema_node *n, const struct jval *v)
{
	const struct schema_array *r = n->array;

	if (!spend(run, v->len / 8 + 1, n, v))
		return 0;
	if (v->len > r->max_items && !refuse(run, SCHEMA_FAULT_MAX_ITEMS, n, v))
		return 0;
	if (v->len < r->min_items && !refuse(run, SCHEMA_FAULT_MIN_ITEMS, n, v))
		return 0;
	if ((r->ntuple > 0 || r->rest != NULL) && !check_elements(run, n, v))
		return 0;
	if (r->contains != NULL && !has_match(run, r->contains, v) &&
	    !refuse(run, SCHEMA_FAULT_CONTAINS, n, v))
		return 0;
	if (r->unique && v->len > 1 && !check_unique(run, n, v))
		return 0;
	return 1;
}

/* ---- objects ------------------------------------------------------------- */

/* The value of one member; a fault of a member that does not count is none. */
static int
check_member(struct run *run, const struct schema_node *n,
    const struct jval *key, size_t left)
{
	struct schema_fault best = {.kind = SCHEMA_FAULT_NONE};
	unsigned int nfaults = run->nfaults;
	int ok;

	if (n->plain && kind_fits(n, key + 1))
		return 1;
	if (run->collect)
		best = run->best;
	run->depth++;
	ok = check(run, n, key + 1);
	run->depth--;
	if (ok || run->steps == 0)
		return ok;
	if (!schema_is_overridden(key, left, &run->steps)) {
		if (run->steps == 0)
			(void)stop(
			    run, SCHEMA_FAULT_TOO_COMPLEX, n, key, STR(""));
		return 0;
	}
	run->best = best;
	run->nfaults = nfaults;
	return 1;
}

/* A member for what is not in `properties`: patterns, and the others. */
static int
check_unlisted(struct run *run, const struct schema_node *n,
    const struct jval *key, size_t left, int listed)
{
	const struct schema_object *r = n->object;
	int ok = 1;
	size_t i;

	if (r->names != NULL) {
		run->depth++;
		ok = check(run, r->names, key);
		run->depth--;
		if (!ok && !run->collect)
			return 0;
	}
	for (i = 0; i < r->npatterns; i++) {
		if (!match(run, n, r->patterns[i].pattern, key))
			continue;
		listed = 1;
		ok &= check_member(run, r->patterns[i].node, key, left);
		if (!ok && !run->collect)
			return 0;
	}
	if (listed || r->additional == NULL)
		return ok;
	if (r->additional->never) {
		run->depth++;
		(void)refuse(run, SCHEMA_FAULT_UNKNOWN_MEMBER, n, key);
		run->depth--;
		return 0;
	}
	return check_member(run, r->additional, key, left) && ok;
}

/* Whether a name that is needed is there; if not, tell it. */
static int
check_needed(struct run *run, enum schema_fault_kind kind,
    const struct schema_node *n, const struct jval *v, struct str name,
    struct str beside)
{
	struct schema_fault fault;

	if (!spend(run, v->len / 8 + 1, n, v))
		return 0;
	if (jdoc_get(v, name) != NULL)
		return 1;
	fault = (struct schema_fault){.kind = kind,
	    .node = n,
	    .at = v,
	    .depth = run->depth + 1,
	    .name = name,
	    .beside = beside};
	return tell(run, &fault);
}

static int
check_dependencies(
    struct run *run, const struct schema_node *n, const struct jval *v)
{
	const struct schema_object *r = n->object;
	const struct schema_dependency *d;
	size_t i, j;

	for (i = 0; i < r->ndependencies; i++) {
		d = &r->dependencies[i];
		if (!spend(run, v->len / 8 + 1, n, v))
			return 0;
		if (jdoc_get(v, d->name) == NULL)
			continue;
		if (d->node != NULL && !check(run, d->node, v) &&
		    (!run->collect || run->steps == 0))
			return 0;
		for (j = 0; j < d->nneeds; j++) {
			if (!check_needed(run, SCHEMA_FAULT_DEPENDENCY, n, v,
				d->needs[j], d->name))
				return 0;
		}
	}
	return 1;
}

/* How many members: a name that comes twice counts once. */
static int
check_size(struct run *run, const struct schema_node *n, const struct jval *v)
{
	const struct schema_object *r = n->object;
	struct schema_fault fault = {
	    .node = n, .at = v, .depth = run->depth, .number = v->len};

	if (v->len > r->max_properties ||
	    (v->len >= r->min_properties && r->min_properties > 1))
		fault.number = count_names(run, v);
	if (run->steps == 0)
		return stop(run, SCHEMA_FAULT_TOO_COMPLEX, n, v, STR(""));
	if (fault.number > r->max_properties) {
		fault.kind = SCHEMA_FAULT_MAX_PROPERTIES;
		if (!tell(run, &fault))
			return 0;
	}
	if (fault.number < r->min_properties) {
		fault.kind = SCHEMA_FAULT_MIN_PROPERTIES;
		if (!tell(run, &fault))
			return 0;
	}
	return 1;
}

static int
check_required(struct run *run, const struct schema_node *n,
    const struct jval *v, uint64_t seen)
{
	const struct schema_object *r = n->object;
	size_t i;

	if (LIKELY(seen == r->required_bits && r->nrequired <= 64))
		return 1;
	for (i = 0; i < r->nrequired; i++) {
		if (i < 64 && (seen >> i & 1) != 0)
			continue;
		if (!check_needed(run, SCHEMA_FAULT_REQUIRED, n, v,
			r->required[i], STR("")))
			return 0;
	}
	return 1;
}

static int
check_object(struct run *run, const struct schema_node *n, const struct jval *v)
{
	const struct schema_object *r = n->object;
	const struct schema_member *member;
	const struct jval *e;
	uint64_t seen = 0;
	size_t i, place;
	int ok;

	if (!spend(run, v->len / 2 + 1, n, v) || !check_size(run, n, v))
		return 0;

	/* Every member once; most are of no interest and cost a look-up. */
	for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e + 1)) {
		place = schema_keys_find(&r->keys, jval_str(e));
		if (place == SIZE_MAX && r->by_name)
			continue;
		ok = 1;
		member = NULL;
		if (place != SIZE_MAX) {
			member = &r->members[place];
			seen |= member->bit;
			if (member->node != NULL)
				ok = check_member(
				    run, member->node, e, v->len - i - 1);
		}
		if (ok || run->collect) {
			ok &= r->by_name ||
			      check_unlisted(run, n, e, v->len - i - 1,
				  member != NULL && member->node != NULL);
		}
		if (!ok && (!run->collect || run->steps == 0))
			return 0;
	}
	return check_required(run, n, v, seen) &&
	       (r->ndependencies == 0 || check_dependencies(run, n, v));
}

/* ---- schemas for the same value ------------------------------------------ */

/* Nearer to what was meant: deeper, and the right type at least. */
static unsigned int
closeness(const struct schema_fault *f)
{
	return f->depth * 2 + (f->kind != SCHEMA_FAULT_TYPE &&
				  f->kind != SCHEMA_FAULT_ANY_OF_TYPES &&
				  f->kind != SCHEMA_FAULT_FALSE);
}

/* None of the alternatives accepts ${v}: tell the fault of the nearest. */
static int
explain_alternatives(struct run *run, const struct schema_node *n,
    const struct schema_list *list, const struct jval *v)
{
	struct schema_fault saved = run->best, top = {.depth = 0};
	unsigned int nfaults = run->nfaults;
	uint32_t kinds = 0;
	int only_kinds = 1;
	size_t i;

	for (i = 0; i < list->n; i++) {
		run->best = (struct schema_fault){.kind = SCHEMA_FAULT_NONE};
		(void)check(run, list->nodes[i], v);
		if (run->best.kind == SCHEMA_FAULT_TYPE && run->best.at == v)
			kinds |= run->best.node->kinds;
		else
			only_kinds = 0;
		if (run->best.kind != SCHEMA_FAULT_NONE &&
		    (top.kind == SCHEMA_FAULT_NONE ||
			closeness(&run->best) > closeness(&top)))
			top = run->best;
	}
	run->best = saved;
	run->nfaults = nfaults;
	if (run->steps == 0)
		return 0;
	if (only_kinds) {
		top = (struct schema_fault){.kind = SCHEMA_FAULT_ANY_OF_TYPES,
		    .node = n,
		    .at = v,
		    .depth = run->depth,
		    .number = kinds};
	}
	return tell(run, &top);
}

static int
check_any_of(struct run *run, const struct schema_node *n, const struct jval *v)
{
	const struct schema_list *list = &n->logic->any_of;
	size_t i;

	for (i = 0; i < list->n; i++) {
		if (quietly(run, list->nodes[i], v))
			return 1;
	}
	return run->collect && run->steps > 0 &&
	       explain_alternatives(run, n, list, v);
}

static int
check_one_of(struct run *run, const struct schema_node *n, const struct jval *v)
{
	const struct schema_list *list = &n->logic->one_of;
	struct schema_fault fault = {.kind = SCHEMA_FAULT_ONE_OF,
	    .node = n,
	    .at = v,
	    .depth = run->depth,
	    .number = SIZE_MAX};
	size_t i;

	for (i = 0; i < list->n; i++) {
		if (!quietly(run, list->nodes[i], v))
			continue;
		if (fault.number != SIZE_MAX) {
			fault.other = i;
			return tell(run, &fault);
		}
		fault.number = i;
	}
	if (fault.number != SIZE_MAX)
		return 1;
	return run->collect && run->steps > 0 &&
	       explain_alternatives(run, n, list, v);
}

static int
check_logic(struct run *run, const struct schema_node *n, const struct jval *v)
{
	const struct schema_logic *l = n->logic;
	const struct schema_node *next = NULL;
	size_t i;

	for (i = 0; i < l->all_of.n; i++) {
		if (!check(run, l->all_of.nodes[i], v) &&
		    (!run->collect || run->steps == 0))
			return 0;
	}
	if (l->any_of.n > 0 && !check_any_of(run, n, v))
		return 0;
	if (l->one_of.n > 0 && !check_one_of(run, n, v))
		return 0;
	if (l->not_node != NULL && quietly(run, l->not_node, v) &&
	    !refuse(run, SCHEMA_FAULT_NOT, n, v))
		return 0;
	if (l->then_node != NULL || l->else_node != NULL)
		next =
		    quietly(run, l->if_node, v) ? l->then_node : l->else_node;
	if (next != NULL && !check(run, next, v) && !run->collect)
		return 0;
	return 1;
}

/*
 * Whether ${v} satisfies ${n}.  While collecting, every fault is told and the
 * answer is still right; else it comes with the first fault.
 */
static int
check(struct run *run, const struct schema_node *n, const struct jval *v)
{
	enum jdoc_kind kind = jval_kind(v);
	unsigned int nfaults = run->nfaults;
	int ok = 1, exempt;

	if (!spend(run, 1, n, v))
		return 0;
	if (run->nesting >= SCHEMA_MAX_NESTING)
		return stop(run, SCHEMA_FAULT_TOO_DEEP, n, v, STR(""));

	if (!kind_fits(n, v)) {
		(void)refuse(run,
		    n->never ? SCHEMA_FAULT_FALSE : SCHEMA_FAULT_TYPE, n, v);
		return 0;
	}
	if (n->plain)
		return 1;
	run->nesting++;
	exempt = n->nullable && kind == JDOC_NULL;
	if (n->values != NULL && !exempt && !is_among(run, n->values, n, v))
		ok = refuse(run, SCHEMA_FAULT_ENUM, n, v);
	if (ok && n->constant != NULL && !exempt &&
	    !is_among(run, n->constant, n, v))
		ok = refuse(run, SCHEMA_FAULT_CONST, n, v);
	if (ok && kind == JDOC_OBJECT && n->object != NULL)
		ok = check_object(run, n, v);
	if (ok && kind == JDOC_ARRAY && n->array != NULL)
		ok = check_array(run, n, v);
	if (ok && kind == JDOC_STRING && n->string != NULL)
		ok = check_string(run, n, v);
	if (ok && n->number != NULL && jval_is_number(v))
		ok = check_number(run, n, v);
	if (ok && n->logic != NULL)
		ok = check_logic(run, n, v);
	run->nesting--;
	return ok && run->nfaults == nfaults;
}

int
schema_check(const struct schema *schema, const struct jval *value,
    struct schema_violation *ret_violation)
{
	struct schema_fault fault;
	struct run run;
	uint64_t steps;
	int ok;

	steps =
	    STEPS_BASE + (uint64_t)(jval_next(value) - value) * STEPS_PER_VALUE;
	memset(&run, 0, sizeof(run));
	run.steps = steps;
	ok = check(&run, schema->root, value) &&
	     run.stop.kind == SCHEMA_FAULT_NONE;
	fault = run.stop;

	/* Only now that it is refused: once more, for the reason. */
	if (!ok && fault.kind == SCHEMA_FAULT_NONE && ret_violation != NULL) {
		run.steps = steps;
		run.collect = 1;
		(void)check(&run, schema->root, value);
		fault =
		    run.best.kind != SCHEMA_FAULT_NONE ? run.best : run.stop;
	}
	schema_matcher_free(&run.matcher);
	if (!ok && ret_violation != NULL) {
		schema_explain(&fault, value, ret_violation);
		ret_violation->faults =
		    run.stop.kind == SCHEMA_FAULT_NONE ? run.nfaults : UINT_MAX;
	}
	return ok ? 0 : -1;
}
