/* SPDX-License-Identifier: Apache-2.0
 *
 * The description of a session in its segments. What is read can be written, and then reads the
 * same.
 */
#include <stdint.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/store/session_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct store_session first;
    struct store_session second;

    if (session_text_read((const char *)data, n, &first) < 0) {
        return 0;
    }
    REQUIRE(first.n_ifaces <= IFACES_MAX && strlen(first.id) == STORE_ID_TEXT - 1);
    char *text = session_text_write(&first);
    REQUIRE(session_text_read(text, strlen(text), &second) == 0);
    char *again = session_text_write(&second);
    REQUIRE(strcmp(text, again) == 0);
    mem_free(again);
    mem_free(text);
    store_session_deinit(&second);
    store_session_deinit(&first);
    return 0;
}
