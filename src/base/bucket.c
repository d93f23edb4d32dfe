#include "base/clock.h"

#include "base/bucket.h"

int
bucket_take(struct bucket *bucket, double per_second, double burst)
{
	uint64_t now = clock_mono_ms();

	if (bucket->last_mono_ms == 0)
		bucket->tokens = burst;
	else
		bucket->tokens +=
		    (double)(now - bucket->last_mono_ms) * per_second / 1000.0;
	bucket->last_mono_ms = now;
	if (bucket->tokens > burst)
		bucket->tokens = burst;
	if (bucket->tokens < 1)
		return 0;
	bucket->tokens -= 1;
	return 1;
}
