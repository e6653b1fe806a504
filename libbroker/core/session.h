/*
 * session.h - who is attached, what they have open, and what happens when they are gone
 *
 * A session is an internal object: it has a slot with a guard and a heap like any other, in which
 * its attachments lie. So whatever is left when a process dies is found from its session, at a cost
 * proportional to what it had open. The daemon makes sessions and reaps the dead; a session that
 * leaves in good order reaps itself. Only a process that certainly is dead may be reaped:
 * bri_session_is_dead() is how to know without the daemon.
 */
#ifndef BRI_SESSION_H
#define BRI_SESSION_H

#include <sys/types.h>

#include "core/guard.h"

/* Who a session belongs to, as the kernel says. */
struct bri_peer {
    pid_t pid;
    uid_t uid;
    gid_t gid;
    bool may_write;
    char name[16]; /* that people see; empty: the name of its program */
};

/* What is to be known of a session; a copy. */
struct bri_session_info {
    uint32_t number;
    uint32_t status; /* enum bri_session_status */
    uint32_t pid, uid, gid;
    uint64_t start_time;
    uint64_t attached_ns; /* CLOCK_REALTIME */
    uint32_t n_attachments;
    bool may_write;
    bool mapped; /* its process has had the arena in its memory */
    char comm[16];
};

static inline struct bri_session_shm *bri_session_state(const struct bri_object *session)
{
    return (struct bri_session_shm *)session->slot->state;
}

/* Binds @out to the slot of session @number. INVALID outside the table. */
int bri_session_object(struct bri_arena *a, uint32_t number, struct bri_object *out_session);

/* The start time of a process in clock ticks since boot, from /proc; 0 and NOTFOUND if there is no
 * such process. */
int bri_process_start_time(pid_t pid, uint64_t *out_start_time);

/*
 * Makes a session for @peer. LIMIT when the table is full, QUOTA when the peer's user has as many
 * as he may, NOTFOUND when the peer is gone, NOMEM. For the daemon alone, one at a time: sessions
 * are counted before.
 */
int bri_session_create(struct bri_arena *a, const struct bri_peer *peer, uint32_t *out_number);

/* Copies what the table says of session @number. INVALID outside the table. */
int bri_session_info(struct bri_arena *a, uint32_t number, struct bri_session_info *out_info);

/* True if the session's process certainly is dead (or its pid belongs to a later one). Makes system
 * calls. */
bool bri_session_is_dead(struct bri_arena *a, uint32_t number);

/* True if all threads of the process are gone. A system call or three. */
bool bri_process_ended(pid_t pid);

#endif
