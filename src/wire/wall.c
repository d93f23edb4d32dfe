#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/compiler.h"

#include "wire/wall.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#define ARCH 0 /* No filter is known for it. */
#endif

/* ---- the filter, in classic BPF ----------------------------------------- */

#define MAX_FILTER 1024

/* Numbers of x32 on x86_64 have this bit: another ABI behind the same door. */
#define X32_BIT 0x40000000U

#define ALLOW SECCOMP_RET_ALLOW
#define REFUSE(code) (SECCOMP_RET_ERRNO | (code))
#define KILL SECCOMP_RET_KILL_PROCESS

struct filter {
	struct sock_filter code[MAX_FILTER];
	unsigned short len;
	int full;
};

static void
put(struct filter *f, unsigned int code, unsigned int jt, unsigned int jf,
    uint32_t k)
{
	if (f->len == MAX_FILTER) {
		f->full = 1;
		return;
	}
	f->code[f->len++] = (struct sock_filter){
	    (unsigned short)code, (unsigned char)jt, (unsigned char)jf, k};
}

static void
end(struct filter *f, uint32_t action)
{
	put(f, BPF_RET | BPF_K, 0, 0, action);
}

/* If the value at hand is ${k}: ${action}. */
static void
if_equal(struct filter *f, uint32_t k, uint32_t action)
{
	put(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, k);
	end(f, action);
}

/* If the value at hand has one of ${bits}: ${action}. */
static void
if_any(struct filter *f, uint32_t bits, uint32_t action)
{
	put(f, BPF_JMP | BPF_JSET | BPF_K, 0, 1, bits);
	end(f, action);
}

/* Only the lower half of an argument is looked at, which is all that the kernel
 * takes of an int; ${half} 1 is the upper one. */
static void
load_half(struct filter *f, unsigned int arg, unsigned int half)
{
	put(f, BPF_LD | BPF_W | BPF_ABS, 0, 0,
	    (uint32_t)(offsetof(struct seccomp_data, args) + arg * 8 +
		       half * 4));
}

static void
load(struct filter *f, unsigned int arg)
{
	load_half(f, arg, 0);
}

/*
 * A block about system call ${nr} begins: it must end in an action, and is
 * closed by close_call() with what this returned.
 */
static unsigned short
open_call(struct filter *f, long nr)
{
	put(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, (uint32_t)nr);
	return f->len;
}

static void
close_call(struct filter *f, unsigned short begin, uint32_t action)
{
	end(f, action);
	if (!f->full)
		f->code[begin - 1].jf = (unsigned char)(f->len - begin);
}

/* Everything that is needed often, and harmless whatever its arguments are. */
static const int harmless[] = {
    SYS_epoll_pwait,
    SYS_read,
    SYS_write,
    SYS_timer_settime,
    SYS_clock_gettime,
    SYS_futex,
    SYS_rt_sigreturn,
    SYS_sendto,
    SYS_recvfrom,
    SYS_epoll_ctl,
    SYS_munmap,
    SYS_brk,
    SYS_madvise,
    SYS_mremap,
    SYS_close,
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_lseek,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_faccessat,
    SYS_readlinkat,
    SYS_getdents64,
    SYS_getcwd,
    SYS_ppoll,
    SYS_pselect6,
    SYS_epoll_create1,
    SYS_eventfd2,
    SYS_timerfd_create,
    SYS_timerfd_settime,
    SYS_timerfd_gettime,
    SYS_pipe2,
    SYS_dup,
    SYS_connect,
    SYS_sendmsg,
    SYS_sendmmsg,
    SYS_recvmsg,
    SYS_recvmmsg,
    SYS_getsockname,
    SYS_getpeername,
    SYS_getsockopt,
    SYS_shutdown,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigtimedwait,
    SYS_sigaltstack,
    SYS_timer_create,
    SYS_timer_gettime,
    SYS_timer_getoverrun,
    SYS_timer_delete,
    SYS_clock_getres,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_gettimeofday,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_getpid,
    SYS_gettid,
    SYS_getppid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getrandom,
    SYS_getrusage,
    SYS_times,
    SYS_uname,
    SYS_sysinfo,
    SYS_set_robust_list,
    SYS_set_tid_address,
    SYS_rseq,
    SYS_membarrier,
    SYS_restart_syscall,
    SYS_exit,
    SYS_exit_group,
#ifdef SYS_faccessat2
    SYS_faccessat2,
#endif
#ifdef SYS_epoll_pwait2
    SYS_epoll_pwait2,
#endif
#ifdef __x86_64__
    SYS_epoll_wait,
    SYS_poll,
    SYS_select,
    SYS_stat,
    SYS_lstat,
    SYS_access,
    SYS_readlink,
    SYS_pipe,
    SYS_time,
    SYS_getrlimit,
    SYS_arch_prctl,
#endif
};

