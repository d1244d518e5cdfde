/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many watchers of a stream of server-sent events: sse_watchers PORT N ROUNDS SERVICE
 *
 * Opens N connections that watch the service, and says "ready" once all are synced. Then, so often, registers one more
 * instance and waits until the last of the watchers has got the change; prints the time from sending the registration
 * to that, in microseconds, a line each.
 */
#include <arpa/inet.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { KEPT = 32, EVENTS = 256 };

struct watcher {
    int fd;
    char kept[KEPT]; /* the end of what was read last, as what is looked for may be cut in two */
    size_t n_kept;
};

struct bench {
    struct sockaddr_in server;
    int epoll_fd;
    unsigned n, n_waiting;
    struct watcher *watchers;
};

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int dial(const struct bench *bench)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&bench->server, sizeof(bench->server)) < 0)
        err(EXIT_FAILURE, "a connection to the server");
    return fd;
}

static void say(int fd, const char *text)
{
    size_t len = strlen(text);
    if (send(fd, text, len, MSG_NOSIGNAL) != (ssize_t)len)
        err(EXIT_FAILURE, "sending a request");
}

/* How often the words are in what is there to be read. */
static unsigned read_for(struct watcher *watcher, const char *words)
{
    char text[KEPT + 65536];
    memcpy(text, watcher->kept, watcher->n_kept);
    ssize_t n = recv(watcher->fd, text + watcher->n_kept, sizeof(text) - watcher->n_kept, MSG_DONTWAIT);
    if (n <= 0)
        errx(EXIT_FAILURE, "a watcher was left alone");
    size_t len = watcher->n_kept + (size_t)n, n_words = strlen(words);
    const char *at = text, *end = text + len;
    unsigned n_found = 0;
    for (const char *found; (found = memmem(at, (size_t)(end - at), words, n_words)); n_found++)
        at = found + n_words;
    /* What was found is not kept, so that it is not found again. */
    watcher->n_kept = (size_t)(end - at) < n_words ? (size_t)(end - at) : n_words - 1;
    memcpy(watcher->kept, end - watcher->n_kept, watcher->n_kept);
    return n_found;
}

/* Until each has found the words once more. */
static void wait_for_all(struct bench *bench, const char *words)
{
    bench->n_waiting = bench->n;
    while (bench->n_waiting > 0) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(bench->epoll_fd, events, EVENTS, 30000);
        if (n <= 0)
            errx(EXIT_FAILURE, "%u watchers wait in vain for '%s'", bench->n_waiting, words);
        for (int i = 0; i < n; i++)
            if (read_for(events[i].data.ptr, words) > 0)
                bench->n_waiting--;
    }
}

static void watch(struct bench *bench, struct watcher *watcher, const char *service)
{
    char request[256];
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = watcher};
    watcher->fd = dial(bench);
    snprintf(request, sizeof(request), "GET /api/v1/watch?service=%s HTTP/1.1\r\nHost: x\r\n\r\n", service);
    say(watcher->fd, request);
    if (epoll_ctl(bench->epoll_fd, EPOLL_CTL_ADD, watcher->fd, &event) < 0)
        err(EXIT_FAILURE, "epoll_ctl");
}

static void put(int fd, const char *service, unsigned round)
{
    const char *body = "{\"address\":\"http@10.0.0.7:8080\"}";
    char request[512];
    snprintf(request, sizeof(request),
             "PUT /api/v1/services/%s/instances/i%u HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
             "Content-Length: %zu\r\n\r\n%s",
             service, round, strlen(body), body);
    say(fd, request);
}

int main(int argc, char **argv)
{
    if (argc != 5)
        errx(EXIT_FAILURE, "usage: sse_watchers PORT N ROUNDS SERVICE");
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    struct bench bench = {.n = (unsigned)strtoul(argv[2], NULL, 10), .epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    bench.server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10))};
    bench.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bench.watchers = calloc(bench.n, sizeof(bench.watchers[0]));
    if (bench.epoll_fd < 0 || !bench.watchers)
        errx(EXIT_FAILURE, "out of memory or descriptors");
    for (unsigned i = 0; i < bench.n; i++)
        watch(&bench, &bench.watchers[i], argv[4]);
    wait_for_all(&bench, "event: synced");
    puts("ready");
    fflush(stdout);
    int writer = dial(&bench);
    unsigned n_rounds = (unsigned)strtoul(argv[3], NULL, 10);
    for (unsigned round = 0; round < n_rounds; round++) {
        char answer[1024];
        double began = now_us();
        put(writer, argv[4], round);
        wait_for_all(&bench, "event: change");
        printf("%.0f\n", now_us() - began);
        if (recv(writer, answer, sizeof(answer), 0) <= 0)
            errx(EXIT_FAILURE, "no answer to a registration");
    }
    free(bench.watchers);
    return EXIT_SUCCESS;
}
