/*
 * Opening objects, and what brokerctl's short life means for what it takes from them.
 *
 * Its session ends with the command, and what a session holds at its end goes back: leased items to
 * their queue, locks to the next one who wants them.
 */
#ifndef CTL_OBJECT_H
#define CTL_OBJECT_H

#include "ctl.h"
#include "dispatch.h"
#include "fail.h"

#define CTL_MAX_OPTIONS 16 /* of opening, of any type */
#define CTL_MAX_ARGS 8     /* of an operation */

/*
 * Attaches and opens the object of a command. @values (CTL_MAX_OPTIONS of them, in the order of the
 * type's options) may be NULL; the mode is set here. 0, or the exit code of a failure that was
 * told.
 */
int ctl_open_object(struct ctl *ctl, const struct ctl_target *target, broker_mode mode,
    const broker_value *values, struct bri_handle **out_handle);

/* Tells why an operation on the open object failed with @r, and who is in the way; gives its exit
 * code. */
int ctl_fail_call(
    const struct ctl_operation *op, struct bri_handle *handle, const char *name, int r);

/* Whether an operation has an argument that is a value. */
bool ctl_has_values(const struct ctl_operation *op);

/* Whether an operation makes the object that it needs. */
bool ctl_creates(const struct ctl_operation *op);

/* Whether an operation takes something, so that taking on and on makes sense. */
bool ctl_takes(const struct ctl_operation *op);

/* Whether the items that @op gives are leased: then they are to be finished once they were handed
 * on. */
bool ctl_leases(struct ctl *ctl, const struct ctl_operation *op, const char *name);

/* Finishes the items of one answer. 0, or the exit code of a failure that was told. */
int ctl_finish_items(const struct ctl_operation *op, const char *name, const struct bri_call *call);

/* Says what a notice or a success means that does not last. */
void ctl_note_success(struct ctl *ctl, const struct ctl_operation *op, const char *name, int r);

#endif