/* What only an intruder tries. */
static const int deadly[] = {
    SYS_execve,
    SYS_execveat,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_unshare,
    SYS_setns,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_reboot,
    SYS_open_by_handle_at,
#ifdef SYS_pidfd_getfd
    SYS_pidfd_getfd,
#endif
#ifdef __x86_64__
    SYS_iopl,
    SYS_ioperm,
#endif
};

static const uint32_t fcntl_kept[] = {
    F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD, F_DUPFD_CLOEXEC};
static const uint32_t ioctl_kept[] = {FIONBIO, FIONREAD, TCGETS};
static const uint32_t socket_levels[] = {
    SOL_SOCKET, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP};

/* System call ${nr} if its argument is one of these, else EPERM. */
static void
put_choice(struct filter *f, long nr, unsigned int arg, const uint32_t *values,
    size_t n)
{
	unsigned short at = open_call(f, nr);
	size_t i;

	load(f, arg);
	for (i = 0; i < n; i++)
		if_equal(f, values[i], ALLOW);
	close_call(f, at, REFUSE(EPERM));
}

/* System call ${nr} unless its argument has one of ${bits}. */
static void
put_without(struct filter *f, long nr, unsigned int arg, uint32_t bits)
{
	unsigned short at = open_call(f, nr);

	load(f, arg);
	if_any(f, bits, REFUSE(EPERM));
	close_call(f, at, ALLOW);
}

static void
put_sockets(struct filter *f)
{
	unsigned short at = open_call(f, SYS_socket);

	load(f, 1);
	put(f, BPF_ALU | BPF_AND | BPF_K, 0, 0, 0xF); /* The type alone. */
	put(f, BPF_JMP | BPF_JEQ | BPF_K, 2, 0, SOCK_STREAM);
	put(f, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, SOCK_DGRAM);
	end(f, REFUSE(EPERM));
	load(f, 0);
	if_equal(f, AF_INET, ALLOW);
	if_equal(f, AF_INET6, ALLOW);
	close_call(f, at, REFUSE(EPERM));

	/* libcurl wakes itself through one.  It has no name; a datagram one
	 * could be connected to a name. */
	at = open_call(f, SYS_socketpair);
	load(f, 1);
	put(f, BPF_ALU | BPF_AND | BPF_K, 0, 0, 0xF);
	put(f, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, SOCK_STREAM);
	end(f, REFUSE(EPERM));
	load(f, 0);
	if_equal(f, AF_UNIX, ALLOW);
	close_call(f, at, REFUSE(EPERM));

	put_choice(f, SYS_setsockopt, 1, socket_levels, NELEMS(socket_levels));
}

static void
put_files(struct filter *f)
{
	const uint32_t writing = O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND |
				 (O_TMPFILE & ~O_DIRECTORY);

	put_without(f, SYS_openat, 2, writing);
#ifdef __x86_64__
	put_without(f, SYS_open, 1, writing);
#endif
	/* F_SETOWN and FIOSETOWN would have a signal sent to anybody. */
	put_choice(f, SYS_fcntl, 1, fcntl_kept, NELEMS(fcntl_kept));
	put_choice(f, SYS_ioctl, 1, ioctl_kept, NELEMS(ioctl_kept));
}

