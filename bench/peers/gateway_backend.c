/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instances of a service for bench/gateway: gateway_backend IDS PORT...
 *
 * Each port is an instance, at all addresses of this machine. The last element of the path says what is answered:
 *     128, 200           so many bytes, with eight header fields
 *     10k, chunked, 1m   10 KiB, the same in chunks, 1 MiB
 *     slow               as 200, 5 ms later
 *     close, rude, liar  as 200; then the connection is closed: as the answer says; although it does not say so; when
 *                        the next bytes come
 *
 * IDS is a file with a byte for each request number: a request with `x-id: N` adds 1 to its byte, so that what came
 * twice is known even of an instance that was killed. "-": none.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BACKLOG = 4096, EVENTS_PER_TURN = 256, INPUT_BYTES = 65536, N_ANSWERS = 9 };

static const int64_t delay_ns = 5000000;

/* What becomes of a connection after an answer. */
enum after { KEEP, CLOSE, CLOSE_AT_NEXT };

struct answer {
    const char *name;
    char *text;
    size_t len;
    bool is_late;
    enum after after;
};

struct connection {
    int fd;
    bool is_listener;
    bool is_spent;               /* the next bytes end it */
    bool is_late;                /* among those whose answer is delayed */
    const struct answer *answer; /* under way; NULL: none */
    size_t n_sent;
    int64_t due_ns;
    char *kept; /* a request that has not come whole yet */
    size_t n_kept;
    TAILQ_ENTRY(connection) link;
};

struct backend {
    int epoll_fd;
    struct answer answers[N_ANSWERS];
    TAILQ_HEAD(, connection) late; /* by due_ns, as all wait the same */
    unsigned char *ids;
    size_t n_ids;
    char input[INPUT_BYTES];
};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000 + now.tv_nsec;
}

static void make_answer(struct answer *answer, const char *name, size_t n, const char *extra, bool is_chunked)
{
    char *text = malloc(n + 1024);
    if (!text)
        err(1, "an answer");
    size_t len = (size_t)sprintf(text,
                                 "HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                                 "Content-Type: text/plain; charset=utf-8\r\nCache-Control: private, max-age=60\r\n"
                                 "ETag: \"5f3c-1a2b3c4d\"\r\nVary: Accept-Encoding\r\nX-Served-By: bench-7\r\n%s",
                                 extra);
    if (!is_chunked) {
        len += (size_t)sprintf(text + len, "Content-Length: %zu\r\n\r\n", n);
        memset(text + len, 'x', n);
        len += n;
    } else {
        len += (size_t)sprintf(text + len, "Transfer-Encoding: chunked\r\n\r\n");
        for (size_t left = n, piece; left > 0; left -= piece) {
            piece = left < 4096 ? left : 4096;
            len += (size_t)sprintf(text + len, "%zx\r\n", piece);
            memset(text + len, 'x', piece);
            len += piece + (size_t)sprintf(text + len + piece, "\r\n");
        }
        len += (size_t)sprintf(text + len, "0\r\n\r\n");
    }
    *answer = (struct answer){.name = name, .text = text, .len = len};
}

static void make_answers(struct answer *answers)
{
    make_answer(&answers[0], "200", 200, "", false);
    make_answer(&answers[1], "128", 128, "", false);
    make_answer(&answers[2], "10k", 10240, "", false);
    make_answer(&answers[3], "chunked", 10240, "", true);
    make_answer(&answers[4], "1m", 1048576, "", false);
    make_answer(&answers[5], "slow", 200, "", false);
    answers[5].is_late = true;
    make_answer(&answers[6], "close", 200, "Connection: close\r\n", false);
    answers[6].after = CLOSE;
    make_answer(&answers[7], "rude", 200, "", false);
    answers[7].after = CLOSE;
    make_answer(&answers[8], "liar", 200, "", false);
    answers[8].after = CLOSE_AT_NEXT;
}

static void watch(struct backend *backend, struct connection *connection)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = connection};
    if (connection->is_listener)
        event.events = EPOLLIN;
    if (epoll_ctl(backend->epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) < 0)
        err(1, "epoll_ctl");
}

static struct connection *connection_new(int fd)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    if (!connection)
        err(1, "a connection");
    connection->fd = fd;
    return connection;
}

static void end(struct backend *backend, struct connection *connection)
{
    if (connection->is_late)
        TAILQ_REMOVE(&backend->late, connection, link);
    close(connection->fd);
    free(connection->kept);
    free(connection);
}

/* False: the connection is gone. */
static bool flush(struct backend *backend, struct connection *connection)
{
    const struct answer *answer = connection->answer;
    while (connection->n_sent < answer->len) {
        ssize_t n =
            send(connection->fd, answer->text + connection->n_sent, answer->len - connection->n_sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n < 0) {
            end(backend, connection);
            return false;
        }
        connection->n_sent += (size_t)n;
    }
    connection->answer = NULL;
    connection->is_spent = answer->after == CLOSE_AT_NEXT;
    if (answer->after == CLOSE) {
        end(backend, connection);
        return false;
    }
    return true;
}

/* The value of a header field, which proxies write in small letters or as it came; NULL: there is none. */
static const char *field(const char *head, size_t len, const char *name, const char *small_name)
{
    const char *found = memmem(head, len, name, strlen(name));
    if (!found)
        found = memmem(head, len, small_name, strlen(small_name));
    return found ? found + strlen(name) : NULL;
}

