/* SPDX-License-Identifier: Apache-2.0
 *
 * What a hostile node answers to a command line that shows it: the first byte says as what it is
 * taken, the rest is the result in msgpack. Whatever comes, the table has lines of text alone, and
 * what a job came to is told.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "cli/interface_table.h"
#include "cli/job_table.h"
#include "cli/key_table.h"
#include "cli/session_table.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/wire/rpc.h"

#define VALUES_MAX 4096
#define NOW_NS     UINT64_C(1800000000000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void show_job(const json_t *job, FILE *out)
{
    struct err err = {0};

    job_table_print(job, out);
    (void)job_has_ended(job, NOW_NS);
    REQUIRE(job_outcome(job, &err) == 0 || err.text[0] != '\0');
}

/* As cmd_manage_*: lists of objects, or an object. */
static void show(unsigned what, const json_t *answer, FILE *out)
{
    switch (what) {
    case 0:
        interface_table_print(answer, true, out);
        break;
    case 1:
        session_table_print(answer, true, NOW_NS, out);
        break;
    case 2:
        key_table_print(answer, true, out);
        break;
    case 3:
        job_list_print(answer, out);
        break;
    case 4:
        show_job(answer, out);
        break;
    default: {
        json_t *job = job_of_session(answer);
        show_job(job, out);
        json_decref(job);
        break;
    }
    }
}

static bool is_expected(unsigned what, const json_t *answer)
{
    if (what > 3) {
        return json_is_object(answer);
    }
    for (size_t i = 0; i < json_array_size(answer); i++) {
        if (!json_is_object(json_array_get(answer, i))) {
            return false;
        }
    }
    return json_is_array(answer);
}

/* Nothing that a terminal obeys: C0, DEL, C1 in UTF-8. */
static void check_text(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        REQUIRE((c >= 0x20 && c != 0x7f) || c == '\n');
        REQUIRE(c != 0xc2 || i + 1 == n || (unsigned char)text[i + 1] >= 0xa0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    json_t *answer = NULL;
    char *text = NULL;
    size_t length = 0;

    if (n < 2 || rpc_to_json((struct rpc_span){data + 1, n - 1}, VALUES_MAX, &answer, NULL) < 0) {
        return 0;
    }
    log_set_level(LOG_LEVEL_ERROR); /* warnings are said as the table is */
    if (is_expected(data[0] % 6, answer)) {
        FILE *out = open_memstream(&text, &length);
        REQUIRE(out != NULL);
        show(data[0] % 6, answer, out);
        REQUIRE(fclose(out) == 0);
        check_text(text, length);
        free(text);
    }
    json_decref(answer);
    return 0;
}
