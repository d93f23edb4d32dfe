#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/signature.h"

#include "ingress/ingress_internal.h"

static void
site_fill(struct site *site, const struct ingress_integration *from)
{
	size_t i;

	site->name = mem_strdup(from->name);
	site->keys =
	    mem_array(from->nsecrets + 1, sizeof(struct signature_key *));
	/* Anybody could sign with an empty one. */
	for (i = 0; i < from->nsecrets; i++) {
		if (from->secrets[i][0] != '\0')
			site->keys[site->nkeys++] = signature_key_create(
			    from->secrets[i], strlen(from->secrets[i]));
	}
}

static struct site_set *
set_create(const struct ingress_integration *from, size_t n)
{
	struct site_set *set = mem_zalloc(sizeof(*set));
	size_t i;

	atomic_init(&set->refs, 1);
	set->sites = mem_array(n + 1, sizeof(struct site));
	set->n = n;
	for (i = 0; i < n; i++)
		site_fill(&set->sites[i], &from[i]);
	return set;
}

static void
set_unref(struct site_set *set)
{
	size_t i, k;

	if (atomic_fetch_sub(&set->refs, 1) != 1)
		return;
	for (i = 0; i < set->n; i++) {
		for (k = 0; k < set->sites[i].nkeys; k++)
			signature_key_free(set->sites[i].keys[k]);
		free(set->sites[i].keys);
		free(set->sites[i].name);
	}
	free(set->sites);
	free(set);
}

struct site_config *
site_config_create(
    const struct ingress_options *o, const struct site_config *old)
{
	struct site_config *config = mem_zalloc(sizeof(*config));

	atomic_init(&config->refs, 1);
	if (o->nintegrations == 0 && old != NULL) {
		(void)atomic_fetch_add(&old->set->refs, 1);
		config->set = old->set;
	} else {
		config->set = set_create(o->integrations, o->nintegrations);
	}
	config->validation = o->validation;
	config->dedupe = o->dedupe;
	config->keep_unhandled = o->keep_unhandled;
	config->max_age_ms = o->max_age_ms;
	return config;
}

struct site_config *
site_config_ref(struct site_config *config)
{
	(void)atomic_fetch_add(&config->refs, 1);
	return config;
}

void
site_config_unref(struct site_config *config)
{
	if (config == NULL || atomic_fetch_sub(&config->refs, 1) != 1)
		return;
	set_unref(config->set);
	free(config);
}

const struct site *
site_find(const struct site_config *config, struct str name)
{
	size_t i;

	for (i = 0; i < config->set->n; i++) {
		if (str_eq(name, str_of(config->set->sites[i].name)))
			return &config->set->sites[i];
	}
	return NULL;
}
