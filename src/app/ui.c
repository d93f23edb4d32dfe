#include <stdlib.h>

#include "base/mailbox.h"
#include "base/mem.h"
#include "dispatch/dispatch.h"
#include "ingress/ingress.h"
#include "net/loop.h"

#include "app/ui.h"

struct app_ui {
	struct loop *loop;
	struct dispatch *dispatch;
	uint64_t timeout_ms;
	int stopped; /* The main thread's. */
};

struct app_ui *
app_ui_create(struct loop *loop, struct dispatch *dispatch, uint64_t timeout_ms)
{
	struct app_ui *a = mem_zalloc(sizeof(*a));

	a->loop = loop;
	a->dispatch = dispatch;
	a->timeout_ms = timeout_ms;
	return a;
}

static void
answered(void *cookie, const struct dispatch_reply *reply)
{
	struct ingress_ui *ui = cookie;
	const struct app_ui *a = ui->carrier;

	if (a->stopped) {
		ingress_ui_free(ui);
		return;
	}
	ui->status = reply->status;
	buf_put(&ui->body, reply->body.data, reply->body.len);
	ui->location = mem_strdup(reply->location);
	ingress_ui_return(ui);
}

/* On the main loop. */
static void
arrived(struct mail *mail)
{
	struct ingress_ui *ui = (struct ingress_ui *)mail;
	struct app_ui *a = ui->carrier;
	struct dispatch_request request;

	if (a->stopped) {
		ingress_ui_free(ui);
		return;
	}
	request = (struct dispatch_request){
	    .integration = ui->integration,
	    .route = ui->route,
	    .request_json = {ui->request.data, ui->request.len},
	    .deadline_ms = a->timeout_ms,
	    .done = answered,
	    .cookie = ui,
	};
	dispatch_invoke(a->dispatch, &request);
}

void
app_ui_ask(void *cookie, struct ingress_ui *ui)
{
	struct app_ui *a = cookie;

	ui->carrier = a;
	ui->mail.open = arrived;
	mailbox_put(loop_mailbox(a->loop), &ui->mail);
}

void
app_ui_stop(struct app_ui *a)
{
	if (a != NULL)
		a->stopped = 1;
}

void
app_ui_free(struct app_ui *a)
{
	free(a);
}
