/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load for bench/gateway where wrk cannot: gateway_load PORT CONNECTIONS SECONDS RATE KIND ARGS
 *
 *     get PATH            asks
 *     post PATH           posts, each request with a number of its own in the field x-id
 *     churn SERVICE PORT  by REST: each connection registers and deregisters an instance of its own, again and again
 *     publish NAME PORT   by REST: each connection takes a service, a new one or now and then its own, and changes all
 *                         there is about it, from the first instance to the last that goes; NAME is part of new names
 *     fill N M PORT...    by REST: registers N services of M instances each, for ever; SECONDS is the most it may take
 *
 * RATE is the requests per second of all together, sent when they are due; a request that had to wait for a free
 * connection counts from when it was due (no co-ordinated omission). 0: each connection asks again at once.
 * Says how many requests there were, what became of those that failed, and how long they took, in microseconds.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENTS_PER_TURN = 256,
    HEAD_BYTES = 4096,
    REQUEST_BYTES = 1024,
    N_CAUSES = 32,
    CAUSE_BYTES = 96,
    PUBLISH_STEPS = 6
};

/* Those that have no answer so long after the last was sent get none. */
static const int64_t patience_ns = 10000000000;

struct load;

struct client {
    unsigned index;
    int fd;           /* -1: to be connected */
    uint64_t n_asked; /* by this one */
    bool is_waiting;
    int64_t began_ns; /* when its request was due */
    char head[HEAD_BYTES];
    size_t n_head; /* of the answer's head, as far as it has come */
    bool has_head;
    int64_t body_left; /* -1: until the end of the connection */
    int status;
    struct client *next_idle;
};

struct cause {
    char text[CAUSE_BYTES];
    uint64_t n;
};

struct load {
    struct sockaddr_in server;
    int epoll_fd;
    unsigned n_clients;
    double rate;
    int64_t start_ns, end_ns;
    struct client *clients, *idle;
    uint64_t n_sent, n_ok, n_waiting, n_wanted; /* n_wanted: no more than so many; 0: any number */
    unsigned n_together;                        /* so many requests of a client are made all, or none */
    uint32_t *taken_us;
    size_t n_taken, size_taken;
    struct cause causes[N_CAUSES];
    size_t (*write)(struct load *load, struct client *client, char *text);
    char **words; /* of the kind */
    int n_words;
};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000 + now.tv_nsec;
}

/* -- requests -- */

static size_t write_get(struct load *load, struct client *client, char *text)
{
    (void)client;
    return (size_t)snprintf(text, REQUEST_BYTES, "GET %s HTTP/1.1\r\nHost: bench\r\nAccept: */*\r\n\r\n",
                            load->words[0]);
}

static size_t write_post(struct load *load, struct client *client, char *text)
{
    (void)client;
    return (size_t)snprintf(text, REQUEST_BYTES,
                            "POST %s HTTP/1.1\r\nHost: bench\r\nX-Id: %llu\r\nContent-Type: text/plain\r\n"
                            "Content-Length: 16\r\n\r\nsixteen letters.",
                            load->words[0], (unsigned long long)load->n_sent);
}

