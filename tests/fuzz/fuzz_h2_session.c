/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever a client sends behind preface and SETTINGS: nothing crashes, leaks or hangs, and in the end the server has
 * let go of the connection. The first byte of the input says in pieces of which size the rest arrives (0: all at once).
 */
#include "support/h2_kit.h"
#include "support/test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The client reads, but does not understand. */
static void hear(struct kit *kit)
{
    char bytes[4096];
    sim_run_for(kit->sim, 0);
    while (stream_recv(kit->far, bytes, sizeof(bytes)) > 0)
        sim_run_for(kit->sim, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kit *kit;
    if (size == 0 || kit_try_new(NULL, NULL, &kit) < 0)
        return 0;
    nghttp2_session_del(TAKE(kit->client));
    kit_raw(kit, SLICE_LIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"));
    hear(kit);

    struct slice rest = slice_from(data + 1, size - 1);
    size_t piece = data[0] ? data[0] : size;
    while (rest.len > 0 && stream_send(kit->far, slice_from(rest.ptr, min_size(piece, rest.len))) > 0) {
        rest = slice_skip(rest, min_size(piece, rest.len));
        hear(kit);
    }
    for (int i = 0; i < 100 && http_server_n_connections(kit->server) > 0; i++) {
        sim_run_for(kit->sim, 10 * NSEC_PER_SEC);
        hear(kit);
    }
    expect_int(http_server_n_connections(kit->server), 0);
    kit_free(kit);
    return 0;
}
