/* SPDX-License-Identifier: Apache-2.0
 *
 * A store in a directory of its own, and numbered packets to put into it: what the tests of the
 * store share. Packet n has time_of(n), source port n and a text that nothing sealed may show.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "shared/base/clock_posix.h"
#include "shared/store/store.h"
#include "shared/store/store_key.h"
#include "shared/store/store_writer.h"

#define RAW_KEY    "prd_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define PLAIN_TEXT "the quick brown fox jumps over it"

struct place {
    char dir[64];
    char db[96];
    struct store_key *key; /* NULL: unencrypted */
};

static inline void place_init(struct place *p, const char *key)
{
    struct err err;

    snprintf(p->dir, sizeof p->dir, "/tmp/test-store-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->db, sizeof p->db, "%s/packets.db", p->dir);
    p->key = NULL;
    if (key != NULL) {
        assert_int_equal(store_key_from_text(key, &p->key, &err), 0);
    }
}

static inline void place_deinit(struct place *p)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf '%s'", p->dir);
    assert_int_equal(system(command), 0);
    store_key_free(p->key);
}

static inline struct store *open_store(const struct place *p, enum store_mode mode)
{
    struct store *store = NULL;
    struct err err = {0};
    struct store_options options = {.path = p->db, .mode = mode, .key = p->key};
    int r = store_open(&options, &store, &err);

    if (r != 0) {
        print_error("%s\n", err.text);
    }
    assert_int_equal(r, 0);
    return store;
}

static inline struct iface ethernet(const char *name)
{
    struct iface f = {.link_type = LINK_ETHERNET, .snaplen = 262144, .ts_digits = 9};

    snprintf(f.name, sizeof f.name, "%s", name);
    return f;
}

/* An IPv4 UDP packet whose source port and payload tell which one it is. */
static inline size_t make_packet(uint8_t *out, uint32_t n)
{
    static const uint8_t head[] = {
        2,    0, 0,    0,    0, 2,  2,    0, 0,    0,  0, 1, 8,  0, /* Ethernet */
        0x45, 0, 0,    96,   0, 0,  0x40, 0, 0x40, 17, 0, 0, 10, 1, 0, 1, 10, 1, 0, 2, /* IPv4 */
        0,    0, 0x27, 0x0f, 0, 76, 0,    0,                                           /* UDP */
    };
    memcpy(out, head, sizeof head);
    out[34] = (uint8_t)(n >> 8);
    out[35] = (uint8_t)n;
    int len = snprintf((char *)out + sizeof head, 64, PLAIN_TEXT " %08u", n);
    return sizeof head + (size_t)len;
}

static inline uint64_t time_of(uint32_t n)
{
    return 1700000000000000000u + n * 1000u;
}

/* Writes packets first..last-1 as one block. */
static inline void put_block(struct consumer *c, uint32_t first, uint32_t last)
{
    struct block *block = block_new(BLOCK_BYTES_DEFAULT);
    struct consumer_load load = {.limit = 8, .may_wait = true};
    struct err err = {0};
    uint8_t bytes[256];

    for (uint32_t n = first; n < last; n++) {
        struct packet_view p = {.time_ns = time_of(n), .data = bytes};
        p.caplen = p.len = (uint32_t)make_packet(bytes, n);
        assert_true(block_append(block, &p));
    }
    assert_int_equal(c->ops->block(c, block, &load, &err), 0);
    block_unref(block);
}

static inline struct consumer *begin(struct store *store, const char *name, uint64_t quota,
                                     char *id)
{
    struct store_session_spec spec = {.name = name,
                                      .node = "here",
                                      .tags = "{\"k\":\"v\"}",
                                      .started_ns = clock_wall_ns(),
                                      .compression = STORE_COMPRESS_ON,
                                      .quota_bytes = quota};
    struct consumer *c = NULL;
    struct err err = {0};
    struct iface f = ethernet("eth0");

    assert_int_equal(store_writer_new(store, &spec, &c, id, &err), 0);
    assert_int_equal(c->ops->begin(c, &f, 1, &err), 0);
    return c;
}

static inline void finish(struct consumer *c, uint64_t packets)
{
    struct ledger total = {.captured = packets, .received = packets, .kernel = LEDGER_UNKNOWN};
    struct err err = {0};
    int r = c->ops->finish(c, &total, 1, &total, clock_wall_ns(), &err);

    if (r != 0) {
        print_error("%s\n", err.text);
    }
    assert_int_equal(r, 0);
    store_writer_free(c);
}

static inline void write_session(const struct place *p, const char *name, uint32_t first,
                                 uint32_t last, char *id)
{
    struct store *store = open_store(p, STORE_CREATE);
    struct consumer *c = begin(store, name, 0, id);

    for (uint32_t n = first; n < last; n += 1000) {
        put_block(c, n, n + 1000 < last ? n + 1000 : last);
    }
    finish(c, last - first);
    store_close(store);
}
