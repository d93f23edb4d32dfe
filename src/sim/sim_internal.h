#ifndef SIM_SIM_INTERNAL_H_
#define SIM_SIM_INTERNAL_H_

/*
 * What the parts of the stand-in know of each other.
 *
 * Floor: 5 (sim).  May include base/, json/, crypto/, catalog/, net/.
 */

#include <sys/queue.h>

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "net/httpd.h"
#include "json/jdoc.h"

#include "sim/sim.h"

struct calls;
struct installs;
struct install;
struct issues;
struct sender;
struct signature_key;
struct ui;
struct users;

/* Parts of a path that a '*' stands for. */
#define SIM_PARTS 2

/* Headers that an answer can have besides those that all have. */
#define SIM_HEADERS 12

/* What is to happen to the next calls that are not for /sim/. */
struct sim_plan {
	uint64_t count;
	char *path; /* Only those whose path has this in it; NULL: all. */
	int status; /* Of a failure. */
	char *body; /* Of a failure, JSON; NULL: one that fits the status. */
	uint64_t after_s; /* With 429: until the limit is reset. */
};

TAILQ_HEAD(sim_calls, sim_call);

/* The second of the rate limit that one address is in. */
#define SIM_WINDOWS 64
struct sim_window {
	uint64_t address; /* Its hash; another one begins anew. */
	uint64_t begin_unix_s;
	uint64_t used;
};

struct sim {
	struct sim_options options;
	struct httpd *httpd;
	struct fetch *fetch;
	struct guard *guard;
	struct signature_key *key;
	struct installs *installs;
	struct users *users;
	struct issues *issues;
	struct calls *calls;
	struct sim_calls open; /* Not answered yet. */
	struct sender *sender;
	struct sim_plan fail;
	struct sim_plan drop;
	uint64_t refusals; /* Further requests that a person denies. */
	struct sim_window windows[SIM_WINDOWS]; /* By the address's hash. */
};

/* One request that came in. */
struct sim_call {
	struct sim *sim;
	struct httpd_request *req;
	uint64_t now_unix_ms;
	struct str part[SIM_PARTS];
	int is_control;            /* For /sim/: not recorded. */
	struct sim_window *window; /* Of its address; of the API alone. */
	int is_api;              /* Its answer has the headers of the limit. */
	int drop;                /* The answer is to be lost. */
	uint64_t limited_s;      /* Its limit is reset so much later; 0: as
				  * the window says. */
	struct jdoc doc;         /* The body, once it was read as JSON. */
	struct install *install; /* Who asks for the API; NULL: a user. */
	char *header_text[SIM_HEADERS]; /* Values of headers[], owned. */
	struct httpd_header headers[SIM_HEADERS];
	size_t nheaders;
	struct ui *ui; /* What it waits for, if it does; owned. */
	TAILQ_ENTRY(sim_call) entry;
};

typedef void sim_route_cb(struct sim_call *call);

struct sim_route {
	enum httpd_method method;
	const char *path; /* A '*' stands for a part. */
	sim_route_cb *handle;
};

/* The routes of each part, with an empty one at the end. */
extern const struct sim_route sim_api_routes[];
extern const struct sim_route sim_rest_routes[];
extern const struct sim_route sim_oauth_routes[];
extern const struct sim_route sim_control_routes[];

/* ---- answers: each consumes ${call} ---------------------------------------
 */

/* Add a header to the answer; ${value} is printed. */
void sim_header(struct sim_call *call, const char *name, const char *fmt, ...)
    ATTR_PRINTF(3, 4);

/* Answer with JSON, which is consumed; an empty ${json} is no body. */
void sim_reply(struct sim_call *call, int status, struct buf *json);

/* Answer {"detail": ...}, as the API does. */
void sim_reply_detail(struct sim_call *call, int status, const char *detail);

/* Answer {"error": ...}, as the OAuth server does. */
void sim_reply_oauth_error(
    struct sim_call *call, int status, const char *error);

/* Answer a wrong request for /sim/: 400, {"error":..,"message":..}. */
void sim_reply_misuse(struct sim_call *call, const char *fmt, ...)
    ATTR_PRINTF(2, 3);

/* ---- reading -------------------------------------------------------------
 */

/* Whether the request's Content-Type is ${type}, parameters aside. */
int sim_has_type(const struct sim_call *call, const char *type);

/* The bearer token of the request; data NULL if it has none. */
struct str sim_bearer(const struct sim_call *call);

/* Check the token of a call of the API; 0, or -1 and ${call} was answered. */
int sim_authenticate(struct sim_call *call) ATTR_MUSTCHECK;

/* The installation that the path names first, for whoever has its own token;
 * NULL if ${call} was answered. */
struct install *sim_own_install(struct sim_call *call);

/* The body of a call of the API as a JSON object; NULL if it is none and
 * ${call} was answered. */
const struct jval *sim_read_body(struct sim_call *call);

/* Whether the ${n} members ${names} are text; else -1, and ${call} was answered
 * {"code": ["This field is required."]}. */
int sim_require(struct sim_call *call, const struct jval *body,
    const char *const *names, size_t n) ATTR_MUSTCHECK;

/**
 * sim_read_control(call, names):
 * The body of a request for /sim/: an object with members of ${names} alone
 * (NULL at the end); no body is an empty one.
 *
 * Returns:   NULL if it is not that; ${call} was answered then.
 */
const struct jval *sim_read_control(
    struct sim_call *call, const char *const *names);

/* Members of such a body: 0, or -1 and ${call} was answered.  What is not there
 * leaves *ret as it is; text is the caller's to free. */
int sim_get_text(struct sim_call *call, const struct jval *body,
    const char *name, char **ret) ATTR_MUSTCHECK;
int sim_get_count(struct sim_call *call, const struct jval *body,
    const char *name, uint64_t max, uint64_t *ret) ATTR_MUSTCHECK;
int sim_get_bool(struct sim_call *call, const struct jval *body,
    const char *name, int *ret) ATTR_MUSTCHECK;

/* The same for a member that is an http or https URL. */
int sim_get_url(struct sim_call *call, const struct jval *body,
    const char *name, char **ret) ATTR_MUSTCHECK;

/* The installation that a body names, or the newest; NULL if there is none and
 * ${call} was answered. */
struct install *sim_get_install(struct sim_call *call, const struct jval *body);

/* POST /sim/ui: ask a UI component as Sentry does, and judge its answer. */
void sim_ui(struct sim_call *call);
void sim_ui_free(struct ui *ui);

#endif /* !SIM_SIM_INTERNAL_H_ */