static const struct answer *find_answer(const struct backend *backend, const char *head, size_t len)
{
    const char *line_end = memchr(head, '\r', len);
    const char *path_end = memrchr(head, ' ', (size_t)(line_end - head));
    const char *name = path_end ? memrchr(head, '/', (size_t)(path_end - head)) : NULL;
    for (unsigned i = 0; name && i < N_ANSWERS; i++) {
        const char *wanted = backend->answers[i].name;
        if (strlen(wanted) == (size_t)(path_end - name - 1) && strncmp(wanted, name + 1, strlen(wanted)) == 0)
            return &backend->answers[i];
    }
    return &backend->answers[0];
}

/* The length of the request that stands there; 0: it is not whole. */
static size_t request_length(struct backend *backend, const char *text, size_t len)
{
    const char *head_end = memmem(text, len, "\r\n\r\n", 4);
    if (!head_end)
        return 0;
    size_t n_head = (size_t)(head_end - text) + 4, n = n_head;
    if (text[0] != 'P')
        return n;
    const char *value = field(text, n_head, "\r\nContent-Length:", "\r\ncontent-length:");
    n += value ? strtoul(value, NULL, 10) : 0;
    if (n > len)
        return 0;
    const char *id = field(text, n_head, "\r\nX-Id:", "\r\nx-id:");
    size_t number = id ? strtoul(id, NULL, 10) : 0;
    if (id && number < backend->n_ids)
        __atomic_fetch_add(&backend->ids[number], 1, __ATOMIC_RELAXED);
    return n;
}

/* Of a request that is whole, which leaves nothing behind: no proxy sends the next one before the answer. */
static void serve(struct backend *backend, struct connection *connection, const char *text, size_t len)
{
    connection->answer = find_answer(backend, text, len);
    connection->n_sent = 0;
    if (!connection->answer->is_late) {
        flush(backend, connection);
        return;
    }
    connection->due_ns = now_ns() + delay_ns;
    connection->is_late = true;
    TAILQ_INSERT_TAIL(&backend->late, connection, link);
}

static void keep(struct connection *connection, const char *text, size_t len)
{
    char *kept = realloc(connection->kept, len);
    if (!kept)
        err(1, "a request");
    memmove(kept, text, len);
    connection->kept = kept;
    connection->n_kept = len;
}

static void receive(struct backend *backend, struct connection *connection)
{
    char *input = backend->input;
    size_t n_before = connection->n_kept;
    if (n_before > 0)
        memcpy(input, connection->kept, n_before);
    ssize_t n = recv(connection->fd, input + n_before, INPUT_BYTES - n_before, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0 || connection->is_spent || connection->answer) {
        end(backend, connection);
        return;
    }
    size_t len = n_before + (size_t)n;
    if (request_length(backend, input, len) == 0) {
        keep(connection, input, len);
        return;
    }
    connection->n_kept = 0;
    serve(backend, connection, input, len);
}

static void on_event(struct backend *backend, struct connection *connection, uint32_t events)
{
    if (connection->is_listener) {
        int fd;
        while ((fd = accept4(connection->fd, NULL, NULL, SOCK_NONBLOCK)) >= 0)
            watch(backend, connection_new(fd));
        return;
    }
    if (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) {
        end(backend, connection);
        return;
    }
    if (events & EPOLLOUT && connection->answer && !connection->is_late && !flush(backend, connection))
        return;
    if (events & EPOLLIN)
        receive(backend, connection);
}

/* Answers those whose time has come; gives the time until the next one. */
static int64_t serve_late(struct backend *backend)
{
    struct connection *connection;
    while ((connection = TAILQ_FIRST(&backend->late))) {
        int64_t left = connection->due_ns - now_ns();
        if (left > 0)
            return left;
        TAILQ_REMOVE(&backend->late, connection, link);
        connection->is_late = false;
        flush(backend, connection);
    }
    return -1;
}

static void listen_on(struct backend *backend, uint16_t port)
{
    const struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) < 0 ||
        bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, BACKLOG) < 0)
        err(1, "cannot listen on port %u", port);
    struct connection *listener = connection_new(fd);
    listener->is_listener = true;
    watch(backend, listener);
}

static void open_ids(struct backend *backend, const char *path)
{
    struct stat status;
    if (strcmp(path, "-") == 0)
        return;
    int fd = open(path, O_RDWR);
    if (fd < 0 || fstat(fd, &status) < 0)
        err(1, "%s", path);
    backend->n_ids = (size_t)status.st_size;
    backend->ids = mmap(NULL, backend->n_ids, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (backend->ids == MAP_FAILED)
        err(1, "%s", path);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        errx(2, "usage: gateway_backend IDS PORT...");
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    struct backend *backend = calloc(1, sizeof(*backend));
    if (!backend || (backend->epoll_fd = epoll_create1(EPOLL_CLOEXEC)) < 0)
        err(1, "epoll_create1");
    TAILQ_INIT(&backend->late);
    make_answers(backend->answers);
    open_ids(backend, argv[1]);
    for (int i = 2; i < argc; i++)
        listen_on(backend, (uint16_t)strtoul(argv[i], NULL, 10));
    for (;;) {
        struct epoll_event events[EVENTS_PER_TURN];
        int64_t wait_ns = serve_late(backend);
        const struct timespec wait = {.tv_sec = 0, .tv_nsec = wait_ns};
        int n = epoll_pwait2(backend->epoll_fd, events, EVENTS_PER_TURN, wait_ns < 0 ? NULL : &wait, NULL);
        for (int i = 0; i < n; i++)
            on_event(backend, events[i].data.ptr, events[i].events);
    }
}
