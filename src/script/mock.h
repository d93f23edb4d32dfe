#ifndef SCRIPT_MOCK_H_
#define SCRIPT_MOCK_H_

/*
 * A script under test, and the host and the network that it sees: both are what
 * a test says they are.
 *
 * The test plays the host.  What the script's worker would send to one (log
 * lines, steps, questions to kv, outcomes) lies in mock_out() as the very same
 * frames, and HTTP requests beside them; what the host would send is put into
 * mock_in().  Nothing here decides what an answer is, and nothing waits:
 * mock_work() does one thing after the other as long as there is one to do.
 *
 * A new kind of question needs no line here, if its frame is answered by a
 * struct proto_answer: l_testing.c turns it into a table, and what answers it
 * is in lua/moonpost/testing.lua.
 *
 * Floor: 4 (script), private.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"

#include "wire/proto.h"

struct event_base;
struct mock;
struct str;
struct vclock;
struct vm_limits;

/* Among the frames of mock_out(): a request that the script makes.  id: for
 * mock_reply().  Read it with mock_get_request(). */
#define MOCK_REQUEST 1000

struct mock_request {
	struct str method;
	struct str url;
	struct str headers; /* "Name: value\n" lines. */
	struct str body;    /* data NULL: none. */
	uint64_t timeout_ms;
};

/* The answer to a request, or why there is none. */
struct mock_reply {
	unsigned int status;
	struct str headers; /* "Name: value\n" lines. */
	struct str body;
	struct err err;    /* code other than ERR_NONE: there is no answer. */
	uint64_t delay_ms; /* So long does the peer take. */
};

struct mock_options {
	struct event_base *base;
	const struct vm_limits *limits; /* But for `unsafe`, which is: */
	int unsafe;                     /* The script has all of Lua. */
	struct vclock *clock;
	struct proto_page *page;
	const struct proto_load *load; /* The script. */
};

/**
 * mock_create(options):
 * Make the world of one script, which is loaded when mock_load() says so.
 *
 * Ownership: keeps everything but the struct itself; free with mock_free().
 * Thread:    that of the worker.
 */
struct mock *mock_create(const struct mock_options *options);
void mock_free(struct mock *mock);

/* What secret(name) is from now on.  Both are copied. */
void mock_set_secret(struct mock *mock, const char *name, const char *value);

/**
 * mock_load(mock):
 * Have the script loaded in a fresh state; PROTO_LOADED comes of it.  What ran
 * in the state that it had ends without a word.
 */
void mock_load(struct mock *mock);

/* Where to put frames for the worker: PROTO_RUN, PROTO_INVOKE and answers to
 * questions. */
struct buf *mock_in(struct mock *mock);

/**
 * mock_reply(mock, id, reply):
 * Answer a request; a reply that is longer than the script takes, or comes
 * later, becomes the trouble that it would be.
 *
 * Returns:   0, or -1 if nobody waits for it any more.
 * Ownership: borrows ${reply}.
 */
int mock_reply(struct mock *mock, uint64_t id, const struct mock_reply *reply);

/* Do one thing that is to do: load, begin a run, take an answer.  Runs Lua of
 * the script.  Returns 0 if there was nothing. */
int mock_work(struct mock *mock);

/* Whether there is something for the test, and the next of it, which is taken
 * out and valid until mock_work() or mock_load(). */
int mock_has_out(const struct mock *mock);
int mock_next(struct mock *mock, struct ipc_frame *ret) ATTR_MUSTCHECK;

int mock_get_request(
    struct str payload, struct mock_request *ret) ATTR_MUSTCHECK;

#endif /* !SCRIPT_MOCK_H_ */
