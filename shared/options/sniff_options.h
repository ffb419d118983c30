/* SPDX-License-Identifier: Apache-2.0
 *
 * What the sending end of an uplink can be told: `packetrecorder sniff`, which is run by
 * packetrecorderd. The API key is not here: --api-key-file is a global option of both programs, and
 * PACKETRECORDER_API_KEY is read by whoever dials.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/options/command.h"

struct sniff_options {
    const char *server; /* wss://NODE/ingest */
    const char *ca_file;
    bool insecure; /* ws:// beyond loopback */
    const char *name;
    struct option_list interfaces;
    const char *filter;
    uint64_t snaplen;
    bool promisc;
    uint64_t buffer_bytes; /* the kernel's ring of each interface */
    uint64_t memory_bytes; /* what waits in memory while the connection is down or slow */
    const char *spool_dir; /* then on disk; NULL: not at all */
    uint64_t spool_bytes;
    bool compress;
    const char *user;
    int log_level; /* enum log_level */
};

#define N_SNIFF_OPTIONS 15
extern const struct command_option sniff_option_table[N_SNIFF_OPTIONS];

extern const char *const sniff_description[];
extern const struct command_example sniff_examples[];

/* `sniff` of both programs, all but its run function, as COMMAND_SERVE. */
/* clang-format off */
#define COMMAND_SNIFF                                                                              \
    .name = "sniff",                                                                               \
    .summary = "capture here and send to a node that is dialled",                                  \
    .options = sniff_option_table,                                                                 \
    .n_options = N_SNIFF_OPTIONS,                                                                  \
    .args_size = sizeof(struct sniff_options),                                                     \
    .description = sniff_description,                                                              \
    .examples = sniff_examples,                                                                    \
    .uses_api_key = true
/* clang-format on */
