#ifndef APP_UNSAFE_H_
#define APP_UNSAFE_H_

/*
 * The scripts that --unsafe-stdlib names: what is said of them, and how the
 * host keeps itself to itself.
 *
 * Floor: 6 (app).  May include everything below.
 */

struct config;
struct dispatch;

/* Before any script is loaded: warn of what was asked for, and hide the memory
 * and the environment of this process from others of the same user. */
void app_unsafe_begin(const struct config *config);

/* When all are loaded: warn of names that no script has. */
void app_unsafe_look(
    const struct config *config, const struct dispatch *dispatch);

#endif /* !APP_UNSAFE_H_ */
