#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

#include "store/running.h"
#include "store/u64map.h"

struct change {
	struct running_job *job;
	int added;
};

struct running {
	pthread_mutex_t lock; /* Guards jobs, which the reader looks at. */
	struct u64map jobs;   /* Id -> struct running_job *, owned. */
	struct u64map keys;   /* Ordering key -> how many of it run. */
	struct u64map left;   /* Ids of those that were removed. */
	struct change *changes;
	size_t nchanges;
	size_t changes_cap;
};

struct running *
running_create(void)
{
	struct running *r = mem_zalloc(sizeof(*r));

	(void)pthread_mutex_init(&r->lock, NULL);
	return r;
}

static struct running_job *
job_at(const struct u64map_place *place)
{
	return (struct running_job *)(uintptr_t)place->value;
}

void
running_free(struct running *r)
{
	size_t i;

	if (r == NULL)
		return;
	running_commit(r);
	for (i = 0; r->jobs.places != NULL && i <= r->jobs.mask; i++) {
		if (r->jobs.places[i].key != 0)
			free(job_at(&r->jobs.places[i]));
	}
	u64map_free(&r->jobs);
	u64map_free(&r->keys);
	u64map_free(&r->left);
	free(r->changes);
	(void)pthread_mutex_destroy(&r->lock);
	free(r);
}

static void
insert(struct running *r, struct running_job *job)
{
	struct u64map_place *key;

	(void)pthread_mutex_lock(&r->lock);
	u64map_put(&r->jobs, job->id, (uintptr_t)job, NULL, NULL);
	(void)pthread_mutex_unlock(&r->lock);
	if (job->order_hash == 0)
		return;
	key = u64map_get(&r->keys, job->order_hash);
	if (key != NULL)
		key->value++;
	else
		u64map_put(&r->keys, job->order_hash, 1, NULL, NULL);
}

static void
take_out(struct running *r, const struct running_job *job)
{
	struct u64map_place *key;

	(void)pthread_mutex_lock(&r->lock);
	u64map_remove(&r->jobs, job->id);
	(void)pthread_mutex_unlock(&r->lock);
	if (job->order_hash == 0)
		return;
	key = u64map_get(&r->keys, job->order_hash);
	if (key != NULL && --key->value == 0)
		u64map_remove(&r->keys, job->order_hash);
}

static void
note(struct running *r, struct running_job *job, int added)
{
	r->changes = mem_grow(
	    r->changes, &r->changes_cap, r->nchanges + 1, sizeof(*r->changes));
	r->changes[r->nchanges++] = (struct change){job, added};
}

void
running_add(struct running *r, const struct running_job *job)
{
	struct running_job *copy = mem_alloc(sizeof(*copy));

	*copy = *job;
	insert(r, copy);
	note(r, copy, 1);
}

struct running_job *
running_find(struct running *r, uint64_t id)
{
	struct u64map_place *place = u64map_get(&r->jobs, id);

	return place == NULL ? NULL : job_at(place);
}

void
running_remove(struct running *r, uint64_t id)
{
	struct running_job *job = running_find(r, id);

	if (job == NULL)
		return;
	take_out(r, job);
	note(r, job, 0);
	u64map_put(&r->left, id, 1, NULL, NULL);
}

int
running_leaves(const struct running *r, uint64_t id)
{
	return u64map_get(&r->left, id) != NULL;
}

int
running_has_key(struct running *r, uint64_t order_hash)
{
	return u64map_get(&r->keys, order_hash) != NULL;
}

void
running_commit(struct running *r)
{
	size_t i;

	for (i = 0; i < r->nchanges; i++) {
		if (r->changes[i].added)
			continue;
		u64map_remove(&r->left, r->changes[i].job->id);
		free(r->changes[i].job);
	}
	r->nchanges = 0;
}

void
running_rollback(struct running *r)
{
	struct change *c;

	while (r->nchanges > 0) {
		c = &r->changes[--r->nchanges];
		if (c->added) {
			take_out(r, c->job);
			free(c->job);
		} else {
			u64map_remove(&r->left, c->job->id);
			insert(r, c->job);
		}
	}
}

int
running_has(struct running *r, uint64_t id)
{
	int has;

	(void)pthread_mutex_lock(&r->lock);
	has = u64map_get(&r->jobs, id) != NULL;
	(void)pthread_mutex_unlock(&r->lock);
	return has;
}

uint64_t
running_count(struct running *r, uint64_t script, unsigned int state)
{
	const struct running_job *job;
	uint64_t n = 0;
	size_t i;

	(void)pthread_mutex_lock(&r->lock);
	for (i = 0; r->jobs.places != NULL && i <= r->jobs.mask; i++) {
		if (r->jobs.places[i].key == 0)
			continue;
		job = job_at(&r->jobs.places[i]);
		if ((script == 0 || job->script == script) &&
		    job->state == state)
			n++;
	}
	(void)pthread_mutex_unlock(&r->lock);
	return n;
}

uint64_t *
running_ids(struct running *r, size_t *ret_n)
{
	uint64_t *ids;
	size_t i, n = 0;

	(void)pthread_mutex_lock(&r->lock);
	ids = mem_array(r->jobs.count, sizeof(*ids));
	for (i = 0; r->jobs.places != NULL && i <= r->jobs.mask; i++) {
		if (r->jobs.places[i].key != 0)
			ids[n++] = r->jobs.places[i].key;
	}
	(void)pthread_mutex_unlock(&r->lock);
	*ret_n = n;
	return ids;
}
