/*
 * attach.h - how a program gets hold of an arena: the attach socket's messages, and the client's
 * side of it
 *
 * The socket is a unix SOCK_SEQPACKET one, so one message is one packet. Numbers are in the
 * machine's byte order, texts are NUL-terminated and padded with NULs. A client sends a request and
 * gets one answer; the answer's `kind` is the request's. What does not fit a struct below, byte for
 * byte, is answered with PROTO, and the connection ends.
 *
 * - HELLO: struct bri_attach_hello -> struct bri_attach_reply, on success with the arena's
 *   descriptor (SCM_RIGHTS). The first request but for STATUS, within BRI_ATTACH_PATIENCE_NS of
 *   connecting, and only once.
 * - UNSTICK: struct bri_attach_request -> reply: frees the guard of the object in `slot` if its
 *   owner is dead. 0, or TIMEDOUT when somebody who lives holds it.
 * - STATUS: struct bri_attach_request -> struct bri_attach_status, or a reply with a failure.
 * - LEAVE: struct bri_attach_request -> reply: takes back the session of this connection, which
 *   never was used.
 *
 * - SAVE: struct bri_attach_request -> reply, when the arena of this connection was saved: its text
 *   says where. ACCESS for readers, UNSUPPORTED if the arena is not to be saved; and why it failed.
 * - MONITOR: struct bri_attach_request -> reply: programs write down what they do, for two seconds
 *   more (core/monitor.h). For readers, who cannot ask for that in the arena itself.
 *
 * brokerd-zmq acts for others: brokerd's own child alone may say hello on behalf of a user. The
 * session then is that user's, with his rights and quotas, and lives as long as the child.
 *
 * The daemon learns from the kernel who asks. The session lives as long as its process runs the
 * program that attached, or until the process itself gives it back in the arena. That a connection
 * ends means nothing by itself; but a client notes in its session that it has mapped the arena: a
 * process that has done so, and has neither the mapping nor a connection now, is taken for one that
 * has become another program (exec). A daemon that came after the attach knows no other way.
 */
#ifndef BRI_ATTACH_H
#define BRI_ATTACH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <broker/types.h>

#include "client/address.h"
#include "core/guard.h"

#define BRI_ATTACH_MAGIC 0x31746142u /* "Bat1" */
#define BRI_ATTACH_VERSION 1u
#define BRI_ATTACH_PATIENCE_NS (2 * BRI_SECOND)
#define BRI_ATTACH_TEXT 200
#define BRI_ATTACH_WAIT_NS (60 * BRI_SECOND) /* a client, if its address does not say how long */

#define BRI_SYSTEM_DIR                                                                             \
    "/run/brokerd" /* of the system's instance; of a user's: brokerd below $XDG_RUNTIME_DIR */
#define BRI_ATTACH_NAME "attach" /* the socket in it */
#define BRI_DEFAULT_ARENA "default"

enum bri_attach_kind {
    BRI_ATTACH_HELLO = 1,
    BRI_ATTACH_UNSTICK = 2,
    BRI_ATTACH_STATUS = 3,
    BRI_ATTACH_LEAVE = 4,
    BRI_ATTACH_SAVE = 5,
    BRI_ATTACH_MONITOR = 6,
};

enum bri_attach_access {
    BRI_ATTACH_READ = 1,
    BRI_ATTACH_WRITE = 2, /* and read */
};

/* Bytes 0 to 7 of every message, in every version. */
struct bri_attach_head {
    uint32_t magic;   /* 0: BRI_ATTACH_MAGIC */
    uint16_t version; /* 4: of the sender */
    uint16_t kind;    /* 6: enum bri_attach_kind */
};

struct bri_attach_hello {
    struct bri_attach_head head;    /* 0 */
    uint32_t layout_version;        /* 8: BRI_LAYOUT_VERSION of the sender */
    uint32_t abi;                   /* 12: BRI_ABI of the sender */
    uint32_t access;                /* 16: enum bri_attach_access */
    uint32_t on_behalf;             /* 20: 1: of the user below; 0: what is below is 0 */
    char arena[BRI_ARENA_NAME_MAX]; /* 24 */
    uint32_t uid, gid;              /* 88 */
    char name[16];                  /* 96: by which people recognise him; empty: the process's */
};

