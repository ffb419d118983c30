/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/swarm/swim_digest.h"

#include "shared/base/bytes.h"

void swim_digest_put_head(uint8_t out[SWIM_DIGEST_HEAD], uint64_t buckets)
{
    put_le64(out, buckets);
}

void swim_digest_put_entry(uint8_t out[SWIM_DIGEST_ENTRY], const struct swim_digest_entry *entry)
{
    put_le64(out, entry->sid);
    put_le64(out + 8, entry->incarnation.boot);
    put_le32(out + 16, entry->incarnation.seq);
    out[20] = entry->state;
}

bool swim_digest_open(const uint8_t *bytes, size_t n, uint64_t last, struct swim_digest_list *list)
{
    if (n < SWIM_DIGEST_HEAD || (n - SWIM_DIGEST_HEAD) % SWIM_DIGEST_ENTRY != 0) {
        return false;
    }
    *list = (struct swim_digest_list){
        .buckets = get_le64(bytes),
        .at = bytes + SWIM_DIGEST_HEAD,
        .end = bytes + n,
        .last = last,
    };
    return true;
}

int swim_digest_next(struct swim_digest_list *list, struct swim_digest_entry *entry)
{
    const uint8_t *at = list->at;

    if (at == list->end) {
        return 0;
    }
    const struct swim_digest_entry e = {
        .sid = get_le64(at),
        .incarnation = {get_le64(at + 8), get_le32(at + 16)},
        .state = at[20],
    };
    if (e.sid <= list->last || (list->buckets >> swim_digest_bucket(e.sid) & 1) == 0 ||
        e.incarnation.boot == 0 || e.state > SWIM_LEFT) {
        list->at = list->end;
        return -1;
    }
    list->at += SWIM_DIGEST_ENTRY;
    list->last = e.sid;
    *entry = e;
    return 1;
}
