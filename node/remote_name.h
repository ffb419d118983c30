/* SPDX-License-Identifier: Apache-2.0
 *
 * NODE/IFACE, the name of an interface of another member; "swarm:NODE/IFACE" is the same, for who
 * has to tell it from his own. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "shared/base/err.h"

/* No interface of a host has a slash in its name: who opens this one waits for another node. */
bool remote_name_is(const char *name);
/* Without "swarm:"; a part of name. */
const char *remote_name_plain(const char *name);
/* The parts of a name, owned by the caller (mem_free). ERR_NOT_FOUND: it has none; ERR_USAGE: it
 * goes over more than one node. */
int remote_name_split(const char *name, char **node, char **interface, struct err *err);
