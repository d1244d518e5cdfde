/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program of the image `hello`: answers each HTTP request on port 8080 with its host's name. A thread for each
 * connection; enough for a demonstration.
 *
 * It stops as one who serves should: after SIGTERM it takes no connections any more, and ends when the requests that
 * run are answered. With the argument `deaf` it is one of the many that do not: as process 1 of a container it is not
 * ended by a signal that it does not ask for, and goes on until it is killed.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT       8080
#define HEAD_BYTES 16384

/* Requests that run, so that the end waits for them. */
struct running {
    pthread_mutex_t lock;
    pthread_cond_t rests;
    unsigned n;
};

struct connection {
    int fd;
    struct running *running;
};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void count(struct running *running, int change)
{
    pthread_mutex_lock(&running->lock);
    running->n += (unsigned)change;
    if (running->n == 0)
        pthread_cond_signal(&running->rests);
    pthread_mutex_unlock(&running->lock);
}

/* 0: the client has gone. */
static int answer(int fd)
{
    char host[64] = "", body[96], text[256];
    gethostname(host, sizeof(host) - 1);
    int n = snprintf(body, sizeof(body), "hello from %s\n", host);
    int len = snprintf(text, sizeof(text),
                       "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", n, body);
    return send(fd, text, (size_t)len, MSG_NOSIGNAL) == len;
}

/* Requests without bodies, one after the other. */
static void *serve(void *arg)
{
    struct connection *connection = arg;
    char head[HEAD_BYTES + 1];
    size_t len = 0;
    ssize_t n;
    int lives = 1;
    while (lives && len < HEAD_BYTES && (n = recv(connection->fd, head + len, HEAD_BYTES - len, 0)) > 0) {
        char *end;
        len += (size_t)n;
        head[len] = '\0';
        while (lives && (end = strstr(head, "\r\n\r\n"))) {
            count(connection->running, 1);
            lives = answer(connection->fd);
            count(connection->running, -1);
            len -= (size_t)(end + 4 - head);
            memmove(head, end + 4, len + 1);
        }
    }
    close(connection->fd);
    free(connection);
    return NULL;
}

static void take(int listener, struct running *running)
{
    pthread_t thread;
    struct connection *connection = malloc(sizeof(*connection));
    int fd = accept(listener, NULL, NULL);
    if (fd >= 0 && connection) {
        *connection = (struct connection){fd, running};
        if (pthread_create(&thread, NULL, serve, connection) == 0) {
            pthread_detach(thread);
            return;
        }
    }
    if (fd >= 0)
        close(fd);
    free(connection);
}

static int listen_on(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 128) < 0)
        fail("port 8080");
    return fd;
}

int main(int argc, char **argv)
{
    struct running running = {.lock = PTHREAD_MUTEX_INITIALIZER, .rests = PTHREAD_COND_INITIALIZER};
    int is_deaf = argc > 1 && strcmp(argv[1], "deaf") == 0;
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &term, NULL);
    struct pollfd polled[] = {{.fd = listen_on(PORT), .events = POLLIN},
                              {.fd = signalfd(-1, &term, SFD_CLOEXEC), .events = POLLIN}};
    while (!(polled[1].revents & POLLIN)) {
        if (poll(polled, is_deaf ? 1 : 2, -1) > 0 && (polled[0].revents & POLLIN))
            take(polled[0].fd, &running);
    }
    close(polled[0].fd);
    pthread_mutex_lock(&running.lock);
    while (running.n > 0)
        pthread_cond_wait(&running.rests, &running.lock);
    return 0;
}
