/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gateway.h"

#include "support/fake_exchange.h"
#include "support/test.h"

static void what_no_route_covers_is_404(void)
{
    static const struct exchange_handler handler = {gateway_on_request, NULL};
    struct fake_exchange fake = {0};
    fake_exchange_ask(&fake, &handler, HTTP_METHOD_POST, "/shop/cart");
    expect_int(fake.status, 404);
    expect_int(fake.n_answers, 1);
    expect_slice(buf_slice(&fake.body), "no route for example.org/shop/cart\n");
    fake_exchange_deinit(&fake);
}

static const struct test_case cases[] = {
    {"what no route covers is 404", what_no_route_covers_is_404},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
