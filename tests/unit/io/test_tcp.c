/* SPDX-License-Identifier: Apache-2.0 */
#include "io/tcp.h"

#include "support/fault_alloc.h"
#include "support/sockets.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* The owner of the stream under test: it only remembers. */
struct owner {
    struct loop *loop;
    struct stream *stream;
    unsigned bits; /* told so far */
    int n_events;
};

static void remember(struct stream *stream, unsigned new_bits)
{
    struct owner *owner = stream->owner;
    owner->bits |= new_bits;
    owner->n_events++;
}

static struct loop *real_loop(void)
{
    struct loop *loop;
    expect_int(loop_new(NULL, &loop), 0);
    return loop;
}

/* Adopts one end of a pair; gives the other. */
static int owner_adopt(struct owner *owner)
{
    int fds[2];
    *owner = (struct owner){.loop = real_loop()};
    tcp_pair(fds);
    expect_int(tcp_adopt(owner->loop, fds[0], remember, owner, &owner->stream), 0);
    expect_int(owner->stream->bits, STREAM_OPEN | STREAM_WRITABLE);
    return fds[1];
}

static void owner_close(struct owner *owner)
{
    stream_close(owner->stream);
    loop_free(owner->loop);
}

static void turn_until(struct owner *owner, unsigned bits)
{
    while ((owner->stream->bits & bits) != bits)
        expect_int(loop_turn(owner->loop, NSEC_NEVER), 0);
}

static void bytes_go_both_ways(void)
{
    struct owner owner;
    int peer = owner_adopt(&owner);
    char text[16];
    expect_int(stream_recv(owner.stream, text, sizeof(text)), -EAGAIN);
    expect_int(write(peer, "hello", 5), 5);
    turn_until(&owner, STREAM_READABLE);
    expect_int(owner.bits, STREAM_READABLE);
    expect_int(stream_recv(owner.stream, text, sizeof(text)), 5);
    expect_int(owner.stream->bits & STREAM_READABLE, 0); /* a short read is enough to know */

    const struct iovec iov[] = {{(char[]){"wor"}, 3}, {(char[]){"ld"}, 2}};
    expect_int(stream_sendv(owner.stream, iov, 2), 5);
    expect_int(read(peer, text, sizeof(text)), 5);
    expect_slice(slice_from(text, 5), "world");
    close(peer);
    owner_close(&owner);
}

static void a_full_read_leaves_it_readable(void)
{
    struct owner owner;
    int peer = owner_adopt(&owner);
    char text[16];
    expect_int(write(peer, "hello", 5), 5);
    turn_until(&owner, STREAM_READABLE);
    expect_int(stream_recv(owner.stream, text, 3), 3);
    expect_true(owner.stream->bits & STREAM_READABLE);
    loop_turn(owner.loop, 0); /* a paused reader is not called again */
    expect_int(owner.n_events, 1);
    expect_int(stream_recv(owner.stream, text, 2), 2);
    expect_int(stream_recv(owner.stream, text, 2), -EAGAIN);
    expect_int(owner.stream->bits & STREAM_READABLE, 0);
    close(peer);
    owner_close(&owner);
}

static void the_end_comes_after_the_bytes(void)
{
    struct owner owner;
    int peer = owner_adopt(&owner);
    char text[16];
    expect_int(write(peer, "bye", 3), 3);
    close(peer);
    turn_until(&owner, STREAM_PEER_DONE);
    expect_int(stream_recv(owner.stream, text, sizeof(text)), 3);
    expect_true(owner.stream->bits & STREAM_READABLE); /* the end is still to be read */
    expect_int(stream_recv(owner.stream, text, sizeof(text)), 0);
    expect_int(stream_recv(owner.stream, text, sizeof(text)), 0);
    owner_close(&owner);
}

static void half_closes(void)
{
    struct owner owner;
    int peer = owner_adopt(&owner);
    char text[16];
    expect_int(stream_shutdown(owner.stream), 0);
    expect_int(read(peer, text, sizeof(text)), 0);
    expect_int(write(peer, "answer", 6), 6);
    turn_until(&owner, STREAM_READABLE);
    expect_int(stream_recv(owner.stream, text, sizeof(text)), 6);
    close(peer);
    owner_close(&owner);
}

