/* SPDX-License-Identifier: Apache-2.0
 *
 * The two tables of cryptography: published vectors for the real one, and for both that every
 * damage and every wrong key is found. Then the hashes that they share, and the random numbers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/bytes.h"
#include "shared/base/mem.h"
#include "shared/swarm/swim_crypto.h"
#include "shared/swarm/swim_random.h"

static const struct swim_crypto *const tables[] = {&swim_crypto_sodium, &swim_crypto_null};

static void from_hex(const char *text, uint8_t *out)
{
    for (size_t i = 0; text[2 * i] != '\0'; i++) {
        unsigned v = 0;
        for (unsigned k = 0; k < 2; k++) {
            char c = text[2 * i + k];
            v = v * 16 + (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
        }
        out[i] = (uint8_t)v;
    }
}

/* RFC 8032 section 7.1, test 2. */
static void signatures_are_those_of_rfc_8032(void **state)
{
    uint8_t seed[SWIM_SEED_BYTES];
    uint8_t public_key[SWIM_PUBLIC_BYTES];
    uint8_t secret_key[SWIM_SECRET_BYTES];
    uint8_t want[SWIM_SIGNATURE_BYTES];
    uint8_t got[SWIM_SIGNATURE_BYTES];

    (void)state;
    from_hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", seed);
    swim_crypto_sodium.make_pair(seed, public_key, secret_key);
    from_hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", want);
    assert_memory_equal(public_key, want, sizeof public_key);
    from_hex("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
             "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
             want);
    swim_crypto_sodium.sign(secret_key, "\x72", 1, got);
    assert_memory_equal(got, want, sizeof want);
    assert_true(swim_crypto_sodium.verify(public_key, "\x72", 1, got));
}

/* draft-irtf-cfrg-xchacha-03, appendix A.3.1. */
static void sealing_is_that_of_the_draft_of_xchacha(void **state)
{
    static const char text[] = "Ladies and Gentlemen of the class of '99: If I could offer you "
                               "only one tip for the future, sunscreen would be it.";
    uint8_t key[SWIM_KEY_BYTES];
    uint8_t nonce[SWIM_AEAD_NONCE];
    uint8_t ad[12];
    uint8_t bytes[sizeof text - 1 + SWIM_TAG_BYTES];
    uint8_t want[sizeof bytes];
    const size_t n = sizeof text - 1;

    (void)state;
    from_hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f", key);
    from_hex("404142434445464748494a4b4c4d4e4f5051525354555657", nonce);
    from_hex("50515253c0c1c2c3c4c5c6c7", ad);
    from_hex("bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
             "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
             "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
             "21f9664c97637da9768812f615c68b13b52e"
             "c0875924c1c7987947deafd8780acf49",
             want);
    memcpy(bytes, text, n);
    swim_crypto_sodium.seal(key, nonce, ad, sizeof ad, bytes, n);
    assert_memory_equal(bytes, want, sizeof want);
    assert_true(swim_crypto_sodium.open(key, nonce, ad, sizeof ad, bytes, n));
    assert_memory_equal(bytes, text, n);
}

struct sealed {
    uint8_t key[SWIM_KEY_BYTES];
    uint8_t nonce[SWIM_AEAD_NONCE];
    uint8_t ad[24];
    uint8_t bytes[64 + SWIM_TAG_BYTES];
    size_t n;
};

static void sealed_make(struct sealed *s, const struct swim_crypto *crypto, size_t n)
{
    *s = (struct sealed){.n = n};
    memset(s->key, 1, sizeof s->key);
    memset(s->nonce, 2, sizeof s->nonce);
    memset(s->ad, 3, sizeof s->ad);
    memset(s->bytes, 4, n);
    crypto->seal(s->key, s->nonce, s->ad, sizeof s->ad, s->bytes, n);
}

static bool opens(const struct swim_crypto *crypto, const struct sealed *s)
{
    struct sealed copy = *s; /* opening works in place */

    return crypto->open(copy.key, copy.nonce, copy.ad, sizeof copy.ad, copy.bytes, copy.n);
}

static void each_flipped_bit_of_what_was_sealed_is_found(void **state)
{
    static const size_t sizes[] = {0, 1, 17, 64};
    struct sealed s;

    (void)state;
    for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            sealed_make(&s, tables[t], sizes[i]);
            assert_true(opens(tables[t], &s));
            uint8_t *whole = (uint8_t *)&s; /* key, nonce, additional data, bytes, tag */
            size_t n = offsetof(struct sealed, bytes) + s.n + SWIM_TAG_BYTES;
            for (size_t bit = 0; bit < n * 8; bit++) {
                whole[bit / 8] ^= (uint8_t)(1u << bit % 8);
                assert_false(opens(tables[t], &s));
                whole[bit / 8] ^= (uint8_t)(1u << bit % 8);
            }
            assert_true(opens(tables[t], &s));
        }
    }
}

static void what_was_sealed_cannot_be_shortened(void **state)
{
    struct sealed s;

    (void)state;
    for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
        sealed_make(&s, tables[t], 64);
        for (s.n = 0; s.n < 64; s.n++) {
            assert_false(opens(tables[t], &s));
        }
        sealed_make(&s, tables[t], 16);
        assert_false(tables[t]->open(s.key, s.nonce, s.ad, sizeof s.ad - 1, s.bytes, s.n));
    }
}

