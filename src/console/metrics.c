#include <stdlib.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "net/httpd.h"

#include "console/console_internal.h"

struct measuring {
	struct store_counts op;
	struct console *console;
	struct httpd_request *req;
};

static void
put_gauge(struct buf *out, const char *name, const char *help, uint64_t value)
{
	buf_printf(out,
	    "# HELP moonpost_%s %s\n# TYPE moonpost_%s gauge\nmoonpost_%s "
	    "%llu\n",
	    name, help, name, name, (unsigned long long)value);
}

static void
measured(struct store_op *op)
{
	static const struct httpd_header headers[] = {
	    {"Content-Type", "text/plain; version=0.0.4; charset=utf-8"},
	    {"Cache-Control", "no-store"},
	};
	struct measuring *m = op->cookie;
	struct console *console = m->console;
	const struct console_options *o = &console->options;
	struct httpd_stats stats = httpd_stats(console->httpd);
	struct buf out = BUF_INIT;
	int state;

	if (op->rc == -1) {
		console_reply_err(m->req, &op->err);
		free(m);
		return;
	}
	if (o->metrics != NULL)
		o->metrics(o->cookie, &out);
	buf_puts(&out, "# HELP moonpost_jobs Jobs in the store, by state.\n"
		       "# TYPE moonpost_jobs gauge\n");
	for (state = STORE_PENDING; state <= STORE_DEAD; state++)
		buf_printf(&out, "moonpost_jobs{state=\"%s\"} %llu\n",
		    store_state_name((enum store_state)state),
		    (unsigned long long)m->op.ret_jobs[state]);
	buf_puts(&out,
	    "# HELP moonpost_stored_jobless Deliveries in the store without a "
	    "job, by state.\n# TYPE moonpost_stored_jobless gauge\n");
	for (state = STORE_INVALID; state <= STORE_UNHANDLED; state++)
		buf_printf(&out, "moonpost_stored_jobless{state=\"%s\"} %llu\n",
		    store_state_name((enum store_state)state),
		    (unsigned long long)m->op.ret_jobs[state]);
	put_gauge(&out, "stored_deliveries", "Deliveries in the store.",
	    m->op.ret_deliveries);
	put_gauge(&out, "store_bytes", "Size of the store.", m->op.ret_bytes);
	put_gauge(&out, "store_max_bytes", "Size that it may have; 0: any.",
	    m->op.ret_max_bytes);
	put_gauge(&out, "store_fill_percent", "How full the store is.",
	    store_fill_percent(o->store));
	put_gauge(&out, "store_usable", "1: the last write went well.",
	    (uint64_t)store_usable(o->store));
	put_gauge(&out, "console_connections", "Connections to the console.",
	    stats.open);
	httpd_reply(m->req, 200, headers, NELEMS(headers),
	    (struct str){out.data, out.len});
	buf_free(&out);
	free(m);
}

void
metrics_get(struct console *console, struct httpd_request *req)
{
	struct measuring *m = mem_zalloc(sizeof(*m));

	m->console = console;
	m->req = req;
	m->op.op.kind = STORE_OP_COUNTS;
	m->op.op.done = measured;
	m->op.op.cookie = m;
	if (console_submit(console, req, &m->op.op) == -1)
		free(m);
}
