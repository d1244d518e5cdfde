/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as what an engine answers: as a description of a container, whose offers are within the limits and can be
 * read again; as a list; as a stream of events, which means the same however it is cut.
 */
#include "sources/docker/docker_offer.h"

#include <errno.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_container(struct slice bytes)
{
    const struct docker_rules rules = {.host = SLICE_LIT("127.0.0.1")};
    struct arena arena = {0};
    struct docker_container container;
    struct docker_offers offers;
    struct err err = {""};
    int r = docker_container_parse(bytes, &arena, &container, &err);
    if (r == -EINVAL && err.text[0] == '\0')
        abort();
    if (r == 0)
        r = docker_offer_list(&container, &rules, DOCKER_ADDRESS_PROBE, &arena, &offers, &err);
    for (unsigned i = 0; r == 0 && i < offers.n; i++) {
        const struct docker_offer *offer = &offers.list[i];
        if (offer->record.port == 0 || instance_record_check_names(offer->service, offer->id, NULL) < 0)
            abort();
    }
    arena_deinit(&arena);
}

static void try_list(struct slice bytes)
{
    struct buf ids = {0};
    if (docker_list_parse(bytes, &ids, NULL) == 0 && ids.len % (DOCKER_ID_LEN + 1) != 0)
        abort();
    buf_deinit(&ids);
}

static void note(void *ctx, const struct docker_event *event)
{
    buf_printf(ctx, "%d %s %s\n", event->kind, event->id, event->words);
}

static void hear(struct slice bytes, size_t piece, struct buf *heard)
{
    struct docker_event_stream stream = {.is_too_long = false};
    while (bytes.len > 0) {
        size_t n = min_size(piece, bytes.len);
        docker_event_stream_feed(&stream, slice_from(bytes.ptr, n), note, heard);
        bytes = slice_skip(bytes, n);
    }
    docker_event_stream_deinit(&stream);
}

/* Objects are told the same in one piece and byte by byte; what is none ends with its piece. */
static void try_events(struct slice bytes)
{
    struct buf whole = {0}, cut = {0};
    hear(bytes, bytes.len, &whole);
    hear(bytes, 1, &cut);
    if (slice_starts_with(bytes, SLICE_LIT("{")) && whole.len > cut.len)
        abort();
    buf_deinit(&whole);
    buf_deinit(&cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = slice_from(data, size);
    try_container(bytes);
    try_list(bytes);
    if (size > 0)
        try_events(bytes);
    return 0;
}
