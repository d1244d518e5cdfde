/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What streams receive in a turn with many events was received before the first of them is told; for them nothing is
 * different by that. Only who has sent little before is received from ahead: each test begins with a turn of that kind.
 */
#include "io/inbox.h"

#include "io/epoll.h"
#include "io/pipes.h"
#include "io/tcp.h"
#include "support/busy_kit.h"
#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the system still has for the stream. */
static int n_in_system(struct stream *stream)
{
    int n;
    expect_int(ioctl(tcp_descriptor(stream), FIONREAD, &n), 0);
    return n;
}

static void expect_recv(struct stream *stream, const char *text)
{
    char room[64];
    expect_int(stream_recv(stream, room, sizeof(room)), strlen(text));
    expect_slice(slice_from(room, strlen(text)), text);
}

static void take_little(struct busy_one *one)
{
    expect_recv(one->stream, "x");
}

/* Streams that are received from ahead in the next busy turn. */
static struct busy *ready_on(struct loop *loop, busy_act_fn act)
{
    struct busy *busy = busy_new_on(loop, take_little);
    busy_turn(busy, "x");
    busy->act = act;
    return busy;
}

static struct busy *ready_new(busy_act_fn act)
{
    struct loop *loop;
    expect_int(loop_new(NULL, &loop), 0);
    return ready_on(loop, act);
}

static void take_what_was_ahead(struct busy_one *one)
{
    for (unsigned i = 0; i < BUSY_STREAMS; i++)
        expect_int(n_in_system(one->busy->ones[i].stream), 0);
    expect_recv(one->stream, "hello");
    expect_int(one->stream->bits & STREAM_READABLE, 0);
}

static void all_is_received_before_the_first_is_told(void)
{
    struct busy *busy = ready_new(take_what_was_ahead);
    busy_turn(busy, "hello");
    busy_turn(busy, "hello"); /* and again: who was read from a letter stays with it */
    busy_free(busy);
}

static void take_what_is_in_the_system(struct busy_one *one)
{
    expect_int(n_in_system(one->stream), 5);
    expect_recv(one->stream, "hello");
}

static void nothing_is_ahead_under_pressure(void)
{
    struct busy *busy = ready_new(take_what_is_in_the_system);
    struct backlog *backlog = loop_backlog(busy->loop);
    backlog->n_bytes_max = 0;
    backlog_note(backlog, 0, 1);
    busy_turn(busy, "hello");
    backlog_note(backlog, 1, 0);
    busy_free(busy);
}

static void a_turn_with_little_to_do_reads_as_it_goes(void)
{
    struct busy *busy = ready_new(take_what_is_in_the_system);
    expect_int(write(busy->ones[0].peer, "hello", 5), 5);
    expect_int(loop_turn(busy->loop, NSEC_NEVER), 0);
    busy_free(busy);
}

static void take_in_parts(struct busy_one *one)
{
    static const char text[] = "hello";
    for (unsigned i = 0; i < 5; i++) {
        char c;
        expect_true(one->stream->bits & STREAM_READABLE);
        expect_int(stream_recv(one->stream, &c, 1), 1);
        expect_int(c, text[i]);
    }
    expect_int(one->stream->bits & STREAM_READABLE, 0);
}

static void is_read_in_parts(void)
{
    struct busy *busy = ready_new(take_in_parts);
    busy_turn(busy, "hello");
    busy_free(busy);
}

static void leave_unread(struct busy_one *one)
{
    char room[2];
    if (one == &one->busy->ones[1])
        expect_int(stream_recv(one->stream, room, 2), 2);
}

