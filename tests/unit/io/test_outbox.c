/* SPDX-License-Identifier: Apache-2.0 */
/* What streams send in a turn with many events leaves when it is over. */
#include "io/outbox.h"

#include "io/tcp.h"
#include "support/busy_kit.h"
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static void take(struct busy_one *one)
{
    char room[16];
    expect_int(stream_recv(one->stream, room, sizeof(room)), 1);
}

static ssize_t post(struct stream *stream, const char *text)
{
    const struct iovec iov[] = {{(void *)(uintptr_t)text, 1}, {(void *)(uintptr_t)(text + 1), strlen(text) - 1}};
    return stream_postv(stream, iov, 2);
}

static ssize_t peek(int fd)
{
    char room[1];
    ssize_t n = recv(fd, room, 1, MSG_PEEK | MSG_DONTWAIT);
    return n < 0 ? -errno : n;
}

static void expect_read(int fd, const char *text)
{
    char room[64];
    expect_int(recv(fd, room, strlen(text), MSG_WAITALL), strlen(text));
    expect_slice(slice_from(room, strlen(text)), text);
}

static void say_hello(struct busy_one *one)
{
    take(one);
    expect_int(post(one->stream, "hello"), 5);
    expect_int(peek(one->peer), -EAGAIN);
}

static void leaves_when_the_turn_is_over(void)
{
    struct busy *busy = busy_new(say_hello);
    busy_turn(busy, "x");
    for (unsigned i = 0; i < BUSY_STREAMS; i++)
        expect_read(busy->ones[i].peer, "hello");
    busy_free(busy);
}

static void say_at_once(struct busy_one *one)
{
    take(one);
    expect_int(post(one->stream, "hello"), 5);
    expect_int(peek(one->peer), 1);
}

static void a_turn_with_little_to_do_sends_at_once(void)
{
    struct busy *busy = busy_new(say_at_once);
    expect_int(write(busy->ones[0].peer, "x", 1), 1);
    expect_int(loop_turn(busy->loop, NSEC_NEVER), 0);
    expect_read(busy->ones[0].peer, "hello");
    busy_free(busy);
}

static void send_behind(struct busy_one *one)
{
    take(one);
    expect_int(post(one->stream, "first "), 6);
    expect_int(post(one->stream, "second "), 7);
    expect_int(stream_send(one->stream, SLICE_LIT("third ")), 6);
    expect_int(peek(one->peer), 1);
    expect_int(post(one->stream, "fourth"), 6);
}

static void order_is_kept(void)
{
    struct busy *busy = busy_new(send_behind);
    busy_turn(busy, "x");
    for (unsigned i = 0; i < BUSY_STREAMS; i++)
        expect_read(busy->ones[i].peer, "first second third fourth");
    busy_free(busy);
}

static void say_goodbye(struct busy_one *one)
{
    take(one);
    expect_int(post(one->stream, "bye"), 3);
    if (one == &one->busy->ones[0])
        expect_int(stream_shutdown(one->stream), 0);
    else
        stream_close(TAKE(one->stream));
}

static void what_was_posted_leaves_before_the_end(void)
{
    struct busy *busy = busy_new(say_goodbye);
    busy_turn(busy, "x");
    for (unsigned i = 0; i < BUSY_STREAMS; i++) {
        char room[1];
        expect_read(busy->ones[i].peer, "bye");
        expect_int(recv(busy->ones[i].peer, room, 1, 0), 0);
    }
    busy_free(busy);
}

/* More than the system takes of somebody whose peer does not read. */
enum { LETTERS = 40 };

static void post_much(struct busy_one *one)
{
    static char letter[OUTBOX_LETTER_MAX];
    take(one);
    if (one != &one->busy->ones[2])
        return;
    for (unsigned i = 0; i < LETTERS; i++) {
        memset(letter, (int)('A' + i), sizeof(letter));
        const struct iovec iov = {letter, sizeof(letter)};
        expect_int(stream_postv(one->stream, &iov, 1), sizeof(letter));
    }
}

static void what_is_not_taken_is_kept_in_order(void)
{
    struct busy *busy = busy_new(post_much);
    struct busy_one *one = &busy->ones[2];
    const int least = 1;
    int fd = tcp_descriptor(one->stream);
    expect_int(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least)), 0);
    expect_int(setsockopt(one->peer, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least)), 0);
    busy_turn(busy, "x");
    expect_int(one->stream->bits & STREAM_WRITABLE, 0);
    expect_true(loop_backlog(busy->loop)->n_bytes > 0);
    expect_int(stream_send(one->stream, SLICE_LIT("late")), -EAGAIN);
    expect_int(stream_shutdown(one->stream), -EAGAIN);

    one->bits = 0;
    size_t n_read = 0;
    expect_int(fcntl(one->peer, F_SETFL, O_NONBLOCK), 0);
    while (n_read < (size_t)LETTERS * OUTBOX_LETTER_MAX) {
        char room[1000];
        ssize_t n = read(one->peer, room, sizeof(room));
        for (ssize_t i = 0; i < n; i++, n_read++)
            expect_int(room[i], 'A' + n_read / OUTBOX_LETTER_MAX);
        if (n < 0)
            expect_int(loop_turn(busy->loop, 10 * NSEC_PER_MSEC), 0);
    }
    while (!(one->bits & STREAM_WRITABLE))
        expect_int(loop_turn(busy->loop, NSEC_NEVER), 0);
    expect_int(loop_backlog(busy->loop)->n_bytes, 0);
    expect_int(stream_shutdown(one->stream), 0);
    busy_free(busy);
}

static void break_the_one_before(struct busy_one *one)
{
    if (one->bits & STREAM_FAILED)
        return;
    take(one);
    expect_int(post(one->stream, "hello"), 5);
    for (struct busy_one *other = one->busy->ones; other < one; other++)
        if (other->peer >= 0)
            busy_reset(other);
}

static void who_breaks_meanwhile_is_told(void)
{
    struct busy *busy = busy_new(break_the_one_before);
    busy_turn(busy, "x");
    unsigned n_failed = 0;
    for (unsigned i = 0; i < BUSY_STREAMS; i++) {
        n_failed += (busy->ones[i].bits & STREAM_FAILED) != 0;
        if (busy->ones[i].peer >= 0)
            expect_read(busy->ones[i].peer, "hello");
    }
    expect_int(n_failed, BUSY_STREAMS - 1);
    busy_free(busy);
}

static const struct test_case cases[] = {
    {"what is posted in a busy turn leaves when it is over", leaves_when_the_turn_is_over},
    {"a turn with little to do sends at once", a_turn_with_little_to_do_sends_at_once},
    {"what is sent leaves behind what was posted", order_is_kept},
    {"what was posted leaves before the end", what_was_posted_leaves_before_the_end},
    {"what the system does not take is kept, in order", what_is_not_taken_is_kept_in_order},
    {"who breaks before the end of the turn is told", who_breaks_meanwhile_is_told},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
