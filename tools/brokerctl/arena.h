/*
 * What is to be known of an arena as a whole, and of who uses which object: pictures, taken without
 * guards.
 */
#ifndef CTL_ARENA_H
#define CTL_ARENA_H

#include "ctl.h"
#include "rows.h"

struct ctl_arena {
    char name[64];
    uint64_t size_bytes;   /* the most that it may have */
    uint64_t used_bytes;   /* that somebody has, tables included */
    uint64_t backed_bytes; /* that have memory behind them */
    uint64_t n_named, n_anonymous;
    uint32_t n_sessions, max_sessions;
    bool has_disk; /* of the file system behind it: */
    uint64_t disk_bytes, disk_free_bytes;
};

void ctl_look_at_arena(struct ctl *ctl, struct ctl_arena *out);

/* The programs that have the object @name open: session, pid, command, alive, leases, waiting.
 * 0, NOTFOUND, ... */
int ctl_add_users(struct ctl *ctl, const char *name, struct ctl_rows *rows);

/*
 * The leased items of the queue @name: object, number, session, pid, command, deliveries, age_ns,
 * left_ns, size_bytes. 0, NOTFOUND, ...
 */
int ctl_add_leases(struct ctl *ctl, const char *name, struct ctl_rows *rows);

extern const struct ctl_column ctl_lease_columns[];
extern const unsigned ctl_n_lease_columns;

#endif
