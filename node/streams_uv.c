/* SPDX-License-Identifier: Apache-2.0 */
#include "node/stream_internal_uv.h"
#include "shared/base/mem.h"

#define SPARE_WRITES_MAX 256

static void on_sweep(uv_timer_t *timer)
{
    struct streams *streams = container_of(timer, struct streams, sweep);
    uint64_t at_ms = uv_now(streams->loop);

    /* A stream leaves the list in its close callback only, never in here. */
    struct stream *s;
    LIST_FOREACH (s, &streams->all, link) {
        stream_tick(s, at_ms);
    }
    if (LIST_EMPTY(&streams->all)) {
        uv_timer_stop(timer);
    }
}

static void on_turn(uv_idle_t *idle)
{
    struct streams *streams = container_of(idle, struct streams, turn);
    struct stream *woken = streams->woken;

    streams->woken = NULL;
    uv_idle_stop(idle);
    while (woken != NULL) {
        struct stream *s = woken;
        woken = s->next_woken;
        s->is_woken = false;
        if (!s->closing) {
            s->ops->woken(s, s->arg);
        }
    }
}

void streams_open(struct streams *streams, uv_loop_t *loop, const struct streams_opts *opts)
{
    *streams = (struct streams){.loop = loop, .opts = *opts, .n_handles = 2};
    streams->read_buffer = x_alloc(STREAM_READ_BYTES);
    uv_timer_init(loop, &streams->sweep);
    uv_idle_init(loop, &streams->turn);
    uv_unref((uv_handle_t *)&streams->sweep);
}

static void on_handle_closed(struct streams *streams)
{
    if (--streams->n_handles > 0) {
        return;
    }
    while (streams->spare != NULL) {
        struct stream_write *write = streams->spare;
        streams->spare = write->next;
        mem_free(write);
    }
    buf_deinit(&streams->plain);
    buf_deinit(&streams->cipher);
    mem_free(streams->read_buffer);
    streams->read_buffer = NULL;
    streams->closed(streams);
}

static void on_sweep_closed(uv_handle_t *handle)
{
    on_handle_closed(container_of(handle, struct streams, sweep));
}

static void on_turn_closed(uv_handle_t *handle)
{
    on_handle_closed(container_of(handle, struct streams, turn));
}

void streams_close(struct streams *streams, void (*closed)(struct streams *streams))
{
    REQUIRE(LIST_EMPTY(&streams->all));
    streams->closed = closed;
    uv_close((uv_handle_t *)&streams->sweep, on_sweep_closed);
    uv_close((uv_handle_t *)&streams->turn, on_turn_closed);
}

void streams_start_turn(struct streams *streams)
{
    if (!uv_is_active((uv_handle_t *)&streams->turn)) {
        uv_idle_start(&streams->turn, on_turn);
    }
}

void streams_remember(struct streams *streams, struct stream *s)
{
    if (LIST_EMPTY(&streams->all)) {
        uv_timer_start(&streams->sweep, on_sweep, streams->opts.sweep_ms, streams->opts.sweep_ms);
    }
    LIST_INSERT_HEAD(&streams->all, s, link);
    streams->n++;
}

void streams_forget(struct streams *streams, struct stream *s)
{
    LIST_REMOVE(s, link);
    streams->n--;
    if (!s->is_woken) {
        return;
    }
    struct stream **at = &streams->woken;
    while (*at != s) {
        at = &(*at)->next_woken;
    }
    *at = s->next_woken;
}

static void on_disposed(uv_handle_t *handle)
{
    mem_free(container_of(handle, struct stream, tcp));
}

void streams_dispose(struct stream *s)
{
    uv_close((uv_handle_t *)&s->tcp, on_disposed);
}

struct stream_write *streams_take_write(struct streams *streams)
{
    struct stream_write *write = streams->spare;

    if (write == NULL) {
        return x_alloc(sizeof *write);
    }
    streams->spare = write->next;
    streams->n_spare--;
    return write;
}

void streams_give_write(struct streams *streams, struct stream_write *write)
{
    buf_deinit(&write->owned);
    if (streams->n_spare >= SPARE_WRITES_MAX) {
        mem_free(write);
        return;
    }
    write->next = streams->spare;
    streams->spare = write;
    streams->n_spare++;
}
