#include <stddef.h>

#include "base/buf.h"
#include "schedule/plan.h"
#include "json/jwrite.h"

#include "schedule/ask.h"

int
schedule_ask(const char *declared, int64_t after_unix_s, char **ret_json,
    struct err *err)
{
	struct buf out = BUF_INIT;
	struct jwrite w = jwrite_begin(&out, 0);
	struct plans plans;
	int64_t next;
	size_t i;

	if (plans_read(declared, NULL, &plans, err) == -1)
		return -1;
	jwrite_object(&w);
	for (i = 0; i < plans.n; i++) {
		next = plan_next(&plans.list[i], after_unix_s);
		if (next >= 0)
			jwrite_member_int(&w, plans.list[i].name, next);
	}
	jwrite_object_end(&w);
	plans_clear(&plans);
	*ret_json = buf_take(&out);
	return 0;
}
