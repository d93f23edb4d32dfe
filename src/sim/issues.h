#ifndef SIM_ISSUES_H_
#define SIM_ISSUES_H_

/*
 * The issues that the stand-in has: what a handler reads, updates, comments on
 * and links.  An issue is there as soon as somebody asks for its number.  No
 * network and no clock.
 *
 * Floor: 5 (sim).  May include base/, json/, crypto/, catalog/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"

struct catalog;
struct issues;
struct jval;

/* Later ones push the oldest out; so with the notes of one issue. */
#define ISSUES_MAX 5000
#define ISSUES_MAX_NOTES 1000

/* The same text again within this time is refused. */
#define ISSUES_NOTE_MS (60 * UINT64_C(60000))

struct issues_note {
	uint64_t id;
	char *text;
	char *author;
	uint64_t at_unix_ms;
};

struct issue {
	uint64_t id;
	struct buf json;           /* As the API tells of it. */
	struct issues_note *notes; /* The oldest first. */
	size_t nnotes, notes_cap;

	/* What it is linked to; link_id 0: nothing. */
	uint64_t link_id;
	char *link_url;
	char *link_name; /* "project#identifier" */
};

/* Ownership: keeps ${catalog} and ${url}, the stand-in's own address; the
 * caller frees with issues_free(). */
struct issues *issues_create(const struct catalog *catalog, const char *url);
void issues_free(struct issues *issues);

/**
 * issues_find(issues, id, org):
 * The issue of that number, made now if need be; NULL if it is no number.
 *
 * Ownership: the result is ${issues}', until it is pushed out.
 */
struct issue *issues_find(struct issues *issues, struct str id, struct str org);

/* Make ${n} issues with numbers of their own. */
void issues_make(struct issues *issues, uint64_t n, struct str org);

/* How many there are, and each, the newest first. */
size_t issues_count(const struct issues *issues);
struct issue *issues_at(const struct issues *issues, size_t index);

/**
 * issues_update(issue, changes, ret_faults):
 * Change what Sentry lets be changed; members that it does not know are passed
 * over.
 *
 * Returns:   0; or -1, nothing was changed, and ${ret_faults} holds a JSON
 *            object of a list of messages for each member that is wrong.
 */
int issues_update(struct issue *issue, const struct jval *changes,
    struct buf *ret_faults) ATTR_MUSTCHECK;

/* Add a note; NULL if ${author} has said the same within the hour. */
const struct issues_note *issues_add_note(struct issues *issues,
    struct issue *issue, struct str text, const char *author,
    uint64_t now_unix_ms);

/* Link it, or link it elsewhere; issues_unlink() is 0, or -1 if there is no
 * link of that number. */
void issues_link(struct issues *issues, struct issue *issue, struct str url,
    struct str project, struct str identifier);
int issues_unlink(struct issues *issues, struct str link_id) ATTR_MUSTCHECK;

#endif /* !SIM_ISSUES_H_ */