static void what_came_before_a_reset_is_received(void)
{
    struct owner owner;
    int peer = owner_adopt(&owner);
    char text[16];
    expect_int(write(peer, "early answer", 12), 12);
    reset_on_close(peer);
    close(peer);
    turn_until(&owner, STREAM_FAILED);
    expect_int(owner.stream->error, -ECONNRESET);
    expect_int(stream_recv(owner.stream, text, sizeof(text)), 12);
    expect_int(stream_recv(owner.stream, text, sizeof(text)), -ECONNRESET);
    expect_int(stream_send(owner.stream, SLICE_LIT("x")), -ECONNRESET);
    expect_int(stream_shutdown(owner.stream), -ECONNRESET);
    owner_close(&owner);
}

static void a_paused_reader_hears_of_a_reset(void)
{
    struct owner owner;
    int peer = owner_adopt(&owner);
    expect_int(write(peer, "unread", 6), 6);
    turn_until(&owner, STREAM_READABLE);
    reset_on_close(peer);
    close(peer);
    turn_until(&owner, STREAM_FAILED);
    expect_true(owner.bits & STREAM_FAILED);
    owner_close(&owner);
}

static void sends_until_the_peer_is_full(void)
{
    enum { BLOCK = 65536 };
    static char block[BLOCK];
    struct owner owner;
    int peer = owner_adopt(&owner);
    size_t n_sent = 0;
    ssize_t n;
    while ((n = stream_send(owner.stream, slice_from(block, BLOCK))) > 0)
        n_sent += (size_t)n;
    expect_int(n, -EAGAIN);
    expect_int(owner.stream->bits & STREAM_WRITABLE, 0);
    owner.bits = 0;
    for (size_t n_read = 0; n_read < n_sent; n_read += (size_t)n) {
        n = read(peer, block, BLOCK);
        expect_true(n > 0);
    }
    turn_until(&owner, STREAM_WRITABLE);
    expect_int(owner.bits, STREAM_WRITABLE);
    close(peer);
    owner_close(&owner);
}

/* Connecting. */

static int owner_connect(struct owner *owner, const struct addr *addr, nsec_t timeout_ns)
{
    *owner = (struct owner){.loop = real_loop()};
    nsec_t deadline = timeout_ns == NSEC_NEVER ? NSEC_NEVER : loop_now(owner->loop) + timeout_ns;
    return tcp_connect(owner->loop, addr, deadline, remember, owner, &owner->stream);
}

static void connects(void)
{
    struct owner owner;
    struct addr addr;
    int listen_fd = listen_on_loopback(5, &addr);
    expect_int(owner_connect(&owner, &addr, 10 * NSEC_PER_SEC), 0);
    expect_int(owner.n_events, 0);
    char text[16];
    expect_int(stream_send(owner.stream, SLICE_LIT("x")), -EAGAIN);
    expect_int(stream_recv(owner.stream, text, sizeof(text)), -EAGAIN);
    turn_until(&owner, STREAM_OPEN);
    expect_int(owner.bits, STREAM_OPEN | STREAM_WRITABLE);
    int peer = accept(listen_fd, NULL, NULL);
    expect_int(stream_send(owner.stream, SLICE_LIT("hello")), 5);
    expect_int(read(peer, text, sizeof(text)), 5);
    close(peer);
    close(listen_fd);
    owner_close(&owner);
}

static void a_closed_port_refuses(void)
{
    struct owner owner;
    struct addr addr;
    close(listen_on_loopback(5, &addr));
    expect_int(owner_connect(&owner, &addr, 10 * NSEC_PER_SEC), 0);
    turn_until(&owner, STREAM_FAILED);
    expect_int(owner.stream->error, -ECONNREFUSED);
    expect_int(owner.bits & STREAM_OPEN, 0);
    char text[16];
    expect_int(stream_recv(owner.stream, text, sizeof(text)), -ECONNREFUSED);
    owner_close(&owner);
}

static void silence_ends_at_the_deadline(void)
{
    /* With its queue of two full, a listening socket answers no more. */
    struct addr addr;
    int listen_fd = listen_on_loopback(1, &addr);
    int first = connect_to(&addr), second = connect_to(&addr);
    struct owner owner;
    expect_int(owner_connect(&owner, &addr, 3 * NSEC_PER_MSEC), 0);
    nsec_t deadline = loop_now(owner.loop) + 3 * NSEC_PER_MSEC;
    turn_until(&owner, STREAM_FAILED);
    expect_int(owner.stream->error, -ETIMEDOUT);
    expect_true(loop_now(owner.loop) >= deadline);
    close(first);
    close(second);
    close(listen_fd);
    owner_close(&owner);
}

