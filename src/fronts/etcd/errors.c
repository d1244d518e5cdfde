/* SPDX-License-Identifier: Apache-2.0 */
#include "fronts/etcd/errors.h"

static const struct {
    enum grpc_status status;
    const char *text;
} errors[] = {
#define X(name, code, words) {GRPC_##code, words},
    ETCD_ERRORS(X)
#undef X
};

const char *etcd_error_text(enum etcd_error error)
{
    return errors[error].text;
}

enum grpc_status etcd_error_status(enum etcd_error error)
{
    return errors[error].status;
}

enum etcd_error etcd_error_from(enum store_outcome outcome)
{
    switch (outcome) {
    case STORE_OK:
        return ETCD_OK;
    case STORE_COMPACTED:
        return ETCD_COMPACTED;
    case STORE_FUTURE_REVISION:
        return ETCD_FUTURE_REVISION;
    case STORE_NO_LEASE:
        return ETCD_LEASE_NOT_FOUND;
    case STORE_LEASE_EXISTS:
        return ETCD_LEASE_EXISTS;
    case STORE_TTL_TOO_LARGE:
        return ETCD_TTL_TOO_LARGE;
    case STORE_NO_KEY:
        return ETCD_KEY_NOT_FOUND;
    case STORE_DUPLICATE_KEY:
        return ETCD_DUPLICATE_KEY;
    case STORE_TOO_MANY_OPS:
        return ETCD_TOO_MANY_OPS;
    case STORE_TOO_LARGE:
        return ETCD_TOO_LARGE;
    case STORE_DOCS_FULL:
    case STORE_NO_SPACE:
    case STORE_READ_ONLY: /* as etcd says it when it takes no writes: clients know what to do */
        return ETCD_NO_SPACE;
    case STORE_OUT_OF_MEMORY:
        return ETCD_TOO_MANY_REQUESTS;
    case STORE_FORBIDDEN:
        return ETCD_PERMISSION_DENIED;
    case STORE_BACKUP_FAILED:
        return ETCD_SNAPSHOT_FAILED;
    case STORE_CONFLICT: /* of documents: whoever writes one sees to it before this is asked */
    case STORE_STOPPED:
        break;
    }
    return ETCD_STOPPED;
}

void etcd_refuse(struct grpc_call *call, enum etcd_error error)
{
    grpc_finish(call, etcd_error_status(error), etcd_error_text(error));
}

/* Clients may try again what is unavailable, so that keeps its code; as what is malformed does, which is not etcd's. */
void etcd_refuse_unknown(struct grpc_call *call, enum etcd_error error)
{
    enum grpc_status status = etcd_error_status(error);
    if (status != GRPC_UNAVAILABLE && status != GRPC_INTERNAL)
        status = GRPC_UNKNOWN;
    grpc_finish(call, status, etcd_error_text(error));
}
