/* SPDX-License-Identifier: Apache-2.0
 *
 * job.*; node/job_ask has the answers.
 */
#pragma once

#include "node/rpc.h"

extern const struct rpc_handler_group rpc_jobs_handlers;
