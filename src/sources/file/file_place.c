/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A look lists the names, compares each file's stamp with those of the look before and of the last reading, and reads
 * what is complete. What is not yet is looked at again when it may have settled.
 *
 * A file that cannot be read keeps its entries, and is told once: when its trouble is another one than before.
 */
#include "sources/file/file_place.h"

#include "base/util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ------------------------------------------------------------------------------------------------ stamps */

static bool moments_equal(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool stamps_equal(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           moments_equal(a->modified, b->modified) && moments_equal(a->changed, b->changed);
}

static bool is_there(const struct file_stamp *stamp)
{
    return stamp->inode != 0;
}

static struct file_stamp stamp_of(const struct stat *st)
{
    return (struct file_stamp){st->st_dev, st->st_ino, st->st_size, st->st_mtim, st->st_ctim};
}

/* 0, also when it is not there; or -errno. */
static int take_stamp(const char *path, struct file_stamp *ret_stamp)
{
    struct stat st;
    *ret_stamp = (struct file_stamp){.inode = 0};
    if (stat(path, &st) < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    *ret_stamp = stamp_of(&st);
    return 0;
}

static bool is_link(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

/* ------------------------------------------------------------------------------------------------ items */

static struct file_item *item_of(struct list *link)
{
    return container_of(link, struct file_item, link);
}

/* The first that does not come before that path, or the end. */
static struct list *place_of(struct file_place *place, const char *path)
{
    list_for_each (link, &place->files)
        if (strcmp(item_of(link)->path, path) >= 0)
            return link;
    return &place->files;
}

/* 0, -ENOMEM, or -EFBIG: there are too many. */
static int find_or_add(struct file_place *place, const char *path, struct file_item **ret_item)
{
    struct list *at = place_of(place, path);
    if (at != &place->files && strcmp(item_of(at)->path, path) == 0) {
        *ret_item = item_of(at);
        return 0;
    }
    struct file_item *item = place->n_files < FILE_PLACE_FILES_MAX ? calloc(1, sizeof(*item)) : NULL;
    if (!item)
        return place->n_files < FILE_PLACE_FILES_MAX ? -ENOMEM : -EFBIG;
    item->path = slice_dup(slice_from_str(path));
    if (!item->path) {
        free(item);
        return -ENOMEM;
    }
    list_init(&item->link);
    list_insert_before(at, &item->link);
    place->n_files++;
    *ret_item = item;
    return 0;
}

static void item_free(struct file_place *place, struct file_item *item)
{
    list_remove(&item->link);
    place->n_files--;
    file_entries_deinit(&item->entries);
    free(item->path);
    free(item);
}

/* Words that are new are logged. */
static void set_trouble(const struct file_place *place, struct err *trouble, const struct err *now)
{
    bool is_new = strcmp(trouble->text, now->text) != 0;
    *trouble = *now;
    if (is_new && *now->text)
        log_warn(place->log, "instances of a file cannot be read; those that it had before stay",
                 log_text("what", now->text));
}

/* ------------------------------------------------------------------------------------------------ reading */

static int read_text(int fd, struct buf *text)
{
    for (;;) {
        char *room;
        int r = buf_reserve(text, 64 * 1024, &room);
        ssize_t n = r < 0 ? r : read(fd, room, 64 * 1024);
        if (n <= 0)
            return r < 0 || n == 0 ? r : -errno;
        buf_commit(text, (size_t)n);
    }
}

/* The stamp is of what was read. 0; -EINVAL with words; another -errno, with words but for -ENOMEM. */
static int read_entries(const char *path, struct file_stamp *ret_stamp, struct file_entries *ret_entries,
                        struct err *err)
{
    struct buf text = {.limit = FILE_TEXT_BYTES_MAX + 64 * 1024};
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int r = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;
    if (r == 0)
        r = read_text(fd, &text);
    if (fd >= 0)
        close(fd);
    if (r == -EMSGSIZE)
        r = err_set(err, -EINVAL, "%s: more than the %zu bytes that are accepted", path, FILE_TEXT_BYTES_MAX);
    else if (r < 0 && r != -ENOMEM)
        (void)err_set_errno(err, r, "%s: cannot read", path);
    else if (r == 0)
        r = file_entries_parse(buf_slice(&text), path, ret_entries, err);
    buf_deinit(&text);
    if (r == 0 || r == -EINVAL)
        *ret_stamp = stamp_of(&st);
    return r;
}

/* Whether it has other entries than before. */
static bool read_item(struct file_place *place, struct file_item *item)
{
    struct file_entries entries;
    struct err err = {""};
    int r = read_entries(item->path, &item->read, &entries, &err);
    if (r == -ENOMEM)
        (void)err_set_errno(&err, r, "%s: cannot read", item->path);
    set_trouble(place, &item->trouble, &err);
    item->is_whole = false;
    if (r < 0)
        return false;
    file_entries_deinit(&item->entries);
    item->entries = entries;
    item->is_fresh = true;
    log_info(place->log, "instances are read from a file", log_text("file", item->path), log_int("n", entries.n));
    return true;
}

/* ------------------------------------------------------------------------------------------------ looking */

struct look {
    struct file_place *place;
    bool is_start, is_changed, is_unsettled;
};

static bool is_settled(const struct look *look, struct file_item *item, const struct file_stamp *now)
{
    nsec_t now_ns = loop_now(look->place->loop);
    if (!stamps_equal(&item->seen, now)) {
        item->seen = *now;
        item->seen_ns = now_ns;
    }
    bool leads_elsewhere = item->read.inode != now->inode || item->read.device != now->device;
    return look->is_start || now_ns - item->seen_ns >= look->place->settle_ns ||
           (is_there(now) && (item->is_whole || (leads_elsewhere && is_link(item->path))));
}

/* It may be freed. */
static void look_at_item(struct look *look, struct file_item *item)
{
    struct file_stamp now;
    struct err err = {""};
    int r = take_stamp(item->path, &now);
    if (r < 0) {
        (void)err_set_errno(&err, r, "%s: expected a file that can be read", item->path);
        set_trouble(look->place, &item->trouble, &err);
        item->read = now; /* to be read when it can be */
        return;
    }
    if (is_there(&now) && stamps_equal(&item->read, &now)) {
        item->seen = now;
        item->is_whole = false;
        return;
    }
    bool is_nothing = !is_there(&now) && item->entries.n == 0;
    if (!is_nothing && !is_settled(look, item, &now)) {
        look->is_unsettled = true;
        return;
    }
    if (is_there(&now)) {
        look->is_changed |= read_item(look->place, item);
        return;
    }
    look->is_changed |= item->entries.n > 0;
    item_free(look->place, item);
}

/* Editors' copies and hidden files are none. */
static bool is_wanted(const char *name)
{
    static const char *const ends[] = {".yaml", ".yml", ".json"};
    size_t len = strlen(name);
    for (size_t i = 0; i < ARRAY_LEN(ends) && name[0] != '.'; i++)
        if (len > strlen(ends[i]) && strcmp(name + len - strlen(ends[i]), ends[i]) == 0)
            return true;
    return false;
}

/* 0, -ENOMEM, -EFBIG, -ENAMETOOLONG. */
static int add_name(struct file_place *place, const char *name, struct file_item **ret_item)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof(path), "%s/%s", place->path, name);
    return len < (int)sizeof(path) ? find_or_add(place, path, ret_item) : -ENAMETOOLONG;
}

/* 0; -errno: what is listed is not all. */
static int list_folder(struct file_place *place, DIR *folder)
{
    struct file_item *item;
    for (int r = 0; r == 0;) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (!entry)
            return -errno;
        if (is_wanted(entry->d_name))
            r = add_name(place, entry->d_name, &item);
        if (r < 0)
            return r;
    }
    return 0;
}

