/* SPDX-License-Identifier: Apache-2.0
 *
 * packetrecorder.
 */
#include "cli/command.h"
#include "shared/base/log.h"
#include "shared/base/standard_fds_posix.h"
#include "shared/options/program.h"

int main(int argc, char **argv)
{
    if (!standard_fds_hold()) {
        return 1;
    }
    log_init_from_env();
    return program_main(&cli_program, argc, argv);
}
