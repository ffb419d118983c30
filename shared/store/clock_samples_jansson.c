/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/clock_samples.h"

#include <inttypes.h>
#include <stdio.h>

#include <jansson.h>

#include "shared/base/mem.h"
#include "shared/base/to_json.h"

/* The places in the stored form; later programs may add some behind them. */
enum {
    AT_TIME,
    AT_OFFSET,
    AT_BOUND,
    AT_ROOT,
    AT_STEP,
    N_LEAST,
    AT_PEER = N_LEAST,
    AT_PEER_NS,
    AT_PEER_BOUND,
    N_WITH_PEER
};

/* JSON integers are signed here; the bits are kept. */
static void put(json_t *array, uint64_t v)
{
    json_array_append_new(array, json_integer((json_int_t)v));
}

static uint64_t get(const json_t *array, size_t at)
{
    return (uint64_t)json_integer_value(json_array_get(array, at));
}

json_t *clock_samples_pack(const struct clock_samples *samples)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < samples->n; i++) {
        const struct clock_sample *s = &samples->list[i];
        json_t *one = json_array();
        put(one, s->time_ns);
        put(one, (uint64_t)s->offset_ns);
        put(one, s->bound_ns);
        put(one, s->root);
        put(one, s->is_step);
        if (s->peer != 0) {
            put(one, s->peer);
            put(one, (uint64_t)s->peer_ns);
            put(one, s->peer_bound_ns);
        }
        json_array_append_new(list, one);
    }
    return list;
}

void clock_samples_unpack(const json_t *packed, struct clock_samples *out)
{
    for (size_t i = 0; i < json_array_size(packed); i++) {
        const json_t *one = json_array_get(packed, i);
        struct clock_sample s = {
            .time_ns = get(one, AT_TIME),
            .offset_ns = (int64_t)get(one, AT_OFFSET),
            .bound_ns = get(one, AT_BOUND),
            .root = get(one, AT_ROOT),
            .is_step = get(one, AT_STEP) != 0,
        };
        if (json_array_size(one) >= N_WITH_PEER) {
            s.peer = get(one, AT_PEER);
            s.peer_ns = (int64_t)get(one, AT_PEER_NS);
            s.peer_bound_ns = get(one, AT_PEER_BOUND);
        }
        if (json_array_size(one) >= N_LEAST) {
            clock_samples_add(out, &s);
        }
    }
}

char *clock_samples_text(const struct clock_samples *samples)
{
    json_t *packed = clock_samples_pack(samples);
    char *text = json_dumps(packed, JSON_COMPACT);

    json_decref(packed);
    REQUIRE(text != NULL);
    return text;
}

void clock_samples_read(const char *text, struct clock_samples *out)
{
    json_t *packed = json_loads(text, 0, NULL);

    clock_samples_unpack(packed, out);
    json_decref(packed);
}

static json_t *reference(const struct clock_sample *s)
{
    char id[17];

    if (s->peer == 0) {
        return json_null();
    }
    (void)snprintf(id, sizeof id, "%016" PRIx64, s->peer);
    return json_pack("{s:s, s:I, s:o}", "id", id, "offset_ns", (json_int_t)s->peer_ns, "bound_ns",
                     to_json_count(s->peer_bound_ns));
}

json_t *clock_samples_json(const struct clock_samples *samples)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < samples->n; i++) {
        const struct clock_sample *s = &samples->list[i];
        char root[17];
        (void)snprintf(root, sizeof root, "%016" PRIx64, s->root);
        json_array_append_new(list, json_pack("{s:o, s:I, s:o, s:s, s:b, s:o}", "time",
                                              to_json_time(s->time_ns), "offset_ns",
                                              (json_int_t)s->offset_ns, "bound_ns",
                                              to_json_count(s->bound_ns), "root", root, "step",
                                              (int)s->is_step, "reference", reference(s)));
    }
    return list;
}
