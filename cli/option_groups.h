/* SPDX-License-Identifier: Apache-2.0
 *
 * Options that several commands share: a struct to nest into the args struct and a macro that puts
 * the records into the command's table. `type` is the args struct, `member` the nested struct (or
 * the field, where there is only one).
 */
#pragma once

#include "cli/command.h"

/* -d, --encryption-key, --encryption-key-file. NULL for a key that was not given: then the
 * environment counts (PACKETRECORDER_DB_KEY, then _FILE), which whoever opens the store asks. */
struct store_args {
    const char *database;
    const char *key;
    const char *key_file;
};

/* clang-format off */
/* NOLINTBEGIN(bugprone-macro-parentheses): offsetof takes a type and a member as they stand. */
#define OPTIONS_STORE(type, member)                                                                \
    {.name = "database", .letter = 'd', .kind = OPT_STRING, .placeholder = "DB",                   \
     .help = "The store: a catalogue DB with its segments in DB.d beside it.",                     \
     .value = "packets.db", .complete = COMPLETE_FILE,                                             \
     .offset = offsetof(type, member.database)},                                                   \
    OPTIONS_KEY(type, member)

#define OPTIONS_KEY(type, member)                                                                  \
    {.name = "encryption-key", .kind = OPT_SECRET, .placeholder = "KEY",                           \
     .help = "Key or passphrase of the store. Other users can see a command line: prefer "         \
             "--encryption-key-file or the variable PACKETRECORDER_DB_KEY.",                       \
     .offset = offsetof(type, member.key)},                                                        \
    {.name = "encryption-key-file", .kind = OPT_STRING, .placeholder = "FILE",                     \
     .help = "File with the key (a line of 'keys db-new') or a passphrase; only its owner may "    \
             "read it.",                                                                           \
     .complete = COMPLETE_FILE, .offset = offsetof(type, member.key_file)}

/* [const char *] with what follows "--". */
#define OPTION_FILTER(type, member)                                                                \
    {.name = "filter", .letter = 'f', .kind = OPT_STRING, .placeholder = "FILTER",                 \
     .help = "Only packets that match this expression, as in pcap-filter(7). It may also follow "  \
             "'--'.",                                                                              \
     .note = "all packets", .takes_rest = true, .offset = offsetof(type, member)}

/* from_ns is 0 and to_ns UINT64_MAX when not given. */
struct range_args {
    uint64_t from_ns;
    uint64_t to_ns;
};

#define OPTIONS_RANGE(type, member)                                                                \
    {.name = "from", .kind = OPT_TIME, .placeholder = "TIME",                                      \
     .help = "Only packets of this time or later: RFC 3339, a date, @SECONDS or -10m (ago).",      \
     .note = "the first packet", .offset = offsetof(type, member.from_ns)},                        \
    {.name = "to", .kind = OPT_TIME, .placeholder = "TIME",                                        \
     .help = "Only packets up to this time.", .note = "the last packet",                          \
     .initial = UINT64_MAX, .offset = offsetof(type, member.to_ns)}

/* [struct option_list] */
#define OPTION_SESSIONS(type, member)                                                              \
    {.name = "session", .letter = 's', .kind = OPT_LIST, .placeholder = "SESSION",                 \
     .help = "Session id, a prefix of at least 8 characters, its name, 'last' or 'all'; may be "   \
             "repeated.",                                                                          \
     .note = "the only one", .complete = COMPLETE_SESSION, .offset = offsetof(type, member)}
/* NOLINTEND(bugprone-macro-parentheses) */
/* clang-format on */
