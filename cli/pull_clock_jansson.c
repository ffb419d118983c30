/* SPDX-License-Identifier: Apache-2.0
 *
 * The clocks of the sessions of a merged download, as their nodes say they stood.
 */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/answer_fields.h"
#include "cli/pull_plan.h"
#include "shared/base/mem.h"
#include "shared/merge/merge_smooth.h"

static const json_t *samples_of(const struct pull_source *source)
{
    return json_object_get(source->session, "clock");
}

static const char *reference_of(const json_t *sample)
{
    return field_text(json_object_get(sample, "reference"), "id");
}

static bool is_same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* It is the member whose id begins so. */
static bool is_member(const struct pull_source *source, const char *id)
{
    return source->node_id != NULL && strncmp(source->node_id, id, strlen(id)) == 0;
}

/* Was it measured against that member all the way? The first samples may be from before the
 * measuring began, but none that says that the clock was set. Of the member itself: was its own
 * clock never set? */
static bool is_measured(const struct pull_source *source, const char *id)
{
    const json_t *samples = samples_of(source);
    bool is_own = is_member(source, id);
    bool has_one = is_own;

    for (size_t i = 0; i < json_array_size(samples); i++) {
        const json_t *sample = json_array_get(samples, i);
        bool is_there = is_same(reference_of(sample), id);
        if (field_is_true(sample, "step") && (is_own || !is_there)) {
            return false;
        }
        has_one = has_one || is_there;
    }
    return has_one;
}

static const char *common_reference(const struct pull_plan *plan)
{
    const char *id = NULL;

    for (uint32_t i = 0; i < plan->n_sources && id == NULL; i++) {
        const json_t *samples = samples_of(&plan->sources[i]);
        for (size_t k = 0; k < json_array_size(samples) && id == NULL; k++) {
            id = reference_of(json_array_get(samples, k));
        }
    }
    for (uint32_t i = 0; i < plan->n_sources && id != NULL; i++) {
        id = is_measured(&plan->sources[i], id) ? id : NULL;
    }
    return id;
}

static const char *last_root(const struct pull_source *source)
{
    const json_t *samples = samples_of(source);

    return field_text(json_array_get(samples, json_array_size(samples) - 1), "root");
}

/* The timeline that most sessions ended in. */
static const char *common_root(const struct pull_plan *plan)
{
    const char *best = NULL;
    uint32_t most = 0;

    for (uint32_t i = 0; i < plan->n_sources; i++) {
        const char *root = last_root(&plan->sources[i]);
        uint32_t n = 0;
        for (uint32_t k = 0; root != NULL && k < plan->n_sources; k++) {
            n += is_same(root, last_root(&plan->sources[k]));
        }
        best = n > most ? root : best;
        most = n > most ? n : most;
    }
    return best;
}

static void add_sample(struct pull_source *source, const json_t *sample, const json_t *told)
{
    const json_t *offset = json_object_get(told, "offset_ns");
    uint64_t time_ns = field_time_ns(sample, "time");

    if (time_ns != 0 && json_is_integer(offset)) {
        source->clock[source->n_clock++] =
            (struct merge_clock_sample){.time_ns = time_ns,
                                        .offset_ns = json_integer_value(offset),
                                        .bound_ns = field_count(told, "bound_ns"),
                                        .is_step = field_is_true(sample, "step")};
    }
}

static void set_clock(struct pull_source *source, const char *reference, const char *root)
{
    const json_t *samples = samples_of(source);

    mem_free(source->clock);
    source->clock = x_alloc((json_array_size(samples) + 1) * sizeof *source->clock);
    source->n_clock = 0;
    if (reference != NULL && is_member(source, reference)) {
        source->clock[source->n_clock++] = (struct merge_clock_sample){.time_ns = 1};
        return;
    }
    for (size_t i = 0; i < json_array_size(samples); i++) {
        const json_t *sample = json_array_get(samples, i);
        if (reference != NULL && is_same(reference_of(sample), reference)) {
            add_sample(source, sample, json_object_get(sample, "reference"));
        } else if (reference == NULL && is_same(field_text(sample, "root"), root)) {
            add_sample(source, sample, sample);
        }
    }
    merge_smooth(source->clock, source->n_clock);
}

void pull_plan_set_clocks(struct pull_plan *plan)
{
    const char *reference = common_reference(plan);
    const char *root = reference == NULL ? common_root(plan) : NULL;

    mem_free(plan->reference);
    plan->reference = reference == NULL ? NULL : x_strdup(reference);
    plan->is_one_swarm = root != NULL;
    for (uint32_t i = 0; i < plan->n_sources; i++) {
        set_clock(&plan->sources[i], reference, root);
    }
}
