#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "json/jdoc.h"

#include "catalog/asyncapi.h"
#include "catalog/sample.h"
#include "schema/schema.h"

#include "catalog/catalog.h"

#define MAX_FILE (4U << 20)

#define CATCH_ALL "on_event"

/* Put into the binary by the build. */
extern const unsigned char embed_src_catalog_sentry_webhooks_asyncapi_yml[];
extern const size_t embed_src_catalog_sentry_webhooks_asyncapi_yml_len;
extern const unsigned char embed_src_catalog_sentry_webhooks_live_yml[];
extern const size_t embed_src_catalog_sentry_webhooks_live_yml_len;

/* The places of the documents; the files follow. */
enum {
	DOC_PUBLISHED,
	DOC_LIVE,
	DOC_FILES,
};

/* A list of names in the making; the names belong to somebody else. */
struct list {
	const char **at;
	size_t n;
	size_t cap;
};

struct entry {
	struct catalog_resource pub;
	struct catalog_message *messages; /* In the order of asking. */
	size_t nmessages;
	size_t cap;
};

struct catalog {
	struct asyncapi **docs;
	size_t ndocs;
	struct entry *entries; /* Sorted by channel and name. */
	size_t n;
	size_t cap;
	const struct entry **by_name; /* The same, sorted by name. */
	const char *const *handlers;  /* Of all of them. */
	size_t nhandlers;
	uint64_t fingerprint; /* Of the documents' texts. */
	struct arena arena;   /* Lists and made-up names. */
};

/* ---- lists -------------------------------------------------------------- */

/* Add ${name} if it is not there. */
static void
list_add(struct list *list, const char *name)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		if (strcmp(list->at[i], name) == 0)
			return;
	list->at =
	    mem_grow(list->at, &list->cap, list->n + 1, sizeof(*list->at));
	list->at[list->n++] = name;
}

/* Move the list into the arena. */
static const char *const *
list_keep(struct arena *arena, struct list *list, size_t *ret_n)
{
	const char **kept;

	kept = arena_alloc(arena, (list->n + 1) * sizeof(*kept));
	if (list->n > 0)
		memcpy(kept, list->at, list->n * sizeof(*kept));
	kept[list->n] = NULL;
	*ret_n = list->n;
	free(list->at);
	memset(list, 0, sizeof(*list));
	return kept;
}

/* "on_" and ${name}, with "_" for what a Lua name cannot have. */
static const char *
handler_name(struct arena *arena, const char *name)
{
	struct buf text = BUF_INIT;
	const char *kept;
	int word;

	buf_puts(&text, "on_");
	for (; *name != '\0'; name++) {
		word = (*name >= '0' && *name <= '9') ||
		       (*name >= 'a' && *name <= 'z') ||
		       (*name >= 'A' && *name <= 'Z');
		if (word)
			buf_putc(&text, *name);
		else
			buf_putc(&text, '_');
	}
	kept = arena_strndup(arena, text.data, text.len);
	buf_free(&text);
	return kept;
}

/* ---- opening ------------------------------------------------------------ */

/* FNV-1a: it only has to tell versions of documents apart. */
static void
add_fingerprint(struct catalog *c, struct str text)
{
	size_t i;

	for (i = 0; i < text.len; i++)
		c->fingerprint =
		    (c->fingerprint ^ (unsigned char)text.data[i]) *
		    UINT64_C(0x100000001b3);
	c->fingerprint = (c->fingerprint ^ text.len) * UINT64_C(0x100000001b3);
}

static int
read_text(struct catalog *c, size_t doc, const char *name, struct str text,
    struct err *err)
{
	add_fingerprint(c, text);
	return asyncapi_read(name, text, &c->docs[doc], err);
}

static int
read_file(struct catalog *c, size_t doc, const char *path, struct err *err)
{
	struct buf text = BUF_INIT;
	int rc;

	rc = file_read(path, MAX_FILE, &text, err);
	if (rc == 0)
		rc = read_text(
		    c, doc, path, (struct str){buf_text(&text), text.len}, err);
	buf_free(&text);
	return rc;
}

