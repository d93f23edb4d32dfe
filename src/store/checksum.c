#include <pthread.h>
#include <string.h>

#include "store/checksum.h"

#define CRC32C_POLY 0x82F63B78U /* Castagnoli's, its bits reversed. */

static uint32_t table[8][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void
make_table(void)
{
	uint32_t c;
	unsigned int i, k;

	for (i = 0; i < 256; i++) {
		c = i;
		for (k = 0; k < 8; k++)
			c = (c >> 1) ^ ((c & 1) != 0 ? CRC32C_POLY : 0);
		table[0][i] = c;
	}
	for (i = 0; i < 256; i++) {
		for (k = 1; k < 8; k++)
			table[k][i] = (table[k - 1][i] >> 8) ^
				      table[0][table[k - 1][i] & 0xFF];
	}
}

/* Eight bytes a round, each by a table of its own. */
static uint32_t
crc_portable(uint32_t crc, const uint8_t *p, size_t len)
{
	(void)pthread_once(&table_once, make_table);
	for (; len >= 8; len -= 8, p += 8) {
		crc ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 |
		       (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
		crc = table[7][crc & 0xFF] ^ table[6][(crc >> 8) & 0xFF] ^
		      table[5][(crc >> 16) & 0xFF] ^ table[4][crc >> 24] ^
		      table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^
		      table[0][p[7]];
	}
	while (len-- > 0)
		crc = (crc >> 8) ^ table[0][(crc ^ *p++) & 0xFF];
	return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t
crc_sse42(uint32_t crc, const uint8_t *p, size_t len)
{
	uint64_t c = crc, word;

	for (; len >= 8; len -= 8, p += 8) {
		(void)memcpy(&word, p, 8);
		c = __builtin_ia32_crc32di(c, word);
	}
	crc = (uint32_t)c;
	while (len-- > 0)
		crc = __builtin_ia32_crc32qi(crc, *p++);
	return crc;
}
#endif

uint32_t
checksum_crc32c(uint32_t crc, const void *data, size_t len)
{
	if (len == 0)
		return crc;
#if defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2"))
		return ~crc_sse42(~crc, data, len);
#endif
	return ~crc_portable(~crc, data, len);
}

static uint64_t
rotl(uint64_t x, unsigned int n)
{
	return x << n | x >> (64 - n);
}

static void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

uint64_t
checksum_hash(struct str s, uint64_t salt)
{
	const uint64_t k0 = 0x6D6F6F6E706F7374U ^ salt, k1 = ~salt;
	uint64_t v[4] = {k0 ^ 0x736F6D6570736575U, k1 ^ 0x646F72616E646F6DU,
	    k0 ^ 0x6C7967656E657261U, k1 ^ 0x7465646279746573U};
	uint64_t word;
	size_t i;

	for (i = 0; i + 8 <= s.len; i += 8) {
		(void)memcpy(&word, s.data + i, 8);
		v[3] ^= word;
		sip_round(v);
		sip_round(v);
		v[0] ^= word;
	}
	word = (uint64_t)s.len << 56;
	for (; i < s.len; i++)
		word |= (uint64_t)(unsigned char)s.data[i] << (8 * (i % 8));
	v[3] ^= word;
	sip_round(v);
	sip_round(v);
	v[0] ^= word;
	v[2] ^= 0xFF;
	for (i = 0; i < 4; i++)
		sip_round(v);
	word = v[0] ^ v[1] ^ v[2] ^ v[3];
	return word == 0 ? 1 : word;
}
