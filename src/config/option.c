#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#include "config/option.h"

int
option_is_flag(const struct option *option, unsigned int commands)
{
	return (option->commands & commands) != 0 &&
	       (option->flags & OPTION_NO_FLAG) == 0;
}

const struct option *
option_find_flag(const char *name, unsigned int commands)
{
	size_t i;

	for (i = 0; i < option_count; i++) {
		if (option_is_flag(&option_table[i], commands) &&
		    strcmp(option_table[i].name, name) == 0)
			return &option_table[i];
	}
	return NULL;
}

/* Dashes are as good as underscores, and the other way round. */
static int
same_key(const char *a, const char *b)
{
	for (; *a != '\0' && *b != '\0'; a++, b++) {
		if (*a != *b && !(strchr("-_", *a) && strchr("-_", *b)))
			return 0;
	}
	return *a == *b;
}

const struct option *
option_find_key(const char *name)
{
	size_t i;

	for (i = 0; i < option_count; i++) {
		if ((option_table[i].flags & OPTION_NO_FILE) == 0 &&
		    same_key(option_table[i].name, name))
			return &option_table[i];
	}
	return NULL;
}

const char *
option_suggest_flag(const char *name, unsigned int commands)
{
	const char **names = mem_array(option_count, sizeof(*names));
	const char *found;
	size_t i, n = 0;

	for (i = 0; i < option_count; i++) {
		if (option_is_flag(&option_table[i], commands))
			names[n++] = option_table[i].name;
	}
	found = str_closest(name, names, n);
	free(names);
	return found;
}

const char *
option_suggest_key(const char *name)
{
	const char **names = mem_array(option_count, sizeof(*names));
	char *dashed = mem_strdup(name);
	const char *found;
	size_t i, n = 0;

	for (i = 0; dashed[i] != '\0'; i++) {
		if (dashed[i] == '_')
			dashed[i] = '-';
	}
	for (i = 0; i < option_count; i++) {
		if ((option_table[i].flags & OPTION_NO_FILE) == 0)
			names[n++] = option_table[i].name;
	}
	found = str_closest(dashed, names, n);
	free(names);
	free(dashed);
	return found;
}

char *
option_env(const struct option *option, char ret_name[static OPTION_NAME_SIZE])
{
	char *p;

	ret_name[0] = '\0';
	if ((option->flags & OPTION_NO_ENV) != 0)
		return ret_name;
	if (option->env != NULL) {
		(void)snprintf(ret_name, OPTION_NAME_SIZE, "%s", option->env);
		return ret_name;
	}
	(void)snprintf(ret_name, OPTION_NAME_SIZE, "MOONPOST_%s", option->name);
	for (p = ret_name; *p != '\0'; p++)
		*p = (char)(*p == '-' ? '_' : toupper((unsigned char)*p));
	return ret_name;
}

char *
option_key(const struct option *option, char ret_name[static OPTION_NAME_SIZE])
{
	char *p;

	ret_name[0] = '\0';
	if ((option->flags & OPTION_NO_FILE) != 0)
		return ret_name;
	(void)snprintf(ret_name, OPTION_NAME_SIZE, "%s", option->name);
	for (p = ret_name; *p != '\0'; p++) {
		if (*p == '-')
			*p = '_';
	}
	return ret_name;
}
