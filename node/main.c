/* SPDX-License-Identifier: Apache-2.0
 *
 * packetrecorderd.
 */
#include "node/command.h"
#include "shared/base/standard_fds_posix.h"
#include "shared/options/program.h"

int main(int argc, char **argv)
{
    return standard_fds_hold() ? program_main(&node_program, argc, argv) : 1;
}
