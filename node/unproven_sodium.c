/* SPDX-License-Identifier: Apache-2.0 */
#include <netinet/in.h>
#include <sodium.h>
#include <string.h>

#include "node/unproven.h"
#include "shared/base/mem.h"

static unsigned char hash_key[crypto_shorthash_KEYBYTES];

static unsigned hash_address(const void *address, size_t n)
{
    uint64_t hash;

    crypto_shorthash((unsigned char *)&hash, address, n, hash_key);
    return (unsigned)hash;
}

#define HASH_FUNCTION(keyptr, keylen, hashv) ((hashv) = hash_address(keyptr, keylen))
#include <uthash.h>

#define ADDRESS_BYTES 8

struct unproven_address {
    uint8_t address[ADDRESS_BYTES]; /* IPv4: behind 4 zeros; IPv6: the first half */
    size_t n;
    UT_hash_handle hh;
};

struct unproven {
    struct unproven_address *table;
    size_t max_of_one;
    size_t total;
};

struct unproven *unproven_new(size_t max_of_one)
{
    struct unproven *unproven = x_alloc(sizeof *unproven);

    randombytes_buf(hash_key, sizeof hash_key);
    unproven->max_of_one = max_of_one;
    return unproven;
}

void unproven_free(struct unproven *unproven)
{
    if (unproven != NULL) {
        REQUIRE(unproven->table == NULL);
        mem_free(unproven);
    }
}

static void address_key(const struct sockaddr_storage *peer, uint8_t key[ADDRESS_BYTES])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    memset(key, 0, ADDRESS_BYTES);
    if (peer->ss_family == AF_INET) {
        memcpy(key + 4, &((const struct sockaddr_in *)(const void *)peer)->sin_addr, 4);
        return;
    }
    const uint8_t *bytes = ((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr.s6_addr;
    if (memcmp(bytes, mapped, sizeof mapped) == 0) {
        memcpy(key + 4, bytes + sizeof mapped, 4);
    } else {
        memcpy(key, bytes, ADDRESS_BYTES);
    }
}

bool unproven_add(struct unproven *unproven, const struct sockaddr_storage *peer)
{
    uint8_t key[ADDRESS_BYTES];
    struct unproven_address *entry;

    address_key(peer, key);
    HASH_FIND(hh, unproven->table, key, sizeof key, entry);
    if (entry != NULL && entry->n >= unproven->max_of_one) {
        return false;
    }
    if (entry == NULL) {
        entry = x_alloc(sizeof *entry);
        memcpy(entry->address, key, sizeof key);
        HASH_ADD(hh, unproven->table, address, sizeof entry->address, entry);
    }
    entry->n++;
    unproven->total++;
    return true;
}

void unproven_remove(struct unproven *unproven, const struct sockaddr_storage *peer)
{
    uint8_t key[ADDRESS_BYTES];
    struct unproven_address *entry;

    address_key(peer, key);
    HASH_FIND(hh, unproven->table, key, sizeof key, entry);
    REQUIRE(entry != NULL && entry->n > 0);
    unproven->total--;
    if (--entry->n == 0) {
        HASH_DEL(unproven->table, entry);
        mem_free(entry);
    }
}

bool unproven_is_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    uint8_t key_a[ADDRESS_BYTES];
    uint8_t key_b[ADDRESS_BYTES];

    address_key(a, key_a);
    address_key(b, key_b);
    return memcmp(key_a, key_b, ADDRESS_BYTES) == 0;
}

size_t unproven_total(const struct unproven *unproven)
{
    return unproven->total;
}
