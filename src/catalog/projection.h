/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which keys are instances. Our own (instance_record.h) always are; foreign ones by rules that turn a key and its value
 * into service, id and record. Pure; foreign keys are never written by us.
 *
 * Rules are tried in order, the first that matches counts:
 *   - a pattern for the key, "server/{id}", "/{service}/{id}", "/backends/{service}/nodes/{id*}": a name takes one path
 *     element, a starred one the rest; a rule fixes the service that its pattern does not name;
 *   - what the value must be: an address ("127.0.0.1:1212", "tcp@h:1", an URL), naming as etcd's clients write it
 *     ({"Op":0,"Addr":"h:1"}), a record (as in instance_record.h), or any of these.
 * The built-in rule, after the configured ones: a key with a lease whose value is plainly an address or etcd naming is
 * an instance of the service that its path up to the last '/' names ("server/001" -> server, 001; a leading '/' does
 * not count). Keys below /muster/ are never projected by rules.
 */
#pragma once

#include "base/err.h"
#include "catalog/instance_record.h"
#include "store/store.h"

struct projection;

enum projection_value { PROJECTION_ANY, PROJECTION_ADDRESS, PROJECTION_NAMING, PROJECTION_RECORD };

struct projection_rule {
    struct slice pattern;
    struct slice service; /* "": the pattern names it */
    enum projection_value value;
    bool needs_lease;
};

/*
 * A rule as people write it: the pattern, then in any order "service=NAME", "value=any|address|naming|record", "lease".
 * Its slices are parts of the text. 0 or -EINVAL with words.
 */
int projection_parse_rule(struct slice text, struct projection_rule *ret_rule, struct err *err);

/* Copies the rules. 0, -ENOMEM, -EINVAL with words. */
int projection_new(const struct projection_rule *rules, unsigned n_rules, bool use_default,
                   struct projection **ret_projection, struct err *err);
/* Accepts NULL. */
void projection_free(struct projection *projection);

struct projected {
    struct slice service, id;
    struct instance_record record;
};

enum { PROJECTION_NONE = 1 };

/*
 * 0; PROJECTION_NONE when this key is no instance; -ENOMEM. What is given lives in the arena or in the key-value pair.
 */
int projection_apply(const struct projection *projection, const struct store_kv *kv, struct arena *arena,
                     struct projected *ret_projected);
