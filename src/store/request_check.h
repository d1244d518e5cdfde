/* SPDX-License-Identifier: Apache-2.0 */
/* What every engine looks at before it takes a request: what is wrong with it by its shape alone. */
#pragma once

#include "store/store.h"

/*
 * STORE_OK; as store_txn_check; STORE_TOO_LARGE (a document's name or value, a note's subject); STORE_TOO_MANY_OPS
 * (more than STORE_NOTES_MAX notes). A document without a name, or a note of a kind below STORE_NOTE_FREE, is the
 * caller's bug.
 */
enum store_outcome store_request_check(const struct store_request *request);
