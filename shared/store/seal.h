/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of an encrypted store, composed of libsodium's primitives:
 *
 *   master key     the 32 bytes of a prd_ key, or Argon2id(passphrase, salt, costs) (seal_master)
 *   wrapping key   crypto_kdf of the master key; wraps 32-byte keys with XChaCha20-Poly1305 (slots)
 *   data key       random, one a session; stands wrapped in each segment's header
 *   segment key    keyed BLAKE2b of the data key over the segment's random id (struct seal)
 *
 * A frame is sealed under its segment's key with its number as the nonce. A segment is never
 * appended to after it was closed or found torn and its id is random, so no nonce is ever used
 * twice with one key. Computes only; no I/O.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/err.h"

#define SEAL_KEY_BYTES  32u
#define SEAL_TAG_BYTES  16u
#define SEAL_SALT_BYTES 16u
/* A slot on disk: u8 used, u8 kdf, u16 0, u32 ops, u64 mem bytes, salt 16, nonce 24, wrapped key 32
 * + tag 16. */
#define SEAL_SLOT_BYTES 104u
/* The beginning of a slot, which tells how the master key is derived. */
#define SEAL_SLOT_KDF_BYTES 32u

enum seal_algorithm { SEAL_NONE = 0, SEAL_AES256GCM = 1, SEAL_XCHACHA20POLY1305 = 2 };

/* How a master key comes from what the user has; stands in the clear. */
struct seal_kdf {
    bool passphrase; /* false: a random key, nothing to derive */
    uint32_t ops;
    uint64_t mem_bytes;
    uint8_t salt[SEAL_SALT_BYTES];
};

/* The same secret gives the same key under both. */
bool seal_kdf_is_same(const struct seal_kdf *a, const struct seal_kdf *b);
/* Fresh random salt and today's costs (RFC 9106 §4, second recommended option: 64 MiB, 3 passes).
 */
void seal_kdf_new(struct seal_kdf *kdf, bool passphrase);

/* `master` (SEAL_KEY_BYTES, in locked memory) from a secret. Costs above 1 GiB or 64 passes are
 * refused (ERR_LIMIT): they come from a file. */
int seal_master(const struct seal_kdf *kdf, const uint8_t *secret, size_t n, uint8_t *master,
                struct err *err);

/* Wraps `key` for `master`; `bound` is authenticated with it (the header that the slot stands in).
 */
void seal_slot_write(uint8_t slot[SEAL_SLOT_BYTES], const struct seal_kdf *kdf,
                     const uint8_t *master, const uint8_t *key, const uint8_t *bound, size_t n);
bool seal_slot_used(const uint8_t slot[SEAL_SLOT_BYTES]);
void seal_slot_kdf(const uint8_t slot[SEAL_SLOT_BYTES], struct seal_kdf *kdf);
/* 0, or ERR_KEY: not this master key, or changed bytes. key: SEAL_KEY_BYTES. */
int seal_slot_read(const uint8_t slot[SEAL_SLOT_BYTES], const uint8_t *master, const uint8_t *bound,
                   size_t n, uint8_t *key);

/* Locked memory for secrets; aborts when there is none. Free with seal_free. */
uint8_t *seal_alloc(size_t n);
void seal_free(void *p);
void seal_random(void *out, size_t n);

/* A segment's key, ready for use by several threads at once. */
struct seal;

/* AES-256-GCM where the processor has it, else XChaCha20-Poly1305. */
enum seal_algorithm seal_best(void);
/* ERR_UNSUPPORTED when this processor lacks what the segment was sealed with. */
int seal_new(enum seal_algorithm algorithm, const uint8_t *data_key, const uint8_t segment_id[16],
             struct seal **out, struct err *err);
void seal_close(struct seal *seal); /* takes NULL */
/* out: n + SEAL_TAG_BYTES bytes, not overlapping. */
void seal_frame(const struct seal *seal, uint64_t number, const uint8_t *aad, size_t aad_n,
                const uint8_t *in, size_t n, uint8_t *out);
/* n counts the tag. 0, or ERR_DAMAGED. out: n - SEAL_TAG_BYTES bytes. */
int seal_open(const struct seal *seal, uint64_t number, const uint8_t *aad, size_t aad_n,
              const uint8_t *in, size_t n, uint8_t *out);
