#ifndef TESTS_UNIT_SCRATCH_H_
#define TESTS_UNIT_SCRATCH_H_

/*
 * A folder of a test's own, and files in it.
 */

#include <sys/stat.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct scratch {
	char dir[64];
};

static inline void
scratch_make(struct scratch *s)
{
	(void)snprintf(s->dir, sizeof(s->dir), "/tmp/moonpost-XXXXXX");
	if (mkdtemp(s->dir) == NULL)
		abort();
}

static inline int
scratch_rm(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void
scratch_clear(struct scratch *s)
{
	(void)nftw(s->dir, scratch_rm, 8, FTW_DEPTH | FTW_PHYS);
}

/* The path of ${name} in there; valid until the eighth call after. */
static inline const char *
scratch_path(const struct scratch *s, const char *name)
{
	static char ring[8][256];
	static unsigned int next;
	char *path = ring[next++ % 8];

	(void)snprintf(path, sizeof(ring[0]), "%s/%s", s->dir, name);
	return path;
}

static inline void
scratch_mkdir(const struct scratch *s, const char *name)
{
	if (mkdir(scratch_path(s, name), 0700) == -1)
		abort();
}

/* Write in place, as a careless editor does. */
static inline void
scratch_write(const struct scratch *s, const char *name, const char *text)
{
	FILE *f = fopen(scratch_path(s, name), "w");

	if (f == NULL || fputs(text, f) == EOF || fclose(f) == EOF)
		abort();
}

/* Write beside and rename over, as a careful one does. */
static inline void
scratch_replace(const struct scratch *s, const char *name, const char *text)
{
	scratch_write(s, ".new", text);
	if (rename(scratch_path(s, ".new"), scratch_path(s, name)) == -1)
		abort();
}

#endif /* !TESTS_UNIT_SCRATCH_H_ */
