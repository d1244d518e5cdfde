/* SPDX-License-Identifier: Apache-2.0 */
#include "fronts/ops/ops_status.h"

#include "fronts/system_view.h"

#include <inttypes.h>

static void put_text(struct buf *buf, const char *text)
{
    buf_append_char(buf, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            buf_append_char(buf, '\\');
        buf_append_char(buf, *text);
    }
    buf_append_char(buf, '"');
}

int ops_write_status(const struct system_view *system, struct buf *buf)
{
    const struct system_facts *facts = system->facts;
    const char *not_ready = system->not_ready(system->ctx);
    buf_printf(buf, "{\"version\":\"%s\",\"role\":\"%s\",\"pid\":%ld,\"uptime_ms\":%" PRId64 ",\"ready\":%s,",
               facts->version, facts->role, (long)facts->pid, system->uptime(system->ctx) / NSEC_PER_MSEC,
               not_ready ? "false" : "true");
    buf_printf(buf, "\"not_ready\":\"%s\",\"memory_bytes\":%" PRIu64 ",\"listeners\":[", not_ready ? not_ready : "",
               system->memory_bytes(system->ctx));
    for (unsigned i = 0; i < facts->n_listeners; i++) {
        buf_printf(buf, "%s{\"role\":\"%s\",\"address\":", i ? "," : "", facts->listeners[i].role);
        put_text(buf, facts->listeners[i].address);
        buf_printf(buf, ",\"protocols\":\"%s\"}", (const char *)facts->listeners[i].protocols);
    }
    buf_append_str(buf, "],\"workers\":[");
    for (unsigned i = 0; i < facts->n_workers; i++)
        buf_printf(buf, "%s{\"connections\":%u}", i ? "," : "", system->n_connections(system->ctx, i));
    return buf_append_str(buf, "]}");
}
