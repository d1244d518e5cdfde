/* SPDX-License-Identifier: Apache-2.0 */
#include "fronts/ops/ops_status.h"

#include "fronts/source_view.h"
#include "fronts/system_view.h"
#include "http/talkers.h"
#include "wire/json_writer.h"

static void put_listeners(struct json_writer *json, const struct system_facts *facts)
{
    json_writer_key(json, SLICE_LIT("listeners"));
    json_writer_begin_array(json);
    for (unsigned i = 0; i < facts->n_listeners; i++) {
        json_writer_begin_object(json);
        json_writer_member_str(json, SLICE_LIT("role"), slice_from_str(facts->listeners[i].role));
        json_writer_member_str(json, SLICE_LIT("address"), slice_from_str(facts->listeners[i].address));
        json_writer_member_str(json, SLICE_LIT("protocols"), slice_from_str(facts->listeners[i].protocols));
        json_writer_end_object(json);
    }
    json_writer_end_array(json);
}

static void put_workers(struct json_writer *json, const struct system_view *system)
{
    json_writer_key(json, SLICE_LIT("workers"));
    json_writer_begin_array(json);
    for (unsigned i = 0; i < system->facts->n_workers; i++) {
        json_writer_begin_object(json);
        json_writer_member_i64(json, SLICE_LIT("connections"), system->n_connections(system->ctx, i));
        json_writer_end_object(json);
    }
    json_writer_end_array(json);
}

static void put_source(struct json_writer *json, const struct source_view *source)
{
    struct source_state state;
    source->get(source->ctx, &state);
    json_writer_begin_object(json);
    json_writer_member_str(json, SLICE_LIT("name"), slice_from_str(state.name));
    json_writer_member_str(json, SLICE_LIT("place"), state.place);
    json_writer_member_str(json, SLICE_LIT("state"), slice_from_str(state.state));
    json_writer_member_str(json, SLICE_LIT("trouble"), slice_from_str(state.trouble));
    json_writer_member_i64(json, SLICE_LIT("last_success_ms"), state.success_ms);
    json_writer_member_i64(json, SLICE_LIT("next_try_ms"), state.next_ms);
    json_writer_member_i64(json, SLICE_LIT("instances"), state.n_instances);
    json_writer_member_i64(json, SLICE_LIT("drifts"), (int64_t)state.n_drifts);
    json_writer_end_object(json);
}

static void put_sources(struct json_writer *json, const struct source_views *sources)
{
    json_writer_key(json, SLICE_LIT("sources"));
    json_writer_begin_array(json);
    for (unsigned i = 0; i < sources->n; i++)
        put_source(json, &sources->list[i]);
    json_writer_end_array(json);
}

int ops_write_status(const struct system_view *system, const struct source_views *sources, struct buf *buf)
{
    const char *not_ready = system->not_ready(system->ctx);
    struct json_writer json;
    json_writer_init(&json, buf);
    json_writer_begin_object(&json);
    json_writer_member_str(&json, SLICE_LIT("version"), slice_from_str(system->facts->version));
    json_writer_member_str(&json, SLICE_LIT("role"), slice_from_str(system->facts->role));
    json_writer_member_i64(&json, SLICE_LIT("pid"), system->facts->pid);
    json_writer_member_i64(&json, SLICE_LIT("uptime_ms"), system->uptime(system->ctx) / NSEC_PER_MSEC);
    json_writer_member_bool(&json, SLICE_LIT("ready"), !not_ready);
    json_writer_member_str(&json, SLICE_LIT("not_ready"), slice_from_str(not_ready ? not_ready : ""));
    json_writer_member_i64(&json, SLICE_LIT("memory_bytes"), (int64_t)system->memory_bytes(system->ctx));
    put_listeners(&json, system->facts);
    put_workers(&json, system);
    put_sources(&json, sources);
    json_writer_end_object(&json);
    return json_writer_finish(&json);
}

static void put_talker(struct json_writer *json, const struct talker *talker)
{
    char text[ADDR_TEXT_MAX];
    bool is_local = talker->peer.family == AF_UNIX;
    json_writer_begin_object(json);
    json_writer_member_str(json, SLICE_LIT("address"),
                           is_local ? SLICE_LIT("unix") : peer_format_ip(&talker->peer, text));
    json_writer_member_i64(json, SLICE_LIT("requests_per_minute"), (int64_t)talker->requests_per_minute);
    json_writer_member_i64(json, SLICE_LIT("bytes_per_minute"), (int64_t)talker->bytes_per_minute);
    json_writer_member_i64(json, SLICE_LIT("requests"), (int64_t)talker->n_requests);
    json_writer_member_i64(json, SLICE_LIT("bytes"), (int64_t)talker->n_bytes);
    json_writer_end_object(json);
}

int ops_write_clients(struct talkers *talkers, nsec_t now_ns, struct buf *buf)
{
    struct talker top[TALKERS_TOP_MAX];
    struct json_writer json;
    int n = talkers_top(talkers, now_ns, top);
    if (n < 0)
        return buf->error = n;
    json_writer_init(&json, buf);
    json_writer_begin_object(&json);
    json_writer_key(&json, SLICE_LIT("clients"));
    json_writer_begin_array(&json);
    for (int i = 0; i < n; i++)
        put_talker(&json, &top[i]);
    json_writer_end_array(&json);
    json_writer_end_object(&json);
    return json_writer_finish(&json);
}
