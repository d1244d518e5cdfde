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

static const struct http1_limits limits = {.head_bytes = 4096, .target_bytes = 4096, .n_fields = 100};

/* Parsing at the first look comes to the same as a search before. */
static void check_take(struct slice bytes, enum http_method method)
{
    struct http_fields fields[2];
    struct http_response responses[2];
    struct http1_fault faults[2];
    ssize_t at_once = http1_take_response(bytes, 0, &limits, method, &fields[0], &responses[0], &faults[0]);
    ssize_t in_order =
        http1_take_response(bytes, bytes.len > 0, &limits, method, &fields[1], &responses[1], &faults[1]);
    bool are_same = at_once == in_order && (at_once >= 0 || faults[0].text == faults[1].text);
    if (at_once > 0)
        are_same = are_same && responses[0].framing == responses[1].framing && fields[0].n == fields[1].n;
    if (!are_same) {
        fprintf(stderr, "to %s: a head is another one when its end was searched before\n", http_method_name(method));
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum http_method methods[] = {HTTP_METHOD_GET, HTTP_METHOD_HEAD, HTTP_METHOD_CONNECT};
    struct slice bytes = slice_from(data, size);
    struct http1_fault fault;
    (void)http1_check_partial_response(bytes, &limits, &fault);
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        check_take(bytes, methods[i]);
        const char *difference = http1_oracle_response(bytes, methods[i]);
        if (difference) {
            fprintf(stderr, "to %s: %s\n", http_method_name(methods[i]), difference);
            abort();
        }
    }
    return 0;
}
