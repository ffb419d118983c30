/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/viewer_resume.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMENT_MARK "packetrecorder:"

static uint32_t tail_count(const struct resume *r)
{
    uint64_t n = r->n_tail - r->tail_base;

    return n > RESUME_TAIL ? RESUME_TAIL : (uint32_t)n;
}

static const struct resume_mark *tail_at(const struct resume *r, uint32_t from_newest)
{
    return &r->tail[(r->n_tail - 1 - from_newest) & (RESUME_TAIL - 1)];
}

/* A stream's name as we would put it into a request. */
static bool is_stream_name(const char *text)
{
    size_t n = strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._-");

    return n > 0 && n < RESUME_STREAM_MAX && text[n] == '\0';
}

/* Digits from *text on, which moves behind them. */
static bool read_number(const char **text, const char *end, uint64_t *out)
{
    const char *p = *text;
    uint64_t value = 0;

    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    bool found = p > *text;
    *out = found ? value : *out;
    *text = p;
    return found;
}

bool resume_ask(const struct resume *r, char out[RESUME_ASK_MAX])
{
    if (r->stream[0] == '\0') {
        return false;
    }
    snprintf(out, RESUME_ASK_MAX, "%s:%" PRIu64, r->stream, r->position);
    return true;
}

uint64_t resume_history_from_ns(const struct resume *r)
{
    uint32_t n = tail_count(r);
    uint64_t from_ns = n > 0 ? UINT64_MAX : 0;

    for (uint32_t i = 0; i < n; i++) {
        uint64_t time_ns = tail_at(r, i)->time_ns;
        from_ns = time_ns < from_ns ? time_ns : from_ns;
    }
    return from_ns;
}

uint64_t resume_newest_ns(const struct resume *r)
{
    uint64_t newest_ns = 0;

    for (uint32_t i = 0; i < tail_count(r); i++) {
        uint64_t time_ns = tail_at(r, i)->time_ns;
        newest_ns = time_ns > newest_ns ? time_ns : newest_ns;
    }
    return newest_ns;
}

static int compare_marks(const void *a_, const void *b_)
{
    const struct resume_mark *a = a_;
    const struct resume_mark *b = b_;

    if (a->time_ns != b->time_ns) {
        return a->time_ns < b->time_ns ? -1 : 1;
    }
    return a->len < b->len ? -1 : a->len > b->len;
}

static void remember_before(struct resume *r)
{
    r->n_before = tail_count(r);
    for (uint32_t i = 0; i < r->n_before; i++) {
        r->before[i] = *tail_at(r, i);
        r->before[i].used = false;
    }
    qsort(r->before, r->n_before, sizeof r->before[0], compare_marks);
}

static void find_way(struct resume *r)
{
    r->plain = r->phase == RESUME_LIVE && r->n_before == 0 && r->told_ahead == 0;
}

/* What lies between is lost for good: no store is asked for it again, or the packets would be
 * counted as lost and be there all the same. */
static void add_loss(struct resume *r, uint64_t lost)
{
    r->lost += lost;
    if (lost > 0 && tail_count(r) > 0) {
        r->tail_base = r->n_tail - 1;
    }
}

enum resume_way resume_connected(struct resume *r, const char *stream, const char *position,
                                 bool asked_history)
{
    bool named = stream != NULL && is_stream_name(stream);
    bool first = r->stream[0] == '\0' && r->n_tail == 0;
    bool same = named && strcmp(stream, r->stream) == 0;
    uint64_t number = same ? r->position : 0;
    const char *text = position == NULL ? "" : position;

    (void)read_number(&text, text + strlen(text), &number);
    if (same && number >= r->position) {
        r->told_ahead = number - r->position;
        if (r->told_ahead > 0) {
            add_loss(r, number - r->position);
            r->position = number;
        }
        find_way(r);
        return RESUME_CONTINUED;
    }
    snprintf(r->stream, sizeof r->stream, "%s", named ? stream : "");
    r->position = number;
    r->told_ahead = 0;
    r->phase = asked_history ? RESUME_HISTORY : RESUME_LIVE;
    r->n_before = 0;
    if (asked_history) {
        remember_before(r);
    }
    find_way(r);
    return first ? RESUME_FIRST : RESUME_CHANGED;
}

/* Takes as much as it can of *n out of *from. */
static void take_off(uint64_t *n, uint64_t *from)
{
    uint64_t both = *n < *from ? *n : *from;

    *n -= both;
    *from -= both;
}

uint64_t resume_told(struct resume *r, uint64_t lost, uint64_t position)
{
    uint64_t news = lost;

    r->phase = RESUME_LIVE;
    r->n_before = 0;
    take_off(&news, &r->told_ahead);
    r->position = position != UINT64_MAX ? position : r->position + news;
    add_loss(r, news);
    find_way(r);
    return news;
}

/* Behind `key` in the text, a number. */
static bool find_number(const char *text, const char *end, const char *key, uint64_t *out)
{
    const char *at = memmem(text, (size_t)(end - text), key, strlen(key));

    if (at == NULL) {
        return false;
    }
    at += strlen(key);
    return read_number(&at, end, out);
}

bool resume_parse_comment(const char *text, size_t n, uint64_t *lost, uint64_t *position)
{
    const char *end = text + n;
    const char *at = memmem(text, n, COMMENT_MARK, strlen(COMMENT_MARK));
    uint64_t found_lost = 0;
    uint64_t found_position = UINT64_MAX;

    if (at == NULL) {
        return false;
    }
    bool has_lost = find_number(at, end, " lost=", &found_lost);
    bool has_position = find_number(at, end, " position=", &found_position);
    if (has_lost || has_position) {
        *lost = found_lost;
        *position = found_position;
    }
    return has_lost || has_position;
}

/* Takes one of the marks with this time and length, if one is left. */
static bool use_mark(struct resume *r, uint64_t time_ns, uint32_t len)
{
    struct resume_mark wanted = {.time_ns = time_ns, .len = len};
    uint32_t low = 0;
    uint32_t high = r->n_before;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare_marks(&r->before[middle], &wanted) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < r->n_before && compare_marks(&r->before[low], &wanted) == 0; low++) {
        if (!r->before[low].used) {
            r->before[low].used = true;
            return true;
        }
    }
    return false;
}

bool resume_judge(struct resume *r, uint64_t time_ns, uint32_t len)
{
    r->told_ahead = 0; /* it would have been told before this packet */
    find_way(r);
    if (r->n_before > 0 && (time_ns < r->before[0].time_ns || use_mark(r, time_ns, len))) {
        r->duplicates++;
        return false;
    }
    if (r->phase == RESUME_HISTORY) {
        r->from_store++;
    } else {
        r->position++;
    }
    resume_push(r, time_ns, len);
    return true;
}
