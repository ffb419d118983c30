/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <stdio.h>

#include <jansson.h>

#include "cli/interface_table.h"
#include "cli/output.h"
#include "shared/capture/interface_json.h"
#include "shared/capture/interfaces_pcap.h"

static int run(struct command_context *ctx, void *args)
{
    struct interface_list list = {0};

    (void)args;
    int rc = interfaces_read(&list, &ctx->err);
    if (rc < 0) {
        return rc;
    }
    json_t *array = json_array();
    for (size_t i = 0; i < list.n; i++) {
        json_array_append_new(array, interface_json(&list.items[i]));
    }
    interfaces_free(&list);
    if (ctx->global.json) {
        return output_json(stdout, array, &ctx->err);
    }
    interface_table_print(array, false, stdout);
    json_decref(array);
    return 0;
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
