/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON, indented by two blanks, one member a line: readable for people, too, and stable for `diff`.
 */
#include "cli/writer.h"

#include "base/util.h"

#include <stdlib.h>

struct json_writer {
    struct writer writer;
    int depth;
    bool has_members; /* whether a comma must come before the next member of the container that is open */
};

static struct json_writer *json_of(struct writer *writer)
{
    return container_of(writer, struct json_writer, writer);
}

static void write_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(out, "\\%c", *c);
        else if (*c < ' ')
            fprintf(out, "\\u%04x", *c);
        else
            fputc(*c, out);
    }
    fputc('"', out);
}

/* Goes to a new line for the next member; name is NULL inside a list. */
static void begin_member(struct json_writer *json, const char *name)
{
    FILE *out = json->writer.out;
    fprintf(out, "%s%*s", json->has_members ? ",\n" : "\n", json->depth * 2, "");
    json->has_members = true;
    if (name) {
        write_string(out, name);
        fputs(": ", out);
    }
}

static void open_container(struct json_writer *json, char bracket)
{
    fputc(bracket, json->writer.out);
    json->depth++;
    json->has_members = false;
}

static void close_container(struct json_writer *json, char bracket)
{
    json->depth--;
    if (json->has_members)
        fprintf(json->writer.out, "\n%*s", json->depth * 2, "");
    fputc(bracket, json->writer.out);
    json->has_members = true;
}

static void json_text(struct writer *writer, const char *name, const char *value)
{
    begin_member(json_of(writer), name);
    write_string(writer->out, value);
}

static void json_number(struct writer *writer, const char *name, int64_t value)
{
    begin_member(json_of(writer), name);
    fprintf(writer->out, "%" PRId64, value);
}

static void json_truth(struct writer *writer, const char *name, bool value)
{
    begin_member(json_of(writer), name);
    fputs(value ? "true" : "false", writer->out);
}

static void json_open_list(struct writer *writer, const char *name)
{
    begin_member(json_of(writer), name);
    open_container(json_of(writer), '[');
}

static void json_open_record(struct writer *writer)
{
    begin_member(json_of(writer), NULL);
    open_container(json_of(writer), '{');
}

static void json_close_record(struct writer *writer)
{
    close_container(json_of(writer), '}');
}

static void json_close_list(struct writer *writer)
{
    close_container(json_of(writer), ']');
}

static int json_finish(struct writer *writer)
{
    close_container(json_of(writer), '}');
    fputc('\n', writer->out);
    free(json_of(writer));
    return 0;
}

struct writer *writer_new_json(FILE *out)
{
    static const struct writer_ops ops = {
        .text = json_text,
        .number = json_number,
        .truth = json_truth,
        .open_list = json_open_list,
        .open_record = json_open_record,
        .close_record = json_close_record,
        .close_list = json_close_list,
        .finish = json_finish,
    };
    struct json_writer *json = calloc(1, sizeof(*json));
    if (!json)
        return NULL;
    json->writer = (struct writer){&ops, out};
    open_container(json, '{');
    return &json->writer;
}
