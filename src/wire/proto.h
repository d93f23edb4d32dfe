#ifndef WIRE_PROTO_H_
#define WIRE_PROTO_H_

/*
 * What host and worker say to each other over their socketpair (base/ipc).  The
 * id of a frame is the number of the job for everything about a run, of the
 * bundle for everything about a load, and a number of the sender's for a
 * question, which its answer repeats.
 *
 * A `bundle` is one loaded generation of one script: the host numbers them, and
 * a new version of a script is a new bundle in the same worker.
 *
 * Floor: 3 (wire).  May include base/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/ipc.h"
#include "base/str.h"

enum proto_type {
	/* Host to worker. */
	PROTO_SETUP = 1, /* First frame: struct proto_setup. */
	PROTO_LOAD,      /* id: bundle.  struct proto_load; answer LOADED. */
	PROTO_UNLOAD,    /* id: bundle.  Goes when its last run has ended. */
	PROTO_RUN,       /* id: job.  struct proto_run; answer OUTCOME. */
	PROTO_SECRET_IS, /* id: of the question.  text, NULL if there is none.
			  */
	PROTO_PING,      /* id: any; answer PONG with the same. */
	PROTO_STOP,      /* Take no more, exit when the last run has ended. */
	PROTO_EVAL,      /* id: any.  texts name, source: run a chunk of
			  * configuration and send what it returns; answer
			  * EVALUATED.  env "VAR" in it asks PROTO_SECRET with
			  * bundle 0 and the name "env:VAR". */
	PROTO_STEP_IS,   /* id: of the question.  struct proto_answer. */
	PROTO_KV_IS,     /* The same. */
	PROTO_ASK_IS,    /* The same. */
	PROTO_INVOKE,    /* id: of the invocation, no job's.  struct
			  * proto_invoke; answer INVOKED. */
	PROTO_REFUSE,    /* id: a port that the host listens on.  Scripts cannot
			  * connect to it from now on. */
	PROTO_TEST,      /* id: any.  struct proto_test; answer TESTED. */
	PROTO_CATALOG_IS, /* id: of the question.  text (JSON), error. */

	/* Worker to host. */
	PROTO_READY = 100, /* Set up.  text: what of the process wall cannot
			    * be had there (wire/wall), NULL if it stands. */
	PROTO_LOADED,      /* id: bundle.  struct proto_loaded. */
	PROTO_OUTCOME,     /* id: job.  struct proto_outcome. */
	PROTO_LOG,         /* id: job, or 0.  struct proto_log. */
	PROTO_SECRET,      /* id: of the question.  bundle, name.  The script
			    * waits for the answer, and with it the worker:
			    * answer at once. */
	PROTO_PONG,
	PROTO_EVALUATED, /* id: of the question.  text (JSON, or NULL), error.
			  */
	PROTO_STEP,      /* id: of the question.  struct proto_step_put; answer
			  * STEP_IS once it is durable. */
	PROTO_KV,        /* id: of the question.  struct proto_kv; answer KV_IS,
			  * a write's once it is durable. */
	PROTO_CALL,      /* id: job.  struct proto_call; no answer. */
	PROTO_ASK,       /* id: of the question.  struct proto_ask; answer
			  * ASK_IS, which may take as long as a call of the
			  * host to another server. */
	PROTO_INVOKED,   /* id: of the invocation.  struct proto_invoked. */
	PROTO_CATALOG,   /* id: of the question.  texts question, body: what
			  * catalog_ask() answers.  A test waits for the answer,
			  * and with it the worker: answer at once. */
	PROTO_TESTED,    /* id: of the TEST.  text (JSON). */
};

/* A worker has at most so many STEP and KV open, and so many ASK; it holds the
 * others back. */
#define PROTO_QUESTIONS_MAX 128

/* Bytes of the arguments of an ASK, and of its answer. */
#define PROTO_ASK_MAX 65536

/* Bytes of a step's result or a kv value, of a kv key, of a step's name. */
#define PROTO_VALUE_MAX 65536
#define PROTO_KEY_MAX 1024
#define PROTO_STEP_NAME_MAX 200

/* Steps that one job may record. */
#define PROTO_STEPS_MAX 1000

