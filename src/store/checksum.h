#ifndef STORE_CHECKSUM_H_
#define STORE_CHECKSUM_H_

/*
 * Short names for bytes: CRC-32C tells whether a body is what was written, and
 * SipHash stands for keys that are remembered by the million.
 *
 * Floor: 2 (store).  May include base/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/**
 * checksum_crc32c(crc, data, len):
 * Go on with a CRC-32C (Castagnoli); ${crc} is 0 at first.
 *
 * Thread:    any.
 */
uint32_t checksum_crc32c(uint32_t crc, const void *data, size_t len);

/**
 * checksum_hash(s, salt):
 * SipHash-2-4 of ${s} under a fixed key; another ${salt} is another function.
 * Never 0.
 *
 * Thread:    any.
 */
uint64_t checksum_hash(struct str s, uint64_t salt);

#endif /* !STORE_CHECKSUM_H_ */
