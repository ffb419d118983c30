/* SPDX-License-Identifier: Apache-2.0
 *
 * The parser, on a table of commands of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/option_groups.h"
#include "shared/base/mem.h"
#include "shared/options/options.h"

#define NOW_NS   1700000000000000000ULL
#define ARGV_MAX 32

struct record_args {
    struct store_args store;
    struct range_args range;
    const char *filter;
    struct option_list interfaces;
    struct option_pairs tags;
    uint64_t count;
    uint64_t max_bytes;
    uint64_t duration_ns;
    uint64_t snaplen;
    double speed;
    int direction;
    bool promisc;
    bool force;
    bool verbose;
};

static const char *const directions[] = {"in", "out", "inout", NULL};

#define AT(member) .offset = offsetof(struct record_args, member)

static const struct command_option record_options[] = {
    OPTIONS_STORE(struct record_args, store),
    OPTIONS_RANGE(struct record_args, range),
    OPTION_FILTER(struct record_args, filter),
    {.name = "interface", .letter = 'i', .kind = OPT_LIST, .placeholder = "IF", AT(interfaces)},
    {.name = "tag", .kind = OPT_PAIRS, .placeholder = "K=V", AT(tags)},
    {.name = "count",
     .letter = 'c',
     .kind = OPT_COUNT,
     .placeholder = "N",
     .note = "unlimited",
     AT(count)},
    {.name = "max-bytes", .kind = OPT_SIZE, .placeholder = "SIZE", AT(max_bytes)},
    {.name = "duration", .letter = 't', .kind = OPT_DURATION, .placeholder = "T", AT(duration_ns)},
    {.name = "snaplen",
     .aliases = {"snapshot-length"},
     .kind = OPT_COUNT,
     .placeholder = "N",
     .value = "262144",
     .min = 16,
     .max = 262144,
     AT(snaplen)},
    {.name = "speed", .kind = OPT_DECIMAL, .placeholder = "X", .value = "1.5", AT(speed)},
    {.name = "direction",
     .kind = OPT_CHOICE,
     .placeholder = "DIR",
     .words = directions,
     .value = "inout",
     AT(direction)},
    {.name = "promisc", .kind = OPT_NEGATABLE, .value = "yes", AT(promisc)},
    {.name = "force", .letter = 'F', .kind = OPT_FLAG, AT(force)},
    {.name = "verbose", .letter = 'v', .kind = OPT_FLAG, AT(verbose)},
};

static int run_nothing(struct command_context *ctx, void *args)
{
    (void)ctx;
    (void)args;
    return 0;
}

static const struct command record = {
    .name = "record",
    .options = record_options,
    .n_options = ARRAY_LEN(record_options),
    .args_size = sizeof(struct record_args),
    .run = run_nothing,
};

static const char *const actions[] = {"add", "remove", NULL};

static const struct command_word edit_words[] = {
    {.name = "ACTION", .words = actions},
    {.name = "SESSION", .many = true},
};

struct edit_args {
    const char *reason;
};

static const struct command_option edit_options[] = {
    {.name = "reason",
     .kind = OPT_STRING,
     .placeholder = "TEXT",
     .required = true,
     .offset = offsetof(struct edit_args, reason)},
};

static const struct command edit = {
    .name = "edit",
    .words = edit_words,
    .n_words = ARRAY_LEN(edit_words),
    .options = edit_options,
    .n_options = ARRAY_LEN(edit_options),
    .args_size = sizeof(struct edit_args),
    .run = run_nothing,
};

/* A group, with an option that its commands take too, and one of theirs. */
struct remote_args {
    const char *key;
    uint64_t timeout_ns;
    struct option_list places;
};

static const struct command_option remote_options[] = {
    {.name = "key",
     .kind = OPT_SECRET,
     .placeholder = "KEY",
     .offset = offsetof(struct remote_args, key)},
    {.name = "timeout",
     .letter = 'w',
     .kind = OPT_DURATION,
     .placeholder = "T",
     .value = "10",
     .offset = offsetof(struct remote_args, timeout_ns)},
    {.name = "place",
     .kind = OPT_LIST,
     .placeholder = "P",
     .offset = offsetof(struct remote_args, places)},
};

