/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads credentials. The key is compared with the certificate here rather than left to SSL_CTX_use_cert_and_key, since
 * a person must be told which two files do not belong together.
 */
#include "io/tls_credential.h"

#include "io/tls_error.h"
#include "io/tls_pem.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdbool.h>
#include <time.h>

static int check_key(const struct tls_credential *credential, const struct tls_identity *identity, struct err *err)
{
    bool matches = X509_check_private_key(credential->cert, credential->key) == 1;
    ERR_clear_error();
    if (!matches)
        return err_set(err, -EINVAL, "%s: is not the private key of the certificate in %s", identity->key_file,
                       identity->cert_file);
    return 0;
}

static int check_expiry(const struct tls_credential *credential, const struct tls_identity *identity, struct err *err)
{
    const ASN1_TIME *end = X509_get0_notAfter(credential->cert);
    struct tm time;
    if (ASN1_TIME_to_tm(end, &time) != 1)
        return tls_error_take(err, identity->cert_file);
    if (X509_cmp_current_time(end) >= 0)
        return 0;
    char date[32];
    strftime(date, sizeof(date), "%Y-%m-%d", &time);
    return err_set(err, -EKEYEXPIRED, "%s: the certificate expired on %s", identity->cert_file, date);
}

int tls_credential_init(struct tls_credential *credential, const struct tls_identity *identity, struct err *err)
{
    int result = tls_pem_read_certs(identity->cert_file, &credential->chain, err);
    if (result < 0)
        return result;
    credential->cert = sk_X509_shift(credential->chain);
    result = tls_pem_read_key(identity->key_file, &credential->key, err);
    if (result < 0)
        return result;
    result = check_key(credential, identity, err);
    if (result < 0)
        return result;
    credential->names = X509_get_ext_d2i(credential->cert, NID_subject_alt_name, NULL, NULL);
    ERR_clear_error();
    return check_expiry(credential, identity, err);
}

void tls_credential_deinit(struct tls_credential *credential)
{
    GENERAL_NAMES_free(credential->names);
    EVP_PKEY_free(credential->key);
    tls_pem_free_certs(credential->chain);
    X509_free(credential->cert);
    *credential = (struct tls_credential){.cert = NULL};
}
