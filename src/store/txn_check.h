/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wrong with a transaction by its shape alone, whatever the state: counts, nesting, keys written twice. Pure,
 * so that it is done on the thread that asks and costs the writer nothing.
 */
#pragma once

#include "store/store.h"

/* Transactions inside transactions; far deeper than anybody writes, shallow enough for the stack. */
#define STORE_TXN_NESTING_MAX 16
/* Operations in all branches together. */
#define STORE_TXN_TOTAL_MAX 1024

/*
 * STORE_OK, STORE_TOO_MANY_OPS (more than STORE_TXN_OPS_MAX in a branch, nested ones counted with their parents; more
 * than STORE_TXN_TOTAL_MAX; nested too deep), STORE_DUPLICATE_KEY (a key is put twice, or put and deleted, on one
 * path), STORE_OUT_OF_MEMORY.
 */
enum store_outcome store_txn_check(const struct store_txn *txn);