static void
put_memory(struct filter *f)
{
	unsigned short at;

	put_without(f, SYS_mprotect, 2, PROT_EXEC);

	/* Executable memory comes from a file, as of a library of the
	 * resolver's, and cannot be written to. */
	at = open_call(f, SYS_mmap);
	load(f, 2);
	put(f, BPF_JMP | BPF_JSET | BPF_K, 1, 0, PROT_EXEC);
	end(f, ALLOW);
	if_any(f, PROT_WRITE, REFUSE(EPERM));
	load(f, 3);
	if_any(f, MAP_ANONYMOUS, REFUSE(EPERM));
	close_call(f, at, ALLOW);
}

static void
put_processes(struct filter *f)
{
	const uint32_t thread =
	    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
	static const uint32_t prctl_kept[] = {PR_SET_NAME};
	const uint32_t myself[] = {(uint32_t)getpid()};
	unsigned short at;

	/* glibc falls back on clone(), whose flags can be seen. */
#ifdef SYS_clone3
	at = open_call(f, SYS_clone3);
	close_call(f, at, REFUSE(ENOSYS));
#endif
	at = open_call(f, SYS_clone);
	load(f, 0);
	if_any(f,
	    (uint32_t)CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID |
		CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP |
		CLONE_PTRACE,
	    REFUSE(EPERM));
	put(f, BPF_ALU | BPF_AND | BPF_K, 0, 0, thread);
	if_equal(f, thread, ALLOW);
	close_call(f, at, REFUSE(EPERM));

	put_choice(f, SYS_tgkill, 0, myself, NELEMS(myself));
	put_choice(f, SYS_prctl, 0, prctl_kept, NELEMS(prctl_kept));

	/* Its own limits, to read. */
	at = open_call(f, SYS_prlimit64);
	load(f, 0);
	put(f, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 0);
	end(f, REFUSE(EPERM));
	load(f, 2);
	put(f, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 0);
	end(f, REFUSE(EPERM));
	load_half(f, 2, 1);
	put(f, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 0);
	end(f, REFUSE(EPERM));
	close_call(f, at, ALLOW);
}

static void
put_all(struct filter *f)
{
	size_t i;

	put(f, BPF_LD | BPF_W | BPF_ABS, 0, 0,
	    offsetof(struct seccomp_data, arch));
	put(f, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, ARCH);
	end(f, KILL);
	put(f, BPF_LD | BPF_W | BPF_ABS, 0, 0,
	    offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
	put(f, BPF_JMP | BPF_JGE | BPF_K, 0, 1, X32_BIT);
	end(f, KILL);
#endif
	if (!INSTRUMENTED) {
		for (i = 0; i < NELEMS(harmless); i++)
			if_equal(f, (uint32_t)harmless[i], ALLOW);
		put_memory(f);
		put_files(f);
		put_processes(f);
		if_equal(f, SYS_ptrace, KILL);
	}
	put_sockets(f);
	for (i = 0; i < NELEMS(deadly); i++)
		if_equal(f, (uint32_t)deadly[i], KILL);
	end(f, INSTRUMENTED ? ALLOW : REFUSE(EPERM));
}

static const char *
raise_filter(void)
{
	static struct filter f;
	struct sock_fprog prog;

	if (ARCH == 0)
		return "no seccomp filter for this architecture";
	f.len = 0;
	put_all(&f);
	if (f.full)
		return "the seccomp filter is too long";
	prog = (struct sock_fprog){f.len, f.code};
	/* No code of a script's is compiled, so that there is no need to slow
	 * everything down against speculation. */
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		SECCOMP_FILTER_FLAG_SPEC_ALLOW, &prog) == 0)
		return NULL;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0)
		return NULL;
	return "no seccomp";
}

/* ---- Landlock ------------------------------------------------------------ */

