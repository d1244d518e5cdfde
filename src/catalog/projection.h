/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which foreign keys are instances: rules that turn a key and its value into service, id and record. Pure; the keys are
 * never written by us.
 *
 * Rules are tried in order, the first that matches counts:
 *   - a pattern for the key, "server/{id}", "/{service}/{id}", "/backends/{service}/nodes/{*id}": a name takes one path
 *     element, a starred one the rest; a rule may fix the service that its pattern does not name;
 *   - what the value must be: ADDRESS ("127.0.0.1:1212", "tcp@h:1", an URL), ETCD_NAMING ({"Op":0,"Addr":"h:1"}),
 *     RECORD (as in instance_record.h), ANY of these.
 * The built-in default, after the configured ones: a key with a lease whose value is plainly an address or etcd naming
 * JSON is an instance of the service that its path up to the last '/' names ("server/001" -> server, 001; leading '/'
 * does not count). Keys below /muster/ are never projected by rules.
 */
#pragma once

#include "base/err.h"
#include "catalog/instance_record.h"
#include "store/store.h"

struct projection;

struct projection_rule {
    struct slice pattern;
    struct slice service; /* "": the pattern names it */
    enum { PROJECT_ANY, PROJECT_ADDRESS, PROJECT_ETCD_NAMING, PROJECT_RECORD } value;
    bool needs_lease;
};

/* Copies the rules. 0, -ENOMEM, -EINVAL with words. */
int projection_new(const struct projection_rule *rules, unsigned n_rules, bool use_default,
                   struct projection **ret_projection, struct err *err);
void projection_free(struct projection *projection);

struct projected {
    struct slice service, id;
    struct instance_record record;
};

/* True when this key is an instance; what is given lives in the arena or in the key-value pair. */
bool projection_apply(const struct projection *projection, const struct store_kv *kv, struct arena *arena,
                      struct projected *ret_projected);