/* `more`: further members of the record, each with a comma in front. */
static size_t write_registration(char *text, const char *service, const char *id, const char *address, const char *more)
{
    char body[256];
    int n = snprintf(body, sizeof(body), "{\"address\":\"http@%s\"%s}", address, more);
    return (size_t)snprintf(text, REQUEST_BYTES,
                            "PUT /api/v1/services/%s/instances/%s HTTP/1.1\r\nHost: bench\r\n"
                            "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                            service, id, n, body);
}

static size_t write_removal(char *text, const char *service, const char *id)
{
    return (size_t)snprintf(text, REQUEST_BYTES,
                            "DELETE /api/v1/services/%s/instances/%s HTTP/1.1\r\nHost: bench\r\n\r\n", service, id);
}

static size_t write_churn(struct load *load, struct client *client, char *text)
{
    char id[32], address[64];
    snprintf(id, sizeof(id), "churn%u", client->index);
    snprintf(address, sizeof(address), "127.3.%u.%u:%s", client->index / 250, client->index % 250 + 1, load->words[1]);
    if (client->n_asked % 2 == 0)
        return write_registration(text, load->words[0], id, address, "");
    return write_removal(text, load->words[0], id);
}

/* An instance with a route comes, another one comes and gets more weight, the first wants other things, both go. */
static size_t write_publish(struct load *load, struct client *client, char *text)
{
    static const struct {
        const char *id;
        unsigned weight; /* 0: it goes */
        const char *path, *balance;
    } steps[PUBLISH_STEPS] = {{"a", 1, "", "p2c"},    {"b", 1, NULL, NULL}, {"b", 3, NULL, NULL},
                              {"a", 1, "x/", "hash"}, {"a", 0, NULL, NULL}, {"b", 0, NULL, NULL}};
    char service[64], address[64], more[160];
    uint64_t visit = client->n_asked / PUBLISH_STEPS, step = client->n_asked % PUBLISH_STEPS;
    int n = snprintf(service, sizeof(service), "own%u", client->index);
    if (visit % 4)
        snprintf(service + n, sizeof(service) - (size_t)n, "-%s-%llu", load->words[0], (unsigned long long)visit);
    if (steps[step].weight == 0)
        return write_removal(text, service, steps[step].id);
    snprintf(address, sizeof(address), "127.4.%u.%u:%s", client->index / 250, client->index % 250 + 1, load->words[1]);
    n = snprintf(more, sizeof(more), ",\"weight\":%u", steps[step].weight);
    if (steps[step].path)
        snprintf(more + n, sizeof(more) - (size_t)n,
                 ",\"metadata\":{\"gateway.route\":\"/%s/%s\",\"gateway.balance\":\"%s\"}", service, steps[step].path,
                 steps[step].balance);
    return write_registration(text, service, steps[step].id, address, more);
}

/* Each at an address of its own, since all of 127/8 leads here. */
static size_t write_fill(struct load *load, struct client *client, char *text)
{
    (void)client;
    char service[32], id[32], address[64];
    uint64_t n = load->n_sent, n_each = strtoul(load->words[1], NULL, 10);
    snprintf(service, sizeof(service), "s%llu", (unsigned long long)(n / n_each));
    snprintf(id, sizeof(id), "i%llu", (unsigned long long)(n % n_each));
    snprintf(address, sizeof(address), "127.%u.%u.%u:%s", (unsigned)(16 + n / 62500), (unsigned)(n / 250 % 250),
             (unsigned)(n % 250 + 1), load->words[2 + n % (uint64_t)(load->n_words - 2)]);
    return write_registration(text, service, id, address, ",\"ttl_ms\":0");
}

/* -- outcomes -- */

static void count_failure(struct load *load, const char *text)
{
    for (unsigned i = 0; i < N_CAUSES; i++) {
        struct cause *cause = &load->causes[i];
        if (cause->n == 0)
            snprintf(cause->text, sizeof(cause->text), "%s", text);
        if (i == N_CAUSES - 1 || strcmp(cause->text, text) == 0) {
            cause->n++;
            return;
        }
    }
}

static void count_time(struct load *load, int64_t taken_ns)
{
    if (load->n_taken == load->size_taken) {
        load->size_taken = load->size_taken ? load->size_taken * 2 : 65536;
        load->taken_us = realloc(load->taken_us, load->size_taken * sizeof(load->taken_us[0]));
        if (!load->taken_us)
            err(1, "times");
    }
    load->taken_us[load->n_taken++] = (uint32_t)(taken_ns / 1000);
}

static void disconnect(struct client *client)
{
    close(client->fd);
    client->fd = -1;
}

/* The client's request is over; NULL: well. */
static void finish(struct load *load, struct client *client, const char *failure)
{
    if (!client->is_waiting)
        return;
    client->is_waiting = false;
    load->n_waiting--;
    count_time(load, now_ns() - client->began_ns);
    if (failure)
        count_failure(load, failure);
    else
        load->n_ok++;
    client->next_idle = load->idle;
    load->idle = client;
}

/* "502 connection_terminated": the status, and the error that Proxy-Status names. */
static void finish_status(struct load *load, struct client *client)
{
    char text[CAUSE_BYTES];
    if (client->status / 100 == 2) {
        finish(load, client, NULL);
        return;
    }
    const char *named = strcasestr(client->head, "\r\nproxy-status:");
    const char *error = named ? strstr(named, "error=") : NULL;
    int n = error ? (int)strcspn(error + 6, ";, \r") : 0;
    snprintf(text, sizeof(text), "%d %.*s", client->status, n, error ? error + 6 : "");
    finish(load, client, text);
}

/* -- connections -- */

static void connect_client(struct load *load, struct client *client)
{
    client->fd = socket(AF_INET, SOCK_STREAM, 0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = client};
    if (client->fd < 0 || setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) < 0 ||
        epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, client->fd, &event) < 0)
        err(1, "a connection");
    if (connect(client->fd, (const struct sockaddr *)&load->server, sizeof(load->server)) < 0)
        disconnect(client);
}

