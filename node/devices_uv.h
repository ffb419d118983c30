/* SPDX-License-Identifier: Apache-2.0
 *
 * The devices of this host as the node remembers them, so that who asks waits for nothing: reading
 * them opens each one for a moment, which takes a tenth of a second and more. They are read on a
 * worker, at the start, when the kernel says through netlink that a device or an address came, went
 * or changed, and when somebody asks and the list is old, which is how devices are found that are
 * none of the network (USB, Bluetooth). All on the loop.
 */
#pragma once

#include <stdint.h>

#include "node/node.h"

struct interface_list;
struct json_t;

/* Sets node->devices. What can be told without opening anything is known at once. */
int devices_open(struct node *node, struct err *err);
void devices_close(struct node *node, void (*closed)(struct node *node));

/* all: array of objects as of list-interfaces --json, borrowed, not to be changed. */
typedef void (*devices_told_cb)(const struct json_t *all, const struct interface_list *list,
                                void *arg);

/* Calls told once: now, or where the list was never read whole, or changes of it cannot be heard
 * and it is older than a second, when it was read. */
void devices_ask(struct node *node, devices_told_cb told, void *arg);

/* What the others are told of them. */
struct devices_summary {
    uint16_t n;      /* that many or more */
    uint64_t digest; /* devices_digest */
};
/* As last read; zeroes when the node has no devices (tests). */
struct devices_summary devices_summary(const struct node *node);

/* As interface_find, from what is remembered; whether a network device is there the kernel is asked
 * now. */
int devices_find(struct node *node, const char *name, struct err *err);
