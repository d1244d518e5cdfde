/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each change of the catalogue is looked at once: does it concern a topic (hub_topic.h: then its dependants are told),
 * and is it about a dependant (then it comes, goes, or requires something else)? When changes were missed, topics and
 * dependants are compared with the directory instead.
 *
 * A dependant is an instance that registered by this protocol and requires something. Its queue is held from then on
 * until its answer was sent. Those that were there before this process started are told at once.
 */
#include "fronts/hub/hub_dispatch.h"

#include "base/assert.h"
#include "fronts/hub/hub_topic.h"
#include "keeper/pursuit.h"
#include "wire/json_writer.h"

#include <errno.h>
#include <stdlib.h>

struct dependant {
    struct htab_node node; /* in dispatch->dependants, by service and id; not while it closes */
    struct hub_dispatch *dispatch;
    const struct instance *instance; /* a reference: names and place; what it requires is in `needs` */
    struct hub_queue queue;
    struct hub_need *needs;
    unsigned n_needs;
};

struct hub_dispatch {
    struct scout_part part;
    struct curator *curator;
    const struct directory *directory;
    struct loop *loop;
    struct log *log;
    /* the scout's */
    struct errand_office *office;
    struct pursuit pursuit;
    struct hub_topics topics;
    struct htab dependants;
};

/* ------------------------------------------------------------------------------------------------ dependants */

static struct dependant *find_dependant(const struct hub_dispatch *dispatch, struct slice service, struct slice id)
{
    htab_for_each_match (node, &dispatch->dependants, hash_pair(&dispatch->topics.hash_key, service, id)) {
        struct dependant *dependant = container_of(node, struct dependant, node);
        const struct instance *instance = dependant->instance;
        if (slice_equal(instance->service, service) && slice_equal(instance->id, id))
            return dependant;
    }
    return NULL;
}

static bool is_dependant(const struct instance *instance)
{
    return hub_sees(instance) && instance_details(&instance->record)->n_needs > 0 &&
           slice_equal_str(instance->record.origin, "hub");
}

static void clear_needs(struct dependant *dependant)
{
    for (unsigned i = 0; i < dependant->n_needs; i++)
        hub_need_deinit(&dependant->needs[i]);
    free(TAKE(dependant->needs));
    dependant->n_needs = 0;
}

/* What the instance requires; old topics that it still requires are kept alive meanwhile. 0 or -ENOMEM: as before. */
static int set_needs(struct dependant *dependant, const struct instance *instance)
{
    const struct instance_details *details = instance_details(&instance->record);
    struct hub_need *needs = calloc(details->n_needs, sizeof(*needs));
    int r = needs ? 0 : -ENOMEM;
    for (unsigned i = 0; r == 0 && i < details->n_needs; i++)
        r = hub_need_init(&needs[i], &dependant->dispatch->topics, dependant->dispatch->directory, details->needs[i],
                          &dependant->queue);
    if (r < 0) {
        for (unsigned i = 0; needs && i < details->n_needs; i++)
            hub_need_deinit(&needs[i]);
        free(needs);
        return r;
    }
    clear_needs(dependant);
    dependant->needs = needs;
    dependant->n_needs = details->n_needs;
    return 0;
}

static void on_closed(struct hub_queue *queue)
{
    struct dependant *dependant = container_of(queue, struct dependant, queue);
    instance_unref(dependant->instance);
    free(dependant);
}

static void remove_dependant(struct dependant *dependant)
{
    clear_needs(dependant);
    htab_remove(&dependant->dispatch->dependants, &dependant->node);
    hub_queue_close(&dependant->queue); /* frees it, now or later */
}

static int add_dependant(struct hub_dispatch *dispatch, const struct instance *instance,
                         struct dependant **ret_dependant)
{
    struct dependant *dependant = calloc(1, sizeof(*dependant));
    if (!dependant)
        return -ENOMEM;
    dependant->dispatch = dispatch;
    dependant->instance = instance_ref(instance);
    hub_queue_init(&dependant->queue, dispatch->office, dependant->instance->record.host,
                   dependant->instance->record.port, on_closed);
    int r = htab_insert(&dispatch->dependants, &dependant->node,
                        hash_pair(&dispatch->topics.hash_key, instance->service, instance->id));
    if (r < 0) {
        hub_queue_close(&dependant->queue);
        return r;
    }
    r = set_needs(dependant, instance);
    if (r < 0) {
        remove_dependant(dependant);
        return r;
    }
    *ret_dependant = dependant;
    return 0;
}

