/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-1, which RFC 6455 asks for in its opening handshake; nothing secret rests on it.
 */
#include <openssl/evp.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/wire/ws.h"

#define SHA1_BYTES 20

void ws_accept(const char *key, char out[WS_ACCEPT_MAX])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t hash[SHA1_BYTES];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    REQUIRE(ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha1(), NULL) == 1 &&
            EVP_DigestUpdate(ctx, key, strlen(key)) == 1 &&
            EVP_DigestUpdate(ctx, guid, strlen(guid)) == 1 &&
            EVP_DigestFinal_ex(ctx, hash, NULL) == 1);
    EVP_MD_CTX_free(ctx);
    EVP_EncodeBlock((unsigned char *)out, hash, sizeof hash);
}
