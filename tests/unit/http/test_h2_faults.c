/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation fails once, those of the test's client included: nothing is lost, and nobody waits for ever. */
#include "support/fault_alloc.h"
#include "support/h2_kit.h"
#include "support/test.h"

#include <errno.h>

/* The server has given up on the connection or on the stream, or all went well. */
static int judge(struct kit *kit, int32_t id)
{
    struct kit_answer *answer = kit_answer(kit, id);
    bool is_well = answer->is_ended && answer->code == NGHTTP2_NO_ERROR && answer->status == 200;
    bool is_told = kit->is_closed || answer->is_closed || answer->status == 503;
    if (!is_well && !is_told && kit->error == 0)
        test_fail(__FILE__, __LINE__, "the client still waits");
    kit_free(kit);
    return is_well ? 0 : -ENOMEM;
}

static int exchange_one(void *path)
{
    struct kit *kit;
    int r = kit_try_new(NULL, NULL, &kit);
    if (r < 0)
        return r;
    int32_t id = kit_request(kit, "POST", path, true, (const char *const[]){"expect", "100-continue", NULL});
    kit_data(kit, id, SLICE_LIT("some bytes"), false);
    kit_data(kit, id, SLICE_LIT("and more"), true);
    kit_run(kit);
    return judge(kit, id);
}

static void an_exchange(void)
{
    expect_true(fault_alloc_sweep(exchange_one, (void *)(uintptr_t) "/echo") > 10);
    expect_true(fault_alloc_sweep(exchange_one, (void *)(uintptr_t) "/collect") > 10);
}

static int exchange_large(void *arg)
{
    struct kit *kit;
    (void)arg;
    int r = kit_try_new(NULL, NULL, &kit);
    if (r < 0)
        return r;
    int32_t id = kit_get(kit, "/400000");
    kit_run(kit);
    return judge(kit, id);
}

static void a_large_answer(void)
{
    expect_true(fault_alloc_sweep(exchange_large, NULL) > 10);
}

static int exchange_paused(void *arg)
{
    struct kit *kit;
    (void)arg;
    int r = kit_try_new(NULL, NULL, &kit);
    if (r < 0)
        return r;
    int32_t id = kit_request(kit, "POST", "/pause", true, NULL);
    kit_data(kit, id, SLICE_LIT("held back"), true);
    if (kit->held[0]) {
        exchange_pause(kit->held[0], false);
        kit_run(kit);
    }
    if (kit->held[0])
        exchange_respond_text(kit->held[0], 200, "taken\n");
    kit_run(kit);
    return judge(kit, id);
}

static void a_paused_exchange(void)
{
    expect_true(fault_alloc_sweep(exchange_paused, NULL) > 10);
}

/* More than the connection's window, of which nothing could be kept: it is given back all the same. */
static void bodies_that_cannot_be_kept(void)
{
    enum { N = 62, BODY_BYTES = 60000 };
    static char body[BODY_BYTES];
    struct kit *kit = kit_new(NULL, NULL);
    for (int i = 0; i < N; i++) {
        int32_t id = kit_request(kit, "POST", "/pause", true, NULL);
        kit_run(kit);
        fault_alloc_arm(1);
        kit_data(kit, id, slice_from(body, BODY_BYTES), true);
        expect_true(fault_alloc_disarm());
        expect_int(kit_answer(kit, id)->code, NGHTTP2_INTERNAL_ERROR);
    }
    int32_t id = kit_request(kit, "POST", "/echo", true, NULL);
    kit_data(kit, id, slice_from(body, BODY_BYTES), true);
    kit_run(kit);
    expect_int(kit_answer(kit, id)->n_body, BODY_BYTES);
    kit_free(kit);
}

static int drain_one(void *arg)
{
    struct kit *kit;
    (void)arg;
    int r = kit_try_new(NULL, NULL, &kit);
    if (r < 0)
        return r;
    int32_t id = kit_get(kit, "/hold");
    kit_run(kit);
    http_server_drain(kit->server, NULL, NULL);
    kit_run(kit);
    if (kit->held[0])
        exchange_respond_text(kit->held[0], 200, "the last\n");
    kit_run(kit);
    return judge(kit, id);
}

static void a_drain(void)
{
    expect_true(fault_alloc_sweep(drain_one, NULL) > 10);
}

static const struct test_case cases[] = {
    {"an exchange survives any failing allocation", an_exchange},
    {"a large answer survives any failing allocation", a_large_answer},
    {"a paused exchange survives any failing allocation", a_paused_exchange},
    {"bodies that cannot be kept leave the window open", bodies_that_cannot_be_kept},
    {"a drain survives any failing allocation", a_drain},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
