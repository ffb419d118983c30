/* SPDX-License-Identifier: Apache-2.0
 *
 * Noise_NNpsk0_25519_ChaChaPoly_BLAKE2b against the published vector of cacophony (the one of that
 * name in tests/vectors/cacophony.txt of the Rust library snow; its first edition had other
 * handshake hashes), and what a handshake refuses:
 * another key, another prologue, each changed byte, points of low order, a message out of order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "shared/base/mem.h"
#include "shared/wire/noise.h"

struct message {
    const char *payload;
    const char *sealed;
};

static const char vector_prologue[] = "John Galt";
static const char vector_psk[] = "This is my Austrian perspective!";
static const char vector_initiator[] =
    "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a";
static const char vector_responder[] =
    "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b";
static const char vector_hash[] =
    "ed5e9692d0ab507b6c2beec3f584fd5b127817a9d20b26cd50aa72c507260fa3"
    "1aa7d88dd3723316338af37ce0b4cfb2923aeb848bbf2b934911306f01ffc963";
/* The first two are the handshake, the others go to and fro. */
static const struct message vector_messages[] = {
    {"4c756477696720766f6e204d69736573",
     "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944"
     "ed63df2f5a12aee1185ee9c50305f2ecf12421dcb53c047a63b784cf7c54a105"},
    {"4d757272617920526f746862617264",
     "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843"
     "0e0fe7d5c0c9b92f7478716c8852f1b4f389edb75e3ebe546fafafd5b6f0f7"},
    {"462e20412e20486179656b", "0fe04b26dcfbb69f8a6a94c61f1a26ef88769218d32f5d17c068a6"},
    {"4361726c204d656e676572", "2239e0c540c01f09eb1f4cc5258fd5acfefff18a5a3773f21b7bfe"},
    {"4a65616e2d426170746973746520536179",
     "f216cb03d30fb8af1e561fe02a07552d09b416e27a75e62c77d193718b0bdaae9f"},
    {"457567656e2042f6686d20766f6e2042617765726b",
     "6e8baf98b944184dd7dc5ef14d8108cbeca626de118a5460f3308e294d61e17238bce29bd9"},
};

