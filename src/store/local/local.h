/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The embedded engine: memory (mvcc), leases, log and snapshots put together. It has no thread of its own: the keeper
 * (src/keeper) drives it. The engine is passive, its owner calls it in this order, batch after batch:
 *
 *   keeper's thread   local_apply *       each request of the batch, in order of arrival
 *                     local_expire        leases that ran out, as ordinary transactions, a bounded number at a time
 *                     local_seal          the batch: its log record and its root
 *   log thread        local_write         appends the record and syncs; batches in order
 *                     local_publish       makes it readable, shows its leases, tells the subscribers
 *                     local_answer        completes its requests, one mail per loop
 *
 * The keeper may apply batch N+1 while N is written. When a write fails, the batch's requests are answered with the
 * outcome, and what they did in memory is undone by starting again from the last durable root (local_rewind).
 */
#pragma once

#include "store/local/lease.h"
#include "store/local/mvcc.h"
#include "store/local/snapshot.h"
#include "store/local/wal.h"
#include "store/store.h"

struct local_options {
    struct wal_options wal;
    int64_t history_ms;    /* 24 h */
    uint64_t history_bytes; /* 256 MiB */
    uint64_t snapshot_bytes; /* log bytes since the last snapshot that begin a new one */
    int64_t min_ttl_ms;    /* shorter TTLs are raised to this */
};
