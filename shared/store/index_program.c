/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/index_program.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/mem.h"

/* Longer programs are not looked at; the kernel's own limit. */
#define INSNS_MAX 4096
/* States that wait at one instruction, and in all; beyond it they are merged into one. */
#define STATES_HERE_MAX 4096
#define STATES_MAX      32768
/* Steps after which one state an instruction must do. */
#define STEPS_MAX 500000

/* The parts of an instruction's code,
 * https://www.kernel.org/doc/html/latest/bpf/classic_vs_extended and bpf(4): class, size, mode,
 * operation, source. */
enum {
    CLASS_MASK = 0x07,
    CLASS_LD = 0,
    CLASS_LDX = 1,
    CLASS_ST = 2,
    CLASS_STX = 3,
    CLASS_ALU = 4,
    CLASS_JMP = 5,
    CLASS_RET = 6,
    CLASS_MISC = 7,
    SIZE_MASK = 0x18,
    SIZE_W = 0x00,
    SIZE_H = 0x08,
    SIZE_B = 0x10,
    MODE_MASK = 0xe0,
    MODE_IMM = 0x00,
    MODE_ABS = 0x20,
    MODE_IND = 0x40,
    MODE_MEM = 0x60,
    MODE_LEN = 0x80,
    MODE_MSH = 0xa0,
    OP_MASK = 0xf0,
    OP_AND = 0x50,
    OP_JA = 0x00,
    OP_JEQ = 0x10,
    OP_JGT = 0x20,
    OP_JGE = 0x30,
    OP_JSET = 0x40,
    SOURCE_X = 0x08,
    RETURN_MASK = 0x18,
    RETURN_A = 0x10,
    MISC_MASK = 0xf8,
    MISC_TAX = 0x00,
    MISC_TXA = 0x80,
};

enum value_kind {
    VALUE_UNKNOWN,
    VALUE_CONST,  /* fact.value */
    VALUE_LOAD,   /* the load of `fact` under its mask; fact.value is 0 */
    VALUE_HEADER, /* X only: 4 * (byte at fact.header & 0xf) */
};

struct value {
    uint32_t kind;
    struct index_fact fact;
};

/* What is known on the way to an instruction. Facts are sorted and the rest is zero, so that equal
 * states are equal bytes. */
struct state {
    struct value a;
    struct value x;
    struct index_path path;
};

struct states {
    struct state **items; /* owned */
    uint32_t n;
    uint32_t cap;
    bool merged; /* items[0] stands for all that come */
};

struct walk {
    const struct filter_insn *program;
    uint32_t n;
    struct states *at; /* one for each instruction */
    uint32_t n_states;
    uint32_t n_steps;
    uint8_t *live; /* before each instruction: LIVE_A | LIVE_X */
    bool not_understood;
    index_path_cb on_path;
    void *arg;
};

enum { LIVE_A = 1, LIVE_X = 2 };

static bool same_load(const struct index_fact *a, const struct index_fact *b)
{
    return a->at == b->at && a->header == b->header && a->bytes == b->bytes &&
           a->from_header == b->from_header;
}

static bool contradicts(const struct index_path *path, const struct index_fact *fact)
{
    for (uint32_t i = 0; i < path->n; i++) {
        const struct index_fact *known = &path->facts[i];
        if (same_load(known, fact) &&
            ((known->value ^ fact->value) & known->mask & fact->mask) != 0) {
            return true;
        }
    }
    return false;
}

static bool implies(const struct index_path *path, const struct index_fact *fact)
{
    for (uint32_t i = 0; i < path->n; i++) {
        const struct index_fact *known = &path->facts[i];
        if (same_load(known, fact) && (known->mask & fact->mask) == fact->mask &&
            (known->value & fact->mask) == fact->value) {
            return true;
        }
    }
    return false;
}

/* Keeps the facts sorted. A full path stays as it is: weaker, not wrong. */
static void path_add(struct index_path *path, const struct index_fact *fact)
{
    uint32_t i = path->n;

    if (fact->mask == 0 || path->n == INDEX_FACTS_MAX || implies(path, fact)) {
        return;
    }
    while (i > 0 && memcmp(&path->facts[i - 1], fact, sizeof *fact) > 0) {
        path->facts[i] = path->facts[i - 1];
        i--;
    }
    path->facts[i] = *fact;
    path->n++;
}

