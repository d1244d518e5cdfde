/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys: loaded, put, read.
 */
#include "etcd.h"
#include "modes.h"

#include <err.h>
#include <stdlib.h>

/* Below etcd's limit of 128 operations. */
#define KEYS_PER_TXN 100

/* A turn loads options.keys keys, in transactions of many; each caller takes the next run of them. */
static void begin_fill(struct caller *caller)
{
    struct load *load = caller->load;
    struct buf *buf = caller_call(caller, PATH_TXN);
    for (unsigned i = 0; i < KEYS_PER_TXN; i++) {
        struct key key = key_of(SPACE_STORED, load->n_made++ % load->options.keys);
        add_txn_put(buf, key_slice(&key), buf_slice(&load->value));
    }
    caller_send(caller);
}

static void turn_fill(struct load *load)
{
    static const struct operation fill = {.begin = begin_fill};
    load->options.ops = (load->options.keys + KEYS_PER_TXN - 1) / KEYS_PER_TXN;
    load_turn(load, &fill);
}

const struct mode mode_fill = {"fill", load_connect, turn_fill, NULL};

/* Random keys among options.keys; the first time they are made, then written over. */
static void begin_put(struct caller *caller)
{
    struct load *load = caller->load;
    struct key key = key_of(SPACE_STORED, load_random(load, load->options.keys));
    add_put(caller_call(caller, PATH_PUT), key_slice(&key), buf_slice(&load->value), 0);
    caller_send(caller);
}

static void turn_put(struct load *load)
{
    static const struct operation put = {.begin = begin_put};
    load_turn(load, &put);
}

const struct mode mode_put = {"put", load_connect, turn_put, NULL};

static void begin_get(struct caller *caller)
{
    struct load *load = caller->load;
    struct key key = key_of(SPACE_STORED, load_random(load, load->options.keys));
    add_range(caller_call(caller, PATH_RANGE), key_slice(&key), slice_from(NULL, 0));
    caller_send(caller);
}

static void expect_one(struct caller *caller, struct slice message)
{
    (void)caller;
    if (get_number(message, RANGE_REPLY_COUNT) != 1)
        errx(EXIT_FAILURE, "a key is missing");
}

static void turn_get(struct load *load)
{
    static const struct operation get = {.begin = begin_get, .reply = expect_one};
    load_turn(load, &get);
}

const struct mode mode_get = {"get", load_connect, turn_get, NULL};

/* options.count neighbours. */
static void begin_range(struct caller *caller)
{
    struct load *load = caller->load;
    uint64_t first = load_random(load, load->options.keys - load->options.count + 1);
    struct key begin = key_of(SPACE_STORED, first), end = key_of(SPACE_STORED, first + load->options.count);
    add_range(caller_call(caller, PATH_RANGE), key_slice(&begin), key_slice(&end));
    caller_send(caller);
}

static void expect_all(struct caller *caller, struct slice message)
{
    if (count_elements(message, RANGE_REPLY_KVS) != caller->load->options.count)
        errx(EXIT_FAILURE, "keys are missing in a range");
}

static void turn_range(struct load *load)
{
    static const struct operation range = {.begin = begin_range, .reply = expect_all};
    load_turn(load, &range);
}

const struct mode mode_range = {"range", load_connect, turn_range, NULL};

/* A key that is not there: what a call costs without its work. Also the first sign of life of a server. */
static void begin_missing(struct caller *caller)
{
    struct key key = key_of(SPACE_MISSING, 0);
    add_range(caller_call(caller, PATH_RANGE), key_slice(&key), slice_from(NULL, 0));
    caller_send(caller);
}

static const struct operation missing = {.begin = begin_missing};

/* Not ready before a first answer, which is how the time to serving is taken. */
static void prepare_missing(struct load *load)
{
    load_connect(load);
    struct callers callers = {.operation = &missing, .until = NSEC_NEVER, .n_left = 1};
    callers_run(load, &callers);
    samples_reset(&load->samples);
}

static void turn_missing(struct load *load)
{
    load_turn(load, &missing);
}

const struct mode mode_missing = {"missing", prepare_missing, turn_missing, NULL};