static int
read_documents(
    struct catalog *c, const char *const *files, size_t nfiles, struct err *err)
{
	const char *published =
	    (const char *)embed_src_catalog_sentry_webhooks_asyncapi_yml;
	const char *live =
	    (const char *)embed_src_catalog_sentry_webhooks_live_yml;
	size_t i;

	c->docs = mem_array(DOC_FILES + nfiles, sizeof(void *));
	c->ndocs = DOC_FILES + nfiles;
	c->fingerprint = UINT64_C(0xcbf29ce484222325);
	if (read_text(c, DOC_PUBLISHED, "sentry-webhooks-asyncapi.yml",
		(struct str){published,
		    embed_src_catalog_sentry_webhooks_asyncapi_yml_len},
		err) == -1)
		return -1;
	if (read_text(c, DOC_LIVE, "sentry-webhooks-live.yml",
		(struct str){
		    live, embed_src_catalog_sentry_webhooks_live_yml_len},
		err) == -1)
		return -1;
	for (i = 0; i < nfiles; i++)
		if (read_file(c, DOC_FILES + i, files[i], err) == -1)
			return -1;
	return 0;
}

/* The entry of the resource ${name}, which is made if it is new. */
static struct entry *
take_entry(struct catalog *c, const char *name)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		if (strcmp(c->entries[i].pub.name, name) == 0)
			return &c->entries[i];
	c->entries =
	    mem_grow(c->entries, &c->cap, c->n + 1, sizeof(*c->entries));
	memset(&c->entries[c->n], 0, sizeof(*c->entries));
	c->entries[c->n].pub.name = name;
	return &c->entries[c->n++];
}

/* Enter what a document has. */
static void
enter_document(struct catalog *c, const struct asyncapi *doc)
{
	const struct asyncapi_message *m;
	struct entry *entry;
	size_t i, k, n;

	m = asyncapi_messages(doc, &n);
	for (i = 0; i < n; i++)
		for (k = 0; k < m[i].nresources; k++) {
			entry = take_entry(c, m[i].resources[k]);
			entry->messages = mem_grow(entry->messages, &entry->cap,
			    entry->nmessages + 1, sizeof(*entry->messages));
			entry->messages[entry->nmessages++] =
			    (struct catalog_message){doc, &m[i]};
		}
}

/* What Sentry sends to the alert action that a rule names, and to no other. */
static const char *const alerts[] = {
    "event_alert", "metric_alert", "activity_alert"};

static int
is_alert(const char *resource)
{
	size_t i;

	for (i = 0; i < NELEMS(alerts); i++)
		if (strcmp(resource, alerts[i]) == 0)
			return 1;
	return 0;
}

/*
 * Fill in what a person sees of ${entry}.  Its messages are in the order live,
 * published, files; its channels and actions come in the order published, live,
 * files.
 */
static void
describe(struct catalog *c, struct entry *entry)
{
	struct list channels = {NULL, 0, 0}, actions = {NULL, 0, 0};
	struct list handlers = {NULL, 0, 0};
	const struct asyncapi_message *m;
	size_t d, i, k;

	entry->pub.channel = entry->messages[0].message->channel;
	entry->pub.fires = is_alert(entry->pub.name);
	entry->pub.summary = "";
	for (i = 0; i < entry->nmessages && entry->pub.summary[0] == '\0'; i++)
		entry->pub.summary = entry->messages[i].message->summary;
	for (d = 0; d < c->ndocs; d++)
		for (i = 0; i < entry->nmessages; i++) {
			m = entry->messages[i].message;
			if (entry->messages[i].document != c->docs[d])
				continue;
			list_add(&channels, m->channel);
			for (k = 0; k < m->nactions; k++)
				list_add(&actions, m->actions[k]);
		}
	entry->pub.channels =
	    list_keep(&c->arena, &channels, &entry->pub.nchannels);
	entry->pub.actions =
	    list_keep(&c->arena, &actions, &entry->pub.nactions);

	/* By its own name, by those of its channels, and the one for all. */
	list_add(&handlers, handler_name(&c->arena, entry->pub.name));
	for (i = 0; i < entry->pub.nchannels; i++)
		list_add(
		    &handlers, handler_name(&c->arena, entry->pub.channels[i]));
	list_add(&handlers, CATCH_ALL);
	entry->pub.handlers =
	    list_keep(&c->arena, &handlers, &entry->pub.nhandlers);
}

