/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two tables of HPACK. Entries are allocated one by one, since most connections have a handful and keep them; the
 * ring of pointers makes index and age the same thing.
 *
 * Invariant: size is the sum over all entries of name, value and 32 bytes, and at most max.
 */
#include "wire/hpack.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>

enum {
    ENTRY_OVERHEAD = 32, /* RFC 7541 4.1 */
    SLOTS_FIRST = 8,
};

#define FIELD(name, value, id)                                                                                         \
    {                                                                                                                  \
        SLICE_LIT(name), SLICE_LIT(value), HTTP_FIELD_##id, true                                                       \
    }

/* RFC 7541 appendix A. */
static const struct hpack_field static_table[HPACK_STATIC] = {
    FIELD(":authority", "", AUTHORITY),
    FIELD(":method", "GET", METHOD),
    FIELD(":method", "POST", METHOD),
    FIELD(":path", "/", PATH),
    FIELD(":path", "/index.html", PATH),
    FIELD(":scheme", "http", SCHEME),
    FIELD(":scheme", "https", SCHEME),
    FIELD(":status", "200", STATUS),
    FIELD(":status", "204", STATUS),
    FIELD(":status", "206", STATUS),
    FIELD(":status", "304", STATUS),
    FIELD(":status", "400", STATUS),
    FIELD(":status", "404", STATUS),
    FIELD(":status", "500", STATUS),
    FIELD("accept-charset", "", OTHER),
    FIELD("accept-encoding", "gzip, deflate", OTHER),
    FIELD("accept-language", "", OTHER),
    FIELD("accept-ranges", "", OTHER),
    FIELD("accept", "", ACCEPT),
    FIELD("access-control-allow-origin", "", OTHER),
    FIELD("age", "", OTHER),
    FIELD("allow", "", OTHER),
    FIELD("authorization", "", AUTHORIZATION),
    FIELD("cache-control", "", OTHER),
    FIELD("content-disposition", "", OTHER),
    FIELD("content-encoding", "", OTHER),
    FIELD("content-language", "", OTHER),
    FIELD("content-length", "", CONTENT_LENGTH),
    FIELD("content-location", "", OTHER),
    FIELD("content-range", "", OTHER),
    FIELD("content-type", "", CONTENT_TYPE),
    FIELD("cookie", "", COOKIE),
    FIELD("date", "", DATE),
    FIELD("etag", "", OTHER),
    FIELD("expect", "", EXPECT),
    FIELD("expires", "", OTHER),
    FIELD("from", "", OTHER),
    FIELD("host", "", HOST),
    FIELD("if-match", "", OTHER),
    FIELD("if-modified-since", "", OTHER),
    FIELD("if-none-match", "", OTHER),
    FIELD("if-range", "", OTHER),
    FIELD("if-unmodified-since", "", OTHER),
    FIELD("last-modified", "", OTHER),
    FIELD("link", "", OTHER),
    FIELD("location", "", OTHER),
    FIELD("max-forwards", "", OTHER),
    FIELD("proxy-authenticate", "", OTHER),
    FIELD("proxy-authorization", "", OTHER),
    FIELD("range", "", OTHER),
    FIELD("referer", "", OTHER),
    FIELD("refresh", "", OTHER),
    FIELD("retry-after", "", OTHER),
    FIELD("server", "", OTHER),
    FIELD("set-cookie", "", OTHER),
    FIELD("strict-transport-security", "", OTHER),
    FIELD("transfer-encoding", "", TRANSFER_ENCODING),
    FIELD("user-agent", "", OTHER),
    FIELD("vary", "", OTHER),
    FIELD("via", "", OTHER),
    FIELD("www-authenticate", "", OTHER),
};

const struct hpack_field *hpack_static_get(size_t index)
{
    ASSERT(index >= 1 && index <= HPACK_STATIC);
    return &static_table[index - 1];
}

static struct hpack_entry **slot_of(const struct hpack_table *table, size_t n)
{
    return &table->ring[(table->i_newest + n) & (table->n_slots - 1)];
}

const struct hpack_field *hpack_table_get(const struct hpack_table *table, size_t n)
{
    return n < table->n ? &(*slot_of(table, n))->field : NULL;
}

static size_t size_of(const struct hpack_field *field)
{
    return field->name.len + field->value.len + ENTRY_OVERHEAD;
}

/* Until `size` is not exceeded. */
static void shrink(struct hpack_table *table, size_t size, struct hpack_entry **dropped)
{
    while (table->size > size) {
        struct hpack_entry *oldest = *slot_of(table, --table->n);
        table->size -= size_of(&oldest->field);
        if (!dropped) {
            free(oldest);
            continue;
        }
        oldest->next = *dropped;
        *dropped = oldest;
    }
}

void hpack_table_deinit(struct hpack_table *table)
{
    shrink(table, 0, NULL);
    free(table->ring);
    *table = (struct hpack_table){.max = table->max};
}

void hpack_table_resize(struct hpack_table *table, size_t max, struct hpack_entry **dropped)
{
    table->max = max;
    shrink(table, max, dropped);
}

static int grow(struct hpack_table *table)
{
    struct hpack_table bigger = *table;
    bigger.n_slots = table->n_slots ? 2 * table->n_slots : SLOTS_FIRST;
    bigger.i_newest = 0;
    bigger.ring = malloc(bigger.n_slots * sizeof(struct hpack_entry *));
    if (!bigger.ring)
        return -ENOMEM;
    for (unsigned i = 0; i < table->n; i++)
        bigger.ring[i] = *slot_of(table, i);
    free(table->ring);
    *table = bigger;
    return 0;
}

static struct hpack_entry *entry_new(const struct hpack_field *field)
{
    struct hpack_entry *entry = malloc(sizeof(*entry) + field->name.len + field->value.len);
    if (!entry)
        return NULL;
    char *value = entry->bytes + field->name.len;
    memcpy(entry->bytes, field->name.ptr, field->name.len);
    if (field->value.len > 0)
        memcpy(value, field->value.ptr, field->value.len);
    entry->field = *field;
    entry->field.name.ptr = entry->bytes;
    entry->field.value.ptr = value;
    entry->next = NULL;
    return entry;
}

int hpack_table_add(struct hpack_table *table, const struct hpack_field *field, struct hpack_entry **dropped)
{
    size_t size = size_of(field);
    if (size > table->max) {
        shrink(table, 0, dropped);
        return 0;
    }
    /* The copy first: the field may be one that is about to be dropped. */
    struct hpack_entry *entry = entry_new(field);
    if (!entry || (table->n == table->n_slots && grow(table) < 0)) {
        free(entry);
        return -ENOMEM;
    }
    shrink(table, table->max - size, dropped);
    table->i_newest = (table->i_newest - 1) & (table->n_slots - 1);
    *slot_of(table, 0) = entry;
    table->n++;
    table->size += size;
    return 0;
}
