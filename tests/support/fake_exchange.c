/* SPDX-License-Identifier: Apache-2.0 */
#include "support/fake_exchange.h"

#include "base/assert.h"
#include "base/util.h"
#include "http/exchange_impl.h"

static void respond(struct exchange *exchange, unsigned status, const struct header *headers, unsigned n_headers,
                    struct slice body)
{
    struct fake_exchange *fake = container_of(exchange, struct fake_exchange, exchange);
    ASSERT(n_headers <= FAKE_HEADERS_MAX);
    fake->n_answers++;
    fake->status = status;
    fake->n_headers = n_headers;
    for (unsigned i = 0; i < n_headers; i++) {
        buf_append(&fake->names[i], headers[i].name);
        buf_append(&fake->values[i], headers[i].value);
    }
    buf_append(&fake->body, body);
}

void fake_exchange_deinit(struct fake_exchange *fake)
{
    for (unsigned i = 0; i < FAKE_HEADERS_MAX; i++) {
        buf_deinit(&fake->names[i]);
        buf_deinit(&fake->values[i]);
    }
    buf_deinit(&fake->body);
}

void fake_exchange_ask(struct fake_exchange *fake, const struct exchange_handler *handler, enum http_method method,
                       const char *path)
{
    static const struct exchange_ops ops = {.respond = respond};
    fake_exchange_deinit(fake);
    *fake = (struct fake_exchange){
        .exchange.ops = &ops,
        .request =
            {
                .method = method,
                .method_text = slice_from_str(http_method_name(method)),
                .target = slice_from_str(path),
                .path = slice_from_str(path),
                .authority = SLICE_LIT("example.org"),
            },
    };
    fake->exchange.request = &fake->request;
    handler->on_request(handler->ctx, &fake->exchange);
}

struct slice fake_exchange_header(const struct fake_exchange *fake, const char *name)
{
    for (unsigned i = 0; i < fake->n_headers; i++) {
        if (slice_equal_str(buf_slice(&fake->names[i]), name))
            return buf_slice(&fake->values[i]);
    }
    return (struct slice){0};
}