static int
compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int order;

	order = strcmp(x->pub.channel, y->pub.channel);
	return order != 0 ? order : strcmp(x->pub.name, y->pub.name);
}

static int
compare_names(const void *a, const void *b)
{
	const struct entry *const *x = a, *const *y = b;

	return strcmp((*x)->pub.name, (*y)->pub.name);
}

/* Sort the entries and make what is looked up in them. */
static void
finish(struct catalog *c)
{
	struct list handlers = {NULL, 0, 0};
	size_t i, k;

	for (i = 0; i < c->n; i++)
		describe(c, &c->entries[i]);
	qsort(c->entries, c->n, sizeof(*c->entries), compare_entries);
	c->by_name = mem_array(c->n, sizeof(void *));
	for (i = 0; i < c->n; i++) {
		c->entries[i].pub.index = i;
		c->by_name[i] = &c->entries[i];
		for (k = 0; k < c->entries[i].pub.nhandlers; k++)
			list_add(&handlers, c->entries[i].pub.handlers[k]);
	}
	qsort(c->by_name, c->n, sizeof(void *), compare_names);
	c->handlers = list_keep(&c->arena, &handlers, &c->nhandlers);
}

int
catalog_open(const char *const *files, size_t nfiles,
    struct catalog **ret_catalog, struct err *err)
{
	struct catalog *c;
	size_t i;

	c = mem_zalloc(sizeof(*c));
	if (read_documents(c, files, nfiles, err) == -1) {
		catalog_free(c);
		return -1;
	}
	/* What real Sentry sends is asked first. */
	enter_document(c, c->docs[DOC_LIVE]);
	enter_document(c, c->docs[DOC_PUBLISHED]);
	for (i = DOC_FILES; i < c->ndocs; i++)
		enter_document(c, c->docs[i]);
	finish(c);
	*ret_catalog = c;
	return 0;
}

void
catalog_free(struct catalog *c)
{
	size_t i;

	if (c == NULL)
		return;
	for (i = 0; i < c->n; i++)
		free(c->entries[i].messages);
	free(c->entries);
	free(c->by_name);
	for (i = 0; i < c->ndocs; i++)
		asyncapi_free(c->docs[i]);
	free(c->docs);
	arena_free(&c->arena);
	free(c);
}

/* ---- looking up --------------------------------------------------------- */

uint64_t
catalog_fingerprint(const struct catalog *c)
{
	return c->fingerprint;
}

size_t
catalog_count(const struct catalog *c)
{
	return c->n;
}

const struct catalog_resource *
catalog_at(const struct catalog *c, size_t index)
{
	return &c->entries[index].pub;
}