static int list_files(struct file_place *place)
{
    struct file_item *item;
    DIR *folder = opendir(place->path);
    if (!folder && errno == ENOTDIR)
        return find_or_add(place, place->path, &item);
    if (!folder)
        return errno == ENOENT ? 0 : -errno;
    int r = list_folder(place, folder);
    closedir(folder);
    return r;
}

/* Also at those that are not listed any more. */
static void look_at_all(struct look *look)
{
    struct file_place *place = look->place;
    struct err err = {""};
    int r = list_files(place);
    if (r == -EFBIG)
        (void)err_set(&err, r, "%s: more than the %d files that are accepted", place->path, FILE_PLACE_FILES_MAX);
    else if (r < 0)
        (void)err_set_errno(&err, r, "%s: cannot read", place->path);
    set_trouble(place, &place->trouble, &err);
    list_for_each (link, &place->files)
        look_at_item(look, item_of(link));
}

/* ------------------------------------------------------------------------------------------------ states */

bool file_place_is_broken(const struct file_place *place)
{
    list_for_each (link, &place->files)
        if (*item_of(link)->trouble.text)
            return true;
    return *place->trouble.text;
}

static void tell_state(struct file_place *place)
{
    struct file_place_state state = {.is_followed = place->watch.is_armed};
    const char *first = *place->trouble.text ? place->trouble.text : NULL;
    unsigned n = first != NULL;
    list_for_each (link, &place->files) {
        const struct file_item *item = item_of(link);
        state.n_files++;
        if (!*item->trouble.text)
            continue;
        state.n_broken++;
        first = first ? first : item->trouble.text;
        n++;
    }
    if (n > 1)
        (void)snprintf(state.trouble, sizeof(state.trouble), "%.450s; and %u more", first, n - 1);
    else
        (void)snprintf(state.trouble, sizeof(state.trouble), "%s", n > 0 ? first : "");
    pthread_mutex_lock(&place->lock);
    state.success_ms = n == 0 ? loop_wall_now(place->loop) / NSEC_PER_MSEC : place->state.success_ms;
    place->state = state;
    pthread_mutex_unlock(&place->lock);
}

