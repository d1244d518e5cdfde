/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of log records: whatever is taken for one is written and read again as the same. */
#include "base/assert.h"
#include "store/local/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_from(data, size);
    struct record_entry entry, again;
    while (record_read(&rest, &entry) == 0) {
        struct buf first = {0}, second = {0};
        record_write(&first, &entry);
        struct slice bytes = buf_slice(&first);
        ASSERT(record_read(&bytes, &again) == 0 && bytes.len == 0);
        record_write(&second, &again);
        ASSERT(slice_equal(buf_slice(&first), buf_slice(&second)));
        buf_deinit(&first);
        buf_deinit(&second);
    }
    return 0;
}
