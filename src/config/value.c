#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#include "config/config.h"
#include "config/option.h"

#include "config/value_internal.h"

void
value_list_add(struct config_list *list, const char *text)
{
	list->items =
	    mem_realloc(list->items, (list->n + 1) * sizeof(*list->items));
	list->items[list->n++] = mem_strdup(text);
}

void
value_wipe(char *text)
{
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
}

void
value_wipe_list(struct config_list *list)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		value_wipe(list->items[i]);
	free(list->items);
	*list = (struct config_list){NULL, 0};
}

/* ${min} and ${max} as a person writes them. */
static void
put_amount(struct buf *buf, const struct option *option, uint64_t amount)
{
	if (option->type == OPTION_DURATION)
		str_put_duration(buf, amount);
	else if (option->type == OPTION_SIZE)
		str_put_size(buf, amount);
	else
		buf_printf(buf, "%llu", (unsigned long long)amount);
}

static int
parse_amount(const struct option *option, const char *text, const char *where,
    uint64_t *ret, struct err *err)
{
	struct buf range = BUF_INIT;
	uint64_t amount;
	int rc = -1;

	if ((option->flags & OPTION_OR_OFF) != 0 && strcmp(text, "off") == 0) {
		*ret = 0;
		return 0;
	}
	if (option->type == OPTION_DURATION)
		rc = str_parse_duration(str_of(text), &amount, err);
	else if (option->type == OPTION_SIZE)
		rc = str_parse_size(str_of(text), &amount, err);
	else if (str_parse_u64(str_of(text), UINT64_MAX, &amount) == 0)
		rc = 0;
	else
		(void)err_set(
		    err, ERR_INVALID, "'%.40s' is not a whole number", text);
	if (rc == -1)
		return err_prefix(err, "%s", where);

	if (amount < option->min || amount > option->max) {
		put_amount(&range, option, option->min);
		buf_puts(&range, " to ");
		put_amount(&range, option, option->max);
		if (option->unit != NULL)
			buf_printf(&range, " %s", option->unit);
		if ((option->flags & OPTION_OR_OFF) != 0)
			buf_puts(&range, ", or off");
		(void)err_set(err, ERR_INVALID,
		    "%s: '%.40s' is out of range (%s)", where, text,
		    buf_text(&range));
		buf_free(&range);
		return -1;
	}
	*ret = amount;
	return 0;
}

static int
parse_enum(const struct option *option, const char *text, const char *where,
    unsigned int *ret, struct err *err)
{
	struct buf choices = BUF_INIT;
	const char *meant;
	size_t n;

	for (n = 0; option->choices[n] != NULL; n++) {
		if (strcmp(option->choices[n], text) == 0) {
			*ret = (unsigned int)n;
			buf_free(&choices);
			return 0;
		}
		buf_printf(
		    &choices, "%s%s", n > 0 ? ", " : "", option->choices[n]);
	}
	meant = str_closest(text, option->choices, n);
	(void)err_set(err, ERR_INVALID, "%s: '%.40s' is not one of %s%s%s%s",
	    where, text, buf_text(&choices),
	    meant == NULL ? "" : "; did you mean '", meant == NULL ? "" : meant,
	    meant == NULL ? "" : "'?");
	buf_free(&choices);
	return -1;
}

static int
parse_bool(const char *text, const char *where, int *ret, struct err *err)
{
	static const char *const names[] = {
	    "off", "on", "false", "true", "no", "yes", "0", "1"};
	size_t i;

	for (i = 0; i < NELEMS(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*ret = (int)(i % 2);
			return 0;
		}
	}
	return err_set(err, ERR_INVALID,
	    "%s: '%.40s' is neither on nor off (true, false, yes, no, 1 and 0 "
	    "will do too)",
	    where, text);
}

/* "HOST:PORT"; a host with colons stands in brackets. */
static int
parse_address(const char *text, const char *where, struct config_address *ret,
    struct err *err)
{
	const char *colon = strrchr(text, ':'), *host = text;
	size_t len = colon == NULL ? 0 : (size_t)(colon - text);
	uint64_t port;

	if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	} else if (len > 0 && memchr(host, ':', len) != NULL) {
		len = 0;
	}
	if (len == 0 || len > 255 ||
	    str_parse_u64(str_of(colon + 1), UINT16_MAX, &port) == -1)
		return err_set(err, ERR_INVALID,
		    "%s: '%.80s' is not HOST:PORT (examples: 127.0.0.1:8080, "
		    "[::1]:8080, 0.0.0.0:80)",
		    where, text);
	if (ret != NULL) {
		free(ret->text);
		free(ret->host);
		ret->text = mem_strdup(text);
		ret->host = mem_strndup(host, len);
		ret->port = (uint16_t)port;
	}
	return 0;
}

int
value_parse(const struct option *option, const char *text, const char *where,
    void *field, struct err *err)
{
	uint64_t amount = 0;
	unsigned int choice = 0;
	int on = 0;

	switch (option->type) {
	case OPTION_DURATION:
	case OPTION_SIZE:
	case OPTION_COUNT:
		if (parse_amount(option, text, where, &amount, err) == -1)
			return -1;
		if (field != NULL)
			*(uint64_t *)field = amount;
		return 0;
	case OPTION_ENUM:
		if (parse_enum(option, text, where, &choice, err) == -1)
			return -1;
		if (field != NULL)
			*(unsigned int *)field = choice;
		return 0;
	case OPTION_BOOL:
		if (parse_bool(text, where, &on, err) == -1)
			return -1;
		if (field != NULL)
			*(int *)field = on;
		return 0;
	case OPTION_ADDRESS:
		if ((option->flags & OPTION_OR_OFF) != 0 &&
		    strcmp(text, "off") == 0) {
			if (field != NULL)
				value_clear(option, field);
			return 0;
		}
		return parse_address(text, where, field, err);
	case OPTION_STRING:
	case OPTION_LIST:
	default:
		break;
	}
	if (text[0] == '\0')
		return err_set(err, ERR_INVALID, "%s: is empty, give a %s",
		    where, option->metavar);
	if (field == NULL)
		return 0;
	if (option->type == OPTION_LIST) {
		value_list_add(field, text);
	} else {
		value_clear(option, field);
		*(char **)field = mem_strdup(text);
	}
	return 0;
}

void
value_clear(const struct option *option, void *field)
{
	struct config_address *address;

	switch (option->type) {
	case OPTION_STRING:
		if ((option->flags & OPTION_SECRET) != 0)
			value_wipe(*(char **)field);
		else
			free(*(char **)field);
		*(char **)field = NULL;
		break;
	case OPTION_LIST:
		value_wipe_list(field);
		break;
	case OPTION_ADDRESS:
		address = field;
		free(address->text);
		free(address->host);
		*address = (struct config_address){NULL, NULL, 0};
		break;
	case OPTION_ENUM:
	case OPTION_BOOL:
	case OPTION_DURATION:
	case OPTION_SIZE:
	case OPTION_COUNT:
	default:
		break;
	}
}
