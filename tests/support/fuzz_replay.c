/* SPDX-License-Identifier: Apache-2.0
 *
 * main() for a fuzz target built without libFuzzer: fuzz_replay PATH… runs each file, and each file
 * of each folder, through LLVMFuzzerTestOneInput. A small file is run again cut at every length and
 * with every bit flipped, as long as the budget of runs (PR_REPLAY_RUNS, 20000) lasts, shared
 * evenly between the files. Each run gets memory of exactly its length, so that a sanitizer sees
 * the first byte read too far. Prints one TAP line a PATH.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/mem.h"

#define DAMAGED_MAX_BYTES (64u * 1024u)
#define RUNS_DEFAULT      20000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static size_t n_runs;

static void run_copy(const uint8_t *data, size_t n, size_t flip_bit)
{
    uint8_t *copy = malloc(n == 0 ? 1 : n);

    REQUIRE(copy != NULL);
    memcpy(copy, data, n);
    if (flip_bit < n * 8) {
        copy[flip_bit / 8] ^= (uint8_t)(1u << flip_bit % 8);
    }
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
    n_runs++;
}

/* Cuts first, then flips; with a small budget, evenly spread over the file. */
static void run_damaged(const uint8_t *data, size_t n, size_t budget)
{
    size_t cuts = n;
    size_t step = cuts > budget / 2 ? cuts / (budget / 2 + 1) + 1 : 1;

    for (size_t len = 0; len < n; len += step) {
        run_copy(data, len, SIZE_MAX);
    }
    size_t bits = n * 8;
    step = bits > budget / 2 ? bits / (budget / 2 + 1) + 1 : 1;
    for (size_t bit = 0; bit < bits; bit += step) {
        run_copy(data, n, bit);
    }
}

static bool run_file(const char *path, size_t budget)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    size_t n = 0;
    size_t got;

    if (file == NULL) {
        return false;
    }
    do {
        data = x_realloc(data, n + 65536);
        got = fread(data + n, 1, 65536, file);
        n += got;
    } while (got > 0);
    fclose(file);
    fprintf(stderr, "# %s\n", path); /* the last line of a program that crashes */
    run_copy(data, n, SIZE_MAX);
    if (n <= DAMAGED_MAX_BYTES) {
        run_damaged(data, n, budget);
    }
    mem_free(data);
    return true;
}

static int by_name(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static size_t runs_allowed(void)
{
    const char *text = getenv("PR_REPLAY_RUNS");

    return text == NULL ? RUNS_DEFAULT : (size_t)strtoul(text, NULL, 10);
}

/* Files that were run, or 0. */
static size_t run_path(const char *path)
{
    struct dirent **entries = NULL;
    int n = scandir(path, &entries, by_name, alphasort);
    size_t done = 0;

    if (n < 0) {
        return run_file(path, runs_allowed()) ? 1 : 0;
    }
    for (int i = 0; i < n; i++) {
        char *file = x_sprintf("%s/%s", path, entries[i]->d_name);
        done += run_file(file, runs_allowed() / (size_t)n) ? 1 : 0;
        mem_free(file);
        free(entries[i]);
    }
    free(entries);
    return done;
}

int main(int argc, char **argv)
{
    int code = argc < 2 ? 1 : 0;

    for (int i = 1; i < argc; i++) {
        n_runs = 0;
        size_t files = run_path(argv[i]);
        const char *name = strrchr(argv[i], '/');
        printf("%s - %s: %zu files, %zu runs\n", files > 0 ? "ok" : "not ok",
               name == NULL ? argv[i] : name + 1, files, n_runs);
        code = files > 0 ? code : 1;
    }
    return code;
}
