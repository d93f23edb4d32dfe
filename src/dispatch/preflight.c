#include <sys/queue.h>

#include <stdio.h>
#include <stdlib.h>

#include <event2/event.h>

#include "base/err.h"
#include "base/mem.h"
#include "catalog/ask.h"
#include "dispatch/scripts.h"
#include "dispatch/version.h"
#include "net/loop.h"
#include "wire/proto.h"
#include "wire/source.h"
#include "wire/tests.h"

#include "dispatch/preflight.h"

/* A version whose tests are to be run. */
struct flight {
	struct script *script;
	struct version *version; /* Holds a reference. */
	struct worker *worker;
	struct tests tests;
	int listed;
	size_t at; /* The test that runs; none before they are listed. */
	TAILQ_ENTRY(flight) entry;
};

struct preflight {
	struct preflight_options options;
	struct event *deadline;
	uint64_t question; /* The one that is open. */
	int asked;
	int stopping;
	TAILQ_HEAD(flights, flight) flights; /* The first one is on. */
};

static const struct source_file *
file_of(const struct version *version)
{
	char *name = mem_printf("%s_test", version->file->name);
	const struct source_file *file = source_test(version->source, name);

	free(name);
	return file;
}

int
preflight_has_tests(const struct version *version)
{
	return file_of(version) != NULL;
}

static void
flight_free(struct preflight *p, struct flight *flight)
{
	TAILQ_REMOVE(&p->flights, flight, entry);
	tests_clear(&flight->tests);
	version_unref(flight->version);
	free(flight);
}

static void proceed(struct preflight *p);

/* The first one is over. */
static void
land(struct preflight *p, const char *error)
{
	struct flight *flight = TAILQ_FIRST(&p->flights);
	struct script *script = flight->script;
	struct version *version = version_ref(flight->version);

	p->asked = 0;
	(void)event_del(p->deadline);
	flight_free(p, flight);
	p->options.done(p->options.cookie, script, version, error);
	version_unref(version);
	proceed(p);
}

/* One of its tests failed, or (NULL) its file. */
static void
land_failed(struct preflight *p, const char *test, const char *why)
{
	char *error = test == NULL
			  ? mem_printf("its tests cannot be run: %s", why)
			  : mem_printf("its test %s fails: %s", test, why);

	land(p, error);
	free(error);
}

/* Send the question which tests there are, or to run the next one. */
static void
ask(struct preflight *p, struct flight *flight)
{
	const struct source_file *file = file_of(flight->version);
	struct proto_test test;

	source_fill_test(flight->version->source, file, &test);
	test.wall_ms = TESTS_WALL_MS;
	if (flight->listed)
		test.test = flight->tests.v[flight->at].name;
	proto_put_test(worker_out(flight->worker), ++p->question, &test);
	worker_flush(flight->worker);
	free(test.scripts);
	free(test.libs);
	p->asked = 1;
	(void)loop_arm(p->deadline, TESTS_DEADLINE_MS);
}

/* Do what is next, if it can be done now. */
static void
proceed(struct preflight *p)
{
	struct flight *flight;
	const struct source_file *file;

	while (!p->asked && !p->stopping &&
	       (flight = TAILQ_FIRST(&p->flights)) != NULL) {
		/* Another save has come, or the file is gone. */
		if (flight->script->removed ||
		    flight->script->seen != flight->version) {
			land(p, NULL);
			return;
		}
		file = file_of(flight->version);
		if (file->error != NULL) {
			land_failed(p, NULL, file->error);
			return;
		}
		if (flight->listed && flight->at == flight->tests.n) {
			land(p, NULL);
			return;
		}
		if (flight->listed &&
		    flight->tests.v[flight->at].error != NULL) {
			land_failed(p, NULL, flight->tests.v[flight->at].error);
			return;
		}
		if (!worker_is_ready(flight->worker))
			return;
		ask(p, flight);
	}
}

/* The open question was answered. */
static void
take_answer(struct preflight *p, const char *json)
{
	struct flight *flight = TAILQ_FIRST(&p->flights);
	char *why;

	p->asked = 0;
	(void)event_del(p->deadline);
	if (!flight->listed) {
		tests_take(
		    &flight->tests, file_of(flight->version), json, NULL);
		flight->listed = 1;
		proceed(p);
		return;
	}
	why = tests_failure(json);
	if (why != NULL) {
		land_failed(p, flight->tests.v[flight->at].name, why);
		free(why);
		return;
	}
	flight->at++;
	proceed(p);
}

