/* SPDX-License-Identifier: Apache-2.0 */
#include <sodium.h>
#include <string.h>

#include "shared/wire/ws.h"

void ws_make_mask(uint8_t mask[4])
{
    randombytes_buf(mask, 4);
}

void ws_make_key(char out[WS_KEY_MAX])
{
    uint8_t key[WS_KEY_BYTES];

    randombytes_buf(key, sizeof key);
    sodium_bin2base64(out, WS_KEY_MAX, key, sizeof key, sodium_base64_VARIANT_ORIGINAL);
}

bool ws_key_is_valid(const char *key)
{
    uint8_t bytes[WS_KEY_BYTES + 1];
    size_t n = 0;

    return strlen(key) < WS_KEY_MAX &&
           sodium_base642bin(bytes, sizeof bytes, key, strlen(key), NULL, &n, NULL,
                             sodium_base64_VARIANT_ORIGINAL) == 0 &&
           n == WS_KEY_BYTES;
}
