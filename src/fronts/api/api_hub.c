/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A topic is a service that somebody follows; it is there as long as somebody does. One turn tells at most CHANGES_MAX
 * changes, so that a burst does not hold up the worker's other clients.
 */
#include "fronts/api/api_hub.h"

#include "base/assert.h"
#include "base/random.h"
#include "fronts/api/api_impl.h"
#include "fronts/api/api_stream.h"
#include "fronts/api/api_watch.h"

#include <errno.h>
#include <stdlib.h>

#define CHANGES_MAX        256
#define MESSAGE_KEPT_BYTES ((size_t)16 * 1024)

struct api_topic {
    struct htab_node node;
    struct list interests;
    struct htab *topics;
    size_t name_len;
    char name[];
};

static struct slice topic_name(const struct api_topic *topic)
{
    return slice_from(topic->name, topic->name_len);
}

/* ------------------------------------------------------------------------------------------------ topics */

static struct api_topic *find_topic(const struct api_hub *hub, struct slice name)
{
    htab_for_each_match (node, &hub->topics, hash_bytes(&hub->key, name)) {
        struct api_topic *topic = container_of(node, struct api_topic, node);
        if (slice_equal(topic_name(topic), name))
            return topic;
    }
    return NULL;
}

static struct api_topic *topic_of(struct api_hub *hub, struct slice name)
{
    struct api_topic *topic = find_topic(hub, name);
    if (topic)
        return topic;
    topic = calloc(1, sizeof(*topic) + name.len);
    if (!topic)
        return NULL;
    list_init(&topic->interests);
    topic->topics = &hub->topics;
    topic->name_len = name.len;
    if (name.len > 0)
        memcpy(topic->name, name.ptr, name.len);
    if (htab_insert(&hub->topics, &topic->node, hash_bytes(&hub->key, name)) == 0)
        return topic;
    free(topic);
    return NULL;
}

static void drop_interest(struct api_interest *interest)
{
    struct api_topic *topic = interest->topic;
    list_remove(&interest->link);
    if (!list_is_empty(&topic->interests))
        return;
    htab_remove(topic->topics, &topic->node);
    free(topic);
}

/* ------------------------------------------------------------------------------------------------ telling */

static void tell(struct api_hub *hub, const struct catalog_change *change)
{
    const struct instance *instance = change->after ? change->after : change->before;
    struct api_topic *topic = find_topic(hub, instance->service);
    if (topic) {
        list_for_each (link, &topic->interests) {
            struct api_follower *follower = container_of(link, struct api_interest, link)->follower;
            follower->on_change(follower, change);
        }
    }
    list_for_each (link, &hub->wide) {
        struct api_follower *follower = container_of(link, struct api_follower, wide);
        if (slice_starts_with(instance->service, follower->prefix))
            follower->on_change(follower, change);
    }
}

/* The ring has forgotten what comes next: so many changes were made in one turn of this loop. */
static void skip(struct api_hub *hub, int64_t revision)
{
    hub->revision = revision;
    list_for_each (link, &hub->all) {
        struct api_follower *follower = container_of(link, struct api_follower, link);
        follower->on_gap(follower);
    }
}

static void advance(struct loop_task *task)
{
    struct api_hub *hub = container_of(task, struct api_hub, advance);
    const struct catalog *catalog = curator_catalog(hub->curator);
    int64_t revision = catalog_revision(catalog);
    for (unsigned n = 0; hub->revision < revision && n < CHANGES_MAX; n++) {
        const struct catalog_change *change = catalog_change(catalog, hub->revision + 1);
        if (!change) {
            skip(hub, revision);
            return;
        }
        tell(hub, change);
        hub->revision++;
    }
    if (hub->revision < revision)
        loop_defer(hub->loop, task);
}

static void on_news(struct curator_follower *news)
{
    struct api_hub *hub = container_of(news, struct api_hub, news);
    loop_defer(hub->loop, &hub->advance);
}

/* ------------------------------------------------------------------------------------------------ followers */

/* As long as there is a follower. 0 or -ENOMEM. */
static int hear_news(struct api_hub *hub)
{
    if (hub->is_following)
        return 0;
    int r = curator_follow(hub->curator, &hub->news);
    if (r < 0)
        return r;
    hub->is_following = true;
    hub->revision = catalog_revision(curator_catalog(hub->curator));
    return 0;
}

