/* SPDX-License-Identifier: Apache-2.0 */
#include "fronts/ops/ops_status.h"

#include "fronts/system_view.h"
#include "wire/json_writer.h"

static void put_text(struct json_writer *json, struct slice key, const char *text)
{
    json_writer_key(json, key);
    json_writer_str(json, slice_from_str(text));
}

static void put_number(struct json_writer *json, struct slice key, int64_t number)
{
    json_writer_key(json, key);
    json_writer_i64(json, number);
}

static void put_listeners(struct json_writer *json, const struct system_facts *facts)
{
    json_writer_key(json, SLICE_LIT("listeners"));
    json_writer_begin_array(json);
    for (unsigned i = 0; i < facts->n_listeners; i++) {
        json_writer_begin_object(json);
        put_text(json, SLICE_LIT("role"), facts->listeners[i].role);
        put_text(json, SLICE_LIT("address"), facts->listeners[i].address);
        put_text(json, SLICE_LIT("protocols"), facts->listeners[i].protocols);
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
        put_number(json, SLICE_LIT("connections"), system->n_connections(system->ctx, i));
        json_writer_end_object(json);
    }
    json_writer_end_array(json);
}

int ops_write_status(const struct system_view *system, struct buf *buf)
{
    const char *not_ready = system->not_ready(system->ctx);
    struct json_writer json;
    json_writer_init(&json, buf);
    json_writer_begin_object(&json);
    put_text(&json, SLICE_LIT("version"), system->facts->version);
    put_text(&json, SLICE_LIT("role"), system->facts->role);
    put_number(&json, SLICE_LIT("pid"), system->facts->pid);
    put_number(&json, SLICE_LIT("uptime_ms"), system->uptime(system->ctx) / NSEC_PER_MSEC);
    json_writer_key(&json, SLICE_LIT("ready"));
    json_writer_bool(&json, !not_ready);
    put_text(&json, SLICE_LIT("not_ready"), not_ready ? not_ready : "");
    put_number(&json, SLICE_LIT("memory_bytes"), (int64_t)system->memory_bytes(system->ctx));
    put_listeners(&json, system->facts);
    put_workers(&json, system);
    json_writer_end_object(&json);
    return json_writer_finish(&json);
}
