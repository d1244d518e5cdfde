/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The containers by their ids, and what the engine says, handed to the one that it is about. A bounded number of them
 * is looked at at the same time; the others wait in `due`.
 *
 * What the catalogue has of containers when this begins, from an earlier process, is adopted: then it is brought in
 * line with the engine's list like all else.
 */
#include "sources/docker/docker.h"

#include "base/assert.h"
#include "base/util.h"
#include "sources/docker/docker_priv.h"

#include <errno.h>
#include <stdlib.h>

#define BOXES_MAX     16384
#define LOOKS_AT_ONCE 8

void docker_options_init(struct docker_options *options)
{
    *options = (struct docker_options){
        .host = SLICE_LIT("unix:///var/run/docker.sock"),
        .rules = {.host = SLICE_LIT("127.0.0.1")},
        .list_every_ns = 30 * NSEC_PER_SEC,
        .poll_every_ns = 3 * NSEC_PER_SEC,
        .stop_ns = 60 * NSEC_PER_SEC,
    };
}

/* ------------------------------------------------------------------------------------------------ boxes */

static uint64_t hash_of(const struct docker *docker, const char *id)
{
    return hash_bytes(&docker->hash_key, slice_from(id, DOCKER_ID_LEN));
}

static struct docker_box *find(const struct docker *docker, const char *id)
{
    htab_for_each_match (node, &docker->boxes, hash_of(docker, id)) {
        struct docker_box *box = container_of(node, struct docker_box, node);
        if (memcmp(box->id, id, DOCKER_ID_LEN) == 0)
            return box;
    }
    return NULL;
}

/* NULL: there is no memory, or there are too many; then the next list is another chance. */
static struct docker_box *find_or_add(struct docker *docker, const char *id)
{
    struct docker_box *box = find(docker, id);
    if (box)
        return box;
    int r = docker->boxes.len < BOXES_MAX ? docker_box_new(docker, id, &box) : -ENOSPC;
    if (r == 0)
        r = htab_insert(&docker->boxes, &box->node, hash_of(docker, id));
    if (r == 0)
        return box;
    log_warn(docker->log, "a container is passed over: there is no room for more", log_text("container", id));
    if (box)
        docker_box_free(box);
    return NULL;
}

void docker_forget(struct docker *docker, struct docker_box *box)
{
    htab_remove(&docker->boxes, &box->node);
    docker_box_free(box);
}

void docker_address_taken(struct docker *docker, const struct docker_box *by, struct slice address)
{
    htab_for_each (node, &docker->boxes) {
        struct docker_box *box = container_of(node, struct docker_box, node);
        list_for_each (link, &box->registrations) {
            const struct source_registration *registration = container_of(link, struct source_registration, link);
            if (box != by && registration->is_wanted && slice_equal(registration->record.address, address))
                docker_box_look(box, DOCKER_LOOK_EVENT, "its address was given to another container");
        }
    }
}

/* ------------------------------------------------------------------------------------------------ looking */

static void begin_looks(struct docker *docker)
{
    enum docker_engine_state state = docker->engine.state;
    bool is_connected = state == DOCKER_ENGINE_FOLLOWS || state == DOCKER_ENGINE_POLLS;
    while (is_connected && docker->n_looking < LOOKS_AT_ONCE) {
        struct list *link = list_pop_front(&docker->due);
        if (!link)
            return;
        docker->n_looking++;
        docker_box_begin(container_of(link, struct docker_box, due));
    }
}

void docker_look_later(struct docker *docker, struct docker_box *box)
{
    list_push_back(&docker->due, &box->due);
    begin_looks(docker);
}

void docker_look_next(struct docker *docker)
{
    ASSERT(docker->n_looking > 0);
    docker->n_looking--;
    if (!docker->registrar.is_stopping)
        begin_looks(docker);
}

/* ------------------------------------------------------------------------------------------------ the engine says */

static struct docker *docker_of(struct docker_engine *engine)
{
    return container_of(engine, struct docker, engine);
}

static void on_list(struct docker_engine *engine, struct slice ids, bool is_first, bool has_events)
{
    struct docker *docker = docker_of(engine);
    enum docker_look look = is_first || !has_events ? DOCKER_LOOK_SYNC : DOCKER_LOOK_CHECK;
    htab_for_each (node, &docker->boxes)
        container_of(node, struct docker_box, node)->is_listed = false;
    for (; ids.len > 0; ids = slice_skip(ids, DOCKER_ID_LEN + 1)) {
        struct docker_box *box = find_or_add(docker, ids.ptr);
        if (!box)
            continue;
        box->is_listed = true;
        docker_box_look(box, look, NULL);
    }
    htab_for_each (node, &docker->boxes) {
        struct docker_box *box = container_of(node, struct docker_box, node);
        if (!box->is_listed) /* gone, or come since the list was made: looked at, too */
            docker_box_look(box, look, NULL);
    }
    begin_looks(docker);
}

static void on_event(struct docker_engine *engine, const struct docker_event *event)
{
    struct docker *docker = docker_of(engine);
    docker->n_events++;
    struct docker_box *box =
        event->kind == DOCKER_EVENT_CHANGED ? find_or_add(docker, event->id) : find(docker, event->id);
    if (box)
        docker_box_on_event(box, event);
}

