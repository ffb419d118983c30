/* SPDX-License-Identifier: Apache-2.0
 *
 * The layers below the flags: environment, configuration file, defaults, on the real table of a
 * node. What is wrong with a file is found in one go, with line and way out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/options/config.h"
#include "shared/options/node_config.h"
#include "shared/options/option_layers.h"
#include "shared/options/option_value.h"
#include "tests/support/node_command_line.h"

/* The environment of a test: "NAME=VALUE" lines; get() looks here alone. */
static char variables[8][128];

static char *get(const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
        if (strncmp(variables[i], name, n) == 0 && variables[i][n] == '=') {
            return variables[i] + n + 1;
        }
    }
    return NULL;
}

static void set_variables(const char *one, const char *two)
{
    memset(variables, 0, sizeof variables);
    snprintf(variables[0], sizeof variables[0], "%s", one != NULL ? one : "");
    snprintf(variables[1], sizeof variables[1], "%s", two != NULL ? two : "");
}

static char config_path[] = "/tmp/test_config_XXXXXX";

static void write_config(const char *text)
{
    FILE *file = fopen(config_path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static const struct node_options *load(struct command_context *ctx, const char *text)
{
    if (parse(ctx, text) < 0 || node_config_load(ctx, get, 1) < 0) {
        fail_msg("'%s': %s", text, ctx->err.text);
    }
    return ctx->args;
}

static enum option_origin origin(const struct command_context *ctx, const char *name)
{
    return (enum option_origin)ctx->origins[options_index(ctx, name)];
}

static void each_layer_beats_the_ones_below_it(void **state)
{
    struct command_context ctx;
    char flags[128];

    (void)state;
    set_variables(NULL, NULL);
    const struct node_options *options = load(&ctx, "");
    assert_int_equal(options->log_level, LOG_LEVEL_INFO);
    assert_int_equal(origin(&ctx, "log-level"), ORIGIN_DEFAULT);
    options_free(&ctx);

    write_config("[node]\nlog-level = error\ndatabase = file.db\n");
    snprintf(flags, sizeof flags, "--config %s", config_path);
    options = load(&ctx, flags);
    assert_int_equal(options->log_level, LOG_LEVEL_ERROR);
    assert_string_equal(options->database, "file.db");
    assert_int_equal(origin(&ctx, "log-level"), ORIGIN_FILE);
    assert_int_equal(ctx.lines[options_index(&ctx, "log-level")], 2);
    options_free(&ctx);

    set_variables("PACKETRECORDER_LOG=debug", NULL);
    options = load(&ctx, flags);
    assert_int_equal(options->log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(origin(&ctx, "log-level"), ORIGIN_ENVIRONMENT);
    assert_string_equal(options->database, "file.db");
    options_free(&ctx);

    snprintf(flags, sizeof flags, "--config %s --log-level warn", config_path);
    options = load(&ctx, flags);
    assert_int_equal(options->log_level, LOG_LEVEL_WARN);
    assert_int_equal(origin(&ctx, "log-level"), ORIGIN_FLAG);
    options_free(&ctx);
}

static void the_variable_names_the_file_and_empty_ones_count_as_absent(void **state)
{
    struct command_context ctx;
    char variable[128];

    (void)state;
    write_config("[http]\nmax-connections = 7\n");
    snprintf(variable, sizeof variable, "PACKETRECORDER_CONFIG=%s", config_path);
    set_variables(variable, "PACKETRECORDER_LOG=");
    assert_int_equal(load(&ctx, "")->max_connections, 7);
    assert_int_equal(((struct node_options *)ctx.args)->log_level, LOG_LEVEL_INFO);
    options_free(&ctx);
}

static void a_list_of_a_higher_layer_replaces_the_lower_one_whole(void **state)
{
    struct command_context ctx;
    char flags[128];

    (void)state;
    set_variables(NULL, NULL);
    const struct node_options *options = load(&ctx, "");
    assert_int_equal(options->http_addrs.n, 1);
    assert_string_equal(options->http_addrs.items[0], "127.0.0.1:8080");
    options_free(&ctx);

    write_config("[http]\nhttp-addr = 127.0.0.1:1\nhttp-addr = [::1]:2\n");
    snprintf(flags, sizeof flags, "--config %s", config_path);
    options = load(&ctx, flags);
    assert_int_equal(options->http_addrs.n, 2);
    assert_string_equal(options->http_addrs.items[1], "[::1]:2");
    options_free(&ctx);

    snprintf(flags, sizeof flags, "--config %s --http-addr 127.0.0.1:3", config_path);
    options = load(&ctx, flags);
    assert_int_equal(options->http_addrs.n, 1);
    assert_string_equal(options->http_addrs.items[0], "127.0.0.1:3");
    options_free(&ctx);
}

static void a_secret_leaves_the_environment(void **state)
{
    struct command_context ctx;

    (void)state;
    set_variables("PACKETRECORDER_DB_KEY=hunter2", NULL);
    const struct node_options *options = load(&ctx, "");
    assert_string_equal(options->encryption_key, "hunter2");
    assert_string_equal(variables[0] + strlen("PACKETRECORDER_DB_KEY="), "");
    assert_memory_not_equal(variables[0] + strlen("PACKETRECORDER_DB_KEY="), "hunter2", 7);
    assert_null(ctx.secret_in_argv);
    options_free(&ctx);
}

static void of_key_and_key_file_the_nearer_one_counts(void **state)
{
    struct command_context ctx;

    (void)state;
    set_variables("PACKETRECORDER_DB_KEY=hunter2", NULL);
    const struct node_options *options = load(&ctx, "--encryption-key-file k");
    assert_null(options->encryption_key);
    assert_string_equal(options->encryption_key_file, "k");
    options_free(&ctx);

    set_variables("PACKETRECORDER_DB_KEY_FILE=k", NULL);
    options = load(&ctx, "--encryption-key hunter2");
    assert_string_equal(options->encryption_key, "hunter2");
    assert_null(options->encryption_key_file);
    options_free(&ctx);

    set_variables("PACKETRECORDER_DB_KEY=a", "PACKETRECORDER_DB_KEY_FILE=k");
    assert_int_equal(parse(&ctx, ""), 0);
    assert_int_equal(node_config_load(&ctx, get, 1), ERR_USAGE);
    assert_non_null(strstr(ctx.err.text, "given twice"));
    options_free(&ctx);
}

static void a_bad_variable_is_named(void **state)
{
    struct command_context ctx;

    (void)state;
    set_variables("PACKETRECORDER_LOG=loud", NULL);
    assert_int_equal(parse(&ctx, ""), 0);
    assert_int_equal(node_config_load(&ctx, get, 1), ERR_USAGE);
    assert_string_equal(ctx.err.text, "variable PACKETRECORDER_LOG: unknown word 'loud'; write one "
                                      "of debug, info, warn, error");
    options_free(&ctx);
}

/* The problems of a text, a line each. */
static char *problems_of(const char *text, size_t n)
{
    struct command_context ctx = {.program = &program};
    struct config config = {.file = "f"};
    struct buf out = {0};

    options_begin(&ctx, &serve, 1);
    config_read_text(&config, text, n);
    config_apply(&config, &ctx, 1);
    for (size_t i = 0; i < config.n_problems; i++) {
        char *one = config_problem_text(&config, i);
        buf_printf(&out, "%s\n", one);
        mem_free(one);
    }
    buf_put_u8(&out, '\0');
    config_deinit(&config);
    options_free(&ctx);
    return (char *)out.data;
}

static void check_problems(const char *text, const char *expected)
{
    char *got = problems_of(text, strlen(text));

    assert_string_equal(got, expected);
    mem_free(got);
}

static void every_problem_of_a_file_is_told_with_its_line(void **state)
{
    (void)state;
    check_problems("tls-cert = x\n"
                   "[htp]\n"
                   "foo = 1\n"
                   "[http] junk\n"
                   "http_addr = b\n"
                   "max-connections = 0\n"
                   "max-connections = 5\n"
                   "encryption-key = x\n"
                   "[node]\n"
                   "quota = 5\n"
                   "nonsense\n"
                   "= 5\n"
                   "log-level = infoo\n"
                   "bananas = 1\n"
                   "config = x\n"
                   "node-name = \"quoted\"\n"
                   "user =\n"
                   "[capture\n"
                   "[zzzzzz]\n"
                   "[capture]\n"
                   "allow-inject = maybe\n",
                   "f:1: 'tls-cert' stands before any section; it belongs in [http]\n"
                   "f:2: unknown section '[htp]'; did you mean '[http]'?\n"
                   "f:4: 'junk' behind the section's ']'\n"
                   "f:5: unknown name 'http_addr'; did you mean 'http-addr' in [http]?\n"
                   "f:6: 'max-connections': '0' is too small: at least 1\n"
                   "f:7: 'max-connections' is given twice, first in line 6\n"
                   "f:8: 'encryption-key' cannot stand in a file; write 'encryption-key-file' in "
                   "[store]\n"
                   "f:10: 'quota' belongs in [store], not in [node]\n"
                   "f:11: neither '[section]' nor 'name = value'; a comment begins with '#'\n"
                   "f:12: nothing stands before the '='\n"
                   "f:13: 'log-level': unknown word 'infoo'; did you mean 'info'? (one of debug, "
                   "info, warn, error)\n"
                   "f:14: unknown name 'bananas'\n"
                   "f:15: 'config' cannot stand in a file, only on the command line\n"
                   "f:16: 'node-name': write the value without quotes\n"
                   "f:17: 'user': the value is empty\n"
                   "f:18: the ']' of the section is missing\n"
                   "f:19: unknown section '[zzzzzz]'; there are [node], [store], [http], [rpc], "
                   "[capture], [ingest], [swarm]\n"
                   "f:21: 'allow-inject': 'maybe' is neither yes nor no\n");
}

static void comments_blanks_indents_and_line_ends_are_no_problem(void **state)
{
    (void)state;
    check_problems("\xEF\xBB\xBF# comment\r\n\r\n; another\r\n[http] ; behind\r\n"
                   "  http-addr = 127.0.0.1:1\r\n\thttp-addr=[::1]:2 ; of both\r\n"
                   "insecure: yes\n\n[node]\nnode-name = x",
                   "");
}

static void a_line_too_long_a_zero_byte_and_a_file_too_large_are_told(void **state)
{
    char text[600];
    static const char zero[] = "[node]\nnode-name = a\0b\n\0user = x\n";
    char *huge = x_alloc(CONFIG_MAX_BYTES + 1);

    (void)state;
    snprintf(text, sizeof text, "[node]\nuser = %0300d\n#%0250d\nnode-name = x\n", 1, 2);
    check_problems(text, "f:2: the line is longer than 199 bytes\n");
    char *got = problems_of(zero, sizeof zero - 1);
    assert_string_equal(got, "f:2: a zero byte: this is no text\n"
                             "f:3: a zero byte: this is no text\n");
    mem_free(got);
    memset(huge, '\n', CONFIG_MAX_BYTES + 1);
    got = problems_of(huge, CONFIG_MAX_BYTES + 1);
    assert_non_null(strstr(got, "f: larger than"));
    mem_free(got);
    got = problems_of(huge, CONFIG_MAX_BYTES);
    assert_string_equal(got, "");
    mem_free(got);
    mem_free(huge);
}

static void a_node_does_not_start_with_a_bad_file(void **state)
{
    struct command_context ctx;
    char flags[128];

    (void)state;
    set_variables(NULL, NULL);
    write_config("[node]\nbananas = 1\nlog-level = x\n");
    snprintf(flags, sizeof flags, "--config %s", config_path);
    assert_int_equal(parse(&ctx, flags), 0);
    assert_int_equal(node_config_load(&ctx, get, 1), ERR_USAGE);
    assert_non_null(strstr(ctx.err.text, ":2: unknown name 'bananas' (and 1 more: "));
    options_free(&ctx);
    assert_int_equal(parse(&ctx, "--config /nowhere/x"), 0);
    assert_int_equal(node_config_load(&ctx, get, 1), ERR_NOT_FOUND);
    options_free(&ctx);
    assert_int_equal(parse(&ctx, "--config /dev/null"), 0);
    assert_int_equal(node_config_load(&ctx, get, 1), ERR_USAGE);
    options_free(&ctx);
}

static char changed[256];

static void note_changed(void *arg, const char *name)
{
    size_t n = strlen(changed);

    (void)arg;
    snprintf(changed + n, sizeof changed - n, "%s ", name);
}

static void a_reload_takes_the_log_level_and_names_what_needs_a_restart(void **state)
{
    struct command_context ctx;
    struct err err = {0};
    char flags[128];

    (void)state;
    set_variables(NULL, NULL);
    changed[0] = '\0';
    write_config("[node]\nlog-level = error\n[store]\nquota = 1G\n[http]\nmax-connections = 5\n");
    snprintf(flags, sizeof flags, "--config %s --max-connections 9", config_path);
    const struct node_options *options = load(&ctx, flags);
    write_config("[node]\nlog-level = debug\n[store]\nquota = 2G\n[http]\nmax-connections = 6\n"
                 "http-addr = 127.0.0.1:5\n");
    assert_int_equal(node_config_reload(&ctx, note_changed, NULL, 1, &err), 0);
    assert_int_equal(options->log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(options->quota_bytes, 1000000000);
    assert_string_equal(changed, "quota http-addr ");
    write_config("[node]\nlog-level = nonsense\n");
    assert_int_equal(node_config_reload(&ctx, note_changed, NULL, 1, &err), ERR_USAGE);
    assert_int_equal(options->log_level, LOG_LEVEL_DEBUG);
    options_free(&ctx);
}

static void values_become_words_that_mean_the_same(void **state)
{
    static const char text[] =
        "sniff --server wss://n/ingest -i eth0 --interface=eth1 -b 64MiB --no-promisc --insecure "
        "--name=x=y --spool-size 1234567 --log-level error";
    struct command_context ctx;
    struct command_context again;
    char *argv[ARGV_MAX + 2] = {(char *)(uintptr_t) "d", (char *)(uintptr_t) "sniff"};
    size_t n;

    (void)state;
    assert_int_equal(parse(&ctx, text), 0);
    char **words = options_to_words(&ctx, &n);
    assert_int_equal(n, 9);
    memcpy(argv + 2, words, n * sizeof *words);
    assert_int_equal(options_parse(&again, &program, (int)n + 2, argv, 1), 0);
    for (size_t i = 0; i < sniff.n_options; i++) {
        assert_true(options_same(&ctx, &again, i));
        assert_int_equal(ctx.origins[i], again.origins[i]);
    }
    assert_int_equal(((struct sniff_options *)again.args)->buffer_bytes, 64 << 20);
    assert_false(((struct sniff_options *)again.args)->promisc);
    for (size_t i = 0; i < n; i++) {
        mem_free(words[i]);
    }
    mem_free(words);
    options_free(&again);
    options_free(&ctx);
}

static void secrets_become_no_words(void **state)
{
    struct command_context ctx;
    size_t n;

    (void)state;
    assert_int_equal(parse(&ctx, "--encryption-key hunter2 --insecure"), 0);
    char **words = options_to_words(&ctx, &n);
    assert_int_equal(n, 1);
    assert_string_equal(words[0], "--insecure");
    mem_free(words[0]);
    mem_free(words);
    options_free(&ctx);
}

static void sizes_are_shown_so_that_they_read_back_exactly(void **state)
{
    static const char *const texts[] = {"65536", "1000k", "67108865", "64MiB", "1G"};
    static const char *const shown[] = {"64KiB", "1M", "67108865", "64MiB", "1G"};

    (void)state;
    set_variables(NULL, NULL);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct command_context ctx;
        struct buf out = {0};
        char flags[64];
        snprintf(flags, sizeof flags, "--viewer-queue %s", texts[i]);
        assert_int_equal(parse(&ctx, flags), 0);
        option_format(&node_option_table[options_index(&ctx, "viewer-queue")], ctx.args, &out);
        buf_put_u8(&out, '\0');
        assert_string_equal((const char *)out.data, shown[i]);
        buf_deinit(&out);
        options_free(&ctx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_layer_beats_the_ones_below_it),
        cmocka_unit_test(the_variable_names_the_file_and_empty_ones_count_as_absent),
        cmocka_unit_test(a_list_of_a_higher_layer_replaces_the_lower_one_whole),
        cmocka_unit_test(a_secret_leaves_the_environment),
        cmocka_unit_test(of_key_and_key_file_the_nearer_one_counts),
        cmocka_unit_test(a_bad_variable_is_named),
        cmocka_unit_test(every_problem_of_a_file_is_told_with_its_line),
        cmocka_unit_test(comments_blanks_indents_and_line_ends_are_no_problem),
        cmocka_unit_test(a_line_too_long_a_zero_byte_and_a_file_too_large_are_told),
        cmocka_unit_test(a_node_does_not_start_with_a_bad_file),
        cmocka_unit_test(a_reload_takes_the_log_level_and_names_what_needs_a_restart),
        cmocka_unit_test(values_become_words_that_mean_the_same),
        cmocka_unit_test(secrets_become_no_words),
        cmocka_unit_test(sizes_are_shown_so_that_they_read_back_exactly),
    };
    int fd = mkstemp(config_path);

    if (fd < 0) {
        return 1;
    }
    close(fd);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(config_path);
    return failed;
}