const struct catalog_resource *
catalog_find(const struct catalog *c, struct str name)
{
	const struct catalog_resource *r;
	size_t low = 0, high = c->n, mid, len;
	int order;

	if (name.len == 0)
		return NULL;
	while (low < high) {
		mid = low + (high - low) / 2;
		r = &c->by_name[mid]->pub;
		len = strlen(r->name);
		order =
		    memcmp(name.data, r->name, name.len < len ? name.len : len);
		if (order == 0 && name.len == len)
			return r;
		if (order < 0 || (order == 0 && name.len < len))
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

const struct catalog_message *
catalog_messages(const struct catalog *c,
    const struct catalog_resource *resource, size_t *ret_n)
{
	const struct entry *entry = &c->entries[resource->index];

	*ret_n = entry->nmessages;
	return entry->messages;
}

const char *const *
catalog_fallback_handlers(size_t *ret_n)
{
	static const char *const fallback[] = {CATCH_ALL, NULL};

	*ret_n = 1;
	return fallback;
}

const char *const *
catalog_handler_names(const struct catalog *c, size_t *ret_n)
{
	*ret_n = c->nhandlers;
	return c->handlers;
}

/* ---- checking ----------------------------------------------------------- */

/* How many of the members in ${v} the schema ${schema} knows by name. */
static size_t
known_members(
    const struct jval *root, const struct jval *schema, const struct jval *v)
{
	const struct jval *e, *of;
	size_t i, n = 0;
	char *key;

	if (jval_kind(v) == JDOC_ARRAY) {
		of = jdoc_gets(asyncapi_resolve(root, schema), "items");
		for (e = v + 1, i = 0; of != NULL && i < v->len;
		     i++, e = jval_next(e))
			n += known_members(root, of, e);
	}
	if (jval_kind(v) != JDOC_OBJECT)
		return n;
	for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e + 1)) {
		key = mem_strndup(jval_str(e).data, jval_str(e).len);
		of = asyncapi_property(root, schema, key);
		free(key);
		if (of != NULL)
			n += 1 + known_members(root, of, e + 1);
	}
	return n;
}

/*
 * Choose of the refusals the one to tell.  A body in the shape of one document
 * has many faults in the eyes of another, and some are deeper than what is
 * really wrong; so the document with the fewest is the one that was meant.
 * Among equals it is the one that knows most of what is there, then the one
 * with the deepest fault, then the first.
 */
static size_t
closest(const struct entry *entry, const struct jval *body,
    const struct schema_violation *found)
{
	const struct catalog_message *m = entry->messages;
	unsigned int fewest = UINT_MAX;
	size_t i, known, best = 0, best_known = 0;

	for (i = 0; i < entry->nmessages; i++)
		if (found[i].faults < fewest)
			fewest = found[i].faults;
	for (i = entry->nmessages; i-- > 0;) {
		if (found[i].faults != fewest)
			continue;
		known = 1 + known_members(asyncapi_root(m[i].document),
				m[i].message->payload, body);
		if (known > best_known ||
		    (known == best_known &&
			found[i].depth >= found[best].depth)) {
			best = i;
			best_known = known;
		}
	}
	return best;
}

int
catalog_check(const struct catalog *c, const struct catalog_resource *resource,
    const struct jdoc *body, struct catalog_violation *ret_violation)
{
	const struct entry *entry = &c->entries[resource->index];
	const struct schema *schema;
	struct schema_violation *found;
	size_t i;

	for (i = 0; i < entry->nmessages; i++) {
		schema = entry->messages[i].message->schema;
		if (schema == NULL ||
		    schema_check(schema, jdoc_root(body), NULL) == 0)
			return 0;
	}
	/* Refused by all of them, which is rare: now ask why. */
	found = mem_array(entry->nmessages, sizeof(*found));
	for (i = 0; i < entry->nmessages; i++)
		(void)!schema_check(entry->messages[i].message->schema,
		    jdoc_root(body), &found[i]);
	i = closest(entry, jdoc_root(body), found);
	memcpy(ret_violation->pointer, found[i].pointer,
	    sizeof(ret_violation->pointer));
	memcpy(ret_violation->message, found[i].message,
	    sizeof(ret_violation->message));
	free(found);
	return -1;
}

/* ---- samples ------------------------------------------------------------ */

/* Make a sample of the resource, by the document that knows best. */
static int
make_sample(const struct entry *entry, const char *action, struct buf *out,
    struct err *err)
{
	const struct catalog_message *m = entry->messages;
	const struct asyncapi_message *message;
	size_t i, k;
	int rc = -1;

