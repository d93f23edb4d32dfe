#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "schedule/civil.h"
#include "schedule/zone.h"
#include "json/jdoc.h"

#include "schedule/plan.h"

/* ---- reading --------------------------------------------------------------
 */

static char *
text_of(const struct jval *entry, const char *key)
{
	struct str s = jdoc_get_str(entry, key);

	return s.data == NULL ? NULL : mem_strndup(s.data, s.len);
}

static int
read_one(const struct jval *entry, const char *zone_dir, struct plan *plan,
    struct err *err)
{
	const struct jval *every = jdoc_gets(entry, "every");
	struct str cron = jdoc_get_str(entry, "cron");
	char *tz = text_of(entry, "tz");
	int rc = -1;

	plan->name = text_of(entry, "name");
	plan->at = text_of(entry, "at");
	plan->skip_missed =
	    str_eq(jdoc_get_str(entry, "catch_up"), STR("none"));
	if (plan->name == NULL || plan->at == NULL) {
		(void)err_set(err, ERR_INVALID, "a schedule without a name");
	} else if (every != NULL && jval_kind(every) == JDOC_INT &&
		   every->v.i >= PLAN_EVERY_MIN_S &&
		   every->v.i <= PLAN_EVERY_MAX_S) {
		plan->every_s = every->v.i;
		plan->rule = mem_printf("every %lld", (long long)every->v.i);
		rc = 0;
	} else if (cron.data != NULL) {
		plan->rule = mem_printf("cron %.*s %s", (int)cron.len,
		    cron.data, tz == NULL ? "UTC" : tz);
		if (cron_parse(cron, &plan->cron, err) == 0)
			rc = zone_open(zone_dir, tz == NULL ? "UTC" : tz,
			    &plan->zone, err);
	} else {
		(void)err_set(err, ERR_INVALID, "a schedule without a rule");
	}
	if (rc == -1 && plan->at != NULL)
		(void)err_prefix(err, "%s", plan->at);
	free(tz);
	return rc;
}

int
plans_read(const char *declared, const char *zone_dir, struct plans *ret_plans,
    struct err *err)
{
	struct plans plans = {0};
	const struct jval *list;
	struct jdoc doc = {0};
	size_t offset, i;
	int rc = 0;

	*ret_plans = plans;
	if (declared == NULL)
		return 0;
	if (jdoc_parse(&doc, declared, strlen(declared), &offset, err) == -1) {
		jdoc_free(&doc);
		return -1;
	}
	list = jdoc_gets(jdoc_root(&doc), PLAN_KIND);
	if (list != NULL && jval_kind(list) == JDOC_ARRAY) {
		plans.list = mem_zalloc((list->len + 1) * sizeof(*plans.list));
		for (i = 0; i < list->len && rc == 0; i++) {
			plans.n++;
			rc = read_one(
			    jdoc_at(list, i), zone_dir, &plans.list[i], err);
		}
	}
	jdoc_free(&doc);
	if (rc == -1)
		plans_clear(&plans);
	*ret_plans = plans;
	return rc;
}

void
plans_clear(struct plans *plans)
{
	size_t i;

	for (i = 0; i < plans->n; i++) {
		free(plans->list[i].name);
		free(plans->list[i].rule);
		free(plans->list[i].at);
		zone_free(plans->list[i].zone);
	}
	free(plans->list);
	*plans = (struct plans){0};
}

/* ---- when -----------------------------------------------------------------
 */

int64_t
plan_next(const struct plan *plan, int64_t last_unix_s)
{
	if (plan->every_s > 0)
		return last_unix_s + plan->every_s;
	return cron_next(&plan->cron, plan->zone, last_unix_s);
}

/* A time from which it is not far to the last due one until ${now_s}. */
static int64_t
near_now(const struct plan *plan, int64_t from_s, int64_t now_s)
{
	static const int64_t back_s[] = {
	    3600, CIVIL_DAY_S, 32 * CIVIL_DAY_S, 367 * CIVIL_DAY_S};
	int64_t next;
	size_t i;

	for (i = 0; i < NELEMS(back_s); i++) {
		if (now_s - back_s[i] <= from_s)
			break;
		next = plan_next(plan, now_s - back_s[i]);
		if (next != -1 && next <= now_s)
			return now_s - back_s[i];
	}
	return from_s;
}

int
plan_look(const struct plan *plan, int64_t last_unix_s, int64_t now_unix_s,
    struct plan_due *ret_due)
{
	int64_t due = plan_next(plan, last_unix_s), next, n = 0;

	if (due == -1 || due > now_unix_s)
		return 0;
	if (plan->every_s > 0) {
		n = (now_unix_s - due) / plan->every_s;
		due += n * plan->every_s;
	} else {
		while ((next = cron_next(&plan->cron, plan->zone, due)) != -1 &&
		       next <= now_unix_s) {
			due = next;
			if (++n == PLAN_MISSED_MAX)
				due = near_now(plan, due, now_unix_s);
		}
	}
	ret_due->due_unix_s = due;
	ret_due->missed = n < PLAN_MISSED_MAX ? n : PLAN_MISSED_MAX;
	ret_due->skip = plan->skip_missed && now_unix_s - due > PLAN_GRACE_S;
	return 1;
}
