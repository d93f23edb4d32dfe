#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "json/jdoc.h"
#include "json/jwrite.h"

#include "dispatch/run.h"

#define MIN_SLOTS 64

/* A log line with more fields loses the others. */
#define MAX_FIELDS 100

/* Keys of a log line that a script cannot set. */
static const char *const reserved[] = {
    "time", "level", "msg", "script", "delivery"};

/* ---- the table ---------------------------------------------------------- */

static struct run **
slot_of(const struct run_table *t, uint64_t job_id)
{
	return &t->slots[job_id & (t->nslots - 1)];
}

static void
resize(struct run_table *t, size_t nslots)
{
	struct run_table bigger = {
	    mem_array(nslots, sizeof(struct run *)), nslots, 0};
	struct run *run, *next;
	size_t i;

	for (i = 0; i < t->nslots; i++) {
		for (run = t->slots[i]; run != NULL; run = next) {
			next = run->next;
			run_table_put(&bigger, run);
		}
	}
	free(t->slots);
	*t = bigger;
}

void
run_table_put(struct run_table *t, struct run *run)
{
	struct run **slot;

	if (t->count >= t->nslots)
		resize(t, t->nslots == 0 ? MIN_SLOTS : t->nslots * 2);
	slot = slot_of(t, run->job->id);
	run->next = *slot;
	*slot = run;
	t->count++;
}

struct run *
run_table_get(const struct run_table *t, uint64_t job_id)
{
	struct run *run;

	if (t->count == 0)
		return NULL;
	for (run = *slot_of(t, job_id); run != NULL; run = run->next)
		if (run->job->id == job_id)
			return run;
	return NULL;
}

void
run_table_remove(struct run_table *t, struct run *run)
{
	struct run **at = slot_of(t, run->job->id);

	while (*at != run)
		at = &(*at)->next;
	*at = run->next;
	t->count--;
}

struct run *
run_table_find(const struct run_table *t,
    int (*match)(const struct run *run, const void *cookie), const void *cookie)
{
	struct run *run;
	size_t i;

	for (i = 0; i < t->nslots; i++)
		for (run = t->slots[i]; run != NULL; run = run->next)
			if (match(run, cookie))
				return run;
	return NULL;
}

void
run_table_free(struct run_table *t)
{
	free(t->slots);
	*t = (struct run_table){NULL, 0, 0};
}

/* ---- one run ------------------------------------------------------------ */

struct run *
run_create(struct store_job *job, struct feed *feed)
{
	struct run *run = mem_zalloc(sizeof(*run));

	run->feed = feed;
	run->job = job;
	run->handler = job->handler;
	run->started_unix_ms = clock_unix_ms();
	run->started_mono_ms = clock_mono_ms();
	(void)snprintf(
	    run->delivery, sizeof(run->delivery), "%" PRIu64, job->delivery_id);
	return run;
}

void
run_free(struct run *run)
{
	if (run == NULL)
		return;
	proto_outcome_clear(&run->outcome);
	buf_free(&run->log);
	buf_free(&run->calls);
	store_job_free(run->job);
	free(run);
}

/* The sending side of a frame only reads its texts. */
static char *
text(const char *s)
{
	return (char *)(uintptr_t)s;
}

void
run_send(const struct run *run, uint64_t bundle, struct buf *out)
{
	const struct store_job *job = run->job;
	struct proto_run m = {
	    .bundle = bundle,
	    .handler = text(run->handler),
	    .delivery = text(run->delivery),
	    .integration = job->integration,
	    .resource = job->resource,
	    .channel = job->channel,
	    .action = job->action,
	    .request_id = job->request_id,
	    .received_unix_ms = job->received_unix_ms,
	    .attempt = job->attempt,
	    .headers_json = job->headers_json,
	    .warnings_json = job->warnings_json,
	    .body = job->body,
	    .nsteps = job->nsteps,
	};
	size_t i;

	m.steps = mem_array(job->nsteps + 1, sizeof(*m.steps));
	for (i = 0; i < job->nsteps; i++)
		m.steps[i] = (struct proto_step){
		    job->steps[i].name, job->steps[i].result_json};
	proto_put_run(out, job->id, &m);
	free(m.steps);
}

/* The worker says that it is JSON; here it becomes certain, and compact. */
static void
put_value(struct buf *out, struct str json)
{
	struct jdoc doc = {0};
	struct jwrite w = jwrite_begin(out, 0);
	size_t offset;

	if (json.data != NULL &&
	    jdoc_parse(&doc, json.data, json.len, &offset, NULL) == 0)
		jwrite_jval(&w, jdoc_root(&doc));
	else
		jwrite_str(&w, json);
	jdoc_free(&doc);
}

static int
is_reserved(struct str key)
{
	size_t i;

	for (i = 0; i < NELEMS(reserved); i++)
		if (str_eq(key, str_of(reserved[i])))
			return 1;
	return 0;
}

char *
run_clean(char *text, size_t max, run_redact *redact, void *cookie)
{
	struct buf clean = BUF_INIT;
	size_t len;

	if (text == NULL)
		return NULL;
	buf_puts(&clean, text);
	free(text);
	if (redact != NULL)
		redact(cookie, &clean);
	len = clean.len;
	if (max > 0 && len > max) {
		for (len = max; len > 0 && (clean.data[len] & 0xC0) == 0x80;)
			len--;
	}
	text = mem_strndup(buf_text(&clean), len);
	buf_free(&clean);
	return text;
}

