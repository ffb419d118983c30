/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/session_choice.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/packet/filter.h"
#include "shared/packet/link_type.h"

#define ALL "all"

void session_choice_deinit(struct session_choice *choice)
{
    store_sessions_free(choice->sessions, choice->n);
    *choice = (struct session_choice){0};
}

static bool is_chosen(const struct session_choice *choice, int64_t row)
{
    for (size_t i = 0; i < choice->n; i++) {
        if (choice->sessions[i].row == row) {
            return true;
        }
    }
    return false;
}

static int add_named(struct store *store, const char *name, struct session_choice *out,
                     struct err *err)
{
    struct store_session *found = NULL;
    int r = store_session_find(store, name, &found, err);

    if (r < 0) {
        return r;
    }
    if (is_chosen(out, found->row)) {
        store_sessions_free(found, 1);
        return 0;
    }
    out->sessions = x_realloc(out->sessions, (out->n + 1) * sizeof *out->sessions);
    out->sessions[out->n++] = *found; /* with its interfaces */
    mem_free(found);
    return 0;
}

static bool names_all(const struct option_list *names)
{
    for (size_t i = 0; i < names->n; i++) {
        if (strcmp(names->items[i], ALL) == 0) {
            return true;
        }
    }
    return false;
}

static int only_one(struct store *store, const struct session_choice *choice, struct err *err)
{
    if (choice->n == 1) {
        return 0;
    }
    if (choice->n == 0) {
        return err_set(err, ERR_NOT_FOUND, "the store '%s' holds no session", store_path(store));
    }
    return err_set(err, ERR_USAGE,
                   "the store '%s' holds %zu sessions: choose with -s (an id, its first 8 "
                   "characters, a name, 'last' or 'all'; 'packetrecorder sessions' lists them)",
                   store_path(store), choice->n);
}

int session_choice_make(struct store *store, const struct option_list *names,
                        struct session_choice *out, struct err *err)
{
    int r = 0;

    *out = (struct session_choice){.all = names_all(names)};
    if (names->n == 0 || out->all) {
        r = store_sessions(store, &out->sessions, &out->n, err);
        return r < 0 || out->all ? r : only_one(store, out, err);
    }
    for (size_t i = 0; i < names->n && r == 0; i++) {
        r = add_named(store, names->items[i], out, err);
    }
    return r;
}

static void check_link_type(struct filter_set *filters, uint32_t link_type)
{
    char name[LINK_TYPE_TEXT_MAX];
    const char *why = NULL;

    (void)filter_set_for(filters, link_type, &why);
    if (why != NULL) {
        link_type_text(link_type, name);
        log_warn("no packet of link type %s matches: %s", name, why);
    }
}

void session_choice_check_filter(const struct session_choice *choice, const char *filter)
{
    struct filter_set *filters = NULL;

    if (filter == NULL || filter[0] == '\0' || filter_set_new(filter, &filters, NULL) < 0) {
        return;
    }
    for (size_t i = 0; i < choice->n; i++) {
        for (uint32_t k = 0; k < choice->sessions[i].n_ifaces; k++) {
            check_link_type(filters, choice->sessions[i].ifaces[k].link_type);
        }
    }
    filter_set_free(filters);
}

int session_choice_damage(const struct scan_damage *damage, struct err *err)
{
    char gone[128] = "";

    if (damage->frames == 0 && damage->gone_packets == 0 && damage->sessions == 0) {
        return 0;
    }
    if (damage->frames == 0 && damage->gone_packets == 0) {
        return err_set(err, ERR_PARTLY,
                       "%s: what could be read is here, but packets of it are lost; "
                       "'packetrecorder verify' tells which",
                       damage->text);
    }
    if (damage->gone_packets > 0) {
        snprintf(gone, sizeof gone, "%" PRIu64 " packets were deleted while they were being read",
                 damage->gone_packets);
    }
    if (damage->frames == 0) {
        return err_set(err, ERR_PARTLY, "%s", gone);
    }
    return err_set(err, ERR_PARTLY,
                   "%" PRIu64 " packets in %" PRIu64
                   " damaged frames could not be read (%s); 'packetrecorder verify' tells more%s%s",
                   damage->packets, damage->frames, damage->text, gone[0] != '\0' ? "; " : "",
                   gone);
}
