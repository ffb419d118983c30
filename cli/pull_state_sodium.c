/* SPDX-License-Identifier: Apache-2.0
 *
 * What a merged download that was interrupted goes on with, as the cursor of its part file; and the
 * sum of the file. The cursor is JSON: {"merge": state of shared/merge in base64, "streams":
 * [{"next", "offset", "piece", "is_done", "missing", "left_out", "clock": [[time, offset, bound,
 * is_step]...]}...]}, in the order of the plan. The clocks are those that the merge began with.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/pull.h"
#include "shared/base/mem.h"
#include "shared/base/to_json.h"

#define VARIANT sodium_base64_VARIANT_ORIGINAL

/* ---- the sum ---- */

void *pull_hash_new(void)
{
    REQUIRE(sodium_init() >= 0);
    return x_alloc(sizeof(crypto_generichash_state));
}

void pull_hash_free(void *hash)
{
    mem_free(hash);
}

void pull_hash_see(void *hash, const uint8_t *bytes, size_t n)
{
    if (bytes == NULL) {
        crypto_generichash_init(hash, NULL, 0, PULL_HASH_BYTES);
    } else {
        crypto_generichash_update(hash, bytes, n);
    }
}

void pull_hash_text(const void *hash, char text[2 * PULL_HASH_BYTES + 1])
{
    crypto_generichash_state copy;
    unsigned char sum[PULL_HASH_BYTES];

    memcpy(&copy, hash, sizeof copy);
    crypto_generichash_final(&copy, sum, sizeof sum);
    sodium_bin2hex(text, 2 * PULL_HASH_BYTES + 1, sum, sizeof sum);
}

/* ---- saving ---- */

static json_t *to_base64(const struct buf *bytes)
{
    size_t n = sodium_base64_ENCODED_LEN(bytes->len, VARIANT);
    char *text = x_alloc(n);

    sodium_bin2base64(text, n, bytes->data, bytes->len, VARIANT);
    json_t *value = json_string(text);
    mem_free(text);
    return value;
}

static json_t *clock_json(const struct pull_source *source)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < source->n_clock; i++) {
        const struct merge_clock_sample *s = &source->clock[i];
        json_array_append_new(list, json_pack("[I, I, I, b]", (json_int_t)s->time_ns,
                                              (json_int_t)s->offset_ns, (json_int_t)s->bound_ns,
                                              (int)s->is_step));
    }
    return list;
}

/* From that piece on; NULL: its cursor is not kept any more. */
static json_t *stream_json(const struct pull_stream *stream, const struct pull_source *source,
                           uint64_t piece)
{
    bool is_next = piece >= stream->n_pieces;
    const struct pull_cursor *from =
        is_next ? &stream->next : &stream->kept[piece % PULL_CURSORS_KEPT];

    if (piece < stream->first_piece) {
        return NULL;
    }
    return json_pack("{s:o, s:I, s:I, s:b, s:I, s:I, s:o}", "next",
                     from->text == NULL ? json_null() : to_json_text(from->text), "offset",
                     (json_int_t)from->offset, "piece", (json_int_t)piece, "is_done",
                     (int)(is_next && stream->is_done), "missing", (json_int_t)stream->missing,
                     "left_out", (json_int_t)stream->left_out, "clock", clock_json(source));
}

int pull_save(struct pull *pull, struct err *err)
{
    uint64_t *pieces = x_alloc(pull->plan.n_sources * sizeof *pieces);
    json_t *streams = json_array();
    struct buf state = {0};
    bool is_good = pull->part.path != NULL && merge_save(pull->merge, &state, pieces);
    int rc = 0;

    for (uint32_t i = 0; i < pull->plan.n_sources && is_good; i++) {
        if (pull->streams[i].why != NULL) { /* the next one shall try it again */
            is_good = false;
            break;
        }
        json_t *one = stream_json(&pull->streams[i], &pull->plan.sources[i], pieces[i]);
        is_good = one != NULL;
        if (is_good) {
            json_array_append_new(streams, one);
        }
    }
    if (is_good) {
        json_t *all = json_pack("{s:o, s:O}", "merge", to_base64(&state), "streams", streams);
        char *text = json_dumps(all, JSON_COMPACT);
        rc = download_part_mark(&pull->part, text, err);
        free(text);
        json_decref(all);
    }
    json_decref(streams);
    buf_deinit(&state);
    mem_free(pieces);
    return rc;
}

