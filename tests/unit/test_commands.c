/* SPDX-License-Identifier: Apache-2.0
 *
 * Walks the real table: what help, man pages and completion take for granted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/command.h"
#include "shared/base/mem.h"
#include "shared/options/option_value.h"

#define SUMMARY_MAX 60 /* fits a line of 80 behind the name */

static const struct command *current;

#define CHECK(cond, what)                                                                          \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fail_msg("%s: %s: %s", current->name, what, #cond);                                    \
        }                                                                                          \
    } while (0)

static bool is_name(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

    return n > 1 && name[n] == '\0' && name[0] != '-' && name[n - 1] != '-';
}

static bool is_sentence(const char *text)
{
    size_t n = strlen(text);

    return n > 8 && ((text[0] >= 'A' && text[0] <= 'Z') || text[0] == '\'' || text[0] == '-') &&
           text[n - 1] == '.';
}

/* With those of groups. */
static void each_of(const struct command *const *list, bool hidden,
                    void (*check)(const struct command *command))
{
    for (size_t i = 0; list != NULL && list[i] != NULL; i++) {
        current = list[i];
        if (hidden || !list[i]->hidden) {
            check(list[i]);
        }
        each_of(list[i]->commands, hidden, check);
    }
}

static void each_command(void (*check)(const struct command *command))
{
    each_of(commands, false, check);
}

static void (*check_one)(const struct command_option *option);

static void check_options(const struct command *command)
{
    for (size_t i = 0; i < command->n_options; i++) {
        check_one(&command->options[i]);
    }
}

static void each_option(void (*check)(const struct command_option *option))
{
    check_one = check;
    each_of(commands, true, check_options);
    static const struct command global = {.name = "(global)"};
    current = &global;
    for (size_t i = 0; i < n_global_options; i++) {
        check(&global_options[i]);
    }
}

static void check_command(const struct command *command)
{
    size_t n = strlen(command->summary);

    CHECK(is_name(command->name), "the name is a word");
    CHECK(n > 0 && n <= SUMMARY_MAX, command->summary);
    CHECK(command->summary[0] >= 'a' && command->summary[0] <= 'z', command->summary);
    CHECK(command->summary[n - 1] != '.', command->summary);
    CHECK((command->run != NULL) != (command->commands != NULL), "it is run, or it is a group");
    CHECK(command->commands == NULL || command->n_words == 0, "the word of a group is a command");
    CHECK(command->n_options <= 64, "a bit for each option");
    CHECK(command->description != NULL, "it is described");
    for (size_t i = 0; command->description[i] != NULL; i++) {
        CHECK(is_sentence(command->description[i]), command->description[i]);
    }
    CHECK(command->examples != NULL && command->examples[0].line != NULL, "there is an example");
    for (const struct command_example *e = command->examples; e->line != NULL; e++) {
        CHECK(e->what != NULL && e->what[strlen(e->what) - 1] != '.', e->line);
        CHECK(strncmp(e->line, "packetrecorder", 14) != 0, e->line);
    }
    const struct command *group = command->group;
    CHECK((group == NULL ? command_find(command->name) : group_find(group, command->name)) ==
              command,
          "it is found by its name, which is unique");
}

static void each_command_is_named_described_and_shown(void **state)
{
    (void)state;
    each_command(check_command);
}

static void check_words(const struct command *command)
{
    for (size_t i = 0; i < command->n_words; i++) {
        const struct command_word *word = &command->words[i];
        bool last = i + 1 == command->n_words;
        CHECK(word->name != NULL && word->name[0] >= 'A' && word->name[0] <= 'Z', word->name);
        CHECK(word->help != NULL && word->help[strlen(word->help) - 1] == '.', word->name);
        CHECK(!word->many || last, "only the last argument repeats");
        CHECK(last || !word->optional || command->words[i + 1].optional,
              "nothing needed follows what is optional");
    }
}

static void arguments_are_explained_and_can_be_told_apart(void **state)
{
    (void)state;
    each_command(check_words);
}

static void check_option(const struct command_option *option)
{
    bool flag = option_is_flag(option);

    CHECK(option->name != NULL && is_name(option->name), "the name is a word");
    CHECK(option->name == NULL || strncmp(option->name, "no-", 3) != 0 || option->kind == OPT_FLAG,
          option->name);
    CHECK(option->help != NULL && is_sentence(option->help), option->name);
    CHECK(flag == (option->placeholder == NULL), option->name);
    CHECK((option->kind == OPT_CHOICE) == (option->words != NULL), option->name);
    CHECK(option->kind != OPT_NEGATABLE || option->value != NULL, option->name);
    CHECK(!option->takes_rest || option->kind == OPT_STRING, option->name);
    CHECK(option->value == NULL || option->note == NULL, option->name);
    CHECK(option->letter == '\0' || (option->letter >= 'a' && option->letter <= 'z') ||
              (option->letter >= 'A' && option->letter <= 'Z'),
          option->name);
}

