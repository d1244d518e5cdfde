/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of `muster serve`: which settings it gives, and what is asked for besides settings.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdio.h>

struct config_key;

/* One setting on the command line. Points into argv. */
struct argument {
    const struct config_key *key;
    const char *value;
    bool is_flag; /* given by the key's own flag, not by --set */
};

struct arguments {
    const char *config_file; /* NULL: none; may also come from MUSTER_CONFIG */
    bool check;              /* only validate */
    int ready_fd;            /* -1: none */
    unsigned n_settings;
    struct argument *settings; /* in the order given */
};

/*
 * argv[0] is the command's name. What is kept points into argv, which must outlive it.
 * 0, -EINVAL with the line for people in err, or -ENOMEM.
 */
int arguments_parse(int argc, char **argv, struct arguments *ret_arguments, struct err *err);
void arguments_deinit(struct arguments *arguments);

/* The options part of `muster serve --help`. */
void arguments_print_options(FILE *out);
