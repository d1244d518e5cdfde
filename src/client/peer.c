/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection of a server: it moves bytes between the socket and its session (session.h), and ends those who are slow.
 * Each phase has a deadline that begins with it, so a peer that sends a byte now and then gets no further than a silent
 * one. While its request is carried out nothing is read, and nobody waits for the socket.
 */
#include "client/server.h"

#include "base/util.h"
#include "client/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE_BYTES     ((size_t)16 * 1024)
#define IDLE_NS         (60 * NSEC_PER_SEC)
#define LINGER_NS       (1 * NSEC_PER_SEC)
#define LEAVE_NS        (250 * NSEC_PER_MSEC) /* at the end: for a request that is on its way */
#define PIECES_PER_TURN 16

/* LINGERING: all is said; what the peer still sends is dropped, so that a reset does not take the answer from it. */
enum phase { IDLE, RECEIVING, ANSWERING, SENDING, LINGERING };

struct peer {
    struct list link; /* in the server's peers */
    struct task task;
    struct muster_server *server;
    int fd;
    enum phase phase;
    nsec_t deadline_ns;
    struct session session;
    struct muster_request *request;
    size_t n_sent; /* of session.out */
    bool is_ended; /* the session is over */
};

static nsec_t time_of(const struct peer *peer, enum phase phase)
{
    if (phase == IDLE && peer->session.has_answered)
        return IDLE_NS;
    if (phase == IDLE && peer->server->is_leaving)
        return LEAVE_NS;
    return phase == LINGERING ? LINGER_NS : peer->server->slow_ns;
}

static void enter(struct peer *peer, enum phase phase)
{
    if (peer->phase == phase)
        return;
    peer->phase = phase;
    peer->deadline_ns = phase == ANSWERING ? NSEC_NEVER : time_now() + time_of(peer, phase);
}

/* 0: all is sent; -EAGAIN; -errno. */
static int send_some(struct peer *peer)
{
    struct buf *out = &peer->session.out;
    while (peer->n_sent < out->len) {
        ssize_t n = send(peer->fd, out->ptr + peer->n_sent, out->len - peer->n_sent, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? -EAGAIN : -errno;
        peer->n_sent += (size_t)n;
    }
    peer->n_sent = 0;
    buf_deinit(out);
    return 0;
}

/* More bytes for the session. 0; -EAGAIN; -ENOMEM, -ECONNRESET: it is over. */
static int receive_some(struct peer *peer)
{
    char piece[PIECE_BYTES];
    ssize_t n = recv(peer->fd, piece, min_size(sizeof(piece), session_room(&peer->session)), 0);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? -EAGAIN : -errno;
    if (n == 0)
        return -ECONNRESET;
    return session_take(&peer->session, slice_from(piece, (size_t)n));
}

/* Has the session go on until it lacks bytes or has a request. 0; -EAGAIN; or why the connection is over. */
static int talk(struct peer *peer)
{
    for (int i = 0; i < PIECES_PER_TURN; i++) {
        int step = session_step(&peer->session);
        if (step < 0)
            return step;
        peer->is_ended = step == SESSION_ENDED;
        if (step == SESSION_REQUEST) {
            peer->request = request_new(peer->server, peer, &peer->session.request);
            return peer->request ? 0 : -ENOMEM;
        }
        if (step != SESSION_MORE || peer->session.out.len > 0)
            return 0;
        int r = receive_some(peer);
        if (r < 0)
            return r;
    }
    task_post(&peer->task, &peer->server->client->driver); /* others have their turn first */
    return -EAGAIN;
}

/* All is sent and nothing more is read. 0 or -errno: it is over. */
static int linger(struct peer *peer)
{
    char piece[PIECE_BYTES];
    if (peer->phase != LINGERING)
        (void)shutdown(peer->fd, SHUT_WR);
    enter(peer, LINGERING);
    for (int i = 0; i < PIECES_PER_TURN; i++) {
        ssize_t n = recv(peer->fd, piece, sizeof(piece), 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (n <= 0)
            return -ECONNRESET;
    }
    return 0;
}

/* Which phase it is in, after what was done. */
static enum phase find_phase(const struct peer *peer)
{
    if (peer->session.out.len > 0)
        return SENDING;
    if (peer->request)
        return ANSWERING;
    return session_is_idle(&peer->session) ? IDLE : RECEIVING;
}

/* As far as it goes now. 0: wait; else it is over. */
static int advance(struct peer *peer)
{
    int r = send_some(peer);
    while (r == 0 && !peer->request && !peer->is_ended) {
        r = talk(peer);
        if (r == 0)
            r = send_some(peer);
    }
    if (r < 0 && r != -EAGAIN)
        return r;
    if (peer->is_ended && peer->session.out.len == 0)
        return linger(peer);
    enter(peer, find_phase(peer));
    return 0;
}

static void on_ready(struct task *task)
{
    struct peer *peer = container_of(task, struct peer, task);
    struct driver *driver = &peer->server->client->driver;
    static const unsigned events[] = {
        [IDLE] = EPOLLIN, [RECEIVING] = EPOLLIN, [SENDING] = EPOLLOUT, [LINGERING] = EPOLLIN};
    int r = advance(peer);
    if (r == 0 && peer->deadline_ns <= time_now())
        r = -ETIMEDOUT;
    if (r == 0 && peer->phase == ANSWERING)
        r = task_watch(task, driver, -1, 0);
    else if (r == 0)
        r = task_watch(task, driver, peer->fd, events[peer->phase]);
    if (r < 0)
        peer_free(peer);
    else
        task_wake_at(task, driver, peer->deadline_ns);
}

/* ------------------------------------------------------------------------------------------------ life */

int peer_new(struct muster_server *server, const struct session_options *options, int fd)
{
    struct peer *peer = calloc(1, sizeof(*peer));
    if (!peer) {
        close(fd);
        return -ENOMEM;
    }
    peer->server = server;
    peer->fd = fd;
    peer->phase = ANSWERING; /* none that has a deadline: what follows sets it */
    session_init(&peer->session, options);
    peer->session.is_last = server->is_leaving;
    list_init(&peer->link);
    list_push_back(&server->peers, &peer->link);
    server->n_peers++;
    task_init(&peer->task, &server->client->driver, on_ready);
    enter(peer, IDLE);
    task_post(&peer->task, &server->client->driver);
    return 0;
}

void peer_free(struct peer *peer)
{
    struct muster_server *server = peer->server;
    if (peer->request)
        peer->request->peer = NULL;
    task_deinit(&peer->task, &server->client->driver);
    close(peer->fd);
    session_deinit(&peer->session);
    list_remove(&peer->link);
    free(peer);
    server->n_peers--;
    listener_resume(&server->http);
    listener_resume(&server->lines);
}

struct peer *peer_from_link(struct list *link)
{
    return container_of(link, struct peer, link);
}

void peer_leave(struct peer *peer)
{
    peer->session.is_last = true;
    if (peer->phase == IDLE)
        peer->deadline_ns = time_now() + time_of(peer, IDLE);
    task_post(&peer->task, &peer->server->client->driver);
}

int peer_answer(struct peer *peer, const char *result, int64_t code, const char *message)
{
    peer->request = NULL;
    int r =
        result ? session_reply(&peer->session, slice_from_str(result)) : session_fail(&peer->session, code, message);
    if (r < 0)
        peer_free(peer);
    else
        task_post(&peer->task, &peer->server->client->driver);
    return r;
}
