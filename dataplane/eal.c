// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "dataplane/eal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include "dataplane/bindtab.h"
#include "dataplane/base/log.h"
#include "dataplane/base/user.h"
#include "dataplane/fib.h"
#include "dataplane/port.h"
#include "dataplane/port_bond.h"
#include "dataplane/worker.h"

#define FILE_PREFIX "unwired"
#define TELEMETRY_TAIL "/dpdk/" FILE_PREFIX "/dpdk_telemetry.v2"
#define HUGEPAGES_DIR "/sys/kernel/mm/hugepages"

enum {
	// Device queues, EAL itself, and what remains between the large pieces that a FIB is made of.
	MEMORY_SLACK_MB = 192,
	ARGV_MAX = 24 + 2 * CONFIG_MAX_PORTS * PORT_BOND_MEMBERS,
	PREVIOUS_TRIES = 60,
	PREVIOUS_WAIT_US = 50000,
};

// What the tables and packet buffers take that the configuration asks for.
static uint32_t tables_mb(const struct config_dataplane *config)
{
	uint64_t bytes = bindtab_memory(config->max_bindings);

	bytes += fib_memory(config->n_domains, config->max_routes, config->max_routes_ip6);
	bytes += port_pool_memory(config);
	bytes += config->n_workers * (sizeof(struct worker) + WORKER_SLOTS * sizeof(void *));
	return (uint32_t)(bytes >> 20);
}

uint32_t eal_memory_mb(const struct config_dataplane *config)
{
	return config->memory_mb != 0 ? config->memory_mb : tables_mb(config) + MEMORY_SLACK_MB;
}

static uint64_t read_number(const char *path)
{
	unsigned long long value = 0;
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return 0;
	if (fscanf(f, "%llu", &value) != 1)
		value = 0;
	fclose(f);
	return value;
}

// Free hugepage memory of all sizes.
static uint64_t hugepages_free_mb(void)
{
	struct dirent *entry;
	uint64_t kb = 0;
	DIR *dir = opendir(HUGEPAGES_DIR);

	if (dir == NULL)
		return 0;
	while ((entry = readdir(dir)) != NULL) {
		unsigned long long size_kb;
		char path[PATH_MAX];

		if (sscanf(entry->d_name, "hugepages-%llukB", &size_kb) != 1)
			continue;
		snprintf(path, sizeof(path), HUGEPAGES_DIR "/%s/free_hugepages", entry->d_name);
		kb += read_number(path) * size_kb;
	}
	closedir(dir);
	return kb >> 10;
}

static uint64_t machine_memory_mb(void)
{
	return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) >> 20;
}

// Decides between hugepages and ordinary memory. Ordinary memory is taken as it is touched, so what
// the machine does not have at all must be noticed here. Returns: 0 or -ENOMEM, logged.
static int choose_memory(const struct config_dataplane *config, uint32_t need_mb, bool *hugepages)
{
	uint64_t free_mb = hugepages_free_mb();

	if (need_mb < tables_mb(config)) {
		log_err("eal_too_little_memory key=dataplane.memory_mb memory_mb=%u need_mb=%u",
			need_mb, tables_mb(config) + MEMORY_SLACK_MB);
		return -ENOMEM;
	}
	*hugepages = config->hugepages != CONFIG_HUGEPAGES_OFF && free_mb >= need_mb;
	if (config->hugepages == CONFIG_HUGEPAGES_ON && !*hugepages) {
		log_err("eal_no_hugepages key=dataplane.hugepages need_mb=%u free_mb=%llu "
			"hint=\"raise vm.nr_hugepages or say auto\"",
			need_mb, (unsigned long long)free_mb);
		return -ENOMEM;
	}
	if (!*hugepages && need_mb > machine_memory_mb()) {
		log_err("eal_no_memory key=%s need_mb=%u machine_mb=%llu",
			config->memory_mb != 0 ? "dataplane.memory_mb" : "dataplane.max_bindings",
			need_mb, (unsigned long long)machine_memory_mb());
		return -ENOMEM;
	}
	log_info("eal_memory hugepages=%s memory_mb=%u free_hugepages_mb=%llu",
		*hugepages ? "on" : "off", need_mb, (unsigned long long)free_mb);
	return 0;
}

static int check_core(const char *key, unsigned int core)
{
	long n_cores = sysconf(_SC_NPROCESSORS_CONF);

	if ((long)core < n_cores)
		return 0;
	log_err("eal_no_such_core key=%s core=%u allowed=0..%ld", key, core, n_cores - 1);
	return -EINVAL;
}

// Writes "0@main,1@core,..." Returns: 0 or -EINVAL, logged.
static int lcores_text(const struct config_dataplane *config, char *buf, size_t size)
{
	int error = check_core("dataplane.main_core", config->main_core);
	int used = snprintf(buf, size, "0@%u", config->main_core);

	for (unsigned int w = 0; error == 0 && w < config->n_workers; w++) {
		char key[48];

		snprintf(key, sizeof(key), "dataplane.worker_cores[%u]", w);
		error = check_core(key, config->worker_cores[w]);
		used += snprintf(
			buf + used, size - (size_t)used, ",%u@%u", w + 1, config->worker_cores[w]);
	}
	return error;
}

static int allow(char **argv, int argc, char *device)
{
	argv[argc++] = (char *)"--allow";
	argv[argc++] = device;
	return argc;
}

