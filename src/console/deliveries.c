#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "net/httpd.h"

#include "console/console_internal.h"
#include "console/query.h"

/* ---- a page of them --------------------------------------------------------
 */

struct listing {
	struct store_list op;
	struct console *console;
	struct httpd_request *req;
	struct query_filter filter;
};

static void
listing_free(struct listing *l)
{
	query_filter_clear(&l->filter);
	free(l->op.ret_json);
	free(l);
}

static void
listed(struct store_op *op)
{
	struct listing *l = op->cookie;

	if (op->rc == -1)
		console_reply_err(l->req, &op->err);
	else
		console_reply_json(l->console, l->req,
		    (struct str){l->op.ret_json, l->op.ret_jsonlen});
	listing_free(l);
}

void
deliveries_list(struct console *console, struct httpd_request *req)
{
	struct listing *l = mem_zalloc(sizeof(*l));
	struct query_filter *f = &l->filter;
	struct store_list *op = &l->op;
	struct err err = ERR_INIT;

	l->console = console;
	l->req = req;
	if (query_filter_parse(httpd_query(req), clock_unix_ms(), f, &err) ==
	    -1) {
		httpd_reply_error(req, 400, "bad_filter", err.msg);
		free(l);
		return;
	}
	op->op.kind = STORE_OP_LIST;
	op->op.done = listed;
	op->op.cookie = l;
	op->state = f->texts[QUERY_STATE];
	op->resource = f->texts[QUERY_RESOURCE];
	op->action = f->texts[QUERY_ACTION];
	op->script = f->texts[QUERY_SCRIPT];
	op->integration = f->texts[QUERY_INTEGRATION];
	op->text = f->texts[QUERY_Q];
	op->since_unix_ms = f->since_unix_ms;
	op->until_unix_ms = f->until_unix_ms;
	op->before_id = f->before_id;
	op->limit = f->limit;
	if (console_submit(console, req, &op->op) == -1)
		listing_free(l);
}

/* ---- one of them -----------------------------------------------------------
 */

struct getting {
	struct store_get op;
	struct console *console;
	struct httpd_request *req;
};

static void
got(struct store_op *op)
{
	struct getting *g = op->cookie;

	if (op->rc == -1)
		console_reply_err(g->req, &op->err);
	else
		console_reply_json(g->console, g->req,
		    (struct str){g->op.ret_json, g->op.ret_jsonlen});
	free(g->op.ret_json);
	free(g);
}

void
deliveries_get(struct console *console, struct httpd_request *req, uint64_t id)
{
	struct getting *g = mem_zalloc(sizeof(*g));

	g->console = console;
	g->req = req;
	g->op.op.kind = STORE_OP_GET;
	g->op.op.done = got;
	g->op.op.cookie = g;
	g->op.id = id;
	if (console_submit(console, req, &g->op.op) == -1)
		free(g);
}
