/*
 * audit.h - the full structure check, of a live arena or of an image of one
 *
 * Changes nothing. Each object is checked under its guard (or not, in an image that nobody else
 * has); the page table is compared with the lists of all heaps. In a live arena only what stays
 * wrong under the guards counts; the cross-check of pages is for a quiet arena or an image.
 */
#ifndef BRI_AUDIT_H
#define BRI_AUDIT_H

#include <stdbool.h>

#include "core/guard.h"

struct bri_audit {
    void (*report)(void *arg, const char *object, const char *problem); /* may be NULL */
    void *arg;
    bool quiet_arena; /* nobody works in it: check pages against lists as well */
    /* results */
    uint64_t n_objects, n_sessions, n_problems;
    uint64_t n_pages_used, n_pages_free;
    /* inside */
    uint8_t *seen_pages; /* bit a page: in some list */
    uint8_t *seen_units; /* bit a unit of 16 bytes: start of a block that its owner knows */
    char object[BRI_NAME_MAX + 1];
    uint64_t
        held[2]; /* for type audits: what all sessions together count of the object in held[], */
    uint64_t n_leases; /* and in n_leases */
};

/*
 * Checks @a. Recovers what dead owners left (in an image: of everybody, since nobody in it lives).
 * The caller sets `report`, `arg` and `quiet_arena`. 0 when it could be done, whatever was found;
 * NOMEM, or what bri_begin() says.
 */
int bri_audit_arena(struct bri_arena *a, struct bri_audit *audit);

/* For type audits: a problem of @o. */
void bri_audit_fail(struct bri_audit *audit, const struct bri_object *o, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * For type audits: the block at @off is known to its owner. Every used block must be, exactly once.
 */
void bri_audit_block(struct bri_audit *audit, const struct bri_object *o, uint64_t off);

#endif
