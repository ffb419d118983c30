/* SPDX-License-Identifier: Apache-2.0
 *
 * make_swim_seeds DIRECTORY: writes the seeds of corpus_swim_envelope, _frames, _meta, _record,
 * _digest and of corpus_unpack below DIRECTORY (tests/fuzz), which cannot be typed by hand: they
 * are signed and sealed. Run again after a frame has changed.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "shared/base/bytes.h"
#include "shared/base/mem.h"
#include "shared/swarm/swim_digest.h"
#include "shared/swarm/swim_meta.h"
#include "tests/support/swim_keys.h"

#define SID 0xf39a2cad58411cd4ull

static const char *root;

static void put_file(const char *corpus, const char *name, const void *bytes, size_t n)
{
    char *path = x_sprintf("%s/corpus_%s", root, corpus);
    REQUIRE(mkdir(path, 0777) == 0 || errno == EEXIST);
    char *file_name = x_sprintf("%s/%s", path, name);
    FILE *file = fopen(file_name, "wb");

    REQUIRE(file != NULL && fwrite(bytes, 1, n, file) == n && fclose(file) == 0);
    mem_free(file_name);
    mem_free(path);
}

static size_t make_record(const struct swim_crypto *crypto, bool left, uint8_t *out)
{
    struct swim_test_member member = swim_test_member(crypto, 1);
    struct swim_keyring ring = swim_test_keyring();
    struct swim_record record = swim_test_record(&member);

    record.left = left;
    record.n_addrs = left ? 0 : record.n_addrs;
    return swim_record_write(&record, crypto, member.secret_key, ring.cluster_id, out);
}

static size_t make_list(uint8_t *out, uint64_t first, unsigned n)
{
    swim_digest_put_head(out, UINT64_MAX);
    for (unsigned i = 0; i < n; i++) {
        struct swim_digest_entry entry = {.sid = first + (uint64_t)i * 0x0312345678abcdef,
                                          .incarnation = {1764000000123 + i, i},
                                          .state = (uint8_t)(i % 4)};
        swim_digest_put_entry(out + SWIM_DIGEST_HEAD + (size_t)i * SWIM_DIGEST_ENTRY, &entry);
    }
    return SWIM_DIGEST_HEAD + (size_t)n * SWIM_DIGEST_ENTRY;
}

/* One frame of each type, and some runs of them. */
static void frames_of(uint8_t type, struct pack *p)
{
    static const uint8_t sums[512] = {7};
    uint8_t record[SWIM_RECORD_MAX];
    uint8_t list[512];
    struct swim_frame f = {.type = type, .seq = SID + 1, .sid = SID, .from = SID + 2};
    bool has_record = type == SWIM_ALIVE_FRAME || type == SWIM_LEFT_FRAME || type == SWIM_HELLO;

    f.incarnation = (struct swim_incarnation){1764000000123, 4};
    f.t1 = f.t2 = 1764000000123456789;
    f.t3 = f.t2 + 70000;
    f.vhash = SID * 3;
    f.khash = 0xdeadbeef;
    f.n_members = 1000;
    f.ttl_ms = 320;
    f.x_ns = -1500000;
    f.x_bound_ns = 90000;
    f.root = SID;
    f.version = 3;
    f.key = sums;
    f.state = 1;
    f.bin = sums;
    f.n_bin = 40;
    if (has_record) {
        f.n_bin = make_record(&swim_crypto_sodium, type == SWIM_LEFT_FRAME, record);
        f.bin = record;
    } else if (type == SWIM_DIGEST) {
        f.n_bin = make_list(list, 5, 3);
        f.bin = list;
    }
    swim_frame_write(p, &f);
    if (type == SWIM_DIGEST) {
        f.state = SWIM_DIGEST_SUMS;
        f.bin = sums;
        f.n_bin = sizeof sums;
        swim_frame_write(p, &f);
    }
}

static void make_frames(void)
{
    uint8_t bytes[2048];

    for (unsigned type = SWIM_PING; type <= SWIM_VIEW; type++) {
        char *name = x_sprintf("type_%02u", type);
        struct pack p = pack_into(bytes, sizeof bytes);
        pack_raw(&p, "\x00", 1);
        frames_of((uint8_t)type, &p);
        REQUIRE(!p.failed);
        put_file("swim_frames", name, bytes, pack_length(&p));
        mem_free(name);
    }
    struct pack p = pack_into(bytes, sizeof bytes);
    pack_raw(&p, "\x01", 1);
    frames_of(SWIM_PING, &p);
    frames_of(SWIM_SUSPECT_FRAME, &p);
    frames_of(SWIM_ALIVE_FRAME, &p);
    frames_of(SWIM_VIEW, &p);
    pack_raw(&p, "\x93\x12\x91\x91\x05\xc0", 6); /* a type of a later version */
    frames_of(SWIM_LEAVEACK, &p);
    put_file("swim_frames", "run", bytes, pack_length(&p));
}

