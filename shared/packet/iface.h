/* SPDX-License-Identifier: Apache-2.0
 *
 * What is known of an interface that packets were captured on: the pcapng Interface Description
 * Block in our words. Sessions, sources, stores and files all speak of interfaces with this record.
 * Pure data; strings are inline so that it can be copied.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define IFACE_NAME_MAX   128
#define IFACE_TEXT_MAX   256
#define IFACE_FILTER_MAX 4096
/* Interfaces in one session; a file that announces more is refused by name. */
#define IFACES_MAX 4096

/* LINKTYPE_ values (the numbers in files, https://www.tcpdump.org/linktypes.html) that the decoder
 * knows. */
enum link_type {
    LINK_NULL = 0,
    LINK_ETHERNET = 1,
    LINK_PPP = 9,
    LINK_RAW = 101,
    LINK_LOOP = 108,
    LINK_SLL = 113,
    LINK_IPV4 = 228,
    LINK_IPV6 = 229,
    LINK_SLL2 = 276,
};

struct iface {
    char name[IFACE_NAME_MAX];        /* may be empty (classic pcap files name none) */
    char description[IFACE_TEXT_MAX]; /* may be empty */
    char filter[IFACE_FILTER_MAX];    /* the expression in force, empty = none */
    char os[IFACE_TEXT_MAX];
    uint8_t mac[6];
    bool has_mac;
    uint32_t link_type; /* LINKTYPE_, up to 65535 */
    uint32_t snaplen;   /* 0 = no limit */
    uint64_t speed_bps; /* 0 = unknown */
    uint8_t ts_digits;  /* decimal digits of a second that the clock gave: 6 or 9 */
};
