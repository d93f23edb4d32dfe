#include "base/clock.h"

#include "store/store_sqlite_internal.h"

uint64_t
sq_upkeep(void *self, uint64_t budget_ms)
{
	(void)self;
	(void)budget_ms;
	return 1000;
}
