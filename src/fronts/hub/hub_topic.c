/* SPDX-License-Identifier: Apache-2.0 */
/*
 * To note what is known already changes nothing, so it does not matter whether a change is learnt from the catalogue's
 * changes, from the directory, which may be ahead of them, or from both.
 */
#include "fronts/hub/hub_topic.h"

#include "base/assert.h"
#include "base/random.h"
#include "base/util.h"
#include "fronts/hub/hub_object.h"
#include "store/store.h"

#include <errno.h>
#include <stdlib.h>

struct known {
    struct htab_node node;     /* in topic->known */
    struct htab_node by_place; /* in topic->places, by a hash of its address */
    struct hub_text *told;     /* as dependants were told that it came; NULL: another one at its address is shown */
    struct hub_text *text;     /* as it is answered: posted again it may require something else */
    bool is_there;             /* hub_topic_compare: the directory has it */
    size_t id_len;
    char id[];
};

static struct slice id_of(const struct known *known)
{
    return slice_from(known->id, known->id_len);
}

static struct slice name_of(const struct hub_topic *topic)
{
    return slice_from(topic->name, topic->name_len);
}

static struct known *find_known(const struct hub_topic *topic, struct slice id)
{
    htab_for_each_match (node, &topic->known, hash_bytes(&topic->topics->hash_key, id)) {
        struct known *known = container_of(node, struct known, node);
        if (slice_equal(id_of(known), id))
            return known;
    }
    return NULL;
}

static void forget(struct hub_topic *topic, struct known *known)
{
    htab_remove(&topic->known, &known->node);
    htab_remove(&topic->places, &known->by_place);
    hub_text_unref(known->told);
    hub_text_unref(known->text);
    free(known);
}

static uint64_t place_of(const struct hub_topic *topic, const struct instance *instance)
{
    char room[HUB_ADDR_ROOM];
    return hash_bytes(&topic->topics->hash_key, hub_object_addr(instance, room));
}

static struct hub_text *render(const struct instance *instance)
{
    struct buf buf = {0};
    struct json_writer json;
    json_writer_init(&json, &buf);
    hub_object_write(&json, instance);
    struct hub_text *text = json_writer_finish(&json) == 0 ? hub_text_new(buf_slice(&buf)) : NULL;
    buf_deinit(&buf);
    return text;
}

/* 0 or -ENOMEM. */
static int learn(struct hub_topic *topic, const struct instance *instance, struct known **ret_known)
{
    struct known *known = malloc(sizeof(*known) + instance->id.len);
    if (!known)
        return -ENOMEM;
    known->is_there = true;
    known->id_len = instance->id.len;
    memcpy(known->id, instance->id.ptr, instance->id.len);
    known->text = render(instance);
    if (!known->text ||
        htab_insert(&topic->known, &known->node, hash_bytes(&topic->topics->hash_key, instance->id)) < 0) {
        hub_text_unref(known->text);
        free(known);
        return -ENOMEM;
    }
    known->told = NULL;
    if (htab_insert(&topic->places, &known->by_place, place_of(topic, instance)) < 0) {
        htab_remove(&topic->known, &known->node);
        hub_text_unref(known->text);
        free(known);
        return -ENOMEM;
    }
    *ret_known = known;
    return 0;
}

static int tell(const struct hub_topic *topic, bool is_arrival, struct hub_text *text)
{
    int result = 0;
    list_for_each (link, &topic->needs) {
        int r = hub_queue_add(container_of(link, struct hub_need, link)->queue, is_arrival, text);
        result = r < 0 ? r : result;
    }
    return result;
}

/* Whether one at this address is shown already. */
static bool is_shown(const struct hub_topic *topic, uint64_t place)
{
    htab_for_each_match (node, &topic->places, place) {
        if (container_of(node, struct known, by_place)->told)
            return true;
    }
    return false;
}

/* It is at its address now. 0 or -ENOMEM, when not all were told. */
static int arrive(const struct hub_topic *topic, struct known *known)
{
    if (is_shown(topic, known->by_place.hash))
        return 0;
    known->told = hub_text_ref(known->text);
    return tell(topic, true, known->told);
}

/* It is not at its address any more. If there is another one, that is shown from now on: nothing has changed. */
static int depart(const struct hub_topic *topic, struct known *known)
{
    struct hub_text *told = TAKE(known->told);
    if (!told)
        return 0;
    htab_for_each_match (node, &topic->places, known->by_place.hash) {
        struct known *heir = container_of(node, struct known, by_place);
        if (heir != known) {
            heir->told = told;
            return 0;
        }
    }
    int r = tell(topic, false, told);
    hub_text_unref(told);
    return r;
}

static bool is_same_text(const struct hub_text *a, const struct hub_text *b)
{
    return slice_equal(slice_from(a->text, a->len), slice_from(b->text, b->len));
}

