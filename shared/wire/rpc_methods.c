/* SPDX-License-Identifier: Apache-2.0
 *
 * Nothing but the table.
 */
#include "shared/wire/rpc_methods.h"

#include <string.h>

#include "shared/base/mem.h"
#include "shared/wire/rpc.h"

#define PARAMS(array) .params = (array), .n_params = ARRAY_LEN(array)

#define SESSION_ID                                                                                 \
    {                                                                                              \
        .name = "session_id", .type = RPC_TEXT, .required = true,                                  \
        .what = "A session: its id, a start of it of at least 8 characters, its name, or `last`."  \
    }
#define FILTER(words)                                                                              \
    {                                                                                              \
        .name = "filter", .type = RPC_FILTER, .what = (words)                                      \
    }
#define FROM_TO                                                                                    \
    {.name = "from", .type = RPC_TIME, .what = "Only packets from then on."},                      \
    {                                                                                              \
        .name = "to", .type = RPC_TIME, .what = "Only packets until then."                         \
    }
#define CURSOR                                                                                     \
    {                                                                                              \
        .name = "cursor", .type = RPC_TEXT, .what = "Where the last answer ended: its `next`."     \
    }

/* ---- captures ---- */

static const struct rpc_param capture_start[] = {
    {.name = "interface", .type = RPC_TEXT, .what = "An interface; or `interfaces`."},
    {.name = "interfaces",
     .type = RPC_TEXTS,
     .what = "Several interfaces, recorded into one session."},
    FILTER("Only packets that this pcap filter lets through."),
    {.name = "name", .type = RPC_TEXT, .what = "A name of the session, in place of its id."},
    {.name = "tags", .type = RPC_TAGS, .what = "Words about the session."},
    {.name = "max_packets",
     .type = RPC_COUNT,
     .what = "Ends after so many packets; 0 is no limit."},
    {.name = "max_bytes",
     .type = RPC_SIZE,
     .what = "Ends after so many bytes of packets; 0 is no limit."},
    {.name = "duration", .type = RPC_DURATION, .what = "Ends after so long; 0 is no limit."},
    {.name = "snaplen",
     .type = RPC_SIZE,
     .max = 262144,
     .what = "Keeps so many bytes of each packet; 0 keeps all."},
    {.name = "promisc", .type = RPC_BOOL, .what = "Also what is not for this host (true)."},
};

static const struct rpc_param one_session[] = {SESSION_ID};

/* ---- jobs ---- */

#define JOB_ID                                                                                     \
    {                                                                                              \
        .name = "job_id", .type = RPC_TEXT, .required = true,                                      \
        .what = "A job: its id, a start of it of at least 8 characters, its name, or `last`."      \
    }
#define ONLY_HERE                                                                                  \
    {                                                                                              \
        .name = "only_here", .type = RPC_BOOL, .what = "Asks no other node (false)."               \
    }

static const char *const job_policies[] = {"best-effort", "quorum", "all", NULL};
static const char *const job_lates[] = {"skip", "start", NULL};

static const struct rpc_param job_start[] = {
    {.name = "interface",
     .type = RPC_TEXT,
     .required = true,
     .what = "Interfaces, blanks between them, or patterns such as `eth*` for those that are up; "
             "all of a node become one session."},
    {.name = "nodes",
     .type = RPC_TEXTS,
     .what = "Names or ids of nodes, 32 at the most, or `all` (the node asked)."},
    {.name = "select", .type = RPC_TEXTS, .what = "Nodes with all of these tags `KEY=VALUE`."},
    FILTER("Only packets that this pcap filter lets through; 512 bytes at the most."),
    {.name = "name", .type = RPC_TEXT, .what = "A name of the job and of its sessions."},
    {.name = "max_packets",
     .type = RPC_COUNT,
     .what = "Each node ends after so many packets; 0 is no limit."},
    {.name = "max_bytes",
     .type = RPC_SIZE,
     .what = "Each node ends after so many bytes of packets; 0 is no limit."},
    {.name = "duration",
     .type = RPC_DURATION,
     .what = "From the start to the end (an hour where there is no limit, else a day)."},
    {.name = "snaplen",
     .type = RPC_SIZE,
     .max = 262144,
     .what = "Keeps so many bytes of each packet; 0 keeps all."},
    {.name = "promisc", .type = RPC_BOOL, .what = "Also what is not for the hosts (true)."},
    {.name = "start_at",
     .type = RPC_TIME,
     .what = "When it begins, by the clock of the node asked; or `start_in`."},
    {.name = "start_in", .type = RPC_DURATION, .what = "From now to the start (3 s)."},
    {.name = "policy",
     .type = RPC_WORD,
     .words = job_policies,
     .what = "Who must be armed for it to begin: one, `quorum` percent, or `all`; else it is "
             "called off (best-effort)."},
    {.name = "quorum", .type = RPC_COUNT, .max = 100, .what = "Percent (more than half)."},
    {.name = "late",
     .type = RPC_WORD,
     .words = job_lates,
     .what = "What a node does that hears of it behind the start: `skip` it, or `start` (skip)."},
};

