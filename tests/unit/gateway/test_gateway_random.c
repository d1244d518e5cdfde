/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instances and clients that do anything at any time. Whatever happens:
 *
 * - no byte of one request is ever on a connection when another one is sent on it, nor of one answer (the kit looks);
 * - what must not be repeated reaches an instance once at most;
 * - each client gets an answer, or sees that it broke off;
 * - at the end nothing is under way, and nothing is kept.
 */
#include "support/gateway_kit.h"
#include "support/test.h"

#include <stdlib.h>

#define MS NSEC_PER_MSEC

#define CLIENTS 12
#define STEPS   1500

struct player {
    struct kit_client *client; /* NULL: not there */
    bool is_asking, is_post;
};

struct game {
    struct gateway_kit kit;
    uint64_t random;
    unsigned number; /* of the last request */
    struct player players[CLIENTS];
    bool is_post[KIT_NUMBERS_MAX];
    bool is_there[KIT_INSTANCES_MAX];
    unsigned n_answers[600];
};

static unsigned draw(struct game *game, unsigned n)
{
    return (unsigned)(test_random(&game->random) % n);
}

static void look(struct game *game, struct player *player)
{
    if (!player->client || !player->is_asking)
        return;
    unsigned status = kit_client_status(player->client);
    if (status == 0 && !player->client->is_ended)
        return;
    expect_true(status == 0 || status == 200 || status == 502 || status == 503 || status == 504);
    game->n_answers[status]++;
    player->is_asking = false;
    if (!player->client->is_ended && draw(game, 8) > 0)
        return;
    kit_client_close(TAKE(player->client));
}

static void move_player(struct game *game, struct player *player)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "POST", "DELETE", "GET"};
    if (!player->client)
        player->client = kit_client_open(&game->kit);
    if (player->is_asking) {
        if (draw(game, 60) > 0)
            return;
        kit_client_close(TAKE(player->client)); /* it has had enough */
        player->is_asking = false;
        return;
    }
    unsigned method = draw(game, ARRAY_LEN(methods));
    int n_body = methods[method][0] == 'P' ? (int)draw(game, draw(game, 2) ? 60000 : 200) : 0;
    game->number++;
    game->is_post[game->number] = strcmp(methods[method], "POST") == 0;
    kit_client_ask(player->client, methods[method], game->number, draw(game, 2) ? n_body : -n_body);
    player->is_asking = true;
}

static void move_instance(struct game *game, unsigned i)
{
    static const enum kit_how hows[] = {KIT_OK, KIT_OK, KIT_RANDOM, KIT_LATE, KIT_LIAR, KIT_RUDE, KIT_BREAK, KIT_EARLY};
    struct kit_instance *instance = &game->kit.instances[i];
    switch (draw(game, 6)) {
    case 0:
        kit_instance_kill(instance);
        break;
    case 1:
        instance->door = KIT_OPEN;
        break;
    case 2:
        kit_instance_freeze(instance, !instance->is_frozen);
        break;
    case 3:
        if (game->is_there[i])
            kit_instance_remove(instance);
        else
            kit_instance_register(instance);
        game->is_there[i] = !game->is_there[i];
        break;
    default:
        instance->how = hows[draw(game, ARRAY_LEN(hows))];
        instance->late_ns = draw(game, 300) * MS;
        break;
    }
}

static void begin(struct game *game)
{
    static const size_t pieces[] = {1, 700, 3, 5000, 0};
    gateway_kit_prepare(&game->kit, 3);
    game->kit.random = game->random;
    game->kit.settings.policy.timeout_ns = 3000 * MS;
    game->kit.settings.policy.n_in_flight_max = draw(game, 2) ? 6 : 0;
    game->kit.settings.first_byte_timeout_ns = 1000 * MS;
    game->kit.settings.connect_timeout_ns = 100 * MS;
    game->kit.settings.retry_percent = 100;
    game->kit.settings.prove = draw(game, 4) > 0;
    if (draw(game, 2)) {
        game->kit.network.to_a.pieces = game->kit.network.to_b.pieces = pieces;
        game->kit.network.to_b.window_bytes = 3000;
    }
    expect_int(gateway_kit_start(&game->kit), 0);
    for (unsigned i = 0; i < KIT_INSTANCES_MAX; i++)
        game->is_there[i] = i < game->kit.n_instances;
}

static void calm_down(struct game *game)
{
    for (unsigned i = 0; i < game->kit.n_instances; i++) {
        game->kit.instances[i].how = KIT_OK;
        game->kit.instances[i].door = KIT_OPEN;
        kit_instance_freeze(&game->kit.instances[i], false);
    }
    gateway_kit_run_for(&game->kit, 35000 * MS);
    for (unsigned i = 0; i < CLIENTS; i++)
        look(game, &game->players[i]);
}

static void play(uint64_t seed)
{
    struct game *game = calloc(1, sizeof(*game));
    expect_true(game);
    game->random = seed;
    begin(game);
    for (unsigned step = 0; step < STEPS && game->number + 1 < KIT_NUMBERS_MAX; step++) {
        struct player *player = &game->players[draw(game, CLIENTS)];
        look(game, player);
        move_player(game, player);
        if (draw(game, 12) == 0)
            move_instance(game, draw(game, game->kit.n_instances));
        gateway_kit_run_for(&game->kit, (nsec_t)draw(game, 8) * MS);
    }
    calm_down(game);
    for (unsigned i = 0; i < CLIENTS; i++)
        expect_false(game->players[i].is_asking);
    for (unsigned number = 1; number <= game->number; number++)
        expect_true(!game->is_post[number] || game->kit.n_seen[number] <= 1);
    expect_true(game->n_answers[200] > game->number / 10);
    gateway_kit_deinit(&game->kit);
    free(game);
}

static void whatever_happens(void)
{
    uint64_t seed = test_seed();
    for (unsigned round = 0; round < 6; round++)
        play(test_random(&seed));
}

static const struct test_case cases[] = {
    {"whatever happens, no request meets another one, and none is lost", whatever_happens},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
