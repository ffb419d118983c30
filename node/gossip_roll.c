/* SPDX-License-Identifier: Apache-2.0
 *
 * What members are called. Names are those of hosts, and nobody hands them out: two may have the
 * same. Where that is so each is shown as NAME@ID8, with the first digits of its id, and can be
 * asked for so. No two labels are the same, whatever members call themselves.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/gossip.h"
#include "shared/base/mem.h"

#define ID_DIGITS 8
#define ID_WHOLE  (GOSSIP_ID_TEXT - 1)

static bool is_gone(const struct gossip_member *member)
{
    return member->state == GOSSIP_DEAD || member->state == GOSSIP_LEFT;
}

/* ---- labels ---- */

/* Those of one name lie together, by id. */
static int by_name(const void *a, const void *b)
{
    const struct gossip_member *one = *(const struct gossip_member *const *)a;
    const struct gossip_member *other = *(const struct gossip_member *const *)b;
    int order = strcmp(one->meta.name, other->meta.name);

    return order != 0 ? order : strcmp(one->id, other->id);
}

static bool is_digits(const char *text)
{
    return strlen(text) >= ID_DIGITS && text[strspn(text, "0123456789abcdef")] == '\0';
}

/* A name may be anything that a host is called. One that reads like another's label, or like a
 * whole id, is never shown without the id of who has it, so that no two labels are the same. */
static bool is_misleading(const char *name)
{
    const char *at = strrchr(name, '@');

    return at != NULL ? is_digits(at + 1) : is_digits(name) && strlen(name) == ID_WHOLE;
}

/* Whether another of its name begins with the same digits: chance does that to nobody. */
static bool is_tied(struct gossip_member *const *sorted, size_t i, size_t first, size_t end)
{
    return (i > first && strncmp(sorted[i]->id, sorted[i - 1]->id, ID_DIGITS) == 0) ||
           (i + 1 < end && strncmp(sorted[i]->id, sorted[i + 1]->id, ID_DIGITS) == 0);
}

static void label_one(struct gossip_member *member, bool has_name, bool is_tied)
{
    const char *name = member->meta.name;
    bool is_nameless = !member->has_meta || name[0] == '\0';

    has_name = has_name && !is_misleading(name);
    if (is_nameless || (!has_name && is_tied)) {
        (void)snprintf(member->label, sizeof member->label, "%s", member->id);
    } else if (has_name) {
        (void)snprintf(member->label, sizeof member->label, "%s", name);
    } else {
        (void)snprintf(member->label, sizeof member->label, "%s@%.*s", name, ID_DIGITS, member->id);
    }
}

/* Who alone lives of a name has it; who had it before, on a host that was set up anew, does not. */
static void label_some(struct gossip_member *const *sorted, size_t first, size_t end)
{
    size_t n_live = 0;

    for (size_t i = first; i < end; i++) {
        n_live += !is_gone(sorted[i]);
    }
    for (size_t i = first; i < end; i++) {
        bool has_name = end == first + 1 || (n_live == 1 && !is_gone(sorted[i]));
        label_one(sorted[i], has_name, is_tied(sorted, i, first, end));
    }
}

void gossip_label_all(struct gossip_member *all, size_t n)
{
    struct gossip_member **sorted = x_alloc((n + 1) * sizeof(struct gossip_member *));
    size_t end;

    for (size_t i = 0; i < n; i++) {
        sorted[i] = &all[i];
    }
    qsort(sorted, n, sizeof *sorted, by_name);
    for (size_t first = 0; first < n; first = end) {
        for (end = first + 1;
             end < n && strcmp(sorted[end]->meta.name, sorted[first]->meta.name) == 0; end++) {
        }
        label_some(sorted, first, end);
    }
    mem_free(sorted);
}

/* ---- finding some ---- */

