#ifndef NET_FETCH_INTERNAL_H_
#define NET_FETCH_INTERNAL_H_

/*
 * The parts of net/fetch.h: fetch.c (the client, the life of a call),
 * fetch_easy.c (what libcurl is told of one hop of it, and tells),
 * fetch_proxy.c (the same where there is a proxy), fetch_hop.h (redirects).
 *
 * Floor: 2 (net).  May include base/.  Private to its folder.
 */

#include <sys/queue.h>

#include <stddef.h>
#include <stdint.h>

#include <curl/curl.h>

#include "net/fetch.h"

struct event;
struct sockaddr;

struct fetch_call {
	struct fetch *fetch;
	CURL *easy;
	fetch_done_cb *done;
	void *cookie;
	int (*more)(void *cookie, size_t bytes);
	size_t max_bytes;
	struct fetch_result result;
	uint64_t started_mono_ms;
	uint64_t timeout_ms;
	uint64_t stall_ms;   /* 0: no limit. */
	struct event *stall; /* Fires if nothing moves for that long. */
	int fresh;
	unsigned int redirects; /* How many may be followed in all. */
	unsigned int followed;

	/* The hop that it is at: the request that is on its way. */
	char *method;
	char *url;
	char *host;
	struct curl_slist *headers;
	struct str body; /* data NULL: none. */
	char *own_body;  /* The same if it is ours, or NULL. */
	int turns;       /* The answer is a redirect that is followed. */
	size_t skipped;  /* Of its body. */
	int blocked;     /* The guard has refused an address. */
	int overflow;    /* The body is longer than max_bytes. */
	int refused;     /* more() has said no. */

	/* The same where there is a proxy. */
	int looking;       /* The name is being looked up, or */
	int looked;        /* was, and all its addresses are permitted. */
	unsigned int seen; /* Addresses. */
	char *bound;       /* The one that the request goes to, as text. */
	int bound_v4;      /* It is one of IPv4. */
	int by_name;       /* The user has opened the host by its name. */
	int tunnel;        /* The proxy does not read the request. */
	struct curl_slist *proxied; /* Headers for one that does. */
	struct curl_slist *connect_to;
	char error[CURL_ERROR_SIZE];
	TAILQ_ENTRY(fetch_call) entry;
};

struct fetch {
	CURLM *multi;
	struct event_base *base;               /* Borrowed. */
	const struct guard *guard;             /* Borrowed; NULL: none. */
	const struct proxy *proxy;             /* Borrowed; NULL: none. */
	const struct fetch_stand_in *stand_in; /* Borrowed; NULL: libcurl. */
	struct event *timer;
	TAILQ_HEAD(fetch_calls, fetch_call) calls;
};

/**
 * fetch_easy_set(call):
 * Tell libcurl of the hop that ${call} is at, and forget what the last one has
 * brought.
 */
void fetch_easy_set(struct fetch_call *call);

/* Something has moved: the stall timer begins anew. */
void fetch_easy_moved(struct fetch_call *call);

/* The code for what libcurl has ended a hop with. */
enum err_code fetch_easy_code(const struct fetch_call *call, CURLcode rc);

/* Whether the name of the hop that ${call} is at has to be looked up first. */
int fetch_proxy_looks(const struct fetch_call *call);

/* An address that the name has; no connection is made to it. */
void fetch_proxy_look(struct fetch_call *call, const struct sockaddr *address);

/* Send the hop that ${call} is at through the proxy. */
void fetch_proxy_set(struct fetch_call *call);

/* Free what that took; and forget what was seen of the name, for another hop.
 */
void fetch_proxy_forget(struct fetch_call *call);
void fetch_proxy_unbind(struct fetch_call *call);

/* If it is due to the proxy that a hop has ended in ${rc}, or with the HTTP
 * status ${status}: say so in the call's result, and return 1. */
int fetch_proxy_tell(struct fetch_call *call, CURLcode rc, long status);

#endif /* !NET_FETCH_INTERNAL_H_ */