static void is_closed_while_connecting(void)
{
    struct addr addr;
    struct owner owner;
    int listen_fd = listen_on_loopback(5, &addr);
    expect_int(owner_connect(&owner, &addr, 10 * NSEC_PER_SEC), 0);
    owner_close(&owner);
    close(listen_fd);
}

static void connects_to_unix_sockets(void)
{
    struct addr addr;
    char name[64];
    snprintf(name, sizeof(name), "unix:@muster-test-tcp-%d", (int)getpid());
    expect_int(addr_parse(slice_from_str(name), &addr, NULL), 0);
    struct owner owner;
    expect_int(owner_connect(&owner, &addr, 10 * NSEC_PER_SEC), -ECONNREFUSED);
    loop_free(owner.loop);

    int listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    expect_int(bind(listen_fd, &addr.any, addr.len), 0);
    expect_int(listen(listen_fd, 0), 0);
    expect_int(owner_connect(&owner, &addr, 10 * NSEC_PER_SEC), 0);
    turn_until(&owner, STREAM_OPEN);
    struct stream *second;
    expect_int(tcp_connect(owner.loop, &addr, NSEC_NEVER, remember, &owner, &second), -ECONNREFUSED); /* it is full */
    int peer = accept(listen_fd, NULL, NULL);
    expect_int(stream_send(owner.stream, SLICE_LIT("hello")), 5);
    close(peer); /* with the bytes unread */
    turn_until(&owner, STREAM_FAILED);
    expect_int(owner.stream->error, -ECONNRESET);
    close(listen_fd);
    owner_close(&owner);
}

/* Two streams of one batch: the first to be called closes the other. */

static void close_other(struct stream *stream, unsigned new_bits)
{
    (void)new_bits;
    struct stream **others = stream->owner;
    for (int i = 0; i < 2; i++)
        if (others[i] != stream)
            stream_close(TAKE(others[i]));
}

static void may_be_closed_from_anothers_callback(void)
{
    struct loop *loop = real_loop();
    struct stream *streams[2];
    int peers[2];
    for (int i = 0; i < 2; i++) {
        int fds[2];
        tcp_pair(fds);
        expect_int(tcp_adopt(loop, fds[0], close_other, streams, &streams[i]), 0);
        peers[i] = fds[1];
        expect_int(write(peers[i], "x", 1), 1);
    }
    loop_turn(loop, NSEC_NEVER);
    expect_true(!streams[0] != !streams[1]);
    stream_close(streams[0]);
    stream_close(streams[1]);
    close(peers[0]);
    close(peers[1]);
    loop_free(loop);
}

static int adopt_and_connect(void *arg)
{
    const struct addr *addr = arg;
    struct loop *loop;
    int r = loop_new(NULL, &loop);
    if (r < 0)
        return r;
    int fds[2];
    tcp_pair(fds);
    struct stream *adopted = NULL, *connecting = NULL;
    r = tcp_adopt(loop, fds[0], remember, NULL, &adopted);
    if (r == 0)
        r = tcp_connect(loop, addr, NSEC_NEVER, remember, NULL, &connecting);
    stream_close(adopted);
    stream_close(connecting);
    close(fds[1]);
    loop_free(loop);
    return r;
}

static void survives_failing_allocations(void)
{
    struct addr addr;
    int listen_fd = listen_on_loopback(100, &addr);
    expect_true(fault_alloc_sweep(adopt_and_connect, &addr) >= 4);
    close(listen_fd);
}

static const struct test_case cases[] = {
    {"bytes go both ways", bytes_go_both_ways},
    {"a read that is not short leaves the stream readable", a_full_read_leaves_it_readable},
    {"the end comes after the bytes", the_end_comes_after_the_bytes},
    {"after a half-close the answer is still received", half_closes},
    {"what came before a reset is received", what_came_before_a_reset_is_received},
    {"a paused reader hears of a reset", a_paused_reader_hears_of_a_reset},
    {"sending stops when the peer is full and goes on when it reads", sends_until_the_peer_is_full},
    {"a connection opens in a later turn", connects},
    {"a closed port refuses", a_closed_port_refuses},
    {"a peer that does not answer ends at the deadline", silence_ends_at_the_deadline},
    {"a stream is closed while it connects", is_closed_while_connecting},
    {"Unix sockets connect, refuse and break alike", connects_to_unix_sockets},
    {"a stream may be closed from another's callback", may_be_closed_from_anothers_callback},
    {"out of memory is reported and leaks nothing", survives_failing_allocations},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
