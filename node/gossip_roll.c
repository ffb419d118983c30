/* SPDX-License-Identifier: Apache-2.0
 *
 * What members are called. Names are those of hosts, and nobody hands them out: two may have the
 * same. Where that is so each is shown as NAME@ID8, with the first digits of its id, and can be
 * asked for so; a member that calls itself like another's label makes that ambiguous, and not his.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/gossip_internal_uv.h"
#include "shared/base/mem.h"

#define ID_DIGITS 8

static bool is_gone(const struct gossip_member *member)
{
    return member->state == GOSSIP_DEAD || member->state == GOSSIP_LEFT;
}

/* ---- labels ---- */

/* Those of one name lie together, who lives before who is gone. */
static int by_name(const void *a, const void *b)
{
    const struct gossip_member *one = *(const struct gossip_member *const *)a;
    const struct gossip_member *other = *(const struct gossip_member *const *)b;
    int order = strcmp(one->meta.name, other->meta.name);

    return order != 0 ? order : (int)is_gone(one) - (int)is_gone(other);
}

static void label_one(struct gossip_member *member, bool is_alone)
{
    if (!member->has_meta || member->meta.name[0] == '\0') {
        (void)snprintf(member->label, sizeof member->label, "%s", member->id);
    } else if (is_alone) {
        (void)snprintf(member->label, sizeof member->label, "%s", member->meta.name);
    } else {
        (void)snprintf(member->label, sizeof member->label, "%s@%.*s", member->meta.name, ID_DIGITS,
                       member->id);
    }
}

/* Who alone lives of a name has it; who had it before, on a host that was set up anew, does not. */
static void label_all(struct gossip_member *all, size_t n)
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
        bool first_has_it =
            end == first + 1 || (!is_gone(sorted[first]) && is_gone(sorted[first + 1]));
        for (size_t i = first; i < end; i++) {
            label_one(sorted[i], i == first && first_has_it);
        }
    }
    mem_free(sorted);
}

/* What is made of them takes longer than the core may wait. */
static struct gossip_member *copy_all(struct gossip *g, size_t *n)
{
    struct swim_view view;

    *n = 0;
    gossip_lock(g);
    struct swim_now now = gossip_now();
    struct gossip_member *all = x_alloc((swim_n_members(g->swim) + 1) * sizeof *all);
    while (*n <= swim_n_members(g->swim) && swim_member_at(g->swim, (uint32_t)*n, &view)) {
        gossip_show(g, now, &view, &all[(*n)++]);
    }
    gossip_unlock(g);
    label_all(all, *n);
    return all;
}

void gossip_members(struct gossip *g, gossip_member_cb member, void *arg)
{
    size_t n;
    struct gossip_member *all = copy_all(g, &n);

    for (size_t i = 0; i < n; i++) {
        member(&all[i], arg);
    }
    mem_free(all);
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

struct gossip_roll *gossip_roll_new(struct gossip *g)
{
    struct gossip_roll *roll = x_alloc(sizeof *roll);

    roll->all = copy_all(g, &roll->n);
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

static bool is_digits(const char *text)
{
    return strlen(text) >= ID_DIGITS && text[strspn(text, "0123456789abcdef")] == '\0';
}

/* NAME@ID8, or more digits, which is good for a name that nobody else has, too. */
static bool is_label(const struct called *one, const char *text)
{
    const char *at = strrchr(text, '@');
    size_t length = at == NULL ? 0 : (size_t)(at - text);

    return at != NULL && is_digits(at + 1) && strncmp(one->id, at + 1, strlen(at + 1)) == 0 &&
           strlen(one->name) == length && strncmp(one->name, text, length) == 0;
}

static bool is_meant(const struct called *one, const char *text)
{
    return strcmp(one->name, text) == 0 || is_label(one, text) ||
           (is_digits(text) && strncmp(one->id, text, strlen(text)) == 0);
}

/* By its whole id no other can be meant. Of one name, who lives is meant and not who had it before.
 */
int gossip_roll_find(const struct gossip_roll *roll, const char *text, struct gossip_member *out,
                     struct err *err)
{
    const struct called *found = NULL;
    size_t n[2] = {0}; /* that live, that are gone */

    for (size_t i = 0; i < roll->n; i++) {
        const struct called *one = &roll->called[i];
        if (strcmp(one->id, text) == 0) {
            *out = roll->all[i];
            return 0;
        }
        if (is_meant(one, text)) {
            found = n[one->is_gone]++ == 0 && (!one->is_gone || n[0] == 0) ? one : found;
        }
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

int gossip_find(struct gossip *g, const char *text, struct gossip_member *out, struct err *err)
{
    struct gossip_roll *roll = gossip_roll_new(g);
    int rc = gossip_roll_find(roll, text, out, err);

    gossip_roll_free(roll);
    return rc;
}
