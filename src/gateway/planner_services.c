/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services as they come, change and go. An entry that was touched is made anew when its timer fires, so that a service
 * that changes ten thousand times in a second is made a thousand times.
 *
 * One that is neither known nor routed to leaves: out of the table at once; its cell is freed when no reader can find
 * it any more and no request holds it.
 */
#include "gateway/planner_priv.h"

#include "gateway/voice.h"

#include <errno.h>
#include <stdlib.h>

static struct plan_service *current_of(const struct entry *entry)
{
    return atomic_load_explicit(&entry->cell->current, memory_order_relaxed);
}

bool entry_is_empty(const struct entry *entry)
{
    const struct plan_service *service = current_of(entry);
    return service && service->n_chunks == 0;
}

/* ------------------------------------------------------------------------------------------------ coming */

static void on_time(struct timer *timer)
{
    (void)entry_make(container_of(timer, struct entry, timer));
}

/* Puts a cell into the table, into a larger one if it is full. */
static int add_cell(struct planner *planner, struct plan_cell *cell)
{
    if (cells_add(planner->cells, cell))
        return 0;
    struct plan_cells *grown;
    int r = cells_grow(planner->cells, &grown);
    if (r < 0)
        return r;
    const struct plan *plan = atomic_load_explicit(&planner->plan, memory_order_relaxed);
    if (!plan || plan->cells != planner->cells)
        cells_free(planner->cells); /* it never was in a plan */
    planner->cells = grown;
    planner->is_stale = true;
    loop_defer(planner->loop, &planner->task);
    bool has_room = cells_add(grown, cell);
    ASSERT(has_room);
    return 0;
}

static int entry_new(struct planner *planner, struct slice name, struct entry **ret_entry)
{
    struct entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return -ENOMEM;
    entry->planner = planner;
    list_init(&entry->link);
    list_init(&entry->routed_link);
    list_init(&entry->sayer_link);
    list_init(&entry->words_link);
    timer_init(&entry->timer, on_time);
    int r = cell_new(&planner->key, name, planner->n_workers, &entry->cell);
    if (r == 0)
        r = htab_insert(&planner->entries, &entry->node, entry->cell->hash);
    if (r < 0) {
        cell_free(entry->cell);
        free(entry);
        return r;
    }
    r = add_cell(planner, entry->cell);
    if (r < 0) {
        htab_remove(&planner->entries, &entry->node);
        cell_free(entry->cell);
        free(entry);
        return r;
    }
    *ret_entry = entry;
    return 0;
}

int entry_get(struct planner *planner, struct slice name, struct entry **ret_entry)
{
    htab_for_each_match (node, &planner->entries, hash_bytes(&planner->key, name)) {
        struct entry *entry = container_of(node, struct entry, node);
        if (slice_equal(entry->cell->name, name)) {
            *ret_entry = entry;
            return 0;
        }
    }
    return entry_new(planner, name, ret_entry);
}

/* ------------------------------------------------------------------------------------------------ changing */

void entry_touch(struct entry *entry)
{
    struct loop *loop = entry->planner->loop;
    nsec_t now_ns = loop_now(loop);
    if (!timer_is_armed(&entry->timer))
        loop_arm(loop, &entry->timer, entry->not_before_ns > now_ns ? entry->not_before_ns : now_ns);
}

static void tell_fault(struct entry *entry, const struct err *fault)
{
    struct planner *planner = entry->planner;
    uint64_t hash = fault->text[0] ? hash_bytes(&planner->key, slice_from_str(fault->text)) : 0;
    if (hash != 0 && hash != entry->fault_told)
        log_warn(planner->log, "metadata for the gateway is passed over", log_str("service", entry->cell->name),
                 log_text("why", fault->text));
    entry->fault_told = hash;
}

/* Whose routes are in the plan. */
static void set_voice(struct entry *entry, const struct instance *voice)
{
    if (voice == entry->voice)
        return;
    if (!voice_same_routes(voice, entry->voice)) {
        struct slice texts[VOICE_ROUTES_MAX];
        entry->planner->is_stale = true;
        list_remove(&entry->sayer_link);
        if (voice_routes(voice, texts) > 0)
            list_push_back(&entry->planner->sayers, &entry->sayer_link);
    }
    instance_unref(entry->voice);
    entry->voice = voice ? instance_ref(voice) : NULL;
}

static void leave_words(struct entry *entry)
{
    if (list_is_linked(&entry->words_link))
        entry->planner->n_words--;
    list_remove(&entry->words_link);
}

/* What its last instance said holds on, for one that went earlier no longer when they are too many. */
static void keep_words(struct entry *entry)
{
    struct planner *planner = entry->planner;
    list_push_back(&planner->words, &entry->words_link);
    if (++planner->n_words <= PLANNER_WORDS_MAX)
        return;
    struct entry *oldest = container_of(planner->words.next, struct entry, words_link);
    leave_words(oldest);
    oldest->forgets_words = true;
    entry_touch(oldest);
}