static void each_flipped_bit_of_what_was_signed_is_found(void **state)
{
    uint8_t seed[SWIM_SEED_BYTES] = {9};
    uint8_t other_seed[SWIM_SEED_BYTES] = {10};
    uint8_t secret_key[SWIM_SECRET_BYTES];
    struct {
        uint8_t public_key[SWIM_PUBLIC_BYTES];
        uint8_t bytes[40];
        uint8_t signature[SWIM_SIGNATURE_BYTES];
    } s = {.bytes = "signed by somebody"};
    uint8_t *whole = (uint8_t *)&s;

    (void)state;
    for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
        tables[t]->make_pair(seed, s.public_key, secret_key);
        tables[t]->sign(secret_key, s.bytes, sizeof s.bytes, s.signature);
        assert_true(tables[t]->verify(s.public_key, s.bytes, sizeof s.bytes, s.signature));
        for (size_t bit = 0; bit < sizeof s * 8; bit++) {
            whole[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_false(tables[t]->verify(s.public_key, s.bytes, sizeof s.bytes, s.signature));
            whole[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        assert_false(tables[t]->verify(s.public_key, s.bytes, sizeof s.bytes - 1, s.signature));
        tables[t]->make_pair(other_seed, s.public_key, secret_key);
        assert_false(tables[t]->verify(s.public_key, s.bytes, sizeof s.bytes, s.signature));
    }
}

static void a_pair_follows_from_its_seed_alone(void **state)
{
    uint8_t seed[SWIM_SEED_BYTES] = {1};
    uint8_t public_key[3][SWIM_PUBLIC_BYTES];
    uint8_t secret_key[SWIM_SECRET_BYTES];

    (void)state;
    for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
        for (unsigned i = 0; i < 3; i++) {
            seed[31] = i == 2;
            tables[t]->make_pair(seed, public_key[i], secret_key);
            assert_memory_equal(secret_key + 32, public_key[i], SWIM_PUBLIC_BYTES);
        }
        assert_memory_equal(public_key[0], public_key[1], SWIM_PUBLIC_BYTES);
        assert_memory_not_equal(public_key[0], public_key[2], SWIM_PUBLIC_BYTES);
    }
}

/* Computed with hashlib.blake2b of Python and an independent SipHash-2-4. */
static void ids_and_hashes_are_the_same_on_every_machine(void **state)
{
    uint8_t bytes[32];
    uint8_t want[16];

    (void)state;
    for (unsigned i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)i;
    }
    from_hex("f39a2cad58411cd49f577e5086b8031f", want);
    struct swim_id id = swim_id_of(bytes);
    assert_memory_equal(id.bytes, want, sizeof want);
    assert_true(swim_sid(&id) == 0xf39a2cad58411cd4);
    assert_int_equal(swim_key_id(bytes), 0x74989ae7);
    assert_true(swim_hash("", 0) == 0xe8c854332875ae60);
    assert_true(swim_hash("member", 6) == 0xa16f77efdbfb4c8b);
    assert_true(swim_hash(bytes, 28) == 0x4580511306f676fe);
}

/* The keystream of ChaCha20 under a key of zeros, in 64-bit words. */
static void random_numbers_are_the_keystream_of_their_seed(void **state)
{
    static const uint8_t seed[32] = {0};
    uint8_t want[32];
    struct swim_random random;
    struct swim_random again;

    (void)state;
    from_hex("76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7", want);
    swim_random_init(&random, seed);
    for (unsigned i = 0; i < 4; i++) {
        assert_true(swim_random_u64(&random) == get_le64(want + (size_t)i * 8));
    }
    swim_random_init(&random, seed);
    swim_random_init(&again, seed);
    uint64_t first = swim_random_u64(&again);
    (void)swim_random_u64(&random);
    for (unsigned i = 0; i < 1000; i++) { /* over many blocks, none repeated */
        uint64_t v = swim_random_u64(&random);
        assert_true(v == swim_random_u64(&again));
        assert_true(v != first);
    }
}

static void draws_are_below_their_bound_and_evenly_so(void **state)
{
    static const uint8_t seed[32] = {5};
    struct swim_random random;
    unsigned count[10] = {0};

    (void)state;
    swim_random_init(&random, seed);
    assert_true(swim_random_below(&random, 0) == 0);
    for (unsigned i = 0; i < 100; i++) {
        assert_true(swim_random_below(&random, 1) == 0);
        assert_true(swim_random_below(&random, 1ull << 63) < 1ull << 63);
        assert_true(swim_random_below(&random, UINT64_MAX) < UINT64_MAX);
    }
    for (unsigned i = 0; i < 100000; i++) {
        count[swim_random_below(&random, 10)]++;
    }
    for (unsigned i = 0; i < 10; i++) { /* sigma is 95 */
        assert_in_range(count[i], 10000 - 480, 10000 + 480);
    }
    /* Of 3 × 2^62 results, every third has two of the 2^64 numbers when none is drawn again. */
    unsigned thirds = 0;
    for (unsigned i = 0; i < 10000; i++) {
        thirds += swim_random_below(&random, 3ull << 62) % 3 == 0;
    }
    assert_in_range(thirds, 3333 - 240, 3333 + 240);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_are_those_of_rfc_8032),
        cmocka_unit_test(sealing_is_that_of_the_draft_of_xchacha),
        cmocka_unit_test(each_flipped_bit_of_what_was_sealed_is_found),
        cmocka_unit_test(what_was_sealed_cannot_be_shortened),
        cmocka_unit_test(each_flipped_bit_of_what_was_signed_is_found),
        cmocka_unit_test(a_pair_follows_from_its_seed_alone),
        cmocka_unit_test(ids_and_hashes_are_the_same_on_every_machine),
        cmocka_unit_test(random_numbers_are_the_keystream_of_their_seed),
        cmocka_unit_test(draws_are_below_their_bound_and_evenly_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
