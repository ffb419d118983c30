/* SPDX-License-Identifier: Apache-2.0
 *
 * The registry outlives its part of the node while readers of uplinks are open: they hold their
 * uplink, and each uplink holds the registry.
 */
#include <stdio.h>
#include <string.h>

#include "node/uplink_internal.h"
#include "shared/base/mem.h"

struct uplinks *uplinks_new(struct node *node)
{
    struct uplinks *uplinks = x_alloc(sizeof *uplinks);

    uplinks->node = node;
    uplinks->refs = 1;
    pthread_mutex_init(&uplinks->mutex, NULL);
    return uplinks;
}

void uplinks_lock(struct uplinks *uplinks)
{
    pthread_mutex_lock(&uplinks->mutex);
}

void uplinks_unlock(struct uplinks *uplinks)
{
    bool is_last = uplinks->refs == 0;

    pthread_mutex_unlock(&uplinks->mutex);
    if (is_last) {
        pthread_mutex_destroy(&uplinks->mutex);
        mem_free(uplinks);
    }
}

/* Where the name is, or where it belongs. */
static size_t place_of(const struct uplinks *uplinks, const char *name)
{
    size_t from = 0;
    size_t to = uplinks->n;

    while (from < to) {
        size_t middle = (from + to) / 2;
        if (strcmp(uplinks->items[middle]->name, name) < 0) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

struct uplink *uplinks_get(struct uplinks *uplinks, const char *name)
{
    size_t i = place_of(uplinks, name);

    return i < uplinks->n && strcmp(uplinks->items[i]->name, name) == 0 ? uplinks->items[i] : NULL;
}

struct uplink *uplinks_make(struct uplinks *uplinks, const char *name)
{
    struct uplink *uplink = uplinks_get(uplinks, name);

    if (uplink == NULL) {
        if (uplinks->n == UPLINKS_MAX) {
            return NULL;
        }
        uplink = x_alloc(sizeof *uplink);
        snprintf(uplink->name, sizeof uplink->name, "%s", name);
        uplink->uplinks = uplinks;
        uplink->refs = 1;
        uplinks->refs++;
        size_t i = place_of(uplinks, name);
        memmove(&uplinks->items[i + 1], &uplinks->items[i],
                (uplinks->n - i) * sizeof uplinks->items[0]);
        uplinks->items[i] = uplink;
        uplinks->n++;
    }
    uplink->refs++;
    return uplink;
}

void uplinks_forget(struct uplinks *uplinks, struct uplink *uplink, const char *why)
{
    size_t i = place_of(uplinks, uplink->name);

    REQUIRE(i < uplinks->n && uplinks->items[i] == uplink);
    uplinks->n--;
    memmove(&uplinks->items[i], &uplinks->items[i + 1],
            (uplinks->n - i) * sizeof uplinks->items[0]);
    uplink_end_seats(uplink, why);
    uplink_unref(uplink);
}

void uplink_unref(struct uplink *uplink)
{
    REQUIRE(uplink->refs > 0);
    if (--uplink->refs == 0) {
        uplink->uplinks->refs--;
        mem_free(uplink);
    }
}

int uplinks_find(struct uplinks *uplinks, const char *interface, struct err *err)
{
    uplinks_lock(uplinks);
    struct uplink *uplink = uplinks_get(uplinks, interface);
    bool found = uplink != NULL && uplink->has_iface;
    uplinks_unlock(uplinks);
    return found ? 0 : err_set(err, ERR_NOT_FOUND, "there is no uplink '%s'", interface);
}

/* The names are copied, so that each() may do what it likes. */
void uplinks_names(struct uplinks *uplinks, void (*each)(const char *name, void *arg), void *arg)
{
    uplinks_lock(uplinks);
    size_t n = 0;
    char(*names)[UPLINK_NAME_MAX] = x_alloc(uplinks->n * sizeof *names);
    for (size_t i = 0; i < uplinks->n; i++) {
        if (uplinks->items[i]->has_iface) {
            memcpy(names[n++], uplinks->items[i]->name, UPLINK_NAME_MAX);
        }
    }
    uplinks_unlock(uplinks);
    for (size_t i = 0; i < n; i++) {
        each(names[i], arg);
    }
    mem_free(names);
}
