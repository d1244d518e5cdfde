/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop is the real one; only what it waits for is simulated. Each end holds the bytes on their way to it in a ring
 * of the window's size, as three counts of one sequence: received <= arrived <= sent. An arrival is due at a moment of
 * the virtual clock; the wait moves the clock to the next arrival, or to the end of its time-out, whichever is first.
 */
#include "support/sim.h"

#include "base/assert.h"
#include "support/test.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

/* A whole number of milliseconds, so that a timer of 30 s has fired when a test has run for 30 s. */
static const nsec_t first_now_ns = 1000 * NSEC_PER_SEC;
static const nsec_t first_wall_ns = 784111777 * NSEC_PER_SEC;

#define FIRST_FD    (1 << 20)
#define KERNELS_MAX 16

/* A descriptor of the kernel's, such as one of inotify. */
struct kernel {
    int fd;
    void *data; /* the loop's */
};

struct sim {
    struct loop *loop;
    nsec_t now_ns;
    nsec_t until_ns; /* the clock is not moved beyond */
    bool is_settled; /* nothing was left to happen before until_ns */
    int last_fd;     /* numbers given out to ends: no real descriptors */
    struct list ends;
    struct kernel kernels[KERNELS_MAX];
    unsigned n_kernels;
};

struct end {
    struct stream stream;
    struct loop_source source;
    struct list link; /* in sim->ends */
    struct sim *sim;
    struct end *peer;
    void *data;      /* the loop's */
    uint32_t events; /* to be reported by the next wait */
    int error;       /* to be told with EPOLLERR */
    nsec_t connect_due_ns;
    bool is_closed;
    bool wants_room; /* a send was refused */

    /* What comes to this end. */
    struct sim_way way;
    char *ring;
    uint64_t n_sent, n_arrived, n_received;
    bool end_sent, end_arrived;
    nsec_t due_ns; /* of the next arrival; NSEC_NEVER: none */
    size_t i_piece;
};

struct pair {
    struct end a, b;
};

static struct end *end_of(struct stream *stream)
{
    return container_of(stream, struct end, stream);
}

/* What is to come needs a moment at which it comes. */
static void schedule_arrival(struct end *end)
{
    bool is_waiting = end->n_arrived < end->n_sent || (end->end_sent && !end->end_arrived);
    if (is_waiting && end->due_ns == NSEC_NEVER)
        end->due_ns = end->sim->now_ns + end->way.delay_ns;
}

static void break_end(struct end *end, int error)
{
    if (end->is_closed)
        return;
    end->n_sent = end->n_arrived; /* what is on its way is lost */
    end->due_ns = NSEC_NEVER;
    end->error = error;
    end->events |= EPOLLERR;
}

static uint64_t next_piece(struct end *end)
{
    const size_t *pieces = end->way.pieces;
    if (!pieces)
        return UINT64_MAX;
    size_t n = pieces[end->i_piece];
    if (pieces[end->i_piece + 1] != 0)
        end->i_piece++;
    return n;
}

static void arrive(struct end *end)
{
    end->due_ns = NSEC_NEVER;
    uint64_t n = end->n_sent - end->n_arrived;
    if (n > 0) {
        uint64_t piece = next_piece(end);
        n = n < piece ? n : piece;
        uint64_t reset_at = end->way.reset_at;
        bool is_reset = reset_at != 0 && end->n_arrived + n >= reset_at;
        end->n_arrived += is_reset ? reset_at - end->n_arrived : n;
        end->events |= EPOLLIN;
        if (is_reset) {
            sim_reset(&end->stream);
            return;
        }
    }
    if (end->end_sent && end->n_arrived == end->n_sent) {
        end->end_arrived = true;
        end->events |= EPOLLIN | EPOLLRDHUP;
    }
    schedule_arrival(end);
}

static void connect_done(struct end *end)
{
    end->connect_due_ns = NSEC_NEVER;
    if (end->error)
        end->events |= EPOLLERR;
    else
        end->events |= EPOLLOUT;
}

/* The stream's operations. */

