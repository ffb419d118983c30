/* SPDX-License-Identifier: Apache-2.0
 *
 * The content of POST /api/v1/captures: whatever comes, it is a request or an error that says what
 * is wrong.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "node/byte_range.h"
#include "node/capture_body.h"
#include "node/packet_cursor.h"
#include "shared/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Short texts out of headers and queries come the same way. */
static void parse_texts(const char *text)
{
    uint64_t first = 0;
    uint64_t last = 0;
    struct err err = {0};

    if (byte_range_parse(text, 1000, &first, &last) == BYTE_RANGE_PART) {
        REQUIRE(first <= last && last < 1000);
    }
    (void)etag_is_listed(text, "\"a\"", true);
    if (packet_cursor_read(text, "01a21251-491e-7b6d-bcb7-8bf6f068e5c7", &first, &err) < 0) {
        REQUIRE(err.text[0] != '\0');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct capture_body body;
    struct err err = {0};

    if (capture_body_parse(data, size, &body, &err) == 0) {
        REQUIRE(body.request.n_interfaces > 0);
        REQUIRE(body.request.n_interfaces <= SESSION_MAX_SOURCES);
        for (size_t i = 0; i < body.request.n_interfaces; i++) {
            REQUIRE(body.request.interfaces[i][0] != '\0');
        }
        REQUIRE(body.request.snaplen <= 262144);
        capture_body_deinit(&body);
    } else {
        REQUIRE((err.code == ERR_USAGE || err.code == ERR_FILTER) && err.text[0] != '\0');
    }
    char *text = x_alloc(size + 1);
    memcpy(text, data, size);
    parse_texts(text);
    mem_free(text);
    return 0;
}
