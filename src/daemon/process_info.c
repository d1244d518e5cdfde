/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/process_info.h"

#include "base/util.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Reads a small file of /proc; an empty text when that fails. */
static void read_file(const char *path, char *ret_text, size_t size)
{
    ret_text[0] = '\0';
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = read(fd, ret_text, size - 1);
    ret_text[n > 0 ? n : 0] = '\0';
    close(fd);
}

/* The n-th number, from 0, of a text of numbers separated by blanks; 0 when there are fewer. */
static unsigned long long number_at(const char *text, unsigned n)
{
    unsigned long long number = 0;
    for (unsigned i = 0; i <= n; i++) {
        char *end;
        number = strtoull(text, &end, 10);
        if (end == text)
            return 0;
        text = end;
    }
    return number;
}

/* /proc/self/statm counts pages: all that are mapped, then those that are resident. */
static uint64_t statm_bytes(unsigned n)
{
    char text[128];
    read_file("/proc/self/statm", text, sizeof(text));
    return (uint64_t)number_at(text, n) * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t process_resident_bytes(void)
{
    return statm_bytes(1);
}

static double resident_bytes(void *ctx)
{
    (void)ctx;
    return (double)statm_bytes(1);
}

static double virtual_bytes(void *ctx)
{
    (void)ctx;
    return (double)statm_bytes(0);
}

static double cpu_seconds(void *ctx)
{
    struct timespec used;
    (void)ctx;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* Seconds since 1970: the start in ticks since boot, field 22 of stat, added to the time of boot. */
static double start_seconds(void *ctx)
{
    char text[1024];
    struct timespec wall, boot;
    (void)ctx;
    read_file("/proc/self/stat", text, sizeof(text));
    const char *state = strrchr(text, ')'); /* field 3 follows; the name before it may hold anything */
    if (!state || strlen(state) < 4)
        return 0;
    unsigned long long ticks = number_at(state + 4, 22 - 4);
    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    double booted = (double)(wall.tv_sec - boot.tv_sec) + (double)(wall.tv_nsec - boot.tv_nsec) / 1e9;
    return booted + (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

static double open_descriptors(void *ctx)
{
    (void)ctx;
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return 0;
    double n = 0;
    for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n - 1; /* without the one that was used for looking */
}

static double max_descriptors(void *ctx)
{
    struct rlimit limit = {0};
    (void)ctx;
    getrlimit(RLIMIT_NOFILE, &limit);
    return (double)limit.rlim_cur;
}

int process_register_metrics(struct metrics *metrics)
{
    static const struct {
        const char *name, *help;
        double (*fn)(void *ctx);
    } gauges[] = {
        {"process_resident_memory_bytes", "Resident memory size in bytes.", resident_bytes},
        {"process_virtual_memory_bytes", "Virtual memory size in bytes.", virtual_bytes},
        {"process_start_time_seconds", "Start time of the process since unix epoch in seconds.", start_seconds},
        {"process_open_fds", "Number of open file descriptors.", open_descriptors},
        {"process_max_fds", "Maximum number of open file descriptors.", max_descriptors},
    };
    const struct metrics_desc cpu = {
        .name = "process_cpu_seconds_total",
        .help = "Total user and system CPU time spent in seconds.",
    };
    int r = metrics_register_counter_fn(metrics, &cpu, cpu_seconds, NULL);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(gauges); i++) {
        const struct metrics_desc desc = {.name = gauges[i].name, .help = gauges[i].help};
        r = metrics_register_gauge_fn(metrics, &desc, gauges[i].fn, NULL);
    }
    return r;
}

uint64_t process_raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    if (limit.rlim_cur < limit.rlim_max) {
        struct rlimit raised = {limit.rlim_max, limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
    }
    return limit.rlim_cur;
}