static const struct command *const remote_commands[2];

static const struct command remote = {
    .name = "remote",
    .options = remote_options,
    .n_options = ARRAY_LEN(remote_options),
    .args_size = sizeof(struct remote_args),
    .commands = remote_commands,
};

static const struct command remote_edit = {
    .name = "edit",
    .words = edit_words,
    .n_words = ARRAY_LEN(edit_words),
    .options = edit_options,
    .n_options = ARRAY_LEN(edit_options),
    .args_size = sizeof(struct edit_args),
    .group = &remote,
    .run = run_nothing,
};

static const struct command *const remote_commands[] = {&remote_edit, NULL};

const struct command *const commands[] = {&record, &edit, &remote, NULL};

/* argv as the kernel gives it: writable words. */
static struct {
    char text[1024];
    char *argv[ARGV_MAX];
    int argc;
} line;

/* Splits at blanks. */
static void set_line(const char *text)
{
    line.argc = 0;
    snprintf(line.text, sizeof line.text, "packetrecorder %s", text);
    char *p = line.text;
    while (p != NULL && line.argc < ARGV_MAX) {
        line.argv[line.argc++] = strsep(&p, " ");
    }
}

static const struct record_args *parse(struct command_context *ctx, const char *text)
{
    set_line(text);
    int rc = options_parse(ctx, &cli_program, line.argc, line.argv, NOW_NS);
    if (rc != 0) {
        fail_msg("'%s': %s", text, ctx->err.text);
    }
    return ctx->args;
}

static void check_refused(const char *text, const char *sentence)
{
    struct command_context ctx;

    set_line(text);
    assert_int_equal(options_parse(&ctx, &cli_program, line.argc, line.argv, NOW_NS), ERR_USAGE);
    assert_string_equal(ctx.err.text, sentence);
    options_free(&ctx);
}

static void defaults_are_there_without_any_option(void **state)
{
    struct command_context ctx;
    const struct record_args *args = parse(&ctx, "record");

    (void)state;
    assert_ptr_equal(ctx.command, &record);
    assert_string_equal(args->store.database, "packets.db");
    assert_null(args->store.key);
    assert_null(args->filter);
    assert_int_equal(args->range.from_ns, 0);
    assert_true(args->range.to_ns == UINT64_MAX);
    assert_int_equal(args->snaplen, 262144);
    assert_true(args->speed == 1.5);
    assert_int_equal(args->direction, 2);
    assert_true(args->promisc);
    assert_false(args->force);
    assert_int_equal(args->interfaces.n, 0);
    assert_false(options_given(&ctx, "snaplen"));
    options_free(&ctx);
}

static void a_value_is_taken_in_every_way_of_writing_it(void **state)
{
    static const char *const lines[] = {"record --count 5k", "record --count=5k", "record -c 5k",
                                        "record -c5k",       "record -Fvc5k",     "record -Fvc 5k"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct command_context ctx;
        const struct record_args *args = parse(&ctx, lines[i]);
        assert_int_equal(args->count, 5000);
        assert_int_equal(args->force, i >= 4);
        assert_true(options_given(&ctx, "count"));
        options_free(&ctx);
    }
}

static void each_kind_is_parsed(void **state)
{
    struct command_context ctx;
    const struct record_args *args =
        parse(&ctx, "record -i eth0 -i=lo --interface any --tag a=b --tag site=x=y "
                    "--max-bytes 1.5MiB -t 1m30s --speed 0 --direction out --no-promisc "
                    "--from -10m --to @5.5 --snapshot-length 96 -d x.db");

    (void)state;
    assert_int_equal(args->interfaces.n, 3);
    assert_string_equal(args->interfaces.items[0], "eth0");
    assert_string_equal(args->interfaces.items[1], "=lo");
    assert_string_equal(args->interfaces.items[2], "any");
    assert_int_equal(args->tags.n, 2);
    assert_string_equal(args->tags.items[0].key, "a");
    assert_string_equal(args->tags.items[1].key, "site");
    assert_string_equal(args->tags.items[1].value, "x=y");
    assert_int_equal(args->max_bytes, 1572864);
    assert_int_equal(args->duration_ns, 90000000000);
    assert_true(args->speed == 0);
    assert_int_equal(args->direction, 1);
    assert_false(args->promisc);
    assert_int_equal(args->range.from_ns, NOW_NS - 600000000000);
    assert_int_equal(args->range.to_ns, 5500000000);
    assert_int_equal(args->snaplen, 96);
    assert_string_equal(args->store.database, "x.db");
    options_free(&ctx);
}

