/* SPDX-License-Identifier: Apache-2.0 */
#include "etcd.h"

#include "base/util.h"
#include "wire/pb.h"

#include <err.h>
#include <stdlib.h>

#define N_DIGITS 10

/* The space is the letter in the middle, so that its end is the same text with the next letter. */
static const char key_prefix[] = "services/billing-X/instances/";
#define SPACE_AT 17

/* By hand: printf would cost as much as the server's whole answer. */
struct key key_of(enum key_space space, uint64_t number)
{
    struct key key;
    _Static_assert(sizeof(key_prefix) - 1 + 1 + N_DIGITS == KEY_BYTES, "prefix, a letter, digits");
    memcpy(key.text, key_prefix, sizeof(key_prefix) - 1);
    key.text[SPACE_AT] = (char)space;
    key.text[sizeof(key_prefix) - 1] = 'i';
    for (size_t i = KEY_BYTES; i > KEY_BYTES - N_DIGITS; number /= 10)
        key.text[--i] = (char)('0' + number % 10);
    return key;
}

struct slice key_slice(const struct key *key)
{
    return slice_from(key->text, KEY_BYTES);
}

struct slice space_begin(enum key_space space, struct key *scratch)
{
    *scratch = key_of(space, 0);
    return slice_from(scratch->text, SPACE_AT + 1);
}

struct slice space_end(enum key_space space, struct key *scratch)
{
    struct slice end = space_begin(space, scratch);
    scratch->text[SPACE_AT]++;
    return end;
}

void add_put(struct buf *buf, struct slice key, struct slice value, int64_t lease)
{
    pb_add_bytes(buf, 1, key);
    pb_add_bytes(buf, 2, value);
    pb_add_int(buf, 3, lease);
}

void add_range(struct buf *buf, struct slice key, struct slice range_end)
{
    pb_add_bytes(buf, 1, key);
    pb_add_bytes(buf, 2, range_end);
}

void add_range_count(struct buf *buf, struct slice key, struct slice range_end)
{
    add_range(buf, key, range_end);
    pb_add_bool(buf, 9, true);
}

void add_txn_put(struct buf *buf, struct slice key, struct slice value)
{
    size_t success = pb_begin(buf, 2);
    size_t put = pb_begin(buf, 2);
    add_put(buf, key, value, 0);
    pb_end(buf, put);
    pb_end(buf, success);
}

void add_grant(struct buf *buf, int64_t ttl)
{
    pb_add_int(buf, 1, ttl);
}

void add_keepalive(struct buf *buf, int64_t lease)
{
    pb_add_int(buf, 1, lease);
}

void add_watch_create(struct buf *buf, struct slice key, struct slice range_end)
{
    size_t create = pb_begin(buf, 1);
    add_range(buf, key, range_end);
    pb_end(buf, create);
}

static bool next_field(struct slice *message, struct pb_field *ret_field)
{
    int r = pb_next(message, ret_field);
    if (r < 0)
        errx(EXIT_FAILURE, "a reply that is no message");
    return r > 0;
}

uint64_t get_number(struct slice message, uint32_t number)
{
    struct pb_field field;
    uint64_t value = 0;
    while (next_field(&message, &field))
        if (field.number == number && !field.is_bytes)
            value = field.value;
    return value;
}

uint64_t count_elements(struct slice message, uint32_t number)
{
    struct pb_field field;
    uint64_t n = 0;
    while (next_field(&message, &field))
        n += field.number == number && field.is_bytes;
    return n;
}
