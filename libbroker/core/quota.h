/*
 * quota.h - what users have of an arena, and how much they may have
 *
 * Each user (uid) who made objects has an account in the registry's heap: how many objects, and how
 * many pages. Pages are claimed under the guards of objects, many at a time; so that they need not
 * meet at the account, pages are granted to an object in advance: `granted_pages` of its slot, of
 * which the account is the sum, both changed in one section of the registry. An object claims what
 * it was granted by itself, and asks for more when that is used up. Before anything is refused,
 * what others of the user's objects were granted and do not use is taken back: so a limit is exact.
 *
 * Killed anywhere in here, the registry's journal undoes both. Sessions, and what a session has
 * open, are counted where they are.
 */
#ifndef BRI_QUOTA_H
#define BRI_QUOTA_H

#include "core/guard.h"

/* Who is over which limit: the last thing that this thread was refused. */
enum bri_limit {
    BRI_LIMIT_NONE,
    BRI_LIMIT_OBJECT_BYTES,    /* an object's own quota */
    BRI_LIMIT_USER_BYTES,      /* who: the uid */
    BRI_LIMIT_USER_OBJECTS,    /* who: the uid */
    BRI_LIMIT_USER_SESSIONS,   /* who: the uid */
    BRI_LIMIT_SESSION_OBJECTS, /* who: the session */
};

struct bri_refusal {
    enum bri_limit limit;
    uint32_t who;
    uint64_t allowed, used;
};

/* Notes who is over which limit, and gives BROKER_QUOTA. */
int bri_refuse(enum bri_limit limit, uint32_t who, uint64_t allowed, uint64_t used);

/* Which limit was noted. */
enum bri_limit bri_refused(void);

/* What was noted; it is forgotten then. */
struct bri_refusal bri_refusal_take(void);

/* ---- the account of objects; in sections of the registry ---- */

/*
 * Counts one more object of @uid, and the pages that it starts with if it @has_heap, which are
 * granted to it: in @out_granted. QUOTA, NOMEM, CORRUPT: the section has failed.
 */
int bri_account_add(struct bri_txn *t, uint32_t uid, bool has_heap, uint32_t *out_granted);

/* The object in @s is destroyed. */
void bri_account_unname(struct bri_txn *t, const struct bri_slot_shm *s);

/* The memory of the object in @s is given back. */
void bri_account_bury(struct bri_txn *t, struct bri_slot_shm *s);

/* ---- outside sections ---- */

/*
 * Has @o granted at least @n_pages altogether. BRI_AGAIN when it has them, QUOTA, GONE, and what
 * bri_begin() says.
 */
int bri_grant(const struct bri_object *o, uint64_t n_pages);

/*
 * Takes back what objects of @uid (NULL: of everybody) were granted and do not use; true if there
 * was anything. Each time it waits for the registry at most @deadline_ns as in bri_lock().
 */
bool bri_reclaim_grants(struct bri_arena *a, const uint32_t *uid, int64_t deadline_ns);

/* 0 is no limit. */
struct bri_limits {
    uint64_t user_bytes; /* rounded up to pages */
    uint64_t user_objects;
    uint32_t user_sessions;
    uint32_t session_objects;
};

/*
 * Puts limits in force. What is there already stays, but what was granted in advance does not,
 * unless its object is in the hands of a stopped process.
 */
void bri_set_limits(struct bri_arena *a, const struct bri_limits *limits);

/* 0, or QUOTA when the user has as many sessions as he may. */
int bri_quota_check_sessions(struct bri_arena *a, uint32_t uid);

#endif
