#ifndef NET_FETCH_HOP_H_
#define NET_FETCH_HOP_H_

/*
 * What a redirect leads to, and what of a request goes along.  libcurl is not
 * left to follow by itself, as it hands every header of a request but
 * Authorization and Cookie on to whoever an answer names.
 *
 * Floor: 2 (net).  May include base/.  Private to its folder.
 */

struct buf;

/**
 * fetch_hop_to(status, headers):
 * Where an answer with ${status} and ${headers} ("Name: value\n" lines) sends
 * the client.
 *
 * Returns:   the value of its Location; NULL if it is no redirect.
 * Ownership: the caller frees with free().
 */
char *fetch_hop_to(unsigned int status, const struct buf *headers);

/**
 * fetch_hop_url(from, to, ret_elsewhere):
 * The URL that ${to}, which may be relative, means in an answer of ${from}.
 * What is before the '@' of ${from} holds for all of its origin.
 *
 * Returns:   an http or https URL, and *${ret_elsewhere} tells whether its
 *            scheme, host or port is another; NULL if it is none.
 * Ownership: the caller frees with free().
 */
char *fetch_hop_url(const char *from, const char *to, int *ret_elsewhere);

/**
 * fetch_hop_host(url):
 * The host of an http or https URL, without brackets; NULL if it is none.
 *
 * Ownership: the caller frees with free().
 */
char *fetch_hop_host(const char *url);

/* Whether a redirect turns a request with ${method} into a GET without a body,
 * as browsers do. */
int fetch_hop_is_get(unsigned int status, const char *method);

/**
 * fetch_hop_keeps(header, elsewhere, as_get):
 * Whether ${header} ("Name: value") of a request goes along.  To another origin
 * only those go that say what is wanted and what is sent: any other may hold a
 * key, whatever its name is, also one that was made from a secret and does not
 * look like it.  Without a body there is nothing to say of one.
 */
int fetch_hop_keeps(const char *header, int elsewhere, int as_get);

#endif /* !NET_FETCH_HOP_H_ */
