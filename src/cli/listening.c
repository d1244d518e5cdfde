/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel lists its sockets by number (/proc/net/tcp), and each process shows the numbers of those that it has open
 * (/proc/PID/fd): where both meet, the socket is the process's. A process descends from `root` if going up from parent
 * to parent comes by it.
 */
#include "cli/listening.h"

#include "base/util.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_MS      50
#define SOCKETS_MAX     256 /* one for each worker of a program is usual; more are not looked at */
#define GENERATIONS_MAX 64
#define STATE_LISTEN    0x0a
#define NAME_SIZE       64

struct sockets {
    unsigned long numbers[SOCKETS_MAX];
    size_t n;
};

/* Adds those that listen at the port. */
static void read_sockets(const char *path, unsigned port, struct sockets *sockets)
{
    char line[512];
    FILE *file = fopen(path, "re");
    while (file && sockets->n < SOCKETS_MAX && fgets(line, sizeof(line), file)) {
        unsigned its_port, state;
        unsigned long number;
        if (sscanf(line, "%*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %*u %*u %lu", &its_port, &state, &number) ==
                3 &&
            its_port == port && state == STATE_LISTEN)
            sockets->numbers[sockets->n++] = number;
    }
    if (file)
        fclose(file);
}

static bool is_among(const struct sockets *sockets, const char *link)
{
    unsigned long number;
    if (sscanf(link, "socket:[%lu]", &number) != 1)
        return false;
    for (size_t i = 0; i < sockets->n; i++) {
        if (sockets->numbers[i] == number)
            return true;
    }
    return false;
}

/* Whether the process has one of the sockets. A process that has just ended has none. */
static enum listening look_at_process(pid_t pid, const struct sockets *sockets)
{
    char path[NAME_SIZE], link[NAME_SIZE];
    enum listening found = LISTENING_OTHERS;
    (void)snprintf(path, sizeof(path), "/proc/%ld/fd", (long)pid);
    DIR *folder = opendir(path);
    if (!folder)
        return errno == ENOENT ? LISTENING_OTHERS : LISTENING_UNKNOWN;
    for (const struct dirent *entry; found == LISTENING_OTHERS && (entry = readdir(folder));) {
        ssize_t len = readlinkat(dirfd(folder), entry->d_name, link, sizeof(link) - 1);
        link[len > 0 ? len : 0] = '\0';
        if (is_among(sockets, link))
            found = LISTENING_OURS;
    }
    closedir(folder);
    return found;
}

/* 0: there is none. The name of a program, which stands before it, may have blanks and brackets. */
static pid_t parent_of(pid_t pid)
{
    char path[NAME_SIZE], text[512];
    long parent = 0;
    (void)snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
    FILE *file = fopen(path, "re");
    size_t len = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
    text[len] = '\0';
    const char *behind = strrchr(text, ')');
    if (!behind || sscanf(behind, ") %*c %ld", &parent) != 1)
        parent = 0;
    if (file)
        fclose(file);
    return (pid_t)parent;
}

static bool descends(pid_t pid, pid_t root)
{
    for (int i = 0; i < GENERATIONS_MAX && pid > 0 && pid != root; i++)
        pid = parent_of(pid);
    return pid == root;
}

enum listening listening_find(unsigned port, pid_t root)
{
    struct sockets sockets = {.n = 0};
    read_sockets("/proc/net/tcp", port, &sockets);
    read_sockets("/proc/net/tcp6", port, &sockets);
    DIR *folder = sockets.n > 0 ? opendir("/proc") : NULL;
    if (!folder)
        return LISTENING_UNKNOWN;
    enum listening found = LISTENING_OTHERS;
    for (const struct dirent *entry; found != LISTENING_OURS && (entry = readdir(folder));) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        enum listening its = pid > 0 && descends(pid, root) ? look_at_process(pid, &sockets) : LISTENING_OTHERS;
        if (its != LISTENING_OTHERS)
            found = its;
    }
    closedir(folder);
    return found;
}

bool listening_answers(const struct addrinfo *infos)
{
    bool is_open = false;
    for (const struct addrinfo *info = infos; info && !is_open; info = info->ai_next) {
        int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct timeval limit = {.tv_usec = CONNECT_MS * 1000};
        if (fd < 0)
            continue;
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
        is_open = connect(fd, info->ai_addr, info->ai_addrlen) == 0;
        close(fd);
    }
    return is_open;
}