static void each_option_has_a_help_sentence_and_a_kind_that_fits(void **state)
{
    (void)state;
    each_option(check_option);
}

static bool same_name(const struct command_option *a, const struct command_option *b)
{
    for (size_t i = 0; i < ARRAY_LEN(a->aliases) && a->aliases[i] != NULL; i++) {
        if (strcmp(a->aliases[i], b->name) == 0) {
            return true;
        }
    }
    return strcmp(a->name, b->name) == 0;
}

static void check_apart(const struct command_option *a, const struct command_option *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct command_option *b = &list[i];
        CHECK(a == b || !same_name(a, b), a->name);
        CHECK(a == b || a->letter == '\0' || a->letter != b->letter, a->name);
    }
}

static void check_unique(const struct command *command)
{
    for (size_t i = 0; i < command->n_options; i++) {
        const struct command_option *a = &command->options[i];
        check_apart(a, command->options, command->n_options);
        check_apart(a, global_options, n_global_options);
        if (command->group != NULL) {
            check_apart(a, command->group->options, command->group->n_options);
        }
    }
}

static void no_name_or_letter_means_two_things(void **state)
{
    (void)state;
    each_command(check_unique);
}

static void check_size(const struct command_option *option)
{
    static const size_t sizes[] = {
        [OPT_FLAG] = sizeof(bool),
        [OPT_NEGATABLE] = sizeof(bool),
        [OPT_STRING] = sizeof(char *),
        [OPT_SECRET] = sizeof(char *),
        [OPT_SIZE] = 8,
        [OPT_DURATION] = 8,
        [OPT_COUNT] = 8,
        [OPT_DECIMAL] = sizeof(double),
        [OPT_TIME] = 8,
        [OPT_LIST] = sizeof(struct option_list),
        [OPT_PAIRS] = sizeof(struct option_pairs),
        [OPT_CHOICE] = sizeof(int),
    };
    size_t end = current->args_size > 0 ? current->args_size : sizeof(struct global_args);

    CHECK(option->offset % (sizes[option->kind] > 8 ? 8 : sizes[option->kind]) == 0, option->name);
    CHECK(option->offset + sizes[option->kind] <= end, option->name);
}

static void check_overlap(const struct command *command)
{
    for (size_t i = 0; i < command->n_options; i++) {
        for (size_t k = i + 1; k < command->n_options; k++) {
            CHECK(command->options[i].offset != command->options[k].offset,
                  command->options[k].name);
        }
    }
}

static void values_lie_apart_and_inside_the_args_struct(void **state)
{
    (void)state;
    each_option(check_size);
    each_command(check_overlap);
}

static void check_defaults(const struct command *command)
{
    void *args = x_alloc(command->args_size);

    /* A default that does not parse is a broken promise and ends the program. */
    for (size_t i = 0; i < command->n_options; i++) {
        option_set_default(&command->options[i], args, 1);
        option_release(&command->options[i], args);
    }
    mem_free(args);
}

static void each_default_can_be_parsed(void **state)
{
    (void)state;
    each_command(check_defaults);
}

static void check_letter(const char *command_name, const char *option, char letter)
{
    const struct command *command = command_find(command_name);

    for (size_t i = 0; command != NULL && i < command->n_options; i++) {
        if (strcmp(command->options[i].name, option) == 0) {
            assert_int_equal(command->options[i].letter, letter);
        }
    }
}

static void letters_are_those_of_the_contract(void **state)
{
    static const struct {
        const char *command;
        const char *option;
        char letter;
    } contract[] = {
        {"capture", "interface", 'i'}, {"capture", "filter", 'f'},
        {"capture", "database", 'd'},  {"capture", "count", 'c'},
        {"capture", "duration", 't'},  {"capture", "snaplen", 's'},
        {"capture", "pcap", 'p'},      {"capture", "buffer-size", 'b'},
        {"capture", "write", 'w'},     {"capture", "read", 'r'},
        {"query", "session", 's'},     {"query", "limit", 'l'},
        {"query", "filter", 'f'},      {"query", "database", 'd'},
        {"export", "output", 'o'},     {"export", "session", 's'},
        {"export", "filter", 'f'},     {"replay", "session", 's'},
        {"replay", "read", 'r'},       {"replay", "interface", 'i'},
        {"replay", "count", 'c'},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(contract); i++) {
        check_letter(contract[i].command, contract[i].option, contract[i].letter);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_command_is_named_described_and_shown),
        cmocka_unit_test(arguments_are_explained_and_can_be_told_apart),
        cmocka_unit_test(each_option_has_a_help_sentence_and_a_kind_that_fits),
        cmocka_unit_test(no_name_or_letter_means_two_things),
        cmocka_unit_test(values_lie_apart_and_inside_the_args_struct),
        cmocka_unit_test(each_default_can_be_parsed),
        cmocka_unit_test(letters_are_those_of_the_contract),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