static void publish(struct entry *entry, struct plan_service *service)
{
    struct planner *planner = entry->planner;
    struct plan_service *old = current_of(entry);
    bool was_empty = entry_is_empty(entry);
    rcu_publish(&entry->cell->current, service);
    if (old)
        service_retire(old, planner->rcu);
    bool is_empty = entry_is_empty(entry);
    list_remove(&entry->link);
    leave_words(entry);
    if (is_empty)
        list_push_back(&planner->empty, &entry->link);
    if (is_empty && service->voice)
        keep_words(entry);
    if (is_empty != was_empty && list_is_linked(&entry->sayer_link))
        planner->is_stale = true; /* its routes have another rank */
    entry->is_forced = entry->forgets_words = false;
    set_voice(entry, service ? service->voice : NULL);
    planner->has_news = true;
    counter_add(&planner->n_services, 1);
    loop_defer(planner->loop, &planner->task);
}

int entry_make(struct entry *entry)
{
    struct planner *planner = entry->planner;
    loop_cancel(planner->loop, &entry->timer);
    const struct directory_service *from = directory_find(planner->directory, entry->cell->name);
    if (!from) {
        if (current_of(entry))
            publish(entry, NULL);
        entry_leave_if_idle(entry);
        return 0;
    }
    const struct service_maker maker = {
        .settings = planner->settings,
        .hosts = &planner->hosts,
        .rcu = planner->rcu,
        .n_workers = planner->n_workers,
        .since_ns = planner->is_loading ? RUNTIME_LONG_AGO : loop_now(planner->loop),
    };
    const struct service_order order = {
        .cell = entry->cell,
        .from = from,
        .old = current_of(entry),
        .is_forced = entry->is_forced,
        .forgets_words = entry->forgets_words,
        .has_points = entry->hashed_in >= planner->plan_number,
    };
    struct plan_service *service;
    struct err fault;
    int r = service_make(&maker, &order, &service, &fault);
    nsec_t pause_ns = r < 0 ? PLANNER_AGAIN_NS : PLANNER_PACE_NS;
    entry->not_before_ns = loop_now(planner->loop) + pause_ns;
    if (r < 0) {
        entry_touch(entry);
        return r;
    }
    publish(entry, service);
    tell_fault(entry, &fault);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ going */

/* No reader can find the cell any more. */
static void cell_passed(struct rcu_node *node)
{
    plan_cell_unref(container_of(node, struct plan_cell, retired));
}

bool entry_is_routed(const struct entry *entry)
{
    return entry->routed_in >= entry->planner->plan_number;
}

void entry_leave_if_idle(struct entry *entry)
{
    struct planner *planner = entry->planner;
    if (entry_is_routed(entry) || current_of(entry) || directory_find(planner->directory, entry->cell->name))
        return;
    loop_cancel(planner->loop, &entry->timer);
    htab_remove(&planner->entries, &entry->node);
    cells_remove(planner->cells, entry->cell);
    rcu_retire(planner->rcu, &entry->cell->retired, cell_passed);
    list_remove(&entry->link);
    list_push_back(&planner->leaving, &entry->link);
}

static void entry_free(struct entry *entry)
{
    loop_cancel(entry->planner->loop, &entry->timer);
    list_remove(&entry->link);
    list_remove(&entry->routed_link);
    list_remove(&entry->sayer_link);
    leave_words(entry);
    instance_unref(entry->voice);
    cell_free(entry->cell);
    free(entry);
}

static bool is_held(const struct plan_cell *cell)
{
    if (atomic_load_explicit(&cell->refs, memory_order_acquire) > 1)
        return true;
    for (unsigned i = 0; i < cell->n_shares; i++)
        if (atomic_load_explicit(&cell->shares[i].n_held, memory_order_acquire) > 0)
            return true;
    return false;
}

void entries_sweep(struct planner *planner)
{
    list_for_each (link, &planner->leaving) {
        struct entry *entry = container_of(link, struct entry, link);
        if (!is_held(entry->cell))
            entry_free(entry);
    }
    list_for_each (link, &planner->empty) { /* the directory forgets them in this order */
        struct entry *entry = container_of(link, struct entry, link);
        if (directory_find(planner->directory, entry->cell->name))
            break;
        entry_touch(entry);
    }
}

void entries_free_all(struct planner *planner)
{
    htab_for_each (node, &planner->entries) {
        struct entry *entry = container_of(node, struct entry, node);
        htab_remove(&planner->entries, node);
        service_free(current_of(entry));
        entry_free(entry);
    }
    list_for_each (link, &planner->leaving)
        entry_free(container_of(link, struct entry, link));
    htab_deinit(&planner->entries);
}
