/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three questions in one command, told apart by the words: about an instance (there is a '/'), about the requests of a
 * service (an option says which), else about one request, by its id.
 */
#include "base/util.h"
#include "cli/cli.h"
#include "cli/events.h"
#include "cli/words.h"

#include <time.h>

#define LIMIT_DEFAULT 20

static void print_options(FILE *out)
{
    fputs("  --status STATUS  requests of the service with this answer: 502, 5xx, or none for those without any\n"
          "  --last TIME      of the last 30s, 5m, 2h\n"
          "  --limit N        at most so many, the newest (default: 20)\n",
          out);
    words_print_common(out);
    fputs("\nabout an instance: exits with 0 when it is given to clients, 1 when it is not\n"
          "about requests: what went through the gateway lately (gateway.records); exits with 1 when there is none\n",
          out);
}

static void write_steps(struct writer *writer, const struct muster_explain_step *steps, size_t n)
{
    writer_open_list(writer, "because");
    for (size_t i = 0; i < n; i++) {
        writer_open_record(writer);
        writer_text(writer, "step", steps[i].step);
        writer_text(writer, "verdict", steps[i].verdict);
        writer_text(writer, "why", steps[i].why);
        writer_close_record(writer);
    }
    writer_close_list(writer);
}

/* ------------------------------------------------------------------------------------------------ an instance */

static int print_instance(const struct arguments *arguments, const struct muster_explanation *explanation)
{
    struct writer *writer = words_writer(arguments);
    if (!writer)
        return words_fail_memory(arguments);
    writer_truth(writer, "offered", explanation->in_answer != 0);
    write_steps(writer, explanation->steps, explanation->n_steps);
    events_write(writer, "history", explanation->history.items, explanation->history.n);
    int code = words_finish(arguments, writer);
    return code == EXIT_OK && !explanation->in_answer ? EXIT_NO : code;
}

static int explain_instance(const struct arguments *arguments, struct muster_client *client, const char *service,
                            const char *id)
{
    struct muster_explanation *explanation = NULL;
    int result = muster_explain(client, service, id, &explanation);
    int code = result == MUSTER_OK ? print_instance(arguments, explanation) : words_fail(arguments, client, result);
    muster_explanation_free(explanation);
    return code;
}

/* ------------------------------------------------------------------------------------------------ requests */

static void write_request(struct writer *writer, const struct muster_gateway_request *request)
{
    char time[WORDS_TIME_MAX];
    writer_text(writer, "time", words_format_time(request->began_ms, time));
    writer_text(writer, "id", request->id);
    writer_text(writer, "client", *request->certificate ? request->certificate : request->client);
    writer_text(writer, "method", request->method);
    writer_text(writer, "target", request->target);
    writer_text(writer, "service", request->service);
    writer_text(writer, "instance", request->instance);
    writer_number(writer, "status", request->status);
    writer_text(writer, "cause", request->cause);
    writer_number(writer, "attempts", (int64_t)request->n_attempts);
    writer_number(writer, "took_us", (int64_t)request->took_us);
}

static int print_request(const struct arguments *arguments, const struct muster_gateway_request *request)
{
    struct writer *writer = words_writer(arguments);
    if (!writer)
        return words_fail_memory(arguments);
    write_request(writer, request);
    writer_number(writer, "received_bytes", (int64_t)request->received_bytes);
    writer_number(writer, "sent_bytes", (int64_t)request->sent_bytes);
    write_steps(writer, request->steps, request->n_steps);
    return words_finish(arguments, writer);
}

static int print_requests(const struct arguments *arguments, const struct muster_gateway_requests *requests)
{
    struct writer *writer = words_writer(arguments);
    if (!writer)
        return words_fail_memory(arguments);
    writer_open_list(writer, "requests");
    for (size_t i = 0; i < requests->n; i++) {
        writer_open_record(writer);
        write_request(writer, &requests->items[i]);
        writer_close_record(writer);
    }
    writer_close_list(writer);
    int code = words_finish(arguments, writer);
    return code == EXIT_OK && requests->n == 0 ? EXIT_NO : code;
}

static int fail_unknown(const struct arguments *arguments, const char *id)
{
    fprintf(arguments->io->err,
            "muster why: no request \"%s\" is remembered; for those of a service: muster why SERVICE --last 5m\n", id);
    return EXIT_NO;
}

static int explain_requests(const struct arguments *arguments, struct muster_client *client,
                            const struct muster_gateway_query *query)
{
    struct muster_gateway_requests *requests = NULL;
    int code, result = muster_get_gateway_requests(client, query, &requests);
    if (result != MUSTER_OK)
        code = words_fail(arguments, client, result);
    else if (!query->id)
        code = print_requests(arguments, requests);
    else if (requests->n == 0)
        code = fail_unknown(arguments, query->id);
    else
        code = print_request(arguments, &requests->items[0]);
    muster_gateway_requests_free(requests);
    return code;
}

/* ------------------------------------------------------------------------------------------------ the command */

static int run(int argc, char **argv, const struct command_io *io)
{
    const char *status = NULL, *service, *id;
    int64_t last_ms = 0;
    unsigned limit = 0;
    const struct argument own[] = {
        {"status", ARGUMENT_TEXT, &status}, {"last", ARGUMENT_DURATION, &last_ms}, {"limit", ARGUMENT_NUMBER, &limit}};
    struct arguments arguments;
    struct muster_client *client;
    int code = words_parse(&why_command, io, argc, argv, own, ARRAY_LEN(own), false, 1, 1, &arguments);
    if (code != 0)
        return code;
    bool is_service = status || last_ms > 0 || limit > 0;
    words_split(arguments.words[0], &service, &id);
    if (id && is_service)
        return command_fail_usage(&why_command, io, "--status, --last and --limit are for the requests of a service");
    const struct muster_gateway_query query = {
        .id = is_service ? NULL : service,
        .service = is_service ? service : NULL,
        .status = status,
        .since_ms = last_ms > 0 ? (int64_t)time(NULL) * 1000 - last_ms : 0,
        .limit = limit > 0 ? limit : LIMIT_DEFAULT,
    };
    code = words_connect(&arguments, &client);
    if (code != 0)
        return code;
    code = id ? explain_instance(&arguments, client, service, id) : explain_requests(&arguments, client, &query);
    muster_client_free(client);
    return code;
}

const struct command why_command = {
    .name = "why",
    .summary = "Explain why an instance is given to clients or not, or why a request went where it did",
    .usage = "SERVICE/INSTANCE | REQUEST-ID | SERVICE [--status STATUS] [--last TIME]",
    .example = "muster why web/10.0.0.7:8080\nmuster why 4f1d0c22a9b87e65\nmuster why web --status 5xx --last 5m",
    .print_options = print_options,
    .run = run,
};
