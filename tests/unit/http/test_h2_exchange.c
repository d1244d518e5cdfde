/* SPDX-License-Identifier: Apache-2.0 */
#include "h2_kit.h"
#include "support/test.h"

#include <stdlib.h>

static struct kit *make_kit(void)
{
    struct kit *kit;
    expect_int(kit_new(NULL, NULL, &kit), 0);
    return kit;
}

static void answers_a_request(void)
{
    struct kit *kit = make_kit();
    int32_t id = kit_get(kit, "/hello");
    kit_run(kit);
    struct kit_answer *answer = kit_answer(kit, id);
    expect_int(answer->status, 200);
    expect_str(answer->body, "hello\n");
    expect_str(answer->fields, "date: Sun, 06 Nov 1994 08:49:37 GMT\ncontent-length: 6\n"
                               "content-type: text/plain; charset=utf-8\n");
    expect_true(answer->is_ended);
    expect_true(answer->is_closed);
    expect_int(answer->code, NGHTTP2_NO_ERROR);
    expect_trace(kit, "request");
    kit_free(kit);
}

static const struct test_case cases[] = {
    {"a request is answered", answers_a_request},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
