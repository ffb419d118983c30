/* SPDX-License-Identifier: Apache-2.0
 *
 * The place where desired state goes into the core's messages.
 */
#include "shared/swarm/swim_kv.h"

#include "shared/swarm/swim_internal.h"

void swim_kv_compare(struct swim *swim, struct swim_member *from, uint32_t khash)
{
    (void)swim;
    (void)from;
    (void)khash;
}

void swim_kv_on_list(struct swim *swim, const struct swim_addr *from, uint32_t conn,
                     const struct swim_frame *frame)
{
    (void)swim;
    (void)from;
    (void)conn;
    (void)frame;
}

void swim_kv_on_frame(struct swim *swim, const struct swim_frame *frame)
{
    (void)swim;
    (void)frame;
}

bool swim_kv_write(struct swim *swim, struct swim_work *work, struct pack *pack)
{
    (void)swim;
    (void)work;
    (void)pack;
    return true;
}

void swim_kv_fill(struct swim *swim, struct pack *pack)
{
    (void)swim;
    (void)pack;
}

void swim_kv_deinit(struct swim *swim)
{
    (void)swim;
}

uint64_t swim_kv_hash(const struct swim *swim)
{
    (void)swim;
    return 0;
}
