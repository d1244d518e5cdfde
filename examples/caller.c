/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls services.
 *
 *     example_caller call SERVICE METHOD PARAMS [N]    waits for N instances (1), and calls N times, each time the next
 *     example_caller all SERVICE METHOD PARAMS [N]     waits for N instances, and calls all there are
 *     example_caller repeat SERVICE METHOD PARAMS [N]  the same again and again, until the end of the standard input;
 *                                                      says after each hundred calls how many of them went wrong
 */
#include <muster.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MS 10000

struct question {
    struct muster_client *client;
    struct muster_service *service;
    const char *method, *params;
};

static int call(const struct question *question)
{
    struct muster_reply *reply;
    int result = muster_call(question->service, question->method, question->params, NULL, &reply);
    if (result == MUSTER_OK)
        printf("%s: %s\n", reply->instance->id, reply->json);
    else if (result == MUSTER_REMOTE_ERROR)
        printf("%s: error %lld: %s\n", reply->instance->id, (long long)reply->error_code, reply->error);
    else
        printf("no reply: %s\n", muster_error(question->client));
    muster_reply_free(reply);
    return result == MUSTER_OK;
}

static int call_all(const struct question *question)
{
    struct muster_replies *replies;
    int result = muster_broadcast(question->service, question->method, question->params, NULL, &replies);
    if (result != MUSTER_OK)
        printf("no replies: %s\n", muster_error(question->client));
    for (size_t i = 0; result == MUSTER_OK && i < replies->n; i++)
        printf("%s: %s\n", replies->items[i].instance->id, replies->items[i].json);
    muster_replies_free(replies);
    return result == MUSTER_OK;
}

static int input_has_ended(void)
{
    char bytes[64];
    struct pollfd input = {.fd = 0, .events = POLLIN};
    return poll(&input, 1, 0) > 0 && fread(bytes, 1, sizeof(bytes), stdin) == 0;
}

static int call_again_and_again(const struct question *question)
{
    struct muster_call_options options = MUSTER_CALL_INIT;
    unsigned long n = 0, n_errors = 0;
    options.repeatable = 1; /* it does no harm to add twice: so an instance that dies in the middle is no error */
    while (!input_has_ended()) {
        struct muster_reply *reply;
        if (muster_call(question->service, question->method, question->params, &options, &reply) != MUSTER_OK) {
            printf("no reply: %s\n", muster_error(question->client));
            n_errors++;
        }
        muster_reply_free(reply);
        if (++n % 100 == 0)
            printf("%lu calls, %lu errors\n", n, n_errors);
        fflush(stdout);
    }
    return n_errors == 0;
}

static int run(const struct question *question, const char *verb, const char *service, unsigned n_instances)
{
    if (muster_service_wait(question->service, n_instances, WAIT_MS) != MUSTER_OK) {
        printf("waiting for %s: %s\n", service, muster_error(question->client));
        return 0;
    }
    if (strcmp(verb, "all") == 0)
        return call_all(question);
    if (strcmp(verb, "repeat") == 0)
        return call_again_and_again(question);
    int is_well = 1;
    for (unsigned i = 0; i < n_instances; i++)
        is_well = call(question) && is_well;
    return is_well;
}

int main(int argc, char **argv)
{
    struct question question = {NULL, NULL, NULL, NULL};
    if (argc < 5) {
        fprintf(stderr, "usage: example_caller call|all|repeat SERVICE METHOD PARAMS [N]\n");
        return EXIT_FAILURE;
    }
    question.method = argv[3];
    question.params = argv[4];
    if (muster_client_new(NULL, &question.client) != MUSTER_OK)
        return EXIT_FAILURE;
    int is_well = 0;
    if (muster_follow(question.client, argv[2], &question.service) == MUSTER_OK)
        is_well = run(&question, argv[1], argv[2], argc > 5 ? (unsigned)strtoul(argv[5], NULL, 10) : 1);
    else
        printf("%s\n", muster_error(question.client));
    muster_service_free(question.service);
    muster_client_free(question.client);
    return is_well ? EXIT_SUCCESS : EXIT_FAILURE;
}