static bool has_needs(const struct dependant *dependant, const struct instance_details *details)
{
    if (dependant->n_needs != details->n_needs)
        return false;
    for (unsigned i = 0; i < details->n_needs; i++) {
        const struct hub_topic *topic = dependant->needs[i].topic;
        if (!slice_equal(slice_from(topic->name, topic->name_len), details->needs[i]))
            return false;
    }
    return true;
}

/* What is under way to the former place stays what it is: who is somewhere else is another dependant. */
static bool is_at(const struct dependant *dependant, const struct instance_record *record)
{
    return dependant->queue.port == record->port && slice_equal(dependant->queue.host, record->host);
}

/* Brings one dependant in line with what the catalogue has under its name. 0 or -ENOMEM. */
static int sync_dependant(struct hub_dispatch *dispatch, struct slice service, struct slice id,
                          const struct instance *instance)
{
    struct dependant *dependant = find_dependant(dispatch, service, id);
    bool is_one = is_dependant(instance);
    if (dependant && (!is_one || !is_at(dependant, &instance->record)))
        remove_dependant(TAKE(dependant));
    if (!is_one)
        return 0;
    if (!dependant)
        return add_dependant(dispatch, instance, &dependant);
    return has_needs(dependant, instance_details(&instance->record)) ? 0 : set_needs(dependant, instance);
}

/* ------------------------------------------------------------------------------------------------ following */

struct comparison {
    struct hub_dispatch *dispatch;
    bool releases; /* those that are new are told at once: nobody is going to ask for them */
    int result;
};

static bool compare_service(void *ctx, const struct directory_service *service)
{
    struct comparison *comparison = ctx;
    struct hub_dispatch *dispatch = comparison->dispatch;
    const struct instance *instance;
    for (struct directory_cursor at = {.service = service}; (instance = directory_next(&at));) {
        int r = sync_dependant(dispatch, instance->service, instance->id, instance);
        struct dependant *dependant = find_dependant(dispatch, instance->service, instance->id);
        if (dependant && comparison->releases)
            hub_queue_release(&dependant->queue);
        comparison->result = r < 0 ? r : comparison->result;
    }
    return true;
}

/* Everything, from the directory. 0 or -ENOMEM. */
static int compare_all(struct hub_dispatch *dispatch, bool releases)
{
    struct comparison comparison = {dispatch, releases, 0};
    htab_for_each (node, &dispatch->topics.all) {
        if (hub_topic_compare(container_of(node, struct hub_topic, node), dispatch->directory) < 0)
            comparison.result = -ENOMEM;
    }
    directory_each(dispatch->directory, compare_service, &comparison);
    htab_for_each (node, &dispatch->dependants) {
        const struct dependant *dependant = container_of(node, struct dependant, node);
        const struct instance *known = dependant->instance;
        const struct instance *instance = directory_look_up(dispatch->directory, known->service, known->id);
        if (sync_dependant(dispatch, known->service, known->id, instance) < 0)
            comparison.result = -ENOMEM;
    }
    return comparison.result;
}

static int on_change(struct pursuit *pursuit, const struct catalog_change *change)
{
    struct hub_dispatch *dispatch = container_of(pursuit, struct hub_dispatch, pursuit);
    const struct instance *either = change->after ? change->after : change->before;
    struct hub_topic *topic = hub_topics_find(&dispatch->topics, either->service);
    int told = topic ? hub_topic_note(topic, either->id, change->after) : 0;
    int synced = sync_dependant(dispatch, either->service, either->id, change->after);
    return told < 0 ? told : synced;
}

static int on_gap(struct pursuit *pursuit)
{
    struct hub_dispatch *dispatch = container_of(pursuit, struct hub_dispatch, pursuit);
    log_warn(dispatch->log, "the hub could not follow every change and compares all there is");
    return compare_all(dispatch, false);
}

static const struct pursuit_events pursuit_events = {.on_change = on_change, .on_gap = on_gap};

/* ------------------------------------------------------------------------------------------------ answers */

/* {"SERVICE": [instances…], …} of what it requires. 0 or -errno. */
static int write_answer(const struct dependant *dependant, struct slice except_own, struct buf *answer)
{
    struct json_writer json;
    int r = 0;
    json_writer_init(&json, answer);
    json_writer_begin_object(&json);
    for (unsigned i = 0; r == 0 && i < dependant->n_needs; i++) {
        const struct hub_topic *topic = dependant->needs[i].topic;
        struct slice name = slice_from(topic->name, topic->name_len);
        bool is_own = slice_equal(name, dependant->instance->service);
        json_writer_key(&json, name);
        r = hub_topic_write(topic, is_own ? except_own : (struct slice){0}, &json);
    }
    if (r < 0)
        return r;
    json_writer_end_object(&json);
    return json_writer_finish(&json);
}

