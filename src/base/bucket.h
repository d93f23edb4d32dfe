#ifndef BASE_BUCKET_H_
#define BASE_BUCKET_H_

/*
 * A token bucket: how often something may be done.
 *
 * Floor: 0 (base).
 */

#include <stdint.h>

/* All zero is a full one. */
struct bucket {
	double tokens;
	uint64_t last_mono_ms; /* 0: none was taken yet. */
};

/* Take a token of those that come ${per_second} and of which up to ${burst}
 * are kept: 1 if there was one. */
int bucket_take(struct bucket *bucket, double per_second, double burst);

#endif /* !BASE_BUCKET_H_ */
