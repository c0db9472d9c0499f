// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/privs.h"

#include <errno.h>
#include <grp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>
#include <seccomp.h>

#include "dataplane/base/log.h"
#include "dataplane/base/user.h"

// What threads may still ask of the kernel: packets and sockets already open, netlink dumps on old
// and new sockets, telemetry (a thread for each client), sleeping, memory, the clean end.
static const int allowed[] = {
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(pread64), // registers of a PCI device behind VFIO, at its end
	SCMP_SYS(pwrite64),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(select),
	SCMP_SYS(pselect6),
	SCMP_SYS(epoll_create), // the EAL's interrupt thread, whenever a driver joins or leaves it
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(eventfd2),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(socket),
	SCMP_SYS(bind),
	SCMP_SYS(connect),
	SCMP_SYS(listen),
	SCMP_SYS(accept),
	SCMP_SYS(accept4),
	SCMP_SYS(shutdown),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(openat),
	SCMP_SYS(close),
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(readlink),
	SCMP_SYS(stat),
	SCMP_SYS(statx),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(lseek),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(getdents64),
	SCMP_SYS(fcntl),
	SCMP_SYS(flock),
	SCMP_SYS(ioctl),
	SCMP_SYS(pipe2),
	SCMP_SYS(dup),
	SCMP_SYS(mmap),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(mprotect),
	SCMP_SYS(madvise),
	SCMP_SYS(brk),
	SCMP_SYS(clone),
	SCMP_SYS(clone3),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(futex),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_setaffinity),
	SCMP_SYS(prctl),
	SCMP_SYS(capset),
	SCMP_SYS(membarrier),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(getcpu),
	SCMP_SYS(getrandom),
	SCMP_SYS(getrusage),
	SCMP_SYS(sysinfo),
	SCMP_SYS(uname),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(tgkill),
	SCMP_SYS(kill),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

// What drivers and libraries try at their clean end and can do without: refused, not fatal. Everything
// else ends the process.
static const int refused[] = {
	SCMP_SYS(bpf), // libbpf empties the map of an AF_XDP socket
	SCMP_SYS(mkdir),
	SCMP_SYS(rmdir),
	SCMP_SYS(rename),
	SCMP_SYS(ftruncate),
	SCMP_SYS(setpriority),
	SCMP_SYS(sched_setscheduler),
	SCMP_SYS(prlimit64),
};

// Removes everything but CAP_NET_ADMIN from what a future execve could get.
static void drop_bounding_set(void)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		if (cap != CAP_NET_ADMIN && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0)
			log_warn("privs_bounding_set_kept capability=%d error=%s", cap,
				strerror(errno));
	}
}

// Leaves the calling thread CAP_NET_ADMIN alone, or nothing. Returns: 0 or negative errno.
static int set_capabilities(bool net_admin)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (net_admin) {
		data[CAP_TO_INDEX(CAP_NET_ADMIN)].permitted = CAP_TO_MASK(CAP_NET_ADMIN);
		data[CAP_TO_INDEX(CAP_NET_ADMIN)].effective = CAP_TO_MASK(CAP_NET_ADMIN);
	}
	return syscall(SYS_capset, &head, data) == 0 ? 0 : -errno;
}

// Becomes the run-time user. glibc changes all threads that exist; they lose every capability, and
// only this one keeps its permitted set. Returns: 0 or negative errno, *step says at what.
static int change_user(const char **step)
{
	uid_t uid;
	gid_t gid;
	int error;

	*step = "user_lookup";
	error = user_lookup(&uid, &gid);
	if (error != 0)
		return error;
	drop_bounding_set();
	*step = "keepcaps";
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0)
		return -errno;
	*step = "setgroups";
	if (setgroups(0, NULL) != 0)
		return -errno;
	*step = "setresgid";
	if (setresgid(gid, gid, gid) != 0)
		return -errno;
	*step = "setresuid";
	if (setresuid(uid, uid, uid) != 0)
		return -errno;
	*step = "capset";
	return set_capabilities(true);
}

// Installs the allow-list on every thread; with it no thread can gain privileges any more.
static int install_filter(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int error = filter == NULL ? -ENOMEM : 0;

	if (error == 0)
		error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	for (unsigned int i = 0; error == 0 && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	for (unsigned int i = 0; error == 0 && i < sizeof(refused) / sizeof(refused[0]); i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
	if (error == 0)
		error = seccomp_load(filter);
	seccomp_release(filter);
	return error;
}

// The sanitizers' own work at exit (stopping threads, reading maps) is not in the list.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER 0
#endif

int privs_drop(void)
{
	const char *step = "none";
	int error = 0;

	if (geteuid() == 0)
		error = change_user(&step);
	if (error == 0 && !HAS_SANITIZER) {
		step = "dumpable";
		error = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : -errno;
	}
	if (error == 0) {
		step = "no_new_privs";
		error = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : -errno;
	}
	if (error == 0 && !HAS_SANITIZER) {
		step = "seccomp";
		error = install_filter();
	}
	if (error != 0)
		log_err("privs_drop_failed step=%s error=%s", step, strerror(-error));
	else
		log_info("privs_dropped uid=%u seccomp=%s", (unsigned int)geteuid(),
			HAS_SANITIZER ? "off" : "on");
	return error;
}

int privs_drop_thread(void)
{
	int error = set_capabilities(false);

	if (error != 0)
		log_err("privs_drop_thread_failed error=%s", strerror(-error));
	return error;
}
