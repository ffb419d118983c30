/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/jobs/job_spec.h"

#include <string.h>

#include "shared/base/bytes.h"
#include "shared/base/mem.h"
#include "shared/base/pack.h"
#include "shared/base/text_clean.h"
#include "shared/base/unpack.h"

#define KIND_SPEC     1
#define KIND_FLAG     2
#define HEAD          9 /* the time at which it goes, and the kind */
#define ELEMENTS      17
#define ELEMENTS_MAX  64
#define FLAG_ELEMENTS 3

const char *const job_late_words[] = {"skip", "start", NULL};
const char *const job_policy_words[] = {"best-effort", "quorum", "all", NULL};

/* ---- what is well ---- */

/* Texts reach terminals and libpcap. */
static int check_texts(const struct job_spec *spec, struct err *err)
{
    if (spec->interface[strspn(spec->interface, " ")] == '\0') {
        return err_set(err, ERR_USAGE, "the interface of a job is missing");
    }
    if (!text_is_clean(spec->interface) || !text_is_clean(spec->filter) ||
        !text_is_clean(spec->name)) {
        return err_set(err, ERR_USAGE,
                       "the interface, the filter and the name of a job are one line of text");
    }
    return 0;
}

static int check_times(const struct job_spec *spec, struct err *err)
{
    if (spec->start_ns <= 0 || spec->end_ns <= spec->start_ns) {
        return err_set(err, ERR_USAGE, "a job ends behind its start");
    }
    if (spec->end_ns - spec->start_ns > JOB_LONGEST_NS || spec->end_ns > INT64_MAX - JOB_KEPT_NS) {
        return err_set(err, ERR_USAGE, "a job lasts 366 days at the most");
    }
    return 0;
}

static bool tag_is_well(const char *tag)
{
    const char *equals = strchr(tag, '=');

    return equals != NULL && equals != tag && text_is_clean(tag);
}

static int check_selector(const struct job_selector *s, struct err *err)
{
    switch (s->by) {
    case JOB_SELECTS_ALL:
        return 0;
    case JOB_SELECTS_NODES:
        return s->n >= 1 && s->n <= JOB_NODES_MAX
                   ? 0
                   : err_set(err, ERR_USAGE,
                             "a job names 1 to %d nodes; more by a tag (--select), or all",
                             JOB_NODES_MAX);
    case JOB_SELECTS_TAGS:
        break;
    default:
        return err_set(err, ERR_USAGE, "a job is for all nodes, for named ones, or for tags");
    }
    bool good = s->n >= 1 && s->n <= JOB_TAGS_MAX;
    for (uint8_t i = 0; good && i < s->n; i++) {
        good = tag_is_well(s->tags[i]);
    }
    return good ? 0
                : err_set(err, ERR_USAGE, "a job selects by 1 to %d tags KEY=VALUE", JOB_TAGS_MAX);
}

int job_spec_check(const struct job_spec *spec, struct err *err)
{
    int rc = check_texts(spec, err);

    rc = rc < 0 ? rc : check_times(spec, err);
    rc = rc < 0 ? rc : check_selector(&spec->selector, err);
    if (rc == 0 && (spec->version == 0 || spec->late > JOB_LATE_START || spec->policy > JOB_ALL ||
                    spec->snaplen > JOB_SNAPLEN_MAX || spec->quorum > 100)) {
        rc = err_set(err, ERR_USAGE,
                     "a snaplen is %d at the most, and a quorum 100 percent at the most",
                     JOB_SNAPLEN_MAX);
    }
    return rc;
}

int64_t job_spec_expires_ns(const struct job_spec *spec)
{
    return spec->end_ns + JOB_KEPT_NS;
}

/* ---- writing ---- */

static struct pack begin(uint8_t *out, int64_t expires_ns, uint8_t kind)
{
    put_le64(out, (uint64_t)expires_ns);
    out[HEAD - 1] = kind;
    return pack_into(out + HEAD, JOB_VALUE_MAX - HEAD);
}

static size_t ended(const struct pack *p)
{
    return p->failed ? 0 : HEAD + pack_length(p);
}

static void put_selector(struct pack *p, const struct job_selector *s)
{
    pack_array(p, 1 + (s->by == JOB_SELECTS_ALL ? 0u : s->n));
    pack_u64(p, s->by);
    for (uint8_t i = 0; s->by != JOB_SELECTS_ALL && i < s->n; i++) {
        if (s->by == JOB_SELECTS_NODES) {
            pack_u64(p, s->sids[i]);
        } else {
            pack_string(p, s->tags[i]);
        }
    }
}

size_t job_spec_write(const struct job_spec *spec, uint8_t out[JOB_VALUE_MAX])
{
    if (job_spec_check(spec, NULL) < 0) {
        return 0;
    }
    struct pack p = begin(out, job_spec_expires_ns(spec), KIND_SPEC);
    pack_array(&p, ELEMENTS);
    pack_bin(&p, spec->id.bytes, ID_BYTES);
    pack_u64(&p, spec->version);
    pack_u64(&p, spec->creator);
    pack_i64(&p, spec->start_ns);
    pack_i64(&p, spec->end_ns);
    pack_i64(&p, spec->deadline_ns);
    pack_u64(&p, spec->late);
    pack_u64(&p, spec->policy);
    pack_u64(&p, spec->quorum);
    put_selector(&p, &spec->selector);
    pack_string(&p, spec->interface);
    pack_string(&p, spec->filter);
    pack_string(&p, spec->name);
    pack_u64(&p, spec->snaplen);
    pack_u64(&p, spec->max_packets);
    pack_u64(&p, spec->max_bytes);
    pack_bool(&p, spec->promisc);
    return ended(&p);
}