static ssize_t sim_recv(struct stream *stream, void *ret_bytes, size_t len)
{
    struct end *end = end_of(stream);
    ASSERT(len > 0 && !end->is_closed);
    if (!(stream->bits & STREAM_OPEN))
        return stream->bits & STREAM_FAILED ? stream->error : -EAGAIN;
    size_t n = min_size(len, (size_t)(end->n_arrived - end->n_received));
    if (n == 0 && stream->bits & STREAM_FAILED)
        return stream->error;
    if (n == 0 && end->end_arrived) {
        stream->bits |= STREAM_PEER_DONE | STREAM_READABLE;
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        ((char *)ret_bytes)[i] = end->ring[(end->n_received + i) % end->way.window_bytes];
    end->n_received += n;
    if (n > 0 && end->peer->wants_room) {
        end->peer->wants_room = false;
        end->peer->events |= EPOLLOUT;
    }
    if (n < len && !(stream->bits & (STREAM_PEER_DONE | STREAM_FAILED)))
        stream->bits &= (unsigned short)~STREAM_READABLE;
    return n > 0 ? (ssize_t)n : -EAGAIN;
}

static ssize_t sim_sendv(struct stream *stream, const struct iovec *iov, int n_iov)
{
    struct end *end = end_of(stream);
    struct end *peer = end->peer;
    ASSERT(!end->is_closed);
    if (stream->bits & STREAM_FAILED)
        return stream->error;
    if (!(stream->bits & STREAM_OPEN))
        return -EAGAIN;
    if (peer->end_sent || peer->is_closed)
        return stream_broke(stream, -EPIPE);

    size_t n_offered = 0, n_taken = 0;
    size_t n_room = peer->way.window_bytes - sim_unread(&peer->stream);
    for (int i = 0; i < n_iov; i++) {
        n_offered += iov[i].iov_len;
        for (size_t k = 0; k < iov[i].iov_len && n_taken < n_room; k++, n_taken++)
            peer->ring[(peer->n_sent + n_taken) % peer->way.window_bytes] = ((const char *)iov[i].iov_base)[k];
    }
    peer->n_sent += n_taken;
    schedule_arrival(peer);
    if (n_taken < n_offered) {
        stream->bits &= (unsigned short)~STREAM_WRITABLE;
        end->wants_room = true;
    }
    return n_taken > 0 || n_offered == 0 ? (ssize_t)n_taken : -EAGAIN;
}

static void send_end(struct end *end)
{
    end->peer->end_sent = true;
    schedule_arrival(end->peer);
}

static int sim_shutdown(struct stream *stream)
{
    struct end *end = end_of(stream);
    if (stream->bits & STREAM_FAILED)
        return stream->error;
    if (!(stream->bits & STREAM_OPEN))
        return -EAGAIN;
    send_end(end);
    return 0;
}

static void sim_close(struct stream *stream)
{
    struct end *end = end_of(stream);
    struct end *peer = end->peer;
    ASSERT(!end->is_closed);
    if (sim_unread(stream) > 0)
        break_end(peer, -ECONNRESET);
    else
        send_end(end);
    loop_remove(stream->loop, &end->source);
    list_remove(&end->link);
    end->is_closed = true;
    if (!peer->is_closed)
        return;
    struct pair *pair = container_of(end < peer ? end : peer, struct pair, a);
    free(pair->a.ring);
    free(pair->b.ring);
    free(pair);
}

static const struct stream_ops sim_ops = {
    .name = "sim",
    .recv = sim_recv,
    .sendv = sim_sendv,
    .shutdown = sim_shutdown,
    .close = sim_close,
};

static void ignore_event(struct stream *stream, unsigned new_bits)
{
    (void)stream;
    (void)new_bits;
}

static void on_ready(struct loop_source *source, uint32_t events)
{
    struct end *end = container_of(source, struct end, source);
    if (events & EPOLLERR) {
        stream_fail(&end->stream, end->error);
        return;
    }
    unsigned bits = 0;
    if (events & EPOLLIN)
        bits |= STREAM_READABLE;
    if (events & EPOLLRDHUP)
        bits |= STREAM_READABLE | STREAM_PEER_DONE;
    if (events & EPOLLOUT)
        bits |= STREAM_WRITABLE | STREAM_OPEN;
    stream_raise(&end->stream, bits);
}

/* The system's operations. */

static nsec_t system_now(void *ctx)
{
    struct sim *sim = ctx;
    return sim->now_ns;
}

static nsec_t system_wall_now(void *ctx)
{
    struct sim *sim = ctx;
    return first_wall_ns + (sim->now_ns - first_now_ns);
}

static struct end *find_end(struct sim *sim, int fd)
{
    list_for_each (link, &sim->ends) {
        struct end *end = container_of(link, struct end, link);
        if (end->source.fd == fd)
            return end;
    }
    test_fail(__FILE__, __LINE__, "descriptor %d is not of this simulated system", fd);
}

/* Streams are added with all their events; who waits for bytes alone has a descriptor of the kernel's. */
static int system_add(void *ctx, int fd, uint32_t events, void *data)
{
    struct sim *sim = ctx;
    if (events != EPOLLIN) {
        find_end(sim, fd)->data = data;
        return 0;
    }
    expect_true(sim->n_kernels < ARRAY_LEN(sim->kernels));
    sim->kernels[sim->n_kernels++] = (struct kernel){fd, data};
    return 0;
}

static void system_remove(void *ctx, int fd)
{
    struct sim *sim = ctx;
    for (unsigned i = 0; i < sim->n_kernels; i++) {
        if (sim->kernels[i].fd == fd) {
            sim->kernels[i] = sim->kernels[--sim->n_kernels];
            return;
        }
    }
    find_end(sim, fd)->data = NULL;
}

/* Lets all that is due now happen, an end's next piece once; gives the moment of what comes next. */
static nsec_t let_happen(struct sim *sim)
{
    list_for_each (link, &sim->ends) {
        struct end *end = container_of(link, struct end, link);
        if (end->connect_due_ns <= sim->now_ns)
            connect_done(end);
        if (end->due_ns <= sim->now_ns)
            arrive(end);
    }
    nsec_t next = NSEC_NEVER;
    list_for_each (link, &sim->ends) {
        struct end *end = container_of(link, struct end, link);
        nsec_t due = end->connect_due_ns < end->due_ns ? end->connect_due_ns : end->due_ns;
        next = due < next ? due : next;
    }
    return next;
}

static int report(struct sim *sim, struct epoll_event *events, int max_events)
{
    int n = 0;
    list_for_each (link, &sim->ends) {
        struct end *end = container_of(link, struct end, link);
        if (end->events && n < max_events) {
            events[n++] = (struct epoll_event){.events = end->events, .data.ptr = end->data};
            end->events = 0;
        }
    }
    for (unsigned i = 0; i < sim->n_kernels && n < max_events; i++) {
        struct pollfd poll_fd = {.fd = sim->kernels[i].fd, .events = POLLIN};
        if (poll(&poll_fd, 1, 0) > 0)
            events[n++] = (struct epoll_event){.events = EPOLLIN, .data.ptr = sim->kernels[i].data};
    }
    return n;
}

static int system_wait(void *ctx, struct epoll_event *events, int max_events, nsec_t timeout_ns)
{
    struct sim *sim = ctx;
    nsec_t next = let_happen(sim);
    int n = report(sim, events, max_events);
    if (n > 0 || timeout_ns == 0)
        return n;

    if (timeout_ns != NSEC_NEVER && sim->now_ns + timeout_ns < next)
        next = sim->now_ns + timeout_ns;
    if (next > sim->until_ns) {
        sim->now_ns = sim->until_ns;
        sim->is_settled = true;
        return 0;
    }
    if (next == NSEC_NEVER)
        test_fail(__FILE__, __LINE__, "the loop waits, and nothing can ever happen");
    sim->now_ns = next > sim->now_ns ? next : sim->now_ns;
    (void)let_happen(sim);
    return report(sim, events, max_events);
}

static void system_wake(void *ctx)
{
    (void)ctx; /* it never really waits */
}

static void system_free(void *ctx)
{
    struct sim *sim = ctx;
    ASSERT(list_is_empty(&sim->ends));
    free(sim);
}

static const struct loop_system sim_system = {
    .now = system_now,
    .wall_now = system_wall_now,
    .add = system_add,
    .remove = system_remove,
    .wait = system_wait,
    .wake = system_wake,
    .free = system_free,
};

/* What the tests call. */

int sim_new(struct rcu_domain *rcu, struct sim **ret_sim, struct loop **ret_loop)
{
    struct sim *sim = malloc(sizeof(*sim));
    if (!sim)
        return -ENOMEM;
    *sim = (struct sim){.now_ns = first_now_ns, .last_fd = FIRST_FD, .until_ns = NSEC_NEVER};
    list_init(&sim->ends);
    int r = loop_new_on(&sim_system, sim, rcu, &sim->loop);
    if (r < 0)
        return r;
    *ret_sim = sim;
    *ret_loop = sim->loop;
    return 0;
}

static int end_init(struct end *end, struct sim *sim, const struct sim_way *way, struct end *peer)
{
    *end = (struct end){
        .stream = {.ops = &sim_ops, .loop = sim->loop, .on_event = ignore_event, .bits = STREAM_OPEN | STREAM_WRITABLE},
        .source = {.fd = sim->last_fd++, .on_ready = on_ready},
        .sim = sim,
        .peer = peer,
        .connect_due_ns = NSEC_NEVER,
        .way = *way,
        .due_ns = NSEC_NEVER,
    };
    if (end->way.window_bytes == 0)
        end->way.window_bytes = SIM_WINDOW_BYTES;
    ASSERT(!way->pieces || way->pieces[0] > 0);
    list_init(&end->link);
    end->ring = malloc(end->way.window_bytes);
    return end->ring ? 0 : -ENOMEM;
}

static void end_register(struct end *end)
{
    list_push_back(&end->sim->ends, &end->link);
    int r = loop_add(end->sim->loop, &end->source, LOOP_STREAM_EVENTS);
    ASSERT(r == 0);
}

int sim_pair(struct sim *sim, const struct sim_options *options, struct stream **ret_a, struct stream **ret_b)
{
    static const struct sim_options faultless;
    if (!options)
        options = &faultless;
    struct pair *pair = calloc(1, sizeof(*pair));
    if (!pair)
        return -ENOMEM;
    struct end *a = &pair->a, *b = &pair->b;
    if (end_init(a, sim, &options->to_a, b) < 0 || end_init(b, sim, &options->to_b, a) < 0) {
        free(a->ring);
        free(b->ring);
        free(pair);
        return -ENOMEM;
    }
    if (options->connect_ns > 0 || options->connect_error) {
        a->stream.bits = 0;
        a->error = options->connect_error;
        a->connect_due_ns = sim->now_ns + options->connect_ns;
    }
    end_register(a);
    end_register(b);
    *ret_a = &a->stream;
    *ret_b = &b->stream;
    return 0;
}

int sim_connect(struct sim *sim, const struct sim_options *options, stream_event_fn on_event, void *owner,
                struct stream **ret_stream, struct stream **ret_far)
{
    int r = sim_pair(sim, options, ret_stream, ret_far);
    if (r < 0)
        return r;
    (*ret_stream)->on_event = on_event;
    (*ret_stream)->owner = owner;
    return 0;
}

void sim_run_for(struct sim *sim, nsec_t duration_ns)
{
    sim->until_ns = sim->now_ns + duration_ns;
    sim->is_settled = false;
    while (!sim->is_settled) {
        int r = loop_turn(sim->loop, NSEC_NEVER);
        ASSERT(r == 0);
    }
    sim->until_ns = NSEC_NEVER;
}

void sim_skip(struct sim *sim, nsec_t duration_ns)
{
    sim->now_ns += duration_ns;
}

nsec_t sim_now(const struct sim *sim)
{
    return sim->now_ns;
}

void sim_reset(struct stream *stream)
{
    struct end *end = end_of(stream);
    break_end(end, -ECONNRESET);
    break_end(end->peer, -ECONNRESET);
}

size_t sim_unread(struct stream *stream)
{
    struct end *end = end_of(stream);
    return (size_t)(end->n_sent - end->n_received);
}
