/* SPDX-License-Identifier: Apache-2.0
 *
 * Jobs between real gossip on loopback, with a real journal on a real loop; captures and interfaces
 * are those of the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "node/captures.h"
#include "node/devices_uv.h"
#include "node/gauges.h"
#include "node/job_file_posix.h"
#include "node/jobs.h"
#include "node/sources.h"
#include "node/work.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/capture/interfaces_pcap.h"
#include "shared/swarm/swim_limits.h"
#include "tests/glue/swarm_fixture.h"
#include "tests/support/job_examples.h"

/* ---- captures, interfaces and disks of the test ---- */

struct fake_capture {
    struct node *node;
    struct capture_request request;
    char name[32];
    bool is_open;
};
static struct fake_capture fakes[64];
static unsigned n_fakes;
static bool disk_is_full;
static _Atomic uint64_t checked_ring; /* bytes of the last one that was opened to try it */

static unsigned n_open(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < n_fakes; i++) {
        n += fakes[i].is_open;
    }
    return n;
}

void captures_start(struct captures *captures, const struct capture_request *request,
                    void (*done)(void *arg, const char *id, const struct err *err), void *arg)
{
    struct fake_capture *fake = &fakes[n_fakes++];

    *fake = (struct fake_capture){.node = (void *)captures, .request = *request, .is_open = true};
    snprintf(fake->name, sizeof fake->name, "session-%u", n_fakes);
    done(arg, fake->name, NULL);
}

static void end_fake(struct fake_capture *fake)
{
    json_t *session = json_pack("{s:s, s:i, s:i}", "id", fake->name, "packets", 7, "bytes", 700);

    fake->is_open = false;
    fake->request.ended(fake->request.ended_arg, session, NULL);
    json_decref(session);
}

int captures_stop(struct captures *captures, const char *id,
                  void (*done)(void *arg, struct json_t *session), void *arg, struct err *err)
{
    (void)captures;
    (void)err;
    for (unsigned i = 0; i < n_fakes; i++) {
        if (strcmp(fakes[i].name, id) == 0) {
            end_fake(&fakes[i]);
        }
    }
    done(arg, NULL);
    return 0;
}

bool captures_counters(struct captures *captures, const char *id, struct session_counters *out)
{
    (void)captures;
    (void)id;
    (void)out;
    return false;
}

bool captures_stats(struct captures *captures, const char *id, struct store_writer_stats *out)
{
    (void)captures;
    (void)id;
    (void)out;
    return false;
}

void captures_refresh(struct captures *captures, void (*done)(void *arg), void *arg)
{
    (void)captures;
    done(arg);
}

static void close_source(struct source *source)
{
    (void)source;
}

int node_source_open(struct node *node, const struct source_request *request, struct source **out,
                     char **excluded, struct err *err)
{
    static const struct source_ops ops = {.close = close_source};
    static struct source source = {.ops = &ops};

    (void)node;
    (void)excluded;
    checked_ring = request->buffer_bytes;
    if (strcmp(request->interface, "good0") == 0) {
        *out = &source;
        return 0;
    }
    return err_set(err, ERR_NOT_FOUND, "no interface '%s'", request->interface);
}

const struct gauges_sample *gauges_newest(const struct gauges *gauges)
{
    static struct gauges_sample sample = {.taken_ns = 1};

    (void)gauges;
    sample.store.free_bytes = disk_is_full ? 4096 : UINT64_MAX;
    return &sample;
}

/* Nothing fits: with no interface there is nothing to try on a worker. */
void devices_ask(struct node *node, devices_told_cb told, void *arg)
{
    (void)node;
    told(NULL, &(struct interface_list){0}, arg);
}

/* ---- nodes ---- */

static struct swarm swarm;
static bool is_closed;

static void open_jobs(unsigned i)
{
    struct node *node = &swarm.nodes[i].node;
    struct err err = {0};

    work_open(node);
    node->captures = (void *)node;
    assert_int_equal(jobs_open(node, &err), 0);
}

static void on_closed(struct node *node)
{
    (void)node;
    is_closed = true;
}

static bool it_is_closed(struct swarm *s, void *arg)
{
    (void)s;
    (void)arg;
    return is_closed;
}

