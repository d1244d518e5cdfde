/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making instances. Memory per instance is an aim, so all of one lies in one allocation: the struct, its details, check
 * and orders, its lists, its texts. A text that occurs in those packed before costs nothing: the names of service and
 * instance are in the key, host and protocol mostly in the address.
 *
 * How much room that saves is known only after packing, so an instance is packed twice: once into the room that it
 * needs at most, then into the room that it took.
 */
#include "catalog/instance.h"

#include "base/assert.h"
#include "base/util.h"

#include <errno.h>
#include <stdlib.h>

/* Repeated texts are looked for among so many bytes at the front: long lists are not searched again and again. */
#define SHARED_BYTES 256

struct packer {
    char *objects, *texts; /* where the next ones go */
    const char *first_text;
};

static struct slice pack_text(struct packer *packer, struct slice text)
{
    if (text.len == 0)
        return (struct slice){0};
    size_t searched = min_size((size_t)(packer->texts - packer->first_text), SHARED_BYTES);
    const char *found = memmem(packer->first_text, searched, text.ptr, text.len);
    if (found)
        return slice_from(found, text.len);
    char *copy = packer->texts;
    memcpy(copy, text.ptr, text.len);
    packer->texts += text.len;
    return slice_from(copy, text.len);
}

/* Room for an object or array, whose size is a multiple of its alignment, which is that of a pointer. */
static void *pack_object(struct packer *packer, size_t n_bytes)
{
    void *object = packer->objects;
    packer->objects += n_bytes;
    return n_bytes ? object : NULL;
}

static const struct slice *pack_list(struct packer *packer, const struct slice *list, unsigned n)
{
    struct slice *copy = pack_object(packer, n * sizeof(copy[0]));
    for (unsigned i = 0; i < n; i++)
        copy[i] = pack_text(packer, list[i]);
    return copy;
}

static const struct instance_pair *pack_pairs(struct packer *packer, const struct instance_pair *pairs, unsigned n)
{
    struct instance_pair *copy = pack_object(packer, n * sizeof(copy[0]));
    for (unsigned i = 0; i < n; i++) {
        copy[i].name = pack_text(packer, pairs[i].name);
        copy[i].value = pack_text(packer, pairs[i].value);
    }
    return copy;
}

static const struct instance_order *pack_order(struct packer *packer, const struct instance_order *order)
{
    if (!order)
        return NULL;
    struct instance_order *copy = pack_object(packer, sizeof(*copy));
    *copy = *order;
    copy->owner = pack_text(packer, order->owner);
    copy->reason = pack_text(packer, order->reason);
    return copy;
}

static const struct instance_orders *pack_orders(struct packer *packer, const struct instance_orders *orders)
{
    if (!orders->drain && !orders->maintenance)
        return NULL;
    struct instance_orders *copy = pack_object(packer, sizeof(*copy));
    copy->drain = pack_order(packer, orders->drain);
    copy->maintenance = pack_order(packer, orders->maintenance);
    return copy;
}

static const struct instance_check *pack_check(struct packer *packer, const struct instance_check *check)
{
    if (!check)
        return NULL;
    struct instance_check *copy = pack_object(packer, sizeof(*copy));
    *copy = *check;
    copy->target = pack_text(packer, check->target);
    return copy;
}

static bool is_empty(const struct instance_details *details)
{
    return details->zone.len == 0 && details->owner.len == 0 && details->session.len == 0 && details->n_tags == 0 &&
           details->n_needs == 0 && details->n_metadata == 0 && !details->check;
}

static const struct instance_details *pack_details(struct packer *packer, const struct instance_details *details)
{
    if (is_empty(details))
        return NULL;
    struct instance_details *copy = pack_object(packer, sizeof(*copy));
    *copy = *details;
    copy->zone = pack_text(packer, details->zone);
    copy->owner = pack_text(packer, details->owner);
    copy->session = pack_text(packer, details->session);
    copy->check = pack_check(packer, details->check);
    copy->tags = pack_list(packer, details->tags, details->n_tags);
    copy->needs = pack_list(packer, details->needs, details->n_needs);
    copy->metadata = pack_pairs(packer, details->metadata, details->n_metadata);
    return copy;
}

/* The origins that our own protocols and sources write are kept once for all. */
static struct slice pack_origin(struct packer *packer, struct slice origin)
{
    static const struct slice ours[] = {{"rest", 4}, {"srpc", 4}, {"hub", 3}, {"etcd", 4}, {"docker", 6}};
    for (unsigned i = 0; i < ARRAY_LEN(ours); i++)
        if (slice_equal(ours[i], origin))
            return ours[i];
    return pack_text(packer, origin);
}

static void pack_record(struct packer *packer, struct instance_record *record)
{
    record->address = pack_text(packer, record->address);
    record->protocol = pack_text(packer, record->protocol);
    record->host = pack_text(packer, record->host);
    record->origin = pack_origin(packer, record->origin);
    record->details = pack_details(packer, instance_details(record));
}

static size_t order_objects(const struct instance_orders *orders)
{
    size_t n = (orders->drain ? 1U : 0U) + (orders->maintenance ? 1U : 0U);
    return n > 0 ? sizeof(*orders) + n * sizeof(*orders->drain) : 0;
}

