/* SPDX-License-Identifier: Apache-2.0 */
#include "node/read_cursor.h"

#include <string.h>

#include "shared/base/bytes.h"
#include "shared/base/id.h"
#include "shared/base/mem.h"

#define VERSION 1

enum {
    AT_ID = 1,
    AT_WHAT = 17,
    AT_FROM = 25,
    AT_TO = 33,
    AT_STAGE = 41,
    AT_NEXT = 42,
    AT_SKIP = 50,
    AT_OFFSET = 58,
    AT_PACKETS = 66,
    AT_MISSING = 74,
    AT_LEFT_OUT = 82,
    AT_IFACES = 90,
    AT_HEAD = 94,
};

static uint64_t sum_on(uint64_t sum, uint8_t byte)
{
    return (sum ^ byte) * UINT64_C(1099511628211);
}

uint64_t read_cursor_sum(enum export_format format, const char *filter)
{
    uint64_t sum = sum_on(UINT64_C(14695981039346656037), (uint8_t)format);

    for (const char *p = filter; p != NULL && *p != '\0'; p++) {
        sum = sum_on(sum, (uint8_t)*p);
    }
    return sum;
}

void read_cursor_write(const struct read_cursor *cursor, char out[READ_CURSOR_TEXT])
{
    const struct export_mark *mark = &cursor->mark;
    uint8_t bytes[READ_CURSOR_BYTES] = {VERSION};
    struct id id;

    REQUIRE(id_parse(cursor->id, &id));
    memcpy(bytes + AT_ID, id.bytes, sizeof id.bytes);
    put_le64(bytes + AT_WHAT, cursor->what);
    put_le64(bytes + AT_FROM, cursor->from_ns);
    put_le64(bytes + AT_TO, cursor->to_ns);
    bytes[AT_STAGE] = (uint8_t)mark->stage;
    put_le64(bytes + AT_NEXT, mark->next);
    put_le64(bytes + AT_SKIP, mark->skip);
    put_le64(bytes + AT_OFFSET, mark->offset);
    put_le64(bytes + AT_PACKETS, mark->packets);
    put_le64(bytes + AT_MISSING, mark->missing);
    put_le64(bytes + AT_LEFT_OUT, mark->left_out);
    put_le32(bytes + AT_IFACES, mark->n_ifaces);
    put_le32(bytes + AT_HEAD, mark->head_sum);
    cursor_text_write(bytes, sizeof bytes, out);
}

int read_cursor_read(const char *text, struct read_cursor *out, struct err *err)
{
    uint8_t bytes[READ_CURSOR_BYTES];
    struct id id;

    if (!cursor_text_read(text, VERSION, bytes, sizeof bytes) || bytes[AT_STAGE] > EXPORT_AT_BODY) {
        return err_set(err, ERR_USAGE,
                       "the cursor is not one that was given out: take 'next' of the chunk before");
    }
    memcpy(id.bytes, bytes + AT_ID, sizeof id.bytes);
    *out = (struct read_cursor){
        .what = get_le64(bytes + AT_WHAT),
        .from_ns = get_le64(bytes + AT_FROM),
        .to_ns = get_le64(bytes + AT_TO),
        .mark = {.stage = (enum export_stage)bytes[AT_STAGE],
                 .next = get_le64(bytes + AT_NEXT),
                 .skip = get_le64(bytes + AT_SKIP),
                 .offset = get_le64(bytes + AT_OFFSET),
                 .packets = get_le64(bytes + AT_PACKETS),
                 .missing = get_le64(bytes + AT_MISSING),
                 .left_out = get_le64(bytes + AT_LEFT_OUT),
                 .n_ifaces = get_le32(bytes + AT_IFACES),
                 .head_sum = get_le32(bytes + AT_HEAD)},
    };
    id_format(&id, out->id);
    return 0;
}