static void close_jobs(unsigned i)
{
    struct node *node = &swarm.nodes[i].node;

    if (node->jobs != NULL) {
        jobs_drain(node, clock_monotonic_ns(), on_closed);
        for (unsigned k = 0; k < n_fakes; k++) { /* as the end of a node does it */
            if (fakes[k].is_open && fakes[k].node == node) {
                node->stopping = true;
                end_fake(&fakes[k]);
            }
        }
        is_closed = false;
        jobs_close(node, on_closed);
        assert_true(swarm_pump(&swarm, it_is_closed, NULL));
        is_closed = false;
        work_close(node, on_closed);
        assert_true(swarm_pump(&swarm, it_is_closed, NULL));
    }
}

static void start(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        swarm_prepare(&swarm, i, "127.0.0.1:0", "a", i == 0 ? -1 : 0);
        swarm_start(&swarm, i);
        open_jobs(i);
    }
    for (unsigned i = 0; i < n; i++) {
        for (unsigned j = 0; j < n; j++) {
            swarm_await(&swarm, i, j, GOSSIP_ALIVE);
        }
    }
}

static int set_up(void **state)
{
    (void)state;
    n_fakes = 0;
    disk_is_full = false;
    swarm_init(&swarm);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SWARM_NODES_MAX; i++) {
        close_jobs(i);
    }
    swarm_deinit(&swarm);
    return 0;
}

static struct jobs *jobs_of(unsigned i)
{
    return swarm.nodes[i].node.jobs;
}

/* For all nodes, on an interface that node_source_open does not have: each fails with that. */
static struct job_spec a_job(unsigned node, int64_t start_in_ns)
{
    struct job_spec spec = job_example(node, jobs_now_ns(jobs_of(node)) + start_in_ns);

    spec.creator = jobs_self(jobs_of(node));
    snprintf(spec.interface, sizeof spec.interface, "eth0");
    return spec;
}

struct wish {
    struct id id;
    unsigned n;
    enum job_state state;
};

static bool all_are(struct swarm *s, void *arg)
{
    const struct wish *wish = arg;
    struct job_row row;

    (void)s;
    for (unsigned i = 0; i < wish->n; i++) {
        if (!jobs_own_row(jobs_of(i), &wish->id, &row) || row.state != wish->state) {
            return false;
        }
    }
    return true;
}

static void await(const struct job_spec *spec, unsigned n, enum job_state state)
{
    struct wish wish = {.id = spec->id, .n = n, .state = state};

    assert_true(swarm_pump(&swarm, all_are, &wish));
}

static void on_decided(void *arg, const struct job_row *row)
{
    *(struct job_row *)arg = *row;
}

static void what_one_node_knows_spreads_and_each_says_why_not(void **state)
{
    struct job_row row = {0};
    struct err err = {0};

    (void)state;
    start(3);
    struct job_spec spec = a_job(1, 20 * JOB_SECOND);
    assert_int_equal(jobs_arm(jobs_of(1), &spec, on_decided, &row, &err), 0);
    jobs_spread(jobs_of(1), &spec.id);
    await(&spec, 3, JOB_FAILED);
    assert_int_equal(row.state, JOB_FAILED);
    assert_string_equal(row.reason, "no interface 'eth0'");
    assert_true(jobs_own_row(jobs_of(2), &spec.id, &row));
    assert_string_equal(row.node, "n2");
    assert_string_equal(row.reason, "no interface 'eth0'");
    snprintf(spec.interface, sizeof spec.interface, "eth*");
    assert_int_equal(jobs_arm(jobs_of(1), &spec, on_decided, &row, &err), ERR_EXISTS);
}

static void a_flag_goes_to_all_and_outlives_them(void **state)
{
    struct err err = {0};
    struct id id;

    (void)state;
    start(2);
    struct job_spec spec = a_job(0, 20 * JOB_SECOND);
    spec.selector = (struct job_selector){.by = JOB_SELECTS_NODES, .n = 1, .sids = {12345}};
    assert_int_equal(jobs_know(jobs_of(0), &spec, &err), 0);
    jobs_spread(jobs_of(0), &spec.id);
    for (int i = 0; i < 500 && jobs_get(jobs_of(1), &spec.id) == NULL; i++) {
        swarm_turns(&swarm, 10);
    }
    assert_int_equal(jobs_find(jobs_of(1), "dns", &id, &err), 0);
    jobs_raise(jobs_of(1), &id, JOB_STOP);
    for (int i = 0; i < 500 && jobs_get(jobs_of(0), &id)->flags == 0; i++) {
        swarm_turns(&swarm, 10);
    }
    assert_int_equal(jobs_get(jobs_of(0), &id)->flags, JOB_STOP);
    swarm_turns(&swarm, 300); /* the journals are written */
    for (unsigned i = 0; i < 2; i++) {
        close_jobs(i);
        open_jobs(i);
        assert_int_equal(jobs_get(jobs_of(i), &id)->state, JOB_NOT_MINE);
        assert_int_equal(jobs_get(jobs_of(i), &id)->flags, JOB_STOP);
    }
}

