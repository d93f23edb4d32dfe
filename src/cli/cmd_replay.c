/*
 * moonpost replay: run handlers again.
 */

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "json/jwrite.h"

#include "config/config.h"
#include "config/option.h"

#include "cli/client.h"

#define MAX_IDS 10000

static void
print_json(const struct client_answer *answer)
{
	(void)fwrite(answer->text.data, 1, answer->text.len, stdout);
	(void)fputc('\n', stdout);
}

/* "42: triage, pager" */
static void
print_replayed(const char *id, const struct jval *list)
{
	const struct jval *e;
	struct buf text = BUF_INIT;
	size_t i;

	buf_printf(&text, "%s: ", id);
	if (list == NULL || jval_kind(list) != JDOC_ARRAY || list->len == 0)
		buf_puts(&text, "nothing to replay");
	else
		for (e = list + 1, i = 0; i < list->len;
		     i++, e = jval_next(e)) {
			buf_puts(&text, i == 0 ? "" : ", ");
			client_put_value(&text, e);
		}
	cmd_put_visible(stdout, (struct str){text.data, text.len});
	(void)fputc('\n', stdout);
	buf_free(&text);
}

static int
replay_one(const struct client *client, const char *id)
{
	const struct config *config = client->call->config;
	struct client_answer answer;
	struct buf path = BUF_INIT, body = BUF_INIT;
	struct jwrite w = jwrite_begin(&body, 0);
	int status;

	buf_puts(&path, "/api/deliveries/");
	client_put_encoded(&path, id);
	buf_puts(&path, "/replay");
	jwrite_object(&w);
	if (config->script != NULL) {
		jwrite_key(&w, "scripts");
		jwrite_array(&w);
		jwrite_text(&w, config->script);
		jwrite_array_end(&w);
	}
	if (config->all_scripts) {
		jwrite_key(&w, "all");
		jwrite_bool(&w, 1);
	}
	jwrite_object_end(&w);
	status = client_call(client, buf_text(&path), body.data, &answer);
	if (status == CMD_GOOD && config->json)
		print_json(&answer);
	else if (status == CMD_GOOD)
		print_replayed(
		    id, jdoc_gets(jdoc_root(&answer.doc), "replayed"));
	client_answer_free(&answer);
	buf_free(&path);
	buf_free(&body);
	return status;
}

static void
put_member(struct jwrite *w, const char *name, const char *value)
{
	if (value != NULL)
		jwrite_member_text(w, name, value);
}

static int
replay_many(const struct client *client)
{
	const struct config *config = client->call->config;
	struct client_answer answer;
	struct buf body = BUF_INIT, text = BUF_INIT;
	struct jwrite w = jwrite_begin(&body, 0);
	const struct jval *count;
	int status;

	jwrite_object(&w);
	put_member(&w, "state", config->state);
	put_member(&w, "script", config->script);
	put_member(&w, "integration", config->integration);
	put_member(&w, "since", config->since);
	jwrite_object_end(&w);
	status = client_call(client, "/api/replay", body.data, &answer);
	if (status == CMD_GOOD && config->json) {
		print_json(&answer);
	} else if (status == CMD_GOOD) {
		count = jdoc_gets(jdoc_root(&answer.doc), "count");
		client_put_value(&text, count);
		(void)printf("%s job%s will run again\n", buf_text(&text),
		    strcmp(buf_text(&text), "1") == 0 ? "" : "s");
	}
	client_answer_free(&answer);
	buf_free(&text);
	buf_free(&body);
	return status;
}

static int
run(const struct cmd_call *call)
{
	const struct config *config = call->config;
	struct client client;
	size_t i;
	int status, worst = CMD_GOOD;

	if ((call->nargs > 0) == (config->state != NULL))
		return cmd_misuse(call,
		    "name deliveries by their ID, or all in a state with "
		    "--state dead");
	if (call->nargs > 0 &&
	    (config->since != NULL || config->integration != NULL))
		return cmd_misuse(
		    call, "--since and --integration go with --state");
	if (config->all_scripts &&
	    (config->state != NULL || config->script != NULL))
		return cmd_misuse(
		    call, "--all-scripts goes with IDs, and without --script");
	status = client_open(call, &client);
	if (status != CMD_GOOD)
		worst = status;
	else if (call->nargs == 0)
		worst = replay_many(&client);
	for (i = 0; i < call->nargs && status != CMD_UNREACHABLE; i++) {
		status = replay_one(&client, call->args[i]);
		if (status > worst)
			worst = status;
	}
	client_close(&client);
	return worst;
}

const struct cmd_entry cmd_replay = {
    .name = "replay",
    .usage = "ID... | --state dead [options]",
    .help = "run the handlers of deliveries again",
    .about =
	"Have a running host run the jobs that failed once more, from their "
	"first attempt: of deliveries that are named, or of all in a state "
	"(dead, dropped, retrying, done, invalid, unhandled). What step() has "
	"recorded for a failed job is kept. With --script only that script's "
	"jobs, whatever became of them; with --all-scripts also those that "
	"went well. A delivery that was invalid or unhandled gets the jobs "
	"that it would get now.",
    .examples = "moonpost replay 42 43\n"
		"moonpost replay 42 --script triage\n"
		"moonpost replay --state dead --since 1h",
    .options = OPTION_FOR_REPLAY,
    .max_args = MAX_IDS,
    .run = run,
};