struct proto_setup {
	uint64_t mem_bytes;  /* Cap of one script. */
	uint64_t cpu_ms;     /* CPU of one slice. */
	uint64_t slow_ms;    /* Not the worker's business: the host compares
			      * proto_outcome.slice_us with it. */
	uint64_t handler_ms; /* Wall time of one run. */
	int debug;           /* Send log.debug too. */
	int unsafe;          /* All of Lua's libraries, and the wall stays open:
			      * the worker is for one script alone. */
	struct str guard; /* Where scripts may connect to: net/guard as text. */
	struct str proxy; /* And through what: the URL; empty: directly. */
};

struct proto_lib {
	struct str name; /* "slack" for lib/slack.lua. */
	struct str source;
};

struct proto_load {
	char *integration;
	char *script; /* "on_issue" for on_issue.lua. */
	char *chunk;  /* The name in messages: "scripts/on_issue.lua". */
	struct str source;
	struct proto_lib *libs; /* All of lib/, required or not. */
	size_t nlibs;
};

/* Run one test of handlers, or say which there are. */
struct proto_test {
	char *name;  /* "on_issue_test" */
	char *chunk; /* "scripts/on_issue_test.lua" */
	char *test;  /* The function to run; NULL: list them. */
	uint64_t
	    wall_ms; /* Of the machine's time, after which it has failed. */
	struct str source;
	struct proto_lib *scripts; /* Of the same folder: what it may load. */
	size_t nscripts;
	struct proto_lib *libs;
	size_t nlibs;
};

struct proto_loaded {
	char *error; /* NULL: loaded.  "file:line: message". */
	char *traceback;
	char **handlers; /* Its global functions named on_*. */
	size_t nhandlers;
	char **libs; /* Names that were required. */
	size_t nlibs;
	char *declared; /* What it declared (schedules, UI components): JSON,
			 * kind -> array of data; NULL: nothing. */
};

struct proto_step {
	struct str name;
	struct str result_json;
};

struct proto_run {
	uint64_t bundle;
	char *handler;
	char *delivery; /* id, as scripts and logs see it. */
	char *integration;
	char *resource;
	char *channel;
	char *action;     /* May be NULL. */
	char *request_id; /* May be NULL. */
	uint64_t received_unix_ms;
	uint64_t attempt;
	struct str headers_json;
	struct str warnings_json; /* May be empty. */
	struct str body;
	struct proto_step *steps;
	size_t nsteps;
};

enum proto_result {
	PROTO_DONE,    /* The handler returned. */
	PROTO_ERROR,   /* It raised an error, or broke a limit. */
	PROTO_RETRY,   /* event:retry{after=, reason=} */
	PROTO_DROPPED, /* event:drop(reason) */
	PROTO_GONE,    /* No such bundle or handler here: route it again. */
};

struct proto_outcome {
	enum proto_result result;
	uint64_t after_ms; /* RETRY: UINT64_MAX if the script did not say. */
	char *error;       /* ERROR: "file:line: message"; RETRY, DROPPED: the
			    * reason, or NULL. */
	char *traceback;   /* May be NULL. */
	uint64_t duration_ms;
	uint64_t cpu_us;
	uint64_t slice_us;     /* The longest slice of it. */
	uint64_t memory_bytes; /* The script's peak. */
	int uncharged; /* Not this run's fault (another run of the script broke
			* its memory limit): run it again, for free. */
	int late;      /* ERROR: it had no time left. */
};

/* Have a script answer a request to a UI component: a run without a job.  Its
 * LOG and CALL carry the number of the invocation. */
struct proto_invoke {
	uint64_t bundle;
	uint64_t deadline_ms; /* The script has so long, in all, ... */
	uint64_t spent_ms;    /* ... of which so much is gone. */
	char *route;          /* "alert-rule-action", "options/NAME" */
	struct str request_json;
};

struct proto_invoked {
	struct proto_outcome outcome; /* DONE, ERROR or GONE. */
	char *answer;                 /* DONE: JSON {status, body, location}. */
};

/* An answer is no longer than that. */
#define PROTO_INVOKED_MAX (1U << 20)

/* The line that stands for all that a run says beyond its limits. */
#define PROTO_LOG_LIMIT                                                        \
	"log limit: this run has said 1000 lines or 256 KiB, the rest is "     \
	"left out"

