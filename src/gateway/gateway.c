/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gateway.h"

#include "base/util.h"

#define SHOWN_BYTES_MAX 256

void gateway_on_request(void *ctx, struct exchange *exchange)
{
    (void)ctx;
    const struct http_request *request = exchange->request;
    struct slice host = {request->authority.ptr, min_size(request->authority.len, SHOWN_BYTES_MAX)};
    struct slice path = {request->path.ptr, min_size(request->path.len, SHOWN_BYTES_MAX)};
    exchange_respond_text(exchange, 404, "no route for %.*s%.*s\n", SLICE_ARG(host), SLICE_ARG(path));
}
