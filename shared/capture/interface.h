/* SPDX-License-Identifier: Apache-2.0
 *
 * What this host tells of a network interface, and what follows from it for a capture. The record
 * is filled by interfaces_pcap (libpcap's list) and interface_device_posix (the kernel's answers);
 * what is unknown says so, since a listing must not show 0 for it. Pure data and words.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/packet/iface.h"

#define INTERFACE_ADDRESS_MAX    64 /* "fe80::…/64" */
#define INTERFACE_ADDRESSES_MAX  64 /* further ones are counted in n_addresses_left_out */
#define INTERFACE_LINK_TYPES_MAX 8
#define INTERFACE_WARNINGS_MAX   2
#define INTERFACE_WARNING_MAX    384

enum interface_offload {
    OFFLOAD_UNKNOWN,
    OFFLOAD_OFF,
    OFFLOAD_ON,
};

struct interface {
    char name[IFACE_NAME_MAX];
    char description[IFACE_TEXT_MAX]; /* empty = none */
    uint8_t mac[6];
    bool has_mac;
    bool is_device; /* a network device of the kernel; else one of libpcap's own: any, nflog … */
    bool up;
    bool running;
    bool loopback;
    bool wireless;
    int hardware_type; /* ARPHRD_, -1 = unknown */
    uint32_t mtu;      /* 0 = unknown */
    enum interface_offload gro;
    enum interface_offload lro;
    enum interface_offload tso;
    char (*addresses)[INTERFACE_ADDRESS_MAX]; /* with prefix length, owned */
    size_t n_addresses;
    size_t n_addresses_left_out;
    const char *link_types[INTERFACE_LINK_TYPES_MAX]; /* libpcap's names without DLT_, the one that
                                                         a capture gets first; none = unknown */
    size_t n_link_types;
};

/* libpcap's name of the link type that a device of this ARPHRD_ type is captured with when it
 * cannot be asked; NULL when unknown. */
const char *interface_link_type_of_hardware(int hardware_type);

/* The link type of libpcap's own devices by name ("any", "nflog"); NULL for others. */
const char *interface_link_type_of_virtual(const char *name);

/* Sentences on frames that will be larger than the MTU, because the kernel or the device joins what
 * it receives (GRO, LRO) or has not cut yet what it sends (TSO). Returns how many. GSO alone does
 * not show: its frames are cut before the capture sees them. */
size_t interface_warnings(const struct interface *interface,
                          char out[INTERFACE_WARNINGS_MAX][INTERFACE_WARNING_MAX]);
