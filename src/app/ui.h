#ifndef APP_UI_H_
#define APP_UI_H_

/*
 * Requests to UI components, between the threads of the ingress and the loop
 * that the workers are at.
 *
 * Floor: 6 (app).
 */

#include <stdint.h>

struct app_ui;
struct dispatch;
struct ingress_ui;
struct loop;

/* Make one for the main loop; free it with app_ui_free(), after the ingress and
 * the dispatcher. */
struct app_ui *app_ui_create(
    struct loop *loop, struct dispatch *dispatch, uint64_t timeout_ms);

/* Fits ingress_ui_cb; ${cookie} is the app_ui. */
void app_ui_ask(void *cookie, struct ingress_ui *ui);

/* The ingress is gone: what is still on its way has nobody who waits for it.
 * NULL has no effect. */
void app_ui_stop(struct app_ui *a);
void app_ui_free(struct app_ui *a);

#endif /* !APP_UI_H_ */
