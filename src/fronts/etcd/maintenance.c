/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service Maintenance, as far as it asks after the server: status, alarms, what a single server need not do, and
 * what it cannot. Hashes are in hash.c, the copy of the store in snapshot.c.
 */
#include "fronts/etcd/etcd_impl.h"
#include "fronts/etcd_version.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define ALARM_NO_SPACE 1

/* Whether changes are refused, which etcd tells as an alarm. */
static bool is_alarmed(const struct etcd *etcd)
{
    return store_refusal(etcd->store) != STORE_OK;
}

void etcd_on_status(struct grpc_call *call, struct slice message)
{
    (void)message;
    const struct etcd *etcd = call->ctx;
    const int64_t revision = etcd_revision(etcd);
    struct store_size size;
    store_measure(etcd->store, &size);
    struct buf *answer = etcd_answer_begin(call, revision);
    if (!answer)
        return;
    pb_add_str(answer, 2, ETCD_VERSION);
    pb_add_uint(answer, 3, size.disk_bytes);
    pb_add_uint(answer, 4, etcd->identity.member_id); /* its own leader */
    pb_add_int(answer, 5, revision);                  /* there is no raft: the revision stands for its index */
    pb_add_uint(answer, 6, ETCD_RAFT_TERM);
    pb_add_int(answer, 7, revision);
    if (is_alarmed(etcd)) {
        char text[64];
        (void)snprintf(text, sizeof(text), "memberID:%" PRIu64 " alarm:NOSPACE ", etcd->identity.member_id);
        pb_add_str(answer, 8, text);
    }
    pb_add_uint(answer, 9, size.data_bytes);
    pb_add_str(answer, 11, ETCD_STORAGE_VERSION);
    pb_add_int(answer, 12, sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE));
    pb_add_element(answer, 13, (struct slice){0}); /* no downgrade is under way */
    etcd_answer_end(call, answer);
}

/* Alarms come and go by themselves: asking for one or putting one out changes nothing. */
void etcd_on_alarm(struct grpc_call *call, struct slice message)
{
    static const struct pb_member members[] = {[1] = {PB_INT64, 0}};
    enum { GET = 0 };
    int64_t action = GET;
    enum etcd_error error = ETCD_OK;
    if (pb_read(message, members, ARRAY_LEN(members), &action) < 0)
        error = ETCD_MALFORMED;
    else if (action != GET)
        error = etcd_may_ask(call, AUTH_NEEDS_ROOT);
    if (error != ETCD_OK) {
        etcd_refuse(call, error);
        return;
    }
    const struct etcd *etcd = call->ctx;
    struct buf *answer = etcd_answer_begin(call, etcd_revision(etcd));
    if (!answer)
        return;
    if (is_alarmed(etcd)) {
        size_t begin = pb_begin(answer, 2);
        pb_add_uint(answer, 1, etcd->identity.member_id);
        pb_add_uint(answer, 2, ALARM_NO_SPACE);
        pb_end(answer, begin);
    }
    etcd_answer_end(call, answer);
}

/* Memory is kept in order all the time. */
void etcd_on_defragment(struct grpc_call *call, struct slice message)
{
    (void)message;
    struct buf *answer = etcd_answer_begin(call, etcd_revision(call->ctx));
    if (answer)
        etcd_answer_end(call, answer);
}

void etcd_on_move_leader(struct grpc_call *call, struct slice message)
{
    (void)message;
    etcd_refuse(call, ETCD_BAD_TRANSFEREE);
}

void etcd_on_downgrade(struct grpc_call *call, struct slice message)
{
    static const struct pb_member members[] = {[1] = {PB_INT64, 0}};
    enum { CANCEL = 2 };
    int64_t action = 0;
    if (pb_read(message, members, ARRAY_LEN(members), &action) < 0)
        etcd_refuse(call, ETCD_MALFORMED);
    else
        etcd_refuse(call, action == CANCEL ? ETCD_NO_DOWNGRADE : ETCD_BAD_DOWNGRADE);
}
