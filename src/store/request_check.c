/* SPDX-License-Identifier: Apache-2.0 */
/* One look per type of request; transactions have rules enough for a file of their own. */
#include "store/request_check.h"

#include "base/assert.h"
#include "store/txn_check.h"

static enum store_outcome check_notes(const struct store_request *request)
{
    if (request->notes.n > STORE_NOTES_MAX)
        return STORE_TOO_MANY_OPS;
    for (unsigned i = 0; i < request->notes.n; i++) {
        const struct store_note *note = &request->notes.all[i];
        ASSERT(note->kind >= STORE_NOTE_FREE && note->kind <= STORE_NOTE_KIND_MAX);
        if (note->subject.len > STORE_KEY_MAX)
            return STORE_TOO_LARGE;
    }
    return STORE_OK;
}

static enum store_outcome check_doc(const struct store_request *request)
{
    ASSERT(request->doc.name.len > 0);
    bool fits = request->doc.name.len <= STORE_DOC_NAME_MAX && request->doc.value.len <= STORE_VALUE_MAX;
    return fits ? STORE_OK : STORE_TOO_LARGE;
}

enum store_outcome store_request_check(const struct store_request *request)
{
    switch (request->type) {
    case STORE_TXN:
        return store_txn_check(&request->txn);
    case STORE_NOTES:
        return check_notes(request);
    case STORE_DOC:
        return check_doc(request);
    default:
        return STORE_OK;
    }
}
