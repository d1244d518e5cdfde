/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The combined format is that of Apache and nginx, byte for byte, so that what reads their logs reads ours. The JSON
 * object has what the other one cannot say.
 */
#include "gateway/access_line.h"

#include "base/util.h"
#include "wire/json_writer.h"

#include <stdio.h>
#include <time.h>

static void tell_second(struct access_clock *clock, int64_t second)
{
    time_t time = (time_t)second;
    struct tm parts;
    if (clock->second == second && clock->iso[0])
        return;
    clock->second = second;
    if (!gmtime_r(&time, &parts))
        parts = (struct tm){.tm_mday = 1, .tm_year = 70};
    (void)strftime(clock->combined, sizeof(clock->combined), "%d/%b/%Y:%H:%M:%S +0000", &parts);
    (void)strftime(clock->iso, sizeof(clock->iso), "%Y-%m-%dT%H:%M:%S", &parts);
}

static struct slice cut(struct slice text, size_t n_max)
{
    return slice_from(text.ptr, min_size(text.len, n_max));
}

static struct slice field(const struct http_request *request, enum http_field_id id)
{
    const struct http_field *found = http_fields_get(request->fields, id);
    return found ? cut(found->value, ACCESS_FIELD_MAX) : (struct slice){0};
}

/* ------------------------------------------------------------------------------------------------ combined */

static bool is_plain(char c)
{
    return c >= ' ' && c <= '~' && c != '"' && c != '\\';
}

static void put_escaped(struct buf *buf, struct slice text)
{
    static const char digits[] = "0123456789abcdef";
    while (text.len > 0) {
        size_t n = 0;
        while (n < text.len && is_plain(text.ptr[n]))
            n++;
        (void)buf_append(buf, slice_from(text.ptr, n));
        text = slice_skip(text, n);
        if (text.len == 0)
            return;
        unsigned char c = (unsigned char)text.ptr[0];
        const char escaped[] = {'\\', 'x', digits[c >> 4], digits[c & 15]};
        (void)buf_append(buf, slice_from(escaped, sizeof(escaped)));
        text = slice_skip(text, 1);
    }
}

static void put_quoted(struct buf *buf, struct slice text)
{
    (void)buf_append_char(buf, '"');
    put_escaped(buf, text.len > 0 ? text : SLICE_LIT("-"));
    (void)buf_append_char(buf, '"');
}

/* A name is one word there. */
static void put_caller(struct buf *buf, struct slice caller)
{
    for (struct slice word; caller.len > 0;) {
        bool is_last = slice_find(caller, ' ') == caller.len;
        caller = slice_split(caller, ' ', &word);
        put_escaped(buf, word);
        if (!is_last)
            (void)buf_append_str(buf, "\\x20");
    }
}

static void begin_combined(struct access_line *line, const struct access_clock *clock,
                           const struct access_request *from, struct slice client)
{
    const struct http_request *request = from->request;
    struct buf *text = &line->text;
    (void)buf_append(text, client);
    (void)buf_append_str(text, " - ");
    if (from->caller.len > 0)
        put_caller(text, from->caller);
    else
        (void)buf_append_char(text, '-');
    (void)buf_append_str(text, " [");
    (void)buf_append_str(text, clock->combined);
    (void)buf_append_str(text, "] \"");
    put_escaped(text, cut(request->method_text, ACCESS_FIELD_MAX));
    (void)buf_append_char(text, ' ');
    put_escaped(text, cut(request->target, ACCESS_TARGET_MAX));
    const char version[] = {' ',
                            'H',
                            'T',
                            'T',
                            'P',
                            '/',
                            (char)('0' + request->version_major % 10),
                            '.',
                            (char)('0' + request->version_minor % 10),
                            '"',
                            ' '};
    (void)buf_append(text, slice_from(version, sizeof(version)));
    line->split = text->len;
    (void)buf_append_char(text, ' ');
    put_quoted(text, field(request, HTTP_FIELD_REFERER));
    (void)buf_append_char(text, ' ');
    put_quoted(text, field(request, HTTP_FIELD_USER_AGENT));
    (void)buf_append_char(text, '\n');
}

static void end_combined(const struct access_outcome *outcome, struct buf *room)
{
    (void)buf_append_u64(room, outcome->status > 0 ? outcome->status : 499); /* nginx's word for: the client has gone */
    (void)buf_append_char(room, ' ');
    (void)buf_append_u64(room, outcome->n_sent);
}

/* ------------------------------------------------------------------------------------------------ JSON */

