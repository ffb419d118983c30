/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/extcap_control.h"

#include <string.h>

#define HEAD_BYTES 6u
#define MARK       'T'

void extcap_control_put(struct buf *out, uint8_t control, enum extcap_control_command command,
                        const char *text)
{
    size_t n = strlen(text);

    n = n > EXTCAP_CONTROL_PAYLOAD_MAX ? EXTCAP_CONTROL_PAYLOAD_MAX : n;
    uint32_t length = (uint32_t)n + 2;
    const uint8_t head[HEAD_BYTES] = {
        MARK,    (uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length,
        control, (uint8_t)command,
    };
    buf_append(out, head, sizeof head);
    buf_append(out, text, n);
}

int extcap_control_next(struct bytes_reader *in, struct extcap_control_message *out,
                        struct err *err)
{
    const uint8_t *p = in->p;
    size_t left = bytes_left(in);

    if (left > 0 && p[0] != MARK) {
        return err_set(err, ERR_DAMAGED, "a control message begins with 0x%02x", p[0]);
    }
    if (left < HEAD_BYTES) {
        return 0;
    }
    uint32_t length = (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    if (length < 2 || length - 2 > EXTCAP_CONTROL_PAYLOAD_MAX) {
        return err_set(err, ERR_DAMAGED, "a control message of %u bytes", (unsigned)length);
    }
    if (left - 4 < length) {
        return 0;
    }
    *out = (struct extcap_control_message){
        .control = p[4], .command = p[5], .payload = p + HEAD_BYTES, .n = length - 2};
    in->p += 4 + length;
    return 1;
}
