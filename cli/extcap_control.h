/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages between an extcap program and Wireshark's toolbar (its "control protocol"): what goes
 * out is put together here, what comes in is taken apart. Pure; extcap_capture_posix.c moves the
 * bytes.
 *
 *   0 u8 'T'   1 u24 length, big-endian, of all that follows   4 u8 control   5 u8 command
 *   6 payload
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/base/bytes.h"
#include "shared/base/err.h"

#define EXTCAP_CONTROL_PAYLOAD_MAX 65535u

enum extcap_control_command {
    EXTCAP_INITIALIZED = 0, /* from Wireshark: the toolbar is there */
    EXTCAP_SET = 1,         /* both ways: the value */
    EXTCAP_ADD = 2,         /* a line more in a log */
    EXTCAP_REMOVE = 3,
    EXTCAP_ENABLE = 4,
    EXTCAP_DISABLE = 5,
    EXTCAP_STATUSBAR = 6,
};

/* Text longer than a message takes is cut. */
void extcap_control_put(struct buf *out, uint8_t control, enum extcap_control_command command,
                        const char *text);

struct extcap_control_message {
    uint8_t control;
    uint8_t command;
    const uint8_t *payload; /* borrowed */
    uint32_t n;
};

/* 1: a message, `in` moved behind it. 0: its end has not come. ERR_DAMAGED. */
int extcap_control_next(struct bytes_reader *in, struct extcap_control_message *out,
                        struct err *err);