/* Makes `into` the weaker of both: what holds in each. */
static void state_merge(struct state *into, const struct state *other)
{
    struct index_path common = {0};

    for (uint32_t i = 0; i < into->path.n; i++) {
        if (implies(&other->path, &into->path.facts[i])) {
            path_add(&common, &into->path.facts[i]);
        }
    }
    into->path = common;
    if (memcmp(&into->a, &other->a, sizeof into->a) != 0) {
        into->a = (struct value){0};
    }
    if (memcmp(&into->x, &other->x, sizeof into->x) != 0) {
        into->x = (struct value){0};
    }
}

static int state_compare(const void *a, const void *b)
{
    return memcmp(*(struct state *const *)a, *(struct state *const *)b, sizeof(struct state));
}

static void states_keep(struct walk *walk, struct states *states, uint32_t n)
{
    for (uint32_t i = n; i < states->n; i++) {
        mem_free(states->items[i]);
    }
    walk->n_states -= states->n - n;
    states->n = n;
}

static void states_dedup(struct walk *walk, struct states *states)
{
    uint32_t n = 0;

    if (states->n < 2) {
        return;
    }
    qsort(states->items, states->n, sizeof(struct state *), state_compare);
    for (uint32_t i = 0; i < states->n; i++) {
        if (n == 0 || state_compare(&states->items[n - 1], &states->items[i]) != 0) {
            struct state *swap = states->items[n];
            states->items[n++] = states->items[i];
            states->items[i] = swap;
        }
    }
    states_keep(walk, states, n);
}

static void states_merge(struct walk *walk, struct states *states)
{
    for (uint32_t i = 1; i < states->n; i++) {
        state_merge(states->items[0], states->items[i]);
    }
    states_keep(walk, states, states->n > 0 ? 1 : 0);
    states->merged = true;
}

static bool is_too_much(const struct walk *walk)
{
    return walk->n_states >= STATES_MAX || walk->n_steps >= STEPS_MAX;
}

static void states_make_room(struct walk *walk, struct states *states)
{
    if (states->n >= STATES_HERE_MAX) {
        states_dedup(walk, states);
    }
    if (states->n >= STATES_HERE_MAX / 2 || is_too_much(walk)) {
        states_merge(walk, states);
    }
}

/* A copy of `state` waits at `target`, without the registers that nothing reads from there on. */
static void push(struct walk *walk, uint32_t target, const struct state *state)
{
    if (target >= walk->n) {
        walk->not_understood = true;
        return;
    }
    struct states *states = &walk->at[target];
    struct state *copy = x_alloc(sizeof *copy);
    *copy = *state;
    if ((walk->live[target] & LIVE_A) == 0) {
        copy->a = (struct value){0};
    }
    if ((walk->live[target] & LIVE_X) == 0) {
        copy->x = (struct value){0};
    }
    if (states->n >= STATES_HERE_MAX || is_too_much(walk)) {
        states_make_room(walk, states);
    }
    if (states->merged && states->n > 0) {
        state_merge(states->items[0], copy);
        mem_free(copy);
        return;
    }
    if (states->n == states->cap) {
        states->cap = states->cap > 0 ? 2 * states->cap : 4;
        states->items = x_realloc(states->items, states->cap * sizeof(struct state *));
    }
    states->items[states->n++] = copy;
    walk->n_states++;
}

/* The targets of a jump count from the next instruction; only forward ones are possible unless the
 * sum wraps around. */
static uint32_t target_of(uint32_t pc, uint32_t distance)
{
    return distance >= UINT32_MAX - pc ? UINT32_MAX : pc + 1 + distance;
}

/* Pushes to `pc + 1 + distance` with one more fact, unless no packet can get there. */
static void branch(struct walk *walk, uint32_t pc, uint32_t distance, const struct state *state,
                   const struct index_fact *fact)
{
    if (contradicts(&state->path, fact)) {
        return;
    }
    struct state next = *state;
    path_add(&next.path, fact);
    push(walk, target_of(pc, distance), &next);
}

static bool const_jumps(uint16_t op, uint32_t a, uint32_t k)
{
    switch (op) {
    case OP_JEQ:
        return a == k;
    case OP_JGT:
        return a > k;
    case OP_JGE:
        return a >= k;
    default:
        return (a & k) != 0;
    }
}

/* if A == k */
static void step_equal(struct walk *walk, uint32_t pc, const struct filter_insn *insn,
                       const struct state *state)
{
    struct index_fact fact = state->a.fact;

    fact.value = insn->k;
    if ((insn->k & ~fact.mask) == 0) {
        branch(walk, pc, insn->jt, state, &fact);
    }
    if (fact.mask == 0 ? insn->k != 0 : !implies(&state->path, &fact)) {
        push(walk, target_of(pc, insn->jf), state);
    }
}

