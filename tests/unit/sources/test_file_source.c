/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source with real files and the kernel's inotify, a curator and a store, in virtual time: what the test does to
 * its files the kernel tells at once.
 */
#include "sources/file/file_priv.h"
#include "support/registry_kit.h"
#include "support/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define S  NSEC_PER_SEC
#define MS NSEC_PER_MSEC

#define WEB "- {service: web, id: w1, address: '10.0.0.1:80'}\n"
#define DB  "- {service: db, id: d1, address: '10.0.0.2:80'}\n"

struct fixture {
    struct registry_kit kit;
    char root[32];
    struct file_source *source;
};

/* ------------------------------------------------------------------------------------------------ files */

/* "FORMAT" below the fixture's folder. Valid until the fourth call after it. */
static const char *at(const struct fixture *fixture, const char *name)
{
    static char paths[4][256];
    static unsigned i;
    char *path = paths[i++ % ARRAY_LEN(paths)];
    (void)snprintf(path, sizeof(paths[0]), "%s/%s", fixture->root, name);
    return path;
}

static int open_new(const struct fixture *fixture, const char *name)
{
    int fd = open(at(fixture, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    expect_true(fd >= 0);
    return fd;
}

static void put(int fd, const char *text)
{
    expect_int(write(fd, text, strlen(text)), strlen(text));
}

/* In place. */
static void save(const struct fixture *fixture, const char *name, const char *text)
{
    int fd = open_new(fixture, name);
    put(fd, text);
    close(fd);
}

static void move(const struct fixture *fixture, const char *from, const char *to)
{
    expect_int(rename(at(fixture, from), at(fixture, to)), 0);
}

static void make_folder(const struct fixture *fixture, const char *name)
{
    expect_int(mkdir(at(fixture, name), 0777), 0);
}

static void make_link(const struct fixture *fixture, const char *target, const char *name)
{
    expect_int(symlink(target, at(fixture, name)), 0);
}

static void drop(const struct fixture *fixture, const char *name)
{
    expect_int(remove(at(fixture, name)), 0);
}

/* ------------------------------------------------------------------------------------------------ the source */

static void run(struct fixture *fixture, nsec_t duration_ns)
{
    sim_run_for(fixture->kit.sim, duration_ns);
}

static void start_source(struct fixture *fixture, const char *first, const char *second)
{
    const struct slice paths[] = {slice_from_str(at(fixture, first)),
                                  second ? slice_from_str(at(fixture, second)) : (struct slice){0}};
    struct file_source_options options;
    file_source_options_init(&options);
    options.paths = paths;
    options.n_paths = *first ? second ? 2 : 1 : 0;
    expect_int(
        file_source_new_on(&options, fixture->kit.loop, fixture->kit.curator, fixture->kit.log, &fixture->source), 0);
    expect_int(file_source_part(fixture->source)->start(file_source_part(fixture->source), NULL), 0);
    run(fixture, 0);
}

static void stop_source(struct fixture *fixture)
{
    file_source_part(fixture->source)->stop(file_source_part(fixture->source));
    run(fixture, 0);
    file_source_free(TAKE(fixture->source));
}

static void fixture_init(struct fixture *fixture)
{
    registry_kit_init(&fixture->kit, true);
    (void)snprintf(fixture->root, sizeof(fixture->root), "/tmp/muster-files-XXXXXX");
    expect_true(mkdtemp(fixture->root) != NULL);
    make_folder(fixture, "d");
}

static void fixture_deinit(struct fixture *fixture)
{
    char command[64];
    stop_source(fixture);
    registry_kit_deinit(&fixture->kit);
    (void)snprintf(command, sizeof(command), "rm -r %s", fixture->root);
    expect_int(system(command), 0);
}

static bool has(const struct fixture *fixture, const char *service, const char *id)
{
    return registry_kit_find(&fixture->kit, service, id);
}

static struct file_source_stats stats_of(const struct fixture *fixture, unsigned i)
{
    struct file_source_stats stats;
    file_source_get_stats(fixture->source, i, &stats);
    return stats;
}

static void expect_trouble(const struct fixture *fixture, const char *name, const char *words)
{
    char expected[ERR_TEXT_MAX];
    (void)snprintf(expected, sizeof(expected), "%s%s", at(fixture, name), words);
    expect_str(stats_of(fixture, 0).trouble, expected);
}

/* ------------------------------------------------------------------------------------------------ following */

static void entries_come_and_go(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    save(&fixture, "d/a.yaml", WEB DB);
    start_source(&fixture, "d", NULL);
    expect_true(has(&fixture, "web", "w1") && has(&fixture, "db", "d1"));
    expect_int(stats_of(&fixture, 0).n_instances, 2);
    expect_slice(registry_kit_find(&fixture.kit, "web", "w1")->record.origin, "file");
    save(&fixture, "d/a.yaml", DB);
    run(&fixture, 0);
    expect_true(!has(&fixture, "web", "w1") && has(&fixture, "db", "d1"));
    save(&fixture, "d/b.json", "{\"service\": \"web\", \"id\": \"w1\", \"address\": \"10.0.0.1:81\"}");
    run(&fixture, 0);
    expect_slice(registry_kit_find(&fixture.kit, "web", "w1")->record.address, "10.0.0.1:81");
    save(&fixture, "d/b.json", "{\"service\": \"web\", \"id\": \"w1\", \"address\": \"10.0.0.1:82\"}");
    run(&fixture, 0);
    expect_slice(registry_kit_find(&fixture.kit, "web", "w1")->record.address, "10.0.0.1:82");
    drop(&fixture, "d/b.json");
    run(&fixture, 999 * MS);
    expect_true(has(&fixture, "web", "w1"));
    run(&fixture, 2 * MS);
    expect_false(has(&fixture, "web", "w1"));
    expect_true(has(&fixture, "db", "d1"));
    expect_int(stats_of(&fixture, 0).n_drifts, 0);
    fixture_deinit(&fixture);
}

static void names_that_are_none(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    start_source(&fixture, "d", NULL);
    save(&fixture, "d/.a.yaml", WEB);
    save(&fixture, "d/a.yaml~", WEB);
    save(&fixture, "d/.a.yaml.swp", WEB);
    save(&fixture, "d/a.txt", WEB);
    run(&fixture, 2 * S);
    expect_false(has(&fixture, "web", "w1"));
    expect_int(stats_of(&fixture, 0).n_files, 0);
    fixture_deinit(&fixture);
}

static void a_file_is_read_when_it_is_complete(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    save(&fixture, "d/a.yaml", WEB DB);
    start_source(&fixture, "d", NULL);
    int fd = open_new(&fixture, "d/a.yaml"); /* empty for now */
    save(&fixture, "d/b.yaml", "[]");        /* looked at */
    run(&fixture, 500 * MS);
    put(fd, DB);
    save(&fixture, "d/b.yaml", "[]");
    run(&fixture, 900 * MS);
    expect_true(has(&fixture, "web", "w1"));
    put(fd, WEB);
    close(fd);
    run(&fixture, 0);
    expect_true(has(&fixture, "web", "w1") && has(&fixture, "db", "d1"));
    fd = open_new(&fixture, "d/a.yaml");
    put(fd, DB);
    run(&fixture, 33 * S); /* its writer hangs: what is there counts */
    expect_true(!has(&fixture, "web", "w1") && has(&fixture, "db", "d1"));
    close(fd);
    fixture_deinit(&fixture);
}

static void as_editors_save(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    save(&fixture, "d/a.yaml", WEB);
    start_source(&fixture, "d", NULL);
    move(&fixture, "d/a.yaml", "d/a.yaml~"); /* a backup is made, … */
    run(&fixture, 100 * MS);
    expect_true(has(&fixture, "web", "w1"));
    save(&fixture, "d/a.yaml", WEB DB); /* … and the file is written anew */
    run(&fixture, 0);
    expect_true(has(&fixture, "web", "w1") && has(&fixture, "db", "d1"));
    save(&fixture, "d/.tmp", DB); /* a copy is moved over it */
    move(&fixture, "d/.tmp", "d/a.yaml");
    run(&fixture, 0);
    expect_true(!has(&fixture, "web", "w1") && has(&fixture, "db", "d1"));
    run(&fixture, 5 * S);
    expect_true(has(&fixture, "db", "d1"));
    fixture_deinit(&fixture);
}

static void as_config_maps_change(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    make_folder(&fixture, "d/..1");
    make_folder(&fixture, "d/..2");
    save(&fixture, "d/..1/a.yaml", WEB);
    save(&fixture, "d/..2/a.yaml", DB);
    make_link(&fixture, "..1", "d/..data");
    make_link(&fixture, "..data/a.yaml", "d/a.yaml");
    start_source(&fixture, "d", "d/a.yaml"); /* by the folder, and by the file */
    expect_true(has(&fixture, "web", "w1"));
    make_link(&fixture, "..2", "d/..data_tmp");
    move(&fixture, "d/..data_tmp", "d/..data");
    run(&fixture, 0);
    expect_true(!has(&fixture, "web", "w1") && has(&fixture, "db", "d1"));
    expect_int(stats_of(&fixture, 0).n_instances, 1);
    expect_int(stats_of(&fixture, 1).n_instances, 0); /* the first has it */
    fixture_deinit(&fixture);
}

static void a_path_that_comes_later(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    start_source(&fixture, "x/y/files", "x/one.yaml");
    make_folder(&fixture, "x");
    run(&fixture, 0);
    save(&fixture, "x/one.yaml", DB);
    run(&fixture, 0);
    expect_true(has(&fixture, "db", "d1"));
    make_folder(&fixture, "x/y");
    make_folder(&fixture, "x/y/files");
    save(&fixture, "x/y/files/a.yaml", WEB); /* before anybody watches: it settles */
    run(&fixture, 1001 * MS);
    expect_true(has(&fixture, "web", "w1"));
    save(&fixture, "x/y/files/a.yaml", "[]");
    run(&fixture, 0);
    expect_false(has(&fixture, "web", "w1"));
    fixture_deinit(&fixture);
}

static void a_folder_behind_a_link(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    make_folder(&fixture, "1");
    make_folder(&fixture, "2");
    save(&fixture, "1/a.yaml", WEB);
    save(&fixture, "2/b.yaml", DB);
    make_link(&fixture, "1", "now");
    start_source(&fixture, "now", NULL);
    expect_true(has(&fixture, "web", "w1"));
    make_link(&fixture, "2", "then");
    move(&fixture, "then", "now");
    run(&fixture, 1001 * MS);
    expect_true(!has(&fixture, "web", "w1") && has(&fixture, "db", "d1"));
    save(&fixture, "2/b.yaml", WEB);
    run(&fixture, 0);
    expect_true(has(&fixture, "web", "w1") && !has(&fixture, "db", "d1"));
    move(&fixture, "2", "3");
    run(&fixture, 1001 * MS);
    expect_false(has(&fixture, "web", "w1"));
    fixture_deinit(&fixture);
}

/* ------------------------------------------------------------------------------------------------ faults */

static void a_broken_file_keeps_its_last_good_state(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    save(&fixture, "d/a.yaml", WEB);
    save(&fixture, "d/b.yaml", "[]");
    start_source(&fixture, "d", NULL);
    expect_str(stats_of(&fixture, 0).trouble, "");
    save(&fixture, "d/a.yaml", "- {service: web, adress: x}\n");
    save(&fixture, "d/b.yaml", DB);
    run(&fixture, 0);
    expect_true(has(&fixture, "web", "w1") && has(&fixture, "db", "d1"));
    expect_trouble(&fixture, "d/a.yaml", ":1:18: \"adress\" is no member of an instance, did you mean \"address\"?");
    expect_int(stats_of(&fixture, 0).n_broken, 1);
    int64_t success_ms = stats_of(&fixture, 0).success_ms;
    save(&fixture, "d/b.yaml", "");
    run(&fixture, 40 * S);
    expect_true(has(&fixture, "web", "w1") && has(&fixture, "db", "d1"));
    expect_trouble(&fixture, "d/a.yaml",
                   ":1:18: \"adress\" is no member of an instance, did you mean \"address\"?; and 1 more");
    expect_int(stats_of(&fixture, 0).success_ms, success_ms);
    save(&fixture, "d/a.yaml", "[]");
    save(&fixture, "d/b.yaml", "[]");
    run(&fixture, 0);
    expect_true(!has(&fixture, "web", "w1") && !has(&fixture, "db", "d1"));
    expect_str(stats_of(&fixture, 0).trouble, "");
    fixture_deinit(&fixture);
}

static void what_is_no_file(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    make_folder(&fixture, "d/a.yaml");
    expect_int(mkfifo(at(&fixture, "d/b.yaml"), 0666), 0);
    start_source(&fixture, "d", NULL);
    expect_trouble(&fixture, "d/a.yaml", ": expected a file that can be read: Is a directory; and 1 more");
    drop(&fixture, "d/a.yaml");
    drop(&fixture, "d/b.yaml");
    run(&fixture, 0);
    expect_str(stats_of(&fixture, 0).trouble, "");
    fixture_deinit(&fixture);
}

static void one_instance_in_two_files(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    save(&fixture, "d/b.yaml", "- {service: web, id: w1, address: '10.0.0.9:80'}\n");
    start_source(&fixture, "d", NULL);
    expect_slice(registry_kit_find(&fixture.kit, "web", "w1")->record.address, "10.0.0.9:80");
    save(&fixture, "d/a.yaml", WEB);
    run(&fixture, 0);
    expect_slice(registry_kit_find(&fixture.kit, "web", "w1")->record.address, "10.0.0.1:80");
    drop(&fixture, "d/a.yaml");
    run(&fixture, 1001 * MS);
    expect_slice(registry_kit_find(&fixture.kit, "web", "w1")->record.address, "10.0.0.9:80");
    fixture_deinit(&fixture);
}

/* ------------------------------------------------------------------------------------------------ the catalogue */

static void after_a_restart(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    save(&fixture, "d/a.yaml", WEB);
    save(&fixture, "d/b.yaml", DB);
    start_source(&fixture, "d", NULL);
    registry_kit_ask(&fixture.kit, "web", "other", "10.0.0.3:80");
    stop_source(&fixture);
    expect_true(has(&fixture, "web", "w1") && has(&fixture, "db", "d1"));
    save(&fixture, "d/a.yaml", "[]");
    save(&fixture, "d/b.yaml", "[");
    start_source(&fixture, "d", NULL);
    expect_true(has(&fixture, "web", "w1") && has(&fixture, "db", "d1")); /* one may be that of the broken file */
    save(&fixture, "d/b.yaml", DB);
    run(&fixture, 0);
    expect_true(!has(&fixture, "web", "w1") && has(&fixture, "db", "d1"));
    stop_source(&fixture);
    start_source(&fixture, "", NULL); /* no files any more */
    expect_false(has(&fixture, "db", "d1"));
    expect_true(has(&fixture, "web", "other"));
    fixture_deinit(&fixture);
}

static void who_is_removed_by_hand_comes_back(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    save(&fixture, "d/a.yaml", WEB);
    start_source(&fixture, "d", NULL);
    registry_kit_ask(&fixture.kit, "web", "w1", NULL);
    expect_false(has(&fixture, "web", "w1"));
    run(&fixture, 31 * S);
    expect_true(has(&fixture, "web", "w1"));
    expect_int(stats_of(&fixture, 0).n_drifts, 1);
    fixture_deinit(&fixture);
}

static void what_others_took_over_is_theirs(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    save(&fixture, "d/a.yaml", WEB);
    start_source(&fixture, "d", NULL);
    registry_kit_ask(&fixture.kit, "web", "w1", "10.0.0.7:80");
    save(&fixture, "d/a.yaml", "[]");
    run(&fixture, 0);
    expect_slice(registry_kit_find(&fixture.kit, "web", "w1")->record.address, "10.0.0.7:80");
    fixture_deinit(&fixture);
}

static const struct test_case cases[] = {
    {"entries come, change and go with their file", entries_come_and_go},
    {"editors' copies and hidden files are none", names_that_are_none},
    {"a file is read when it is complete", a_file_is_read_when_it_is_complete},
    {"files are saved as editors do it", as_editors_save},
    {"files change as Kubernetes' config maps do", as_config_maps_change},
    {"a path that does not exist yet is found", a_path_that_comes_later},
    {"a folder behind a link is followed", a_folder_behind_a_link},
    {"a broken file keeps its last good state, each for itself", a_broken_file_keeps_its_last_good_state},
    {"folders and pipes are no files", what_is_no_file},
    {"of two files with one instance the first has it", one_instance_in_two_files},
    {"after a restart those that no file has are removed, when all can be read", after_a_restart},
    {"who is removed by hand comes back, as drift", who_is_removed_by_hand_comes_back},
    {"what others took over stays when its entry goes", what_others_took_over_is_theirs},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
