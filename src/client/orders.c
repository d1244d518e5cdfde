/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single requests that change something: orders, registering once, deregistering. And the long one that waits.
 */
#include "base/util.h"
#include "client/client.h"
#include "client/registration.h"
#include "wire/json_writer.h"

#include <errno.h>

/* Asks for what has no other answer than that it was done. Takes no heed of a buf that failed: that is told here. */
static int ask(struct muster_client *client, const char *method, struct buf *path, const struct buf *body)
{
    json_t *tree = NULL;
    buf_append_char(path, '\0');
    if (buf_error(path) < 0 || (body && buf_error(body) < 0))
        return client_fail_memory(client);
    struct ask_question question = client_question(client, method, path->ptr);
    if (body)
        question.body = buf_slice(body);
    int result = client_ask_json(client, &question, &tree);
    json_decref(tree);
    return result;
}

static void append_target(struct buf *path, const char *service, const char *instance)
{
    buf_append_str(path, "/api/v1/services/");
    client_append_escaped(path, slice_from_str(service));
    if (!instance)
        return;
    buf_append_str(path, "/instances/");
    client_append_escaped(path, slice_from_str(instance));
}

static bool misses_instance(struct muster_client *client, const char *instance)
{
    return client_misses_name(client, "instance", instance, CLIENT_ID_MAX);
}

int muster_deregister(struct muster_client *client, const char *service, const char *instance)
{
    if (client_misses_service(client, service) || misses_instance(client, instance))
        return MUSTER_BAD_OPTIONS;
    CLEANUP(buf_deinit) struct buf path = {0};
    append_target(&path, service, instance);
    client_lock(client);
    int result = ask(client, "DELETE", &path, NULL);
    client_unlock(client);
    return result;
}

static int register_once(struct muster_client *client, const char *service,
                         const struct muster_register_options *options)
{
    CLEANUP(buf_deinit) struct buf path = {0}, body = {0};
    if (options->hold)
        return client_fail(client, MUSTER_BAD_OPTIONS, "what is registered once cannot be held");
    int r = registration_write(&body, options, "", &client->error);
    if (r == -EINVAL)
        return MUSTER_BAD_OPTIONS;
    append_target(&path, service, options->id ? options->id : options->address);
    return ask(client, "PUT", &path, &body);
}

int muster_register_once(struct muster_client *client, const char *service,
                         const struct muster_register_options *options)
{
    if (client_misses_service(client, service) || client_misses(client, "options", options != NULL))
        return MUSTER_BAD_OPTIONS;
    client_lock(client);
    int result = register_once(client, service, options);
    client_unlock(client);
    return result;
}

/* "/drain" or "/maintenance"; NULL: the program's mistake, which is told. */
static const char *find_order(struct muster_client *client, enum muster_order_kind kind, const char *service,
                              const char *instance)
{
    static const char *const verbs[] = {[MUSTER_DRAIN] = "/drain", [MUSTER_MAINTENANCE] = "/maintenance"};
    if (client_misses_service(client, service) || (instance && misses_instance(client, instance)))
        return NULL;
    if ((unsigned)kind < ARRAY_LEN(verbs))
        return verbs[kind];
    client_lock(client);
    (void)client_fail(client, MUSTER_BAD_OPTIONS, "kind: %d is none of enum muster_order_kind", (int)kind);
    client_unlock(client);
    return NULL;
}

int muster_order(struct muster_client *client, enum muster_order_kind kind, const char *service, const char *instance,
                 const char *reason, int64_t for_ms)
{
    CLEANUP(buf_deinit) struct buf path = {0}, body = {0};
    struct json_writer json;
    const char *verb = find_order(client, kind, service, instance);
    if (!verb)
        return MUSTER_BAD_OPTIONS;
    append_target(&path, service, instance);
    buf_append_str(&path, verb);
    json_writer_init(&json, &body);
    json_writer_begin_object(&json);
    json_writer_member_str(&json, SLICE_LIT("reason"), slice_from_str(reason ? reason : ""));
    if (for_ms > 0)
        json_writer_member_i64(&json, SLICE_LIT("for_ms"), for_ms);
    json_writer_end_object(&json);
    client_lock(client);
    int result = ask(client, "PUT", &path, &body);
    client_unlock(client);
    return result;
}

int muster_order_end(struct muster_client *client, enum muster_order_kind kind, const char *service,
                     const char *instance)
{
    CLEANUP(buf_deinit) struct buf path = {0};
    const char *verb = find_order(client, kind, service, instance);
    if (!verb)
        return MUSTER_BAD_OPTIONS;
    append_target(&path, service, instance);
    buf_append_str(&path, verb);
    client_lock(client);
    int result = ask(client, "DELETE", &path, NULL);
    client_unlock(client);
    return result;
}

int muster_wait_ready(struct muster_client *client, const char *const *services, unsigned min, unsigned timeout_ms)
{
    CLEANUP(buf_deinit) struct buf path = {0};
    json_t *tree = NULL;
    if (client_misses(client, "services", services != NULL))
        return MUSTER_BAD_OPTIONS;
    buf_printf(&path, "/api/v1/wait?min=%u&timeout_ms=%u", min, timeout_ms);
    const bool is_empty = *services == NULL;
    for (; *services; services++) {
        buf_append_str(&path, "&service=");
        client_append_escaped(&path, slice_from_str(*services));
    }
    buf_append_char(&path, '\0');
    client_lock(client);
    int result = client_fail_memory(client);
    if (is_empty) {
        result = client_fail(client, MUSTER_BAD_OPTIONS, "services: expected a name at least");
    } else if (buf_error(&path) == 0) {
        struct ask_question question = client_question(client, "GET", path.ptr);
        question.timeout_ns += timeout_ms * NSEC_PER_MSEC;
        result = client_ask_json(client, &question, &tree);
    }
    client_unlock(client);
    json_decref(tree);
    return result;
}
