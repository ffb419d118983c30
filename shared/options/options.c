/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/options/options.h"

#include <string.h>

#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/options/option_value.h"

#define CANDIDATES_MAX 256

struct parser {
    struct command_context *ctx;
    int argc;
    char **argv;
    int i; /* the word being looked at */
    uint64_t now_ns;
    bool done; /* --help or --version was met */
};

/* A table of options, with the struct that their values go to. */
struct scope {
    const struct command_option *options;
    size_t n;
    void *args;
    unsigned char *origins;
};

#define SCOPES_MAX 3 /* of the command, of its group, global: looked through in this order */

/* An option found by name or letter. */
struct match {
    const struct command_option *option;
    void *args;
    unsigned char *origin;
    bool negated;
};

static size_t find_scopes(struct command_context *ctx, struct scope out[SCOPES_MAX])
{
    const struct command *command = ctx->command;
    size_t n = 0;

    if (command != NULL) {
        out[n++] = (struct scope){command->options, command->n_options, ctx->args, ctx->origins};
    }
    if (command != NULL && ctx->group_args != NULL) {
        out[n++] = (struct scope){command->group->options, command->group->n_options,
                                  (void *)ctx->group_args, ctx->group_origins};
    }
    out[n++] = (struct scope){ctx->program->global_options, ctx->program->n_global_options,
                              &ctx->global, ctx->global_origins};
    return n;
}

static bool name_matches(const struct command_option *option, const char *name, size_t n)
{
    if (strlen(option->name) == n && memcmp(option->name, name, n) == 0) {
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(option->aliases) && option->aliases[i] != NULL; i++) {
        if (strlen(option->aliases[i]) == n && memcmp(option->aliases[i], name, n) == 0) {
            return true;
        }
    }
    return false;
}

static struct match match_of(const struct scope *scope, size_t i)
{
    return (struct match){
        .option = &scope->options[i], .args = scope->args, .origin = &scope->origins[i]};
}

static bool find_name_in(const struct scope *scope, const char *name, size_t n, struct match *match)
{
    for (size_t i = 0; i < scope->n; i++) {
        const struct command_option *option = &scope->options[i];
        bool negated = option->kind == OPT_NEGATABLE && n > 3 && memcmp(name, "no-", 3) == 0 &&
                       name_matches(option, name + 3, n - 3);
        if (negated || name_matches(option, name, n)) {
            *match = match_of(scope, i);
            match->negated = negated;
            return true;
        }
    }
    return false;
}

static bool find_name(struct command_context *ctx, const char *name, size_t n, struct match *match)
{
    struct scope scopes[SCOPES_MAX];
    size_t n_scopes = find_scopes(ctx, scopes);

    for (size_t i = 0; i < n_scopes; i++) {
        if (find_name_in(&scopes[i], name, n, match)) {
            return true;
        }
    }
    return false;
}

static bool find_letter(struct command_context *ctx, char letter, struct match *match)
{
    struct scope scopes[SCOPES_MAX];
    size_t n_scopes = find_scopes(ctx, scopes);

    for (size_t i = 0; i < n_scopes; i++) {
        for (size_t k = 0; k < scopes[i].n && letter != '\0'; k++) {
            if (scopes[i].options[k].letter == letter) {
                *match = match_of(&scopes[i], k);
                return true;
            }
        }
    }
    return false;
}

static size_t add_candidates(const struct command_option *options, size_t n_options,
                             const char **names, size_t n)
{
    for (size_t i = 0; i < n_options && n < CANDIDATES_MAX; i++) {
        names[n++] = options[i].name;
    }
    return n;
}

/* While no command was named that could have it. */
static const char *where_to_put(const struct command_context *ctx)
{
    bool named = ctx->command != NULL && ctx->command->commands == NULL;

    return named ? "" : " (options of a command stand behind its name)";
}

static int unknown_name(struct command_context *ctx, const char *name, size_t length)
{
    const char *names[CANDIDATES_MAX];
    struct scope scopes[SCOPES_MAX];
    size_t n_scopes = find_scopes(ctx, scopes);
    char word[64];
    const char *no = "";
    size_t n = 0;

    for (size_t i = 0; i < n_scopes; i++) {
        n = add_candidates(scopes[i].options, scopes[i].n, names, n);
    }
    size_t kept = length < sizeof word ? length : sizeof word - 1;
    memcpy(word, name, kept);
    word[kept] = '\0';
    const char *near = text_nearest(word, names, n);
    if (near == NULL && strncmp(word, "no-", 3) == 0) {
        near = text_nearest(word + 3, names, n);
        struct match match;
        bool negatable = near != NULL && find_name(ctx, near, strlen(near), &match) &&
                         match.option->kind == OPT_NEGATABLE;
        no = negatable ? "no-" : "";
    }
    if (near != NULL) {
        return err_set(&ctx->err, ERR_USAGE, "unknown option '--%s'; did you mean '--%s%s'?", word,
                       no, near);
    }
    return err_set(&ctx->err, ERR_USAGE, "unknown option '--%s'%s", word, where_to_put(ctx));
}

