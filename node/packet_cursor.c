/* SPDX-License-Identifier: Apache-2.0 */
#include "node/packet_cursor.h"

#include <string.h>

#include "shared/base/bytes.h"
#include "shared/base/id.h"
#include "shared/base/mem.h"

#define VERSION   1
#define AT_ID     1
#define AT_NUMBER 17

void packet_cursor_write(const char *id, uint64_t number, char out[PACKET_CURSOR_TEXT])
{
    uint8_t bytes[PACKET_CURSOR_BYTES] = {VERSION};
    struct id parsed;

    REQUIRE(id_parse(id, &parsed));
    memcpy(bytes + AT_ID, parsed.bytes, sizeof parsed.bytes);
    put_le64(bytes + AT_NUMBER, number);
    cursor_text_write(bytes, sizeof bytes, out);
}

int packet_cursor_read(const char *text, const char *id, uint64_t *number, struct err *err)
{
    uint8_t bytes[PACKET_CURSOR_BYTES];
    struct id parsed;

    if (!cursor_text_read(text, VERSION, bytes, sizeof bytes)) {
        return err_set(err, ERR_USAGE,
                       "the cursor is not one that was given out: take 'next' of the page before");
    }
    REQUIRE(id_parse(id, &parsed));
    if (memcmp(bytes + AT_ID, parsed.bytes, sizeof parsed.bytes) != 0) {
        return err_set(err, ERR_USAGE, "the cursor is of another session than %s", id);
    }
    *number = get_le64(bytes + AT_NUMBER);
    return 0;
}
