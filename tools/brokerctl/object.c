/*
 * object.c - see object.h
 */
#include "object.h"

#include "fail.h"
#include "view.h"
#include "words.h"

int ctl_open_object(struct ctl *ctl, const struct ctl_target *target, broker_mode mode,
    const broker_value *values, struct bri_handle **out_handle)
{
    const struct ctl_type *type = target->type;
    broker_value options[CTL_MAX_OPTIONS] = {{0}}; /* nil: the default */
    unsigned n = type->n_options < CTL_MAX_OPTIONS ? type->n_options : CTL_MAX_OPTIONS;
    int r, code = ctl_connect(ctl);

    if (code != 0)
        return code;
    for (unsigned i = 0; i < n; i++)
        if (type->options[i].kind == BRI_ARG_MODE)
            options[i] = broker_uint((uint64_t)mode);
        else if (values != NULL)
            options[i] = values[i];
    r = bri_dispatch_open(ctl->broker, type->number, target->name, options, n, out_handle);
    return r < 0 ? ctl_fail_open(ctl, target, r) : 0;
}

int ctl_fail_call(
    const struct ctl_operation *op, struct bri_handle *handle, const char *name, int r)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    struct bri_call owner = {.handle = handle, .op = BRI_OP_LOCK_OWNER, .buffer = &buffer};
    bool is_held = false;
    uint64_t pid = 0;

    if (op->op == BRI_OP_LOCK_ACQUIRE && r == BROKER_TIMEDOUT && bri_dispatch(&owner) >= 0) {
        is_held = owner.results[0].type != BROKER_NIL;
        pid = is_held ? ctl_map_number(owner.results[0], "pid") : 0;
    }
    broker_buffer_free(&buffer);
    if (!is_held)
        return ctl_fail_operation(op, name, r);
    if (pid == 0)
        return ctl_fail(r,
            "the lock \"%s\" is kept for an owner that has ended; `brokerctl lock release %s` "
            "frees it (%s)",
            name, name, broker_error_name(r));
    return ctl_fail(r,
        "the lock \"%s\" is held by process %llu, and was not given back in time (%s)", name,
        (unsigned long long)pid, broker_error_name(r));
}

static bool may_answer(const struct ctl_operation *op, enum broker_error error)
{
    for (unsigned i = 0; i < op->n_specific; i++)
        if (op->errors[i].error == error)
            return true;
    return false;
}

bool ctl_has_values(const struct ctl_operation *op)
{
    for (unsigned i = 0; i < op->n_args; i++)
        if (ctl_is_value(op->args[i].kind))
            return true;
    return false;
}

/*
 * An operation makes its object if the schema says so, or if a fresh one is all that it needs: it
 * stores a value (which can be too much) or changes it after waiting for something, and never
 * misses what was there before.
 */
bool ctl_creates(const struct ctl_operation *op)
{
    static const enum broker_error misses[] = {BROKER_NOTFOUND, BROKER_EMPTY, BROKER_MISMATCH,
        BROKER_NOTLOCKED, BROKER_NOTOWNER, BROKER_OVERDONE, BROKER_BROKEN};

    bool stores = ctl_has_values(op) && may_answer(op, BROKER_QUOTA);

    if (op->creates)
        return true;
    if (!op->changes || (!op->blocks && !stores))
        return false;
    for (size_t i = 0; i < sizeof(misses) / sizeof(misses[0]); i++)
        if (may_answer(op, misses[i]))
            return false;
    return true;
}

bool ctl_takes(const struct ctl_operation *op)
{
    for (unsigned i = 0; i < op->n_args; i++)
        if (!op->args[i].option)
            return false;
    for (unsigned i = 0; i < op->n_results; i++)
        if (!ctl_is_value(op->results[i].kind))
            return false; /* what is named by a token is only held */
    return op->changes && op->n_results > 0 && may_answer(op, BROKER_EMPTY);
}

static uint64_t number_of(struct ctl *ctl, const char *name, const char *key)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value stat;
    uint64_t number = 0;

    if (broker_stat(ctl->broker, name, &buffer, &stat) >= 0)
        number = ctl_map_number(stat, key);
    broker_buffer_free(&buffer);
    return number;
}

bool ctl_leases(struct ctl *ctl, const struct ctl_operation *op, const char *name)
{
    return (op->op == BRI_OP_QUEUE_GET || op->op == BRI_OP_QUEUE_GET_MANY) &&
           number_of(ctl, name, "joinable") != 0;
}

int ctl_finish_items(const struct ctl_operation *op, const char *name, const struct bri_call *call)
{
    struct bri_call done = {.handle = call->handle, .op = BRI_OP_QUEUE_TASK_DONE};
    struct bri_iter walk;
    uint32_t n = 1;
    int r = 0;

    if (op->op == BRI_OP_QUEUE_GET_MANY)
        n = ctl_walk_start(&walk, call->results[0]) ? walk.left : 0;
    for (uint32_t i = 0; i < n && r >= 0; i++)
        r = bri_dispatch(&done);
    return r < 0 ? ctl_fail_operation(op, name, r) : 0;
}

void ctl_note_success(struct ctl *ctl, const struct ctl_operation *op, const char *name, int r)
{
    for (unsigned i = 0; r > 0 && i < op->n_errors; i++)
        if (op->errors[i].error == (enum broker_error)r)
            ctl_note(ctl, "%s \"%s\": %s (%s)", op->type, name, op->errors[i].when,
                broker_error_name(r));
    if (op->op == BRI_OP_QUEUE_LEASE && !ctl->quiet)
        ctl_note(ctl, "the item goes back to \"%s\" as this command ends", name);
    if (op->op == BRI_OP_LOCK_ACQUIRE && !ctl->quiet && number_of(ctl, name, "keep_on_death") == 0)
        ctl_note(ctl,
            "the lock \"%s\" is given back as this command ends; `brokerctl lock run %s -- "
            "COMMAND` holds "
            "it while a command runs",
            name, name);
}
