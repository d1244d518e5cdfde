/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instances in the text of a file, YAML or JSON: a list of entries, or a single one. An entry has the members of a
 * registration (docs/openapi.yaml), and those that say whose it is:
 *
 *     - service: web
 *       id: w1                      # its address, unless told
 *       address: http@10.0.0.7:8080
 *       check: {type: http, target: /health}
 *
 * Strict: what is not known, and what is there twice, is an error. So is a text without any value, which is what a file
 * has that is about to be written; `[]` says that there are none. Pure.
 */
#pragma once

#include "catalog/instance_record.h"

#define FILE_ENTRIES_MAX    10000
#define FILE_TEXT_BYTES_MAX ((size_t)4 * 1024 * 1024)

struct file_entry {
    struct slice service, id;
    struct slice name; /* both, as instance_record_name writes it */
    struct instance_record record;
    unsigned line;
};

/* Owns its texts. Zero-initialised is empty. */
struct file_entries {
    struct arena arena;
    struct file_entry *list; /* in the file's order */
    unsigned n;
};

/*
 * 0; -EINVAL with words that begin with "NAME:LINE:COLUMN: " and say what was expected; -ENOMEM.
 */
int file_entries_parse(struct slice text, const char *name, struct file_entries *ret_entries, struct err *err);
void file_entries_deinit(struct file_entries *entries);
