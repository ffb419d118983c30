/* SPDX-License-Identifier: Apache-2.0
 *
 * swim_sim: the simulator as a program.
 *
 *     swim_sim story NAME|all [options]     a story (swim_sim stories lists them)
 *     swim_sim random [options]             a random mixture of faults, one run for each seed
 *     swim_sim kept [options]               the seeds that failed once (sim_kept.h)
 *     swim_sim table NAME [options]         figures (swim_sim tables lists them)
 *
 *     --seed S  --seeds N  --nodes N  --rules lan|fast|wan|memberlist  --loss PERCENT
 *     --latency lan|loopback|wan  --seconds T  --crypto null|sodium  --trace
 *
 * Every failure is printed with its seed; the exit code says whether there was one.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shared/base/mem.h"
#include "shared/swarm/swim_limits.h"
#include "tests/sim/sim_kept.h"
#include "tests/sim/sim_random_run.h"
#include "tests/sim/sim_stories.h"
#include "tests/sim/sim_tables.h"

struct named {
    const char *name;
    const void *what;
};

static const struct named rules_of[] = {
    {"lan", &swim_rules_lan},
    {"fast", &swim_rules_fast},
    {"wan", &swim_rules_wan},
    {"memberlist", &swim_rules_memberlist},
    {NULL, NULL},
};
static const struct named latency_of[] = {
    {"lan", &sim_latency_lan},
    {"loopback", &sim_latency_loopback},
    {"wan", &sim_latency_wan},
    {NULL, NULL},
};
static const struct named crypto_of[] = {
    {"null", &swim_crypto_null},
    {"sodium", &swim_crypto_sodium},
    {NULL, NULL},
};

static const char usage[] =
    "usage: swim_sim story NAME|all | stories | random | kept | table NAME|all | tables\n"
    "  [--seed S] [--seeds N] [--nodes N] [--rules lan|fast|wan|memberlist]\n"
    "  [--latency lan|loopback|wan] [--loss PERCENT] [--seconds T]\n"
    "  [--crypto null|sodium] [--trace]\n"
    "stories and tables list what there is; story and random are of 32 nodes, unless told;\n"
    "memberlist's rules are what is compared with. Exit 0: nothing failed, 1: something, 2: "
    "called\n"
    "wrongly. What failed is printed with its seed, and runs again by --seed.\n";

static void __attribute__((noreturn, format(printf, 1, 2))) refuse(const char *fmt, ...)
{
    va_list args;

    fputs("swim_sim: ", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "\n%s", usage);
    exit(2);
}

static const void *find_named(const struct named *all, const char *option, const char *name)
{
    const struct named *at = all;

    while (at->name != NULL && strcmp(at->name, name) != 0) {
        at++;
    }
    if (at->name == NULL) {
        refuse("--%s '%s' is none of those below", option, name);
    }
    return at->what;
}

#define SECONDS_MOST 10000000u /* before the time in ns of a whole run is too much */

struct run {
    struct swim_sim_opts opts;
    const struct swim_rules *only; /* as asked for */
    uint32_t n_seeds;
    uint32_t seconds;
};

static uint64_t number(const char *option, const char *text, uint64_t least, uint64_t most)
{
    char *end = NULL;
    uint64_t n;

    errno = 0;
    n = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || n < least || n > most) {
        refuse("--%s wants a number from %" PRIu64 " to %" PRIu64 ", not '%s'", option, least, most,
               text);
    }
    return n;
}

static uint32_t percent_as_ppm(const char *option, const char *text)
{
    char *end = NULL;
    double percent = strtod(text, &end);

    if (end == text || *end != '\0' || !(percent >= 0 && percent <= 100)) {
        refuse("--%s wants 0 to 100 percent, not '%s'", option, text);
    }
    return (uint32_t)(percent * SIM_PPM / 100);
}

static void set(struct run *run, const char *name, const char *value)
{
    struct swim_sim_opts *o = &run->opts;

    if (strcmp(name, "seed") == 0) {
        o->seed = number(name, value, 0, UINT64_MAX);
    } else if (strcmp(name, "seeds") == 0) {
        run->n_seeds = (uint32_t)number(name, value, 1, UINT32_MAX);
    } else if (strcmp(name, "nodes") == 0) {
        o->n_nodes = (uint32_t)number(name, value, 1, SWIM_MEMBERS_MAX);
    } else if (strcmp(name, "rules") == 0) {
        o->rules = run->only = find_named(rules_of, name, value);
    } else if (strcmp(name, "latency") == 0) {
        o->latency = find_named(latency_of, name, value);
    } else if (strcmp(name, "crypto") == 0) {
        o->crypto = find_named(crypto_of, name, value);
    } else if (strcmp(name, "loss") == 0) {
        o->loss_ppm = percent_as_ppm(name, value);
    } else if (strcmp(name, "seconds") == 0) {
        run->seconds = (uint32_t)number(name, value, 1, SECONDS_MOST);
    } else {
        o->trace = true;
    }
}

static void read_options(struct run *run, int argc, char **argv)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 0},
        {"seeds", required_argument, NULL, 0},
        {"nodes", required_argument, NULL, 0},
        {"rules", required_argument, NULL, 0},
        {"latency", required_argument, NULL, 0},
        {"crypto", required_argument, NULL, 0},
        {"loss", required_argument, NULL, 0},
        {"seconds", required_argument, NULL, 0},
        {"trace", no_argument, NULL, 0},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int at;
    int c;

    while ((c = getopt_long(argc, argv, "h", options, &at)) != -1) {
        if (c == 'h') {
            fputs(usage, stdout);
            exit(0);
        }
        if (c != 0) { /* getopt has said what is wrong */
            fputs(usage, stderr);
            exit(2);
        }
        set(run, options[at].name, optarg);
    }
}

