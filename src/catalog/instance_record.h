/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of an instance as it lies in the store: key /muster/services/<service>/<instance>, value JSON.
 *
 * In the key '/', '%' and control characters of names are written %XX, so that any id is one path element. The JSON,
 * all members but "address" optional:
 *
 *     {"address": "http@10.0.0.7:8080", "protocol": "http", "host": "10.0.0.7", "port": 8080, "weight": 1, "zone": "a",
 *      "tags": ["v2"], "needs": ["db", "log"], "metadata": {"expose": "true"},
 *      "check": {"type": "http", "target": "/health", "interval_ms": 5000, "retry_ms": 1000,
 *                "timeout_ms": 1000, "to_fail": 3, "to_pass": 1, "remove_after_ms": 0},
 *      "origin": "rest", "owner": "alice", "session": "f3…"}
 *
 * An address is "SCHEME@HOST:PORT", "SCHEME://HOST:PORT…", "HOST:PORT", "[V6]:PORT" or "unix@/PATH". Protocol, host and
 * port follow from it and are written only when they say something else, such as the host of one who listens on
 * [::]:PORT.
 *
 * Strict for what we are asked to register, with words for what is wrong: an unknown member or an address of another
 * form is an error. Lenient for what is in the store, where a newer muster or a protocol that takes any address may
 * have written: unknown members are passed over, any address is taken.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "catalog/instance.h"

#define INSTANCE_RECORD_PREFIX    SLICE_LIT("/muster/services/")
#define INSTANCE_RECORD_VALUE_MAX ((size_t)64 * 1024)
#define INSTANCE_RECORD_LIST_MAX  256 /* tags, needs, metadata: of each */

enum instance_record_strictness { INSTANCE_RECORD_STRICT, INSTANCE_RECORD_LENIENT };

/* 0, -EINVAL with words that name the member and what was expected, -ENOMEM. Texts and details live in the arena. */
int instance_record_parse(struct slice json, enum instance_record_strictness strictness, struct arena *arena,
                          struct instance_record *ret_record, struct err *err);

/* Appends the JSON; the buf's error is sticky. What instance_record_parse reads back is equal. */
void instance_record_write(struct buf *buf, const struct instance_record *record);

/* "tcp", "http", "grpc" or "ttl", as in the record. */
struct slice instance_record_check_type(enum instance_check_type type);

bool instance_record_equal(const struct instance_record *a, const struct instance_record *b);

/*
 * Sets address, protocol, host and port of `record`, as parts of `address`. False when it is of none of the forms: then
 * it is kept all the same, and protocol, host and port are empty.
 */
bool instance_record_set_address(struct instance_record *record, struct slice address);

/* 0 or -EINVAL with words: a name that cannot be that of a service or an instance. */
int instance_record_check_names(struct slice service, struct slice id, struct err *err);

/* Appends the key of an instance. */
void instance_record_key(struct buf *buf, struct slice service, struct slice id);
/* The names in a key, as parts of it or in the arena. 0; INSTANCE_RECORD_NO_KEY: none that is made so; -ENOMEM. */
enum { INSTANCE_RECORD_NO_KEY = 1 };
int instance_record_split_key(struct slice key, struct arena *arena, struct slice *ret_service, struct slice *ret_id);

/*
 * The same for names of what belongs to an instance, or to a service when `id` is empty: "service/id", "service",
 * spelt as in keys.
 */
void instance_record_name(struct buf *buf, struct slice service, struct slice id);
int instance_record_split_name(struct slice name, struct arena *arena, struct slice *ret_service, struct slice *ret_id);
