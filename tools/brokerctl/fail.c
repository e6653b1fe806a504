/*
 * fail.c - see fail.h
 */
#include "fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "nearest.h"
#include "print.h"
#include "view.h"

int ctl_exit_code(int r)
{
    for (unsigned i = 0; i < ctl_n_errors; i++)
        if (r < 0 && ctl_errors[i].error == (enum broker_error)r)
            return ctl_errors[i].exit_code;
    return r < 0 ? CTL_EXIT_FAILURE : 0;
}

/* What can be done about a failure that says nothing of it by itself. */
static const char *advice(int r)
{
    switch (r) {
    case BROKER_NOMEM:
    case BROKER_QUOTA:
        return "`brokerctl ls` shows what uses memory";
    case BROKER_CORRUPT:
        return "`brokerctl check` tells what is wrong, `brokerctl rm` removes it";
    case BROKER_LIMIT:
        return "`brokerctl clients` and `brokerctl ls` show what is there";
    case BROKER_NOTOWNER:
    case BROKER_DEADLOCK:
        return "`brokerctl locks` tells who holds it";
    case BROKER_MISMATCH:
        return "`brokerctl stat` shows how it is";
    case BROKER_BADNAME:
        return "a name is 1 to 255 bytes of UTF-8 without control characters";
    default:
        return NULL;
    }
}

/* What was printed so far comes first, where both go to the same place. */
static __attribute__((format(printf, 1, 0))) void tell(const char *format, va_list args)
{
    (void)fflush(stdout);
    (void)fputs(CTL_PROGRAM ": ", stderr);
    ctl_vsay(stderr, format, args);
    (void)fputc('\n', stderr);
}

int ctl_fail(int r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    tell(format, args);
    va_end(args);
    return ctl_exit_code(r);
}

int ctl_fail_last(int r)
{
    const char *next = advice(r);

    return ctl_fail(
        r, "%s%s%s", broker_last_error(), next != NULL ? "; " : "", next != NULL ? next : "");
}

int ctl_fail_usage(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    tell(format, args);
    va_end(args);
    return CTL_EXIT_USAGE;
}

void ctl_note(const struct ctl *ctl, const char *format, ...)
{
    va_list args;

    if (ctl->quiet)
        return;
    va_start(args, format);
    tell(format, args);
    va_end(args);
}

/* When this operation gives this error, in its own words; NULL if it is not one of its own. */
static const char *own_cause(const struct ctl_operation *op, int r)
{
    for (unsigned i = 0; i < op->n_specific; i++)
        if (op->errors[i].error == (enum broker_error)r)
            return op->errors[i].when;
    return NULL;
}

int ctl_fail_operation(const struct ctl_operation *op, const char *name, int r)
{
    const char *cause = own_cause(op, r), *next = advice(r);

    if (op->blocks && (r == BROKER_FULL || r == BROKER_EMPTY))
        next = "without --timeout 0 it waits";
    if (cause == NULL)
        return ctl_fail_last(r);
    return ctl_fail(r, "%s %s \"%s\": %s (%s)%s%s", op->type, op->command, name, cause,
        broker_error_name(r), next != NULL ? "; " : "", next != NULL ? next : "");
}

const char *ctl_type_of(struct ctl *ctl, const char *name)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    const char *found = NULL;
    broker_value stat, type;

    if (broker_stat(ctl->broker, name, &buffer, &stat) >= 0 && ctl_map_get(stat, "type", &type))
        for (unsigned i = 0; i < ctl_n_types && found == NULL; i++)
            if (ctl_is_text(type, ctl_types[i].name))
                found = ctl_types[i].name;
    broker_buffer_free(&buffer);
    return found;
}

static int fail_wrong_type(struct ctl *ctl, const struct ctl_target *target)
{
    const char *name = target->name, *type = target->type->name;
    const char *real = ctl_type_of(ctl, name);
    const struct ctl_type *other = real != NULL ? ctl_find_type(real) : NULL;

    if (other == NULL)
        return ctl_fail_last(BROKER_WRONGTYPE);
    if (ctl_find_operation(other, target->verb) != NULL)
        return ctl_fail(BROKER_WRONGTYPE, "\"%s\" is no %s but a %s: write `brokerctl %s %s %s`",
            name, type, real, real, target->verb, name);
    return ctl_fail(BROKER_WRONGTYPE,
        "\"%s\" is no %s but a %s: `brokerctl help %s` tells what can be done with it", name, type,
        real, real);
}

int ctl_fail_no_object(struct ctl *ctl, const struct ctl_type *type, const char *name)
{
    const char *kind = type != NULL ? type->name : "object";
    broker_buffer buffer = BROKER_BUFFER_INIT;
    struct ctl_nearest nearest;
    struct bri_iter walk;
    broker_value objects, row, found;
    char text[CTL_NEAREST_MAX + 1];

    ctl_nearest_start(&nearest, name);
    if (broker_objects(ctl->broker, type != NULL ? type->name : NULL, NULL, &buffer, &objects) >=
            0 &&
        ctl_walk_start(&walk, objects))
        while (ctl_walk_next(&walk, &row))
            if (ctl_map_get(row, "name", &found) && ctl_copy_text(found, text, sizeof(text)))
                ctl_nearest_try(&nearest, text);
    broker_buffer_free(&buffer);
    if (nearest.best[0] != '\0')
        return ctl_fail(BROKER_NOTFOUND, "there is no %s \"%s\"; did you mean \"%s\"?", kind, name,
            nearest.best);
    if (type == NULL)
        return ctl_fail(
            BROKER_NOTFOUND, "there is no object \"%s\"; `brokerctl ls` lists what there is", name);
    return ctl_fail(BROKER_NOTFOUND,
        "there is no %s \"%s\"; `brokerctl %s create` makes one, `brokerctl ls --type %s` lists "
        "them",
        kind, name, kind, kind);
}

int ctl_fail_open(struct ctl *ctl, const struct ctl_target *target, int r)
{
    const char *name = target->name;

    switch (r) {
    case BROKER_NOTFOUND:
        return ctl_fail_no_object(ctl, target->type, name);
    case BROKER_WRONGTYPE:
        return fail_wrong_type(ctl, target);
    case BROKER_EXISTS:
        return ctl_fail(r, "there is an object \"%s\" already; --exist-ok takes it as it is", name);
    case BROKER_MISMATCH:
        return ctl_fail(r,
            "the %s \"%s\" is there with other options; `brokerctl stat %s` shows which",
            target->type->name, name, name);
    case BROKER_INVALID:
        return ctl_fail(r,
            "an option is out of range for a %s; `brokerctl %s create --help` tells what they are "
            "(INVALID)",
            target->type->name, target->type->name);
    default:
        return ctl_fail_last(r);
    }
}
