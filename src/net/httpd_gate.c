#include <string.h>

#include "net/httpd_internal.h"

/* Nobody needs more, and each costs evhttp three allocations. */
#define MAX_HEADERS 128

/* A chunk's size has no more digits. */
#define MAX_SIZE_DIGITS 15

enum chunk_state {
	CHUNK_SIZE,
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	CHUNK_END_CR, /* Behind the last chunk: the empty line. */
	CHUNK_END_LF,
	CHUNK_DONE
};

static const struct {
	struct str name;
	enum httpd_method method;
} methods[] = {
    {{"POST", 4}, HTTPD_POST},
    {{"GET", 3}, HTTPD_GET},
    {{"HEAD", 4}, HTTPD_HEAD},
    {{"PUT", 3}, HTTPD_PUT},
    {{"DELETE", 6}, HTTPD_DELETE},
    {{"OPTIONS", 7}, HTTPD_OPTIONS},
    {{"PATCH", 5}, HTTPD_PATCH},
    {{"TRACE", 5}, HTTPD_TRACE},
};

/* What may be in a name: RFC 9110, "tchar". */
static int
is_token(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static int
refuse(struct gate_verdict *v, int status, const char *code, const char *why)
{
	*v = (struct gate_verdict){status, code, why, NULL};
	return -1;
}

static int
bad(struct gate_verdict *v, const char *why)
{
	return refuse(v, 400, "bad_request", why);
}

int
gate_has_body(enum httpd_method method)
{
	return method != HTTPD_HEAD && method != HTTPD_TRACE;
}

ptrdiff_t
gate_scan(const char *text, size_t len, size_t *line,
    struct gate_verdict *ret_verdict)
{
	const char *lf;
	size_t at = *line, n;

	/* What is no method at all need not be waited for. */
	if (len > 0 && !is_token((unsigned char)text[0]))
		return bad(ret_verdict,
		    text[0] == '\x16'
			? "this is plain HTTP, and TLS was spoken to it"
			: "this is not HTTP");
	while (at < len) {
		lf = memchr(text + at, '\n', len - at);
		if (lf == NULL)
			break;
		n = (size_t)(lf - text) - at;
		if (n == 0 || text[at + n - 1] != '\r')
			return bad(ret_verdict,
			    "a line ends in LF without CR before it");
		at += n + 1;
		*line = at;
		if (n == 1)
			return (ptrdiff_t)at;
	}
	return 0;
}

/* Every byte of a value must be printable, a tab, or beyond ASCII. */
static int
check_value(struct str v, struct gate_verdict *verdict)
{
	size_t i;
	unsigned char c, wrong = 0;

	/* Without a branch in the loop: this goes over most of a head. */
	for (i = 0; i < v.len; i++) {
		c = (unsigned char)v.data[i];
		wrong |= (unsigned char)((c < 0x20 && c != '\t') || c == 0x7F);
	}
	return wrong ? bad(verdict, "a header has a control character in it")
		     : 0;
}

static int
parse_target(struct str t, struct gate_head *head, struct gate_verdict *verdict)
{
	const char *end;
	size_t i;

	for (i = 0; i < t.len; i++) {
		if ((unsigned char)t.data[i] <= ' ' ||
		    (unsigned char)t.data[i] >= 0x7F)
			return bad(verdict,
			    "the target has a character in it that must be "
			    "percent-encoded");
	}
	head->target = t;
	head->path = t;
	if (t.len > 0 && t.data[0] == '/') {
		/* evhttp would take the first part for a host. */
		if (t.len > 1 && t.data[1] == '/')
			return bad(verdict, "the path begins with two slashes");
	} else if (head->method == HTTPD_OPTIONS && str_eq(t, STR("*"))) {
		return 0;
	} else if ((t.len > 7 && memcmp(t.data, "http://", 7) == 0) ||
		   (t.len > 8 && memcmp(t.data, "https://", 8) == 0)) {
		i = t.data[4] == 's' ? 8 : 7;
		head->absolute = 1;
		end = memchr(t.data + i, '/', t.len - i);
		head->path = end == NULL ? STR("/")
					 : (struct str){end,
					       t.len - (size_t)(end - t.data)};
	} else if (head->method != HTTPD_OTHER) {
		return bad(verdict, "the target is not a path");
	}
	for (i = 0; i < head->path.len; i++) {
		if (head->path.data[i] == '?' || head->path.data[i] == '#')
			head->path.len = i;
	}
	return 0;
}

static int
parse_request_line(
    struct str line, struct gate_head *head, struct gate_verdict *verdict)
{
	const char *sp1, *sp2;
	struct str method, version;
	size_t i;

	sp1 = memchr(line.data, ' ', line.len);
	sp2 = memrchr(line.data, ' ', line.len);
	if (sp1 == NULL || sp1 == sp2 || sp1 == line.data)
		return bad(verdict, "the request line is not METHOD TARGET "
				    "HTTP-VERSION");
	method = (struct str){line.data, (size_t)(sp1 - line.data)};
	version =
	    (struct str){sp2 + 1, line.len - (size_t)(sp2 + 1 - line.data)};
	for (i = 0; i < method.len; i++) {
		if (!is_token((unsigned char)method.data[i]))
			return bad(verdict, "the method is not a word");
	}
	head->method = HTTPD_OTHER;
	for (i = 0; i < NELEMS(methods); i++) {
		if (str_eq(method, methods[i].name)) {
			head->method = methods[i].method;
			break;
		}
	}
	head->http_1_0 = str_eq(version, STR("HTTP/1.0"));
	if (!head->http_1_0 && !str_eq(version, STR("HTTP/1.1"))) {
		if (version.len < 5 || memcmp(version.data, "HTTP/", 5) != 0)
			return bad(
			    verdict, "the request line has no HTTP version");
		return refuse(verdict, 505, "version_not_supported",
		    "only HTTP/1.1 and HTTP/1.0 are spoken here");
	}
	return parse_target(
	    (struct str){sp1 + 1, (size_t)(sp2 - sp1) - 1}, head, verdict);
}

/* What was seen of the headers that say how a request is framed. */
struct framing {
	unsigned int hosts;
	unsigned int lengths;
	unsigned int codings;
};

static int
check_header(struct str name, struct str value, struct gate_head *head,
    struct framing *seen, struct gate_verdict *verdict)
{
	switch (name.len) {
	case 4:
		if (str_eq_nocase(name, STR("Host"))) {
			if (memchr(value.data, ' ', value.len) != NULL ||
			    memchr(value.data, ',', value.len) != NULL)
				return bad(verdict, "the Host is not one host");
			seen->hosts++;
		}
		break;
	case 6:
		if (str_eq_nocase(name, STR("Expect")) &&
		    !str_eq_nocase(value, STR("100-continue")))
			return refuse(verdict, 417, "expectation_failed",
			    "only 100-continue can be expected");
		break;
	case 14:
		if (!str_eq_nocase(name, STR("Content-Length")))
			break;
		seen->lengths++;
		/* 18 digits are beyond any limit and within 64 bits. */
		if (value.len == 0 || value.len > 18 ||
		    str_parse_u64(value, UINT64_MAX, &head->length) == -1)
			return bad(
			    verdict, "the Content-Length is not a number");
		break;
	case 17:
		if (!str_eq_nocase(name, STR("Transfer-Encoding")))
			break;
		seen->codings++;
		if (!str_eq_nocase(value, STR("chunked")))
			return bad(verdict, "the only transfer coding that is "
					    "taken is \"chunked\"");
		head->chunked = 1;
		break;
	default:
		break;
	}
	return 0;
}

static int
parse_header(struct str line, struct gate_head *head, struct framing *seen,
    struct gate_verdict *verdict)
{
	const char *colon;
	struct str name, value;
	size_t i;

	if (line.data[0] == ' ' || line.data[0] == '\t')
		return bad(verdict, "a header is folded over several lines");
	colon = memchr(line.data, ':', line.len);
	if (colon == NULL)
		return bad(verdict, "a header has no colon");
	name = (struct str){line.data, (size_t)(colon - line.data)};
	if (name.len == 0)
		return bad(verdict, "a header has no name");
	for (i = 0; i < name.len; i++) {
		if (!is_token((unsigned char)name.data[i]))
			return bad(verdict,
			    "a header's name has a space or another character "
			    "in it that names cannot have");
	}
	/* Only spaces: evhttp leaves a leading tab in the value. */
	value = (struct str){colon + 1, line.len - name.len - 1};
	if (check_value(value, verdict) == -1)
		return -1;
	while (value.len > 0 && value.data[0] == ' ') {
		value.data++;
		value.len--;
	}
	while (value.len > 0 && (value.data[value.len - 1] == ' ' ||
				    value.data[value.len - 1] == '\t'))
		value.len--;
	return check_header(name, value, head, seen, verdict);
}

static int
check_framing(const struct gate_head *head, const struct framing *seen,
    struct gate_verdict *verdict)
{
	if (seen->hosts > 1)
		return bad(verdict, "there are two Host headers");
	if (seen->hosts == 0 && !head->http_1_0)
		return bad(verdict, "the Host header is missing");
	if (seen->lengths > 1)
		return bad(verdict, "there are two Content-Length headers");
	if (seen->codings > 1)
		return bad(verdict, "there are two Transfer-Encoding headers");
	if (seen->lengths > 0 && seen->codings > 0)
		return bad(verdict,
		    "a request has either a Content-Length or a "
		    "Transfer-Encoding");
	if (head->chunked && head->http_1_0)
		return bad(verdict, "HTTP/1.0 has no Transfer-Encoding");
	return 0;
}

int
gate_parse(const char *text, size_t len, struct gate_head *ret_head,
    struct gate_verdict *ret_verdict)
{
	struct framing seen = {0, 0, 0};
	const char *at = text, *end = text + len - 2, *lf;
	unsigned int n = 0;
	struct str line;

	(void)memset(ret_head, 0, sizeof(*ret_head));
	for (; at < end; at = lf + 1, n++) {
		lf = memchr(at, '\n', (size_t)(end - at));
		line = (struct str){at, (size_t)(lf - at) - 1};
		/* A CR within a line is a control character, seen below. */
		if (n == 0) {
			if (parse_request_line(line, ret_head, ret_verdict) ==
			    -1)
				return -1;
			continue;
		}
		if (n > MAX_HEADERS)
			return refuse(ret_verdict, 431, "headers_too_large",
			    "there are too many headers");
		if (parse_header(line, ret_head, &seen, ret_verdict) == -1)
			return -1;
	}
	return check_framing(ret_head, &seen, ret_verdict);
}

/* One more digit of a chunk's size; -1 if it is none. */
static int
add_digit(struct gate_chunks *c, char d)
{
	unsigned int v;

	if (d >= '0' && d <= '9')
		v = (unsigned int)(d - '0');
	else if (d >= 'a' && d <= 'f')
		v = (unsigned int)(d - 'a') + 10;
	else if (d >= 'A' && d <= 'F')
		v = (unsigned int)(d - 'A') + 10;
	else
		return -1;
	if (++c->digits > MAX_SIZE_DIGITS)
		return -1;
	c->size = c->size << 4 | v;
	return 0;
}

/* A byte that is not of a chunk's data.  Return 0, or -1 if it is wrong. */
static int
chunk_byte(struct gate_chunks *c, char d)
{
	switch ((enum chunk_state)c->state) {
	case CHUNK_SIZE:
		if (d != '\r')
			return add_digit(c, d);
		c->state = CHUNK_SIZE_LF;
		return c->digits == 0 ? -1 : 0;
	case CHUNK_SIZE_LF:
		c->state = c->size == 0 ? CHUNK_END_CR : CHUNK_DATA;
		return d == '\n' ? 0 : -1;
	case CHUNK_DATA_CR:
		c->state = CHUNK_DATA_LF;
		return d == '\r' ? 0 : -1;
	case CHUNK_DATA_LF:
		c->state = CHUNK_SIZE;
		c->digits = 0;
		c->size = 0;
		return d == '\n' ? 0 : -1;
	case CHUNK_END_CR:
		c->state = CHUNK_END_LF;
		return d == '\r' ? 0 : -1;
	case CHUNK_END_LF:
		c->state = CHUNK_DONE;
		return d == '\n' ? 0 : -1;
	case CHUNK_DATA:
	case CHUNK_DONE:
		break;
	}
	return -1;
}

int
gate_chunks(struct gate_chunks *c, const char *data, size_t len,
    uint64_t max_body, struct gate_verdict *ret_verdict)
{
	size_t n;

	while (len > 0 && c->state != CHUNK_DONE) {
		if (c->state == CHUNK_DATA) {
			n = len < c->size ? len : (size_t)c->size;
			c->size -= n;
			data += n;
			len -= n;
			if (c->size == 0)
				c->state = CHUNK_DATA_CR;
			continue;
		}
		if (chunk_byte(c, *data) == -1)
			return bad(ret_verdict,
			    c->state >= CHUNK_END_CR
				? "a chunked body has trailers"
				: "a chunk's size is not just hexadecimal "
				  "digits, or its data is of another length");
		/* The size is known: may it be so large? */
		if (c->state == CHUNK_DATA || c->state == CHUNK_END_CR) {
			c->total += c->size;
			if (c->total > max_body)
				return refuse(ret_verdict, 413, "too_large",
				    "the body is larger than the limit");
		}
		data++;
		len--;
	}
	return c->state == CHUNK_DONE;
}