static const struct rpc_param job_arm[] = {
    {.name = "spec",
     .type = RPC_TEXT,
     .required = true,
     .what = "The record of the job in hex (shared/jobs/job_spec.h)."},
};

static const struct rpc_param job_status[] = {JOB_ID, ONLY_HERE};

static const struct rpc_param job_stop[] = {
    JOB_ID,
    ONLY_HERE,
    {.name = "call_off",
     .type = RPC_BOOL,
     .what = "Who has not begun never begins; who has stops (false)."},
};

#define JOB_ROW                                                                                    \
    "`{node, id, state: unreached|arming|armed|running|done|failed|missed|aborted, session, "      \
    "reason, late_ns, packets, bytes, loss: {kernel, interface, store, limit}}`"
#define JOB_OBJECT                                                                                 \
    "`{id, name, state, start_at, end_at, interface, filter, late, policy, stopped, nodes: "       \
    "[row]}`; a row "                                                                              \
    "is " JOB_ROW

/* ---- sessions ---- */

static const struct rpc_param session_list[] = {
    {.name = "limit", .type = RPC_COUNT, .what = "The newest so many (all)."},
};

static const struct rpc_param session_prune[] = {
    {.name = "max_bytes",
     .type = RPC_SIZE,
     .what = "Deletes the oldest until the store takes no more than this on disk; 0 is no bound."},
    {.name = "max_age",
     .type = RPC_DURATION,
     .what = "Deletes what ended longer ago than this; 0 is no bound."},
    {.name = "keep_tags",
     .type = RPC_TEXTS,
     .what = "Sessions with one of these tags, `KEY` or `KEY=VALUE`, stay whatever happens."},
};

static const struct rpc_param session_query[] = {
    SESSION_ID,
    FILTER("Only packets that match."),
    FROM_TO,
    {.name = "limit", .type = RPC_COUNT, .max = 10000, .what = "Packets in one answer (100)."},
    {.name = "data", .type = RPC_BOOL, .what = "With the bytes of each packet, in hex."},
    CURSOR,
};

static const char *const read_formats[] = {"pcapng", "pcap", NULL};

static const struct rpc_param session_read[] = {
    SESSION_ID,
    FILTER("Only packets that match."),
    FROM_TO,
    {.name = "format", .type = RPC_WORD, .words = read_formats, .what = "Of the file (pcapng)."},
    {.name = "max_bytes",
     .type = RPC_SIZE,
     .max = RPC_READ_MAX,
     .what = "Bytes in one answer (1 MiB)."},
    CURSOR,
};

/* ---- replay ---- */

static const struct rpc_param replay_start[] = {
    SESSION_ID,
    {.name = "interface", .type = RPC_TEXT, .what = "Sends on this one (the recorded one)."},
    FILTER("Only packets that match."),
    FROM_TO,
    {.name = "speed",
     .type = RPC_REAL,
     .max = 1000000,
     .what = "1 as recorded, 2 twice as fast, 0 as fast as possible (1)."},
    {.name = "count", .type = RPC_COUNT, .what = "Ends after so many packets; 0 is no limit."},
    {.name = "loop",
     .type = RPC_COUNT,
     .what = "So many times in a row; 0 is until it is stopped (1)."},
};

