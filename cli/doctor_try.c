/* SPDX-License-Identifier: Apache-2.0
 *
 * What can only be known by trying: whether the store opens with its key, whether the API keys can
 * be read, whether the certificate is good.
 */
#include "cli/doctor.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/database.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/options/node_check.h"
#include "shared/wire/api_key.h"
#include "shared/wire/cluster_key.h"
#include "shared/wire/tls.h"

#define DAY_NS          (86400ULL * 1000000000ULL)
#define EXPIRES_SOON_NS (14 * DAY_NS)

/* True, with the problem told, when others than its owner can read a file that is a secret. */
static bool is_open_to_others(struct doctor_report *report, const char *path, const char *what)
{
    char mend[4400];
    struct stat st;

    if (path == NULL || stat(path, &st) < 0 || (st.st_mode & (S_IRWXG | S_IRWXO)) == 0) {
        return false;
    }
    snprintf(mend, sizeof mend, "chmod 600 %s", path);
    doctor_say(report, DOCTOR_PROBLEM, mend, "%s '%s' can be read by others (mode %03o)", what,
               path, (unsigned)st.st_mode & 0777);
    return true;
}

static void try_encryption(const struct doctor *doctor, struct doctor_report *report)
{
    const struct node_options *options = doctor->options;
    bool wanted = options->encryption_key != NULL || options->encryption_key_file != NULL;

    if (!PR_SQLCIPHER) {
        doctor_say(report, wanted ? DOCTOR_PROBLEM : DOCTOR_NOTE,
                   wanted ? "cmake --preset release -DPR_SQLCIPHER=ON" : NULL,
                   "built without SQLCipher: no store can be encrypted");
    } else if (!wanted) {
        doctor_say(report, DOCTOR_NOTE, "packetrecorder keys db-new > store.key",
                   "the store is not encrypted: no key is given");
    } else if (!is_open_to_others(report, options->encryption_key_file, "the store's key")) {
        doctor_say(report, DOCTOR_OK, NULL, "SQLCipher is there, and a key");
    }
}

static void store_problem(const struct doctor *doctor, struct doctor_report *report, int rc,
                          const struct err *err)
{
    const char *database = doctor->options->database;
    char mend[4400];

    switch (rc) {
    case ERR_KEY:
        snprintf(mend, sizeof mend, "packetrecorder sessions -d %s --encryption-key-file FILE",
                 database);
        break;
    case ERR_PERMISSION:
        snprintf(mend, sizeof mend, "chown -R %s %s %s.d", doctor->host->writer, database,
                 database);
        break;
    case ERR_VERSION:
    case ERR_UNSUPPORTED:
        snprintf(mend, sizeof mend, "packetrecorder --version");
        break;
    default:
        snprintf(mend, sizeof mend, "packetrecorder verify -d %s", database);
        break;
    }
    doctor_say(report, DOCTOR_PROBLEM, mend, "%s", err->text);
}

static void try_store(const struct doctor *doctor, struct doctor_report *report)
{
    const struct node_options *options = doctor->options;
    const struct store_args args = {.database = options->database,
                                    .key = options->encryption_key,
                                    .key_file = options->encryption_key_file};
    struct store_session *sessions = NULL;
    struct store *store = NULL;
    struct err err = {0};
    size_t n = 0;

    if (access(options->database, F_OK) < 0) {
        doctor_say(report, DOCTOR_OK, NULL, "no store '%s' yet: the node makes it",
                   options->database);
        return;
    }
    int rc = database_open(&args, STORE_READ, &store, &err);
    if (rc == 0) {
        rc = store_sessions(store, &sessions, &n, &err);
    }
    if (rc < 0) {
        store_problem(doctor, report, rc, &err);
    } else {
        size_t damaged = 0;
        char mend[4400];
        for (size_t i = 0; i < n; i++) {
            damaged += sessions[i].state == STORE_DAMAGED ? 1 : 0;
        }
        snprintf(mend, sizeof mend, "packetrecorder verify -d %s", options->database);
        doctor_say(report, damaged > 0 ? DOCTOR_PROBLEM : DOCTOR_OK, damaged > 0 ? mend : NULL,
                   "the store opens: %zu sessions, %zu of them damaged", n, damaged);
    }
    store_sessions_free(sessions, n);
    store_close(store);
}

/* How many are in force, and how many of those may transmit. */
static void count_keys(const struct api_keys *keys, size_t *good, size_t *inject)
{
    uint64_t now_ns = clock_wall_ns();

    for (size_t i = 0; i < keys->n; i++) {
        if (keys->items[i].expires_ns > now_ns) {
            *good += 1;
            *inject += (api_role_rights(keys->items[i].role) & RIGHT_INJECT) != 0 ? 1 : 0;
        }
    }
}

