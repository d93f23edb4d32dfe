#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "wire/wall.h"

/*
 * Each case runs in a child behind the wall and returns 0 or an errno.
 */

TestSuite(wall, .timeout = 60);

static char canary[] = "/tmp/moonpost-canary-XXXXXX";

/* How ${act} ended behind the wall: an errno, or 1000 and the signal. */
static int
behind(enum wall_kind kind, int (*act)(void))
{
	struct buf missing = BUF_INIT;
	int status = 0;
	pid_t pid = fork();

	cr_assert_neq(pid, -1);
	if (pid == 0) {
		wall_raise(kind, &missing);
		/* Here everything can be had, or this test shows nothing. */
		if (missing.len > 0)
			_exit(200);
		_exit(act());
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status)
				 : 1000 + WTERMSIG(status);
}

#define RC(call) ((call) == -1 ? errno : 0)

static int
do_exec(void)
{
	char sh[] = "/bin/true", *argv[] = {sh, NULL};

	return RC(execve(sh, argv, NULL));
}

static int
do_mount(void)
{
	return (int)RC(syscall(SYS_mount, "none", "/mnt", "tmpfs", 0, ""));
}

static int
do_read_memory(void)
{
	return (int)RC(
	    syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
}

static int
do_io_uring(void)
{
	return (int)RC(syscall(SYS_io_uring_setup, 1, NULL));
}

static int
do_bpf(void)
{
	return (int)RC(syscall(SYS_bpf, 0, NULL, 0));
}

static int
do_unshare(void)
{
	return RC(unshare(CLONE_NEWUSER));
}

static int
do_ptrace(void)
{
	return (int)RC(syscall(SYS_ptrace, 16, getppid(), NULL, NULL));
}

Test(wall, kills_what_only_an_intruder_tries)
{
	static int (*const acts[])(void) = {
	    do_exec, do_mount, do_read_memory, do_io_uring, do_bpf, do_unshare};
	size_t i;

	for (i = 0; i < NELEMS(acts); i++)
		cr_expect_eq(behind(WALL_WHOLE, acts[i]), 1000 + SIGSYS,
		    "case %zu: %d", i, behind(WALL_WHOLE, acts[i]));
	if (!INSTRUMENTED)
		cr_expect_eq(behind(WALL_WHOLE, do_ptrace), 1000 + SIGSYS);
}

static int
do_unix_socket(void)
{
	return RC(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int
do_netlink(void)
{
	return RC(socket(AF_NETLINK, SOCK_DGRAM, 0));
}

static int
do_raw_socket(void)
{
	return RC(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
}

static int
do_datagram_pair(void)
{
	int pair[2];

	return RC(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
}

static int
do_sockopt(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), n = 0;

	return RC(setsockopt(fd, IPPROTO_UDP, 1, &n, sizeof(n)));
}

Test(wall, has_internet_sockets_only)
{
	static int (*const acts[])(void) = {do_unix_socket, do_netlink,
	    do_raw_socket, do_datagram_pair, do_sockopt};
	size_t i;

	for (i = 0; i < NELEMS(acts); i++)
		cr_expect_eq(behind(WALL_WHOLE, acts[i]), EPERM, "case %zu: %d",
		    i, behind(WALL_WHOLE, acts[i]));
}

static int
do_write_file(void)
{
	return RC(open(canary, O_WRONLY));
}

static int
do_append_file(void)
{
	return RC(open(canary, O_RDWR | O_APPEND));
}

static int
do_create_file(void)
{
	return RC(open("/tmp/moonpost-left-behind", O_RDONLY | O_CREAT, 0600));
}

static int
do_temporary_file(void)
{
	return RC(open("/tmp", O_TMPFILE | O_RDWR, 0600));
}

static int
do_unlink(void)
{
	return RC(unlink(canary));
}

static int
do_rename(void)
{
	return RC(rename(canary, "/tmp/moonpost-left-behind"));
}

static int
do_chmod(void)
{
	return RC(chmod(canary, 0777));
}

static int
do_mkdir(void)
{
	return RC(mkdir("/tmp/moonpost-left-behind", 0700));
}

static int
do_memfd(void)
{
	return RC(memfd_create("x", 0));
}

static int
do_kill_parent(void)
{
	return RC(kill(getppid(), SIGTERM));
}

static int
do_kill_by_thread(void)
{
	return (int)RC(syscall(SYS_tgkill, getppid(), getppid(), SIGTERM));
}

static int
do_own_a_signal(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1)
		return 201;
	return RC(fcntl(pair[0], F_SETOWN, getppid()));
}

static int
do_fake_input(void)
{
	char c = 'x';

	return RC(ioctl(STDIN_FILENO, TIOCSTI, &c));
}

static int
do_fork(void)
{
	return (int)RC(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static int
do_limits(void)
{
	struct rlimit lim = {100, 100};

	return RC(setrlimit(RLIMIT_NOFILE, &lim));
}

static int
do_dumpable(void)
{
	return RC(prctl(PR_SET_DUMPABLE, 1));
}

static int
do_executable_memory(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? 201
			       : RC(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static int
do_writable_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
		   ? errno
		   : 0;
}

static int
do_anonymous_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
		   ? errno
		   : 0;
}

static int
do_listen(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return RC(bind(fd, (struct sockaddr *)&any, sizeof(any)));
}

Test(wall, refuses_what_a_worker_has_no_need_of)
{
	static int (*const acts[])(void) = {do_write_file, do_append_file,
	    do_create_file, do_temporary_file, do_unlink, do_rename, do_chmod,
	    do_mkdir, do_memfd, do_kill_parent, do_kill_by_thread,
	    do_own_a_signal, do_fake_input, do_fork, do_limits, do_dumpable,
	    do_executable_memory, do_writable_code, do_anonymous_code,
	    do_listen};
	int fd = mkstemp(canary);
	size_t i;

	cr_assert_neq(fd, -1);
	(void)close(fd);
	/* The run-time parts of an instrumented build do such things. */
	for (i = 0; i < NELEMS(acts) && !INSTRUMENTED; i++)
		cr_expect_eq(behind(WALL_WHOLE, acts[i]), EPERM, "case %zu: %d",
		    i, behind(WALL_WHOLE, acts[i]));
	cr_expect_eq(access("/tmp/moonpost-left-behind", F_OK), -1);
	cr_expect_eq(access(canary, F_OK), 0);
	(void)unlink(canary);
}

static int
do_read_canary(void)
{
	return RC(open(canary, O_RDONLY));
}

static int
do_read_proc(void)
{
	return RC(open("/proc/self/environ", O_RDONLY));
}

static int
do_read_passwd(void)
{
	return RC(open("/etc/passwd", O_RDONLY));
}

Test(wall, reads_no_file_but_those_it_needs)
{
	static int (*const acts[])(void) = {
	    do_read_canary, do_read_proc, do_read_passwd};
	int fd = mkstemp(canary);
	size_t i;

	cr_assert_neq(fd, -1);
	(void)close(fd);
	for (i = 0; i < NELEMS(acts) && !INSTRUMENTED; i++)
		cr_expect_eq(behind(WALL_WHOLE, acts[i]), EACCES,
		    "case %zu: %d", i, behind(WALL_WHOLE, acts[i]));
	(void)unlink(canary);
}

static void *
thread_main(void *arg)
{
	struct addrinfo *found = NULL, hints = {.ai_socktype = SOCK_STREAM};

	/* A name of /etc/hosts: files, and a nameswitch. */
	*(int *)arg = getaddrinfo("localhost", "443", &hints, &found);
	if (found != NULL)
		freeaddrinfo(found);
	return NULL;
}

static int
do_what_workers_do(void)
{
	struct timespec moment = {0, 1000};
	struct tm tm;
	time_t now = time(NULL);
	pthread_t thread;
	int rc = -1, pair[2], fd;
	char *memory;

	/* The resolver, in a thread as libcurl has it. */
	if (pthread_create(&thread, NULL, thread_main, &rc) != 0)
		return 1;
	(void)pthread_join(thread, NULL);
	if (rc != 0)
		return 2;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1 ||
	    fcntl(pair[0], F_SETFL, O_NONBLOCK) == -1)
		return 3;
	if (socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP) == -1 ||
	    socket(AF_INET6, SOCK_DGRAM, 0) == -1)
		return 4;
	/* Roots and time zones. */
	fd = open("/etc/ssl/openssl.cnf", O_RDONLY);
	if (fd == -1 && errno != ENOENT)
		return 5;
	if (localtime_r(&now, &tm) == NULL)
		return 6;
	memory = malloc(64U << 20);
	if (memory == NULL)
		return 7;
	(void)memset(memory, 1, 64U << 20);
	free(memory);
	if (nanosleep(&moment, NULL) == -1)
		return 8;
	return 0;
}

Test(wall, lets_workers_work)
{
	cr_expect_eq(behind(WALL_WHOLE, do_what_workers_do), 0);
	cr_expect_eq(behind(WALL_OPEN, do_what_workers_do), 0);
}

static int
do_abort(void)
{
	abort();
}

Test(wall, lets_a_worker_abort)
{
	cr_expect_eq(behind(WALL_WHOLE, do_abort), 1000 + SIGABRT);
}

static int
do_look_at_itself(void)
{
	struct rlimit core;

	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 1;
	if (prctl(PR_GET_DUMPABLE) != 0)
		return 2;
	if (getrlimit(RLIMIT_CORE, &core) == -1 || core.rlim_max != 0)
		return 3;
	return 0;
}

Test(wall, is_half_as_high_for_who_was_exempted)
{
	cr_expect_eq(behind(WALL_OPEN, do_look_at_itself), 0);
	cr_expect_eq(behind(WALL_OPEN, do_read_passwd), 0);
}

Test(wall, hides_a_host)
{
	int status;
	pid_t pid = fork();

	cr_assert_neq(pid, -1);
	if (pid == 0) {
		wall_hide();
		_exit(prctl(PR_GET_DUMPABLE) == 0 ? 0 : 1);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