static void a_capture_is_cut_at_the_instants_and_goes_on_after_a_restart(void **state)
{
    struct job_row row = {0};
    struct err err = {0};

    (void)state;
    start(2);
    struct job_spec spec = a_job(0, JOB_SECOND / 2);
    snprintf(spec.interface, sizeof spec.interface, "good0");
    assert_int_equal(jobs_arm(jobs_of(0), &spec, on_decided, &row, &err), 0);
    jobs_spread(jobs_of(0), &spec.id);
    await(&spec, 2, JOB_RUNNING);
    assert_int_equal(n_open(), 2);
    assert_int_equal(row.state, JOB_ARMED);
    for (unsigned i = 0; i < 2; i++) {
        const struct capture_request *request = &fakes[i].request;
        int64_t from = spec.start_ns + jobs_offset_ns(fakes[i].node->jobs);
        assert_true(llabs((long long)request->from_ns - (long long)from) <
                    200000000); /* a swarm that is new finds its time */
        assert_int_equal(request->until_ns - request->from_ns, 10 * JOB_SECOND);
        assert_false(request->resumes);
    }
    close_jobs(1);
    assert_int_equal(n_open(), 1);
    open_jobs(1);
    for (int i = 0; i < 500 && n_fakes < 3; i++) {
        swarm_turns(&swarm, 10);
    }
    await(&spec, 2, JOB_RUNNING);
    assert_int_equal(n_fakes, 3);
    assert_true(fakes[2].request.resumes);
    assert_true(jobs_own_row(jobs_of(1), &spec.id, &row));
    assert_string_equal(row.reason, "resumed after the node was down");
    jobs_raise(jobs_of(0), &spec.id, JOB_STOP);
    await(&spec, 2, JOB_DONE);
    assert_int_equal(n_open(), 0);
    assert_true(jobs_own_row(jobs_of(1), &spec.id, &row));
    assert_int_equal(row.tally.packets, 7);
}

static bool both_have_measured(struct swarm *s, void *arg)
{
    uint64_t least = *(const uint64_t *)arg;

    return swarm_metric(s, 0, "packetrecorder_swarm_burst_pings_total") >= least &&
           swarm_metric(s, 1, "packetrecorder_swarm_burst_pings_total") >= least;
}

static void members_of_a_job_measure_each_others_clocks(void **state)
{
    struct job_row row = {0};
    struct err err = {0};
    uint64_t wanted = SWIM_BURST_PINGS;

    (void)state;
    start(2);
    struct job_spec spec = a_job(0, JOB_LEAD_NS + JOB_SECOND / 2);
    snprintf(spec.interface, sizeof spec.interface, "good0 eth*  good0");
    assert_int_equal(jobs_arm(jobs_of(0), &spec, on_decided, &row, &err), 0);
    jobs_spread(jobs_of(0), &spec.id);
    await(&spec, 2, JOB_ARMED);
    assert_true(swarm_pump(&swarm, both_have_measured, &wanted));
    assert_int_equal(n_fakes, 0);                  /* long before its start */
    assert_in_range(checked_ring, 1, 1024 * 1024); /* a whole one takes the kernel long */
    wanted *= 2;
    assert_true(swarm_pump(&swarm, both_have_measured, &wanted));
    await(&spec, 2, JOB_RUNNING);
    for (unsigned i = 0; i < 2; i++) {
        bool is_creator = fakes[i].node == &swarm.nodes[0].node;
        assert_true(fakes[i].request.clock_reference == (is_creator ? 0 : spec.creator));
        assert_int_equal(fakes[i].request.n_interfaces, 1);
    }
    jobs_raise(jobs_of(0), &spec.id, JOB_STOP);
    await(&spec, 2, JOB_DONE);
}

static void a_full_disk_is_told_before_the_start(void **state)
{
    struct job_row row = {0};
    struct err err = {0};

    (void)state;
    start(1);
    disk_is_full = true;
    struct job_spec spec = a_job(0, 20 * JOB_SECOND);
    assert_int_equal(jobs_arm(jobs_of(0), &spec, on_decided, &row, &err), 0);
    assert_int_equal(row.state, JOB_FAILED);
    assert_non_null(strstr(row.reason, "full"));
}

