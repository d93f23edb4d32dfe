/*
 * moonpost pause, resume, discard: a script's backlog.
 */

#include <string.h>

#include "base/err.h"
#include "json/jwrite.h"

#include "config/config.h"
#include "config/option.h"

#include "cli/client.h"

/* What was done, for a person. */
static void
tell(const struct cmd_call *call, const struct jval *answer)
{
	const char *script = call->args[0];
	struct buf count = BUF_INIT;

	if (call->entry == &cmd_pause)
		(void)printf("%s is paused: its jobs wait for 'moonpost resume "
			     "%s'\n",
		    script, script);
	else if (call->entry == &cmd_resume)
		(void)printf("%s goes on\n", script);
	else {
		client_put_value(&count, jdoc_gets(answer, "count"));
		(void)printf("%s job%s of %s dropped\n", buf_text(&count),
		    strcmp(buf_text(&count), "1") == 0 ? "" : "s", script);
	}
	buf_free(&count);
}

static int
run(const struct cmd_call *call)
{
	const struct config *config = call->config;
	struct client_answer answer = {.text = BUF_INIT};
	struct buf path = BUF_INIT, body = BUF_INIT;
	struct jwrite w = jwrite_begin(&body, 0);
	struct client client;
	int status;

	if (call->nargs == 0)
		return cmd_misuse(
		    call, "name a script ('moonpost scripts' lists them)");
	buf_puts(&path, "/api/scripts/");
	client_put_encoded(&path, call->args[0]);
	buf_printf(&path, "/%s", call->entry->name);
	jwrite_object(&w);
	if (config->integration != NULL)
		jwrite_member_text(&w, "integration", config->integration);
	jwrite_object_end(&w);
	status = client_open(call, &client);
	if (status == CMD_GOOD)
		status =
		    client_call(&client, buf_text(&path), body.data, &answer);
	if (status == CMD_GOOD && config->json) {
		(void)fwrite(answer.text.data, 1, answer.text.len, stdout);
		(void)fputc('\n', stdout);
	} else if (status == CMD_GOOD) {
		tell(call, jdoc_root(&answer.doc));
	}
	client_answer_free(&answer);
	client_close(&client);
	buf_free(&path);
	buf_free(&body);
	return status;
}

const struct cmd_entry cmd_pause = {
    .name = "pause",
    .usage = "SCRIPT [options]",
    .help = "hold the jobs of a script",
    .about = "Have a running host hold what waits for a script, also after a "
	     "restart. Deliveries go on being accepted, and wait.",
    .examples = "moonpost pause pager",
    .options = OPTION_FOR_CONTROL,
    .max_args = 1,
    .run = run,
};

const struct cmd_entry cmd_resume = {
    .name = "resume",
    .usage = "SCRIPT [options]",
    .help = "let the jobs of a script go on",
    .about = "Have a running host go on with a script that was paused, or "
	     "parked because its worker had to be killed.",
    .examples = "moonpost resume pager",
    .options = OPTION_FOR_CONTROL,
    .max_args = 1,
    .run = run,
};

const struct cmd_entry cmd_discard = {
    .name = "discard",
    .usage = "SCRIPT [options]",
    .help = "drop the jobs that wait for a script",
    .about = "Have a running host drop every job that waits for a script, also "
	     "those between two attempts. They are kept as dropped, and can be "
	     "replayed.",
    .examples = "moonpost discard pager",
    .options = OPTION_FOR_CONTROL,
    .max_args = 1,
    .run = run,
};
