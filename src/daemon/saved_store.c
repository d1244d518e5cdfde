/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/saved_store.h"

#include "base/le.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR_BYTES 512
#define HEAD_BYTES   24

/* What begins a snapshot, and what a database of bbolt has behind the 16 bytes of its first page's head. */
static const char magic[] = "muster-s";
#define BBOLT_OFFSET 16
#define BBOLT_MAGIC  0xed0cdaedU

/* All of it: 0; -EBADMSG: the file is shorter; -errno. */
static int read_at(int fd, uint64_t offset, char *ret_bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = pread(fd, ret_bytes, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EBADMSG;
        ret_bytes += n;
        offset += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

static int check_magic(int fd, const char *name, struct err *err)
{
    char head[HEAD_BYTES];
    int r = read_at(fd, 0, head, sizeof(head));
    if (r < 0 && r != -EBADMSG)
        return err_set_errno(err, r, "%s", name);
    if (r == 0 && memcmp(head, magic, strlen(magic)) == 0)
        return 0;
    if (r == 0 && get_le32(head + BBOLT_OFFSET) == BBOLT_MAGIC)
        return err_set(err, -EBADMSG,
                       "%s is a database of etcd, which muster cannot read: `etcdctl make-mirror` copies the keys of a "
                       "running etcd",
                       name);
    return err_set(err, -EBADMSG, "%s is no snapshot that muster made", name);
}

/* The SHA-256 of the first n_bytes. 0 or -errno. */
static int hash(int fd, uint64_t n_bytes, unsigned char ret_digest[SHA256_DIGEST_LENGTH])
{
    char piece[64 * 1024];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int r = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 ? 0 : -ENOMEM;
    for (uint64_t offset = 0; r == 0 && offset < n_bytes; offset += sizeof(piece)) {
        size_t len = (size_t)min_size(n_bytes - offset, sizeof(piece));
        r = read_at(fd, offset, piece, len);
        if (r == 0 && EVP_DigestUpdate(context, piece, len) != 1)
            r = -ENOMEM;
    }
    if (r == 0 && EVP_DigestFinal_ex(context, ret_digest, NULL) != 1)
        r = -ENOMEM;
    EVP_MD_CTX_free(context);
    return r;
}

int saved_store_measure(int fd, const char *name, uint64_t *ret_bytes, struct err *err)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return err_set_errno(err, -errno, "%s", name);
    if (!S_ISREG(status.st_mode))
        return err_set(err, -EINVAL, "%s is not a file", name);
    int r = check_magic(fd, name, err);
    if (r < 0)
        return r;
    uint64_t n_bytes = (uint64_t)status.st_size;
    *ret_bytes = n_bytes;
    if (n_bytes % SECTOR_BYTES != SHA256_DIGEST_LENGTH)
        return 0;
    unsigned char digest[SHA256_DIGEST_LENGTH];
    char told[SHA256_DIGEST_LENGTH];
    r = hash(fd, n_bytes - sizeof(told), digest);
    if (r == 0)
        r = read_at(fd, n_bytes - sizeof(told), told, sizeof(told));
    if (r < 0)
        return err_set_errno(err, r, "%s", name);
    if (memcmp(told, digest, sizeof(told)) == 0) /* else those are bytes of the snapshot, or its checksums will tell */
        *ret_bytes = n_bytes - sizeof(told);
    return 0;
}

int saved_store_open_nameless(struct err *err)
{
    char path[PATH_MAX];
    const char *folder = getenv("TMPDIR");
    if (!folder || !*folder)
        folder = "/tmp";
    if ((size_t)snprintf(path, sizeof(path), "%s/muster-XXXXXX", folder) >= sizeof(path))
        return err_set_errno(err, -ENAMETOOLONG, "%s", folder);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, -errno, "a file in %s for the copy", folder);
    (void)unlink(path);
    return fd;
}

int saved_store_write(int fd, struct slice bytes)
{
    while (!slice_is_empty(bytes)) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno != EINTR)
            return -errno;
        bytes = slice_skip(bytes, n > 0 ? (size_t)n : 0);
    }
    return 0;
}