static void judge_keys(const struct doctor *doctor, struct doctor_report *report, size_t good,
                       size_t inject)
{
    const struct node_options *options = doctor->options;
    const char *which = NULL;
    char mend[4400];

    snprintf(mend, sizeof mend, "packetrecorder keys add -d %s --role view", options->database);
    if (good == 0 && node_options_reach_out(options, &which)) {
        doctor_say(report, DOCTOR_PROBLEM, mend,
                   "'%s' is for other hosts, but there is no API key: the node does not start",
                   which);
    } else if (good == 0) {
        doctor_say(report, DOCTOR_NOTE, mend,
                   "there is no API key: every user of this host can watch its packets");
    } else {
        doctor_say(report, DOCTOR_OK, NULL, "%zu API keys are in force", good);
    }
    if (options->allow_inject && inject == 0) {
        snprintf(mend, sizeof mend, "packetrecorder keys add -d %s --role inject",
                 options->database);
        doctor_say(
            report, DOCTOR_PROBLEM, mend,
            "--allow-inject is set, but no API key has the role inject: nobody can transmit");
    }
}

/* The node reads it as --user. */
static bool is_of_another_user(const struct doctor *doctor, struct doctor_report *report,
                               const char *path, const char *what)
{
    const char *name = doctor->options->user;
    const struct passwd *user = name == NULL ? NULL : getpwnam(name);
    struct stat st;
    char mend[4400];

    if (user == NULL || user->pw_uid == 0 || stat(path, &st) < 0 || st.st_uid == user->pw_uid) {
        return false;
    }
    snprintf(mend, sizeof mend, "chown %s %s", name, path);
    doctor_say(report, DOCTOR_PROBLEM, mend, "%s '%s' cannot be read by '%s'", what, path, name);
    return true;
}

static void try_keys(const struct doctor *doctor, struct doctor_report *report)
{
    char *path = api_keys_path(doctor->options->database);
    struct api_keys keys = {0};
    struct err err = {0};
    size_t good = 0;
    size_t inject = 0;

    if (!is_open_to_others(report, path, "the file of API keys") &&
        !is_of_another_user(doctor, report, path, "the file of API keys")) {
        if (api_keys_load(path, &keys, &err) < 0) {
            char mend[4400];
            snprintf(mend, sizeof mend, "packetrecorder keys list -d %s",
                     doctor->options->database);
            doctor_say(report, DOCTOR_PROBLEM, mend, "%s", err.text);
        } else {
            count_keys(&keys, &good, &inject);
            judge_keys(doctor, report, good, inject);
        }
        api_keys_free(&keys);
    }
    mem_free(path);
}

static void try_tls(const struct doctor *doctor, struct doctor_report *report)
{
    const struct node_options *options = doctor->options;
    struct tls_context *context = NULL;
    uint64_t expires_ns = UINT64_MAX;
    struct err err = {0};
    char mend[8192];

    if (options->tls_cert == NULL || options->tls_key == NULL) {
        doctor_say(report, DOCTOR_OK, NULL, "no TLS is asked for");
        return;
    }
    if (is_open_to_others(report, options->tls_key, "the certificate's key")) {
        return;
    }
    if (access(options->tls_cert, F_OK) < 0 && access(options->tls_key, F_OK) < 0) {
        snprintf(mend, sizeof mend,
                 "openssl req -x509 -newkey rsa:3072 -nodes -days 365 -subj /CN=$(hostname) "
                 "-addext subjectAltName=DNS:$(hostname) -keyout %s -out %s",
                 options->tls_key, options->tls_cert);
    } else {
        snprintf(mend, sizeof mend, "openssl x509 -noout -subject -enddate -in %s",
                 options->tls_cert);
    }
    if (tls_server_context_new(options->tls_cert, options->tls_key, &context, &expires_ns, &err) <
        0) {
        doctor_say(report, DOCTOR_PROBLEM, mend, "%s", err.text);
        return;
    }
    tls_context_free(context);
    uint64_t now_ns = clock_wall_ns();
    if (expires_ns <= now_ns) {
        doctor_say(report, DOCTOR_PROBLEM, mend, "the certificate '%s' has expired",
                   options->tls_cert);
    } else if (expires_ns - now_ns < EXPIRES_SOON_NS) {
        doctor_say(report, DOCTOR_PROBLEM, mend, "the certificate '%s' expires in %llu days",
                   options->tls_cert, (unsigned long long)((expires_ns - now_ns) / DAY_NS));
    } else {
        doctor_say(report, DOCTOR_OK, NULL, "the certificate is good for %llu days",
                   (unsigned long long)((expires_ns - now_ns) / DAY_NS));
    }
}

static void try_cluster_key(const struct doctor *doctor, struct doctor_report *report)
{
    const char *path = doctor->options->cluster_key_file;
    struct cluster_key *key = NULL;
    struct err err = {0};

    if (path == NULL) {
        doctor_say(report, DOCTOR_OK, NULL, "no swarm is asked for");
    } else if (!is_open_to_others(report, path, "the cluster key file") &&
               !is_of_another_user(doctor, report, path, "the cluster key file")) {
        if (cluster_key_load(path, &key, &err) == 0) {
            doctor_say(report, DOCTOR_OK, NULL, "the cluster key is good");
        } else {
            doctor_say(report, DOCTOR_PROBLEM, "packetrecorder keys cluster-new", "%s", err.text);
        }
        cluster_key_free(key);
    }
}

const struct doctor_check doctor_tries[] = {
    {"encryption", try_encryption},   {"store", try_store}, {"keys", try_keys},
    {"cluster-key", try_cluster_key}, {"tls", try_tls},     {NULL, NULL},
};
