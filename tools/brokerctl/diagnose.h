/*
 * What is wrong with an arena, or soon will be: what doctor and health tell.
 */
#ifndef CTL_DIAGNOSE_H
#define CTL_DIAGNOSE_H

#include "arena.h"

enum ctl_level {
    CTL_LEVEL_INFO, /* worth knowing */
    CTL_LEVEL_WARNING,
    CTL_LEVEL_CRITICAL,
};

/* Percent of what there is. */
struct ctl_thresholds {
    uint64_t warning, critical;
};

struct ctl_diagnosis {
    struct ctl *ctl;
    struct ctl_thresholds full;
    /* results */
    struct ctl_arena arena;
    struct ctl_rows rows; /* level, object (or nil), finding: the worst need not be first */
    unsigned n[3];        /* by level */
    uint64_t n_dead_sessions, n_deadlocked, n_dead_items, n_quarantined;
};

/*
 * Looks at everything; the caller sets `ctl` and `full`, and ends with ctl_diagnosis_free(). 0, or
 * what the library says.
 */
int ctl_diagnose(struct ctl_diagnosis *d);

void ctl_diagnosis_free(struct ctl_diagnosis *d);

const char *ctl_level_name(enum ctl_level level);

/* One finding more; @object may be NULL. */
void ctl_find(struct ctl_diagnosis *d, enum ctl_level level, const char *object, const char *format,
    ...) __attribute__((format(printf, 4, 5)));

#endif
