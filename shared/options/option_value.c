/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/options/option_value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/options/options.h"
#include "shared/options/secret_sodium.h"

bool option_is_flag(const struct command_option *option)
{
    return option->kind == OPT_FLAG || option->kind == OPT_NEGATABLE;
}

void option_set_flag(const struct command_option *option, void *args, bool value)
{
    *(bool *)option_place(option, args) = value;
}

static int parse_number(const struct command_option *option, const char *text, uint64_t now_ns,
                        uint64_t *out, struct err *err)
{
    switch (option->kind) {
    case OPT_SIZE:
        return text_parse_size(text, out, err);
    case OPT_DURATION:
        return text_parse_duration(text, out, err);
    case OPT_TIME:
        return text_parse_time(text, now_ns, out, err);
    default:
        return text_parse_count(text, out, err);
    }
}

static void format_bound(const struct command_option *option, uint64_t value,
                         char out[TEXT_NUMBER_MAX])
{
    if (option->kind == OPT_DURATION) {
        text_format_duration(value, out);
    } else {
        snprintf(out, TEXT_NUMBER_MAX, "%llu", (unsigned long long)value);
    }
}

static int set_number(const struct command_option *option, void *args, const char *text,
                      uint64_t now_ns, struct err *err)
{
    char bound[TEXT_NUMBER_MAX];
    uint64_t value;

    int rc = parse_number(option, text, now_ns, &value, err);
    if (rc < 0) {
        return rc;
    }
    if (value < option->min) {
        format_bound(option, option->min, bound);
        return err_set(err, ERR_USAGE, "'%s' is too small: at least %s", text, bound);
    }
    if (option->max > 0 && value > option->max) {
        format_bound(option, option->max, bound);
        return err_set(err, ERR_USAGE, "'%s' is too large: at most %s", text, bound);
    }
    *(uint64_t *)option_place(option, args) = value;
    return 0;
}

static int set_choice(const struct command_option *option, void *args, const char *text,
                      struct err *err)
{
    char list[256] = "";
    size_t used = 0;
    int i = 0;

    for (; option->words[i] != NULL; i++) {
        if (strcmp(option->words[i], text) == 0) {
            *(int *)option_place(option, args) = i;
            return 0;
        }
        if (used < sizeof list) {
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "" : ", ",
                                     option->words[i]);
        }
    }
    const char *near = text_nearest(text, option->words, (size_t)i);
    if (near != NULL) {
        return err_set(err, ERR_USAGE, "unknown word '%s'; did you mean '%s'? (one of %s)", text,
                       near, list);
    }
    return err_set(err, ERR_USAGE, "unknown word '%s'; write one of %s", text, list);
}

static void append_item(struct option_list *list, const char *text)
{
    list->items = x_realloc(list->items, (list->n + 1) * sizeof *list->items);
    list->items[list->n++] = text;
}

static int append_pair(struct option_pairs *pairs, char *text, struct err *err)
{
    char *equals = strchr(text, '=');

    if (equals == NULL || equals == text) {
        return err_set(err, ERR_USAGE, "'%s' is not KEY=VALUE", text);
    }
    *equals = '\0';
    for (size_t i = 0; i < pairs->n; i++) {
        if (strcmp(pairs->items[i].key, text) == 0) {
            return err_set(err, ERR_USAGE, "the key '%s' is given twice", text);
        }
    }
    pairs->items = x_realloc(pairs->items, (pairs->n + 1) * sizeof *pairs->items);
    pairs->items[pairs->n++] = (struct option_pair){.key = text, .value = equals + 1};
    return 0;
}

/* A variable that a script forgot to set: '' would be a store in memory, or the working directory.
 */
static bool must_not_be_empty(const struct command_option *option)
{
    return option->kind == OPT_LIST ||
           (option->kind == OPT_STRING && option->complete == COMPLETE_FILE);
}

int option_set_value(const struct command_option *option, void *args, char *text, uint64_t now_ns,
                     struct err *err)
{
    void *place = option_place(option, args);

    if (text[0] == '\0' && must_not_be_empty(option)) {
        return err_set(err, ERR_USAGE, "the value is empty");
    }
    switch (option->kind) {
    case OPT_STRING:
        *(const char **)place = text;
        return 0;
    case OPT_SECRET:
        secret_free(*(char **)place);
        *(char **)place = secret_take(text);
        return 0;
    case OPT_SIZE:
    case OPT_DURATION:
    case OPT_COUNT:
    case OPT_TIME:
        return set_number(option, args, text, now_ns, err);
    case OPT_DECIMAL:
        return text_parse_decimal(text, place, err);
    case OPT_LIST:
        append_item(place, text);
        return 0;
    case OPT_PAIRS:
        return append_pair(place, text, err);
    case OPT_CHOICE:
        return set_choice(option, args, text, err);
    case OPT_FLAG:
    case OPT_NEGATABLE:
        break;
    }
    REQUIRE(!"a flag takes no value");
    return ERR_USAGE;
}

static bool is_number(const struct command_option *option)
{
    return option->kind == OPT_SIZE || option->kind == OPT_DURATION || option->kind == OPT_COUNT ||
           option->kind == OPT_TIME;
}

void option_set_default(const struct command_option *option, void *args, uint64_t now_ns)
{
    struct err err = {0};

    if (option->kind == OPT_CHOICE) {
        *(int *)option_place(option, args) = -1;
    }
    if (is_number(option)) {
        *(uint64_t *)option_place(option, args) = option->initial;
    }
    if (option->value == NULL) {
        return;
    }
    if (option_is_flag(option)) {
        option_set_flag(option, args, strcmp(option->value, "yes") == 0);
        return;
    }
    /* Defaults of the other kinds are only read, so the constant is not changed. */
    REQUIRE(option->kind != OPT_SECRET && option->kind != OPT_PAIRS);
    REQUIRE(option_set_value(option, args, (char *)(uintptr_t)option->value, now_ns, &err) == 0);
}

void option_clear_list(const struct command_option *option, void *args)
{
    if (option->kind == OPT_LIST) {
        ((struct option_list *)option_place(option, args))->n = 0;
    }
}

void option_release(const struct command_option *option, void *args)
{
    void *place = option_place(option, args);

    if (option->kind == OPT_SECRET) {
        secret_free(*(char **)place);
    } else if (option->kind == OPT_LIST) {
        mem_free(((struct option_list *)place)->items);
    } else if (option->kind == OPT_PAIRS) {
        mem_free(((struct option_pairs *)place)->items);
    }
}

bool options_describe(const struct command_option *option, const void *args, char *out, size_t n)
{
    char plain[TEXT_NUMBER_MAX];
    char human[TEXT_NUMBER_MAX];

    snprintf(out, n, "%s", "");
    if (!is_number(option) || option->kind == OPT_TIME) {
        return false;
    }
    uint64_t value = *(const uint64_t *)(const void *)((const char *)args + option->offset);
    snprintf(plain, sizeof plain, "%llu", (unsigned long long)value);
    if (value == 0 && option->note != NULL) {
        snprintf(out, n, "%s 0 (%s)", option->name, option->note);
        return true;
    }
    switch (option->kind) {
    case OPT_SIZE:
        text_format_size(value, human);
        break;
    case OPT_DURATION:
        text_format_seconds(value, plain);
        text_format_duration(value, human);
        break;
    default:
        snprintf(out, n, "%s %s", option->name, plain);
        return true;
    }
    snprintf(out, n, "%s %s (%s)", option->name, plain, human);
    return true;
}
