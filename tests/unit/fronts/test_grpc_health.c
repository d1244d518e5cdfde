/* SPDX-License-Identifier: Apache-2.0 */
#include "fronts/grpc_health/grpc_health.h"

#include "fronts/system_view.h"
#include "http/grpc_frames.h"

#include "support/fault_alloc.h"
#include "support/h2_kit.h"
#include "support/test.h"

#include <errno.h>

/* Whether the system is ready, which the test turns. */
static const char *not_ready(void *ctx)
{
    return *(bool *)ctx ? NULL : "starting";
}

struct fixture {
    bool is_ready;
    struct system_view view;
    struct kit *kit;
};

static void serve(struct kit *kit, struct exchange *exchange)
{
    struct fixture *fixture = kit->ctx;
    grpc_health_front.paths[0].on_request(&fixture->view, exchange);
}

static int fixture_init(struct fixture *fixture)
{
    *fixture = (struct fixture){.is_ready = true, .view = {.ctx = &fixture->is_ready, .not_ready = not_ready}};
    int r = kit_try_new(NULL, NULL, &fixture->kit);
    if (r < 0)
        return r;
    fixture->kit->serve = serve;
    fixture->kit->ctx = fixture;
    return 0;
}

static int32_t call(struct fixture *fixture, const char *path, struct slice message)
{
    static const char *const fields[] = {"content-type", "application/grpc", "te", "trailers", NULL};
    char bytes[64];
    int32_t id = kit_request(fixture->kit, "POST", path, true, fields);
    grpc_frames_prefix(message.len, bytes);
    memcpy(bytes + GRPC_PREFIX_BYTES, message.ptr, message.len);
    kit_data(fixture->kit, id, slice_from(bytes, GRPC_PREFIX_BYTES + message.len), true);
    return id;
}

/* All messages so far, prefixes included. */
static struct slice answers(struct fixture *fixture, int32_t id)
{
    struct kit_answer *answer = kit_answer(fixture->kit, id);
    return slice_from(answer->body, answer->n_body);
}

#define SERVING         "\0\0\0\0\2\x08\1"
#define NOT_SERVING     "\0\0\0\0\2\x08\2"
#define SERVICE_UNKNOWN "\0\0\0\0\2\x08\3"

static void check_tells_readiness(void)
{
    struct fixture fixture;
    expect_int(fixture_init(&fixture), 0);
    int32_t id = call(&fixture, "/grpc.health.v1.Health/Check", SLICE_LIT(""));
    expect_bytes(answers(&fixture, id), SLICE_LIT(SERVING));
    fixture.is_ready = false;
    id = call(&fixture, "/grpc.health.v1.Health/Check", SLICE_LIT("\x0a\0"));
    expect_bytes(answers(&fixture, id), SLICE_LIT(NOT_SERVING));
    expect_str(kit_answer(fixture.kit, id)->trailers, "grpc-status: 0\n");
    kit_free(fixture.kit);
}

static void check_knows_no_other_service(void)
{
    struct fixture fixture;
    expect_int(fixture_init(&fixture), 0);
    int32_t id = call(&fixture, "/grpc.health.v1.Health/Check", SLICE_LIT("\x0a\3abc"));
    expect_int(answers(&fixture, id).len, 0);
    expect_true(strstr(kit_answer(fixture.kit, id)->fields, "grpc-status: 5\n") != NULL);
    kit_free(fixture.kit);
}

static void senseless_messages_are_refused(void)
{
    struct fixture fixture;
    expect_int(fixture_init(&fixture), 0);
    int32_t id = call(&fixture, "/grpc.health.v1.Health/Check", SLICE_LIT("\xff\xff\xff"));
    expect_true(strstr(kit_answer(fixture.kit, id)->fields, "grpc-status: 13\n") != NULL);
    id = call(&fixture, "/grpc.health.v1.Health/Watch", SLICE_LIT("\x0a\x7f"));
    expect_true(strstr(kit_answer(fixture.kit, id)->fields, "grpc-status: 13\n") != NULL);
    kit_free(fixture.kit);
}

static void watch_tells_changes(void)
{
    struct fixture fixture;
    expect_int(fixture_init(&fixture), 0);
    int32_t id = call(&fixture, "/grpc.health.v1.Health/Watch", SLICE_LIT(""));
    expect_bytes(answers(&fixture, id), SLICE_LIT(SERVING));
    for (int i = 0; i < 20; i++)
        kit_run_for(fixture.kit, 10 * NSEC_PER_SEC);
    expect_bytes(answers(&fixture, id), SLICE_LIT(SERVING));
    fixture.is_ready = false;
    kit_run_for(fixture.kit, 2 * NSEC_PER_SEC);
    expect_bytes(answers(&fixture, id), SLICE_LIT(SERVING NOT_SERVING));
    fixture.is_ready = true;
    kit_run_for(fixture.kit, 2 * NSEC_PER_SEC);
    expect_bytes(answers(&fixture, id), SLICE_LIT(SERVING NOT_SERVING SERVING));
    kit_reset(fixture.kit, id);
    kit_run_for(fixture.kit, 2 * NSEC_PER_SEC);
    kit_free(fixture.kit);
}

static void watch_waits_for_unknown_services(void)
{
    struct fixture fixture;
    expect_int(fixture_init(&fixture), 0);
    int32_t id = call(&fixture, "/grpc.health.v1.Health/Watch", SLICE_LIT("\x0a\3abc"));
    kit_run_for(fixture.kit, 5 * NSEC_PER_SEC);
    expect_bytes(answers(&fixture, id), SLICE_LIT(SERVICE_UNKNOWN));
    expect_false(kit_answer(fixture.kit, id)->is_closed);
    kit_free(fixture.kit);
}

static int check_and_watch(void *arg)
{
    struct fixture fixture;
    (void)arg;
    int r = fixture_init(&fixture);
    if (r < 0)
        return r;
    int32_t check = call(&fixture, "/grpc.health.v1.Health/Check", SLICE_LIT("\x0a\0"));
    int32_t watch = call(&fixture, "/grpc.health.v1.Health/Watch", SLICE_LIT("\x0a\0"));
    fixture.is_ready = false;
    kit_run_for(fixture.kit, 2 * NSEC_PER_SEC);
    bool is_well = answers(&fixture, check).len == sizeof(SERVING) - 1 &&
                   answers(&fixture, watch).len == sizeof(SERVING NOT_SERVING) - 1;
    kit_free(fixture.kit);
    return is_well ? 0 : -ENOMEM;
}

static void memory_may_run_out(void)
{
    expect_true(fault_alloc_sweep(check_and_watch, NULL) > 20);
}

static const struct test_case cases[] = {
    {"Check tells whether the system is ready", check_tells_readiness},
    {"Check knows no service but the whole", check_knows_no_other_service},
    {"senseless messages are refused", senseless_messages_are_refused},
    {"Watch tells each change", watch_tells_changes},
    {"Watch waits for a service that is not there", watch_waits_for_unknown_services},
    {"memory may run out", memory_may_run_out},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