static void what_is_not_read_is_kept_in_front(void)
{
    struct busy *busy = ready_new(leave_unread);
    busy_turn(busy, "hello");
    expect_true(loop_backlog(busy->loop)->n_bytes >= (size_t)BUSY_STREAMS * 5 - 2);
    busy_turn(busy, " world"); /* tells nobody anything new */
    for (unsigned i = 0; i < BUSY_STREAMS; i++) {
        struct stream *stream = busy->ones[i].stream;
        expect_true(stream->bits & STREAM_READABLE);
        expect_recv(stream, i == 1 ? "llo" : "hello");
        expect_recv(stream, " world");
        expect_int(stream->bits & STREAM_READABLE, 0);
    }
    expect_int(loop_backlog(busy->loop)->n_bytes, 0);
    busy_free(busy);
}

static void unread_bytes_go_with_their_stream(void)
{
    struct busy *busy = ready_new(leave_unread);
    busy_turn(busy, "hello");
    busy_free(busy); /* whose loop asserts that its backlog is empty */
}

static void want_memory(struct busy_one *one)
{
    if (one == &one->busy->ones[0])
        fault_alloc_arm(1);
    else
        expect_recv(one->stream, "hello");
}

static void what_cannot_be_kept_fails_its_stream(void)
{
    struct busy *busy = ready_new(want_memory);
    busy_turn(busy, "hello");
    expect_true(fault_alloc_disarm());
    expect_true(busy->ones[0].bits & STREAM_FAILED);
    expect_int(busy->ones[0].stream->error, -ENOMEM);
    for (unsigned i = 1; i < BUSY_STREAMS; i++)
        expect_int(busy->ones[i].bits & STREAM_FAILED, 0);
    busy_free(busy);
}

/* It is no longer told of anything, so nobody else receives. */
static void a_broken_stream_keeps_what_comes_in_order(void)
{
    struct busy *busy = ready_new(take_little);
    for (unsigned i = 0; i < BUSY_STREAMS; i++)
        expect_int(stream_broke(busy->ones[i].stream, -ENOMEM), -ENOMEM);
    busy_turn(busy, "hello");
    busy_turn(busy, " world");
    for (unsigned i = 0; i < BUSY_STREAMS; i++) {
        struct stream *stream = busy->ones[i].stream;
        char room[8];
        expect_recv(stream, "hello");
        expect_recv(stream, " world");
        expect_int(stream_recv(stream, room, sizeof(room)), -ENOMEM);
    }
    busy_free(busy);
}

/* The first one closes the others and puts a new stream in the place of each. */
static void ignore(struct stream *stream, unsigned new_bits)
{
    (void)stream;
    (void)new_bits;
}

static void replace_the_others(struct busy_one *one)
{
    struct busy *busy = one->busy;
    for (unsigned i = 0; i < BUSY_STREAMS; i++) {
        struct busy_one *other = &busy->ones[i];
        if (other == one)
            continue;
        int fd = dup(tcp_descriptor(other->stream));
        stream_close(TAKE(other->stream));
        expect_int(tcp_adopt(busy->loop, fd, ignore, NULL, &other->stream), 0);
    }
    expect_recv(one->stream, "hello");
    stream_close(TAKE(one->stream));
}

static void a_letter_goes_with_its_stream(void)
{
    struct busy *busy = ready_new(replace_the_others);
    busy_turn(busy, "hello");
    unsigned n_new = 0;
    for (unsigned i = 0; i < BUSY_STREAMS; i++) {
        char room[8];
        if (!busy->ones[i].stream)
            continue;
        n_new++;
        expect_int(stream_recv(busy->ones[i].stream, room, sizeof(room)), -EAGAIN);
    }
    expect_int(n_new, BUSY_STREAMS - 1);
    busy_free(busy);
}

static void take_to_the_end(struct busy_one *one)
{
    char room[8];
    expect_recv(one->stream, "hello");
    expect_int(stream_recv(one->stream, room, sizeof(room)), 0);
    expect_true(one->stream->bits & STREAM_PEER_DONE);
}

static void an_end_comes_after_the_bytes(void)
{
    struct busy *busy = ready_new(take_to_the_end);
    for (unsigned i = 0; i < BUSY_STREAMS; i++) {
        expect_int(write(busy->ones[i].peer, "hello", 5), 5);
        expect_int(shutdown(busy->ones[i].peer, SHUT_WR), 0);
    }
    expect_int(loop_turn(busy->loop, NSEC_NEVER), 0);
    busy_free(busy);
}