/* Later than the headers of the kernel that this is built with. */
#define ACCESS_TRUNCATE (1ULL << 14)
#define ACCESS_IOCTL_DEV (1ULL << 15)

#define ACCESS_FILE LANDLOCK_ACCESS_FS_READ_FILE
#define ACCESS_FOLDER (ACCESS_FILE | LANDLOCK_ACCESS_FS_READ_DIR)

/*
 * What resolving names, TLS and time zones read.  /etc as a whole is not among
 * them.  A rule is for the file or folder that a path leads to at that moment,
 * through links: what is written over in place stays readable, a file that is
 * replaced by rename does not, unless its folder is listed.  So a worker goes
 * on with a resolv.conf that is replaced where systemd-resolved, resolvconf and
 * NetworkManager keep theirs; where /etc/resolv.conf is a file of its own and
 * is replaced, glibc falls back on the server 127.0.0.1, names are not
 * found (ERR_RESOLVE), and it takes a worker that was started later to read the
 * new one.
 */
static const char *const readable[] = {
    /* Libraries that the resolver loads, time zones, certificates. */
    "/usr",
    "/lib",
    "/lib64",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    /* Where resolv.conf often leads. */
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/etc/resolvconf",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/ld.so.cache",
    "/dev/null",
    "/dev/urandom",
    "/sys/devices/system/cpu",
    "/proc/sys/vm/overcommit_memory",
};

static void
allow_reading(int ruleset, const char *path)
{
	struct landlock_path_beneath_attr rule = {0};
	struct stat st;
	int fd = open(path, O_PATH | O_CLOEXEC);

	/* What is not there need not be read. */
	if (fd == -1)
		return;
	if (fstat(fd, &st) == 0) {
		rule.parent_fd = fd;
		rule.allowed_access =
		    S_ISDIR(st.st_mode) ? ACCESS_FOLDER : ACCESS_FILE;
		(void)syscall(SYS_landlock_add_rule, ruleset,
		    LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	}
	(void)close(fd);
}

static const char *
raise_landlock(void)
{
	struct landlock_ruleset_attr attr = {0};
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_CREATE_RULESET_VERSION);
	long ruleset;
	size_t i;
	int rc;

	if (abi < 1)
		return "no Landlock";
	attr.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
	if (abi >= 2)
		attr.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		attr.handled_access_fs |= ACCESS_TRUNCATE;
	if (abi >= 5)
		attr.handled_access_fs |= ACCESS_IOCTL_DEV;
	ruleset = syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (ruleset == -1)
		return "no Landlock";
	for (i = 0; i < NELEMS(readable); i++)
		allow_reading((int)ruleset, readable[i]);
	rc = (int)syscall(SYS_landlock_restrict_self, (int)ruleset, 0);
	(void)close((int)ruleset);
	return rc == 0 ? NULL : "no Landlock";
}

/* ---- all of it ----------------------------------------------------------- */

static void
tell(struct buf *missing, const char *what)
{
	if (what == NULL)
		return;
	if (missing->len > 0)
		buf_puts(missing, ", ");
	buf_puts(missing, what);
}

/* The host's standard error is the host's. */
static void
silence(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (null == -1 || dup2(null, STDERR_FILENO) == -1)
		(void)close(STDERR_FILENO);
	if (null != -1)
		(void)close(null);
}

void
wall_hide(void)
{
	(void)prctl(PR_SET_DUMPABLE, 0);
}

void
wall_raise(enum wall_kind kind, struct buf *ret_missing)
{
	const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) == -1)
		tell(ret_missing, "core dumps cannot be turned off");
	/* No other process of the user looks into this one's memory. */
	if (prctl(PR_SET_DUMPABLE, 0) == -1)
		tell(ret_missing, "its memory can be looked at");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		tell(ret_missing, "no_new_privs cannot be set");
	if (!INSTRUMENTED)
		silence();
	if (kind == WALL_OPEN)
		return;
	if (!INSTRUMENTED)
		tell(ret_missing, raise_landlock());
	tell(ret_missing, raise_filter());
}
