/* SPDX-License-Identifier: Apache-2.0 */
#include "node/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/mem.h"

/* In HELP a line feed and a backslash mean something, in the value of a label quotes too. */
static void put_escaped(struct buf *out, const char *text, bool quotes)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            buf_put_str(out, "\\n");
        } else {
            if (*text == '\\' || (*text == '"' && quotes)) {
                buf_put_u8(out, '\\');
            }
            buf_put_u8(out, (uint8_t)*text);
        }
    }
}

void metrics_family(struct buf *out, const char *name, const char *kind, const char *help)
{
    buf_put_str(out, "# HELP ");
    buf_put_str(out, name);
    buf_put_u8(out, ' ');
    put_escaped(out, help, false);
    buf_put_str(out, "\n# TYPE ");
    buf_put_str(out, name);
    buf_put_u8(out, ' ');
    buf_put_str(out, kind);
    buf_put_u8(out, '\n');
}

static void put_sample(struct buf *out, const char *name, const char *labels, const char *value)
{
    buf_put_str(out, name);
    if (labels[0] != '\0') {
        buf_put_u8(out, '{');
        buf_put_str(out, labels);
        buf_put_u8(out, '}');
    }
    buf_put_u8(out, ' ');
    buf_put_str(out, value);
    buf_put_u8(out, '\n');
}

void metrics_count(struct buf *out, const char *name, const char *labels, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, value);
    put_sample(out, name, labels, text);
}

void metrics_value(struct buf *out, const char *name, const char *labels, double value)
{
    char text[40];

    snprintf(text, sizeof text, "%.17g", value);
    put_sample(out, name, labels, text);
}

/* A line of the format is UTF-8; a name may be any bytes. */
static void put_value(struct buf *out, const char *value)
{
    struct buf clean = {0};

    for (const char *p = value; *p != '\0'; p++) {
        buf_put_u8(&clean, (unsigned char)*p < 0x80 ? (uint8_t)*p : '?');
    }
    buf_put_u8(&clean, 0);
    put_escaped(out, (const char *)clean.data, true);
    buf_deinit(&clean);
}

/* What stands in `out` ends with a zero that does not count, so that its data is a text. */
void metrics_label(struct buf *out, const char *name, const char *value)
{
    if (out->len > 0) {
        buf_put_u8(out, ',');
    }
    buf_put_str(out, name);
    buf_put_str(out, "=\"");
    put_value(out, value);
    buf_put_u8(out, '"');
    buf_put_u8(out, 0);
    out->len--;
}