static int add_interest(struct api_hub *hub, struct api_follower *follower, struct slice service)
{
    struct api_topic *topic = topic_of(hub, service);
    if (!topic)
        return -ENOMEM;
    struct api_interest *interest = &follower->interests[follower->n_interests++];
    *interest = (struct api_interest){.topic = topic, .follower = follower};
    list_init(&interest->link);
    list_push_back(&topic->interests, &interest->link);
    return 0;
}

int api_hub_add(struct api_hub *hub, struct api_follower *follower, const struct slice *services, unsigned n,
                struct slice prefix)
{
    int r = hear_news(hub);
    if (r < 0)
        return r;
    follower->hub = hub;
    follower->prefix = prefix;
    list_init(&follower->link);
    list_init(&follower->wide);
    list_push_back(&hub->all, &follower->link);
    if (n == 0)
        list_push_back(&hub->wide, &follower->wide);
    else if (!(follower->interests = calloc(n, sizeof(follower->interests[0]))))
        r = -ENOMEM;
    for (unsigned i = 0; r == 0 && i < n; i++)
        r = add_interest(hub, follower, services[i]);
    if (r < 0)
        api_hub_remove(follower);
    return r;
}

void api_hub_remove(struct api_follower *follower)
{
    struct api_hub *hub = TAKE(follower->hub);
    if (!hub)
        return;
    while (follower->n_interests > 0)
        drop_interest(&follower->interests[--follower->n_interests]);
    free(TAKE(follower->interests));
    list_remove(&follower->link);
    if (list_is_linked(&follower->wide))
        list_remove(&follower->wide);
    if (!list_is_empty(&hub->all))
        return;
    hub->is_following = false;
    curator_unfollow(hub->curator, &hub->news);
}

struct slice api_follower_service(const struct api_follower *follower, unsigned i)
{
    ASSERT(i < follower->n_interests);
    return topic_name(follower->interests[i].topic);
}

bool api_follower_wants(const struct api_follower *follower, struct slice service)
{
    for (unsigned i = 0; i < follower->n_interests; i++)
        if (slice_equal(topic_name(follower->interests[i].topic), service))
            return true;
    return follower->n_interests == 0 && slice_starts_with(service, follower->prefix);
}

/* ------------------------------------------------------------------------------------------------ messages */

static void write_message(struct buf *out, const struct catalog_change *change)
{
    buf_append_str(out, "event: change\nid: ");
    buf_append_u64(out, (uint64_t)change->revision);
    buf_append_str(out, "\ndata: ");
    api_json_change(out, change);
    buf_append_str(out, "\n\n");
}

struct slice api_hub_message(struct api_hub *hub, const struct catalog_change *change)
{
    struct api_message *message = &hub->messages[(uint64_t)change->revision & (API_MESSAGES - 1)];
    if (message->revision == change->revision)
        return buf_slice(&message->text);
    message->revision = 0;
    if (message->text.cap > MESSAGE_KEPT_BYTES)
        buf_deinit(&message->text);
    buf_reset(&message->text);
    write_message(&message->text, change);
    if (buf_error(&message->text) < 0)
        return (struct slice){0};
    message->revision = change->revision;
    return buf_slice(&message->text);
}

/* ------------------------------------------------------------------------------------------------ life */

int api_hub_init(struct api_hub *hub, struct curator *curator, struct loop *loop)
{
    hub->curator = curator;
    hub->loop = loop;
    hub->news.loop = loop;
    hub->news.on_news = on_news;
    list_init(&hub->all);
    list_init(&hub->wide);
    list_init(&hub->waits);
    loop_task_init(&hub->advance, advance);
    api_streams_init(hub);
    api_watches_init(hub);
    return random_system(&hub->key, sizeof(hub->key));
}

void api_hub_deinit(struct api_hub *hub)
{
    ASSERT(list_is_empty(&hub->all) && !hub->is_following);
    loop_undefer(&hub->advance);
    loop_undefer(&hub->pump);
    loop_cancel(hub->loop, &hub->beat_timer);
    htab_deinit(&hub->topics);
    for (unsigned i = 0; i < API_MESSAGES; i++)
        buf_deinit(&hub->messages[i].text);
}
