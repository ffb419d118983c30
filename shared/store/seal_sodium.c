/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/seal.h"

#include <sodium.h>
#include <string.h>

#include "shared/base/bytes.h"
#include "shared/base/mem.h"

#define KDF_MEM_BYTES     (64u * 1024u * 1024u)
#define KDF_OPS           3u
#define KDF_MEM_BYTES_MAX (1024u * 1024u * 1024u)
#define KDF_OPS_MAX       64u
#define KDF_CONTEXT       "PRecWrap"

enum slot_at {
    AT_USED = 0,
    AT_KDF = 1,
    AT_OPS = 4,
    AT_MEM = 8,
    AT_SALT = 16,
    AT_NONCE = 32,
    AT_KEY = 56
};

struct seal {
    enum seal_algorithm algorithm;
    crypto_aead_aes256gcm_state *aes; /* in locked memory; NULL for the other algorithm */
    uint8_t *key;                     /* in locked memory */
};

static void ready(void)
{
    REQUIRE(sodium_init() >= 0);
}

uint8_t *seal_alloc(size_t n)
{
    ready();
    uint8_t *p = sodium_malloc(n);
    REQUIRE(p != NULL);
    sodium_memzero(p, n);
    return p;
}

void seal_free(void *p)
{
    sodium_free(p);
}

void seal_random(void *out, size_t n)
{
    ready();
    randombytes_buf(out, n);
}

bool seal_kdf_is_same(const struct seal_kdf *a, const struct seal_kdf *b)
{
    return a->passphrase == b->passphrase && a->ops == b->ops && a->mem_bytes == b->mem_bytes &&
           memcmp(a->salt, b->salt, sizeof a->salt) == 0;
}

void seal_kdf_new(struct seal_kdf *kdf, bool passphrase)
{
    *kdf = (struct seal_kdf){.passphrase = passphrase};
    seal_random(kdf->salt, sizeof kdf->salt);
    if (passphrase) {
        kdf->ops = KDF_OPS;
        kdf->mem_bytes = KDF_MEM_BYTES;
    }
}

int seal_master(const struct seal_kdf *kdf, const uint8_t *secret, size_t n, uint8_t *master,
                struct err *err)
{
    ready();
    if (!kdf->passphrase) {
        REQUIRE(n == SEAL_KEY_BYTES);
        memcpy(master, secret, n);
        return 0;
    }
    if (kdf->ops < 1 || kdf->ops > KDF_OPS_MAX || kdf->mem_bytes < crypto_pwhash_MEMLIMIT_MIN ||
        kdf->mem_bytes > KDF_MEM_BYTES_MAX) {
        return err_set(err, ERR_LIMIT,
                       "key derivation costs of %u passes and %llu bytes are refused", kdf->ops,
                       (unsigned long long)kdf->mem_bytes);
    }
    if (crypto_pwhash(master, SEAL_KEY_BYTES, (const char *)secret, n, kdf->salt, kdf->ops,
                      (size_t)kdf->mem_bytes, crypto_pwhash_ALG_ARGON2ID13) != 0) {
        return err_set(err, ERR_NO_MEMORY, "no memory for the key derivation (%llu MiB)",
                       (unsigned long long)(kdf->mem_bytes >> 20));
    }
    return 0;
}

/* What a wrapped key is bound to: where it stands and how its master key is derived. */
static void slot_aad(const uint8_t *slot, const uint8_t *bound, size_t n, uint8_t aad[32])
{
    crypto_generichash_state state;

    crypto_generichash_init(&state, NULL, 0, 32);
    crypto_generichash_update(&state, slot, AT_NONCE);
    crypto_generichash_update(&state, bound, n);
    crypto_generichash_final(&state, aad, 32);
}

static void wrapping_key(const uint8_t *master, uint8_t *key)
{
    crypto_kdf_derive_from_key(key, SEAL_KEY_BYTES, 1, KDF_CONTEXT, master);
}

void seal_slot_write(uint8_t slot[SEAL_SLOT_BYTES], const struct seal_kdf *kdf,
                     const uint8_t *master, const uint8_t *key, const uint8_t *bound, size_t n)
{
    uint8_t aad[32];
    uint8_t *wrap = seal_alloc(SEAL_KEY_BYTES);

    memset(slot, 0, SEAL_SLOT_BYTES);
    slot[AT_USED] = 1;
    slot[AT_KDF] = kdf->passphrase ? 1 : 0;
    put_le32(slot + AT_OPS, kdf->ops);
    put_le64(slot + AT_MEM, kdf->mem_bytes);
    memcpy(slot + AT_SALT, kdf->salt, SEAL_SALT_BYTES);
    seal_random(slot + AT_NONCE, crypto_aead_xchacha20poly1305_ietf_NPUBBYTES);
    slot_aad(slot, bound, n, aad);
    wrapping_key(master, wrap);
    crypto_aead_xchacha20poly1305_ietf_encrypt(slot + AT_KEY, NULL, key, SEAL_KEY_BYTES, aad,
                                               sizeof aad, NULL, slot + AT_NONCE, wrap);
    seal_free(wrap);
}

