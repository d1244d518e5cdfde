/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's side of a connection with JSON-RPC requests. The first byte says whether it is HTTP or lines, the second
 * in pieces of which size the rest comes. However it is cut, as many requests are found. (What is said to somebody who
 * sends no HTTP depends on when that is noticed.)
 */
#include "client/session.h"

#include "base/assert.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct session_options options[] = {{.path = "/rpc", .message_bytes = 200},
                                                 {.is_line = true, .message_bytes = 200}};

/* How many requests there were. */
static size_t talk(const struct session_options *how, struct slice bytes, size_t at_once)
{
    struct session session;
    size_t n_requests = 0;
    int step = SESSION_MORE;
    session_init(&session, how);
    while (step != SESSION_ENDED && (step != SESSION_MORE || bytes.len > 0)) {
        size_t n = min_size(min_size(bytes.len, at_once), session_room(&session));
        if (step == SESSION_MORE) {
            ASSERT(n > 0);
            step = session_take(&session, (struct slice){bytes.ptr, n});
            bytes = slice_skip(bytes, n);
        } else {
            step = session_reply(&session, SLICE_LIT("true"));
        }
        ASSERT(step == 0);
        step = session_step(&session);
        ASSERT(step >= 0 && step != SESSION_BUSY);
        n_requests += step == SESSION_REQUEST;
    }
    session_deinit(&session);
    return n_requests;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct slice bytes = slice_from(data + 2, size - 2);
    size_t n_requests = talk(&options[data[0] % 2], bytes, SIZE_MAX);
    ASSERT(talk(&options[data[0] % 2], bytes, (size_t)data[1] + 1) == n_requests);
    return 0;
}
