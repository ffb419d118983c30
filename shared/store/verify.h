/* SPDX-License-Identifier: Apache-2.0
 *
 * Is everything that the store says it holds really there? Reads every frame of every segment:
 * checksum, tag, decompression, each packet; compares with the catalogue; enters what the catalogue
 * lost. What is damaged is named and stays where it is: the rest of it is readable.
 */
#pragma once

#include "shared/store/store.h"

struct verify_report {
    uint64_t sessions;
    uint64_t segments;
    uint64_t frames;
    uint64_t packets; /* intact */
    uint64_t bytes;   /* read */
    uint64_t damaged_frames;
    uint64_t damaged_packets;  /* as far as the catalogue or a header tells */
    uint64_t missing_segments; /* in the catalogue, not on disk */
    uint64_t repaired_frames;  /* on disk, entered in the catalogue by this run */
    uint64_t repaired_segments;
};

/* Called for each finding with a sentence that names session, place and packets; and now and then
 * with NULL and the share done, for progress. */
typedef void (*verify_cb)(const char *finding, double done, void *arg);

/* Opened for writing. 0 also when damage was found: see the report. */
int store_verify(struct store *store, verify_cb cb, void *arg, struct verify_report *out,
                 struct err *err);

/* For a store whose catalogue or descriptor is damaged or missing: what is damaged is put aside
 * under a name with
 * `.damaged-TIME`, a new descriptor and catalogue are made from the segments, and the store is
 * opened for writing. ERR_KEY when the segments are encrypted and the key does not open them. */
int store_salvage(const struct store_options *options, struct store **out, struct err *err);
