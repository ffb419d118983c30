/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/export_writer.h"

int export_sink_write(struct export_sink *sink, const void *data, size_t n, struct err *err)
{
    int r = export_sink_flush(sink, err);

    r = r < 0 ? r : sink->write(sink, data, n, err);
    sink->written += r < 0 ? 0 : n;
    return r;
}

int export_sink_flush(struct export_sink *sink, struct err *err)
{
    size_t n = sink->buf.len;
    int r = n == 0 ? 0 : sink->write(sink, sink->buf.data, n, err);

    buf_reset(&sink->buf);
    sink->written += r < 0 ? 0 : n;
    return r;
}
