/* SPDX-License-Identifier: Apache-2.0 */
#include "support/busy_kit.h"

#include "io/tcp.h"
#include "support/sockets.h"
#include "support/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void on_event(struct stream *stream, unsigned new_bits)
{
    struct busy_one *one = stream->owner;
    one->bits |= new_bits;
    if (new_bits & STREAM_READABLE)
        one->busy->act(one);
}

struct busy *busy_new_on(struct loop *loop, busy_act_fn act)
{
    struct busy *busy = calloc(1, sizeof(*busy));
    *busy = (struct busy){.loop = loop, .act = act};
    for (unsigned i = 0; i < BUSY_STREAMS; i++) {
        int fds[2];
        tcp_pair(fds);
        busy->ones[i] = (struct busy_one){.busy = busy, .peer = fds[1]};
        expect_int(tcp_adopt(loop, fds[0], on_event, &busy->ones[i], &busy->ones[i].stream), 0);
    }
    expect_int(loop_turn(loop, 0), 0); /* all are told that they may write */
    return busy;
}

struct busy *busy_new(busy_act_fn act)
{
    struct loop *loop;
    expect_int(loop_new(NULL, &loop), 0);
    return busy_new_on(loop, act);
}

void busy_free(struct busy *busy)
{
    for (unsigned i = 0; i < BUSY_STREAMS; i++) {
        stream_close(busy->ones[i].stream);
        if (busy->ones[i].peer >= 0)
            close(busy->ones[i].peer);
    }
    loop_free(busy->loop);
    free(busy);
}

void busy_turn(struct busy *busy, const char *text)
{
    for (unsigned i = 0; i < BUSY_STREAMS; i++)
        if (busy->ones[i].peer >= 0)
            expect_int(write(busy->ones[i].peer, text, strlen(text)), strlen(text));
    expect_int(loop_turn(busy->loop, NSEC_NEVER), 0);
}

void busy_reset(struct busy_one *one)
{
    reset_on_close(one->peer);
    close(one->peer);
    one->peer = -1;
}