size_t job_flag_write(const struct job_flag *flag, uint8_t out[JOB_VALUE_MAX])
{
    struct pack p = begin(out, flag->until_ns, KIND_FLAG);

    pack_array(&p, FLAG_ELEMENTS);
    pack_bin(&p, flag->id.bytes, ID_BYTES);
    pack_u64(&p, flag->flags);
    pack_u64(&p, flag->who);
    return ended(&p);
}

/* ---- reading ---- */

static void take_id(struct unpack *u, struct id *id)
{
    const uint8_t *bytes = unpack_bin_of(u, ID_BYTES);

    if (bytes != NULL && !unpack_failed(u)) {
        memcpy(id->bytes, bytes, ID_BYTES);
    }
}

static void take_selector(struct unpack *u, struct job_selector *s)
{
    uint32_t n = unpack_array(u, 1 + JOB_NODES_MAX);

    s->by = (enum job_selects)unpack_u64_most(u, JOB_SELECTS_TAGS);
    n = n == 0 ? 0 : n - 1;
    if ((s->by == JOB_SELECTS_TAGS && n > JOB_TAGS_MAX) || (s->by == JOB_SELECTS_ALL && n > 0)) {
        u->in.failed = true;
    }
    for (uint32_t i = 0; i < n && !unpack_failed(u); i++) {
        if (s->by == JOB_SELECTS_NODES) {
            s->sids[i] = unpack_u64(u);
        } else {
            unpack_string(u, s->tags[i], JOB_TAG_MAX);
        }
    }
    s->n = (uint8_t)n;
}

/* False: it is of another kind. */
static bool open_value(const void *bytes, size_t n, uint8_t kind, struct unpack *u,
                       int64_t *expires_ns)
{
    const uint8_t *at = bytes;

    if (n < HEAD || n > JOB_VALUE_MAX || at[HEAD - 1] != kind) {
        return false;
    }
    *expires_ns = (int64_t)get_le64(at);
    *u = unpack_from(at + HEAD, n - HEAD);
    return true;
}

static bool close_value(struct unpack *u, uint32_t n_elements, uint32_t known)
{
    for (uint32_t i = known; i < n_elements && !unpack_failed(u); i++) {
        unpack_skip(u, 4);
    }
    return !unpack_failed(u) && unpack_left(u) == 0;
}

bool job_spec_read(const void *bytes, size_t n, struct job_spec *spec)
{
    struct unpack u;
    int64_t expires_ns;

    *spec = (struct job_spec){0};
    if (!open_value(bytes, n, KIND_SPEC, &u, &expires_ns)) {
        return false;
    }
    uint32_t n_elements = unpack_array(&u, ELEMENTS_MAX);
    if (n_elements < ELEMENTS) {
        return false;
    }
    take_id(&u, &spec->id);
    spec->version = (uint32_t)unpack_u64_most(&u, UINT32_MAX);
    spec->creator = unpack_u64(&u);
    spec->start_ns = unpack_i64(&u);
    spec->end_ns = unpack_i64(&u);
    spec->deadline_ns = unpack_i64(&u);
    spec->late = (enum job_late)unpack_u64_most(&u, JOB_LATE_START);
    spec->policy = (enum job_policy)unpack_u64_most(&u, JOB_ALL);
    spec->quorum = (uint8_t)unpack_u64_most(&u, 100);
    take_selector(&u, &spec->selector);
    unpack_string(&u, spec->interface, JOB_INTERFACE_MAX);
    unpack_string(&u, spec->filter, JOB_FILTER_MAX);
    unpack_string(&u, spec->name, JOB_NAME_MAX);
    spec->snaplen = (uint32_t)unpack_u64_most(&u, JOB_SNAPLEN_MAX);
    spec->max_packets = unpack_u64(&u);
    spec->max_bytes = unpack_u64(&u);
    spec->promisc = unpack_bool(&u);
    return close_value(&u, n_elements, ELEMENTS) && job_spec_check(spec, NULL) == 0 &&
           expires_ns == job_spec_expires_ns(spec);
}

bool job_flag_read(const void *bytes, size_t n, struct job_flag *flag)
{
    struct unpack u;

    *flag = (struct job_flag){0};
    if (!open_value(bytes, n, KIND_FLAG, &u, &flag->until_ns)) {
        return false;
    }
    uint32_t n_elements = unpack_array(&u, ELEMENTS_MAX);
    if (n_elements < FLAG_ELEMENTS) {
        return false;
    }
    take_id(&u, &flag->id);
    flag->flags = (unsigned)unpack_u64_most(&u, JOB_STOP | JOB_ABORT);
    flag->who = unpack_u64(&u);
    return close_value(&u, n_elements, FLAG_ELEMENTS) &&
           (flag->flags == JOB_STOP || flag->flags == JOB_ABORT);
}

/* ---- where, and for whom ---- */

/* An id has 122 random bits; the first byte of a key is of its time and stays, others tell the
 * records of a job apart and from those that are none. */
void job_key(const struct id *id, unsigned flag, uint8_t key[JOB_KEY_BYTES])
{
    memcpy(key, id->bytes, JOB_KEY_BYTES);
    key[0] ^= (uint8_t)('J' + flag);
}

bool job_selects(const struct job_selector *s, uint64_t sid, const struct tags *tags)
{
    if (s->by == JOB_SELECTS_ALL) {
        return true;
    }
    for (uint8_t i = 0; i < s->n; i++) {
        if (s->by == JOB_SELECTS_NODES && s->sids[i] == sid) {
            return true;
        }
        if (s->by == JOB_SELECTS_TAGS && !tags_have(tags, s->tags[i])) {
            return false;
        }
    }
    return s->by == JOB_SELECTS_TAGS;
}
