#include <sys/random.h>
#include <sys/types.h>

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "crypto/random.h"

void
random_bytes(void *ret, size_t len)
{
	uint8_t *at = ret;
	ssize_t n;

	while (len > 0) {
		n = getrandom(at, len, 0);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			abort();
		at += n;
		len -= (size_t)n;
	}
}

void
random_hex(char *ret, size_t nbytes)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t chunk[32];
	size_t i, n;

	for (; nbytes > 0; nbytes -= n) {
		n = nbytes < sizeof(chunk) ? nbytes : sizeof(chunk);
		random_bytes(chunk, n);
		for (i = 0; i < n; i++) {
			*ret++ = digits[chunk[i] >> 4];
			*ret++ = digits[chunk[i] & 15];
		}
	}
	*ret = '\0';
}

char *
random_uuid4(char ret[static RANDOM_UUID_SIZE])
{
	uint8_t b[16];

	random_bytes(b, sizeof(b));
	b[6] = (uint8_t)((b[6] & 0x0F) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3F) | 0x80);
	(void)snprintf(ret, RANDOM_UUID_SIZE,
	    "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
	    "%02x%02x%02x%02x%02x%02x",
	    b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10],
	    b[11], b[12], b[13], b[14], b[15]);
	return ret;
}
