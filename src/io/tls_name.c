/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names in certificates are bytes that somebody else chose: they carry a length, may hold a NUL, and come in encodings
 * of which only the plain ones are read.
 */
#include "io/tls_name.h"

#include <errno.h>
#include <openssl/err.h>

/* The bytes of a string whose encoding is ASCII or UTF-8; empty for others. */
static struct slice string_bytes(const ASN1_STRING *string)
{
    switch (ASN1_STRING_type(string)) {
    case V_ASN1_UTF8STRING:
    case V_ASN1_PRINTABLESTRING:
    case V_ASN1_IA5STRING:
        return slice_from(ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string));
    default:
        return (struct slice){.ptr = NULL};
    }
}

static struct slice dns_name(const GENERAL_NAME *name)
{
    return name->type == GEN_DNS ? string_bytes(name->d.dNSName) : (struct slice){.ptr = NULL};
}

static bool matches(struct slice pattern, struct slice name, enum tls_name_match match)
{
    if (match == TLS_NAME_WHOLE)
        return slice_equal_nocase(pattern, name);
    size_t dot = slice_find(name, '.');
    return dot > 0 && dot < name.len && slice_starts_with(pattern, SLICE_LIT("*.")) &&
           slice_equal_nocase(slice_skip(pattern, 1), slice_skip(name, dot));
}

bool tls_name_matches(const GENERAL_NAMES *names, struct slice name, enum tls_name_match match)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        if (matches(dns_name(sk_GENERAL_NAME_value(names, i)), name, match))
            return true;
    }
    return false;
}

/* Control characters would break log lines, and a NUL would let "admin\0.evil" pass for "admin". */
static bool is_usable(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        if ((unsigned char)name.ptr[i] < ' ' || name.ptr[i] == 0x7f)
            return false;
    }
    return name.len > 0;
}

static struct slice common_name(X509 *cert)
{
    const X509_NAME *subject = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0)
        return (struct slice){.ptr = NULL};
    return string_bytes(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

static int dup_name(struct slice name, char **ret_name)
{
    char *copy = slice_dup(name);
    if (!copy)
        return -ENOMEM;
    *ret_name = copy;
    return 0;
}

int tls_name_of_peer(X509 *cert, char **ret_name)
{
    struct slice name = common_name(cert);
    if (is_usable(name))
        return dup_name(name, ret_name);

    int result = 0;
    bool is_found = false;
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; !is_found && i < sk_GENERAL_NAME_num(names); i++) {
        name = dns_name(sk_GENERAL_NAME_value(names, i));
        is_found = is_usable(name);
    }
    if (is_found)
        result = dup_name(name, ret_name);
    else
        *ret_name = NULL;
    GENERAL_NAMES_free(names);
    ERR_clear_error();
    return result;
}
