/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads PEM files. What is usually wrong with such a file (it is missing, empty, a folder, of the other kind, or its
 * key has a passphrase) is found out here and said, because OpenSSL answers most of it with "no start line".
 */
#include "io/tls_pem.h"

#include "io/tls_error.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void bio_freep(BIO **bio)
{
    BIO_free(*bio);
}

static int check_file(int fd, const char *file, struct err *err)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return err_set_errno(err, -errno, "%s", file);
    if (S_ISDIR(status.st_mode))
        return err_set(err, -EISDIR, "%s: is a directory, not a PEM file", file);
    if (S_ISREG(status.st_mode) && status.st_size == 0)
        return err_set(err, -EINVAL, "%s: is empty", file);
    return 0;
}

static int open_pem(const char *file, BIO **ret_bio, struct err *err)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, -errno, "%s", file);
    int result = check_file(fd, file, err);
    FILE *stream = result == 0 ? fdopen(fd, "r") : NULL;
    if (!stream) {
        close(fd);
        return result < 0 ? result : err_set_errno(err, -ENOMEM, "%s", file);
    }
    BIO *bio = BIO_new_fp(stream, BIO_CLOSE);
    if (!bio) {
        fclose(stream);
        return tls_error_take(err, file);
    }
    *ret_bio = bio;
    return 0;
}

void tls_pem_free_certs(STACK_OF(X509) * certs)
{
    sk_X509_pop_free(certs, X509_free);
}

static void free_certsp(STACK_OF(X509) * *certs)
{
    tls_pem_free_certs(*certs);
}

/* Reading went well when it stopped because there is no further "BEGIN CERTIFICATE". */
static bool is_at_end(void)
{
    unsigned long code = ERR_peek_last_error();
    return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

int tls_pem_read_certs(const char *file, STACK_OF(X509) * *ret_certs, struct err *err)
{
    CLEANUP(bio_freep) BIO *bio = NULL;
    int result = open_pem(file, &bio, err);
    if (result < 0)
        return result;

    CLEANUP(free_certsp) STACK_OF(X509) *certs = sk_X509_new_null();
    if (!certs)
        return tls_error_take(err, file);
    ERR_clear_error();
    X509 *cert = NULL;
    while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        if (!sk_X509_push(certs, cert)) {
            X509_free(cert);
            return tls_error_take(err, file);
        }
    }
    int n_certs = sk_X509_num(certs);
    bool is_whole = is_at_end();
    ERR_clear_error();
    if (!is_whole)
        return err_set(err, -EINVAL, "%s: certificate number %d is damaged", file, n_certs + 1);
    if (n_certs == 0)
        return err_set(err, -EINVAL, "%s: holds no certificate in PEM form", file);
    *ret_certs = TAKE(certs);
    return 0;
}

/* Without a callback of ours OpenSSL would ask on the terminal. */
static int refuse_passphrase(char *text, int size, int is_writing, void *ctx)
{
    (void)is_writing;
    if (size > 0)
        text[0] = '\0';
    *(bool *)ctx = true;
    return -1;
}

int tls_pem_read_key(const char *file, EVP_PKEY **ret_key, struct err *err)
{
    CLEANUP(bio_freep) BIO *bio = NULL;
    int result = open_pem(file, &bio, err);
    if (result < 0)
        return result;

    bool has_passphrase = false;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, &has_passphrase);
    /* OpenSSL tries several decoders, and what each had to say stays in the queue even when one succeeds. */
    ERR_clear_error();
    if (key) {
        *ret_key = key;
        return 0;
    }
    if (has_passphrase)
        return err_set(err, -EINVAL, "%s: the private key is protected by a passphrase; it must be given without",
                       file);
    return err_set(err, -EINVAL, "%s: holds no private key in PEM form", file);
}
