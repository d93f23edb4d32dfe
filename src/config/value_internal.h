#ifndef CONFIG_VALUE_INTERNAL_H_
#define CONFIG_VALUE_INTERNAL_H_

/*
 * From an option's text to its value.
 *
 * Floor: 1 (config).  May include base/.
 */

#include "base/compiler.h"

struct config_list;
struct err;
struct option;

/**
 * value_parse(option, text, where, field, err):
 * Check ${text}, and store its value in the field of struct config at ${field}
 * (NULL: check only).  Text is added to a list, and replaces other text.
 *
 * Errors:    ERR_INVALID      the message begins with ${where} and says what is
 *                             allowed; a secret is not in it.
 * Ownership: the field owns what it points to; value_clear() frees it.
 */
int value_parse(const struct option *option, const char *text,
    const char *where, void *field, struct err *err) ATTR_MUSTCHECK;

/* Free what a field points to, overwrite it if it is a secret. */
void value_clear(const struct option *option, void *field);

/* Append a copy of ${text}. */
void value_list_add(struct config_list *list, const char *text);

/* Overwrite and free a secret, or a list of them. */
void value_wipe(char *text);
void value_wipe_list(struct config_list *list);

#endif /* !CONFIG_VALUE_INTERNAL_H_ */
