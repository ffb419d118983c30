/* SPDX-License-Identifier: Apache-2.0
 *
 * The audit of RPC calls that change something: entries wait in memory and are written into the
 * catalogue (shared/store/audit.h) by a worker, many at once where many come. While another program
 * holds the store they wait and are tried again; when RPC_AUDIT_WAITING wait the oldest is given
 * up, counted, and stands in the log alone, as all of them do. Loop thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "node/node.h"
#include "node/rpc.h"
#include "shared/store/audit.h"

#define RPC_AUDIT_WAITING 1024

struct rpc_audit;

struct rpc_audit *rpc_audit_open(struct node *node);
/* What waits is still written, when a worker is free in time. closed(arg) follows. */
void rpc_audit_close(struct rpc_audit *audit, void (*closed)(void *arg), void *arg);
/* Copied. */
void rpc_audit_add(struct rpc_audit *audit, const struct store_audit_entry *entry);
uint64_t rpc_audit_written(const struct rpc_audit *audit);
uint64_t rpc_audit_lost(const struct rpc_audit *audit);

/* node.audit. */
extern const struct rpc_handler_group rpc_audit_handlers;