/* ---- going on ---- */

static bool load_clock(struct pull_source *source, const json_t *list)
{
    size_t n = json_array_size(list);

    mem_free(source->clock);
    source->clock = x_alloc((n + 1) * sizeof *source->clock);
    source->n_clock = 0;
    for (size_t i = 0; i < n; i++) {
        json_int_t time_ns, offset_ns, bound_ns;
        int is_step;
        if (json_unpack(json_array_get(list, i), "[I, I, I, b]", &time_ns, &offset_ns, &bound_ns,
                        &is_step) < 0) {
            return false;
        }
        source->clock[source->n_clock++] =
            (struct merge_clock_sample){.time_ns = (uint64_t)time_ns,
                                        .offset_ns = offset_ns,
                                        .bound_ns = (uint64_t)bound_ns,
                                        .is_step = is_step != 0};
    }
    return true;
}

static bool load_stream(struct pull_stream *stream, struct pull_source *source, json_t *one)
{
    json_int_t offset, piece, missing, left_out;
    json_t *next, *clock;
    int is_done;

    if (json_unpack(one, "{s:o, s:I, s:I, s:b, s:I, s:I, s:o}", "next", &next, "offset", &offset,
                    "piece", &piece, "is_done", &is_done, "missing", &missing, "left_out",
                    &left_out, "clock", &clock) < 0) {
        return false;
    }
    const char *text = json_string_value(next);
    stream->next = (struct pull_cursor){.text = text == NULL ? NULL : x_strdup(text),
                                        .offset = (uint64_t)offset};
    stream->n_pieces = stream->first_piece = (uint64_t)piece;
    stream->is_done = is_done != 0;
    stream->missing = (uint64_t)missing;
    stream->left_out = (uint64_t)left_out;
    return load_clock(source, clock);
}

static bool load_merge(struct pull *pull, const json_t *value, struct err *err)
{
    const char *text = json_string_value(value);
    size_t cap = text == NULL ? 0 : strlen(text);
    uint8_t *bytes = x_alloc(cap + 1);
    size_t n = 0;
    bool is_good =
        text != NULL && sodium_base642bin(bytes, cap + 1, text, cap, NULL, &n, NULL, VARIANT) == 0;

    if (is_good) {
        merge_free(pull->merge);
        pull->merge = pull_new_merge(pull);
        is_good = merge_load(pull->merge, bytes, n, err) == 0;
    }
    mem_free(bytes);
    return is_good;
}

int pull_load(struct pull *pull, struct err *err)
{
    json_t *all = pull->part.cursor == NULL
                      ? NULL
                      : json_loads(pull->part.cursor, JSON_REJECT_DUPLICATES, NULL);
    json_t *streams = json_object_get(all, "streams");
    bool is_good = json_array_size(streams) == pull->plan.n_sources;

    for (uint32_t i = 0; i < pull->plan.n_sources && is_good; i++) {
        is_good =
            load_stream(&pull->streams[i], &pull->plan.sources[i], json_array_get(streams, i));
    }
    is_good = is_good && load_merge(pull, json_object_get(all, "merge"), err);
    for (uint32_t i = 0; i < pull->plan.n_sources && is_good; i++) {
        if (pull->streams[i].is_done) {
            pull_end_stream(pull, i, NULL);
        }
    }
    json_decref(all);
    if (is_good) {
        return 0;
    }
    pull_forget_streams(pull);
    pull_plan_set_clocks(&pull->plan);
    merge_free(pull->merge);
    pull->merge = pull_new_merge(pull);
    return err_set(err, ERR_DAMAGED, "cannot be gone on with");
}