struct proto_log {
	uint64_t level; /* enum log_level */
	uint64_t at_unix_ms;
	char *script;
	char *message;
	struct proto_field {
		struct str key;
		struct str json; /* The value, compact. */
	} * fields;
	size_t nfields;
};

struct proto_step_put {
	uint64_t job;
	struct str name;
	struct str result_json;
};

enum proto_kv_kind {
	PROTO_KV_GET,
	PROTO_KV_SET,
	PROTO_KV_ADD, /* Only if absent. */
	PROTO_KV_INCR,
	PROTO_KV_DELETE,
	PROTO_KV_LIST, /* key is the prefix. */
};

struct proto_kv {
	uint64_t bundle; /* Whose integration it is. */
	enum proto_kv_kind what;
	struct str key;
	struct str value_json; /* SET, ADD */
	int64_t by;            /* INCR */
	uint64_t ttl_ms;       /* SET, ADD: 0 is for ever. */
};

/* What the host does for a script, by name: "token", "installation", ... */
struct proto_ask {
	uint64_t bundle; /* Whose integration and script it is. */
	uint64_t job;    /* That asks; 0: none. */
	struct str topic;
	struct str args_json; /* An object. */
};

struct proto_answer {
	int found;       /* There was a value. */
	struct str json; /* GET, INCR: the value; LIST: an array of keys; ASK:
			  * whatever the topic has. */
	uint64_t code;   /* enum err_code; 0 is success. */
	struct str error;
};

/* One outbound call of a script, for the record of its run. */
struct proto_call {
	struct str method;
	struct str url;
	uint64_t status; /* 0: there was no answer. */
	uint64_t duration_ms;
	struct str error; /* Empty if there was an answer. */
};

/*
 * What a worker is at, in a page that it shares with the host: it is written
 * before and after every entry into Lua, costs no system call, and can still be
 * read when the worker hangs or is dead.  So the host knows whom to charge.
 *
 * The page is made by worker_spawn() (a sealed memfd, so that a worker cannot
 * pull it away from under the host) and is descriptor PROTO_PAGE_FD there.
 * What is in it comes from a process that runs strangers' code: it is a hint
 * among the jobs that the host knows to be in that worker, nothing more.
 */
#define PROTO_SOCKET_FD 3
#define PROTO_PAGE_FD 4

enum proto_activity {
	PROTO_IDLE,    /* No Lua runs. */
	PROTO_IN_LOAD, /* id: bundle. */
	PROTO_IN_RUN,  /* id: job. */
	PROTO_IN_EVAL, /* id: of the question. */
};

struct proto_page {
	_Atomic uint64_t activity; /* enum proto_activity */
	_Atomic uint64_t id;
	_Atomic uint64_t since_mono_ms; /* When it began (CLOCK_MONOTONIC). */
	_Atomic uint64_t slices;        /* How many there have been. */

	/* For the record of a run that does not come back: CPU that the thread
	 * had used when the slice began, that of the run's slices before, and
	 * the peak of the script's memory. */
	_Atomic uint64_t begun_cpu_us;
	_Atomic uint64_t run_cpu_us;
	_Atomic uint64_t memory_bytes;
};

/*
 * Each proto_put_x() appends a whole frame to ${out}.  Each proto_get_x() reads
 * a payload and returns 0, or -1 if it is malformed (and nothing is to free).
 * Ownership: a struct str of a result is borrowed from the payload; everything
 * else is freed by proto_x_clear().
 */
void proto_put_setup(struct buf *out, const struct proto_setup *m);
int proto_get_setup(struct str payload, struct proto_setup *ret) ATTR_MUSTCHECK;

void proto_put_load(
    struct buf *out, uint64_t bundle, const struct proto_load *m);
int proto_get_load(struct str payload, struct proto_load *ret) ATTR_MUSTCHECK;
void proto_load_clear(struct proto_load *m);

void proto_put_test(struct buf *out, uint64_t id, const struct proto_test *m);
int proto_get_test(struct str payload, struct proto_test *ret) ATTR_MUSTCHECK;
void proto_test_clear(struct proto_test *m);

