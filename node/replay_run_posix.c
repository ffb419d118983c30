/* SPDX-License-Identifier: Apache-2.0 */
#include "node/replay_run_posix.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

#include <jansson.h>

#include "node/store_access.h"
#include "shared/base/clock_posix.h"
#include "shared/base/id.h"
#include "shared/base/mem.h"
#include "shared/base/to_json.h"
#include "shared/capture/replay_json.h"
#include "shared/capture/replay_posix.h"
#include "shared/capture/replay_targets_posix.h"
#include "shared/store/scan.h"

struct replay_run {
    struct node_store *store;
    struct replay_request request; /* its texts are the next three */
    char *session;
    char *interface;
    char *filter;
    char id[STORE_ID_TEXT];
    void (*changed)(void *arg);
    void *arg;
    pthread_t thread;
    atomic_bool stop;
    atomic_uint_fast64_t give_up_ns;
    struct replay *replay; /* the thread's */

    pthread_mutex_t lock; /* guards what follows */
    enum replay_state state;
    struct err err;
    char session_id[STORE_ID_TEXT];
    uint64_t started_ns; /* wall time */
    uint64_t ended_ns;
    uint64_t round;
    uint64_t missing; /* packets that could not be read */
    struct replay_report report;
    json_t *interfaces; /* at the end */
};

/* ---- the thread ---- */

static void enter(struct replay_run *run, enum replay_state state)
{
    pthread_mutex_lock(&run->lock);
    run->state = state;
    if (state == REPLAY_RUNNING) {
        run->started_ns = clock_wall_ns();
    } else {
        run->ended_ns = clock_wall_ns();
    }
    pthread_mutex_unlock(&run->lock);
    run->changed(run->arg);
}

static void take_report(struct replay_run *run)
{
    pthread_mutex_lock(&run->lock);
    run->report = *replay_report(run->replay);
    pthread_mutex_unlock(&run->lock);
}

static bool should_stop(void *arg)
{
    struct replay_run *run = arg;

    take_report(run);
    return atomic_load(&run->stop);
}

/* 1 at the end of the packets, 0 when the replay is over. */
static int feed(struct replay_run *run, struct scan *scan, struct replay_targets *targets,
                struct err *err)
{
    struct scan_packet packet;
    struct inject *to;
    int r;

    while ((r = scan_next(scan, &packet, err)) > 0) {
        if (r == SCAN_PAUSED) { /* a filter that finds nothing is stopped too */
            if (should_stop(run)) {
                return 0;
            }
            continue;
        }
        r = replay_target_for(targets, packet.iface, &to, err);
        if (r == 0) {
            inject_give_up_by(to, &run->give_up_ns);
            r = replay_packet(run->replay, to, &packet.view, packet.iface->link_type, NULL, err);
        }
        if (r <= 0) {
            return r;
        }
    }
    return r < 0 ? r : 1;
}

#define PAUSE_FRAMES 16u

/* All rounds. The first scan is there already, so that a filter is found wrong before the start. */
static int send_all(struct replay_run *run, struct store *store, const struct scan_spec *spec,
                    struct scan *scan, struct replay_targets *targets, struct err *err)
{
    uint64_t before = 0;
    int r = 1;

    for (uint64_t round = 1; r > 0; round++) {
        pthread_mutex_lock(&run->lock);
        run->round = round;
        pthread_mutex_unlock(&run->lock);
        scan_pause_after(scan, PAUSE_FRAMES);
        r = feed(run, scan, targets, err);
        pthread_mutex_lock(&run->lock);
        run->missing += scan_damage(scan)->packets + scan_damage(scan)->gone_packets;
        pthread_mutex_unlock(&run->lock);
        scan_free(scan);
        scan = NULL;
        /* A round in which nothing went out would repeat itself without end. */
        uint64_t done = replay_taken(run->replay);
        bool is_last = round == run->request.loop || done == before || atomic_load(&run->stop);
        before = done;
        if (r <= 0 || is_last) {
            break;
        }
        replay_loop(run->replay);
        r = scan_new(store, spec, &scan, err);
        r = r < 0 ? r : 1;
    }
    int finished = replay_finish(run->replay, r < 0 ? NULL : err);
    return r < 0 ? r : finished;
}

static json_t *interfaces_of(const struct replay_targets *targets)
{
    json_t *array = json_array();

    for (size_t i = 0; i < targets->n; i++) {
        const struct inject *inject = targets->items[i].inject;
        json_array_append_new(array, replay_interface_json(inject_name(inject),
                                                           inject_stats(inject)->waits,
                                                           inject_dropped(inject)));
    }
    return array;
}

static int replay_session(struct replay_run *run, struct store *store,
                          const struct store_session *session, struct err *err)
{
    struct replay_targets targets = {.only = run->interface};
    const struct scan_spec spec = {
        .sessions = session,
        .n = 1,
        .from_ns = run->request.from_ns,
        .to_ns = run->request.to_ns,
        .filter = run->filter,
    };
    struct scan *scan = NULL;
    int r = replay_targets_open(&targets, session->ifaces, session->n_ifaces, err);

    r = r < 0 ? r : scan_new(store, &spec, &scan, err);
    if (r == 0) {
        run->replay = replay_new(&(struct replay_opts){.speed = run->request.speed,
                                                       .count = run->request.count,
                                                       .stop = should_stop,
                                                       .arg = run});
        enter(run, REPLAY_RUNNING);
        r = send_all(run, store, &spec, scan, &targets, err);
        take_report(run);
        pthread_mutex_lock(&run->lock);
        run->interfaces = interfaces_of(&targets);
        pthread_mutex_unlock(&run->lock);
        replay_free(run->replay);
    }
    replay_targets_deinit(&targets);
    return r;
}

