/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service that somebody requires: what it is known to have, and whom that concerns. Known is what dependants were
 * answered or told; each has the object of the instance, so that it can be told when the instance is gone.
 *
 * Dependants know instances by their addresses. So of several at one address (a program that registers by two
 * protocols) one is shown: their entry comes with the first and goes with the last.
 *
 * Lives on the scout's loop.
 */
#pragma once

#include "base/hash.h"
#include "base/htab.h"
#include "catalog/directory.h"
#include "fronts/hub/hub_queue.h"
#include "wire/json_writer.h"

struct hub_topics {
    struct hash_key hash_key;
    struct htab all; /* by name */
};

struct hub_topic {
    struct htab_node node;
    struct hub_topics *topics;
    struct htab known;  /* by id */
    struct htab places; /* the same, by address */
    struct list needs;  /* hub_need.link */
    size_t name_len;
    char name[];
};

/* That a dependant requires a topic. */
struct hub_need {
    struct list link;
    struct hub_topic *topic;
    struct hub_queue *queue; /* the dependant's */
};

int hub_topics_init(struct hub_topics *topics);
/* No need may be left. */
void hub_topics_deinit(struct hub_topics *topics);

/* NULL: nobody requires the service. */
struct hub_topic *hub_topics_find(const struct hub_topics *topics, struct slice name);

/*
 * Adds the need, and the topic if it is the first: then it knows what the directory has. 0 or -ENOMEM. Within an RCU
 * reader's turn, as all that is given instances.
 */
int hub_need_init(struct hub_need *need, struct hub_topics *topics, const struct directory *directory,
                  struct slice name, struct hub_queue *queue);
/* The topic goes with its last need. Harmless on one that is not initialised. */
void hub_need_deinit(struct hub_need *need);

/* The instance is there (then `instance`), or it is not (NULL): dependants are told if that is news. 0 or -ENOMEM. */
int hub_topic_note(struct hub_topic *topic, struct slice id, const struct instance *instance);

/* Tells what differs from the directory. 0 or -ENOMEM. */
int hub_topic_compare(struct hub_topic *topic, const struct directory *directory);

/* The object of what is known, as it was told; NULL: it is not, or another one is shown for it. */
struct hub_text *hub_topic_text(const struct hub_topic *topic, struct slice id);

/* The array of what is known, in order of id, but for `except` ("": nobody). 0, or -ENOMEM: nothing was written. */
int hub_topic_write(const struct hub_topic *topic, struct slice except, struct json_writer *json);

/* Whether this protocol's clients see the instance: those do who see exactly the keys. */
static inline bool hub_sees(const struct instance *instance)
{
    return instance && !INSTANCE_HAS(instance, HELD);
}
