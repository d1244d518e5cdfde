/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection's bytes as a request: parsed by us and by llhttp, which must not disagree about what we accept. The
 * early check must not accept less than the parser does.
 */
#include "support/http1_oracle.h"
#include "wire/http1.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http1_limits limits = {.head_bytes = 65536, .target_bytes = 65536, .n_fields = HTTP_FIELDS_MAX};

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    abort();
}

/* The end of a head does not depend on how many bytes earlier searches have seen. */
static void check_head_end(struct slice bytes, size_t end)
{
    for (size_t searched = 0; searched < end; searched += 1 + searched / 8)
        if (http1_head_end(bytes, searched) != end)
            fail("the head ends elsewhere when the search is resumed");
}

/* Parsing at the first look comes to the same as a search before. */
static void check_take(struct slice bytes)
{
    struct http_fields fields[2];
    struct http_request requests[2];
    struct http1_fault faults[2];
    ssize_t at_once = http1_take_request(bytes, 0, &limits, &fields[0], &requests[0], &faults[0]);
    ssize_t in_order = http1_take_request(bytes, bytes.len > 0, &limits, &fields[1], &requests[1], &faults[1]);
    if (at_once != in_order || (at_once < 0 && faults[0].text != faults[1].text))
        fail("a head is another one when its end was searched before");
    if (at_once > 0 && (requests[0].path.ptr != requests[1].path.ptr || requests[0].framing != requests[1].framing ||
                        fields[0].n != fields[1].n || !slice_equal(fields[0].lines, fields[1].lines)))
        fail("a head says something else when its end was searched before");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = slice_from(data, size);
    struct http1_fault fault;
    check_take(bytes);
    size_t end = http1_head_end(bytes, 0);
    if (end == 0) {
        (void)http1_check_partial(bytes, &limits, &fault);
        return 0;
    }
    check_head_end(bytes, end);

    struct http_fields fields;
    struct http_request request;
    struct slice head = slice_from(bytes.ptr, end);
    bool is_accepted = http1_parse_request(head, &limits, &fields, &request, &fault) == 0;
    if (is_accepted && http1_check_partial(slice_from(bytes.ptr, end / 2), &limits, &fault) < 0)
        fail(fault.text);

    const char *difference = http1_oracle_request(bytes);
    if (difference)
        fail(difference);
    return 0;
}