/* Its own arrival, which its answer leaves out. */
static int tell_own(struct dependant *dependant)
{
    const struct instance *instance = dependant->instance;
    const struct hub_topic *topic = hub_topics_find(&dependant->dispatch->topics, instance->service);
    for (unsigned i = 0; topic && i < dependant->n_needs; i++) {
        struct hub_text *text = hub_topic_text(topic, instance->id);
        if (dependant->needs[i].topic == topic && text)
            return hub_queue_add(&dependant->queue, true, text);
    }
    return 0;
}

static void answer_ask(struct hub_dispatch *dispatch, struct hub_ask *ask)
{
    pursuit_catch_up(&dispatch->pursuit);
    struct dependant *dependant = find_dependant(dispatch, ask->service, ask->id);
    if (!dependant) {
        ask->result = buf_append_str(&ask->answer, "{}");
        return;
    }
    hub_queue_hold(&dependant->queue);
    ask->result = write_answer(dependant, ask->was_new ? ask->id : (struct slice){0}, &ask->answer);
    if (ask->was_new && tell_own(dependant) < 0)
        ask->result = -ENOMEM;
}

static void on_home(struct mail *mail)
{
    struct hub_ask *ask = container_of(mail, struct hub_ask, mail);
    ask->done(ask);
}

static void on_ask(struct mail *mail)
{
    struct hub_ask *ask = container_of(mail, struct hub_ask, mail);
    answer_ask(ask->dispatch, ask);
    mail->deliver = on_home;
    loop_post(ask->loop, mail);
}

static void on_answered(struct mail *mail)
{
    struct hub_ask *ask = container_of(mail, struct hub_ask, mail);
    struct dependant *dependant = find_dependant(ask->dispatch, ask->service, ask->id);
    if (dependant)
        hub_queue_release(&dependant->queue);
    mail->deliver = on_home;
    loop_post(ask->loop, mail);
}

void hub_dispatch_ask(struct hub_dispatch *dispatch, struct hub_ask *ask)
{
    ask->dispatch = dispatch;
    ask->mail.deliver = on_ask;
    loop_post(dispatch->loop, &ask->mail);
}

void hub_dispatch_answered(struct hub_ask *ask)
{
    ask->mail.deliver = on_answered;
    loop_post(ask->dispatch->loop, &ask->mail);
}

/* ------------------------------------------------------------------------------------------------ life */

static int start(struct scout_part *part, struct errand_office *office)
{
    struct hub_dispatch *dispatch = container_of(part, struct hub_dispatch, part);
    dispatch->office = office;
    int r = pursuit_start(&dispatch->pursuit, &pursuit_events, dispatch->curator, dispatch->loop);
    if (r < 0)
        return r;
    r = compare_all(dispatch, true);
    if (r < 0)
        part->stop(part);
    return r;
}

static void stop(struct scout_part *part)
{
    struct hub_dispatch *dispatch = container_of(part, struct hub_dispatch, part);
    pursuit_stop(&dispatch->pursuit);
    htab_for_each (node, &dispatch->dependants)
        remove_dependant(container_of(node, struct dependant, node));
}

int hub_dispatch_new(struct scout *scout, struct curator *curator, struct log *log, struct hub_dispatch **ret_dispatch)
{
    struct hub_dispatch *dispatch = calloc(1, sizeof(*dispatch));
    if (!dispatch)
        return -ENOMEM;
    dispatch->part = (struct scout_part){.start = start, .stop = stop};
    dispatch->curator = curator;
    dispatch->directory = catalog_directory(curator_catalog(curator));
    dispatch->loop = scout_loop(scout);
    dispatch->log = log;
    int r = hub_topics_init(&dispatch->topics);
    if (r < 0) {
        free(dispatch);
        return r;
    }
    scout_add(scout, &dispatch->part);
    *ret_dispatch = dispatch;
    return 0;
}

void hub_dispatch_free(struct hub_dispatch *dispatch)
{
    if (!dispatch)
        return;
    htab_deinit(&dispatch->dependants);
    hub_topics_deinit(&dispatch->topics);
    free(dispatch);
}
