/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer's side. A draft is a service made from the published one, sharing its chunks. A chunk that only the draft
 * holds (one reference) has never been seen by a reader and is changed in place; any other is copied first.
 *
 * Nothing readers have is ever changed; it is retired: the old service drops its references to chunks after a grace
 * period, a chunk with its last reference those to its instances. Chunks are not merged; they go when they are empty,
 * which keeps them filled well enough while instances come and go.
 *
 * Arrays have room for one, and beyond that in steps of ROOM_STEP, so their room follows from their length and is not
 * kept.
 */
#include "catalog/directory_write.h"

#include "base/random.h"
#include "catalog/directory_impl.h"

#include <errno.h>
#include <stdlib.h>

#define ROOM_STEP       4
#define TABLE_MIN_SLOTS 64

static unsigned room_for(unsigned n)
{
    return n == 1 ? 1 : (n + ROOM_STEP - 1) / ROOM_STEP * ROOM_STEP;
}

/* ------------------------------------------------------------------------------------------------ chunks */

/* realloc for chunk NULL too. */
static struct directory_chunk *chunk_resize(struct directory_chunk *chunk, unsigned n)
{
    return realloc(chunk, sizeof(*chunk) + room_for(n) * sizeof(chunk->instances[0]));
}

/* Takes references to the instances. */
static struct directory_chunk *chunk_new(const struct instance *const *instances, unsigned n)
{
    struct directory_chunk *chunk = chunk_resize(NULL, n);
    if (!chunk)
        return NULL;
    atomic_init(&chunk->refs, 1);
    chunk->n = n;
    for (unsigned i = 0; i < n; i++)
        chunk->instances[i] = instance_ref(instances[i]);
    return chunk;
}