static const struct rpc_param replay_stop[] = {
    {.name = "replay_id",
     .type = RPC_TEXT,
     .required = true,
     .what = "Of replay.start; at least 8 characters of it."},
};

/* ---- live ---- */

static const struct rpc_param live_open[] = {
    {.name = "interface",
     .type = RPC_TEXT,
     .required = true,
     .what = "An interface, also NAME:IFACE of an uplink, or NODE/IFACE of another member."},
    FILTER("Only packets that this pcap filter lets through."),
    {.name = "snaplen",
     .type = RPC_SIZE,
     .max = 262144,
     .what = "Keeps so many bytes of each packet; 0 keeps all."},
};

static const struct rpc_param live_read[] = {
    {.name = "stream", .type = RPC_COUNT, .required = true, .what = "Of live.open."},
    {.name = "wait_ms",
     .type = RPC_COUNT,
     .max = RPC_LIVE_WAIT_MAX,
     .what = "Answers after so long though there is nothing (1000)."},
    {.name = "max_bytes",
     .type = RPC_SIZE,
     .max = RPC_LIVE_MAX,
     .what = "Bytes of packets in one answer (256 KiB)."},
};

static const struct rpc_param live_close[] = {
    {.name = "stream", .type = RPC_COUNT, .required = true, .what = "Of live.open."},
};

/* ---- events ---- */

static const struct rpc_param events_subscribe[] = {
    {.name = "after",
     .type = RPC_COUNT,
     .what = "Begins behind the event of this number, 0 with the oldest that is kept (only what "
             "comes)."},
    {.name = "types", .type = RPC_TEXTS, .what = "Only these (all): see [Events](#events)."},
};

/* ---- keys ---- */

static const struct rpc_param keys_add[] = {
    {.name = "role",
     .type = RPC_WORD,
     .required = true,
     .words = api_role_names,
     .what = "What the key may do."},
    {.name = "name", .type = RPC_TEXT, .what = "Whose it is, in words."},
    {.name = "expires",
     .type = RPC_TEXT,
     .what = "When it ends: a duration (`30d`) or a time (never)."},
};

static const struct rpc_param keys_revoke[] = {
    {.name = "key_id",
     .type = RPC_TEXT,
     .required = true,
     .what = "Its id, the first characters of it, or its name."},
};

static const struct rpc_param node_audit[] = {
    {.name = "limit", .type = RPC_COUNT, .max = 10000, .what = "The newest so many (100)."},
};

/* ---- swarm ---- */

static const struct rpc_param swarm_join[] = {
    {.name = "addresses",
     .type = RPC_TEXTS,
     .required = true,
     .what = "HOST or HOST:PORT of members, in the form of --join."},
};

static const struct rpc_param swarm_forget[] = {
    {.name = "node_id",
     .type = RPC_TEXT,
     .required = true,
     .what = "A member: its id, at least 8 digits of it, or its name. To be forgotten it must be "
             "dead or have left."},
    {.name = "ban", .type = RPC_BOOL, .what = "It may not come back (false)."},
    {.name = "unban", .type = RPC_BOOL, .what = "It may come back (false)."},
    {.name = "admin",
     .type = RPC_TEXT,
     .what = "The public half of the key that will sign the order (`prv_…`): nothing is ordered "
             "yet, the answer is `{node_id, name, to_sign}`."},
    {.name = "order",
     .type = RPC_TEXT,
     .what = "`to_sign` with its signature (protocol-swarm.md, Orders). Needed where nodes have "
             "`--swarm-admin`."},
};

static const char *const key_actions[] = {"list", "add", "use", "retire", NULL};

static const struct rpc_param swarm_keys[] = {
    {.name = "action",
     .type = RPC_WORD,
     .words = key_actions,
     .what = "`list` who holds which; `add` a key to the keyring; `use` it for sealing; `retire` "
             "an old one (list)."},
    {.name = "key", .type = RPC_TEXT, .what = "For add: `prc_CLUSTERID_KEY`."},
    {.name = "key_id", .type = RPC_TEXT, .what = "For use and retire: as listed."},
    {.name = "force", .type = RPC_BOOL, .what = "Also where a live member is left out (false)."},
};

