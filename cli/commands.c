/* SPDX-License-Identifier: Apache-2.0
 *
 * Nothing but the list, so that a test of the parser can bring a list of its own.
 */
#include "cli/command.h"

#include <stddef.h>

/* clang-format off */
const struct command *const commands[] = {
    &cmd_list_interfaces,
    &cmd_capture,
    &cmd_view,
    &cmd_sessions,
    &cmd_query,
    &cmd_export,
    &cmd_sql,
    &cmd_replay,
    &cmd_delete,
    &cmd_prune,
    &cmd_verify,
    &cmd_rekey,
    &cmd_manage,
    &cmd_keys,
    &cmd_serve,
    &cmd_sniff,
    &cmd_config,
    &cmd_doctor,
    &cmd_install_extcap,
    &cmd_help,
    &cmd_completion,
    &cmd_man,
    &cmd_complete,
    NULL,
};
/* clang-format on */
