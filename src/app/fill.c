#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

#include "net/loop.h"
#include "store/store.h"

#include "app/fill.h"

#define LOOK_MS 1000

/* It has got better when it is so much below a mark. */
#define SLACK_PERCENT 5

static const unsigned int marks[] = {50, 80};

struct fill {
	struct store *store;
	struct loop_timer *timer;
	size_t told; /* Of the marks. */
	int unusable;
};

static void
look(void *cookie)
{
	struct fill *fill = cookie;
	unsigned int percent = store_fill_percent(fill->store);
	int unusable = !store_usable(fill->store);

	while (
	    fill->told > 0 && percent + SLACK_PERCENT < marks[fill->told - 1])
		fill->told--;
	for (; fill->told < NELEMS(marks) && percent >= marks[fill->told];
	     fill->told++)
		log_warn("the store gets full: what is done will be dropped "
			 "early, what is not stays (--store-max-bytes)",
		    LOG_INT("mark", marks[fill->told]),
		    LOG_INT("percent", percent));
	if (unusable && !fill->unusable)
		log_error("the store takes nothing more: deliveries are "
			  "answered 503",
		    LOG_INT("percent", percent));
	else if (!unusable && fill->unusable)
		log_info("the store works again", LOG_INT("percent", percent));
	fill->unusable = unusable;
	loop_timer_set(fill->timer, LOOK_MS);
}

struct fill *
fill_watch(struct loop *loop, struct store *store)
{
	struct fill *fill = mem_zalloc(sizeof(*fill));

	fill->store = store;
	fill->timer = loop_timer_create(loop, look, fill);
	loop_timer_set(fill->timer, 0);
	return fill;
}

void
fill_free(struct fill *fill)
{
	if (fill == NULL)
		return;
	loop_timer_free(fill->timer);
	free(fill);
}