static void send_request(struct load *load, struct client *client, int64_t due_ns)
{
    char text[REQUEST_BYTES];
    size_t len = load->write(load, client, text);
    load->n_sent++;
    load->n_waiting++;
    client->n_asked++;
    *client = (struct client){.index = client->index, .fd = client->fd, .n_asked = client->n_asked, .is_waiting = true};
    client->began_ns = due_ns;
    if (client->fd < 0)
        connect_client(load, client);
    if (client->fd < 0)
        finish(load, client, "refused");
    else if (send(client->fd, text, len, MSG_NOSIGNAL) != (ssize_t)len) {
        disconnect(client);
        finish(load, client, "closed before the request");
    }
}

/* Sends what is due; gives the time until the next request is, -1: when one is free. */
static int64_t send_due(struct load *load)
{
    for (;;) {
        int64_t now = now_ns(), due = now;
        bool is_over = now >= load->end_ns || (load->n_wanted && load->n_sent >= load->n_wanted);
        while (is_over && load->idle && load->idle->n_asked % load->n_together == 0)
            load->idle = load->idle->next_idle;
        struct client *client = load->idle;
        if (!client)
            return -1;
        if (load->rate > 0)
            due = load->start_ns + (int64_t)((double)load->n_sent * 1e9 / load->rate);
        if (due > now)
            return due - now;
        load->idle = client->next_idle;
        send_request(load, client, due);
    }
}

static void read_head(struct client *client, const char *bytes, size_t len)
{
    size_t n_before = client->n_head, n_take = HEAD_BYTES - 1 - n_before;
    n_take = n_take < len ? n_take : len;
    memcpy(client->head + n_before, bytes, n_take);
    client->n_head += n_take;
    client->head[client->n_head] = '\0';
    char *head_end = strstr(client->head, "\r\n\r\n");
    if (!head_end)
        return;
    client->has_head = true;
    head_end[2] = '\0';
    client->status = client->n_head > 12 ? atoi(client->head + 9) : 0;
    const char *length = strcasestr(client->head, "\r\ncontent-length:");
    size_t n_body = len - ((size_t)(head_end - client->head) + 4 - n_before);
    client->body_left = length ? (int64_t)strtoull(length + 17, NULL, 10) - (int64_t)n_body : -1;
    if (client->status == 204)
        client->body_left = 0;
}

static void on_input(struct load *load, struct client *client)
{
    char bytes[65536];
    ssize_t n = recv(client->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        disconnect(client);
        if (n == 0 && client->has_head && client->body_left < 0)
            finish_status(load, client);
        else
            finish(load, client, n < 0 ? "reset" : client->n_head > 0 ? "cut off" : "closed");
        return;
    }
    if (!client->is_waiting) {
        disconnect(client); /* bytes that nobody asked for: what answers 408, say */
    } else if (!client->has_head) {
        read_head(client, bytes, (size_t)n);
    } else if (client->body_left > 0) {
        client->body_left -= n;
    }
    if (client->is_waiting && client->has_head && client->body_left == 0) {
        if (strcasestr(client->head, "\r\nconnection: close"))
            disconnect(client);
        finish_status(load, client);
    }
}