static void what_follows_two_dashes_is_the_filter(void **state)
{
    struct command_context ctx;
    const struct record_args *args = parse(&ctx, "record -v -- tcp port 80 and not --quiet");

    (void)state;
    assert_string_equal(args->filter, "tcp port 80 and not --quiet");
    assert_true(args->verbose);
    assert_false(ctx.global.quiet);
    options_free(&ctx);
    args = parse(&ctx, "record --");
    assert_null(args->filter);
    options_free(&ctx);
    check_refused("record -f udp -- tcp",
                  "a filter is given twice: with '--filter' and behind '--'");
}

static void two_dashes_let_words_begin_with_a_dash(void **state)
{
    struct command_context ctx;

    (void)state;
    parse(&ctx, "edit --reason x add -- -weird --name");
    assert_int_equal(ctx.n_words, 3);
    assert_string_equal(ctx.words[1], "-weird");
    assert_string_equal(ctx.words[2], "--name");
    options_free(&ctx);
}

static void words_and_options_mix_in_any_order(void **state)
{
    struct command_context ctx;

    (void)state;
    parse(&ctx, "--json edit add one --reason because two - --quiet");
    assert_int_equal(ctx.n_words, 4);
    assert_string_equal(ctx.words[0], "add");
    assert_string_equal(ctx.words[2], "two");
    assert_string_equal(ctx.words[3], "-");
    assert_string_equal(((struct edit_args *)ctx.args)->reason, "because");
    assert_true(ctx.global.json);
    assert_true(ctx.global.quiet);
    options_free(&ctx);
}

static void global_options_work_before_and_after_the_command(void **state)
{
    struct command_context ctx;

    (void)state;
    parse(&ctx, "--json --endpoint h:1 record --no-color --api-key-file=k");
    assert_true(ctx.global.json);
    assert_true(ctx.global.no_color);
    assert_int_equal(ctx.global.endpoints.n, 1);
    assert_string_equal(ctx.global.endpoints.items[0], "h:1");
    assert_string_equal(ctx.global.api_key_file, "k");
    options_free(&ctx);
}

static void a_global_list_grows_wherever_it_stands(void **state)
{
    struct command_context ctx;

    (void)state;
    parse(&ctx, "--endpoint a remote --endpoint b edit add --reason r x --endpoint=c");
    assert_int_equal(ctx.global.endpoints.n, 3);
    assert_string_equal(ctx.global.endpoints.items[0], "a");
    assert_string_equal(ctx.global.endpoints.items[2], "c");
    options_free(&ctx);
}

static void options_of_a_group_work_before_and_after_its_command(void **state)
{
    struct command_context ctx;

    (void)state;
    parse(&ctx, "remote --place a -w 3 edit add --place=b --reason because x --key secret1");
    const struct edit_args *args = ctx.args;
    const struct remote_args *group = ctx.group_args;
    assert_ptr_equal(ctx.command, &remote_edit);
    assert_string_equal(args->reason, "because");
    assert_int_equal(ctx.n_words, 2);
    assert_true(group->timeout_ns == 3000000000ULL);
    assert_int_equal(group->places.n, 2);
    assert_string_equal(group->places.items[1], "b");
    assert_string_equal(group->key, "secret1");
    assert_string_equal(ctx.secret_in_argv->name, "key");
    assert_true(options_given(&ctx, "reason"));
    options_free(&ctx);
    parse(&ctx, "edit add --reason r x");
    assert_null(ctx.group_args);
    options_free(&ctx);
}

