/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `muster store VERB …`: for who keeps a store. The same verbs work on the files of a stopped server, on a running one
 * and on a saved file; store_place.h says how the place is found.
 */
#pragma once

#include "cli/command.h"
#include "cli/writer.h"
#include "daemon/store_place.h"

#include <stdbool.h>

extern const struct command store_command;

struct store_arguments {
    const char *verb;
    const char *operand; /* NULL: none */
    struct store_options options;
    const char *lease;
    bool json, repair, history, notes, docs;
};

/* The verbs: each gives the exit code. */
int store_check(const struct store_arguments *arguments, const struct command_io *io);
int store_dump(const struct store_arguments *arguments, const struct command_io *io);
int store_snapshot(const struct store_arguments *arguments, const struct command_io *io);
int store_restore(const struct store_arguments *arguments, const struct command_io *io);
int store_compact(const struct store_arguments *arguments, const struct command_io *io);
int store_tell_why(const struct store_arguments *arguments, const struct command_io *io);

/* "muster store VERB: …" on io->err; gives the exit code that is for the error. */
int store_fail(const struct store_arguments *arguments, const struct command_io *io, int error, const struct err *err);

/* The writer that was asked for; NULL: out of memory. */
struct writer *store_writer(const struct store_arguments *arguments, const struct command_io *io);
/* Finishes it. EXIT_OK, or what is wrong was said. */
int store_writer_end(const struct store_arguments *arguments, const struct command_io *io, struct writer *writer);

/* The store's identity, as etcd's tools show it. */
void store_write_id(struct writer *writer, const char *name, uint64_t id);
