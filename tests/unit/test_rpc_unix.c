/* SPDX-License-Identifier: Apache-2.0
 *
 * Making the UNIX socket of RPC: mode, what is in the way, and what a crash left.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/rpc_unix_posix.h"
#include "shared/base/mem.h"

struct place {
    char folder[64];
    char path[96];
};

static int set_up(void **state)
{
    struct place *place = x_alloc(sizeof *place);

    snprintf(place->folder, sizeof place->folder, "/tmp/pr-unix-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    snprintf(place->path, sizeof place->path, "%s/rpc.sock", place->folder);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    char command[128];

    rpc_unix_release();
    snprintf(command, sizeof command, "rm -r %s", place->folder);
    assert_int_equal(system(command), 0); /* NOLINT: a name of ours */
    mem_free(place);
    return 0;
}

static int dial(const char *path)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    if (connect(fd, (const struct sockaddr *)&at, sizeof at) < 0) {
        close(fd);
        return -errno;
    }
    return fd;
}

static void the_socket_listens_and_has_its_mode(void **state)
{
    struct place *place = *state;
    struct stat st;
    char who[32];
    int fd, lock;

    mode_t mask = umask(0);
    assert_int_equal(rpc_unix_bind(place->path, false, NULL, NULL), 0);
    assert_int_equal(umask(mask), 0); /* as it was */
    assert_int_equal(stat(place->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    assert_true(rpc_unix_take(&fd, &lock));
    assert_false(rpc_unix_take(&fd, &lock));
    int client = dial(place->path);
    assert_true(client >= 0);
    int accepted = accept(fd, NULL, NULL);
    assert_true(rpc_unix_peer(accepted, who, sizeof who));
    char wanted[32];
    snprintf(wanted, sizeof wanted, "uid %u", (unsigned)getuid());
    assert_string_equal(who, wanted);
    close(accepted);
    close(client);
    close(fd);
    rpc_unix_remove(place->path, lock);
    assert_int_not_equal(access(place->path, F_OK), 0);
}

static void of_two_nodes_the_second_is_refused(void **state)
{
    struct place *place = *state;
    struct err err = {0};
    int fd, lock;

    assert_int_equal(rpc_unix_bind(place->path, false, NULL, NULL), 0);
    assert_true(rpc_unix_take(&fd, &lock));
    assert_int_equal(rpc_unix_bind(place->path, false, NULL, &err), ERR_IN_USE);
    assert_non_null(strstr(err.text, "--rpc-socket"));
    int client = dial(place->path);
    assert_true(client >= 0); /* the first one's is still there */
    close(client);
    close(fd); /* it starts or ends: nobody answers, but it lives */
    assert_int_equal(rpc_unix_bind(place->path, false, NULL, &err), ERR_IN_USE);
    close(lock);
}

static void what_a_crash_left_is_taken_away(void **state)
{
    struct place *place = *state;
    int fd, lock;

    assert_int_equal(rpc_unix_bind(place->path, false, NULL, NULL), 0);
    assert_true(rpc_unix_take(&fd, &lock));
    close(fd);
    close(lock);
    assert_int_equal(dial(place->path), -ECONNREFUSED);
    assert_int_equal(rpc_unix_bind(place->path, false, NULL, NULL), 0);
    int client = dial(place->path);
    assert_true(client >= 0);
    close(client);
}

/* Without our lock, as a program of somebody else. */
static void a_socket_on_which_somebody_answers_stays(void **state)
{
    struct place *place = *state;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(at.sun_path, sizeof at.sun_path, "%s", place->path);
    assert_int_equal(bind(other, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(other, 1), 0);
    assert_int_equal(rpc_unix_bind(place->path, false, NULL, NULL), ERR_IN_USE);
    int client = dial(place->path);
    assert_true(client >= 0);
    close(client);
    close(other);
}

static void a_file_or_a_link_in_the_way_stays(void **state)
{
    struct place *place = *state;
    struct stat st;
    char target[128];

    int fd = open(place->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    close(fd);
    assert_int_equal(rpc_unix_bind(place->path, false, NULL, NULL), ERR_EXISTS);
    assert_int_equal(stat(place->path, &st), 0);
    assert_int_equal(unlink(place->path), 0);
    snprintf(target, sizeof target, "%s/target", place->folder);
    assert_int_equal(symlink(target, place->path), 0);
    assert_int_equal(rpc_unix_bind(place->path, false, NULL, NULL), ERR_EXISTS);
    assert_int_not_equal(access(target, F_OK), 0);
}

static void places_that_cannot_be_are_refused_with_a_word(void **state)
{
    struct place *place = *state;
    char path[256];
    struct err err = {0};

    assert_int_equal(rpc_unix_bind("rpc.sock", false, NULL, &err), ERR_USAGE);
    memset(path, 'x', sizeof path - 1);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    assert_int_equal(rpc_unix_bind(path, false, NULL, &err), ERR_USAGE);
    snprintf(path, sizeof path, "%s/none/rpc.sock", place->folder);
    assert_int_equal(rpc_unix_bind(path, false, NULL, &err), ERR_NOT_FOUND);
    assert_int_equal(rpc_unix_bind(path, true, NULL, &err), 0); /* of the default path */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_socket_listens_and_has_its_mode),
        TEST(of_two_nodes_the_second_is_refused),
        TEST(what_a_crash_left_is_taken_away),
        TEST(a_socket_on_which_somebody_answers_stays),
        TEST(a_file_or_a_link_in_the_way_stays),
        TEST(places_that_cannot_be_are_refused_with_a_word),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