static void a_damaged_journal_begins_nothing_of_before(void **state)
{
    struct buf bytes = {0};
    struct err err = {0};

    (void)state;
    start(1);
    struct job_spec spec = a_job(0, 20 * JOB_SECOND);
    spec.id = id_make(clock_wall_ns() / 1000000u - 5000, (const uint8_t[ID_RANDOM_BYTES]){1});
    assert_int_equal(jobs_know(jobs_of(0), &spec, &err), 0);
    swarm_turns(&swarm, 300);
    close_jobs(0);
    assert_int_equal(job_file_read(swarm.nodes[0].state_dir, &bytes, &err), 0);
    assert_true(bytes.len > 100);
    bytes.data[60] ^= 1;
    assert_int_equal(job_file_write(swarm.nodes[0].state_dir, &bytes, &err), 0);
    buf_deinit(&bytes);
    open_jobs(0);
    assert_null(jobs_get(jobs_of(0), &spec.id));
    assert_int_equal(jobs_know(jobs_of(0), &spec, &err), 0);
    assert_int_equal(jobs_get(jobs_of(0), &spec.id)->state, JOB_FAILED);
    assert_non_null(strstr(jobs_get(jobs_of(0), &spec.id)->reason, "journal"));
}

static void more_jobs_than_may_be_are_refused_and_counted(void **state)
{
    struct err err = {0};
    struct buf out = {0};
    int rc = 0;

    (void)state;
    start(1);
    for (unsigned i = 0; i < 1000; i++) {
        struct job_spec spec = a_job(0, 20 * JOB_SECOND);
        spec.id.bytes[15] = (uint8_t)i;
        spec.id.bytes[14] = (uint8_t)(i >> 8);
        spec.selector = (struct job_selector){.by = JOB_SELECTS_NODES, .n = 1, .sids = {12345}};
        rc = jobs_know(jobs_of(0), &spec, &err);
        assert_int_equal(rc, i < JOBS_MAX ? 0 : ERR_LIMIT);
    }
    jobs_metrics(&swarm.nodes[0].node, &out);
    assert_non_null(strstr((const char *)out.data, "packetrecorder_jobs_refused_total 744\n"));
    assert_non_null(strstr((const char *)out.data, "state=\"not selected\"} 256\n"));
    buf_deinit(&out);
}

struct waiting {
    struct jobs_later later;
    unsigned n;
};

static void on_time(struct jobs_later *later)
{
    container_of(later, struct waiting, later)->n++;
}

static bool went_on(struct swarm *s, void *arg)
{
    (void)s;
    return ((const struct waiting *)arg)->n > 0;
}

/* Its only seed is a port where nobody is. */
static void start_alone(void)
{
    struct swarm_node *node = &swarm.nodes[0];

    swarm_prepare(&swarm, 0, "127.0.0.1:0", "a", -1);
    node->joins[0] = "127.0.0.1:9";
    node->options.join = (struct option_list){.items = node->joins, .n = 1};
    swarm_start(&swarm, 0);
    open_jobs(0);
}

static void nothing_is_decided_before_the_time_is_known(void **state)
{
    struct waiting one = {.later = {.go_on = on_time}};
    struct waiting other = one;

    (void)state;
    start_alone();
    assert_true(jobs_wait_for_time(jobs_of(0), &one.later));
    swarm_turns(&swarm, 300);
    assert_int_equal(one.n, 0);
    swarm_prepare(&swarm, 1, "127.0.0.1:0", "a", 0);
    swarm_start(&swarm, 1);
    assert_true(swarm_pump(&swarm, went_on, &one));
    assert_int_equal(one.n, 1);
    assert_false(jobs_wait_for_time(jobs_of(0), &other.later));
    assert_int_equal(other.n, 0);
}

static void who_waits_for_the_time_is_told_of_the_end(void **state)
{
    struct waiting one = {.later = {.go_on = on_time}};

    (void)state;
    start_alone();
    assert_true(jobs_wait_for_time(jobs_of(0), &one.later));
    close_jobs(0);
    assert_int_equal(one.n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_one_node_knows_spreads_and_each_says_why_not, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_flag_goes_to_all_and_outlives_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_capture_is_cut_at_the_instants_and_goes_on_after_a_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(members_of_a_job_measure_each_others_clocks, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_full_disk_is_told_before_the_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_journal_begins_nothing_of_before, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(more_jobs_than_may_be_are_refused_and_counted, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_decided_before_the_time_is_known, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_waits_for_the_time_is_told_of_the_end, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