#define REPLAY_OBJECT                                                                              \
    "`{replay_id, session_id, state: opening|running|ended, interface, filter, speed, loop, "      \
    "round, "                                                                                      \
    "started, ended, stopped, error, packets, bytes, errors, missing, not_sent, duration_ns, "     \
    "gap_error, lateness, interfaces}`"
#define SESSION_OBJECT "The session, as `sessions --json` prints it"

const struct rpc_method rpc_methods[] = {
    {.name = "node.info",
     .fans_out = true,
     .right = RIGHT_VIEW,
     .what = "The node: name, version, captures, losses, protocols, store, live streams.",
     .result = "The object of GET /api/v1/stats."},
    {.name = "node.interfaces",
     .fans_out = true,
     .right = RIGHT_VIEW,
     .what = "All interfaces, those of uplinks (NAME:IFACE) last.",
     .result = "An array, as `list-interfaces --json` prints it, each with `node`."},
    {.name = "node.doctor",
     .fans_out = true,
     .right = RIGHT_VIEW,
     .what = "What keeps the node from its work.",
     .result = "`{ok, checks: [{name, ok, detail}]}`."},
    {.name = "node.audit",
     .fans_out = true,
     .right = RIGHT_ADMIN,
     .what = "Who changed what through RPC.",
     .result = "An array of `{time, who, peer, method, target, outcome}`, oldest first.",
     PARAMS(node_audit)},
    {.name = "capture.start",
     .fans_out = true,
     .right = RIGHT_CAPTURE,
     .changes = true,
     .what = "Starts a capture into the store of the node.",
     .result = SESSION_OBJECT ", running.",
     .limits = "--max-captures at a time (`limit`).",
     PARAMS(capture_start)},
    {.name = "capture.stop",
     .fans_out = true,
     .right = RIGHT_CAPTURE,
     .changes = true,
     .what = "Ends a capture; answers when every packet is stored.",
     .result = SESSION_OBJECT ".",
     PARAMS(one_session)},
    {.name = "capture.list",
     .fans_out = true,
     .right = RIGHT_VIEW,
     .what = "The captures that run, with live counters.",
     .result = "An array of sessions, oldest first."},
    {.name = "capture.stats",
     .fans_out = true,
     .right = RIGHT_VIEW,
     .what = "One capture with live counters; one that has ended as its session.",
     .result = SESSION_OBJECT ".",
     PARAMS(one_session)},
    {.name = "job.start",
     .right = RIGHT_CAPTURE,
     .changes = true,
     .is_large = true,
     .what = "Starts one capture on many nodes at one instant. Each of them compiles the filter, "
             "opens the interface, looks at its disk and writes the job into its journal; the "
             "start itself needs no message. Nodes that come back, or join, before the start take "
             "part. Packets are cut by their stamps. Where the caller goes before the answer, the "
             "job is called off.",
     .result = JOB_OBJECT ", `limit_given`: false where it got its hour, and "
                          "`least_known_clock`: null or {node, bound_ns} of the clock that is "
                          "known least against that of the node asked.",
     .limits = "256 jobs are known at a time (`limit`).",
     PARAMS(job_start)},
    {.name = "job.arm",
     .of_nodes = true,
     .right = RIGHT_CAPTURE,
     .changes = true,
     .what = "From node to node: does this node's part of a job. Answers when it is armed in the "
             "journal, or why it is not.",
     .result = "The node's row: " JOB_ROW ".",
     PARAMS(job_arm)},
    {.name = "job.stop",
     .right = RIGHT_CAPTURE,
     .changes = true,
     .is_large = true,
     .what = "Ends a job on all nodes, also on those that hear of it later only. Any node may be "
             "asked.",
     .result = "As job.status.",
     PARAMS(job_stop)},
    {.name = "job.status",
     .right = RIGHT_VIEW,
     .is_large = true,
     .what = "A job on all its nodes: what they answer, and what was heard of those that do not. "
             "Any node may be asked.",
     .result = JOB_OBJECT "; with `only_here` the node's row.",
     PARAMS(job_status)},
    {.name = "job.list",
     .right = RIGHT_VIEW,
     .is_large = true,
     .what = "The jobs that the node knows, until a day after their end, with what it has heard "
             "of the others; nobody is asked.",
     .result = "An array of what job.status gives, oldest first."},
    {.name = "session.list",
     .fans_out = true,
     .right = RIGHT_VIEW,
     .what = "What the store holds.",
     .result = "An array of sessions, oldest first.",
     .limits = "8 MiB in one answer, some 9,000 sessions (`limit`).",
     .is_large = true,
     PARAMS(session_list)},
    {.name = "session.query",
     .fans_out = true,
     .is_large = true,
     .right = RIGHT_VIEW,
     .what = "Packets of a session as lines, page by page.",
     .result = "`{packets, next, resume, damaged_packets, deleted_packets}`, as "
               "GET /api/v1/sessions/{id}/packets; `next` is the cursor of the next page, nil at "
               "the end.",
     .limits = "A page ends after 4 MiB or two seconds of searching.",
     PARAMS(session_query)},
    {.name = "session.read",
     .is_large = true,
     .right = RIGHT_CAPTURE,
     .what = "A session as a capture file, chunk by chunk. The next chunk is asked for with the "
             "cursor of this one, so nothing comes faster than it is taken, and a reading goes on "
             "after a broken connection, or a restart of the node, with the very next byte. With "
             "a cursor `from` and `to` are those of the first call.",
     .result = "`{data, offset, checksum, packets, missing, left_out, next}`: bytes of the file "
               "(bin), where in it they stand, their CRC-32C; of the file so far the whole "
               "packets, those that are damaged or were deleted meanwhile, and those that the "
               "format cannot hold; and the cursor of the next chunk, nil at the end. A chunk may "
               "be short, even empty, while `next` is not nil.",
     .limits = "From 4 KiB to 4 MiB in one answer, which comes after a second of searching at the "
               "latest; 8 readings and downloads at a time (`limit`).",
     PARAMS(session_read)},
    {.name = "session.delete",
     .fans_out = true,
     .right = RIGHT_ADMIN,
     .changes = true,
     .what = "Deletes a session and its packets.",
     .result = "`{id}`.",
     PARAMS(one_session)},
    {.name = "session.prune",
     .fans_out = true,
     .right = RIGHT_ADMIN,
     .changes = true,
     .what = "Deletes whole sessions, oldest first, until `max_bytes` and `max_age` hold, of which "
             "one must be given. What is being recorded stays.",
     .result = "`{sessions, packets, stored_bytes, disk_bytes}`: what was deleted, and what the "
               "store takes on disk then.",
     PARAMS(session_prune)},
    {.name = "replay.start",
     .right = RIGHT_INJECT,
     .changes = true,
     .what = "Sends the packets of a session with the distances in time that they were recorded "
             "with; the node must run with --allow-inject. Answers when everything is open; the "
             "replay goes on until its end or replay.stop, also when the client goes.",
     .result = REPLAY_OBJECT ".",
     .limits = "4 at a time (`limit`).",
     PARAMS(replay_start)},
    {.name = "replay.stop",
     .fans_out = true,
     .right = RIGHT_INJECT,
     .changes = true,
     .what = "Ends a replay; answers when it has ended, at once when it had.",
     .result = REPLAY_OBJECT ".",
     PARAMS(replay_stop)},
    {.name = "replay.list",
     .fans_out = true,
     .right = RIGHT_VIEW,
     .what = "The replays that run and the last 16 that ended.",
     .result = "An array, oldest first, of what replay.stats gives."},
    {.name = "replay.stats",
     .fans_out = true,
     .right = RIGHT_VIEW,
     .what = "One replay: how far it is, or what came of it.",
     .result = REPLAY_OBJECT
     ". `errors` are packets that were not sent, `not_sent` says why, `missing` could not be read; "
     "`started` and `ended` are nil before, `error` is nil or why it ended early.",
     PARAMS(replay_stop)},
    {.name = "live.open",
     .right = RIGHT_VIEW,
     .what = "Begins to follow an interface: its packets from now on are asked for with live.read. "
             "Those who follow the same interface with the same filter and snaplen share one "
             "capture; who reads too slowly loses the oldest and is told.",
     .result = "`{stream, interface, filter, snaplen, link_type, excluded, node}`: the number that "
               "live.read and live.close take; what of the node's own traffic is left out.",
     .limits = "64 streams on one connection, 1,024 in all (`limit`). A stream ends with its "
               "connection, with live.close, and when nobody has read for 30 s.",
     PARAMS(live_open)},
    {.name = "live.read",
     .right = RIGHT_VIEW,
     .what = "What came since the last answer: at once when there is something, else when it "
             "comes or when wait_ms are over, then without data. Up to 4 reads of a stream may be "
             "under way; they are answered in their order.",
     .result = "`{data, watermark_ns, packets, lost, clock, node, end, why}`: whole pcapng blocks "
               "(bin), in the first answer with Section Header and Interface Description; a time "
               "of the clock that stamps the packets, before which none will follow (0: not "
               "known); of the stream so far the packets and those that the reader was too slow "
               "for; `{offset_ns, bound_ns}`, that clock minus swarm time, or nil; the node whose "
               "interface it is. `end` true: this is the last answer, and `why` says why.",
     .limits = "From 4 KiB to 1 MiB in one answer, more when one packet is larger; waits at most "
               "30 s.",
     PARAMS(live_read)},
    {.name = "live.close",
     .right = RIGHT_VIEW,
     .what = "Ends a stream of live.open; reads that wait are answered with its end.",
     .result = "`{stream, packets, lost}`.",
     PARAMS(live_close)},
    {.name = "events.subscribe",
     .right = RIGHT_VIEW,
     .streams = true,
     .what = "What happens on the node, as notifications `events.event [{call_id, number, type, "
             "…}]` until `rpc.cancel` of this call or the end of the connection.",
     .result = "`{after}`: the number behind which it begins.",
     .limits = "8 on one connection; the newest 4,096 are kept, of those that are gone `lost` "
               "says how many.",
     PARAMS(events_subscribe)},
    {.name = "keys.add",
     .right = RIGHT_ADMIN,
     .changes = true,
     .what = "Makes an API key of the node. The secret is shown this once.",
     .result = "`{id, name, role, created, expires, key}`; key is `pr_ID_SECRET`.",
     PARAMS(keys_add)},
    {.name = "keys.list",
     .fans_out = true,
     .right = RIGHT_ADMIN,
     .what = "The API keys, never a secret.",
     .result = "An array of `{id, name, role, created, expires, state}`."},
    {.name = "keys.revoke",
     .right = RIGHT_ADMIN,
     .changes = true,
     .what = "Ends an API key and its connections.",
     .result = "`{id, name, left}`: how many keys are left.",
     PARAMS(keys_revoke)},
    {.name = "swarm.members",
     .fans_out = true,
     .right = RIGHT_VIEW,
     .what = "The members of the swarm, this node among them.",
     .result =
         "An array, as `members --json` prints it; `label` is what the `node` of other answers "
         "has: the name, or NAME@ID8 where others have that."},
    {.name = "swarm.join",
     .right = RIGHT_ADMIN,
     .changes = true,
     .what = "Joins through these members, retried until one answers.",
     .result = "`{addresses}`: those that are tried.",
     PARAMS(swarm_join)},
    {.name = "swarm.leave",
     .right = RIGHT_ADMIN,
     .changes = true,
     .what = "Leaves the swarm; the node goes on alone.",
     .result = "`{left}`: true."},
    {.name = "swarm.forget",
     .right = RIGHT_ADMIN,
     .changes = true,
     .what = "Takes a member off the lists of all.",
     .result = "`{node_id, name, banned}`.",
     PARAMS(swarm_forget)},
    {.name = "swarm.keys",
     .right = RIGHT_ADMIN,
     .changes = true,
     .what = "The keyring of the swarm.",
     .result = "An array of `{key_id, state, held_by, lacking}`, after what was done.",
     PARAMS(swarm_keys)},
};
const size_t n_rpc_methods = ARRAY_LEN(rpc_methods);

const struct rpc_method *rpc_method_find(const char *name)
{
    for (size_t i = 0; i < n_rpc_methods; i++) {
        if (strcmp(rpc_methods[i].name, name) == 0) {
            return &rpc_methods[i];
        }
    }
    return NULL;
}
