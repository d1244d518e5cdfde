/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of the source, shared by file_source.c and file_stats.c; and for tests, which have no scout: the same on
 * any loop, started and stopped by hand.
 */
#pragma once

#include "base/hash.h"
#include "base/htab.h"
#include "sources/file/file_place.h"
#include "sources/file/file_source.h"
#include "sources/source_registration.h"

/* An instance that a file has, or had. */
struct file_tenant {
    struct htab_node node; /* by name */
    struct source_registration *registration;
    char *name;                   /* as instance_record_name writes it */
    char *told;                   /* the file that it is of; NULL: an earlier process's */
    const struct file_item *item; /* while the files are gone through: the one that has it; else NULL */
};

struct file_source_place {
    struct file_place place;
    struct file_source *source;
    _Atomic unsigned n_instances;
};

struct file_source {
    struct scout_part part;
    struct file_source_options options;
    struct arena texts; /* of the options */
    struct log *log;
    struct source_registrar registrar;
    struct hash_key hash_key;
    struct htab tenants;
    struct timer check;
    struct file_source_place *places;
    bool is_looking; /* at all places: their entries are put together after the last */
    _Atomic int64_t next_ms;
    _Atomic uint64_t n_drifts;
};

int file_source_new_on(const struct file_source_options *options, struct loop *loop, struct curator *curator,
                       struct log *log, struct file_source **ret_source);
struct scout_part *file_source_part(struct file_source *source);