/* if A & k: the way on which nothing is set gives a fact */
static void step_set(struct walk *walk, uint32_t pc, const struct filter_insn *insn,
                     const struct state *state)
{
    struct index_fact none_set = state->a.fact;

    none_set.mask &= insn->k;
    if (none_set.mask != 0 && !implies(&state->path, &none_set)) {
        push(walk, target_of(pc, insn->jt), state);
    }
    branch(walk, pc, insn->jf, state, &none_set);
}

static void step_jump(struct walk *walk, uint32_t pc, const struct filter_insn *insn,
                      const struct state *state)
{
    uint16_t op = insn->code & OP_MASK;
    bool with_x = (insn->code & SOURCE_X) != 0;

    if (op == OP_JA) {
        push(walk, target_of(pc, insn->k), state);
    } else if (op > OP_JSET) {
        walk->not_understood = true;
    } else if (!with_x && state->a.kind == VALUE_CONST) {
        bool jumps = const_jumps(op, state->a.fact.value, insn->k);
        push(walk, target_of(pc, jumps ? insn->jt : insn->jf), state);
    } else if (!with_x && state->a.kind == VALUE_LOAD && op == OP_JEQ) {
        step_equal(walk, pc, insn, state);
    } else if (!with_x && state->a.kind == VALUE_LOAD && op == OP_JSET) {
        step_set(walk, pc, insn, state);
    } else {
        push(walk, target_of(pc, insn->jt), state);
        if (insn->jf != insn->jt) {
            push(walk, target_of(pc, insn->jf), state);
        }
    }
}

static struct value value_const(uint32_t k)
{
    return (struct value){.kind = VALUE_CONST, .fact = {.value = k}};
}

/* LD from the packet at k, or at X + k. */
static struct value value_load(const struct filter_insn *insn, const struct value *x)
{
    static const struct {
        uint16_t bytes;
        uint32_t mask;
    } sizes[4] = {{4, UINT32_MAX}, {2, UINT16_MAX}, {1, UINT8_MAX}, {0, 0}};
    uint16_t size = (insn->code & SIZE_MASK) >> 3;
    struct value value = {
        .kind = VALUE_LOAD,
        .fact = {.at = insn->k, .mask = sizes[size].mask, .bytes = sizes[size].bytes}};

    if ((insn->code & MODE_MASK) == MODE_ABS) {
        return value;
    }
    if (x->kind == VALUE_HEADER) {
        value.fact.from_header = 1;
        value.fact.header = x->fact.header;
        return value;
    }
    if (x->kind == VALUE_CONST && insn->k <= UINT32_MAX - x->fact.value) {
        value.fact.at += x->fact.value;
        return value;
    }
    return (struct value){0};
}

/* False for a code that is not in the instruction set. */
static bool step_load(const struct filter_insn *insn, struct state *state)
{
    uint16_t mode = insn->code & MODE_MASK;
    uint16_t size = insn->code & SIZE_MASK;

    if (size > SIZE_B) {
        return false;
    }
    switch (mode) {
    case MODE_IMM:
        state->a = value_const(insn->k);
        return true;
    case MODE_ABS:
    case MODE_IND:
        state->a = value_load(insn, &state->x);
        return true;
    default:
        state->a = (struct value){0};
        return mode == MODE_MEM || mode == MODE_LEN;
    }
}

static bool step_load_x(const struct filter_insn *insn, struct state *state)
{
    uint16_t mode = insn->code & MODE_MASK;

    switch (mode) {
    case MODE_IMM:
        state->x = value_const(insn->k);
        return true;
    case MODE_MSH:
        state->x = (struct value){.kind = VALUE_HEADER, .fact = {.header = insn->k}};
        return true;
    default:
        state->x = (struct value){0};
        return mode == MODE_MEM || mode == MODE_LEN;
    }
}

static void step_alu(const struct filter_insn *insn, struct state *state)
{
    bool is_and = (insn->code & OP_MASK) == OP_AND && (insn->code & SOURCE_X) == 0;

    if (is_and && state->a.kind == VALUE_LOAD) {
        state->a.fact.mask &= insn->k;
    } else if (is_and && state->a.kind == VALUE_CONST) {
        state->a.fact.value &= insn->k;
    } else {
        state->a = (struct value){0};
    }
}