/* Keep a line with the run.  ${values} are the fields' as JSON. */
static void
keep(struct run *run, const struct proto_log *log, const char *message,
    const struct buf *values, size_t n)
{
	struct buf line = BUF_INIT;
	struct jwrite w = jwrite_begin(&line, 0);
	size_t i;

	jwrite_object(&w);
	jwrite_key(&w, "at");
	jwrite_time(&w, log->at_unix_ms);
	jwrite_member_text(
	    &w, "level", log_level_name((enum log_level)log->level));
	jwrite_member_text(&w, "message", message);
	jwrite_key(&w, "fields");
	jwrite_object(&w);
	for (i = 0; i < n; i++) {
		jwrite_keyn(&w, log->fields[i].key);
		jwrite_raw(&w, (struct str){values[i].data, values[i].len});
	}
	jwrite_object_end(&w);
	jwrite_object_end(&w);
	if (run->nlines >= RUN_MAX_LINES ||
	    run->log.len + line.len > RUN_MAX_LOG) {
		run->nlost++;
	} else {
		if (run->nlines++ > 0)
			buf_putc(&run->log, ',');
		buf_put(&run->log, line.data, line.len);
	}
	buf_free(&line);
}

void
run_log(struct run *run, const char *script, const struct proto_log *log,
    run_redact *redact, void *cookie)
{
	struct log_field fields[MAX_FIELDS + 2] = {
	    LOG_STR("script", script),
	    LOG_OPT("delivery",
		run == NULL || run->job == NULL ? NULL : run->delivery),
	};
	struct buf *values;
	char **keys, *message;
	size_t i, n;
	enum log_level level =
	    log->level <= LOG_ERROR ? (enum log_level)log->level : LOG_ERROR;

	/* A script in a loop must not fill the disk, either. */
	if (run != NULL && run->nlost > 0) {
		run->nlost++;
		return;
	}
	n = log->nfields < MAX_FIELDS ? log->nfields : MAX_FIELDS;
	values = mem_array(n + 1, sizeof(*values));
	keys = mem_array(n + 1, sizeof(*keys));
	for (i = 0; i < n; i++) {
		put_value(&values[i], log->fields[i].json);
		keys[i] = mem_strndup(
		    log->fields[i].key.data, log->fields[i].key.len);
		fields[i + 2] = (struct log_field)LOG_JSON(
		    keys[i], values[i].data, values[i].len);
		if (is_reserved(log->fields[i].key))
			fields[i + 2].key = NULL;
	}
	message =
	    run_clean(mem_strdup(log->message == NULL ? "" : log->message),
		PROTO_TEXT_KEPT, redact, cookie);
	log_write(level, message, fields, n + 2);
	if (run != NULL)
		keep(run, log, message, values, n);
	free(message);
	for (i = 0; i < n; i++) {
		buf_free(&values[i]);
		free(keys[i]);
	}
	free(values);
	free(keys);
}

/* Text that is not longer than is worth keeping. */
static void
put_cut(struct jwrite *w, const char *key, struct str s, run_redact *redact,
    void *cookie)
{
	char *text = NULL;

	if (s.len > 0)
		text = run_clean(
		    mem_strndup(s.data, s.len), RUN_MAX_URL, redact, cookie);
	jwrite_member_text(w, key, text);
	free(text);
}

void
run_call(struct run *run, const struct proto_call *call, run_redact *redact,
    void *cookie)
{
	struct jwrite w = jwrite_begin(&run->calls, 0);

	if (run->ncalls >= RUN_MAX_CALLS)
		return;
	if (run->ncalls++ > 0)
		buf_putc(&run->calls, ',');
	jwrite_object(&w);
	put_cut(&w, "method", call->method, redact, cookie);
	put_cut(&w, "url", call->url, redact, cookie);
	jwrite_key(&w, "status");
	if (call->status == 0)
		jwrite_null(&w);
	else
		jwrite_uint(&w, call->status);
	jwrite_key(&w, "duration_ms");
	jwrite_uint(&w, call->duration_ms);
	put_cut(&w, "error", call->error, redact, cookie);
	jwrite_object_end(&w);
}

/* Put brackets around a list, if there is one. */
static void
close_list(struct buf *list)
{
	struct buf whole = BUF_INIT;

	if (list->len > 0) {
		buf_putc(&whole, '[');
		buf_put(&whole, list->data, list->len);
		buf_putc(&whole, ']');
	}
	buf_free(list);
	*list = whole;
}

void
run_record(
    struct run *run, const char *outcome, run_redact *redact, void *cookie)
{
	char at[CLOCK_RFC3339_SIZE];

	/* How many there were nobody knows: the worker sends no more, either.
	 */
	if (run->nlost > 0)
		buf_printf(&run->log,
		    "%s{\"at\":\"%s\",\"level\":\"warn\",\"message\":"
		    "\"" PROTO_LOG_LIMIT "\",\"fields\":{}}",
		    run->nlines > 0 ? "," : "",
		    clock_rfc3339(clock_unix_ms(), at));
	close_list(&run->log);
	close_list(&run->calls);
	if (redact != NULL) {
		redact(cookie, &run->log);
		redact(cookie, &run->calls);
	}
	run->outcome.error =
	    run_clean(run->outcome.error, PROTO_TEXT_KEPT, redact, cookie);
	run->outcome.traceback =
	    run_clean(run->outcome.traceback, 0, redact, cookie);
	run->record = (struct store_run){
	    .started_unix_ms = run->started_unix_ms,
	    .duration_ms = run->outcome.duration_ms,
	    .cpu_us = run->outcome.cpu_us,
	    .memory_bytes = run->outcome.memory_bytes,
	    .outcome = outcome,
	    .error = run->outcome.error,
	    .traceback = run->outcome.traceback,
	    .log_json = {run->log.data, run->log.len},
	    .calls_json = {run->calls.data, run->calls.len},
	};
}
