/* SPDX-License-Identifier: Apache-2.0 */
/* Making and freeing versions; all rules about their links are mvcc.c's. */
#include "store/local/version.h"

#include <stdlib.h>

struct version *version_new(const struct store_kv *kv)
{
    struct version *version = malloc(sizeof(*version) + kv->key.len + kv->value.len);
    if (!version)
        return NULL;
    version->kv = *kv;
    version->kv.key = (struct slice){version->bytes, kv->key.len};
    version->kv.value = (struct slice){version->bytes + kv->key.len, kv->value.len};
    memcpy(version->bytes, kv->key.ptr, kv->key.len);
    if (kv->value.len)
        memcpy(version->bytes + kv->key.len, kv->value.ptr, kv->value.len);
    atomic_init(&version->older, NULL);
    version->newer = NULL;
    list_init(&version->lease_link);
    return version;
}

void version_free_chain(struct version *chain)
{
    while (chain) {
        struct version *next = chain->garbage_next;
        free(chain);
        chain = next;
    }
}