static void help_ends_the_parsing(void **state)
{
    struct command_context ctx;

    (void)state;
    parse(&ctx, "record -vh --nonsense");
    assert_true(ctx.global.help);
    assert_ptr_equal(ctx.command, &record);
    options_free(&ctx);
    parse(&ctx, "edit --help");
    assert_ptr_equal(ctx.command, &edit);
    options_free(&ctx);
    parse(&ctx, "--help edit");
    assert_ptr_equal(ctx.command, &edit);
    options_free(&ctx);
    parse(&ctx, "--help remote edit");
    assert_ptr_equal(ctx.command, &remote_edit);
    options_free(&ctx);
    parse(&ctx, "remote --key k --place p --help edit");
    assert_ptr_equal(ctx.command, &remote_edit);
    options_free(&ctx);
    parse(&ctx, "remote --help");
    assert_ptr_equal(ctx.command, &remote);
    options_free(&ctx);
    parse(&ctx, "-V");
    assert_true(ctx.global.version);
    assert_null(ctx.command);
    options_free(&ctx);
}

static void what_is_unknown_is_named_with_the_nearest(void **state)
{
    (void)state;
    check_refused("record --fliter x", "unknown option '--fliter'; did you mean '--filter'?");
    check_refused("record --fliter=x", "unknown option '--fliter'; did you mean '--filter'?");
    check_refused("record --enc x", "unknown option '--enc'; did you mean '--encryption-key'?");
    check_refused("record --no-promsic", "unknown option '--no-promsic'; did you mean "
                                         "'--no-promisc'?");
    check_refused("record --no-force", "unknown option '--no-force'; did you mean '--force'?");
    check_refused("record --jsno", "unknown option '--jsno'; did you mean '--json'?");
    check_refused("record --bananas", "unknown option '--bananas'");
    check_refused("record -vx", "unknown option '-x'");
    check_refused("--count 5 record",
                  "unknown option '--count' (options of a command stand behind its name)");
    check_refused("recrod", "unknown command 'recrod'; did you mean 'record'?");
    check_refused("bananas", "unknown command 'bananas'");
    check_refused("remote edti", "unknown command 'remote edti'; did you mean 'remote edit'?");
    check_refused("remote --reason x edit",
                  "unknown option '--reason' (options of a command stand behind its name)");
    check_refused("remote edit ad x --reason y",
                  "'remote edit ad' is not known; did you mean 'add'?");
    check_refused("remote edit --timeuot 3",
                  "unknown option '--timeuot'; did you mean '--timeout'?");
    check_refused("record --direction ni",
                  "option '--direction': unknown word 'ni'; did you mean 'in'? (one of in, out, "
                  "inout)");
    check_refused("edit ad x --reason y", "'edit ad' is not known; did you mean 'add'?");
}

static void wrong_values_are_refused_with_the_option_named(void **state)
{
    (void)state;
    check_refused("record -c 1.5", "option '--count': '1.5' is not a count: write a whole number, "
                                   "k, M and G multiply it by a thousand each");
    struct command_context ctx;
    assert_int_equal(parse(&ctx, "record --snaplen 16")->snaplen, 16);
    options_free(&ctx);
    check_refused("record --snaplen 15", "option '--snaplen': '15' is too small: at least 16");
    check_refused("record --snaplen 1M", "option '--snaplen': '1M' is too large: at most 262144");
    check_refused("record --tag novalue", "option '--tag': 'novalue' is not KEY=VALUE");
    check_refused("record --tag =v", "option '--tag': '=v' is not KEY=VALUE");
    check_refused("record --tag a=1 --tag a=2", "option '--tag': the key 'a' is given twice");
    check_refused("record --database=", "option '--database': the value is empty");
    check_refused("record --interface=", "option '--interface': the value is empty");
    check_refused("record --force=yes", "option '--force' takes no value");
    check_refused("record --no-promisc=1", "option '--no-promisc' takes no value");
}