/* Bytes of what lies between the struct and its texts. */
static size_t object_bytes(const struct instance *model)
{
    const struct instance_details *details = instance_details(&model->record);
    return order_objects(instance_orders(model)) + (is_empty(details) ? 0 : sizeof(*details)) +
           (details->check ? sizeof(*details->check) : 0) +
           ((size_t)details->n_tags + details->n_needs) * sizeof(details->tags[0]) +
           details->n_metadata * sizeof(details->metadata[0]);
}

static size_t order_texts(const struct instance_order *order)
{
    return order ? order->owner.len + order->reason.len : 0;
}

/* The most that its texts can need. */
static size_t text_bytes(const struct instance *model)
{
    const struct instance_record *record = &model->record;
    const struct instance_details *details = instance_details(record);
    const struct instance_orders *orders = instance_orders(model);
    size_t n = model->key.len + model->service.len + model->id.len + record->address.len + record->protocol.len +
               record->host.len + record->origin.len + details->zone.len + details->owner.len + details->session.len +
               order_texts(orders->drain) + order_texts(orders->maintenance);
    if (details->check)
        n += details->check->target.len;
    for (unsigned i = 0; i < details->n_tags; i++)
        n += details->tags[i].len;
    for (unsigned i = 0; i < details->n_needs; i++)
        n += details->needs[i].len;
    for (unsigned i = 0; i < details->n_metadata; i++)
        n += details->metadata[i].name.len + details->metadata[i].value.len;
    return n;
}

struct instance instance_model(const struct instance *instance)
{
    struct instance model;
    const size_t n_counted = offsetof(struct instance, reasons); /* the count and nothing else */
    atomic_init(&model.refs, 0);
    memcpy((char *)&model + n_counted, (const char *)instance + n_counted, sizeof(model) - n_counted);
    return model;
}

/* With so much room for texts; how much of it was used. NULL: out of memory. */
static struct instance *pack(const struct instance *model, size_t n_text_bytes, size_t *ret_used)
{
    size_t n_object_bytes = object_bytes(model);
    struct instance *instance = malloc(sizeof(*instance) + n_object_bytes + n_text_bytes);
    if (!instance)
        return NULL;
    struct packer packer = {.objects = (char *)(instance + 1)};
    packer.texts = packer.objects + n_object_bytes;
    packer.first_text = packer.texts;
    *instance = instance_model(model);
    atomic_init(&instance->refs, 1);
    instance->key = pack_text(&packer, model->key);
    instance->service = pack_text(&packer, model->service);
    instance->id = pack_text(&packer, model->id);
    pack_record(&packer, &instance->record);
    instance->orders = pack_orders(&packer, instance_orders(model));
    ASSERT(packer.objects == packer.first_text);
    *ret_used = (size_t)(packer.texts - packer.first_text);
    ASSERT(*ret_used <= n_text_bytes);
    return instance;
}

int instance_new(const struct instance *model, struct instance **ret_instance)
{
    size_t n_text_bytes = text_bytes(model), n_used;
    struct instance *instance = pack(model, n_text_bytes, &n_used);
    if (instance && n_used < n_text_bytes) {
        free(instance);
        instance = pack(model, n_used, &n_used);
    }
    if (!instance)
        return -ENOMEM;
    *ret_instance = instance;
    return 0;
}

static _Atomic uint32_t *refs_of(const struct instance *instance)
{
    return &((struct instance *)(uintptr_t)instance)->refs; /* counting is no change of the instance */
}

const struct instance *instance_ref(const struct instance *instance)
{
    atomic_fetch_add_explicit(refs_of(instance), 1, memory_order_relaxed);
    return instance;
}

void instance_unref(const struct instance *instance)
{
    if (!instance || atomic_fetch_sub_explicit(refs_of(instance), 1, memory_order_acq_rel) > 1)
        return;
    free((void *)(uintptr_t)instance);
}

const struct instance_details *instance_details(const struct instance_record *record)
{
    static const struct instance_details none;
    return record->details ? record->details : &none;
}

const struct instance_orders *instance_orders(const struct instance *instance)
{
    static const struct instance_orders none;
    return instance->orders ? instance->orders : &none;
}

enum instance_reason instance_status(const struct instance *instance)
{
    return instance->reasons ? (enum instance_reason)__builtin_ctz(instance->reasons) : INSTANCE_UP;
}

enum instance_offer instance_offer(const struct instance *instance)
{
    const uint32_t withheld = 1U << INSTANCE_REASON_MAINTENANCE | 1U << INSTANCE_REASON_STOPPED |
                              1U << INSTANCE_REASON_FAILING | 1U << INSTANCE_REASON_DRAINING |
                              1U << INSTANCE_REASON_STARTING;
    if (instance->reasons & withheld)
        return INSTANCE_WITHHELD;
    return instance->reasons ? INSTANCE_LAST_RESORT : INSTANCE_OFFERED;
}

struct slice instance_reason_text(enum instance_reason reason)
{
    static const struct slice texts[] = {
#define X(name, text) [INSTANCE_REASON_##name] = {text, sizeof(text) - 1},
        INSTANCE_REASONS(X)
#undef X
            [INSTANCE_UP] = {"up", 2},
    };
    ASSERT((unsigned)reason < ARRAY_LEN(texts));
    return texts[reason];
}
