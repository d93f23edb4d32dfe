/*
 * The ceiling of `make bench`: evhttp on one thread that reads the body, checks
 * its HMAC and answers.  No limits, no JSON, nothing kept.
 *
 *	evhttp PORT SECRET
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "base/str.h"
#include "crypto/signature.h"

static void
handle(struct evhttp_request *req, void *cookie)
{
	const struct signature_key *key = cookie;
	struct evbuffer *in = evhttp_request_get_input_buffer(req);
	const char *hex = evhttp_find_header(
	    evhttp_request_get_input_headers(req), "Sentry-Hook-Signature");
	size_t len = evbuffer_get_length(in);

	if (hex == NULL ||
	    signature_verify(&key, 1, str_of(hex), evbuffer_pullup(in, -1),
		len) != SIGNATURE_GOOD) {
		evhttp_send_reply(req, 401, "Unauthorized", NULL);
		return;
	}
	(void)evhttp_add_header(evhttp_request_get_output_headers(req),
	    "Content-Type", "application/json");
	(void)evbuffer_add_printf(
	    evhttp_request_get_output_buffer(req), "{\"status\":\"accepted\"}");
	evhttp_send_reply(req, 200, "OK", NULL);
}

int
main(int argc, char *argv[])
{
	struct event_base *base = event_base_new();
	struct evhttp *http = evhttp_new(base);
	struct signature_key *key;

	if (argc != 3) {
		(void)fprintf(stderr, "usage: evhttp PORT SECRET\n");
		return 2;
	}
	key = signature_key_create(argv[2], strlen(argv[2]));
	evhttp_set_gencb(http, handle, key);
	if (evhttp_bind_socket(http, "127.0.0.1",
		(ev_uint16_t)strtoul(argv[1], NULL, 10)) == -1) {
		(void)fprintf(stderr, "cannot listen on port %s\n", argv[1]);
		return 1;
	}
	(void)event_base_dispatch(base);
	evhttp_free(http);
	event_base_free(base);
	signature_key_free(key);
	return 0;
}
