/*
 * test_object.c - what follows from the generated table: which operations create, which take
 */
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "object.h"

TestSuite(ctl_object, .timeout = 30);

/* The operations of dict, queue, lock and list for which @is holds: "dict.set dict.update". */
static void collect(bool (*is)(const struct ctl_operation *op), char *out, size_t size)
{
    size_t n = 0;

    out[0] = '\0';
    for (unsigned i = 0; i < ctl_n_types; i++)
        for (unsigned j = 0; j < ctl_types[i].n_operations; j++) {
            const struct ctl_operation *op = &ctl_types[i].operations[j];

            if (ctl_types[i].number <= BRI_TYPE_LIST && is(op))
                n += (size_t)snprintf(
                    out + n, size - n, "%s%s.%s", n > 0 ? " " : "", op->type, op->name);
        }
}

Test(ctl_object, operations_that_store_or_wait_create_and_those_that_miss_something_do_not)
{
    char found[1024];

    collect(ctl_creates, found, sizeof(found));
    cr_assert_str_eq(found,
        "dict.set dict.setdefault dict.update dict.add dict.add_many dict.get_and_set "
        "queue.put queue.put_many lock.acquire list.append list.extend list.insert");
}

/* Who waits for an event may come before who sets it. */
Test(ctl_object, an_event_is_made_by_who_comes_first)
{
    const struct ctl_type *event = ctl_find_type("event");

    cr_assert(ctl_creates(ctl_find_operation(event, "set")));
    cr_assert(ctl_creates(ctl_find_operation(event, "wait")));
    cr_assert_not(ctl_creates(ctl_find_operation(event, "clear")));
    cr_assert_not(ctl_creates(ctl_find_operation(event, "is-set")));
}

Test(ctl_object, operations_that_take_can_be_counted)
{
    char found[1024];

    collect(ctl_takes, found, sizeof(found));
    cr_assert_str_eq(found, "dict.popitem queue.get queue.take_dead");
}

Test(ctl_object, every_type_fits_the_fixed_limits)
{
    for (unsigned i = 0; i < ctl_n_types; i++) {
        cr_assert_leq(ctl_types[i].n_options, CTL_MAX_OPTIONS);
        for (unsigned j = 0; j < ctl_types[i].n_operations; j++)
            cr_assert_leq(ctl_types[i].operations[j].n_args, CTL_MAX_ARGS);
    }
}
