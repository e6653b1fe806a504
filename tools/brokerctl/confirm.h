/*
 * What destroys is asked for: on a terminal by a question, elsewhere by --yes.
 *
 * What is named and what nobody else has open goes without, in scripts: as `docker rm` and
 * `kubectl delete` do. On a terminal, contents are worth a question; in a script, that others use
 * it, or that it is meant by a pattern only, is worth --yes.
 */
#ifndef CTL_CONFIRM_H
#define CTL_CONFIRM_H

#include "ctl.h"
#include "rows.h"

/* The options of what destroys. */
struct ctl_consent {
    bool yes;
    bool dry_run;
};

#define CTL_DOC_YES "do not ask, also if others use it"
#define CTL_DOC_DRY_RUN "show what would be destroyed, and change nothing"

/* What is to be destroyed. Start from zeros. */
struct ctl_doomed {
    struct ctl_rows rows;
    uint64_t n_contents; /* in all of them */
    uint32_t n_used;     /* objects that somebody has open */
    bool by_pattern;     /* some of them */
};

void ctl_doom(struct ctl_doomed *doomed, const char *name, broker_value stat);

void ctl_doomed_free(struct ctl_doomed *doomed);

/*
 * Whether to go on: 0; or the exit code of what was told. *@out_stop is true when there is no more
 * to do, which is a success after a dry run. @verb is what happens to them: "destroy".
 */
int ctl_confirm(const struct ctl *ctl, const struct ctl_consent *consent, const char *verb,
    struct ctl_doomed *doomed, bool *out_stop);

#endif
