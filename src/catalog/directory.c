/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The readers' side: nothing here writes.
 *
 * The hash is an array of cells with linear probing. A cell stays in its slot for as long as it is in that array, and a
 * forgotten one leaves a mark that is probed past, so a reader that runs beside the writer misses nothing.
 */
#include "catalog/directory_impl.h"

#include "store/store.h"

struct directory_cell *directory_probe(const struct directory *directory, const struct directory_table *table,
                                       uint64_t hash, struct slice name)
{
    for (size_t i = hash & table->mask;; i = (i + 1) & table->mask) {
        struct directory_cell *cell = rcu_read(&table->slots[i]);
        if (!cell)
            return NULL;
        if (cell != &directory->forgotten && cell->hash == hash &&
            slice_equal(slice_from(cell->name, cell->name_len), name))
            return cell;
    }
}

const struct directory_service *directory_find(const struct directory *directory, struct slice service)
{
    uint64_t hash = hash_bytes(&directory->key, service);
    struct directory_cell *cell = directory_probe(directory, rcu_read(&directory->table), hash, service);
    return cell ? rcu_read(&cell->current) : NULL;
}

/* The chunk whose range of ids has this one: the last that does not begin above it, or the first. */
unsigned directory_find_chunk(const struct directory_service *service, struct slice id)
{
    unsigned low = 0, high = service->n_chunks;
    while (high - low > 1) {
        unsigned middle = low + (high - low) / 2;
        if (slice_compare(service->chunks[middle]->instances[0]->id, id) <= 0)
            low = middle;
        else
            high = middle;
    }
    return low;
}

unsigned directory_find_index(const struct directory_chunk *chunk, struct slice id, bool *ret_found)
{
    unsigned low = 0, high = chunk->n;
    *ret_found = false;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        int order = slice_compare(chunk->instances[middle]->id, id);
        *ret_found |= order == 0;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct instance *directory_find_instance(const struct directory_service *service, struct slice id)
{
    if (service->n_chunks == 0)
        return NULL;
    bool found;
    const struct directory_chunk *chunk = service->chunks[directory_find_chunk(service, id)];
    unsigned index = directory_find_index(chunk, id, &found);
    return found ? chunk->instances[index] : NULL;
}

const struct instance *directory_look_up(const struct directory *directory, struct slice service, struct slice id)
{
    const struct directory_service *found = directory_find(directory, service);
    return found ? directory_find_instance(found, id) : NULL;
}

const struct instance *directory_next(struct directory_cursor *cursor)
{
    if (cursor->chunk == cursor->service->n_chunks)
        return NULL;
    const struct directory_chunk *chunk = cursor->service->chunks[cursor->chunk];
    const struct instance *instance = chunk->instances[cursor->index++];
    if (cursor->index == chunk->n) {
        cursor->chunk++;
        cursor->index = 0;
    }
    return instance;
}

void directory_each(const struct directory *directory, bool (*fn)(void *ctx, const struct directory_service *service),
                    void *ctx)
{
    const struct directory_table *table = rcu_read(&directory->table);
    for (size_t i = 0; i <= table->mask; i++) {
        struct directory_cell *cell = rcu_read(&table->slots[i]);
        const struct directory_service *service = cell ? rcu_read(&cell->current) : NULL;
        if (service && !fn(ctx, service))
            return;
    }
}

void directory_count(const struct directory *directory, struct directory_counts *ret_counts)
{
    *ret_counts = (struct directory_counts){
        .n_services = atomic_load_explicit(&directory->n_services, memory_order_relaxed),
    };
    for (unsigned i = 0; i <= INSTANCE_UP; i++) {
        ret_counts->by_status[i] = atomic_load_explicit(&directory->by_status[i], memory_order_relaxed);
        ret_counts->n_instances += ret_counts->by_status[i];
    }
}