/* What they are called lies close together: a caller may look for thousands. */
struct gossip_roll {
    struct gossip_member *all;
    struct called {
        char id[GOSSIP_ID_TEXT];
        char label[GOSSIP_LABEL_TEXT];
        char name[SWIM_META_NAME_MAX + 1];
        bool is_gone;
    } * called;
    size_t n;
};

struct gossip_roll *gossip_roll_of(struct gossip_member *all, size_t n)
{
    struct gossip_roll *roll = x_alloc(sizeof *roll);

    roll->all = all;
    roll->n = n;
    roll->called = x_alloc((roll->n + 1) * sizeof *roll->called);
    for (size_t i = 0; i < roll->n; i++) {
        memcpy(roll->called[i].id, roll->all[i].id, sizeof roll->called[i].id);
        memcpy(roll->called[i].label, roll->all[i].label, sizeof roll->called[i].label);
        memcpy(roll->called[i].name, roll->all[i].meta.name, sizeof roll->called[i].name);
        roll->called[i].is_gone = is_gone(&roll->all[i]);
    }
    return roll;
}

void gossip_roll_free(struct gossip_roll *roll)
{
    if (roll != NULL) {
        mem_free(roll->called);
        mem_free(roll->all);
        mem_free(roll);
    }
}

/* NAME@ID8, or more digits, which is good for a name that nobody else has, too. */
static bool is_label(const struct called *one, const char *text)
{
    const char *at = strrchr(text, '@');
    size_t length = at == NULL ? 0 : (size_t)(at - text);

    return at != NULL && is_digits(at + 1) && strncmp(one->id, at + 1, strlen(at + 1)) == 0 &&
           strlen(one->name) == length && strncmp(one->name, text, length) == 0;
}

/* What names one surely comes before what others may have chosen for themselves. */
enum fit { FITS_NOT, FITS_NAME_OR_DIGITS, FITS_NAME_AND_DIGITS, FITS_LABEL, FITS_ID };

static enum fit fit_of(const struct called *one, const char *text)
{
    if (strcmp(one->id, text) == 0) {
        return FITS_ID;
    }
    if (strcmp(one->label, text) == 0) {
        return FITS_LABEL;
    }
    if (is_label(one, text)) {
        return FITS_NAME_AND_DIGITS;
    }
    return strcmp(one->name, text) == 0 ||
                   (is_digits(text) && strncmp(one->id, text, strlen(text)) == 0)
               ? FITS_NAME_OR_DIGITS
               : FITS_NOT;
}

/* Of several that fit alike, who lives is meant and not who was called so before. */
int gossip_roll_find(const struct gossip_roll *roll, const char *text, struct gossip_member *out,
                     struct err *err)
{
    const struct called *found = NULL;
    enum fit best = FITS_NOT;
    size_t n[2] = {0}; /* that live, that are gone */

    for (size_t i = 0; i < roll->n; i++) {
        const struct called *one = &roll->called[i];
        enum fit fit = fit_of(one, text);
        if (fit == FITS_NOT || fit < best) {
            continue;
        }
        if (fit > best) {
            best = fit;
            n[0] = n[1] = 0;
        }
        found = n[one->is_gone]++ == 0 && (!one->is_gone || n[0] == 0) ? one : found;
    }
    if (found == NULL) {
        return err_set(err, ERR_NOT_FOUND,
                       "no member '%.64s': give its name, its id, or 8 digits of it ('manage "
                       "members')",
                       text);
    }
    if (n[found->is_gone] > 1) {
        return err_set(err, ERR_AMBIGUOUS,
                       "%zu members are called '%.64s': say '%s' for one of them ('manage members' "
                       "shows their ids)",
                       n[found->is_gone], text, found->label);
    }
    *out = roll->all[found - roll->called];
    return 0;
}

const char *gossip_roll_label(const struct gossip_roll *roll, uint64_t sid)
{
    for (size_t i = 0; i < roll->n; i++) {
        if (roll->all[i].sid == sid) {
            return roll->all[i].label;
        }
    }
    return NULL;
}