static void note_given(struct command_context *ctx, const struct match *match)
{
    *match->origin = ORIGIN_FLAG;
    if (match->option->kind == OPT_SECRET) {
        ctx->secret_in_argv = match->option;
    }
}

static int set_value(struct parser *p, const struct match *match, char *text)
{
    struct command_context *ctx = p->ctx;

    if (*match->origin == ORIGIN_DEFAULT) {
        option_clear_list(match->option, match->args);
    }
    int rc = option_set_value(match->option, match->args, text, p->now_ns, &ctx->err);

    if (rc < 0) {
        return err_wrap(&ctx->err, "option '--%s'", match->option->name);
    }
    note_given(ctx, match);
    return 0;
}

static void set_flag(struct parser *p, const struct match *match)
{
    option_set_flag(match->option, match->args, !match->negated);
    note_given(p->ctx, match);
    p->done = p->ctx->global.help || p->ctx->global.version;
}

/* A forgotten value must not swallow the next option. */
static bool looks_like_option(struct parser *p, const char *word)
{
    struct match match;

    if (strncmp(word, "--", 2) != 0) {
        return false;
    }
    return word[2] == '\0' || find_name(p->ctx, word + 2, strcspn(word + 2, "="), &match);
}

static int take_next_value(struct parser *p, const struct match *match)
{
    const struct command_option *option = match->option;

    if (p->i + 1 >= p->argc || looks_like_option(p, p->argv[p->i + 1])) {
        return err_set(&p->ctx->err, ERR_USAGE, "option '--%s' needs a value: --%s %s",
                       option->name, option->name, option->placeholder);
    }
    return set_value(p, match, p->argv[++p->i]);
}

static int parse_long(struct parser *p, char *name)
{
    size_t n = strcspn(name, "=");
    struct match match;

    if (!find_name(p->ctx, name, n, &match)) {
        return unknown_name(p->ctx, name, n);
    }
    if (!option_is_flag(match.option)) {
        return name[n] == '=' ? set_value(p, &match, name + n + 1) : take_next_value(p, &match);
    }
    if (name[n] == '=') {
        return err_set(&p->ctx->err, ERR_USAGE, "option '--%.*s' takes no value", (int)n, name);
    }
    set_flag(p, &match);
    return 0;
}

static int parse_letters(struct parser *p, char *letters)
{
    for (; *letters != '\0' && !p->done; letters++) {
        struct match match;
        if (!find_letter(p->ctx, *letters, &match)) {
            return err_set(&p->ctx->err, ERR_USAGE, "unknown option '-%c'%s", *letters,
                           where_to_put(p->ctx));
        }
        if (!option_is_flag(match.option)) {
            return letters[1] != '\0' ? set_value(p, &match, letters + 1)
                                      : take_next_value(p, &match);
        }
        set_flag(p, &match);
    }
    return 0;
}

static const struct command_option *rest_option(const struct command *command)
{
    for (size_t i = 0; command != NULL && i < command->n_options; i++) {
        if (command->options[i].takes_rest) {
            return &command->options[i];
        }
    }
    return NULL;
}

static int take_name(struct parser *p, const char *name)
{
    const struct command *group = p->ctx->command;
    const struct command *command;
    int rc = group == NULL ? program_look_up(p->ctx->program, name, &command, &p->ctx->err)
                           : group_look_up(group, name, &command, &p->ctx->err);

    if (rc == 0) {
        options_begin(p->ctx, command, p->now_ns);
    }
    return rc;
}

static int take_word(struct parser *p, const char *word)
{
    struct command_context *ctx = p->ctx;
    const struct command *command = ctx->command;

    if (command == NULL || command->commands != NULL) {
        return take_name(p, word);
    }
    bool many = command->n_words > 0 && command->words[command->n_words - 1].many;
    if (ctx->n_words >= command->n_words && !many) {
        const struct command_option *rest = rest_option(command);
        char name[COMMAND_NAME_MAX];
        return err_set(&ctx->err, ERR_USAGE, "'%s' takes no argument '%s'%s",
                       command_format_name(command, name), word,
                       rest != NULL ? "; a filter stands behind -f in quotes, or behind --" : "");
    }
    ctx->words[ctx->n_words++] = word;
    return 0;
}

