/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether somebody takes connections at a TCP port, and whose the sockets are that listen there, as /proc tells. Blocks
 * for no longer than it takes to read there, or to connect within the machine.
 */
#pragma once

#include <netdb.h>
#include <stdbool.h>
#include <sys/types.h>

enum listening {
    LISTENING_OURS,   /* a process below `root` has one of them */
    LISTENING_OTHERS, /* there are some, and none of these processes has any */
    LISTENING_UNKNOWN /* it cannot be told: no socket is to be seen here, or a process does not let us look */
};

bool listening_answers(const struct addrinfo *infos);

/* `root` and all who descend from it. */
enum listening listening_find(unsigned port, pid_t root);
