/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disk alone: a write of as many bytes as a put has, and an fdatasync. Either the file grows with each, which is
 * what an append is, or it was written over with zeros before, as a log does that means to be fast.
 */
#include "etcd.h"
#include "modes.h"

#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define ZEROED_BYTES (64u << 20)

struct disk {
    int fd;
    off_t at;
};

static void write_at(struct disk *disk, const char *bytes, size_t n)
{
    if (pwrite(disk->fd, bytes, n, disk->at) != (ssize_t)n)
        err(EXIT_FAILURE, "write");
    disk->at += (off_t)n;
}

static void write_zeros(struct disk *disk)
{
    static const char zeros[1u << 20];
    while (disk->at < ZEROED_BYTES)
        write_at(disk, zeros, sizeof(zeros));
    if (fsync(disk->fd) < 0)
        err(EXIT_FAILURE, "fsync");
    disk->at = 0;
}

/* In the working folder, which is where the servers keep their data too; nameless, so that nothing is left behind. */
static void prepare_sync(struct load *load)
{
    struct disk *disk = calloc(1, sizeof(*disk));
    if (!disk)
        errx(EXIT_FAILURE, "out of memory");
    load->state = disk;
    disk->fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (disk->fd < 0)
        err(EXIT_FAILURE, "a file in the working folder");
    if (load->options.zeroed)
        write_zeros(disk);
}

static void turn_sync(struct load *load)
{
    struct disk *disk = load->state;
    size_t n_bytes = KEY_BYTES + load->options.value;
    char *bytes = calloc(1, n_bytes);
    if (!bytes)
        errx(EXIT_FAILURE, "out of memory");
    nsec_t began = now_ns(), until = began + (nsec_t)load->options.ms * NSEC_PER_MSEC;
    for (nsec_t now = began; now < until;) {
        if (load->options.zeroed && disk->at + (off_t)n_bytes > ZEROED_BYTES)
            disk->at = 0;
        write_at(disk, bytes, n_bytes);
        if (fdatasync(disk->fd) < 0)
            err(EXIT_FAILURE, "fdatasync");
        nsec_t end = now_ns();
        samples_add(&load->samples, end - now);
        now = end;
    }
    load_print(load, load->samples.n, now_ns() - began);
    free(bytes);
}

static void end_sync(struct load *load)
{
    struct disk *disk = load->state;
    close(disk->fd);
    free(disk);
}

const struct mode mode_sync = {"sync", prepare_sync, turn_sync, end_sync};
