/* SPDX-License-Identifier: Apache-2.0 */
#include "base/util.h"
#include "cli/cli.h"
#include "cli/words.h"

#include <string.h>

static void print_options(FILE *out)
{
    fputs("  --dot            as a graph for Graphviz's dot\n", out);
    words_print_common(out);
    fputs("\nexits with 1 when services need each other in a circle\n", out);
}

/* A name between quotes of the dot language. */
static void print_quoted(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static void print_dot(FILE *out, const struct muster_graph *graph)
{
    fputs("digraph services {\n", out);
    for (size_t i = 0; i < graph->n_services; i++) {
        fputs("  ", out);
        print_quoted(out, graph->services[i].name);
        if (graph->services[i].n_offered == 0)
            fputs(graph->services[i].known ? " [color=red]" : " [color=red, style=dashed]", out);
        fputs(";\n", out);
    }
    for (size_t i = 0; i < graph->n_edges; i++) {
        fputs("  ", out);
        print_quoted(out, graph->edges[i].from);
        fputs(" -> ", out);
        print_quoted(out, graph->edges[i].to);
        fputs(";\n", out);
    }
    for (size_t i = 0; i < graph->n_calls; i++) {
        fputs("  ", out);
        print_quoted(out, graph->calls[i].from);
        fputs(" -> ", out);
        print_quoted(out, graph->calls[i].to);
        fprintf(out, " [style=dotted, label=\"%llu/min\"];\n", (unsigned long long)graph->calls[i].per_minute);
    }
    fputs("}\n", out);
}

/* "db, log": what a service needs. */
static void write_needs(struct writer *writer, const struct muster_graph *graph, const char *name)
{
    char joined[512] = "";
    size_t len = 0;
    for (size_t i = 0; i < graph->n_edges && len < sizeof(joined); i++)
        if (strcmp(graph->edges[i].from, name) == 0)
            len +=
                (size_t)snprintf(joined + len, sizeof(joined) - len, "%s%s", len > 0 ? ", " : "", graph->edges[i].to);
    writer_text(writer, "needs", joined);
}

/* What was seen, not what was declared. */
static void write_calls(struct writer *writer, const struct muster_graph *graph)
{
    writer_open_list(writer, "calls");
    for (size_t i = 0; i < graph->n_calls; i++) {
        const struct muster_graph_call *call = &graph->calls[i];
        writer_open_record(writer);
        writer_text(writer, "from", call->from);
        writer_text(writer, "kind", call->kind);
        writer_text(writer, "calls", call->to);
        writer_number(writer, "per_minute", (int64_t)call->per_minute);
        writer_number(writer, "requests", (int64_t)call->n_requests);
        writer_number(writer, "errors", (int64_t)call->n_errors);
        writer_close_record(writer);
    }
    writer_close_list(writer);
}

static void write_cycles(struct writer *writer, const struct muster_graph *graph)
{
    writer_open_list(writer, "circles");
    for (size_t i = 0; i < graph->n_cycles; i++) {
        char joined[512] = "";
        size_t len = 0;
        for (const char *const *name = graph->cycles[i]; *name && len < sizeof(joined); name++)
            len += (size_t)snprintf(joined + len, sizeof(joined) - len, "%s%s", len > 0 ? ", " : "", *name);
        writer_open_record(writer);
        writer_text(writer, "circle", joined);
        writer_close_record(writer);
    }
    writer_close_list(writer);
}

static int print_table(const struct arguments *arguments, const struct muster_graph *graph)
{
    struct writer *writer = words_writer(arguments);
    if (!writer)
        return words_fail_memory(arguments);
    writer_open_list(writer, "services");
    for (size_t i = 0; i < graph->n_services; i++) {
        const struct muster_graph_service *service = &graph->services[i];
        writer_open_record(writer);
        writer_text(writer, "service", service->name);
        writer_number(writer, "instances", (int64_t)service->n_instances);
        writer_number(writer, "offered", (int64_t)service->n_offered);
        write_needs(writer, graph, service->name);
        writer_close_record(writer);
    }
    writer_close_list(writer);
    if (graph->n_calls > 0)
        write_calls(writer, graph);
    if (graph->n_cycles > 0)
        write_cycles(writer, graph);
    return words_finish(arguments, writer);
}

static int print(const struct arguments *arguments, const struct muster_graph *graph, bool is_dot)
{
    int code = EXIT_OK;
    if (is_dot)
        print_dot(arguments->io->out, graph);
    else
        code = print_table(arguments, graph);
    return code == EXIT_OK && graph->n_cycles > 0 ? EXIT_NO : code;
}

static int run(int argc, char **argv, const struct command_io *io)
{
    bool is_dot = false;
    const struct argument own[] = {{"dot", ARGUMENT_FLAG, &is_dot}};
    struct arguments arguments;
    struct muster_client *client;
    struct muster_graph *graph;
    int code = words_parse(&graph_command, io, argc, argv, own, ARRAY_LEN(own), false, 0, 0, &arguments);
    if (code == 0)
        code = words_connect(&arguments, &client);
    if (code != 0)
        return code;
    int result = muster_get_graph(client, &graph);
    code = result == MUSTER_OK ? print(&arguments, graph, is_dot) : words_fail(&arguments, client, result);
    muster_graph_free(graph);
    muster_client_free(client);
    return code;
}

const struct command graph_command = {
    .name = "graph",
    .summary = "Show which services need which, and who calls whom through the gateway",
    .usage = "[--dot]",
    .example = "muster graph\nmuster graph --dot | dot -Tsvg >graph.svg",
    .print_options = print_options,
    .run = run,
};