static void make_envelopes(void)
{
    static const struct {
        const char *name;
        const struct swim_crypto *crypto;
        uint32_t key;
        uint64_t counter;
    } seeds[] = {
        {"real", &swim_crypto_sodium, 1, 1},
        {"real_other_key", &swim_crypto_sodium, 0, 1ull << 40},
        {"null", &swim_crypto_null, 1, 7},
    };
    uint8_t bytes[512];
    struct swim_keyring ring = swim_test_keyring();

    for (size_t i = 0; i < ARRAY_LEN(seeds); i++) {
        struct swim_envelope envelope = {.counter = seeds[i].counter};
        struct pack p = pack_into(bytes + SWIM_HEAD_BYTES, 256);
        memset(envelope.boot_nonce, 0xb0, sizeof envelope.boot_nonce);
        frames_of(SWIM_PING, &p);
        size_t n = swim_envelope_seal(&ring, &ring.keys[seeds[i].key], seeds[i].crypto, &envelope,
                                      bytes, pack_length(&p));
        put_file("swim_envelope", seeds[i].name, bytes, n);
    }
    struct swim_envelope empty = {.counter = 1};
    size_t n = swim_envelope_seal(&ring, &ring.keys[1], &swim_crypto_sodium, &empty, bytes, 0);
    put_file("swim_envelope", "empty", bytes, n);
}

static void make_records(void)
{
    uint8_t bytes[SWIM_RECORD_MAX];

    put_file("swim_record", "alive", bytes, make_record(&swim_crypto_sodium, false, bytes));
    put_file("swim_record", "left", bytes, make_record(&swim_crypto_sodium, true, bytes));
    put_file("swim_record", "null", bytes, make_record(&swim_crypto_null, false, bytes));
    size_t n = make_record(&swim_crypto_sodium, true, bytes) - SWIM_SIGNATURE_BYTES;
    memmove(bytes + n + 3, bytes + n, SWIM_SIGNATURE_BYTES);
    memcpy(bytes + n, "\x92\x01\xc0", 3); /* an element of a later version */
    bytes[0]++;
    put_file("swim_record", "later", bytes, n + 3 + SWIM_SIGNATURE_BYTES);
}

static void make_metas(void)
{
    uint8_t bytes[SWIM_META_MAX];
    struct swim_meta meta = {.proto_min = 1, .proto_max = 1};

    put_file("swim_meta", "least", bytes, swim_meta_write(&meta, bytes));
    meta = (struct swim_meta){
        .proto_min = 1,
        .proto_max = 200,
        .n_keys = SWIM_KEYS_MAX,
        .rpc_port = 8081,
        .http_port = 8080,
        .iface_count = 300,
        .flags = SWIM_META_CAN_CAPTURE | SWIM_META_CLOCK_ANCHOR,
        .iface_digest = SID,
        .tags_digest = SID + 1,
        .version = "0.1.0-rc1",
        .name = "a name of thirty-two characters.",
        .site = "rack 4, Helsinki",
        .key_ids = {1, 0xdeadbeef, 70000, 3},
    };
    size_t n = swim_meta_write(&meta, bytes);
    REQUIRE(n > 0);
    put_file("swim_meta", "full", bytes, n);
    memcpy(bytes + n, "\x92\x01\xc0", 3); /* an element of a later version */
    bytes[0]++;
    put_file("swim_meta", "later", bytes, n + 3);
}

static void make_digests(void)
{
    uint8_t bytes[1024];
    uint8_t *at = bytes;
    size_t n = make_list(bytes + 2, 1, 5);

    put_le16(bytes, (uint16_t)n);
    put_file("swim_digest", "one", bytes, n + 2);
    for (unsigned i = 0; i < 3; i++) { /* each begins behind the last */
        n = make_list(at + 2, 1 + i * 0x1000000000000000ull, 4);
        put_le16(at, (uint16_t)n);
        at += n + 2;
    }
    put_file("swim_digest", "pieces", bytes, (size_t)(at - bytes));
    n = make_list(bytes + 2, 1, 5);
    memcpy(bytes + 2 + 8 + 21, bytes + 2 + 8, 8);
    put_file("swim_digest", "twice", bytes, n + 2);
    put_le16(bytes, 8);
    put_file("swim_digest", "empty", bytes, 10);
}

static void make_unpack(void)
{
    static const uint8_t typed[] = {8, 0xf0, 0x02, 0x04, 0xf8, 0xfa, 0x06, 0x05, 0xf1};
    static const uint8_t skips[] = {3, 0x47, 0x07, 0xf7};
    uint8_t bytes[256];
    struct pack p = pack_into(bytes, sizeof bytes);

    pack_raw(&p, typed, sizeof typed);
    pack_array(&p, 7);
    pack_u64(&p, 70000);
    pack_i64(&p, -70000);
    pack_bin(&p, "abc", 3);
    pack_str(&p, "defg", 4);
    pack_nil(&p);
    pack_bool(&p, true);
    pack_map(&p, 1);
    pack_u64_fixed(&p, 1);
    pack_array(&p, 0);
    put_file("unpack", "typed", bytes, pack_length(&p));
    p = pack_into(bytes, sizeof bytes);
    pack_raw(&p, skips, sizeof skips);
    pack_raw(&p, "\x92\x91\x91\x01\x82\x01\xca\x00\x00\x00\x00\x02\xd4\x01\x02", 15);
    pack_raw(&p, "\xc0", 1);
    pack_raw(&p, "\xc8\x00\x02\x07\x01\x02", 6);
    put_file("unpack", "skipped", bytes, pack_length(&p));
    put_file("unpack", "bomb", "\x02\xf0\xf7\xdd\x0f\xff\xff\xff", 8);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: make_swim_seeds DIRECTORY\n");
        return 2;
    }
    root = argv[1];
    make_frames();
    make_envelopes();
    make_records();
    make_metas();
    make_digests();
    make_unpack();
    return 0;
}