static void a_forgotten_value_does_not_swallow_the_next_option(void **state)
{
    struct command_context ctx;

    (void)state;
    check_refused("record -d", "option '--database' needs a value: --database DB");
    check_refused("record --count --force", "option '--count' needs a value: --count N");
    check_refused("record -d --json", "option '--database' needs a value: --database DB");
    check_refused("record -f --", "option '--filter' needs a value: --filter FILTER");
    const struct record_args *args = parse(&ctx, "record --database=--json -f -x");
    assert_string_equal(args->store.database, "--json");
    assert_string_equal(args->filter, "-x");
    options_free(&ctx);
}

static void what_is_missing_or_too_much_is_said(void **state)
{
    struct command_context ctx;

    (void)state;
    check_refused("record tcp", "'record' takes no argument 'tcp'; a filter stands behind -f in "
                                "quotes, or behind --");
    check_refused("edit --reason x", "'edit' needs ACTION");
    check_refused("edit add --reason x", "'edit' needs SESSION");
    check_refused("edit add one", "'edit' needs --reason TEXT");
    check_refused("remote", "'remote' needs COMMAND, what to do");
    check_refused("remote edit", "'remote edit' needs ACTION");
    check_refused("remote edit add one", "'remote edit' needs --reason TEXT");
    set_line("x");
    assert_int_equal(options_parse(&ctx, &cli_program, 1, line.argv, NOW_NS), 0);
    assert_null(ctx.command);
    options_free(&ctx);
}

static void a_secret_leaves_the_command_line(void **state)
{
    struct command_context ctx;

    (void)state;
    const struct record_args *args = parse(&ctx, "record --encryption-key hunter2 -v");
    assert_string_equal(args->store.key, "hunter2");
    assert_string_equal(line.argv[3], "");
    assert_ptr_equal(ctx.secret_in_argv, options_index(&ctx, "encryption-key") + record_options);
    options_free(&ctx);
    args = parse(&ctx, "record --encryption-key=first --encryption-key=second");
    assert_string_equal(args->store.key, "second");
    assert_string_equal(line.argv[2], "--encryption-key=");
    assert_string_equal(line.argv[3], "--encryption-key=");
    for (size_t i = 0; i < sizeof line.text - 6; i++) {
        assert_memory_not_equal(line.text + i, "second", 6);
    }
    options_free(&ctx);
    parse(&ctx, "record --encryption-key-file f");
    assert_null(ctx.secret_in_argv);
    options_free(&ctx);
}

static void parsed_values_are_told_back(void **state)
{
    struct command_context ctx;

    (void)state;
    parse(&ctx, "record --max-bytes 10M -t 90 -c 1k -d x --from @1");
    char *text = options_describe_given(&ctx);
    assert_string_equal(text, "count 1000\nmax-bytes 10000000 (10 MB)\nduration 90 (1m30s)\n");
    mem_free(text);
    options_free(&ctx);
    parse(&ctx, "record -c 0");
    text = options_describe_given(&ctx);
    assert_string_equal(text, "count 0 (unlimited)\n");
    mem_free(text);
    options_free(&ctx);
    parse(&ctx, "record");
    text = options_describe_given(&ctx);
    assert_string_equal(text, "");
    mem_free(text);
    options_free(&ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_there_without_any_option),
        cmocka_unit_test(a_value_is_taken_in_every_way_of_writing_it),
        cmocka_unit_test(each_kind_is_parsed),
        cmocka_unit_test(what_follows_two_dashes_is_the_filter),
        cmocka_unit_test(two_dashes_let_words_begin_with_a_dash),
        cmocka_unit_test(words_and_options_mix_in_any_order),
        cmocka_unit_test(global_options_work_before_and_after_the_command),
        cmocka_unit_test(a_global_list_grows_wherever_it_stands),
        cmocka_unit_test(options_of_a_group_work_before_and_after_its_command),
        cmocka_unit_test(help_ends_the_parsing),
        cmocka_unit_test(what_is_unknown_is_named_with_the_nearest),
        cmocka_unit_test(wrong_values_are_refused_with_the_option_named),
        cmocka_unit_test(a_forgotten_value_does_not_swallow_the_next_option),
        cmocka_unit_test(what_is_missing_or_too_much_is_said),
        cmocka_unit_test(a_secret_leaves_the_command_line),
        cmocka_unit_test(parsed_values_are_told_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
