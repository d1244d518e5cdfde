/* SPDX-License-Identifier: Apache-2.0 */
#include "support/office_kit.h"

#include "support/addrs.h"
#include "support/test.h"

void office_kit_open(struct errand_office *office, struct loop *loop, pool_connect_fn connect)
{
    struct pool_options options;
    pool_options_init(&options);
    options.connect = connect;
    *office = (struct errand_office){.loop = loop, .connect = connect};
    expect_int(pool_new(loop, &options, &office->pool), 0);
    expect_int(resolver_new(1, 10, no_lookup, NULL, &office->resolver), 0);
}

void office_kit_close(struct errand_office *office)
{
    resolver_free(office->resolver);
    pool_free(office->pool);
}
