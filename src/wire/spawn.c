#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

#include "wire/spawn.h"

/* Thousands of connections to peers (script/worker keeps below that), and some
 * room. */
#define MAX_FILES 16384

/* Descriptors are moved to numbers from here up before they are put in place,
 * so that putting one cannot overwrite another. */
#define SPARE_FD 16

/* Where the report of a failed exec goes in the child. */
#define REPORT_FD (PROTO_PAGE_FD + 1)

/* What the child needs to know; it may not allocate. */
struct child {
	const char *program;
	uint64_t address_bytes;
	pid_t parent;
	int socket;
	int page;
	int report;
};

static int
limit(int resource, rlim_t n)
{
	struct rlimit now, set = {n, n};

	/* Never above what the host itself was given. */
	if (getrlimit((__rlimit_resource_t)resource, &now) == 0 &&
	    now.rlim_max != RLIM_INFINITY && now.rlim_max < n)
		set.rlim_cur = set.rlim_max = now.rlim_max;
	return setrlimit((__rlimit_resource_t)resource, &set);
}

/* Descriptors 0 to 5 are what they should be, and there is no other. */
static int
child_files(const struct child *c)
{
	int s, p, r, null;

	s = fcntl(c->socket, F_DUPFD, SPARE_FD);
	p = fcntl(c->page, F_DUPFD, SPARE_FD);
	r = fcntl(c->report, F_DUPFD, SPARE_FD);
	null = open("/dev/null", O_RDWR);
	if (s == -1 || p == -1 || r == -1 || null == -1)
		return -1;
	if (dup2(null, STDIN_FILENO) == -1 || dup2(null, STDOUT_FILENO) == -1 ||
	    dup2(s, PROTO_SOCKET_FD) == -1 || dup2(p, PROTO_PAGE_FD) == -1 ||
	    dup2(r, REPORT_FD) == -1)
		return -1;
	if (fcntl(REPORT_FD, F_SETFD, FD_CLOEXEC) == -1)
		return -1;
	return close_range(REPORT_FD + 1, ~0U, 0);
}

static int
child_limits(const struct child *c)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return -1;
	/* The host may have died before it could be told of. */
	if (getppid() != c->parent) {
		errno = ESRCH;
		return -1;
	}
	if (limit(RLIMIT_CORE, 0) == -1 ||
	    limit(RLIMIT_NOFILE, MAX_FILES) == -1)
		return -1;
	if (!INSTRUMENTED && c->address_bytes != 0 &&
	    limit(RLIMIT_AS, (rlim_t)c->address_bytes) == -1)
		return -1;
	return 0;
}

/* Only what is safe after fork() in a process with threads. */
static void ATTR_NORETURN
child_main(const struct child *c)
{
	static char name[] = "moonpost", command[] = "worker";
	static char *argv[] = {name, command, NULL};
	static char *envp[3]; /* Empty, but for what a sanitizer is told. */
	sigset_t none;
	int sig, code, n = 0;
	char **e;

	/* What the host ignores or blocks is its own business. */
	for (sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);

	for (e = environ; INSTRUMENTED && *e != NULL && n < 2; e++) {
		if (strncmp(*e, "ASAN_OPTIONS=", 13) == 0 ||
		    strncmp(*e, "UBSAN_OPTIONS=", 14) == 0)
			envp[n++] = *e;
	}
	if (child_files(c) == 0 && child_limits(c) == 0)
		(void)execve(c->program, argv, envp);
	code = errno;
	(void)!write(REPORT_FD, &code, sizeof(code));
	_exit(127);
}

/*
 * The status page: sealed, so that whoever else has it cannot make it shorter,
 * which would kill the host by SIGBUS when it looks.
 */
static int
make_page(const struct proto_page **ret_page)
{
	void *page;
	int fd;

	fd = memfd_create("moonpost-worker", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd == -1)
		return -1;
	if (ftruncate(fd, sizeof(struct proto_page)) == -1 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) ==
		-1)
		goto fail;
	page =
	    mmap(NULL, sizeof(struct proto_page), PROT_READ, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		goto fail;
	*ret_page = page;
	return fd;

fail:
	(void)close(fd);
	return -1;
}

/* Wait until the pipe closes, which exec does; what comes before is why not. */
static int
read_report(int fd)
{
	int code;
	ssize_t n;

	do
		n = read(fd, &code, sizeof(code));
	while (n == -1 && errno == EINTR);
	return n == (ssize_t)sizeof(code) ? code : 0;
}

int
worker_spawn(const char *program, uint64_t address_bytes,
    struct worker_proc *ret, struct err *err)
{
	struct worker_proc proc = WORKER_PROC_INIT;
	struct child child = {program, address_bytes, getpid(), -1, -1, -1};
	int pair[2] = {-1, -1}, report[2] = {-1, -1};
	int code, rc = -1;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1 ||
	    pipe2(report, O_CLOEXEC) == -1 ||
	    (child.page = make_page(&proc.page)) == -1) {
		(void)err_set(err, ERR_UNAVAILABLE,
		    "cannot make the socket of a worker: %s", strerror(errno));
		goto out;
	}
	child.socket = pair[1];
	child.report = report[1];

	proc.pid = fork();
	if (proc.pid == -1) {
		(void)err_set(err, ERR_UNAVAILABLE, "cannot start a worker: %s",
		    strerror(errno));
		goto out;
	}
	if (proc.pid == 0)
		child_main(&child);

	/* Ours must be closed, or we would wait for ourselves. */
	(void)close(report[1]);
	report[1] = -1;
	if ((code = read_report(report[0])) != 0) {
		(void)waitpid(proc.pid, NULL, 0);
		(void)err_set(err, ERR_UNAVAILABLE,
		    "cannot start the worker %s: %s", program, strerror(code));
		goto out;
	}
	proc.fd = pair[0];
	pair[0] = -1;
	if (fcntl(proc.fd, F_SETFL, O_NONBLOCK) == -1) {
		/* Cannot happen; the worker ends as its socket closes. */
		(void)err_set(err, ERR_INTERNAL,
		    "cannot set up the socket of "
		    "a worker: %s",
		    strerror(errno));
		(void)kill(proc.pid, SIGKILL);
		(void)waitpid(proc.pid, NULL, 0);
		goto out;
	}

	/* Success! */
	*ret = proc;
	proc = (struct worker_proc)WORKER_PROC_INIT;
	rc = 0;

out:
	worker_proc_clear(&proc);
	if (child.page != -1)
		(void)close(child.page);
	if (pair[0] != -1)
		(void)close(pair[0]);
	if (pair[1] != -1)
		(void)close(pair[1]);
	if (report[0] != -1)
		(void)close(report[0]);
	if (report[1] != -1)
		(void)close(report[1]);
	return rc;
}

void
worker_proc_clear(struct worker_proc *proc)
{
	/* munmap() wants it writable; the mapping is not. */
	if (proc->page != NULL)
		(void)munmap(
		    (void *)(uintptr_t)proc->page, sizeof(struct proto_page));
	if (proc->fd != -1)
		(void)close(proc->fd);
	*proc = (struct worker_proc)WORKER_PROC_INIT;
}
