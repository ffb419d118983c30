/* SPDX-License-Identifier: Apache-2.0
 *
 * The ring of events: numbers, replay, what is told when it has gone round, and watchers.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <uv.h>

#include "node/events.h"
#include "node/node.h"
#include "shared/base/mem.h"

struct world {
    uv_loop_t loop;
    struct node node;
    bool closed;
};

static int set_up(void **state)
{
    struct world *w = x_alloc(sizeof *w);
    struct err err = {0};

    assert_int_equal(uv_loop_init(&w->loop), 0);
    w->node.loop = &w->loop;
    snprintf(w->node.name, sizeof w->node.name, "box");
    assert_int_equal(events_open(&w->node, &err), 0);
    *state = w;
    return 0;
}

static void on_closed(struct node *node)
{
    container_of(node, struct world, node)->closed = true;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    events_close(&w->node, on_closed);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_true(w->closed);
    assert_null(w->node.events);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    mem_free(w);
    return 0;
}

static void publish(struct world *w, int n)
{
    events_publish(&w->node, "test", json_pack("{s:i}", "n", n));
}

static const char *text_of(struct buf *out)
{
    buf_put_u8(out, 0);
    out->len--;
    return (const char *)out->data;
}

static size_t count(struct buf *out, const char *word)
{
    size_t n = 0;

    for (const char *p = text_of(out); (p = strstr(p, word)) != NULL; p++) {
        n++;
    }
    return n;
}

static void what_came_after_a_number_is_given_once(void **state)
{
    struct world *w = *state;
    uint64_t after = events_newest(w->node.events);
    uint64_t began = after;
    struct buf out = {0};
    char id[64];

    assert_false(events_put(w->node.events, &after, &out, 1000));
    assert_int_equal(out.len, 0);
    publish(w, 1);
    publish(w, 2);
    assert_false(events_put(w->node.events, &after, &out, 100000));
    assert_int_equal(after, began + 2);
    assert_int_equal(count(&out, "event: test\n"), 2);
    snprintf(id, sizeof id, "id: %llu\n", (unsigned long long)began + 2);
    assert_non_null(strstr(text_of(&out), id));
    assert_non_null(strstr(text_of(&out), "\"node\":\"box\""));
    buf_reset(&out);
    assert_false(events_put(w->node.events, &after, &out, 100000));
    assert_int_equal(out.len, 0);
    buf_deinit(&out);
}

static void a_small_piece_says_that_there_is_more(void **state)
{
    struct world *w = *state;
    uint64_t after = events_newest(w->node.events);
    struct buf out = {0};
    int pieces = 0;
    bool more = true;

    for (int i = 0; i < 50; i++) {
        publish(w, i);
    }
    while (more) {
        size_t before = out.len;
        more = events_put(w->node.events, &after, &out, out.len + 300);
        assert_true(out.len - before < 600);
        pieces++;
    }
    assert_true(pieces > 5);
    assert_int_equal(count(&out, "event: test\n"), 50);
    buf_deinit(&out);
}

static void what_has_gone_round_is_counted(void **state)
{
    struct world *w = *state;
    uint64_t after = events_newest(w->node.events);
    struct buf out = {0};

    publish(w, 0);
    after++; /* had that one */
    for (int i = 0; i < EVENTS_KEPT + 7; i++) {
        publish(w, i);
    }
    assert_false(events_put(w->node.events, &after, &out, SIZE_MAX));
    assert_non_null(strstr(text_of(&out), "event: lost\ndata: {\"count\":7}\n\n"));
    assert_int_equal(count(&out, "event: test\n"), EVENTS_KEPT);
    assert_int_equal(after, events_newest(w->node.events));
    buf_deinit(&out);
}

static void numbers_of_another_life_are_lost_and_nobody_knows_how_many(void **state)
{
    struct world *w = *state;
    static const uint64_t numbers[] = {17, UINT64_MAX / 2};

    publish(w, 1);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        struct buf out = {0};
        uint64_t after = numbers[i];
        assert_false(events_put(w->node.events, &after, &out, SIZE_MAX));
        assert_int_equal(count(&out, "event: lost\ndata: {\"count\":null}\n\n"), 1);
        assert_int_equal(count(&out, "event: test\n"), 1);
        buf_deinit(&out);
    }
    struct buf out = {0};
    uint64_t after = 0; /* all that is kept, nothing is missed */
    assert_false(events_put(w->node.events, &after, &out, SIZE_MAX));
    assert_int_equal(count(&out, "event: lost"), 0);
    assert_int_equal(count(&out, "event: test\n"), 1);
    buf_deinit(&out);
}

struct follower {
    struct events_watcher watcher;
    struct world *world;
    uint64_t after;
    struct buf out;
    size_t wanted;
    bool ended;
};

static void on_woken(struct events_watcher *watcher)
{
    struct follower *f = container_of(watcher, struct follower, watcher);

    (void)events_put(f->world->node.events, &f->after, &f->out, SIZE_MAX);
    if (count(&f->out, "event: test\n") == f->wanted) {
        uv_stop(&f->world->loop);
    }
}

static void on_beat(struct events_watcher *watcher)
{
    (void)watcher;
}

static void on_ending(struct events_watcher *watcher)
{
    struct follower *f = container_of(watcher, struct follower, watcher);

    f->ended = true;
    events_unwatch(f->world->node.events, watcher);
}

static void *publish_many(void *arg)
{
    for (int i = 0; i < 500; i++) {
        publish(arg, i);
    }
    return NULL;
}

static void any_thread_may_publish_and_watchers_are_woken(void **state)
{
    struct world *w = *state;
    struct follower f = {.watcher = {.woken = on_woken, .beat = on_beat, .ending = on_ending},
                         .world = w,
                         .after = events_newest(w->node.events),
                         .wanted = 2000};
    pthread_t threads[4];

    events_watch(w->node.events, &f.watcher);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, publish_many, w), 0);
    }
    uv_run(&w->loop, UV_RUN_DEFAULT);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(count(&f.out, "event: test\n"), 2000);
    assert_int_equal(events_published(w->node.events), 2000);
    events_drain(&w->node);
    assert_true(f.ended);
    assert_int_equal(events_watchers(w->node.events), 0);
    buf_deinit(&f.out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_came_after_a_number_is_given_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_small_piece_says_that_there_is_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_has_gone_round_is_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(numbers_of_another_life_are_lost_and_nobody_knows_how_many,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(any_thread_may_publish_and_watchers_are_woken, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