	for (i = 0; i < entry->nmessages; i++)
		if (sample_has_example(m[i].message, action) &&
		    sample_make(asyncapi_root(m[i].document), m[i].message,
			action, out, err) == 0)
			return 0;
	for (i = 0; i < entry->nmessages && rc == -1; i++) {
		message = m[i].message;
		for (k = 0; action != NULL && k < message->nactions; k++)
			if (strcmp(message->actions[k], action) == 0)
				break;
		if (action == NULL || k < message->nactions)
			rc = sample_make(asyncapi_root(m[i].document), message,
			    action, out, err);
	}
	return rc;
}

/* Say that there is no ${event}, and what may have been meant. */
static int
unknown_event(const struct catalog *c, const char *event, struct err *err)
{
	struct list events = {NULL, 0, 0};
	struct arena arena = {NULL, NULL, NULL};
	const struct catalog_resource *r;
	const char *closest;
	char *name;
	size_t i, k;

	for (i = 0; i < c->n; i++) {
		r = &c->entries[i].pub;
		if (r->nactions == 0)
			list_add(&events, r->name);
		for (k = 0; k < r->nactions; k++) {
			name = mem_printf("%s.%s", r->name, r->actions[k]);
			list_add(
			    &events, arena_strndup(&arena, name, strlen(name)));
			free(name);
		}
	}
	closest = str_closest(event, events.at, events.n);
	if (closest == NULL)
		(void)err_set(
		    err, ERR_NOT_FOUND, "there is no event \"%s\"", event);
	else
		(void)err_set(err, ERR_NOT_FOUND,
		    "there is no event \"%s\"; did you mean \"%s\"?", event,
		    closest);
	free(events.at);
	arena_free(&arena);
	return -1;
}

/* Say that the resource has no such action, and which it has. */
static int
unknown_action(
    const struct catalog_resource *r, const char *action, struct err *err)
{
	struct buf names = BUF_INIT;
	const char *closest;
	size_t i;

	closest = str_closest(action, r->actions, r->nactions);
	for (i = 0; i < r->nactions; i++)
		buf_printf(&names, "%s%s", i == 0 ? "" : ", ", r->actions[i]);
	if (closest != NULL)
		(void)err_set(err, ERR_NOT_FOUND,
		    "%s has no action \"%s\"; did you mean \"%s.%s\"?", r->name,
		    action, r->name, closest);
	else if (*action == '\0')
		(void)err_set(err, ERR_NOT_FOUND,
		    "\"%s\" needs an action behind it, as in \"%s.%s\": %s",
		    r->name, r->name, r->actions[0], buf_text(&names));
	else
		(void)err_set(err, ERR_NOT_FOUND,
		    "%s has no action \"%s\": it has %s", r->name, action,
		    r->nactions == 0 ? "none, its name alone will do"
				     : buf_text(&names));
	buf_free(&names);
	return -1;
}

int
catalog_sample(const struct catalog *c, const char *event, struct buf *out,
    struct err *err)
{
	const struct entry *entry = NULL;
	const char *name, *action;
	size_t i, len;

	/* Names may have points in them: the longest that fits is meant. */
	for (i = 0; i < c->n; i++) {
		name = c->entries[i].pub.name;
		len = strlen(name);
		if (strncmp(event, name, len) == 0 &&
		    (event[len] == '\0' || event[len] == '.') &&
		    (entry == NULL || strlen(entry->pub.name) < len))
			entry = &c->entries[i];
	}
	if (entry == NULL)
		return unknown_event(c, event, err);
	action = event + strlen(entry->pub.name);
	if (*action == '.')
		action++;
	if (*action == '\0' && entry->pub.nactions == 0)
		return make_sample(entry, NULL, out, err);
	for (i = 0; i < entry->pub.nactions; i++)
		if (strcmp(entry->pub.actions[i], action) == 0)
			return make_sample(entry, action, out, err);
	return unknown_action(&entry->pub, action, err);
}
