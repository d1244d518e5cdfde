/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions on the memory: what they need is checked before anything is changed, all of it happens in one revision
 * or nothing does.
 *
 * The compares of a transaction, and those of the nested ones that its outcome leads to, see the state before it; its
 * operations run in order and see what earlier ones wrote.
 */
#pragma once

#include "store/local/lease.h"
#include "store/local/mvcc.h"

/*
 * Decides and runs request->txn (which store_txn_check has passed) and fills the request's results, in its arena. Opens
 * the memory's revision, and leaves it open with STORE_OK: the caller attaches the keys to their leases and commits, or
 * rolls back. With any other outcome nothing is open and nothing has changed. `why` is the revision's (mvcc_begin).
 */
enum store_outcome txn_run(struct store_request *request, const struct store_note *why, struct mvcc *mvcc,
                           struct lease_table *leases);
