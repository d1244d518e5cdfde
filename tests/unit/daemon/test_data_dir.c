/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/data_dir.h"

#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void clear_environment(void)
{
    unsetenv("STATE_DIRECTORY");
    unsetenv("XDG_STATE_HOME");
    unsetenv("HOME");
}

static void the_place_follows_the_standards(void)
{
    char path[100];
    clear_environment();
    expect_int(data_dir_choose(path, sizeof(path)), 0);
    expect_str(path, "/var/lib/muster");
    setenv("HOME", "/home/ada", 1);
    expect_int(data_dir_choose(path, sizeof(path)), 0);
    expect_str(path, "/home/ada/.local/state/muster");
    setenv("XDG_STATE_HOME", "relative/is/ignored", 1);
    expect_int(data_dir_choose(path, sizeof(path)), 0);
    expect_str(path, "/home/ada/.local/state/muster");
    setenv("XDG_STATE_HOME", "/state", 1);
    expect_int(data_dir_choose(path, sizeof(path)), 0);
    expect_str(path, "/state/muster");
    setenv("STATE_DIRECTORY", "/var/lib/muster-a:/var/lib/other", 1);
    expect_int(data_dir_choose(path, sizeof(path)), 0);
    expect_str(path, "/var/lib/muster-a");
    expect_int(data_dir_choose(path, 4), -ENAMETOOLONG);
}

/* A fresh folder for a test; the name is static. */
static const char *make_place(void)
{
    static char place[] = "/tmp/muster-data-XXXXXX";
    expect_true(mkdtemp(place) != NULL);
    return place;
}

/* Removes a data folder and those around it that were made for it. */
static void remove_places(char *path)
{
    char lock[128];
    snprintf(lock, sizeof(lock), "%s/lock", path);
    expect_int(unlink(lock), 0);
    while (strcmp(path, "/tmp") != 0) {
        expect_int(rmdir(path), 0);
        *strrchr(path, '/') = '\0';
    }
}

static void it_is_made_for_its_user_only(void)
{
    char path[100];
    struct stat status;
    struct data_dir *dir = NULL;
    snprintf(path, sizeof(path), "%s/a/b", make_place());
    expect_int(data_dir_open(path, &dir, NULL), 0);
    expect_str(data_dir_path(dir), path);
    expect_int(stat(path, &status), 0);
    expect_int(status.st_mode & 0777, 0700);
    data_dir_close(dir);
    remove_places(path);
}

static void a_second_process_is_told_who_has_it(void)
{
    char path[100], expected[256];
    struct data_dir *dir = NULL, *second = NULL;
    struct err err = {""};
    snprintf(path, sizeof(path), "%s/data", make_place());
    expect_int(data_dir_open(path, &dir, NULL), 0);
    expect_int(data_dir_open(path, &second, &err), -EBUSY);
    snprintf(expected, sizeof(expected), "the data folder %s is in use by process %ld; expected a folder of its own",
             path, (long)getpid());
    expect_str(err.text, expected);
    data_dir_close(dir);
    expect_int(data_dir_open(path, &second, &err), 0);
    data_dir_close(second);
    remove_places(path);
}

static void the_lock_ends_with_the_process(void)
{
    char path[100];
    struct data_dir *dir = NULL;
    int status;
    snprintf(path, sizeof(path), "%s/data", make_place());
    pid_t pid = fork();
    if (pid == 0)
        _exit(data_dir_open(path, &dir, NULL) == 0 ? 0 : 1); /* without closing it */
    expect_true(waitpid(pid, &status, 0) == pid && status == 0);
    expect_int(data_dir_open(path, &dir, NULL), 0);
    data_dir_close(dir);
    remove_places(path);
}

static void a_bad_place_is_told(void)
{
    struct data_dir *dir = NULL;
    struct err err = {""};
    expect_int(data_dir_open("/dev/null/data", &dir, &err), -ENOTDIR);
    expect_str(err.text, "cannot make the data folder /dev/null/data: Not a directory");
}

static const struct test_case cases[] = {
    {"the place follows the standards of systemd and XDG", the_place_follows_the_standards},
    {"the folder is made for its user only", it_is_made_for_its_user_only},
    {"a second process is told who has it", a_second_process_is_told_who_has_it},
    {"the lock ends with the process, however that ends", the_lock_ends_with_the_process},
    {"a place where none can be is told", a_bad_place_is_told},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