static void on_lost(struct docker_engine *engine)
{
    struct docker *docker = docker_of(engine);
    htab_for_each (node, &docker->boxes)
        docker_box_suspect(container_of(node, struct docker_box, node), "the Docker engine cannot be reached");
}

static const struct docker_engine_events engine_events = {.on_list = on_list, .on_event = on_event, .on_lost = on_lost};

static void on_gone(struct source_registration *registration)
{
    docker_box_on_gone(registration->owner, registration);
}

/* ------------------------------------------------------------------------------------------------ adopting */

struct adoption {
    struct docker *docker;
    int result;
};

static bool adopt_service(void *ctx, const struct directory_service *service)
{
    struct adoption *adoption = ctx;
    const struct instance *instance;
    for (struct directory_cursor at = {.service = service}; (instance = directory_next(&at));) {
        char id[DOCKER_ID_LEN + 1];
        if (!slice_equal_str(instance->record.origin, "docker") || !docker_id_cut(instance->id, id))
            continue;
        struct docker_box *box = find_or_add(adoption->docker, id);
        if (!box || docker_box_adopt(box, instance) < 0)
            adoption->result = -ENOMEM;
    }
    return true;
}

static int adopt(struct docker *docker)
{
    struct adoption adoption = {docker, 0};
    directory_each(catalog_directory(curator_catalog(docker->registrar.curator)), adopt_service, &adoption);
    return adoption.result;
}

/* ------------------------------------------------------------------------------------------------ life */

static int start(struct scout_part *part, struct errand_office *office)
{
    struct docker *docker = container_of(part, struct docker, part);
    docker->office = office;
    int r = adopt(docker);
    if (r == 0 && docker->options.mode != DOCKER_OFF) {
        docker->engine.was_there = docker->boxes.len > 0; /* an earlier process has seen it */
        r = docker_engine_start(&docker->engine, office);
    }
    if (r < 0) {
        part->stop(part);
        return r;
    }
    htab_for_each (node, &docker->boxes)
        if (docker->options.mode == DOCKER_OFF)
            docker_box_leave(container_of(node, struct docker_box, node), "sources.docker.mode is off");
    return 0;
}

static void stop(struct scout_part *part)
{
    struct docker *docker = container_of(part, struct docker, part);
    docker->registrar.is_stopping = true;
    docker_engine_stop(&docker->engine);
    htab_for_each (node, &docker->boxes)
        docker_box_stop(container_of(node, struct docker_box, node));
}

/* Copies what the options point to. 0 or -ENOMEM. */
static int keep_texts(struct docker *docker)
{
    struct docker_rules *rules = &docker->options.rules;
    struct slice *texts[] = {&docker->options.host, &rules->label, &rules->host, &rules->network};
    struct slice *images = arena_alloc(&docker->texts, (rules->n_images + 1) * sizeof(*images));
    int r = images ? 0 : -ENOMEM;
    for (unsigned i = 0; r == 0 && i < ARRAY_LEN(texts); i++)
        r = arena_copy(&docker->texts, *texts[i], texts[i]);
    for (unsigned i = 0; r == 0 && i < rules->n_images; i++)
        r = arena_copy(&docker->texts, rules->images[i], &images[i]);
    rules->images = images;
    return r;
}

int docker_new_on(const struct docker_options *options, struct loop *loop, struct curator *curator, struct log *log,
                  struct docker **ret_docker)
{
    struct docker *docker = calloc(1, sizeof(*docker));
    if (!docker)
        return -ENOMEM;
    docker->part = (struct scout_part){.start = start, .stop = stop};
    docker->options = *options;
    docker->options.tls = options->tls ? tls_config_ref(options->tls) : NULL;
    docker->log = log;
    docker->registrar = (struct source_registrar){
        .origin = "docker",
        .succession = "that run of its container has ended",
        .curator = curator,
        .loop = loop,
        .log = log,
        .on_gone = on_gone,
    };
    list_init(&docker->due);
    int r = keep_texts(docker);
    if (r == 0)
        r = random_system(&docker->hash_key, sizeof(docker->hash_key));
    const struct docker_engine_options engine_options = {
        .host = docker->options.host,
        .port = options->port,
        .tls = options->tls,
        .list_every_ns = options->list_every_ns,
        .poll_every_ns = options->poll_every_ns,
        .may_be_missing = options->mode == DOCKER_AUTO,
    };
    if (r == 0)
        r = docker_engine_init(&docker->engine, &engine_options, &engine_events, log);
    if (r < 0) {
        docker_free(docker);
        return r;
    }
    *ret_docker = docker;
    return 0;
}

int docker_new(const struct docker_options *options, struct scout *scout, struct curator *curator, struct log *log,
               struct docker **ret_docker)
{
    int r = docker_new_on(options, scout_loop(scout), curator, log, ret_docker);
    if (r == 0)
        scout_add(scout, &(*ret_docker)->part);
    return r;
}

struct scout_part *docker_part(struct docker *docker)
{
    return &docker->part;
}

void docker_free(struct docker *docker)
{
    if (!docker)
        return;
    htab_for_each (node, &docker->boxes)
        docker_forget(docker, container_of(node, struct docker_box, node));
    htab_deinit(&docker->boxes);
    docker_engine_deinit(&docker->engine);
    (void)tls_config_unref(docker->options.tls);
    arena_deinit(&docker->texts);
    free(docker);
}
