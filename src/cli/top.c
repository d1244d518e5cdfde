/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server tells counters, and this makes rates of two looks at them. What is new in the second look began at 0; what
 * began anew, since it left and came back, did too.
 */
#include "base/util.h"
#include "cli/cli.h"
#include "cli/words.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL_MS 1000
#define CLEAR       "\033[H\033[J"

static void print_options(FILE *out)
{
    fputs("  --once           one table, not a new one each time; also when the output is no terminal, and for JSON\n"
          "  --interval TIME  between two looks (default: 1s)\n",
          out);
    words_print_common(out);
    fputs("\nrates are per second over the interval; p50 and p99 are of the time until an answer begins, estimated\n",
          out);
}

/* ------------------------------------------------------------------------------------------------ differences */

struct looks {
    const struct muster_traffic *before, *now; /* before NULL: there was none */
    double seconds;
};

static uint64_t since(uint64_t before, uint64_t now)
{
    return now >= before ? now - before : now;
}

static int64_t rate(const struct looks *looks, uint64_t before, uint64_t now)
{
    return (int64_t)((double)since(before, now) / looks->seconds + 0.5);
}

static const struct muster_traffic_service *find_service(const struct muster_traffic *traffic, const char *name)
{
    for (size_t i = 0; traffic && i < traffic->n_services; i++)
        if (strcmp(traffic->services[i].all.name, name) == 0)
            return &traffic->services[i];
    return NULL;
}

static const struct muster_traffic_row *find_instance(const struct muster_traffic_service *service, const char *name)
{
    for (size_t i = 0; service && i < service->n_instances; i++)
        if (strcmp(service->instances[i].name, name) == 0)
            return &service->instances[i];
    return NULL;
}

/*
 * Below which so many of a thousand are; within a bucket they are taken to be spread evenly. 0: there was none.
 * before NULL: all began at 0.
 */
static int64_t quantile_us(const struct muster_traffic *traffic, const uint64_t *before, const uint64_t *now,
                           unsigned per_mille)
{
    uint64_t n = 0, passed = 0;
    for (size_t i = 0; i <= traffic->n_bounds; i++)
        n += since(before ? before[i] : 0, now[i]);
    double wanted = (double)n * per_mille / 1000;
    for (size_t i = 0; i <= traffic->n_bounds; i++) {
        uint64_t here = since(before ? before[i] : 0, now[i]);
        double low = i > 0 ? (double)traffic->bounds_us[i - 1] : 0;
        double high = i < traffic->n_bounds ? (double)traffic->bounds_us[i] : low;
        if (here > 0 && (double)(passed + here) >= wanted)
            return (int64_t)(low + (high - low) * (wanted - (double)passed) / (double)here + 0.5);
        passed += here;
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------ the table */

static void write_row(struct writer *writer, const struct looks *looks, const char *service, const char *instance,
                      const struct muster_traffic_row *before, const struct muster_traffic_row *now)
{
    static const struct muster_traffic_row none;
    if (!before)
        before = &none;
    writer_open_record(writer);
    writer_text(writer, "service", service);
    writer_text(writer, "instance", instance);
    writer_text(writer, "state", now->state);
    writer_number(writer, "requests_s", rate(looks, before->requests, now->requests));
    writer_number(writer, "errors_s", rate(looks, before->errors, now->errors));
    writer_number(writer, "p50_us", quantile_us(looks->now, before->latency, now->latency, 500));
    writer_number(writer, "p99_us", quantile_us(looks->now, before->latency, now->latency, 990));
    writer_number(writer, "in_flight", (int64_t)now->in_flight);
    writer_number(writer, "retries_s", rate(looks, before->retries + before->hedges, now->retries + now->hedges));
    writer_number(writer, "ejections", (int64_t)now->ejections);
    writer_number(writer, "connects_s", rate(looks, before->connects, now->connects));
    writer_number(writer, "requests", (int64_t)now->requests);
    writer_number(writer, "errors", (int64_t)now->errors);
    writer_close_record(writer);
}

static void write_service(struct writer *writer, const struct looks *looks, const struct muster_traffic_service *now)
{
    const struct muster_traffic_service *before = find_service(looks->before, now->all.name);
    write_row(writer, looks, now->all.name, "", before ? &before->all : NULL, &now->all);
    for (size_t i = 0; i < now->n_instances; i++) {
        const struct muster_traffic_row *instance = &now->instances[i];
        write_row(writer, looks, now->all.name, instance->name, find_instance(before, instance->name), instance);
    }
}

static int print(const struct arguments *arguments, const struct looks *looks, bool clears)
{
    struct writer *writer = words_writer(arguments);
    if (!writer)
        return words_fail_memory(arguments);
    if (clears)
        fputs(CLEAR, arguments->io->out);
    writer_open_list(writer, "traffic");
    for (size_t i = 0; i < looks->now->n_services; i++)
        write_service(writer, looks, &looks->now->services[i]);
    writer_close_list(writer);
    int code = words_finish(arguments, writer);
    fflush(arguments->io->out);
    return code;
}

/* ------------------------------------------------------------------------------------------------ the command */

static void wait_ms(int64_t ms)
{
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    (void)nanosleep(&time, NULL);
}

static int watch(const struct arguments *arguments, struct muster_client *client, int64_t interval_ms, bool once)
{
    const char *service = arguments->n_words > 0 ? arguments->words[0] : NULL;
    struct muster_traffic *before = NULL, *now = NULL;
    int code = EXIT_OK, result = muster_get_traffic(client, service, &before);
    do {
        if (result == MUSTER_OK) {
            wait_ms(interval_ms);
            result = muster_get_traffic(client, service, &now);
        }
        if (result != MUSTER_OK) {
            code = words_fail(arguments, client, result);
            break;
        }
        int64_t took_us = now->at_us - before->at_us;
        const struct looks looks = {before, now, took_us > 0 ? (double)took_us / 1e6 : 1};
        code = print(arguments, &looks, !once);
        muster_traffic_free(before);
        before = TAKE(now);
    } while (code == EXIT_OK && !once);
    muster_traffic_free(before);
    return code;
}

static int run(int argc, char **argv, const struct command_io *io)
{
    bool once = false;
    int64_t interval_ms = INTERVAL_MS;
    const struct argument own[] = {{"once", ARGUMENT_FLAG, &once}, {"interval", ARGUMENT_DURATION, &interval_ms}};
    struct arguments arguments;
    struct muster_client *client;
    int code = words_parse(&top_command, io, argc, argv, own, ARRAY_LEN(own), false, 0, 1, &arguments);
    if (code == 0 && interval_ms < 1)
        code = command_fail_usage(&top_command, io, "--interval: expected a time longer than 0");
    if (code == 0)
        code = words_connect(&arguments, &client);
    if (code != 0)
        return code;
    code = watch(&arguments, client, interval_ms, once || arguments.json || !isatty(fileno(io->out)));
    muster_client_free(client);
    return code;
}

const struct command top_command = {
    .name = "top",
    .summary = "Show what the gateway has to do: requests, errors, latency, by service and instance",
    .usage = "[SERVICE] [--once] [--interval TIME]",
    .example = "muster top\nmuster top web --once --output json",
    .print_options = print_options,
    .run = run,
};
