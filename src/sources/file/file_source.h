/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source that takes instances from files, for what is neither in a container nor registers itself: what the files
 * of some paths say is in the catalogue, as long as they say it.
 *
 * The files are the truth about every instance whose origin is "file": those that an earlier process registered and no
 * file has any more are removed, though only when all files can be read. An instance that several files have is that of
 * the first of them, by the order of the paths and of the names.
 *
 * A part of the scout.
 */
#pragma once

#include "base/err.h"
#include "base/metrics.h"
#include "http/scout.h"
#include "keeper/curator.h"

#define FILE_PATHS_MAX 16

struct file_source;

/* Texts are copied. */
struct file_source_options {
    const struct slice *paths; /* of files or folders; at most FILE_PATHS_MAX */
    unsigned n_paths;
    nsec_t check_every_ns; /* 30 s: all is compared, besides following */
    nsec_t settle_ns;      /* 1 s: a file that nobody has finished is complete when it has been the same for so long */
};

void file_source_options_init(struct file_source_options *options);

/* Joins the scout, before it is started. 0 or -errno. */
int file_source_new(const struct file_source_options *options, struct scout *scout, struct curator *curator,
                    struct log *log, struct file_source **ret_source);
/* When the scout has stopped. Accepts NULL. */
void file_source_free(struct file_source *source);

/* -------- any thread */

struct file_source_stats {
    struct slice path;
    const char *state;           /* "following", "polling"; static */
    char trouble[ERR_TEXT_MAX];  /* "web.yaml:3:5: …"; "": none */
    int64_t success_ms, next_ms; /* wall clock */
    unsigned n_files, n_broken, n_instances;
    uint64_t n_drifts;
};

/* Of one of its paths. */
void file_source_get_stats(struct file_source *source, unsigned i_path, struct file_source_stats *ret_stats);

/* muster_file_… 0 or the registry's error. */
int file_source_register_metrics(struct file_source *source, struct metrics *metrics);