bool seal_slot_used(const uint8_t slot[SEAL_SLOT_BYTES])
{
    return slot[AT_USED] != 0;
}

void seal_slot_kdf(const uint8_t slot[SEAL_SLOT_BYTES], struct seal_kdf *kdf)
{
    *kdf = (struct seal_kdf){
        .passphrase = slot[AT_KDF] != 0,
        .ops = get_le32(slot + AT_OPS),
        .mem_bytes = get_le64(slot + AT_MEM),
    };
    memcpy(kdf->salt, slot + AT_SALT, SEAL_SALT_BYTES);
}

int seal_slot_read(const uint8_t slot[SEAL_SLOT_BYTES], const uint8_t *master, const uint8_t *bound,
                   size_t n, uint8_t *key)
{
    uint8_t aad[32];

    if (!seal_slot_used(slot)) {
        return ERR_KEY;
    }
    uint8_t *wrap = seal_alloc(SEAL_KEY_BYTES);
    slot_aad(slot, bound, n, aad);
    wrapping_key(master, wrap);
    int r = crypto_aead_xchacha20poly1305_ietf_decrypt(key, NULL, NULL, slot + AT_KEY,
                                                       SEAL_KEY_BYTES + SEAL_TAG_BYTES, aad,
                                                       sizeof aad, slot + AT_NONCE, wrap);
    seal_free(wrap);
    return r == 0 ? 0 : ERR_KEY;
}

enum seal_algorithm seal_best(void)
{
    ready();
    return crypto_aead_aes256gcm_is_available() ? SEAL_AES256GCM : SEAL_XCHACHA20POLY1305;
}

int seal_new(enum seal_algorithm algorithm, const uint8_t *data_key, const uint8_t segment_id[16],
             struct seal **out, struct err *err)
{
    ready();
    if (algorithm != SEAL_AES256GCM && algorithm != SEAL_XCHACHA20POLY1305) {
        return err_set(err, ERR_VERSION, "unknown sealing algorithm %d", (int)algorithm);
    }
    if (algorithm == SEAL_AES256GCM && !crypto_aead_aes256gcm_is_available()) {
        return err_set(err, ERR_UNSUPPORTED,
                       "the packets are sealed with AES-256-GCM, which needs a processor with AES "
                       "instructions");
    }
    struct seal *seal = x_alloc(sizeof *seal);
    seal->algorithm = algorithm;
    seal->key = seal_alloc(SEAL_KEY_BYTES);
    crypto_generichash(seal->key, SEAL_KEY_BYTES, segment_id, 16, data_key, SEAL_KEY_BYTES);
    if (algorithm == SEAL_AES256GCM) {
        seal->aes = (crypto_aead_aes256gcm_state *)(void *)seal_alloc(sizeof *seal->aes);
        crypto_aead_aes256gcm_beforenm(seal->aes, seal->key);
    }
    *out = seal;
    return 0;
}

void seal_close(struct seal *seal)
{
    if (seal != NULL) {
        seal_free(seal->aes);
        seal_free(seal->key);
        mem_free(seal);
    }
}

void seal_frame(const struct seal *seal, uint64_t number, const uint8_t *aad, size_t aad_n,
                const uint8_t *in, size_t n, uint8_t *out)
{
    uint8_t nonce[24] = {0};

    put_le64(nonce, number);
    if (seal->algorithm == SEAL_AES256GCM) {
        crypto_aead_aes256gcm_encrypt_afternm(out, NULL, in, n, aad, aad_n, NULL, nonce, seal->aes);
    } else {
        crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, in, n, aad, aad_n, NULL, nonce,
                                                   seal->key);
    }
}

int seal_open(const struct seal *seal, uint64_t number, const uint8_t *aad, size_t aad_n,
              const uint8_t *in, size_t n, uint8_t *out)
{
    uint8_t nonce[24] = {0};
    int r;

    if (n < SEAL_TAG_BYTES) {
        return ERR_DAMAGED;
    }
    put_le64(nonce, number);
    if (seal->algorithm == SEAL_AES256GCM) {
        r = crypto_aead_aes256gcm_decrypt_afternm(out, NULL, NULL, in, n, aad, aad_n, nonce,
                                                  seal->aes);
    } else {
        r = crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, in, n, aad, aad_n, nonce,
                                                       seal->key);
    }
    return r == 0 ? 0 : ERR_DAMAGED;
}