static void pipe_it(struct busy_one *one)
{
    struct pipes pipes;
    pipes_init(&pipes);
    struct pipe *pipe = pipes_take(&pipes);
    char text[8];
    expect_int(pipe_fill(pipe, one->stream, 2), 2);
    expect_int(read(pipe->read_fd, text, sizeof(text)), 2);
    pipe->n_bytes = 0;
    expect_int(pipe_fill(pipe, one->stream, PIPE_BYTES), 3);
    expect_int(read(pipe->read_fd, text + 2, sizeof(text) - 2), 3);
    pipe->n_bytes = 0;
    expect_slice(slice_from(text, 5), "hello");
    expect_int(pipe_fill(pipe, one->stream, PIPE_BYTES), -EAGAIN);
    pipes_give(&pipes, pipe);
    pipes_deinit(&pipes);
}

static void a_pipe_is_filled_with_what_was_ahead(void)
{
    struct busy *busy = ready_new(pipe_it);
    busy_turn(busy, "hello");
    busy_free(busy);
}

/* The real system, with something that happens after it has told of its events and before anything is received. */
static struct busy *victim; /* of the one test that meddles; NULL: let it be */

static int wait_and_meddle(void *ctx, struct epoll_event *events, int max_events, nsec_t timeout_ns)
{
    int n = epoll_system_ops.wait(ctx, events, max_events, timeout_ns);
    struct busy *busy = TAKE(victim);
    for (unsigned i = 0; busy && i < BUSY_STREAMS; i++) {
        char room[8];
        expect_int(recv(tcp_descriptor(busy->ones[i].stream), room, sizeof(room), 0), 5);
        busy_reset(&busy->ones[i]);
    }
    return n;
}

static void hear_of_the_failure(struct busy_one *one)
{
    char room[8];
    expect_true(one->bits & STREAM_FAILED);
    expect_int(stream_recv(one->stream, room, sizeof(room)), -ECONNRESET);
}

static void a_failure_that_is_found_ahead_is_told(void)
{
    struct loop_system meddling = epoll_system_ops;
    struct epoll_system *system;
    struct loop *loop;
    meddling.wait = wait_and_meddle;
    expect_int(epoll_system_new(&system), 0);
    expect_int(loop_new_on(&meddling, system, NULL, &loop), 0);
    struct busy *busy = ready_on(loop, hear_of_the_failure);
    victim = busy;
    busy_turn(busy, "hello");
    for (unsigned i = 0; i < BUSY_STREAMS; i++)
        expect_int(busy->ones[i].stream->error, -ECONNRESET);
    busy_free(busy);
}

/*
 * Peers write random pieces of the one sequence of bytes, owners read random parts of it, now or later, through a
 * stream or not at all, and some are closed by others: what is read is the sequence.
 */
struct player {
    uint64_t *random;
    unsigned long n_written[BUSY_STREAMS], n_read[BUSY_STREAMS];
};

static struct player player; /* of the one random test, whose callback has no other way to it */

static void read_some(struct busy_one *one)
{
    static char room[40000];
    const unsigned at = (unsigned)(one - one->busy->ones);
    while (one->stream->bits & STREAM_READABLE && test_random(player.random) % 3) {
        size_t len = 1 + test_random(player.random) % (test_random(player.random) % 2 ? sizeof(room) : 100);
        ssize_t n = stream_recv(one->stream, room, len);
        expect_true(n > 0 || n == -EAGAIN);
        for (ssize_t i = 0; i < n; i++)
            expect_int((unsigned char)room[i], player.n_read[at]++ % 251);
    }
    struct busy_one *other = &one->busy->ones[test_random(player.random) % BUSY_STREAMS];
    if (other != one && other->stream && test_random(player.random) % 500 == 0)
        stream_close(TAKE(other->stream));
}

