/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever a server answers to a call by HTTP/2: nothing crashes, leaks or hangs, what we are told of it is bounded,
 * and when the server closes, the call is over. The first byte of the input says in pieces of which size the rest
 * arrives (0: all at once); a server's SETTINGS are in front of it.
 */
#include "http/h2_once.h"
#include "support/sim.h"
#include "support/test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct heard {
    struct h2_once *once;
    size_t n_fields, n_body;
    int n_done;
};

static void on_field(void *owner, struct slice name, struct slice value)
{
    struct heard *heard = owner;
    expect_true(name.len > 0 && name.ptr[0] != ':');
    heard->n_fields += name.len + value.len;
}

static void on_body(void *owner, struct slice bytes)
{
    struct heard *heard = owner;
    heard->n_body += bytes.len;
}

static void on_done(void *owner, int result, unsigned status, const char *fault)
{
    struct heard *heard = owner;
    expect_true(result <= 0 && (result == 0) == (status >= 200 && status < 600) && (result == 0 || !status));
    expect_true(result != 0 || !fault);
    heard->n_done++;
    h2_once_free(TAKE(heard->once));
}

static const struct h2_once_events events = {on_field, on_body, on_done};

static void hear(struct sim *sim, struct stream *far)
{
    char bytes[4096];
    sim_run_for(sim, 0);
    while (stream_recv(far, bytes, sizeof(bytes)) > 0)
        sim_run_for(sim, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct h2_once_request request = {
        .method = SLICE_LIT("GET"),
        .scheme = SLICE_LIT("http"),
        .authority = SLICE_LIT("a"),
        .target = SLICE_LIT("/"),
    };
    struct sim *sim;
    struct loop *loop;
    struct stream *near, *far;
    struct heard heard = {0};
    if (size == 0)
        return 0;
    expect_int(sim_new(NULL, &sim, &loop), 0);
    expect_int(sim_pair(sim, NULL, &near, &far), 0);
    expect_int(h2_once_start(near, &request, &events, &heard, &heard.once), 0);
    hear(sim, far);
    (void)stream_send(far, SLICE_LIT("\0\0\0\4\0\0\0\0\0"));

    struct slice rest = slice_from(data + 1, size - 1);
    size_t piece = data[0] ? data[0] : size;
    while (rest.len > 0 && stream_send(far, slice_from(rest.ptr, min_size(piece, rest.len))) > 0) {
        rest = slice_skip(rest, min_size(piece, rest.len));
        hear(sim, far);
    }
    stream_close(far);
    sim_run_for(sim, 0);
    expect_int(heard.n_done, 1);
    expect_true(heard.n_body <= 65535 && heard.n_fields <= 64 * H2_ONCE_BYTES_MAX);
    loop_free(loop);
    return 0;
}
