/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "cli/output.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/capture/interface_json.h"
#include "shared/capture/interfaces_pcap.h"

#define CELL_MAX 32

static const char *const flag_names[] = {"up", "running", "loopback", "wireless"};

static bool has_flag(const struct interface *interface, size_t i)
{
    const bool flags[] = {interface->up, interface->running, interface->loopback,
                          interface->wireless};

    return flags[i];
}

static void format_mac(const struct interface *interface, char out[CELL_MAX])
{
    const uint8_t *mac = interface->mac;

    snprintf(out, CELL_MAX, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
             mac[5]);
}

static int print_json(const struct interface_list *list, struct err *err)
{
    json_t *array = json_array();

    for (size_t i = 0; i < list->n; i++) {
        json_array_append_new(array, interface_json(&list->items[i]));
    }
    return output_json(stdout, array, err);
}

static void format_flags(const struct interface *interface, char *out, size_t n)
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(flag_names) && used < n; i++) {
        if (has_flag(interface, i)) {
            used +=
                (size_t)snprintf(out + used, n - used, "%s%s", used > 0 ? "," : "", flag_names[i]);
        }
    }
}

/* An interface takes a line, each further address one of its own. */
static void add_rows(struct output_table *table, const struct interface *interface)
{
    char mac[CELL_MAX];
    char mtu[CELL_MAX];
    char flags[4 * CELL_MAX];

    format_mac(interface, mac);
    format_flags(interface, flags, sizeof flags);
    snprintf(mtu, sizeof mtu, "%u", interface->mtu);
    const char *row[] = {
        interface->name,
        flags[0] != '\0' ? flags : NULL,
        interface->n_link_types > 0 ? interface->link_types[0] : NULL,
        interface->mtu > 0 ? mtu : NULL,
        interface->has_mac ? mac : NULL,
        interface->n_addresses > 0 ? interface->addresses[0] : NULL,
        interface->description,
    };
    output_table_add(table, row);
    for (size_t i = 1; i < interface->n_addresses; i++) {
        const char *more[] = {"", "", "", "", "", interface->addresses[i], ""};
        output_table_add(table, more);
    }
}

static void print_text(const struct interface_list *list)
{
    static const struct output_column columns[] = {
        {"NAME", 0}, {"FLAGS", 0},     {"LINK TYPE", 0},   {"MTU", 1},
        {"MAC", 0},  {"ADDRESSES", 0}, {"DESCRIPTION", 0},
    };
    struct output_table *table = output_table_new(columns, ARRAY_LEN(columns));

    for (size_t i = 0; i < list->n; i++) {
        add_rows(table, &list->items[i]);
    }
    output_table_print(table, stdout);
    output_table_free(table);
    fflush(stdout);
    for (size_t i = 0; i < list->n; i++) {
        char texts[INTERFACE_WARNINGS_MAX][INTERFACE_WARNING_MAX];
        size_t n = interface_warnings(&list->items[i], texts);
        for (size_t k = 0; k < n; k++) {
            log_warn("'%s': %s", list->items[i].name, texts[k]);
        }
    }
}

static int run(struct command_context *ctx, void *args)
{
    struct interface_list list = {0};

    (void)args;
    int rc = interfaces_read(&list, &ctx->err);
    if (rc < 0) {
        return rc;
    }
    if (ctx->global.json) {
        rc = print_json(&list, &ctx->err);
    } else {
        print_text(&list);
    }
    interfaces_free(&list);
    return rc;
}

const struct command cmd_list_interfaces = {
    .name = "list-interfaces",
    .summary = "list the interfaces that can be captured from",
    .description =
        (const char *const[]){
            "Shows each interface with its flags, link type, MTU, hardware address, addresses and "
            "description. With --json the link types that can be chosen are all listed, the one "
            "that a capture gets first; without the right to open an interface only that one is "
            "known.",
            "A warning on standard error names interfaces where the kernel or the device joins or "
            "cuts frames, so that a capture shows frames larger than the MTU.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"list-interfaces", "a table of all interfaces"},
            {"list-interfaces --json | jq -r '.[].name'", "their names alone"},
            {NULL, NULL},
        },
    .run = run,
};
