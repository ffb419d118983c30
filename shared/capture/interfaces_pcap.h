/* SPDX-License-Identifier: Apache-2.0
 *
 * The interfaces of this host that libpcap can capture from. Used by list-interfaces and
 * completion, and by capture to refuse a name that does not exist.
 */
#pragma once

#include "shared/base/err.h"
#include "shared/capture/interface.h"

struct interface_list {
    struct interface *items; /* owned, in libpcap's order: the useful ones first */
    size_t n;
};

/* Reads them all. With rights each device that is up is opened for a moment to ask for its link
 * types; without, they follow from the hardware type. libpcap's own devices are not opened. */
int interfaces_read(struct interface_list *out, struct err *err);
/* The same, but nothing is opened: quick, and the link types follow from the hardware type. */
int interfaces_read_unopened(struct interface_list *out, struct err *err);
void interfaces_free(struct interface_list *list);

/* Calls each() with the names alone; nothing is opened. Cheap, for completion. */
int interfaces_names(void (*each)(const char *name, void *arg), void *arg, struct err *err);

/* 0 when `name` can be captured from, ERR_NOT_FOUND with the nearest name otherwise. Says nothing
 * of rights or of being up. */
int interface_find(const char *name, struct err *err);
/* The same without libpcap's search, which can take long: the kernel is asked for devices of the
 * network, and of libpcap's own those count that are in the list. */
int interface_find_in(const struct interface_list *list, const char *name, struct err *err);