static size_t from_hex(const char *text, uint8_t *out)
{
    size_t n = 0;

    for (; text[2 * n] != '\0'; n++) {
        unsigned v = 0;
        for (unsigned k = 0; k < 2; k++) {
            char c = text[2 * n + k];
            v = v * 16 + (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
        }
        out[n] = (uint8_t)v;
    }
    return n;
}

struct pair {
    struct noise_handshake a; /* initiator */
    struct noise_handshake b;
    uint8_t m1[NOISE_EXTRA_BYTES];
    uint8_t m2[NOISE_EXTRA_BYTES];
};

static void pair_begin(struct pair *p)
{
    uint8_t ephemeral[NOISE_KEY_BYTES];

    (void)from_hex(vector_initiator, ephemeral);
    noise_begin(&p->a, NOISE_INITIATOR, (const uint8_t *)vector_psk, ephemeral, vector_prologue,
                strlen(vector_prologue));
    (void)from_hex(vector_responder, ephemeral);
    noise_begin(&p->b, NOISE_RESPONDER, (const uint8_t *)vector_psk, ephemeral, vector_prologue,
                strlen(vector_prologue));
}

static void pair_shake(struct pair *p)
{
    pair_begin(p);
    assert_true(noise_write(&p->a, NULL, 0, p->m1));
    assert_true(noise_read(&p->b, p->m1, sizeof p->m1, p->m1));
    assert_true(noise_write(&p->b, NULL, 0, p->m2));
    assert_true(noise_read(&p->a, p->m2, sizeof p->m2, p->m2));
}

static void both_sides_speak_the_published_vector(void **state)
{
    struct pair p;
    struct noise_cipher send[2];
    struct noise_cipher receive[2];
    uint8_t payload[64];
    uint8_t want[128];
    uint8_t got[128];

    (void)state;
    pair_begin(&p);
    for (size_t i = 0; i < ARRAY_LEN(vector_messages); i++) {
        size_t n = from_hex(vector_messages[i].payload, payload);
        size_t n_want = from_hex(vector_messages[i].sealed, want);
        size_t from = i % 2;
        if (i < 2) {
            assert_int_equal(n_want, n + NOISE_EXTRA_BYTES);
            assert_true(noise_write(from == 0 ? &p.a : &p.b, payload, n, got));
            assert_memory_equal(got, want, n_want);
            assert_true(noise_read(from == 0 ? &p.b : &p.a, want, n_want, got));
        } else {
            assert_int_equal(n_want, n + NOISE_TAG_BYTES);
            noise_seal(&send[from], payload, n, got);
            assert_memory_equal(got, want, n_want);
            assert_true(noise_open(&receive[1 - from], want, n_want, got));
        }
        assert_memory_equal(got, payload, n);
        if (i == 1) {
            noise_split(&p.a, &send[0], &receive[0]);
            noise_split(&p.b, &send[1], &receive[1]);
        }
    }
    (void)from_hex(vector_hash, want);
    assert_memory_equal(p.a.hash, want, NOISE_HASH_BYTES);
    assert_memory_equal(p.b.hash, want, NOISE_HASH_BYTES);
}

static void nothing_secret_is_left_in_a_handshake_that_was_split(void **state)
{
    static const struct noise_handshake empty;
    struct pair p;
    struct noise_cipher ciphers[2];

    (void)state;
    pair_shake(&p);
    noise_split(&p.a, &ciphers[0], &ciphers[1]);
    memset(p.a.hash, 0, sizeof p.a.hash);
    assert_memory_equal(&p.a, &empty, sizeof empty);
}

static void each_changed_bit_of_either_message_is_found(void **state)
{
    struct pair p;
    uint8_t bad[NOISE_EXTRA_BYTES];
    struct noise_handshake before;

    (void)state;
    pair_begin(&p);
    assert_true(noise_write(&p.a, NULL, 0, p.m1));
    before = p.b;
    for (size_t i = 0; i < 8 * sizeof bad; i++) {
        memcpy(bad, p.m1, sizeof bad);
        bad[i / 8] ^= (uint8_t)(1u << (i % 8));
        p.b = before;
        assert_false(noise_read(&p.b, bad, sizeof bad, bad));
    }
    p.b = before;
    assert_true(noise_read(&p.b, p.m1, sizeof p.m1, bad));
    assert_true(noise_write(&p.b, NULL, 0, p.m2));
    before = p.a;
    for (size_t i = 0; i < 8 * sizeof bad; i++) {
        memcpy(bad, p.m2, sizeof bad);
        bad[i / 8] ^= (uint8_t)(1u << (i % 8));
        p.a = before;
        assert_false(noise_read(&p.a, bad, sizeof bad, bad));
    }
    for (size_t n = 0; n < sizeof bad; n++) {
        p.a = before;
        assert_false(noise_read(&p.a, p.m2, n, bad));
    }
}

static void another_key_or_prologue_does_not_fit(void **state)
{
    static const char *const prologues[] = {"John Galt", "John Galt", "John Gal", "John Galt "};
    uint8_t ephemeral[NOISE_KEY_BYTES] = {7};
    uint8_t psk[NOISE_KEY_BYTES];
    uint8_t out[NOISE_EXTRA_BYTES];
    struct pair p;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(prologues); i++) {
        pair_begin(&p);
        memcpy(psk, vector_psk, sizeof psk);
        psk[31] ^= i == 1;
        noise_begin(&p.b, NOISE_RESPONDER, psk, ephemeral, prologues[i], strlen(prologues[i]));
        assert_true(noise_write(&p.a, NULL, 0, p.m1));
        assert_int_equal(noise_read(&p.b, p.m1, sizeof p.m1, out), i == 0);
    }
}

/* The points whose multiples by any multiple of eight are zero (RFC 7748; cr.yp.to/ecdh.html). */
static void points_of_low_order_are_refused(void **state)
{
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    struct pair p;
    uint8_t out[NOISE_EXTRA_BYTES];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(points); i++) {
        pair_begin(&p);
        assert_true(noise_write(&p.a, NULL, 0, p.m1));
        assert_true(noise_read(&p.b, p.m1, sizeof p.m1, out));
        (void)from_hex(points[i], p.b.remote); /* as if a holder of the key had sent it */
        assert_false(noise_write(&p.b, NULL, 0, out));
        (void)from_hex(points[i], p.m2);
        assert_false(noise_read(&p.a, p.m2, sizeof p.m2, out));
    }
}

