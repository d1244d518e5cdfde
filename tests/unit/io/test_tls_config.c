/* SPDX-License-Identifier: Apache-2.0 */
/* What can be wrong with the files and lists that a TLS configuration is made of, and what a person is told. */
#include "io/tls.h"
#include "support/certs.h"
#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <time.h>

static const struct cert_options ordinary = {.common_name = "server", .names = "DNS:a.test"};

/* The server config fails with this code and these words, in which each %s is `file`. */
#define expect_refused(identity, code, fmt, ...)                                                                       \
    do {                                                                                                               \
        char expected_[ERR_TEXT_MAX];                                                                                  \
        (void)snprintf(expected_, sizeof(expected_), fmt, __VA_ARGS__);                                                \
        expect_refused_options(&(struct tls_options){.identities = &(identity), .n_identities = 1}, code, expected_);  \
    } while (0)

static void expect_refused_options(const struct tls_options *options, int code, const char *text)
{
    struct tls_config *config = NULL;
    struct err err = {.text = ""};
    int result = tls_config_new_server(options, &config, &err);
    expect_str(err.text, text);
    expect_int(result, code);
    expect_true(config == NULL);
    expect_int(ERR_peek_error(), 0);
}

static void names_a_missing_file(void)
{
    struct certs *certs = certs_new(1);
    struct tls_identity identity = certs_issue(certs, &ordinary);
    struct tls_identity no_cert = {.cert_file = "/none.crt", .key_file = identity.key_file};
    struct tls_identity no_key = {.cert_file = identity.cert_file, .key_file = "/none.key"};
    expect_refused(no_cert, -ENOENT, "%s: No such file or directory", no_cert.cert_file);
    expect_refused(no_key, -ENOENT, "%s: No such file or directory", no_key.key_file);
    certs_free(certs);
}

static void names_a_directory(void)
{
    struct certs *certs = certs_new(1);
    struct tls_identity identity = certs_issue(certs, &ordinary);
    struct tls_identity no_cert = {.cert_file = "/tmp", .key_file = identity.key_file};
    struct tls_identity no_key = {.cert_file = identity.cert_file, .key_file = "/tmp"};
    expect_refused(no_cert, -EISDIR, "%s: is a directory, not a PEM file", "/tmp");
    expect_refused(no_key, -EISDIR, "%s: is a directory, not a PEM file", "/tmp");
    certs_free(certs);
}

static void names_an_empty_file(void)
{
    struct certs *certs = certs_new(1);
    struct tls_identity identity = certs_issue(certs, &ordinary);
    const char *empty = certs_write(certs, SLICE_LIT(""));
    struct tls_identity no_cert = {.cert_file = empty, .key_file = identity.key_file};
    struct tls_identity no_key = {.cert_file = identity.cert_file, .key_file = empty};
    expect_refused(no_cert, -EINVAL, "%s: is empty", empty);
    expect_refused(no_key, -EINVAL, "%s: is empty", empty);
    certs_free(certs);
}

static void names_a_file_of_the_other_kind(void)
{
    struct certs *certs = certs_new(1);
    struct tls_identity identity = certs_issue(certs, &ordinary);
    struct tls_identity swapped = {.cert_file = identity.key_file, .key_file = identity.cert_file};
    struct tls_identity twice = {.cert_file = identity.cert_file, .key_file = identity.cert_file};
    expect_refused(swapped, -EINVAL, "%s: holds no certificate in PEM form", swapped.cert_file);
    expect_refused(twice, -EINVAL, "%s: holds no private key in PEM form", twice.key_file);
    certs_free(certs);
}

static void names_a_damaged_file(void)
{
    struct certs *certs = certs_new(1);
    struct tls_identity identity = certs_issue(certs, &ordinary);
    struct tls_identity damaged = {
        .cert_file = certs_write(certs, SLICE_LIT("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")),
        .key_file = certs_write(certs, SLICE_LIT("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n")),
    };
    expect_refused(damaged, -EINVAL, "%s: certificate number 1 is damaged", damaged.cert_file);
    damaged.cert_file = identity.cert_file;
    expect_refused(damaged, -EINVAL, "%s: holds no private key in PEM form", damaged.key_file);
    certs_free(certs);
}

static void names_a_key_of_another_certificate(void)
{
    struct certs *certs = certs_new(1);
    struct tls_identity a = certs_issue(certs, &ordinary);
    struct tls_identity b = certs_issue(certs, &ordinary);
    struct tls_identity mixed = {.cert_file = a.cert_file, .key_file = b.key_file};
    expect_refused(mixed, -EINVAL, "%s: is not the private key of the certificate in %s", b.key_file, a.cert_file);

    struct tls_identity rsa = certs_issue(certs, &(struct cert_options){.rsa_bits = 2048});
    mixed.key_file = rsa.key_file;
    expect_refused(mixed, -EINVAL, "%s: is not the private key of the certificate in %s", rsa.key_file, a.cert_file);
    certs_free(certs);
}

static void never_asks_for_a_passphrase(void)
{
    struct certs *certs = certs_new(1);
    struct tls_identity identity = certs_issue(certs, &ordinary);
    identity.key_file = certs_protect_key(certs, &identity);
    expect_refused(identity, -EINVAL, "%s: the private key is protected by a passphrase; it must be given without",
                   identity.key_file);
    certs_free(certs);
}