void proto_put_loaded(
    struct buf *out, uint64_t bundle, const struct proto_loaded *m);
int proto_get_loaded(
    struct str payload, struct proto_loaded *ret) ATTR_MUSTCHECK;
void proto_loaded_clear(struct proto_loaded *m);

void proto_put_run(struct buf *out, uint64_t job, const struct proto_run *m);
int proto_get_run(struct str payload, struct proto_run *ret) ATTR_MUSTCHECK;
void proto_run_clear(struct proto_run *m);

void proto_put_outcome(
    struct buf *out, uint64_t job, const struct proto_outcome *m);
int proto_get_outcome(
    struct str payload, struct proto_outcome *ret) ATTR_MUSTCHECK;
void proto_outcome_clear(struct proto_outcome *m);

void proto_put_invoke(
    struct buf *out, uint64_t id, const struct proto_invoke *m);
int proto_get_invoke(
    struct str payload, struct proto_invoke *ret) ATTR_MUSTCHECK;
void proto_invoke_clear(struct proto_invoke *m);

void proto_put_invoked(
    struct buf *out, uint64_t id, const struct proto_invoked *m);
int proto_get_invoked(
    struct str payload, struct proto_invoked *ret) ATTR_MUSTCHECK;
void proto_invoked_clear(struct proto_invoked *m);

void proto_put_log(struct buf *out, uint64_t job, const struct proto_log *m);
int proto_get_log(struct str payload, struct proto_log *ret) ATTR_MUSTCHECK;
void proto_log_clear(struct proto_log *m);

/*
 * Frames that carry numbers and texts only; NULL texts stay NULL.  SECRET_IS,
 * EVALUATED, READY, CATALOG, CATALOG_IS and TESTED are proto_put_texts():
 * value, NULL; text, error; missing, NULL; question, body; text, error; text,
 * NULL.  The texts of
 * proto_get_texts() are to be freed with free().
 */
void proto_put_plain(struct buf *out, enum proto_type type, uint64_t id);
void proto_put_number(
    struct buf *out, enum proto_type type, uint64_t id, uint64_t number);
void proto_put_texts(struct buf *out, enum proto_type type, uint64_t id,
    const char *a, const char *b);
int proto_get_number(struct str payload, uint64_t *ret) ATTR_MUSTCHECK;
int proto_get_texts(
    struct str payload, char **ret_a, char **ret_b) ATTR_MUSTCHECK;

/*
 * Bytes that are kept of an error, a reason, a log line's message; and what a
 * worker sends of it.  The host takes the secrets out before it cuts, so that
 * none is cut in half and not known any more.
 */
#define PROTO_TEXT_KEPT 8192
#define PROTO_TEXT_MAX (2 * PROTO_TEXT_KEPT)

/* PROTO_SECRET: which bundle asks, and for what. */
void proto_put_secret(
    struct buf *out, uint64_t question, uint64_t bundle, const char *name);
int proto_get_secret(
    struct str payload, uint64_t *ret_bundle, char **ret_name) ATTR_MUSTCHECK;

/* Nothing of these is to be freed: texts are borrowed from the payload. */
void proto_put_step(
    struct buf *out, uint64_t question, const struct proto_step_put *m);
int proto_get_step(
    struct str payload, struct proto_step_put *ret) ATTR_MUSTCHECK;

void proto_put_kv(struct buf *out, uint64_t question, const struct proto_kv *m);
int proto_get_kv(struct str payload, struct proto_kv *ret) ATTR_MUSTCHECK;

void proto_put_ask(
    struct buf *out, uint64_t question, const struct proto_ask *m);
int proto_get_ask(struct str payload, struct proto_ask *ret) ATTR_MUSTCHECK;

/* ${type} is STEP_IS, KV_IS or ASK_IS. */
void proto_put_answer(struct buf *out, enum proto_type type, uint64_t question,
    const struct proto_answer *m);
int proto_get_answer(
    struct str payload, struct proto_answer *ret) ATTR_MUSTCHECK;

void proto_put_call(struct buf *out, uint64_t job, const struct proto_call *m);
int proto_get_call(struct str payload, struct proto_call *ret) ATTR_MUSTCHECK;

#endif /* !WIRE_PROTO_H_ */