static void begin_json(struct access_line *line, const struct access_clock *clock, const struct access_request *from,
                       struct slice client)
{
    const struct http_request *request = from->request;
    struct json_writer json;
    char time[40], version[8];
    int n_time =
        snprintf(time, sizeof(time), "%s.%03uZ", clock->iso, (unsigned)(from->began_ns / NSEC_PER_MSEC % 1000));
    int n_version =
        snprintf(version, sizeof(version), "%u.%u", request->version_major % 10U, request->version_minor % 10U);
    json_writer_init(&json, &line->text);
    json_writer_begin_object(&json);
    json_writer_member_str(&json, SLICE_LIT("time"), slice_from(time, (size_t)n_time));
    json_writer_member_str(&json, SLICE_LIT("client"), client);
    json_writer_member_filled(&json, SLICE_LIT("certificate"), from->caller);
    json_writer_member_str(&json, SLICE_LIT("method"), cut(request->method_text, ACCESS_FIELD_MAX));
    json_writer_member_str(&json, SLICE_LIT("host"), cut(request->authority, ACCESS_FIELD_MAX));
    json_writer_member_str(&json, SLICE_LIT("target"), cut(request->target, ACCESS_TARGET_MAX));
    json_writer_member_str(&json, SLICE_LIT("http"), slice_from(version, (size_t)n_version));
    json_writer_member_filled(&json, SLICE_LIT("referer"), field(request, HTTP_FIELD_REFERER));
    json_writer_member_filled(&json, SLICE_LIT("user_agent"), field(request, HTTP_FIELD_USER_AGENT));
    line->split = line->text.len; /* the object is open still */
}

/* Another object, whose brace becomes the comma: so all that is between them is the writer's business. */
static void end_json(const struct access_outcome *outcome, struct buf *room)
{
    struct json_writer json;
    json_writer_init(&json, room);
    json_writer_begin_object(&json);
    json_writer_member_i64(&json, SLICE_LIT("status"), outcome->status);
    json_writer_member_i64(&json, SLICE_LIT("received_bytes"), (int64_t)outcome->n_received);
    json_writer_member_i64(&json, SLICE_LIT("sent_bytes"), (int64_t)outcome->n_sent);
    json_writer_member_i64(&json, SLICE_LIT("first_byte_us"), outcome->first_byte_us);
    json_writer_member_i64(&json, SLICE_LIT("took_us"), outcome->took_us);
    json_writer_member_i64(&json, SLICE_LIT("attempts"), outcome->n_attempts);
    json_writer_member_filled(&json, SLICE_LIT("id"), outcome->id);
    json_writer_member_filled(&json, SLICE_LIT("service"), outcome->service);
    json_writer_member_filled(&json, SLICE_LIT("instance"), outcome->instance);
    if (outcome->cause != CAUSE_NONE)
        json_writer_member_str(&json, SLICE_LIT("cause"), cause_name(outcome->cause));
    json_writer_end_object(&json);
    (void)buf_append_char(room, '\n');
    if (buf_error(room) == 0)
        room->ptr[0] = ',';
}

/* ------------------------------------------------------------------------------------------------ */

void access_line_begin(struct access_line *line, enum access_log_format format, struct access_clock *clock,
                       const struct access_request *request)
{
    char room[ADDR_TEXT_MAX];
    line->format = format;
    if (format == ACCESS_LOG_OFF)
        return;
    line->text = (struct buf){0};
    tell_second(clock, request->began_ns / NSEC_PER_SEC);
    bool has_ip = request->client->family == AF_INET || request->client->family == AF_INET6;
    struct slice client = has_ip ? peer_format_ip(request->client, room) : SLICE_LIT("unix:");
    if (format == ACCESS_LOG_JSON)
        begin_json(line, clock, request, client);
    else
        begin_combined(line, clock, request, client);
}

int access_line_end(struct access_line *line, const struct access_outcome *outcome, struct buf *room,
                    struct slice ret_pieces[3])
{
    struct slice text = buf_slice(&line->text);
    buf_reset(room);
    if (buf_error(&line->text) < 0)
        return buf_error(&line->text);
    if (line->format == ACCESS_LOG_JSON)
        end_json(outcome, room);
    else
        end_combined(outcome, room);
    ret_pieces[0] = slice_from(text.ptr, line->split);
    ret_pieces[1] = buf_slice(room);
    ret_pieces[2] = slice_skip(text, line->split);
    return buf_error(room);
}
