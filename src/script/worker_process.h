#ifndef SCRIPT_WORKER_PROCESS_H_
#define SCRIPT_WORKER_PROCESS_H_

/*
 * What makes a process a worker: its signals, its rank among others, its
 * allocator, the page of memory that it shares with the host.
 *
 * Floor: 4 (script).  May include base/, wire/.
 */

struct proto_page;

/* Set this process up.  Thread: the first, before there are others. */
void worker_process_set_up(void);

/**
 * worker_process_page(spare):
 * The page that the host looks at, if it gave one; else ${spare}, which nobody
 * sees.
 *
 * Ownership: the process's, to its end.
 */
struct proto_page *worker_process_page(struct proto_page *spare);

#endif /* !SCRIPT_WORKER_PROCESS_H_ */
