/*
 * session.h - sessions: from hello until the client says goodbye, or nothing for too long
 */
#ifndef ZMQD_SESSION_H
#define ZMQD_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include <broker.h>

#include "core/arena.h"
#include "objects.h"
#include "peer.h"
#include "record.h"
#include "server.h"
#include "worker.h"

#define ZMQD_KEY_SIZE 16

/* A request that is being carried out. Lives on its worker's stack. */
struct zmqd_pending {
    struct zmqd_pending *next, **link;
    struct zmqd_worker *worker;
    uint64_t id;
    size_t size;      /* of its memory */
    bool is_aside;    /* has an allowance of its own, so that it gets through when others do not */
    bool is_answered; /* the session ended first */
};

struct zmqd_session {
    struct zmqd_node node; /* first: by key */
    uint8_t key[ZMQD_KEY_SIZE];
    struct zmqd_session *next, *previous;
    struct zmqd *z;
    struct zmqd_user user;
    struct zmqd_peer *peer; /* NULL while its connection is lost */
    broker *broker;
    struct zmqd_objects objects;
    struct zmqd_pending *pending;
    uint32_t n_pending, n_aside; /* of these */
    size_t pending_bytes;
    struct zmqd_records records;
    uint64_t last_id; /* the greatest so far */
    int64_t timeout_ns, heard_ns;
    sd_event_source *on_death; /* of its process; NULL: only silence tells */
    bool is_ending, died;      /* no request is begun any more */
    struct zmqd_job end;
};

/* What a client wishes for, and who it is. */
struct zmqd_wish {
    char arena[64];
    char client[16]; /* by which people know it; may be empty */
    bool read_only;
    int64_t timeout_ns;
    struct zmqd_user user;
};

/* A new session. LIMIT, NOMEM, and what attaching says. */
int zmqd_session_new(struct zmqd *z, const struct zmqd_wish *wish, struct zmqd_session **out);

/* The one with this key; NULL if there is none any more. */
struct zmqd_session *zmqd_session_find(struct zmqd *z, const uint8_t key[ZMQD_KEY_SIZE]);

/* Something was heard of it. */
void zmqd_session_heard(struct zmqd_session *s);

/* From now on it ends with the process @pid, at the latest; 0: with no process. False if that has
 * ended already. */
bool zmqd_session_watch(struct zmqd_session *s, pid_t pid);

/*
 * Lists a request, and takes it off. BROKER_LIMIT if there are too many, or they take too much
 * memory; what is aside takes none.
 */
int zmqd_pending_add(struct zmqd_session *s, struct zmqd_pending *p);
void zmqd_pending_remove(struct zmqd_session *s, struct zmqd_pending *p);
struct zmqd_pending *zmqd_pending_find(const struct zmqd_session *s, uint64_t id);

/*
 * Ends the session: what waits is given up, and then all goes back that it holds, as from one that
 * leaves, or (@died) as from one that died. It is not to be used after this.
 */
void zmqd_session_end(struct zmqd_session *s, bool died);

/* Watches for sessions of which nothing is heard. False, logged, if that cannot be. */
bool zmqd_sessions_start(struct zmqd *z);

/* Ends those whose keys may not do any more what they do. */
void zmqd_sessions_check(struct zmqd *z);

/* All sessions have ended. */
void zmqd_sessions_free(struct zmqd *z);

#endif
