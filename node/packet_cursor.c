/* SPDX-License-Identifier: Apache-2.0 */
#include "node/packet_cursor.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/bytes.h"
#include "shared/base/id.h"
#include "shared/base/mem.h"

#define VERSION   1
#define AT_ID     1
#define AT_NUMBER 17
#define AT_CHECK  25

/* Finds typing errors and cut texts; nothing depends on a cursor being ours. */
static uint32_t check_of(const uint8_t *bytes)
{
    uint32_t h = 2166136261u;

    for (size_t i = 0; i < AT_CHECK; i++) {
        h = (h ^ bytes[i]) * 16777619u;
    }
    return h;
}

void packet_cursor_write(const char *id, uint64_t number, char out[PACKET_CURSOR_TEXT])
{
    uint8_t bytes[PACKET_CURSOR_BYTES] = {VERSION};
    struct id parsed;

    REQUIRE(id_parse(id, &parsed));
    memcpy(bytes + AT_ID, parsed.bytes, sizeof parsed.bytes);
    put_le64(bytes + AT_NUMBER, number);
    put_le32(bytes + AT_CHECK, check_of(bytes));
    for (size_t i = 0; i < sizeof bytes; i++) {
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    }
}

static int digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool decode(const char *text, uint8_t *bytes)
{
    if (strlen(text) != PACKET_CURSOR_TEXT - 1) {
        return false;
    }
    for (size_t i = 0; i < PACKET_CURSOR_BYTES; i++) {
        int high = digit(text[2 * i]);
        int low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        bytes[i] = (uint8_t)(high * 16 + low);
    }
    return bytes[0] == VERSION && get_le32(bytes + AT_CHECK) == check_of(bytes);
}

int packet_cursor_read(const char *text, const char *id, uint64_t *number, struct err *err)
{
    uint8_t bytes[PACKET_CURSOR_BYTES];
    struct id parsed;

    if (!decode(text, bytes)) {
        return err_set(err, ERR_USAGE,
                       "?cursor= is not one that was given out: take 'next' of the page before");
    }
    REQUIRE(id_parse(id, &parsed));
    if (memcmp(bytes + AT_ID, parsed.bytes, sizeof parsed.bytes) != 0) {
        return err_set(err, ERR_USAGE, "?cursor= is of another session than %s", id);
    }
    *number = get_le64(bytes + AT_NUMBER);
    return 0;
}