struct bri_attach_request {
    struct bri_attach_head head; /* 0 */
    uint32_t slot;               /* 8: of an object, for UNSTICK; else 0 */
    uint32_t zero;               /* 12: 0 */
};

/* The same in every version, so that a refusal for the version can be read. */
struct bri_attach_reply {
    struct bri_attach_head head; /* 0 */
    int32_t status;              /* 8: 0 or a negative BROKER_ code */
    uint32_t session;            /* 12: its number; UINT32_MAX for readers, who have none */
    uint64_t generation;         /* 16: of the session's slot */
    uint64_t arena_size;         /* 24: bytes */
    char text[BRI_ATTACH_TEXT];  /* 32: a sentence when it failed */
};

struct bri_attach_status {
    struct bri_attach_head head; /* 0 */
    int32_t status;              /* 8: 0 */
    uint32_t pid;                /* 12: of the daemon */
    uint32_t n_sessions;         /* 16: of all arenas */
    uint32_t n_readers;          /* 20: clients that map an arena read-only */
    uint64_t uptime_ns;          /* 24 */
    uint64_t n_refused;          /* 32: connections that were turned away or dropped */
    char version[32];            /* 40: of the daemon */
};

_Static_assert(sizeof(struct bri_attach_head) == 8, "head");
_Static_assert(sizeof(struct bri_attach_hello) == 112, "hello");
_Static_assert(sizeof(struct bri_attach_request) == 16, "request");
_Static_assert(sizeof(struct bri_attach_reply) == 232, "reply");
_Static_assert(sizeof(struct bri_attach_status) == 72, "status");

static inline struct bri_attach_head bri_attach_head(enum bri_attach_kind kind)
{
    return (struct bri_attach_head){BRI_ATTACH_MAGIC, BRI_ATTACH_VERSION, (uint16_t)kind};
}

/* ---- the client's side ---- */

/* What an attach gives this process. */
struct bri_attached {
    int sock;
    uint32_t number; /* of the session; UINT32_MAX for a reader */
    struct bri_arena *arena;
    struct bri_object session; /* not bound for a reader */
};

/* Somebody else for whom a process attaches. */
struct bri_behalf {
    uid_t uid;
    gid_t gid;
    const char *name; /* what does not fit is cut off; NULL or empty: none */
};

/*
 * Attaches this process to the arena that @address names, which is of the road `unix:`; if that is
 * what @mapped (may be NULL) is, as one more user of the same mapping. NODAEMON, ACCESS, NOTFOUND,
 * VERSION, LIMIT, PROTO and what bri_arena_map() says; each failure leaves a sentence
 * (bri_fail_text).
 */
int bri_attach_to(
    const struct bri_address *address, struct bri_arena *mapped, struct bri_attached *out_attached);

/* Gives a session back that was never used, and all that bri_attach_to() gave. */
void bri_attach_undo(struct bri_attached *attached);

/* The broker works with what was given. */
void bri_attach_take(broker *b, const struct bri_attached *attached);

/* Lets go of the arena and the connection that the parent of this process had: neither is ours. */
void bri_attach_forget(broker *b);

/*
 * Has the daemon save the arena, and waits for that, however long it takes: where it was saved to
 * comes into @out_path. NODAEMON; each failure leaves a sentence.
 */
int bri_attach_save(broker *b, char out_path[BRI_ATTACH_TEXT]);

/*
 * Has all programs that use the arena write down their operations for BRI_MONITOR_LEASE_NS more,
 * also if we may only read: then the daemon is asked. NOMEM, NODAEMON, PROTO.
 */
int bri_attach_monitor(broker *b);

/* What the daemon says of itself. NODAEMON, PROTO. */
int bri_attach_ask_status(broker *b, struct bri_attach_status *out_status);

#endif