static int use_store(struct store *store, void *arg, struct err *err)
{
    struct replay_run *run = arg;
    struct store_session *session = NULL;
    int r = store_session_find(store, run->session, &session, err);

    if (r == 0) {
        pthread_mutex_lock(&run->lock);
        memcpy(run->session_id, session->id, sizeof run->session_id);
        pthread_mutex_unlock(&run->lock);
        r = replay_session(run, store, session, err);
        store_sessions_free(session, 1);
    }
    return r;
}

static void *run_thread(void *arg)
{
    struct replay_run *run = arg;
    struct err err = {0};
    int r = node_store_peek(run->store, use_store, run, &err);

    pthread_mutex_lock(&run->lock);
    if (r < 0) {
        run->err = err;
        run->err.code = r;
    }
    pthread_mutex_unlock(&run->lock);
    enter(run, REPLAY_ENDED);
    return NULL;
}

/* ---- the others ---- */

static void make_id(char out[STORE_ID_TEXT])
{
    uint8_t random[ID_RANDOM_BYTES];

    REQUIRE(getrandom(random, sizeof random, 0) == (ssize_t)sizeof random);
    struct id id = id_make(clock_wall_ns() / 1000000u, random);
    id_format(&id, out);
}

static char *copy(const char *text)
{
    return text == NULL ? NULL : x_strdup(text);
}

int replay_run_start(struct node_store *store, const struct replay_request *request,
                     void (*changed)(void *arg), void *arg, struct replay_run **out,
                     struct err *err)
{
    struct replay_run *run = x_alloc(sizeof *run);

    run->store = store;
    run->request = *request;
    run->request.session = run->session = x_strdup(request->session);
    run->request.interface = run->interface = copy(request->interface);
    run->request.filter = run->filter = copy(request->filter);
    make_id(run->id);
    run->changed = changed;
    run->arg = arg;
    atomic_init(&run->stop, false);
    atomic_init(&run->give_up_ns, UINT64_MAX);
    pthread_mutex_init(&run->lock, NULL);
    if (pthread_create(&run->thread, NULL, run_thread, run) != 0) {
        replay_run_free(run);
        return err_set(err, ERR_LIMIT, "cannot start a thread to replay");
    }
    *out = run;
    return 0;
}

void replay_run_stop(struct replay_run *run, uint64_t deadline_ns)
{
    atomic_store(&run->give_up_ns, deadline_ns);
    atomic_store(&run->stop, true);
}

void replay_run_join(struct replay_run *run)
{
    pthread_join(run->thread, NULL);
}

void replay_run_free(struct replay_run *run)
{
    pthread_mutex_destroy(&run->lock);
    json_decref(run->interfaces);
    mem_free(run->session);
    mem_free(run->interface);
    mem_free(run->filter);
    mem_free(run);
}

const char *replay_run_id(const struct replay_run *run)
{
    return run->id;
}

enum replay_state replay_run_state(struct replay_run *run)
{
    pthread_mutex_lock(&run->lock);
    enum replay_state state = run->state;
    pthread_mutex_unlock(&run->lock);
    return state;
}

struct err replay_run_error(struct replay_run *run)
{
    pthread_mutex_lock(&run->lock);
    struct err err = run->err;
    pthread_mutex_unlock(&run->lock);
    return err;
}

void replay_run_counts(struct replay_run *run, uint64_t *packets, uint64_t *bytes)
{
    pthread_mutex_lock(&run->lock);
    *packets = run->report.done;
    *bytes = run->report.bytes;
    pthread_mutex_unlock(&run->lock);
}

static json_t *text_or_null(const char *text)
{
    return text == NULL || text[0] == '\0' ? json_null() : to_json_text(text);
}

json_t *replay_run_json(struct replay_run *run)
{
    static const char *const states[] = {"opening", "running", "ended"};

    pthread_mutex_lock(&run->lock);
    json_t *object = replay_report_json(&run->report, run->request.speed, "packets");
    json_object_set_new(object, "replay_id", json_string(run->id));
    json_object_set_new(object, "session_id", text_or_null(run->session_id));
    json_object_set_new(object, "state", json_string(states[run->state]));
    json_object_set_new(object, "interface", text_or_null(run->interface));
    json_object_set_new(object, "filter", text_or_null(run->filter));
    json_object_set_new(object, "loop", to_json_count(run->request.loop));
    json_object_set_new(object, "round", to_json_count(run->round));
    json_object_set_new(object, "started",
                        run->started_ns == 0 ? json_null() : to_json_time(run->started_ns));
    json_object_set_new(object, "ended",
                        run->ended_ns == 0 ? json_null() : to_json_time(run->ended_ns));
    json_object_set_new(object, "stopped", json_boolean(atomic_load(&run->stop)));
    json_object_set_new(object, "error", text_or_null(run->err.text));
    json_object_set_new(object, "errors", to_json_count(replay_count_not_sent(&run->report)));
    json_object_set_new(object, "missing", to_json_count(run->missing));
    json_object_set_new(object, "interfaces",
                        run->interfaces == NULL ? json_null() : json_incref(run->interfaces));
    pthread_mutex_unlock(&run->lock);
    return object;
}
