/* SPDX-License-Identifier: Apache-2.0
 *
 * One line a packet, in the words of tcpdump -nn without the time stamp, and the hex and ASCII dump
 * below it.
 */
#pragma once

#include "shared/packet/decode.h"

#define SUMMARY_MAX 1024

/* The part that explains ("Flags [S], seq 1, win 64240, length 0"; "echo request, id 1, seq 2,
 * length 64"; "GRE …: IP 10.0.0.1 > 10.0.0.2: …"), used as `info` in JSON, CSV and SQL. Always
 * terminated; bytes of a packet are escaped. */
void summary_info(const struct packet_view *packet, const struct decoded *d, char *out, size_t n);

/* The whole line: "IP 10.0.0.1.1234 > 10.0.0.2.80: Flags [S], …", "ARP, Request who-has …", "vlan
 * 5, IP6 …". */
void summary_line(const struct packet_view *packet, const struct decoded *d, char *out, size_t n);

/* Calls line() for each 16 bytes as tcpdump -X does: "\t0x0000:  4500 003c …  E..<". */
void summary_hex(const uint8_t *data, uint32_t n, void (*line)(const char *text, void *arg),
                 void *arg);