static void run(struct load *load)
{
    load->start_ns = now_ns();
    load->end_ns += load->start_ns;
    for (;;) {
        struct epoll_event events[EVENTS_PER_TURN];
        int64_t wait_ns = send_due(load), now = now_ns();
        if (load->n_waiting == 0 && wait_ns < 0)
            return;
        if (now > load->end_ns + patience_ns)
            break;
        if (wait_ns < 0 || wait_ns > 100000000)
            wait_ns = 100000000;
        const struct timespec wait = {.tv_nsec = wait_ns};
        int n = epoll_pwait2(load->epoll_fd, events, EVENTS_PER_TURN, &wait, NULL);
        for (int i = 0; i < n; i++)
            on_input(load, events[i].data.ptr);
    }
    for (unsigned i = 0; i < load->n_clients; i++)
        finish(load, &load->clients[i], "no answer");
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void report(struct load *load)
{
    size_t n = load->n_taken;
    printf("requests %zu\nok %llu\nseconds %.3f\n", n, (unsigned long long)load->n_ok,
           (double)(now_ns() - load->start_ns) / 1e9);
    if (n == 0)
        return;
    qsort(load->taken_us, n, sizeof(load->taken_us[0]), by_size);
    printf("p50 %u\np99 %u\np999 %u\nslowest %u\n", load->taken_us[n / 2], load->taken_us[n * 99 / 100],
           load->taken_us[n * 999 / 1000], load->taken_us[n - 1]);
    for (unsigned i = 0; i < N_CAUSES && load->causes[i].n > 0; i++)
        printf("failed %llu %s\n", (unsigned long long)load->causes[i].n, load->causes[i].text);
}

static const struct kind {
    const char *name;
    int n_words_min;
    size_t (*write)(struct load *load, struct client *client, char *text);
    unsigned n_together;
} kinds[] = {{"get", 1, write_get, 1},
             {"post", 1, write_post, 1},
             {"churn", 2, write_churn, 2},
             {"publish", 2, write_publish, PUBLISH_STEPS},
             {"fill", 3, write_fill, 1}};

static void read_arguments(struct load *load, int argc, char **argv)
{
    const struct kind *kind = NULL;
    for (unsigned i = 0; argc > 5 && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i].name, argv[5]) == 0)
            kind = &kinds[i];
    if (!kind || argc - 6 < kind->n_words_min)
        errx(2, "usage: gateway_load PORT CONNECTIONS SECONDS RATE get|post|churn|publish|fill ARGS");
    load->server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10))};
    load->server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    load->n_clients = (unsigned)strtoul(argv[2], NULL, 10);
    load->end_ns = (int64_t)(strtod(argv[3], NULL) * 1e9);
    load->rate = strtod(argv[4], NULL);
    load->write = kind->write;
    load->n_together = kind->n_together;
    load->words = argv + 6;
    load->n_words = argc - 6;
    if (kind->write == write_fill)
        load->n_wanted = strtoul(argv[6], NULL, 10) * strtoul(argv[7], NULL, 10);
}

int main(int argc, char **argv)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    struct load load = {.epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    read_arguments(&load, argc, argv);
    load.clients = calloc(load.n_clients, sizeof(load.clients[0]));
    if (load.epoll_fd < 0 || !load.clients)
        err(1, "clients");
    for (unsigned i = 0; i < load.n_clients; i++) {
        struct client *client = &load.clients[i];
        client->index = i;
        connect_client(&load, client);
        client->next_idle = load.idle;
        load.idle = client;
    }
    run(&load);
    report(&load);
    free(load.clients);
    free(load.taken_us);
    return EXIT_SUCCESS;
}