/* It is still there. At another address it is another one for who was told the former; all else is no news. */
static int revise(struct hub_topic *topic, struct known *known, const struct instance *instance)
{
    struct hub_text *text = render(instance);
    uint64_t place = place_of(topic, instance);
    if (!text || is_same_text(text, known->text)) {
        int r = text ? 0 : -ENOMEM;
        hub_text_unref(text);
        return r;
    }
    hub_text_unref(known->text);
    known->text = text;
    if (place == known->by_place.hash)
        return 0;
    int departure = depart(topic, known);
    htab_remove(&topic->places, &known->by_place);
    int r = htab_insert(&topic->places, &known->by_place, place);
    ASSERT(r == 0); /* in the room that it had */
    int arrival = arrive(topic, known);
    return departure < 0 ? departure : arrival;
}

int hub_topic_note(struct hub_topic *topic, struct slice id, const struct instance *instance)
{
    struct known *known = find_known(topic, id);
    bool is_there = hub_sees(instance);
    if (known && is_there)
        return revise(topic, known, instance);
    int r = 0;
    if (is_there) {
        r = learn(topic, instance, &known);
        return r < 0 ? r : arrive(topic, known);
    }
    if (known) {
        r = depart(topic, known);
        forget(topic, known);
    }
    return r;
}

int hub_topic_compare(struct hub_topic *topic, const struct directory *directory)
{
    const struct directory_service *service = directory_find(directory, name_of(topic));
    const struct instance *instance;
    int result = 0;
    htab_for_each (node, &topic->known)
        container_of(node, struct known, node)->is_there = false;
    for (struct directory_cursor at = {.service = service}; service && (instance = directory_next(&at));) {
        struct known *known = hub_sees(instance) ? find_known(topic, instance->id) : NULL;
        if (known)
            known->is_there = true;
        result = hub_topic_note(topic, instance->id, instance) < 0 ? -ENOMEM : result;
    }
    htab_for_each (node, &topic->known) {
        struct known *known = container_of(node, struct known, node);
        if (!known->is_there)
            result = hub_topic_note(topic, id_of(known), NULL) < 0 ? -ENOMEM : result;
    }
    return result;
}

struct hub_text *hub_topic_text(const struct hub_topic *topic, struct slice id)
{
    const struct known *known = find_known(topic, id);
    return known ? known->told : NULL;
}

static int compare_ids(const void *a, const void *b)
{
    const struct known *const *x = a, *const *y = b;
    return slice_compare(id_of(*x), id_of(*y));
}

int hub_topic_write(const struct hub_topic *topic, struct slice except, struct json_writer *json)
{
    size_t n = 0;
    const struct known **all = calloc(topic->known.len + 1, sizeof(const struct known *));
    if (!all)
        return -ENOMEM;
    htab_for_each (node, &topic->known) {
        const struct known *known = container_of(node, struct known, node);
        if (known->told)
            all[n++] = known;
    }
    qsort(all, n, sizeof(const struct known *), compare_ids);
    json_writer_begin_array(json);
    for (size_t i = 0; i < n; i++) {
        if (!slice_equal(id_of(all[i]), except))
            json_writer_raw(json, slice_from(all[i]->text->text, all[i]->text->len));
    }
    json_writer_end_array(json);
    free(all);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ topics and needs */

int hub_topics_init(struct hub_topics *topics)
{
    *topics = (struct hub_topics){0};
    return random_system(&topics->hash_key, sizeof(topics->hash_key));
}

void hub_topics_deinit(struct hub_topics *topics)
{
    htab_deinit(&topics->all);
}

struct hub_topic *hub_topics_find(const struct hub_topics *topics, struct slice name)
{
    htab_for_each_match (node, &topics->all, hash_bytes(&topics->hash_key, name)) {
        struct hub_topic *topic = container_of(node, struct hub_topic, node);
        if (slice_equal(name_of(topic), name))
            return topic;
    }
    return NULL;
}

static void topic_free(struct hub_topic *topic)
{
    htab_for_each (node, &topic->known)
        forget(topic, container_of(node, struct known, node));
    htab_deinit(&topic->known);
    htab_deinit(&topic->places);
    htab_remove(&topic->topics->all, &topic->node);
    free(topic);
}

static struct hub_topic *topic_new(struct hub_topics *topics, const struct directory *directory, struct slice name)
{
    struct hub_topic *topic = calloc(1, sizeof(*topic) + name.len);
    if (!topic)
        return NULL;
    topic->topics = topics;
    topic->name_len = name.len;
    memcpy(topic->name, name.ptr, name.len);
    list_init(&topic->needs);
    if (htab_insert(&topics->all, &topic->node, hash_bytes(&topics->hash_key, name)) < 0) {
        free(topic);
        return NULL;
    }
    if (hub_topic_compare(topic, directory) < 0) {
        topic_free(topic);
        return NULL;
    }
    return topic;
}

int hub_need_init(struct hub_need *need, struct hub_topics *topics, const struct directory *directory,
                  struct slice name, struct hub_queue *queue)
{
    struct hub_topic *topic = hub_topics_find(topics, name);
    if (!topic)
        topic = topic_new(topics, directory, name);
    if (!topic)
        return -ENOMEM;
    need->topic = topic;
    need->queue = queue;
    list_init(&need->link);
    list_push_back(&topic->needs, &need->link);
    return 0;
}

void hub_need_deinit(struct hub_need *need)
{
    struct hub_topic *topic = need->topic;
    if (!topic)
        return;
    need->topic = NULL;
    list_remove(&need->link);
    if (list_is_empty(&topic->needs))
        topic_free(topic);
}
