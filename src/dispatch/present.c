#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

#include "dispatch/dispatch_internal.h"

/* Those whose jobs wait are shown as well. */
static void
take_gone(struct dispatch *d, const struct store_present *op)
{
	const struct store_script_name *gone;
	size_t i;

	for (i = 0; i < op->ret_ngone; i++) {
		gone = &op->ret_gone[i];
		if (!scripts_add_gone(
			d->scripts, gone->integration, gone->script))
			continue;
		log_warn("jobs wait for a script that is gone",
		    LOG_STR("script", gone->script),
		    LOG_STR("integration", gone->integration));
	}
}

static void
on_present(struct store_op *op)
{
	struct dispatch *d = op->cookie;

	d->telling = 0;
	free(d->present_names);
	d->present_names = NULL;
	if (op->rc == -1) {
		dispatch_store_trouble(d, op->err.msg);
		d->tell_again = 1;
	} else {
		if (!d->draining)
			take_gone(d, &d->present);
		store_present_clear(&d->present);
		if (d->tell_again)
			dispatch_tell_present(d);
	}
	dispatch_check_drained(d);
}

void
dispatch_tell_present(struct dispatch *d)
{
	const struct script *script;
	struct err err = ERR_INIT;
	size_t n = 0;

	if (d->telling || d->draining) {
		d->tell_again = 1;
		return;
	}
	d->tell_again = 0;
	for (script = scripts_first(d->scripts); script != NULL;
	     script = script->next)
		n++;
	d->present_names = mem_array(n + 1, sizeof(*d->present_names));
	n = 0;
	for (script = scripts_first(d->scripts); script != NULL;
	     script = script->next) {
		if (!script->removed)
			d->present_names[n++] = (struct store_script_name){
			    script->integration, script->name};
	}
	d->present = (struct store_present){
	    .op = {.kind = STORE_OP_PRESENT,
		.reply_to = d->options.mailbox,
		.done = on_present,
		.cookie = d},
	    .scripts = d->present_names,
	    .nscripts = n,
	};
	if (store_submit(d->options.store, &d->present.op, &err) == -1) {
		free(d->present_names);
		d->present_names = NULL;
		dispatch_store_trouble(d, err.msg);
		d->tell_again = 1;
		return;
	}
	d->telling = 1;
}
