/* SPDX-License-Identifier: Apache-2.0 */
#include "node/job_words.h"

#include <string.h>

#include <sodium.h>

struct id job_id_new(uint64_t wall_ns)
{
    uint8_t random[ID_RANDOM_BYTES];

    randombytes_buf(random, sizeof random);
    return id_make(wall_ns / 1000000u, random);
}

void job_spec_text(const struct job_spec *spec, char out[JOB_WORDS_MAX])
{
    uint8_t bytes[JOB_VALUE_MAX];
    size_t n = job_spec_write(spec, bytes);

    sodium_bin2hex(out, JOB_WORDS_MAX, bytes, n);
}

bool job_spec_of_text(const char *text, struct job_spec *spec)
{
    uint8_t bytes[JOB_VALUE_MAX];
    size_t n = 0;

    return sodium_hex2bin(bytes, sizeof bytes, text, strlen(text), NULL, &n, NULL) == 0 &&
           job_spec_read(bytes, n, spec);
}
