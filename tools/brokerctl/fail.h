/*
 * What is said when something goes wrong: one sentence that names what failed, and what to do next.
 */
#ifndef CTL_FAIL_H
#define CTL_FAIL_H

#include "ctl.h"

/* The exit code of what an operation returned: 0 for success and for notices. */
int ctl_exit_code(int r);

/* Tells the failure @r in a sentence of our own; gives its exit code. */
int ctl_fail(int r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Tells the library's last failure, which was @r; gives its exit code. */
int ctl_fail_last(int r);

/* Tells that the command was not written as it should be; gives CTL_EXIT_USAGE. */
int ctl_fail_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Tells what is worth knowing but no failure, unless --quiet was given. */
void ctl_note(const struct ctl *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Tells why an operation on the object @name failed with @r; gives its exit code. */
int ctl_fail_operation(const struct ctl_operation *op, const char *name, int r);

/* What a command is about. */
struct ctl_target {
    const struct ctl_type *type;
    const char *verb;
    const char *name; /* of the object */
};

/* Tells why an object could not be opened or created with @r; gives its exit code. */
int ctl_fail_open(struct ctl *ctl, const struct ctl_target *target, int r);

/* Tells that there is no object @name (of @type, if not NULL), and which one may have been meant.
 */
int ctl_fail_no_object(struct ctl *ctl, const struct ctl_type *type, const char *name);

/* The type of the object @name, such as "queue"; NULL if that cannot be found out. */
const char *ctl_type_of(struct ctl *ctl, const char *name);

#endif