static void names_an_expired_certificate(void)
{
    struct certs *certs = certs_new(1);
    time_t end = time(NULL) - 40 * 24 * 60 * 60;
    struct tls_identity identity = certs_issue(certs, &(struct cert_options){.names = "DNS:a.test", .days = -40});
    char date[32];
    struct tm parts;
    strftime(date, sizeof(date), "%Y-%m-%d", gmtime_r(&end, &parts));
    expect_refused(identity, -EKEYEXPIRED, "%s: the certificate expired on %s", identity.cert_file, date);
    certs_free(certs);
}

static void refuses_a_weak_key_wherever_it_stands(void)
{
    struct certs *certs = certs_new(1);
    struct tls_identity weak = certs_issue(certs, &(struct cert_options){.rsa_bits = 1024});
    struct tls_identity identities[] = {certs_issue(certs, &ordinary), weak};
    expect_refused(weak, -EINVAL, "%s: ee key too small", weak.cert_file);

    char text[ERR_TEXT_MAX];
    (void)snprintf(text, sizeof(text), "%s: ee key too small", weak.cert_file);
    expect_refused_options(&(struct tls_options){.identities = identities, .n_identities = 2}, -EINVAL, text);
    certs_free(certs);
}

static void names_a_bad_authority_file(void)
{
    struct certs *certs = certs_new(1);
    struct tls_identity identity = certs_issue(certs, &ordinary);
    struct tls_options options = {
        .identities = &identity, .n_identities = 1, .peer_check = TLS_PEER_REQUIRE, .ca_file = "/none.crt"};
    expect_refused_options(&options, -ENOENT, "/none.crt: No such file or directory");
    options.ca_file = NULL;
    expect_refused_options(&options, -EINVAL, "client certificates can only be checked against a file of authorities");
    options.ca_file = identity.key_file;
    char text[ERR_TEXT_MAX];
    (void)snprintf(text, sizeof(text), "%s: holds no certificate in PEM form", identity.key_file);
    expect_refused_options(&options, -EINVAL, text);
    certs_free(certs);
}

static void refuses_impossible_lists(void)
{
    struct certs *certs = certs_new(1);
    struct tls_identity identities[] = {certs_issue(certs, &ordinary), certs_issue(certs, &ordinary)};
    expect_refused_options(&(struct tls_options){.n_identities = 0}, -EINVAL,
                           "a TLS server needs a certificate and its key");

    const char *words = "the list of TLS protocols (ALPN) is too long, or a name in it is empty";
    struct tls_options options = {.identities = identities, .n_identities = 1, .alpn = (const char *[]){"", NULL}};
    expect_refused_options(&options, -EINVAL, words);
    char long_name[300];
    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    options.alpn = (const char *[]){"h2", long_name, NULL};
    expect_refused_options(&options, -EINVAL, words);

    struct tls_config *config = NULL;
    struct err err = {.text = ""};
    options = (struct tls_options){.identities = identities, .n_identities = 2};
    expect_int(tls_config_new_client(&options, &config, &err), -EINVAL);
    expect_str(err.text, "a TLS client has one certificate at most");
    certs_free(certs);
}

static void is_counted(void)
{
    struct certs *certs = certs_new(1);
    struct tls_identity identity = certs_issue(certs, &ordinary);
    struct tls_config *config = NULL;
    struct tls_options options = {.identities = &identity, .n_identities = 1};
    expect_int(tls_config_new_server(&options, &config, NULL), 0);
    expect_true(tls_config_ref(config) == config);
    expect_true(tls_config_unref(config) == NULL);
    expect_true(tls_config_unref(config) == NULL);
    expect_true(tls_config_unref(NULL) == NULL);
    certs_free(certs);
}

static int make_config(void *arg)
{
    struct tls_config *config = NULL;
    int result = tls_config_new_server(arg, &config, NULL);
    tls_config_unref(config);
    return result;
}

static void survives_every_failing_allocation(void)
{
    struct certs *certs = certs_new(1);
    struct tls_identity identity = certs_issue(certs, &ordinary);
    struct tls_options options = {.identities = &identity,
                                  .n_identities = 1,
                                  .ca_file = certs_ca_file(certs),
                                  .peer_check = TLS_PEER_REQUIRE,
                                  .alpn = (const char *[]){"h2", NULL}};
    expect_true(fault_alloc_sweep(make_config, &options) > 0);
    certs_free(certs);
}

static const struct test_case cases[] = {
    {"a missing file is named", names_a_missing_file},
    {"a directory is named", names_a_directory},
    {"an empty file is named", names_an_empty_file},
    {"a key where a certificate should be, and the reverse, is named", names_a_file_of_the_other_kind},
    {"a damaged file is named", names_a_damaged_file},
    {"a key that is not the certificate's is named with it", names_a_key_of_another_certificate},
    {"a key with a passphrase is refused without asking for it", never_asks_for_a_passphrase},
    {"an expired certificate is named with its date", names_an_expired_certificate},
    {"a weak key is refused, of the default identity and of others", refuses_a_weak_key_wherever_it_stands},
    {"a bad file of authorities is named, and needed for client certificates", names_a_bad_authority_file},
    {"lists that cannot be used are refused", refuses_impossible_lists},
    {"a config lives until its last reference is dropped", is_counted},
    {"any allocation may fail", survives_every_failing_allocation},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
