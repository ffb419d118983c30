/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base/standard_fds_posix.h"

#include <fcntl.h>

bool standard_fds_hold(void)
{
    static const int flags[] = {O_RDONLY, O_RDONLY, O_WRONLY};

    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", flags[fd]) != fd) {
            return false;
        }
    }
    return true;
}