static void chunk_unref(struct directory_chunk *chunk)
{
    if (atomic_fetch_sub_explicit(&chunk->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (unsigned i = 0; i < chunk->n; i++)
        instance_unref(chunk->instances[i]);
    free(chunk);
}

/* ------------------------------------------------------------------------------------------------ services */

/* realloc for service NULL too. */
static struct directory_service *service_resize(struct directory_service *service, unsigned n_chunks)
{
    return realloc(service, sizeof(*service) + room_for(n_chunks) * sizeof(service->chunks[0]));
}

static void service_free(struct directory_service *service)
{
    if (!service)
        return;
    for (unsigned i = 0; i < service->n_chunks; i++)
        chunk_unref(service->chunks[i]);
    free(service);
}

static void service_retired(struct rcu_node *node)
{
    service_free(container_of(node, struct directory_service, retired));
}

/* A service to be changed: what is published, or an empty one. */
static struct directory_service *service_draft(const struct directory_cell *cell)
{
    const struct directory_service *current = atomic_load_explicit(&cell->current, memory_order_relaxed);
    struct directory_service *draft = service_resize(NULL, current ? current->n_chunks : 1);
    if (!draft)
        return NULL;
    *draft = current ? *current : (struct directory_service){.cell = cell};
    for (unsigned i = 0; i < draft->n_chunks; i++) {
        draft->chunks[i] = current->chunks[i];
        atomic_fetch_add_explicit(&draft->chunks[i]->refs, 1, memory_order_relaxed);
    }
    return draft;
}

/* ------------------------------------------------------------------------------------------------ drafts */

static int draft_begin(struct directory *directory, struct directory_cell *cell)
{
    if (cell->draft)
        return 0;
    cell->draft = service_draft(cell);
    if (!cell->draft)
        return -ENOMEM;
    directory->n_empty -= list_is_linked(&cell->link);
    list_remove(&cell->link);
    list_push_back(&directory->changed, &cell->link);
    return 0;
}

/* Sees to it that a chunk is the draft's alone. */
static int draft_own(struct directory_service *draft, unsigned at)
{
    struct directory_chunk *chunk = draft->chunks[at];
    if (atomic_load_explicit(&chunk->refs, memory_order_relaxed) == 1)
        return 0;
    struct directory_chunk *copy = chunk_new(chunk->instances, chunk->n);
    if (!copy)
        return -ENOMEM;
    draft->chunks[at] = copy;
    chunk_unref(chunk);
    return 0;
}

/* Puts a new chunk into the cell's draft. */
static int draft_add_chunk(struct directory_cell *cell, unsigned at, const struct instance *const *instances,
                           unsigned n)
{
    struct directory_chunk *chunk = chunk_new(instances, n);
    struct directory_service *draft = chunk ? service_resize(cell->draft, cell->draft->n_chunks + 1) : NULL;
    if (!draft) {
        if (chunk)
            chunk_unref(chunk);
        return -ENOMEM;
    }
    memmove(&draft->chunks[at + 1], &draft->chunks[at], (draft->n_chunks - at) * sizeof(draft->chunks[0]));
    draft->chunks[at] = chunk;
    draft->n_chunks++;
    cell->draft = draft;
    return 0;
}

/* Moves the second half of a full chunk of the draft's own into a new one behind it. */
static int draft_split(struct directory_cell *cell, unsigned at)
{
    struct directory_chunk *chunk = cell->draft->chunks[at];
    const unsigned n_kept = DIRECTORY_CHUNK / 2;
    int r = draft_add_chunk(cell, at + 1, chunk->instances + n_kept, chunk->n - n_kept);
    if (r < 0)
        return r;
    while (chunk->n > n_kept)
        instance_unref(chunk->instances[--chunk->n]);
    struct directory_chunk *fitted = chunk_resize(chunk, n_kept);
    if (fitted)
        cell->draft->chunks[at] = fitted;
    return 0;
}

static int draft_insert(struct directory_cell *cell, unsigned at, unsigned index, const struct instance *instance)
{
    /* Ids mostly rise: what is added behind a full last chunk begins a new one and leaves it full. */
    bool is_last = cell->draft->n_chunks == 0 || (at == cell->draft->n_chunks - 1 && index == DIRECTORY_CHUNK);
    if (is_last)
        return draft_add_chunk(cell, cell->draft->n_chunks, &instance, 1);

    int r = draft_own(cell->draft, at);
    if (r == 0 && cell->draft->chunks[at]->n == DIRECTORY_CHUNK) {
        r = draft_split(cell, at);
        unsigned n_left = cell->draft->chunks[at]->n;
        if (r == 0 && index > n_left) {
            index -= n_left;
            at++;
        }
    }
    if (r < 0)
        return r;
    struct directory_chunk *chunk = chunk_resize(cell->draft->chunks[at], cell->draft->chunks[at]->n + 1);
    if (!chunk)
        return -ENOMEM;
    cell->draft->chunks[at] = chunk;
    memmove(&chunk->instances[index + 1], &chunk->instances[index], (chunk->n - index) * sizeof(chunk->instances[0]));
    chunk->instances[index] = instance_ref(instance);
    chunk->n++;
    return 0;
}

static int draft_replace(struct directory_service *draft, unsigned at, unsigned index, const struct instance *instance)
{
    int r = draft_own(draft, at);
    if (r < 0)
        return r;
    const struct instance **slot = &draft->chunks[at]->instances[index];
    const struct instance *old = *slot;
    *slot = instance_ref(instance);
    instance_unref(old);
    return 0;
}

static int draft_take_out(struct directory_service *draft, unsigned at, unsigned index)
{
    int r = draft_own(draft, at);
    if (r < 0)
        return r;
    struct directory_chunk *chunk = draft->chunks[at];
    instance_unref(chunk->instances[index]);
    chunk->n--;
    memmove(&chunk->instances[index], &chunk->instances[index + 1], (chunk->n - index) * sizeof(chunk->instances[0]));
    if (chunk->n > 0)
        return 0;
    chunk_unref(chunk);
    draft->n_chunks--;
    memmove(&draft->chunks[at], &draft->chunks[at + 1], (draft->n_chunks - at) * sizeof(draft->chunks[0]));
    return 0;
}

/* ------------------------------------------------------------------------------------------------ the hash */

static void table_retired(struct rcu_node *node)
{
    free(container_of(node, struct directory_table, retired));
}

static struct directory_table *table_new(size_t n_slots)
{
    struct directory_table *table = calloc(1, sizeof(*table) + n_slots * sizeof(table->slots[0]));
    if (table)
        table->mask = n_slots - 1;
    return table;
}

static void table_add(struct directory_table *table, struct directory_cell *cell)
{
    size_t i = cell->hash & table->mask;
    while (atomic_load_explicit(&table->slots[i], memory_order_relaxed))
        i = (i + 1) & table->mask;
    rcu_publish(&table->slots[i], cell);
}

static struct directory_table *table_of(const struct directory *directory)
{
    return atomic_load_explicit(&directory->table, memory_order_relaxed);
}

/* Room for one more cell: never more than two thirds of the slots are used. Gets rid of the marks too. */
static int table_reserve(struct directory *directory)
{
    struct directory_table *table = table_of(directory);
    if ((directory->n_slots_used + 1) * 3 <= (table->mask + 1) * 2)
        return 0;
    size_t n_cells = atomic_load_explicit(&directory->n_services, memory_order_relaxed);
    size_t n_slots = TABLE_MIN_SLOTS;
    while ((n_cells + 1) * 3 > n_slots)
        n_slots *= 2;
    struct directory_table *bigger = table_new(n_slots);
    if (!bigger)
        return -ENOMEM;
    for (size_t i = 0; i <= table->mask; i++) {
        struct directory_cell *cell = atomic_load_explicit(&table->slots[i], memory_order_relaxed);
        if (cell && cell != &directory->forgotten)
            table_add(bigger, cell);
    }
    directory->n_slots_used = n_cells;
    rcu_publish(&directory->table, bigger);
    rcu_retire(directory->rcu, &table->retired, table_retired);
    return 0;
}

static struct directory_cell *cell_new(uint64_t hash, struct slice name)
{
    struct directory_cell *cell = calloc(1, sizeof(*cell) + name.len);
    if (!cell)
        return NULL;
    cell->hash = hash;
    list_init(&cell->link);
    cell->name_len = (unsigned)name.len;
    memcpy(cell->name, name.ptr, name.len);
    return cell;
}

static void cell_free(struct directory_cell *cell)
{
    list_remove(&cell->link);
    service_free(cell->draft);
    service_free(atomic_load_explicit(&cell->current, memory_order_relaxed));
    free(cell);
}

static void cell_retired(struct rcu_node *node)
{
    cell_free(container_of(node, struct directory_cell, retired));
}

/* ------------------------------------------------------------------------------------------------ for the catalogue */

int directory_new(struct rcu_domain *rcu, struct directory **ret_directory)
{
    struct directory *directory = calloc(1, sizeof(*directory));
    struct directory_table *table = table_new(TABLE_MIN_SLOTS);
    int r = directory && table ? random_system(&directory->key, sizeof(directory->key)) : -ENOMEM;
    if (r < 0) {
        free(table);
        free(directory);
        return r;
    }
    directory->rcu = rcu;
    atomic_init(&directory->table, table);
    list_init(&directory->changed);
    list_init(&directory->empty);
    *ret_directory = directory;
    return 0;
}

void directory_free(struct directory *directory)
{
    if (!directory)
        return;
    struct directory_table *table = table_of(directory);
    for (size_t i = 0; i <= table->mask; i++) {
        struct directory_cell *cell = atomic_load_explicit(&table->slots[i], memory_order_relaxed);
        if (cell && cell != &directory->forgotten)
            cell_free(cell);
    }
    free(table);
    free(directory);
}

/* In the draft, `before` (NULL: none) has become `after` (NULL: none). */
static void account(struct directory *directory, struct directory_service *draft, const struct instance *before,
                    const struct instance *after, const struct directory_stamp *stamp)
{
    if (before) {
        atomic_fetch_sub_explicit(&directory->by_status[instance_status(before)], 1, memory_order_relaxed);
        draft->n_instances--;
        draft->n_offered -= instance_offer(before) == INSTANCE_OFFERED;
        draft->n_owned -= instance_details(&before->record)->owner.len > 0;
    }
    if (after) {
        atomic_fetch_add_explicit(&directory->by_status[instance_status(after)], 1, memory_order_relaxed);
        draft->n_instances++;
        draft->n_offered += instance_offer(after) == INSTANCE_OFFERED;
        draft->n_owned += instance_details(&after->record)->owner.len > 0;
    }
    draft->revision = stamp->revision;
    if (draft->n_offered > 0)
        draft->emptied_ms = 0;
    else if (draft->emptied_ms == 0)
        draft->emptied_ms = stamp->wall_ms;
}

/* Into the draft that was begun. */
static int put(struct directory *directory, struct directory_cell *cell, const struct instance *instance,
               const struct directory_stamp *stamp)
{
    const struct directory_service *draft = cell->draft;
    bool found = false;
    unsigned at = 0, index = 0;
    if (draft->n_chunks > 0) {
        at = directory_find_chunk(draft, instance->id);
        index = directory_find_index(draft->chunks[at], instance->id, &found);
    }
    const struct instance *before = found ? instance_ref(draft->chunks[at]->instances[index]) : NULL;
    int r = found ? draft_replace(cell->draft, at, index, instance) : draft_insert(cell, at, index, instance);
    if (r == 0)
        account(directory, cell->draft, before, instance, stamp);
    instance_unref(before);
    return r;
}

static int put_first(struct directory *directory, uint64_t hash, const struct instance *instance,
                     const struct directory_stamp *stamp)
{
    int r = table_reserve(directory);
    struct directory_cell *cell = r == 0 ? cell_new(hash, instance->service) : NULL;
    if (!cell)
        return -ENOMEM;
    r = draft_begin(directory, cell);
    if (r == 0)
        r = put(directory, cell, instance, stamp);
    if (r < 0) {
        cell_free(cell);
        return r;
    }
    table_add(table_of(directory), cell);
    directory->n_slots_used++;
    atomic_fetch_add_explicit(&directory->n_services, 1, memory_order_relaxed);
    return 0;
}

int directory_put(struct directory *directory, const struct instance *instance, const struct directory_stamp *stamp)
{
    uint64_t hash = hash_bytes(&directory->key, instance->service);
    struct directory_cell *cell = directory_probe(directory, table_of(directory), hash, instance->service);
    if (!cell)
        return put_first(directory, hash, instance, stamp);
    int r = draft_begin(directory, cell);
    return r < 0 ? r : put(directory, cell, instance, stamp);
}

static struct directory_cell *find_cell(const struct directory *directory, struct slice service)
{
    return directory_probe(directory, table_of(directory), hash_bytes(&directory->key, service), service);
}

int directory_remove(struct directory *directory, const struct instance *instance, const struct directory_stamp *stamp)
{
    struct directory_cell *cell = find_cell(directory, instance->service);
    ASSERT(cell);
    int r = draft_begin(directory, cell);
    if (r < 0)
        return r;
    bool found = false;
    ASSERT(cell->draft->n_chunks > 0);
    unsigned at = directory_find_chunk(cell->draft, instance->id);
    unsigned index = directory_find_index(cell->draft->chunks[at], instance->id, &found);
    ASSERT(found);
    const struct instance *before = instance_ref(cell->draft->chunks[at]->instances[index]);
    r = draft_take_out(cell->draft, at, index);
    if (r == 0)
        account(directory, cell->draft, before, NULL, stamp);
    instance_unref(before);
    return r;
}

void directory_publish(struct directory *directory)
{
    for (struct list *link; (link = list_pop_front(&directory->changed));) {
        struct directory_cell *cell = container_of(link, struct directory_cell, link);
        struct directory_service *old = atomic_load_explicit(&cell->current, memory_order_relaxed);
        if (cell->draft->n_instances == 0) {
            list_push_back(&directory->empty, &cell->link);
            directory->n_empty++;
        }
        cell->draft->generation = ++directory->generation;
        rcu_publish(&cell->current, TAKE(cell->draft));
        if (old)
            rcu_retire(directory->rcu, &old->retired, service_retired);
    }
}

static void forget(struct directory *directory, struct directory_cell *cell)
{
    struct directory_table *table = table_of(directory);
    size_t i = cell->hash & table->mask;
    while (atomic_load_explicit(&table->slots[i], memory_order_relaxed) != cell)
        i = (i + 1) & table->mask;
    rcu_publish(&table->slots[i], &directory->forgotten);
    atomic_fetch_sub_explicit(&directory->n_services, 1, memory_order_relaxed);
    list_remove(&cell->link);
    directory->n_empty--;
    rcu_retire(directory->rcu, &cell->retired, cell_retired);
}

void directory_forget(struct directory *directory, int64_t before_ms)
{
    while (!list_is_empty(&directory->empty)) {
        struct directory_cell *cell = container_of(directory->empty.next, struct directory_cell, link);
        if (directory->n_empty <= DIRECTORY_EMPTY_MAX &&
            atomic_load_explicit(&cell->current, memory_order_relaxed)->emptied_ms >= before_ms)
            return;
        forget(directory, cell);
    }
}
