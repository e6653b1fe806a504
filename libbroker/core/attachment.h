/*
 * attachment.h - what sessions have open, and giving it back
 *
 * Each object that a session has open is an attachment of it. Whatever the session holds of the
 * object hangs on that, and changes under the object's guard; the list of attachments, under the
 * session's. Reaping walks the list: it can be begun again at any point, and two may be at it.
 */
#ifndef BRI_ATTACHMENT_H
#define BRI_ATTACHMENT_H

#include "core/session.h"

/*
 * Gives back all that session @number holds, and the session itself. @died tells a death from a
 * leave. Each guard is waited for at most @patience_ns (negative, as in bri_lock()): TIMEDOUT when
 * one is held by a stopped process, and then the session stays, to be reaped again later.
 * Repeatable, by anybody, at any point.
 */
int bri_session_reap(struct bri_arena *a, uint32_t number, bool died, int64_t patience_ns);

/*
 * Gives back what the dead session @number holds of @o alone: for waiters that find out by
 * themselves. 0 also when there is nothing.
 */
int bri_session_reap_object(struct bri_object *o, uint32_t number);

/*
 * For a sleeper whose second is over: if no daemon lives that would do it, gives back what dead
 * sessions hold of @o. Makes system calls, some for each session.
 */
void bri_look_after_dead(struct bri_object *o);

/*
 * bri_begin() for a type's reap: waits as long as whoever reaps does, and makes sure that the
 * attachment still is the one to be reaped: several may reap at once, and the first to be done lets
 * the session's memory go. NOTFOUND if there is nothing left to do.
 */
int bri_reap_begin(struct bri_txn *t, struct bri_object *o);

/* 0, or QUOTA when the session has as many objects open as it may. */
int bri_session_check_objects(const struct bri_object *session);

/* Ties @session to the object bound in @o: a new attachment. NOMEM, LIMIT, QUOTA. */
int bri_attach(
    struct bri_object *session, const struct bri_object *o, struct bri_attachment_shm **out_att);

/* Gives back what @o->att holds and unties it. TIMEDOUT as in bri_session_reap(), after
 * BRI_PATIENCE. */
int bri_detach(struct bri_object *session, struct bri_object *o);

/*
 * From the section's commit on the object's memory stays the object's, even when it is destroyed,
 * until this attachment ends: for pointers that are used without the guard.
 */
void bri_pin(struct bri_txn *t);

/* The attachment at @off if it is one of @session's; else NULL. */
struct bri_attachment_shm *bri_attachment_at(const struct bri_object *session, uint64_t off);

#endif