static char *join(char **words, int n)
{
    char *text = x_strdup(words[0]);

    for (int i = 1; i < n; i++) {
        char *longer = x_sprintf("%s %s", text, words[i]);
        mem_free(text);
        text = longer;
    }
    return text;
}

/* Everything behind "--". */
static int take_rest(struct parser *p)
{
    struct command_context *ctx = p->ctx;
    const struct command_option *option = rest_option(ctx->command);
    int n = p->argc - p->i - 1;
    int rc = 0;

    if (option != NULL && n > 0) {
        if (options_given(ctx, option->name)) {
            return err_set(&ctx->err, ERR_USAGE,
                           "a filter is given twice: with '--%s' and behind '--'", option->name);
        }
        char *rest = join(p->argv + p->i + 1, n);
        options_keep(ctx, rest);
        p->i = p->argc;
        struct match match = {.option = option,
                              .args = ctx->args,
                              .origin = &ctx->origins[option - ctx->command->options]};
        return set_value(p, &match, rest);
    }
    for (p->i++; p->i < p->argc && rc == 0; p->i++) {
        rc = take_word(p, p->argv[p->i]);
    }
    return rc;
}

static int check_word(struct command_context *ctx, const struct command_word *word,
                      const char *value)
{
    size_t n = 0;

    if (word->words == NULL) {
        return 0;
    }
    for (; word->words[n] != NULL; n++) {
        if (strcmp(word->words[n], value) == 0) {
            return 0;
        }
    }
    const char *near = text_nearest(value, word->words, n);
    char name[COMMAND_NAME_MAX];
    return err_set(&ctx->err, ERR_USAGE, "'%s %s' is not known; did you mean '%s'?",
                   command_format_name(ctx->command, name), value,
                   near != NULL ? near : word->words[0]);
}

static int check_complete(struct command_context *ctx)
{
    const struct command *command = ctx->command;
    char name[COMMAND_NAME_MAX];
    int rc = 0;

    command_format_name(command, name);
    if (command->commands != NULL) {
        return err_set(&ctx->err, ERR_USAGE, "'%s' needs COMMAND, what to do", name);
    }
    for (size_t i = 0; i < command->n_words && rc == 0; i++) {
        if (i < ctx->n_words) {
            rc = check_word(ctx, &command->words[i], ctx->words[i]);
        } else if (!command->words[i].optional) {
            rc = err_set(&ctx->err, ERR_USAGE, "'%s' needs %s", name, command->words[i].name);
        }
    }
    for (size_t i = 0; i < command->n_options && rc == 0; i++) {
        if (command->options[i].required && ctx->origins[i] == ORIGIN_DEFAULT) {
            rc = err_set(&ctx->err, ERR_USAGE, "'%s' needs --%s %s", name, command->options[i].name,
                         command->options[i].placeholder);
        }
    }
    return rc;
}

/* "packetrecorder --help capture" means the help of capture. */
static void find_command_behind(struct parser *p)
{
    struct command_context *ctx = p->ctx;
    const struct command *found = ctx->command;

    for (int i = p->i; i < p->argc && (found == NULL || found->commands != NULL); i++) {
        const struct command *next =
            found == NULL ? program_find(ctx->program, p->argv[i]) : group_find(found, p->argv[i]);
        found = next == NULL ? found : next;
    }
    if (ctx->args == NULL) {
        ctx->command = found;
    } else if (found != ctx->command) {
        options_begin(ctx, found, p->now_ns);
    }
}

int options_parse(struct command_context *ctx, const struct program *program, int argc, char **argv,
                  uint64_t now_ns)
{
    struct parser p = {.ctx = ctx, .argc = argc, .argv = argv, .i = 1, .now_ns = now_ns};
    int rc = 0;

    *ctx = (struct command_context){.program = program};
    ctx->words = x_alloc((size_t)(argc > 0 ? argc : 1) * sizeof *ctx->words);
    if (program->fallback != NULL && (argc < 2 || program_find(program, argv[1]) == NULL)) {
        options_begin(ctx, program->fallback, now_ns);
    }
    for (; p.i < argc && rc == 0 && !p.done; p.i++) {
        char *word = argv[p.i];
        if (strcmp(word, "--") == 0) {
            rc = take_rest(&p);
        } else if (strncmp(word, "--", 2) == 0) {
            rc = parse_long(&p, word + 2);
        } else if (word[0] == '-' && word[1] != '\0') {
            rc = parse_letters(&p, word + 1);
        } else {
            rc = take_word(&p, word);
        }
    }
    if (rc < 0) {
        return rc;
    }
    if (p.done) {
        find_command_behind(&p);
        return 0;
    }
    return ctx->command == NULL ? 0 : check_complete(ctx);
}