static void write_some(struct busy_one *one)
{
    static unsigned char room[50000];
    const unsigned at = (unsigned)(one - one->busy->ones);
    size_t len = 1 + test_random(player.random) % (test_random(player.random) % 4 ? 3000 : sizeof(room));
    if (!one->stream || test_random(player.random) % 4 == 0)
        return;
    for (size_t i = 0; i < len; i++)
        room[i] = (unsigned char)((player.n_written[at] + i) % 251);
    ssize_t n = send(one->peer, room, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    player.n_written[at] += n > 0 ? (unsigned long)n : 0;
}

static void random_bytes_come_whole_and_in_order(void)
{
    uint64_t seed = test_seed();
    player = (struct player){.random = &seed};
    struct busy *busy = busy_new(read_some);
    for (unsigned round = test_rounds(4000); round > 0; round--) {
        for (unsigned i = 0; i < BUSY_STREAMS; i++)
            write_some(&busy->ones[i]);
        expect_int(loop_turn(busy->loop, 0), 0);
        for (unsigned i = 0; i < BUSY_STREAMS; i++)
            if (busy->ones[i].stream)
                read_some(&busy->ones[i]);
    }
    for (unsigned i = 0; i < BUSY_STREAMS; i++)
        while (busy->ones[i].stream && player.n_read[i] < player.n_written[i]) {
            expect_int(loop_turn(busy->loop, 0), 0);
            if (busy->ones[i].stream)
                read_some(&busy->ones[i]);
        }
    busy_free(busy);
}

static void who_does_not_fit_gets_none(void)
{
    struct inbox *box = malloc(sizeof(*box));
    static char much[INBOX_LETTER_MAX + 1];
    int fds[2];
    unsigned n_letters = 0;
    inbox_init(box);
    expect_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    expect_int(inbox_receive(box, fds[0]), 0); /* there is nothing */
    while (n_letters < INBOX_BYTES / INBOX_LETTER_MAX) {
        expect_int(write(fds[1], much, sizeof(much)), sizeof(much));
        expect_int(inbox_receive(box, fds[0]), ++n_letters);
        const struct inbox_letter *letter = inbox_letter(box, (unsigned short)n_letters);
        expect_int(letter->bytes.len, INBOX_LETTER_MAX);
        expect_true(!letter->is_all);
        expect_int(recv(fds[0], much, sizeof(much), 0), 1);
    }
    expect_int(write(fds[1], much, 1), 1);
    expect_int(inbox_receive(box, fds[0]), 0);
    inbox_clear(box);
    expect_int(inbox_receive(box, fds[0]), 1);
    close(fds[0]);
    close(fds[1]);
    free(box);
}

static const struct test_case cases[] = {
    {"all is received before the first is told", all_is_received_before_the_first_is_told},
    {"nothing is received ahead under pressure", nothing_is_ahead_under_pressure},
    {"a turn with little to do reads as it goes", a_turn_with_little_to_do_reads_as_it_goes},
    {"a letter is read in parts", is_read_in_parts},
    {"what is not read is kept, in front of what comes", what_is_not_read_is_kept_in_front},
    {"unread bytes go with their stream", unread_bytes_go_with_their_stream},
    {"what cannot be kept fails its stream", what_cannot_be_kept_fails_its_stream},
    {"a broken stream keeps what comes, in order", a_broken_stream_keeps_what_comes_in_order},
    {"a letter goes with its stream", a_letter_goes_with_its_stream},
    {"an end comes after the bytes", an_end_comes_after_the_bytes},
    {"a pipe is filled with what was received ahead", a_pipe_is_filled_with_what_was_ahead},
    {"a failure that is found ahead is told", a_failure_that_is_found_ahead_is_told},
    {"random bytes come whole and in order", random_bytes_come_whole_and_in_order},
    {"who does not fit gets no letter", who_does_not_fit_gets_none},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
