/* SPDX-License-Identifier: Apache-2.0
 *
 * Makes of a filter that libpcap compiled for a live handle the program that the kernel wants, as
 * libpcap does inside of pcap_setfilter. Needed because pcap_setfilter drains and so loses what is
 * in the ring, and a capture whose filter is swapped must not. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/packet/filter.h"

/* In place. Where the link type is one of Linux' cooked ones the socket gives packets without the
 * header that the program was compiled for, and what it loads from there is asked of the kernel.
 * The length that a match returns becomes `snaplen`. False when the program looks at something the
 * kernel cannot tell. */
bool kernel_filter_fix(struct filter_insn *insns, uint32_t n, uint32_t link_type, uint32_t snaplen);
