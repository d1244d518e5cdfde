/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the load generator is told on its command line: words of the form name=number.
 */
#pragma once

#include <stdint.h>

struct options {
    uint64_t port;
    uint64_t conns;    /* connections */
    uint64_t callers;  /* over all connections, each with one call at a time */
    uint64_t ms;       /* how long a turn lasts */
    uint64_t ops;      /* instead of that: how many operations it takes */
    uint64_t keys;     /* how many there are */
    uint64_t value;    /* bytes of one */
    uint64_t address;  /* 1: each value is the address of an instance instead */
    uint64_t count;    /* keys of a range */
    uint64_t leases;   /* how many are granted before the first turn */
    uint64_t ttl;      /* seconds of a lease */
    uint64_t window;   /* messages on the way on one stream */
    uint64_t watchers; /* over all connections, one stream on each */
    uint64_t rounds;   /* changes in a turn */
    uint64_t lead;     /* seconds until the leases run out */
    uint64_t patience; /* seconds to wait for what should happen at once */
    uint64_t zeroed;   /* 1: the file is written over; 0: it grows */
};

/* Ends the program on a word that it does not know. */
void options_parse(struct options *options, int n_words, char **words);