/* The worker could not answer. */
static void
give_up(struct preflight *p, const char *why)
{
	const struct flight *flight = TAILQ_FIRST(&p->flights);
	const struct tests_entry *test =
	    flight->listed ? &flight->tests.v[flight->at] : NULL;
	char *text;

	if (test == NULL) {
		land_failed(p, NULL, why);
		return;
	}
	text = mem_printf("%s:%u: %s", test->file->chunk, test->line, why);
	land_failed(p, test->name, text);
	free(text);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct preflight *p = arg;

	(void)fd;
	(void)what;
	worker_kill(TAILQ_FIRST(&p->flights)->worker, "did not end a test", 0);
	give_up(p, "it did not end");
}

struct preflight *
preflight_create(const struct preflight_options *options)
{
	struct preflight *p = mem_zalloc(sizeof(*p));

	p->options = *options;
	p->deadline = event_new(options->base, -1, 0, on_deadline, p);
	TAILQ_INIT(&p->flights);
	return p;
}

void
preflight_free(struct preflight *p)
{
	struct flight *flight;

	if (p == NULL)
		return;
	while ((flight = TAILQ_FIRST(&p->flights)) != NULL)
		flight_free(p, flight);
	event_free(p->deadline);
	free(p);
}

void
preflight_want(
    struct preflight *p, struct script *script, struct version *version)
{
	struct flight *flight = mem_zalloc(sizeof(*flight));

	flight->script = script;
	flight->worker = p->options.worker(p->options.cookie, script);
	flight->version = version_ref(version);
	TAILQ_INSERT_TAIL(&p->flights, flight, entry);
	proceed(p);
}

int
preflight_is_busy(const struct preflight *p)
{
	return !TAILQ_EMPTY(&p->flights);
}

void
preflight_stop(struct preflight *p)
{
	p->stopping = 1;
	(void)event_del(p->deadline);
}

/* Whether that is the worker of the first one. */
static int
is_its_worker(const struct preflight *p, const struct worker *worker)
{
	const struct flight *flight = TAILQ_FIRST(&p->flights);

	return flight != NULL && flight->worker == worker;
}

void
preflight_ready(struct preflight *p, const struct worker *worker)
{
	if (is_its_worker(p, worker))
		proceed(p);
}

/* A test asks the catalogue. */
static int
answer_catalog(const struct preflight *p, struct worker *worker,
    const struct ipc_frame *frame)
{
	char *question = NULL, *body = NULL, *json = NULL;
	struct err err = ERR_INIT;

	if (proto_get_texts(frame->payload, &question, &body) == -1)
		return -1;
	if (question == NULL ||
	    catalog_ask(p->options.catalog, question, body, &json, &err) == -1)
		json = NULL;
	proto_put_texts(worker_out(worker), PROTO_CATALOG_IS, frame->id, json,
	    json == NULL ? err.msg : NULL);
	worker_flush(worker);
	free(question);
	free(body);
	free(json);
	return 0;
}

int
preflight_frame(
    struct preflight *p, struct worker *worker, const struct ipc_frame *frame)
{
	char *json = NULL, *rest = NULL;

	if (frame->type == PROTO_CATALOG)
		return answer_catalog(p, worker, frame);
	if (frame->type != PROTO_TESTED ||
	    proto_get_texts(frame->payload, &json, &rest) == -1)
		return -1;
	/* Another question may have been given up meanwhile. */
	if (p->asked && frame->id == p->question && json != NULL &&
	    is_its_worker(p, worker))
		take_answer(p, json);
	free(json);
	free(rest);
	return 0;
}

void
preflight_died(struct preflight *p, const struct worker *worker,
    const struct workers_death *death)
{
	char *why;

	if (!is_its_worker(p, worker) || !p->asked || p->stopping)
		return;
	if (!death->by_itself) {
		/* Nobody's fault: once more, in the next one. */
		p->asked = 0;
		(void)event_del(p->deadline);
		return;
	}
	why = mem_printf("its worker %.200s", death->how);
	give_up(p, why);
	free(why);
}
