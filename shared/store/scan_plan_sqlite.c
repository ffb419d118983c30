/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/scan_plan.h"

#include <string.h>

#include "shared/base/mem.h"
#include "shared/store/index.h"
#include "shared/store/store_handle.h"

/* One session may have interfaces of several link types; more than this and the index is not asked.
 */
#define LINK_TYPES_MAX 8

struct queries {
    struct index_query *list[LINK_TYPES_MAX];
    uint32_t link_types[LINK_TYPES_MAX];
    size_t n;
    bool open; /* narrows nothing */
};

struct making {
    struct store *store;
    const struct scan_spec *spec;
    struct filter_set *filters;
    struct scan_plan *plan;
    size_t frames_cap;
    size_t segments_cap;
};

static bool known(const struct queries *q, uint32_t link_type)
{
    for (size_t i = 0; i < q->n; i++) {
        if (q->link_types[i] == link_type) {
            return true;
        }
    }
    return false;
}

static void queries_init(struct queries *q, const struct store_session *s, struct filter_set *set)
{
    *q = (struct queries){.open = set == NULL || s->n_ifaces == 0};
    for (uint32_t i = 0; i < s->n_ifaces && !q->open; i++) {
        uint32_t link_type = s->ifaces[i].link_type;
        if (known(q, link_type)) {
            continue;
        }
        if (q->n == LINK_TYPES_MAX) {
            q->open = true;
            break;
        }
        const struct filter *filter = filter_set_for(set, link_type, NULL);
        uint32_t n = 0;
        const struct filter_insn *program = filter == NULL ? NULL : filter_program(filter, &n);
        if (filter == NULL) {
            /* The expression means nothing for this link type: none of its packets can match. */
            q->link_types[q->n] = link_type;
            q->list[q->n++] = NULL;
            continue;
        }
        q->link_types[q->n] = link_type;
        q->list[q->n] = index_query_new(program, n, link_type);
        q->open = index_query_is_open(q->list[q->n++]);
    }
}

static void queries_deinit(struct queries *q)
{
    for (size_t i = 0; i < q->n; i++) {
        index_query_free(q->list[i]);
    }
}

static bool may_match(const struct scan_spec *spec, const struct queries *q,
                      const struct catalogue_frame *f)
{
    if (spec->fields != NULL && !index_query_maybe(spec->fields, f->bloom, f->bloom_n)) {
        return false;
    }
    if (q->open) {
        return true;
    }
    for (size_t i = 0; i < q->n; i++) {
        if (q->list[i] != NULL && index_query_maybe(q->list[i], f->bloom, f->bloom_n)) {
            return true;
        }
    }
    return false;
}

static void add_frame(struct making *m, uint32_t session, uint32_t segment,
                      const struct catalogue_frame *f)
{
    struct scan_plan *plan = m->plan;

    if (plan->n_frames == m->frames_cap) {
        m->frames_cap = m->frames_cap == 0 ? 256 : m->frames_cap * 2;
        plan->frames = x_realloc(plan->frames, m->frames_cap * sizeof *plan->frames);
    }
    plan->frames[plan->n_frames++] = (struct plan_frame){
        .session = session,
        .segment = segment,
        .offset = f->offset,
        .first_number = f->first_number,
        .min_ns = f->min_ns,
        .max_ns = f->max_ns,
        .number = f->number,
        .raw_len = f->raw_len,
        .n_packets = f->n_packets,
    };
    plan->packets += f->n_packets;
}

static bool in_range(const struct scan_spec *spec, uint64_t min_ns, uint64_t max_ns)
{
    return max_ns >= spec->from_ns && min_ns <= spec->to_ns;
}

static int add_segment(struct making *m, uint32_t session, const struct catalogue_segment *g,
                       const struct queries *queries, struct err *err)
{
    struct catalogue *c = &m->store->catalogue;
    struct scan_plan *plan = m->plan;
    struct catalogue_frame f;
    sqlite3_stmt *stmt = NULL;

    if (plan->n_segments == m->segments_cap) {
        m->segments_cap = m->segments_cap == 0 ? 16 : m->segments_cap * 2;
        plan->segments = x_realloc(plan->segments, m->segments_cap * sizeof *plan->segments);
    }
    plan->segments[plan->n_segments++] = *g;
    int r = catalogue_frames(c, g->row, !queries->open || m->spec->fields != NULL, &stmt, err);
    if (r < 0) {
        return r;
    }
    while ((r = catalogue_next_frame(c, stmt, &f, err)) > 0) {
        plan->all_frames += f.n_packets > 0;
        if (f.n_packets > 0 && f.first_number + f.n_packets - 1 > m->spec->after &&
            in_range(m->spec, f.min_ns, f.max_ns) && may_match(m->spec, queries, &f)) {
            add_frame(m, session, (uint32_t)plan->n_segments - 1, &f);
        }
    }
    sqlite3_finalize(stmt);
    return r;
}

static int add_session(struct making *m, uint32_t session, struct err *err)
{
    const struct store_session *s = &m->spec->sessions[session];
    struct catalogue_segment *list = NULL;
    struct queries queries;
    size_t n = 0;
    int r = catalogue_segments(&m->store->catalogue, s->row, &list, &n, err);

    queries_init(&queries, s, m->filters);
    for (size_t i = 0; i < n && r == 0; i++) {
        if (list[i].packets > 0 && in_range(m->spec, list[i].min_ns, list[i].max_ns)) {
            r = add_segment(m, session, &list[i], &queries, err);
        }
    }
    queries_deinit(&queries);
    mem_free(list);
    return r;
}

int scan_plan_make(struct store *store, const struct scan_spec *spec, struct filter_set *filters,
                   struct scan_plan *out, struct err *err)
{
    struct making m = {.store = store, .spec = spec, .filters = filters, .plan = out};
    /* One moment of the catalogue: what is deleted meanwhile is planned and then counted as gone.
     */
    bool own = sqlite3_get_autocommit(store->catalogue.db) != 0;
    int r = own ? catalogue_run(&store->catalogue, err, "BEGIN", "") : 0;

    *out = (struct scan_plan){0};
    for (size_t i = 0; i < spec->n && r == 0; i++) {
        r = add_session(&m, (uint32_t)i, err);
    }
    if (own) {
        catalogue_rollback(&store->catalogue);
    }
    if (r < 0) {
        scan_plan_deinit(out);
    }
    return r;
}

bool scan_plan_names(struct store *store, const struct catalogue_segment *segment)
{
    sqlite3_stmt *stmt = NULL;

    if (catalogue_query(&store->catalogue, &stmt, NULL, "SELECT 1 FROM segment WHERE row=?", "i",
                        segment->row) < 0) {
        return false;
    }
    bool named = catalogue_step(&store->catalogue, stmt, NULL) > 0;
    sqlite3_finalize(stmt);
    return named;
}

void scan_plan_deinit(struct scan_plan *plan)
{
    mem_free(plan->frames);
    mem_free(plan->segments);
    *plan = (struct scan_plan){0};
}
