/* SPDX-License-Identifier: Apache-2.0 */
/* Asks a request's guard. Pure but for what the guard does. */
#pragma once

#include "store/local/lease.h"
#include "store/store.h"

/* STORE_OK, STORE_FORBIDDEN or STORE_OUT_OF_MEMORY; STORE_OK at once without a guard. The keeper's thread. */
enum store_outcome guard_check(const struct store_request *request, struct lease_table *leases);
