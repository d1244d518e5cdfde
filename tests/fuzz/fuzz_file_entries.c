/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a file of instances: what is read could be registered, under names of its own; what is refused is told
 * with the file's name.
 */
#include "sources/file/file_entries.h"

#include "base/assert.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_entry(const struct file_entry *entry)
{
    struct arena arena = {0};
    struct buf json = {0};
    struct instance_record again;
    instance_record_write(&json, &entry->record);
    ASSERT(instance_record_parse(buf_slice(&json), INSTANCE_RECORD_STRICT, &arena, &again, NULL) == 0);
    ASSERT(instance_record_equal(&entry->record, &again));
    ASSERT(instance_record_check_names(entry->service, entry->id, NULL) == 0);
    buf_deinit(&json);
    arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct file_entries entries;
    struct err err = {""};
    int r = file_entries_parse(slice_from(data, size), "f", &entries, &err);
    ASSERT(r == 0 || (r == -EINVAL && err.text[0] == 'f' && err.text[1] == ':'));
    for (unsigned i = 0; r == 0 && i < entries.n; i++)
        check_entry(&entries.list[i]);
    if (r == 0)
        file_entries_deinit(&entries);
    return 0;
}
