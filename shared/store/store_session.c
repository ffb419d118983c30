/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base/mem.h"
#include "shared/store/store.h"

void store_session_deinit(struct store_session *session)
{
    mem_free(session->ifaces);
    session->ifaces = NULL;
    session->n_ifaces = 0;
    clock_samples_deinit(&session->clock);
}
