/* SPDX-License-Identifier: Apache-2.0 */
#include "store/local/guard.h"

#include <stdlib.h>

static enum store_outcome check_lease(const struct store_guard *guard, struct lease_table *leases, int64_t id)
{
    const struct lease *lease = lease_find(leases, id);
    struct slice *keys;
    size_t n_keys;
    if (!lease)
        return STORE_OK;
    if (lease_keys(lease, &keys, &n_keys) < 0)
        return STORE_OUT_OF_MEMORY;
    bool is_allowed = true;
    for (size_t i = 0; is_allowed && i < n_keys; i++)
        is_allowed = guard->allows(guard, keys[i]);
    free(keys);
    return is_allowed ? STORE_OK : STORE_FORBIDDEN;
}

static enum store_outcome check_txn(const struct store_guard *guard, struct lease_table *leases,
                                    const struct store_txn *txn)
{
    const struct store_op *branches[] = {txn->success, txn->failure};
    const unsigned sizes[] = {txn->n_success, txn->n_failure};
    enum store_outcome outcome = STORE_OK;
    for (unsigned branch = 0; branch < 2; branch++) {
        for (unsigned i = 0; outcome == STORE_OK && i < sizes[branch]; i++) {
            const struct store_op *op = &branches[branch][i];
            if (op->type == STORE_OP_TXN)
                outcome = check_txn(guard, leases, op->txn);
            else if (op->type == STORE_OP_PUT && op->put.lease != 0)
                outcome = check_lease(guard, leases, op->put.lease);
        }
    }
    return outcome;
}

enum store_outcome guard_check(const struct store_request *request, struct lease_table *leases)
{
    if (!request->guard)
        return STORE_OK;
    if (request->type == STORE_TXN)
        return check_txn(request->guard, leases, &request->txn);
    return request->type == STORE_LEASE_REVOKE ? check_lease(request->guard, leases, request->lease.id) : STORE_OK;
}
