/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim_cost.h"

/* Of the input that is being handled: the functions of swim_crypto have no place for a context. */
static struct {
    const struct swim_crypto *crypto;
    uint32_t kilobyte_ns;
    uint64_t ns;
} now;

static void make_pair(const uint8_t seed[SWIM_SEED_BYTES], uint8_t public_key[SWIM_PUBLIC_BYTES],
                      uint8_t secret_key[SWIM_SECRET_BYTES])
{
    now.crypto->make_pair(seed, public_key, secret_key);
}

static void sign(const uint8_t secret_key[SWIM_SECRET_BYTES], const void *bytes, size_t n,
                 uint8_t signature[SWIM_SIGNATURE_BYTES])
{
    now.ns += SIM_SIGN_NS;
    now.crypto->sign(secret_key, bytes, n, signature);
}

static bool verify(const uint8_t public_key[SWIM_PUBLIC_BYTES], const void *bytes, size_t n,
                   const uint8_t signature[SWIM_SIGNATURE_BYTES])
{
    now.ns += SIM_VERIFY_NS;
    return now.crypto->verify(public_key, bytes, n, signature);
}

static void seal(const uint8_t key[SWIM_KEY_BYTES], const uint8_t nonce[SWIM_AEAD_NONCE],
                 const void *ad, size_t n_ad, uint8_t *bytes, size_t n)
{
    now.ns += SIM_AEAD_NS;
    now.crypto->seal(key, nonce, ad, n_ad, bytes, n);
}

static bool open(const uint8_t key[SWIM_KEY_BYTES], const uint8_t nonce[SWIM_AEAD_NONCE],
                 const void *ad, size_t n_ad, uint8_t *bytes, size_t n)
{
    now.ns += SIM_AEAD_NS;
    return now.crypto->open(key, nonce, ad, n_ad, bytes, n);
}

const struct swim_crypto sim_crypto_counting = {
    .make_pair = make_pair, .sign = sign, .verify = verify, .seal = seal, .open = open};

void sim_cost_begin(const struct swim_crypto *crypto, uint32_t kilobyte_ns)
{
    now.kilobyte_ns = kilobyte_ns;
    now.crypto = crypto;
    now.ns = 0;
}

void sim_cost_message(uint64_t n_stream_bytes)
{
    now.ns += SIM_SYSCALL_NS + n_stream_bytes * now.kilobyte_ns / 1024;
}

void sim_cost_wait(uint64_t ns)
{
    now.ns += ns;
}

uint64_t sim_cost_end(void)
{
    return now.ns;
}
