/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/swarm/swim_record.h"

#include <string.h>

#include "shared/base/pack.h"
#include "shared/base/unpack.h"

#define BODY_MAX         (SWIM_RECORD_MAX - SWIM_SIGNATURE_BYTES)
#define ELEMENTS         7 /* that we know */
#define DEPTH            2 /* inside an element that we do not know */
#define ADDR_LEN(family) ((family) == 4 ? 4u : 16u)

static const char domain[] = "packetrecorder member 1";

struct signed_message {
    uint8_t bytes[sizeof domain - 1 + SWIM_CLUSTER_BYTES + BODY_MAX];
    size_t n;
};

static void signed_message_make(struct signed_message *message,
                                const uint8_t cluster_id[SWIM_CLUSTER_BYTES], const uint8_t *body,
                                size_t n)
{
    uint8_t *at = message->bytes;

    memcpy(at, domain, sizeof domain - 1);
    at += sizeof domain - 1;
    memcpy(at, cluster_id, SWIM_CLUSTER_BYTES);
    memcpy(at + SWIM_CLUSTER_BYTES, body, n);
    message->n = sizeof domain - 1 + SWIM_CLUSTER_BYTES + n;
}

static bool addrs_can_be_written(const struct swim_record *record)
{
    if (record->n_addrs > SWIM_ADDRS_MAX) {
        return false;
    }
    for (unsigned i = 0; i < record->n_addrs; i++) {
        if (record->addrs[i].family != 4 && record->addrs[i].family != 6) {
            return false;
        }
    }
    return true;
}

static void pack_addrs(struct pack *p, const struct swim_record *record)
{
    pack_array(p, record->n_addrs);
    for (unsigned i = 0; i < record->n_addrs; i++) {
        const struct swim_addr *addr = &record->addrs[i];
        pack_array(p, 3);
        pack_u64(p, addr->family);
        pack_bin(p, addr->ip, ADDR_LEN(addr->family));
        pack_u64(p, addr->port);
    }
}

size_t swim_record_write(const struct swim_record *record, const struct swim_crypto *crypto,
                         const uint8_t secret_key[SWIM_SECRET_BYTES],
                         const uint8_t cluster_id[SWIM_CLUSTER_BYTES], uint8_t out[SWIM_RECORD_MAX])
{
    struct pack p = pack_into(out, BODY_MAX);
    struct signed_message message;

    if (record->n_meta > SWIM_META_MAX || record->incarnation.boot == 0 ||
        !addrs_can_be_written(record)) {
        return 0;
    }
    pack_array(&p, ELEMENTS);
    pack_bin(&p, record->public_key, SWIM_PUBLIC_BYTES);
    pack_u64(&p, record->incarnation.boot);
    pack_bin(&p, record->boot_nonce, SWIM_NONCE_BYTES);
    pack_u64(&p, record->incarnation.seq);
    pack_u64(&p, record->left ? 1 : 0);
    pack_addrs(&p, record);
    pack_bin(&p, record->meta, record->n_meta);
    if (p.failed) {
        return 0;
    }
    size_t n = pack_length(&p);
    signed_message_make(&message, cluster_id, out, n);
    crypto->sign(secret_key, message.bytes, message.n, out + n);
    return n + SWIM_SIGNATURE_BYTES;
}

static void unpack_addr(struct unpack *u, struct swim_addr *addr)
{
    uint32_t n = unpack_array(u, UINT8_MAX);
    uint64_t family = unpack_u64_most(u, 6);
    size_t n_ip;
    const uint8_t *ip = unpack_bin(u, sizeof addr->ip, &n_ip);
    uint64_t port = unpack_u64_most(u, UINT16_MAX);

    if (n < 3 || (family != 4 && family != 6) || n_ip != ADDR_LEN(family) || unpack_failed(u)) {
        u->in.failed = true;
        return;
    }
    for (uint32_t i = 3; i < n; i++) {
        unpack_skip(u, 0);
    }
    memcpy(addr->ip, ip, n_ip);
    addr->family = (uint8_t)family;
    addr->port = (uint16_t)port;
}

static void unpack_key(struct unpack *u, uint8_t *out, size_t n)
{
    const uint8_t *bytes = unpack_bin_of(u, n);

    if (bytes != NULL) {
        memcpy(out, bytes, n);
    }
}

bool swim_record_read(const uint8_t *bytes, size_t n, struct swim_record *record)
{
    struct swim_record r = {0};
    size_t n_meta;

    if (n <= SWIM_SIGNATURE_BYTES || n > SWIM_RECORD_MAX) {
        return false;
    }
    struct unpack u = unpack_from(bytes, n - SWIM_SIGNATURE_BYTES);
    uint32_t n_elements = unpack_array(&u, BODY_MAX);
    if (n_elements < ELEMENTS) {
        return false;
    }
    unpack_key(&u, r.public_key, sizeof r.public_key);
    r.incarnation.boot = unpack_u64(&u);
    unpack_key(&u, r.boot_nonce, sizeof r.boot_nonce);
    r.incarnation.seq = (uint32_t)unpack_u64_most(&u, UINT32_MAX);
    r.left = unpack_u64_most(&u, 1) == 1;
    r.n_addrs = (uint8_t)unpack_array(&u, SWIM_ADDRS_MAX);
    for (unsigned i = 0; i < r.n_addrs && !unpack_failed(&u); i++) {
        unpack_addr(&u, &r.addrs[i]);
    }
    r.meta = unpack_bin(&u, SWIM_META_MAX, &n_meta);
    r.n_meta = (uint16_t)n_meta;
    for (uint32_t i = ELEMENTS; i < n_elements && !unpack_failed(&u); i++) {
        unpack_skip(&u, DEPTH);
    }
    if (unpack_failed(&u) || unpack_left(&u) != 0 || r.incarnation.boot == 0 ||
        r.incarnation.boot > SWIM_BOOT_MAX) {
        return false;
    }
    *record = r;
    return true;
}

bool swim_record_is_signed(const uint8_t *bytes, size_t n, const struct swim_record *record,
                           const struct swim_crypto *crypto,
                           const uint8_t cluster_id[SWIM_CLUSTER_BYTES])
{
    struct signed_message message;

    if (n <= SWIM_SIGNATURE_BYTES || n > SWIM_RECORD_MAX) {
        return false;
    }
    n -= SWIM_SIGNATURE_BYTES;
    signed_message_make(&message, cluster_id, bytes, n);
    return crypto->verify(record->public_key, message.bytes, message.n, bytes + n);
}
