/* SPDX-License-Identifier: Apache-2.0
 *
 * Endpoints that users type and targets that peers send: what was understood must mean the same
 * when it is written and read again.
 */
#include <string.h>

#include "shared/base/mem.h"
#include "shared/wire/url.h"
#include "shared/wire/utf8.h"

#define TEXT_MAX_BYTES 8192u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_endpoint(const char *text)
{
    struct url_endpoint endpoint;
    struct url_endpoint again;
    struct err err = {0};
    struct buf out = {0};

    if (url_parse_endpoint(text, &endpoint, &err) != 0) {
        REQUIRE(err.code == ERR_USAGE && err.text[0] != '\0');
        return;
    }
    REQUIRE(endpoint.port > 0 && endpoint.host[0] != '\0');
    url_format_endpoint(&endpoint, false, &out);
    buf_put_u8(&out, 0);
    REQUIRE(url_parse_endpoint((const char *)out.data, &again, NULL) == 0);
    REQUIRE(again.tls == endpoint.tls && again.port == endpoint.port);
    REQUIRE(strcmp(again.host, endpoint.host) == 0 && strcmp(again.path, endpoint.path) == 0);
    buf_deinit(&out);
}

static void check_target(const char *text)
{
    struct url_target target;

    if (url_parse_target(text, &target, NULL) != 0) {
        return;
    }
    REQUIRE(target.path[0] == '/' && strpbrk(target.path, "?#") == NULL);
    REQUIRE(target.n_params <= URL_PARAMS_MAX);
    for (size_t i = 0; i < target.n_params; i++) {
        const struct url_param *param = &target.params[i];
        REQUIRE(utf8_is_valid(param->name, strlen(param->name)));
        REQUIRE(utf8_is_valid(param->value, strlen(param->value)));
        REQUIRE(url_param(&target, param->name) != NULL);
    }
    url_target_deinit(&target);
}

static void check_decoding(const char *text, size_t n)
{
    char *decoded = url_decode(text, n, n & 1);
    struct buf out = {0};

    if (decoded == NULL) {
        return;
    }
    url_put_encoded(&out, decoded, n & 2);
    char *again = url_decode((const char *)out.data, out.len, true);
    REQUIRE(again != NULL && strcmp(again, decoded) == 0);
    mem_free(again);
    mem_free(decoded);
    buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n > TEXT_MAX_BYTES) {
        return 0;
    }
    char *text = x_alloc(n + 1);
    memcpy(text, data, n);
    check_endpoint(text);
    check_target(text);
    check_decoding(text, n);
    mem_free(text);
    return 0;
}