void file_place_get_state(struct file_place *place, struct file_place_state *ret_state)
{
    pthread_mutex_lock(&place->lock);
    *ret_state = place->state;
    pthread_mutex_unlock(&place->lock);
}

/* ------------------------------------------------------------------------------------------------ life */

static void look_again(struct file_place *place, bool is_start)
{
    struct look look = {.place = place, .is_start = is_start};
    look_at_all(&look);
    loop_cancel(place->loop, &place->settle);
    if (look.is_unsettled)
        loop_arm(place->loop, &place->settle, loop_now(place->loop) + place->settle_ns);
    tell_state(place);
    if (look.is_changed)
        place->on_change(place);
}

void file_place_look(struct file_place *place, bool is_start)
{
    int r = file_watch_arm(&place->watch);
    if (r < 0)
        log_warn(place->log, "files cannot be watched; they are looked at now and then", log_text("path", place->path),
                 log_text("why", strerror(-r)));
    look_again(place, is_start);
}

static void on_settle(struct timer *timer)
{
    look_again(container_of(timer, struct file_place, settle), false);
}

/* One that there is no room for is told of by the look that follows. */
static void on_name(struct file_watch *watch, const char *name, bool is_whole)
{
    struct file_place *place = container_of(watch, struct file_place, watch);
    const char *slash = strrchr(place->path, '/');
    struct file_item *item;
    int r = -ENOENT;
    if (watch->is_folder && is_wanted(name))
        r = add_name(place, name, &item);
    else if (!watch->is_folder && strcmp(name, slash ? slash + 1 : place->path) == 0)
        r = find_or_add(place, place->path, &item);
    if (r == 0)
        item->is_whole = is_whole;
}

static void on_change(struct file_watch *watch, bool is_elsewhere)
{
    struct file_place *place = container_of(watch, struct file_place, watch);
    if (is_elsewhere)
        file_place_look(place, false);
    else
        look_again(place, false);
}

void file_place_init(struct file_place *place)
{
    static const struct file_watch_events events = {.on_name = on_name, .on_change = on_change};
    place->watch = (struct file_watch){.path = place->path, .loop = place->loop, .events = &events};
    timer_init(&place->settle, on_settle);
    list_init(&place->files);
    pthread_mutex_init(&place->lock, NULL);
}

void file_place_stop(struct file_place *place)
{
    file_watch_disarm(&place->watch);
    loop_cancel(place->loop, &place->settle);
}

void file_place_deinit(struct file_place *place)
{
    list_for_each (link, &place->files)
        item_free(place, item_of(link));
    pthread_mutex_destroy(&place->lock);
}