/* Of the processor: what others do on the machine does not count. */
static double spent_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- stories ---- */

static bool tell(const struct sim_story *story, const struct swim_sim_opts *opts)
{
    struct swim_sim_opts all = *opts;
    struct swim_sim *sim;
    bool passed;

    all.every_datagram = opts->rules != &swim_rules_memberlist; /* whose dead are soon forgotten */
    sim = swim_sim_new(&all);
    passed = story->tell(sim) && swim_sim_failure(sim) == NULL;

    printf("%s %s seed %" PRIu64 " nodes %" PRIu32 ": %.1f s, digest %016" PRIx64 "\n",
           passed ? "ok" : "not ok", story->name, opts->seed, opts->n_nodes, swim_sim_now_s(sim),
           swim_sim_totals(sim)->digest);
    swim_sim_free(sim);
    return passed;
}

static int run_stories(const struct run *run, const char *name)
{
    bool is_all = strcmp(name, "all") == 0;
    uint32_t n_failed = 0;

    if (!is_all && sim_story_find(name) == NULL) {
        refuse("no story '%s'; swim_sim stories lists them", name);
    }
    if (!is_all && sim_story_find(name)->n_least > run->opts.n_nodes) {
        refuse("story '%s' needs %" PRIu32 " nodes", name, sim_story_find(name)->n_least);
    }
    for (uint32_t s = 0; s < run->n_seeds; s++) {
        struct swim_sim_opts opts = run->opts;

        opts.seed += s;
        for (size_t i = 0; i < sim_n_stories; i++) {
            if ((is_all || strcmp(sim_stories[i].name, name) == 0) &&
                sim_stories[i].n_least <= opts.n_nodes) {
                n_failed += !tell(&sim_stories[i], &opts);
            }
        }
    }
    return n_failed == 0 ? 0 : 1;
}

static void list_stories(void)
{
    for (size_t i = 0; i < sim_n_stories; i++) {
        printf("%-22s %s\n", sim_stories[i].name, sim_stories[i].what);
    }
}

/* ---- random ---- */

/* Prints its line; false when it failed. */
static bool run_seed(const struct swim_sim_opts *opts, uint32_t seconds, double *node_s)
{
    struct sim_random_result result;

    sim_random_run(&(struct sim_random_run){.opts = opts, .seconds = seconds}, &result);
    *node_s += (double)result.totals.node_ns / 1e9;
    printf("%s seed %" PRIu64 " digest %016" PRIx64 " settled %.2f s %s\n",
           result.passed ? "ok" : "not ok", opts->seed, result.totals.digest, result.settled_s,
           result.failure);
    return result.passed;
}

static int run_random(const struct run *run)
{
    double began_s = spent_s();
    double node_s = 0;
    uint32_t n_failed = 0;

    for (uint32_t s = 0; s < run->n_seeds; s++) {
        struct swim_sim_opts opts = run->opts;

        opts.seed += s;
        n_failed += !run_seed(&opts, run->seconds, &node_s);
    }
    printf("%" PRIu32 " seeds of %" PRIu32
           " nodes, %s cipher, %.3g node-seconds in %.1f s: %" PRIu32 " passed, %" PRIu32
           " failed\n",
           run->n_seeds, run->opts.n_nodes,
           run->opts.crypto == &swim_crypto_sodium ? "sodium" : "null", node_s, spent_s() - began_s,
           run->n_seeds - n_failed, n_failed);
    return n_failed == 0 ? 0 : 1;
}

static int run_kept(const struct run *run)
{
    uint32_t n_failed = 0;

    for (size_t i = 0; i < ARRAY_LEN(sim_kept_seeds); i++) {
        const struct sim_kept *kept = &sim_kept_seeds[i];
        struct swim_sim_opts opts = run->opts;
        double node_s = 0;

        opts.seed = kept->seed;
        opts.n_nodes = kept->n_nodes;
        n_failed += !run_seed(&opts, kept->seconds, &node_s);
    }
    return n_failed == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct run run = {
        .opts = {.seed = 1, .rules = &swim_rules_lan},
        .seconds = 60,
    };
    const char *verb;
    const char *name;

    read_options(&run, argc, argv);
    verb = optind < argc ? argv[optind] : "";
    name = optind + 1 < argc ? argv[optind + 1] : "all";
    if (optind + 2 < argc) {
        refuse("'%s' is too much", argv[optind + 2]);
    }
    if (strcmp(verb, "table") == 0) { /* which has sizes and counts of its own */
        struct sim_table_opts opts = {
            .sim = run.opts, .only = run.only, .n_seeds = run.n_seeds, .now_s = spent_s};

        if (!sim_table_exists(name)) {
            refuse("no table '%s'; swim_sim tables lists them", name);
        }
        return sim_table_run(name, &opts) ? 0 : 1;
    }
    run.opts.n_nodes = run.opts.n_nodes == 0 ? 32 : run.opts.n_nodes;
    run.n_seeds = run.n_seeds == 0 ? 1 : run.n_seeds;
    if (strcmp(verb, "story") == 0) {
        return run_stories(&run, name);
    }
    if (strcmp(verb, "random") == 0) {
        return run_random(&run);
    }
    if (strcmp(verb, "kept") == 0) {
        return run_kept(&run);
    }
    if (strcmp(verb, "stories") == 0) {
        list_stories();
    } else if (strcmp(verb, "tables") == 0) {
        sim_tables_list();
    } else if (strcmp(verb, "") == 0) {
        refuse("what is it to do?");
    } else {
        refuse("no verb '%s'", verb);
    }
    return 0;
}