static void a_message_is_read_once_in_its_place_and_not_by_its_sender(void **state)
{
    struct pair p;
    struct noise_cipher send[2];
    struct noise_cipher receive[2];
    uint8_t first[5 + NOISE_TAG_BYTES];
    uint8_t second[5 + NOISE_TAG_BYTES];
    uint8_t out[5];

    (void)state;
    pair_shake(&p);
    noise_split(&p.a, &send[0], &receive[0]);
    noise_split(&p.b, &send[1], &receive[1]);
    noise_seal(&send[0], "first", 5, first);
    noise_seal(&send[0], "secnd", 5, second);
    assert_false(noise_open(&receive[1], second, sizeof second, out)); /* too early */
    assert_false(noise_open(&receive[0], first, sizeof first, out));   /* reflected */
    assert_true(noise_open(&receive[1], first, sizeof first, out));
    assert_false(noise_open(&receive[1], first, sizeof first, out)); /* again */
    assert_true(noise_open(&receive[1], second, sizeof second, out));
    assert_false(noise_open(&receive[1], second, NOISE_TAG_BYTES - 1, out));
}

static void both_sides_come_to_the_same_next_key(void **state)
{
    static const uint8_t zeros[NOISE_KEY_BYTES];
    static const uint8_t last_nonce[12] = {0,    0,    0,    0,    0xff, 0xff,
                                           0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct pair p;
    struct noise_cipher send[2];
    struct noise_cipher receive[2];
    uint8_t sealed[5 + NOISE_TAG_BYTES];
    uint8_t out[5];
    uint8_t want[NOISE_KEY_BYTES + NOISE_TAG_BYTES];

    (void)state;
    pair_shake(&p);
    noise_split(&p.a, &send[0], &receive[0]);
    noise_split(&p.b, &send[1], &receive[1]);
    noise_seal(&send[0], "first", 5, sealed);
    assert_true(noise_open(&receive[1], sealed, sizeof sealed, out));
    /* Section 4.2: the first 32 bytes of 32 zeros sealed with the nonce that no message has. */
    (void)crypto_aead_chacha20poly1305_ietf_encrypt(want, NULL, zeros, sizeof zeros, NULL, 0, NULL,
                                                    last_nonce, send[0].key);
    noise_rekey(&send[0]);
    assert_memory_equal(send[0].key, want, NOISE_KEY_BYTES);
    assert_int_equal(send[0].n, 1);
    noise_seal(&send[0], "after", 5, sealed);
    assert_false(noise_open(&receive[1], sealed, sizeof sealed, out));
    noise_rekey(&receive[1]);
    assert_true(noise_open(&receive[1], sealed, sizeof sealed, out));
    assert_memory_equal(out, "after", 5);
}

static void the_last_nonce_is_not_for_messages(void **state)
{
    struct noise_cipher cipher = {.key = {1}, .n = UINT64_MAX - 1};
    struct noise_cipher other = cipher;
    uint8_t sealed[1 + NOISE_TAG_BYTES];
    uint8_t out[1];

    (void)state;
    noise_seal(&cipher, "x", 1, sealed);
    assert_true(noise_open(&other, sealed, sizeof sealed, out));
    assert_int_equal(other.n, UINT64_MAX);
    cipher.n = UINT64_MAX;
    (void)crypto_aead_chacha20poly1305_ietf_encrypt(
        sealed, NULL, (const uint8_t *)"x", 1, NULL, 0, NULL,
        (const uint8_t *)"\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", cipher.key);
    assert_false(noise_open(&other, sealed, sizeof sealed, out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_speak_the_published_vector),
        cmocka_unit_test(nothing_secret_is_left_in_a_handshake_that_was_split),
        cmocka_unit_test(each_changed_bit_of_either_message_is_found),
        cmocka_unit_test(another_key_or_prologue_does_not_fit),
        cmocka_unit_test(points_of_low_order_are_refused),
        cmocka_unit_test(a_message_is_read_once_in_its_place_and_not_by_its_sender),
        cmocka_unit_test(both_sides_come_to_the_same_next_key),
        cmocka_unit_test(the_last_nonce_is_not_for_messages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
