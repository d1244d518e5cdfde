/* SPDX-License-Identifier: Apache-2.0 */
#include "support/certs.h"

#include "support/test.h"

#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_PATHS     64
#define DAYS_DEFAULT  30
#define SECONDS_A_DAY (24L * 60 * 60)

struct certs {
    char folder[32];
    X509 *cert;
    EVP_PKEY *key;
    unsigned n_paths;
    char *paths[MAX_PATHS]; /* the first is the authority's */
    bool is_intermediate;
};

/* The next file; it is open for writing. */
static const char *new_file(struct certs *certs, const char *suffix, FILE **ret_file)
{
    expect_true(certs->n_paths < MAX_PATHS);
    char path[64];
    (void)snprintf(path, sizeof(path), "%s/%u%s", certs->folder, certs->n_paths, suffix);
    *ret_file = fopen(path, "w");
    expect_true(*ret_file);
    char *copy = slice_dup(slice_from_str(path));
    expect_true(copy);
    certs->paths[certs->n_paths++] = copy;
    return copy;
}

/* next: what follows it in the file; NULL: nothing. */
static const char *write_cert(struct certs *certs, X509 *cert, X509 *next)
{
    FILE *file;
    const char *path = new_file(certs, ".crt", &file);
    expect_true(PEM_write_X509(file, cert));
    expect_true(!next || PEM_write_X509(file, next));
    expect_int(fclose(file), 0);
    return path;
}

/* passphrase: NULL for none. */
static const char *write_key(struct certs *certs, EVP_PKEY *key, const char *passphrase)
{
    FILE *file;
    const char *path = new_file(certs, ".key", &file);
    const EVP_CIPHER *cipher = passphrase ? EVP_aes_128_cbc() : NULL;
    expect_true(
        PEM_write_PKCS8PrivateKey(file, key, cipher, passphrase, passphrase ? (int)strlen(passphrase) : 0, NULL, NULL));
    expect_int(fclose(file), 0);
    return path;
}

const char *certs_write(struct certs *certs, struct slice content)
{
    FILE *file;
    const char *path = new_file(certs, ".txt", &file);
    expect_int(fwrite(content.ptr, 1, content.len, file), content.len);
    expect_int(fclose(file), 0);
    return path;
}

static void add_extension(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    expect_true(extension);
    expect_true(X509_add_ext(cert, extension, -1));
    X509_EXTENSION_free(extension);
}

/* All but the issuer and the signature. */
static X509 *new_cert(const char *common_name, int days, EVP_PKEY *key)
{
    X509 *cert = X509_new();
    uint64_t serial = 0;
    expect_true(cert && RAND_bytes((unsigned char *)&serial, sizeof(serial) - 1) == 1);
    expect_true(X509_set_version(cert, X509_VERSION_3));
    expect_true(ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial));
    long end = (days ? days : DAYS_DEFAULT) * SECONDS_A_DAY;
    expect_true(X509_gmtime_adj(X509_getm_notBefore(cert), (end < 0 ? end : 0) - SECONDS_A_DAY));
    expect_true(X509_gmtime_adj(X509_getm_notAfter(cert), end));
    expect_true(X509_set_pubkey(cert, key));
    if (common_name)
        expect_true(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
                                               (const unsigned char *)common_name, -1, -1, 0));
    return cert;
}

static void sign_cert(X509 *cert, const struct certs *authority)
{
    expect_true(X509_set_issuer_name(cert, X509_get_subject_name(authority->cert)));
    expect_true(X509_sign(cert, authority->key, EVP_sha256()));
}

/* parent: NULL for one that signs itself. */
static struct certs *new_authority(const char *common_name, int days, const struct certs *parent)
{
    struct certs *certs = calloc(1, sizeof(*certs));
    expect_true(certs);
    (void)snprintf(certs->folder, sizeof(certs->folder), "/tmp/muster-certs-XXXXXX");
    expect_true(mkdtemp(certs->folder));
    certs->key = EVP_EC_gen("P-256");
    expect_true(certs->key);
    certs->cert = new_cert(common_name, days, certs->key);
    certs->is_intermediate = parent != NULL;
    add_extension(certs->cert, NID_basic_constraints, "critical,CA:TRUE");
    sign_cert(certs->cert, parent ? parent : certs);
    (void)write_cert(certs, certs->cert, NULL);
    return certs;
}

struct certs *certs_new(int days)
{
    return new_authority("muster test authority", days, NULL);
}

struct certs *certs_new_under(const struct certs *parent)
{
    return new_authority("muster test intermediate", 1, parent);
}

void certs_free(struct certs *certs)
{
    for (unsigned i = 0; i < certs->n_paths; i++) {
        (void)unlink(certs->paths[i]);
        free(certs->paths[i]);
    }
    (void)rmdir(certs->folder);
    X509_free(certs->cert);
    EVP_PKEY_free(certs->key);
    free(certs);
}

const char *certs_ca_file(const struct certs *certs)
{
    return certs->paths[0];
}

struct tls_identity certs_issue(struct certs *certs, const struct cert_options *options)
{
    EVP_PKEY *key = options->rsa_bits ? EVP_RSA_gen(options->rsa_bits) : EVP_EC_gen("P-256");
    expect_true(key);
    X509 *cert = new_cert(options->common_name, options->days, key);
    if (options->names)
        add_extension(cert, NID_subject_alt_name, options->names);
    sign_cert(cert, certs);
    struct tls_identity identity = {
        .cert_file = write_cert(certs, cert, certs->is_intermediate ? certs->cert : NULL),
        .key_file = write_key(certs, key, NULL),
    };
    X509_free(cert);
    EVP_PKEY_free(key);
    return identity;
}

const char *certs_protect_key(struct certs *certs, const struct tls_identity *identity)
{
    FILE *file = fopen(identity->key_file, "r");
    expect_true(file);
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    expect_int(fclose(file), 0);
    expect_true(key);
    const char *path = write_key(certs, key, "secret");
    EVP_PKEY_free(key);
    return path;
}
