/* SPDX-License-Identifier: Apache-2.0 */
/* Names and the keys made of them. A key has one spelling: one that is spelt otherwise is nobody's. */
#include "catalog/instance_record.h"

#include "base/utf8.h"
#include "wire/uri.h"

#include <errno.h>

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

static int check_name(struct slice name, const char *what, size_t max, struct err *err)
{
    uint32_t point;
    if (name.len == 0)
        return err_set(err, -EINVAL, "the name of the %s is empty", what);
    if (name.len > max)
        return err_set(err, -EINVAL, "the name of the %s has %zu bytes; at most %zu are accepted", what, name.len, max);
    if (slice_equal_str(name, ".") || slice_equal_str(name, ".."))
        return err_set(err, -EINVAL, "\"%.*s\" is no name of %s: it would mean a folder", SLICE_ARG(name), what);
    for (struct slice rest = name; rest.len > 0;) {
        size_t n = utf8_decode(rest, &point);
        if (n == 0 || is_control(rest.ptr[0]))
            return err_set(err, -EINVAL, "the name of the %s has a byte at %zu that is %s", what, name.len - rest.len,
                           n == 0 ? "no UTF-8" : "a control character");
        rest = slice_skip(rest, n);
    }
    return 0;
}

int instance_record_check_names(struct slice service, struct slice id, struct err *err)
{
    int r = check_name(service, "service", CATALOG_NAME_MAX, err);
    return r < 0 ? r : check_name(id, "instance", CATALOG_ID_MAX, err);
}

static void append_name(struct buf *buf, struct slice name)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (c != '/' && c != '%' && !is_control(c)) {
            buf_append_char(buf, c);
            continue;
        }
        buf_append_char(buf, '%');
        buf_append_char(buf, digits[(unsigned char)c >> 4]);
        buf_append_char(buf, digits[(unsigned char)c & 15]);
    }
}

void instance_record_name(struct buf *buf, struct slice service, struct slice id)
{
    append_name(buf, service);
    if (id.len == 0)
        return;
    buf_append_char(buf, '/');
    append_name(buf, id);
}

void instance_record_key(struct buf *buf, struct slice service, struct slice id)
{
    buf_append(buf, INSTANCE_RECORD_PREFIX);
    instance_record_name(buf, service, id);
}

/* Decodes into `decoded`. 0, -ENOMEM, or INSTANCE_RECORD_NO_KEY: nothing is written so. */
static int decode_name(struct slice text, struct buf *decoded, struct buf *again)
{
    int r = uri_decode(text, decoded);
    if (r < 0)
        return r == -ENOMEM ? r : INSTANCE_RECORD_NO_KEY;
    append_name(again, buf_slice(decoded));
    if (buf_error(again) < 0)
        return buf_error(again);
    return slice_equal(buf_slice(again), text) ? 0 : INSTANCE_RECORD_NO_KEY;
}

/* The name itself, or decoded in the arena. */
static int read_name(struct slice text, struct arena *arena, struct slice *ret_name)
{
    *ret_name = text;
    if (slice_find(text, '%') == text.len)
        return 0;
    struct buf decoded = {0}, again = {0};
    int r = decode_name(text, &decoded, &again);
    if (r == 0)
        r = arena_copy(arena, buf_slice(&decoded), ret_name);
    buf_deinit(&decoded);
    buf_deinit(&again);
    return r;
}

int instance_record_split_name(struct slice name, struct arena *arena, struct slice *ret_service, struct slice *ret_id)
{
    struct slice service, id = slice_split(name, '/', &service);
    if (slice_find(id, '/') < id.len || (id.len == 0 && service.len < name.len))
        return INSTANCE_RECORD_NO_KEY;
    int r = read_name(service, arena, &service);
    if (r == 0)
        r = read_name(id, arena, &id);
    if (r != 0)
        return r;
    if (instance_record_check_names(service, id.len ? id : SLICE_LIT("-"), NULL) < 0)
        return INSTANCE_RECORD_NO_KEY;
    *ret_service = service;
    *ret_id = id;
    return 0;
}

int instance_record_split_key(struct slice key, struct arena *arena, struct slice *ret_service, struct slice *ret_id)
{
    if (!slice_starts_with(key, INSTANCE_RECORD_PREFIX))
        return INSTANCE_RECORD_NO_KEY;
    struct slice service, id;
    int r = instance_record_split_name(slice_skip(key, INSTANCE_RECORD_PREFIX.len), arena, &service, &id);
    if (r != 0 || id.len == 0)
        return r != 0 ? r : INSTANCE_RECORD_NO_KEY;
    *ret_service = service;
    *ret_id = id;
    return 0;
}