/* X may hold what A cannot speak of and the other way round. */
static bool step_misc(const struct filter_insn *insn, struct state *state)
{
    switch (insn->code & MISC_MASK) {
    case MISC_TAX:
        state->x = state->a.kind == VALUE_CONST ? state->a : (struct value){0};
        return true;
    case MISC_TXA:
        state->a = state->x.kind == VALUE_CONST ? state->x : (struct value){0};
        return true;
    default:
        return false;
    }
}

static void step_return(struct walk *walk, const struct filter_insn *insn,
                        const struct state *state)
{
    uint16_t source = insn->code & RETURN_MASK;

    if (source == 0 && insn->k == 0) {
        return;
    }
    if (source == RETURN_A && state->a.kind == VALUE_CONST && state->a.fact.value == 0) {
        return;
    }
    walk->on_path(&state->path, walk->arg);
}

static void step(struct walk *walk, uint32_t pc, struct state *state)
{
    const struct filter_insn *insn = &walk->program[pc];
    bool known = true;

    walk->n_steps++;
    switch (insn->code & CLASS_MASK) {
    case CLASS_LD:
        known = step_load(insn, state);
        break;
    case CLASS_LDX:
        known = step_load_x(insn, state);
        break;
    case CLASS_ST:
    case CLASS_STX:
        break; /* what memory holds is not followed */
    case CLASS_ALU:
        step_alu(insn, state);
        break;
    case CLASS_JMP:
        step_jump(walk, pc, insn, state);
        return;
    case CLASS_RET:
        step_return(walk, insn, state);
        return;
    default:
        known = step_misc(insn, state);
        break;
    }
    if (known) {
        push(walk, pc + 1, state);
    } else {
        walk->not_understood = true;
    }
}

/* The registers that are read before they are written, from what lives behind the instruction. */
static uint8_t live_before(const struct filter_insn *insn, uint8_t after)
{
    uint8_t with_x = (insn->code & SOURCE_X) != 0 ? LIVE_X : 0;

    switch (insn->code & CLASS_MASK) {
    case CLASS_LD:
        after &= (uint8_t)~LIVE_A;
        return after | ((insn->code & MODE_MASK) == MODE_IND ? LIVE_X : 0);
    case CLASS_LDX:
        return after & (uint8_t)~LIVE_X;
    case CLASS_ALU:
        return after | LIVE_A | with_x;
    case CLASS_JMP:
        return (insn->code & OP_MASK) == OP_JA ? after : (uint8_t)(after | LIVE_A | with_x);
    case CLASS_RET:
        return (insn->code & RETURN_MASK) == RETURN_A ? LIVE_A : 0;
    case CLASS_MISC:
        return LIVE_A | LIVE_X;
    default:
        return after; /* ST and STX feed memory, which is not followed */
    }
}

static void find_live(struct walk *walk)
{
    for (uint32_t pc = walk->n; pc-- > 0;) {
        const struct filter_insn *insn = &walk->program[pc];
        bool is_jump = (insn->code & CLASS_MASK) == CLASS_JMP;
        bool always = is_jump && (insn->code & OP_MASK) == OP_JA;
        uint32_t first = target_of(pc, !is_jump ? 0 : always ? insn->k : insn->jt);
        uint32_t second = is_jump && !always ? target_of(pc, insn->jf) : first;
        uint8_t after = first < walk->n ? walk->live[first] : 0;

        after |= second < walk->n ? walk->live[second] : 0;
        walk->live[pc] = live_before(insn, after);
    }
}

bool index_program_paths(const struct filter_insn *program, uint32_t n, index_path_cb on_path,
                         void *arg)
{
    if (n == 0 || n > INSNS_MAX) {
        return false;
    }
    struct walk walk = {.program = program, .n = n, .on_path = on_path, .arg = arg};
    struct state start = {0};

    walk.at = x_alloc(n * sizeof *walk.at);
    walk.live = x_alloc(n);
    find_live(&walk);
    push(&walk, 0, &start);
    /* All jumps go forward, so every state of an instruction is there when its turn comes. */
    for (uint32_t pc = 0; pc < n; pc++) {
        struct states *states = &walk.at[pc];
        states_dedup(&walk, states);
        for (uint32_t i = 0; i < states->n && !walk.not_understood; i++) {
            step(&walk, pc, states->items[i]);
        }
        states_keep(&walk, states, 0);
        mem_free(states->items);
    }
    mem_free(walk.live);
    mem_free(walk.at);
    return !walk.not_understood;
}
