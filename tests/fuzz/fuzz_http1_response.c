/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection's bytes as the response to GET, HEAD and CONNECT: parsed by us and by llhttp, which must not disagree
 * about what we accept.
 */
#include "support/http1_oracle.h"
#include "wire/http1.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum http_method methods[] = {HTTP_METHOD_GET, HTTP_METHOD_HEAD, HTTP_METHOD_CONNECT};
    static const struct http1_limits limits = {.head_bytes = 4096, .target_bytes = 4096, .n_fields = 100};
    struct slice bytes = slice_from(data, size);
    struct http1_fault fault;
    (void)http1_check_partial_response(bytes, &limits, &fault);
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        const char *difference = http1_oracle_response(bytes, methods[i]);
        if (difference) {
            fprintf(stderr, "to %s: %s\n", http_method_name(methods[i]), difference);
            abort();
        }
    }
    return 0;
}