// Limits the PCI bus to the configured devices and members of bonds: else the EAL takes every one that it has a driver
// for. Returns: the new argument count.
static int add_pci(const struct config_dataplane *config, char **argv, int argc)
{
	static char members[CONFIG_MAX_PORTS][PORT_BOND_MEMBERS][PORT_BOND_NAME];
	int before = argc;

	for (unsigned int i = 0; i < config->n_ports; i++) {
		int n = port_bond_members(config->ports[i].device, members[i]);

		if (port_is_pci(config->ports[i].device))
			argc = allow(argv, argc, config->ports[i].device);
		for (int m = 0; m < RTE_MIN(n, PORT_BOND_MEMBERS); m++) {
			if (port_is_pci(members[i][m]))
				argc = allow(argv, argc, members[i][m]);
		}
	}
	if (argc == before)
		argv[argc++] = (char *)"--no-pci";
	return argc;
}

// A process that was just killed may still be going away, and would keep the telemetry socket's name.
// Returns: 0, or -EADDRINUSE when one lives on, logged.
static int wait_for_previous(const char *run_dir)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	bool is_alive = true;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s" TELEMETRY_TAIL, run_dir);
	for (unsigned int i = 0; is_alive && i < PREVIOUS_TRIES; i++) {
		int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

		if (fd < 0)
			return -errno;
		is_alive = connect(fd, (const void *)&address, sizeof(address)) == 0;
		close(fd);
		if (is_alive)
			usleep(PREVIOUS_WAIT_US);
	}
	if (!is_alive)
		return 0;
	log_err("eal_already_running run_dir=%s", run_dir);
	return -EADDRINUSE;
}

// Makes RUN_DIR/dpdk and the EAL's directory in it root's own while the EAL starts: the run-time user,
// whose files stand there, must not lead root elsewhere.
// Returns: an owned descriptor of the EAL's directory or negative errno, logged.
static int own_runtime_dir(const char *run_dir)
{
	int run_fd = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int dpdk_fd = run_fd < 0 ? -errno : user_open_own_dir(run_fd, "dpdk", 0755);
	int fd = dpdk_fd < 0 ? dpdk_fd : user_open_own_dir(dpdk_fd, FILE_PREFIX, 0700);

	if (run_fd >= 0)
		close(run_fd);
	if (dpdk_fd >= 0)
		close(dpdk_fd);
	if (fd < 0)
		log_err("eal_runtime_dir_refused dir=%s/dpdk/" FILE_PREFIX " error=\"%s\" "
			"hint=\"not a directory of ours: remove it\"",
			run_dir, strerror(-fd));
	return fd;
}

// Gives the EAL's directory and what the EAL made in it to the run-time user, so that the files can be
// removed at the end, after root has been given up. Takes fd.
static void give_runtime_dir(int fd)
{
	struct dirent *entry;
	uid_t uid;
	gid_t gid;
	DIR *d = fdopendir(fd);

	if (d == NULL) {
		close(fd);
		return;
	}
	if (geteuid() == 0 && user_lookup(&uid, &gid) == 0) {
		while ((entry = readdir(d)) != NULL) {
			if (entry->d_name[0] != '.' &&
				fchownat(fd, entry->d_name, uid, gid, AT_SYMLINK_NOFOLLOW) != 0)
				log_warn("eal_runtime_file_not_given file=%s error=%s",
					entry->d_name, strerror(errno));
		}
		if (fchown(fd, uid, gid) != 0)
			log_warn("eal_runtime_dir_not_given error=%s", strerror(errno));
	}
	closedir(d);
}

static int make_run_dir(const char *run_dir)
{
	static const char tail[] = TELEMETRY_TAIL ":00";
	int error;

	if (strlen(run_dir) + sizeof(tail) > sizeof(((struct sockaddr_un *)0)->sun_path)) {
		log_err("eal_run_dir_too_long run_dir=%s", run_dir);
		return -ENAMETOOLONG;
	}
	error = user_make_run_dir(run_dir);
	if (error != 0) {
		log_err("eal_run_dir_failed run_dir=%s error=%s", run_dir, strerror(-error));
		return error;
	}
	if (setenv("RUNTIME_DIRECTORY", run_dir, 1) != 0)
		return -errno;
	return wait_for_previous(run_dir);
}

int eal_start(const struct config_dataplane *config, const char *run_dir)
{
	static char lcores[CONFIG_MAX_WORKERS * 12 + 12];
	static char memory[16];
	static char *argv[ARGV_MAX];
	uint32_t need_mb = eal_memory_mb(config);
	bool hugepages;
	int argc = 0, runtime_fd;
	int error = make_run_dir(run_dir);

	if (error == 0)
		error = lcores_text(config, lcores, sizeof(lcores));
	if (error == 0)
		error = choose_memory(config, need_mb, &hugepages);
	if (error != 0)
		return error;
	runtime_fd = own_runtime_dir(run_dir);
	if (runtime_fd < 0)
		return runtime_fd;
	snprintf(memory, sizeof(memory), "%u", need_mb);
	// The EAL keeps pointers to these.
	argv[argc++] = (char *)"unwired-dataplane";
	argv[argc++] = (char *)"--file-prefix=" FILE_PREFIX;
	argv[argc++] = (char *)"--log-level=warning";
	argv[argc++] =
		(char *)"--no-shconf"; // no secondary processes, so no files and locks for them
	argv[argc++] = (char *)"--force-max-simd-bitwidth=512";
	argv[argc++] = (char *)"--lcores";
	argv[argc++] = lcores;
	argv[argc++] = (char *)(hugepages ? "--in-memory" : "--no-huge");
	argv[argc++] = (char *)"-m";
	argv[argc++] = memory;
	argc = add_pci(config, argv, argc);
	if (rte_eal_init(argc, argv) < 0) {
		error = rte_errno != 0 ? -rte_errno : -EIO;
		log_err("eal_start_failed memory_mb=%u hugepages=%s lcores=%s error=%s", need_mb,
			hugepages ? "on" : "off", lcores, strerror(-error));
		close(runtime_fd);
		return error;
	}
	give_runtime_dir(runtime_fd);
	return 0;
}
