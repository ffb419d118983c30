/* SPDX-License-Identifier: Apache-2.0
 *
 * packetrecorder-extcap: what Wireshark asks for (--extcap-…, --capture) and what the user chose in
 * its dialogs, in a file or in the environment, as one option table. extcap_main.c reads it,
 * extcap_text.c answers, extcap_capture_posix.c captures.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/options/command.h"

/* Our interfaces in Wireshark: this one, which asks for a node in its dialog, and with a colon and
 * the name behind it each interface of the node that is set up. */
#define EXTCAP_NAME "packetrecorder"

struct extcap_args {
    bool list;             /* --extcap-interfaces */
    bool dlts;             /* --extcap-dlts */
    bool config;           /* --extcap-config */
    bool capture;          /* --capture */
    const char *wireshark; /* --extcap-version */
    const char *interface;
    const char *filter;
    const char *reload; /* --extcap-reload-option */
    const char *fifo;
    const char *control_in;
    const char *control_out;
    const char *endpoint;
    const char *remote_interface;
    const char *api_key_file;
    const char *ca_file;
    uint64_t snaplen;
    uint64_t history_ns;
    bool compress;
};

extern const struct program extcap_program;
/* The only command of the program: its table. */
extern const struct command extcap_command;

/* The interface of ours that asks for a node in its dialog. */
bool extcap_is_generic(const struct extcap_args *args);

/* The node's interface that an interface of ours stands for: what is behind the colon, or the one
 * chosen in the dialog. NULL when there is none. */
const char *extcap_remote_interface(const struct extcap_args *args);
