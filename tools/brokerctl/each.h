/*
 * Looking at many objects.
 */
#ifndef CTL_EACH_H
#define CTL_EACH_H

#include "ctl.h"

/* Which objects. */
struct ctl_filter {
    const char *type; /* NULL: every type */
    const char *word; /* what names begin with, or with *, ? or [] what they match; NULL: all */
};

/* Whether @word is a pattern. */
bool ctl_is_glob(const char *word);

/* Their names, types and sizes, in @buffer: what broker_objects() returns. */
int ctl_list_objects(struct ctl *ctl, const struct ctl_filter *filter, broker_buffer *buffer,
    broker_value *out_objects);

/* @stat is what broker_stat() tells. Negative ends the walk. */
typedef int ctl_each_fn(void *arg, const char *name, broker_value stat);

/*
 * Calls @fn for each object, in order of name; what vanishes meanwhile is left out. 0, a failure of
 * the library's, or what @fn gave.
 */
int ctl_each_object(struct ctl *ctl, const struct ctl_filter *filter, ctl_each_fn *fn, void *arg);

/* How many things an object of any type contains: items, entries, ... False if its type contains
 * nothing. */
bool ctl_contents(broker_value stat, uint64_t *out_n);

#endif
