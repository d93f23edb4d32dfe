#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <malloc.h>
#include <signal.h>
#include <unistd.h>

#include "base/mem.h"

#include "script/worker_process.h"
#include "wire/proto.h"

/* What is free is kept for the next event, up to so much. */
#define KEEP_BYTES (4U << 20)

/* Beside the host on a core that is busy, all workers get about a tenth of it:
 * what comes in is kept first. */
#define WORKER_NICE 10

struct proto_page *
worker_process_page(struct proto_page *spare)
{
	struct stat st;
	void *page;

	if (fstat(PROTO_PAGE_FD, &st) == -1 || !S_ISREG(st.st_mode) ||
	    st.st_size != (off_t)sizeof(struct proto_page))
		return spare;
	page = mmap(NULL, sizeof(struct proto_page), PROT_READ | PROT_WRITE,
	    MAP_SHARED, PROTO_PAGE_FD, 0);
	(void)close(PROTO_PAGE_FD);
	return page == MAP_FAILED ? spare : page;
}

void
worker_process_set_up(void)
{
	(void)signal(SIGPIPE, SIG_IGN);
	/* What is sent to all processes of a terminal or a service is the
	 * host's; it tells us to stop when the handlers have ended. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)prctl(PR_SET_NAME, "moonpost-worker");
	/* Scripts run behind what comes in: the host goes first. */
	(void)setpriority(PRIO_PROCESS, 0, WORKER_NICE);
	/* Address space is limited, and an arena reserves 64 MiB of it. */
	(void)mallopt(M_ARENA_MAX, 2);
	mem_keep(KEEP_BYTES);
}
