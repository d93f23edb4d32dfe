/*
 * A stand-in for libFuzzer's main(): run one fuzz target over the files named
 * on the command line.  Lets `make test` replay the corpus with any compiler.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
main(int argc, char *argv[])
{
	static uint8_t buf[1 << 20];
	FILE *f;
	size_t n;
	int i;

	for (i = 1; i < argc; i++) {
		if ((f = fopen(argv[i], "rb")) == NULL) {
			perror(argv[i]);
			return EXIT_FAILURE;
		}
		n = fread(buf, 1, sizeof(buf), f);
		(void)fclose(f);
		(void)LLVMFuzzerTestOneInput(buf, n);
	}
	return EXIT_SUCCESS;
}
