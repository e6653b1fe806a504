/*
 * test_damage_types.c - damage in objects of the types that test_damage.c has not, some of them
 * waited for: an error that names the object, or an answer; never a crash or a hang, and nothing in
 * others
 */
#include "harm.h"
#include "kinds.h"

#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "client/handle.h"
#include "core/audit.h"

TestSuite(damage_types, .init = kinds_make, .fini = kinds_free, .timeout = 240);

static const struct kind *kind;
static struct bri_object target;

static void use_kind(broker *b, broker_buffer *buffer)
{
    kinds_use(kind, b, buffer);
}

static bool harm_its_slot(struct bri_arena *view, unsigned number, char text[HARM_TEXT])
{
    return harm_slot(&target, view, number, text);
}

static bool harm_its_heap(struct bri_arena *view, unsigned number, char text[HARM_TEXT])
{
    return harm_heap(&target, view, number, text);
}

static bool harm_its_pages(struct bri_arena *view, unsigned number, char text[HARM_TEXT])
{
    return harm_pages(&target, view, number, harm_part(150), text);
}

static void choose(const char *name)
{
    for (unsigned i = 0; i < n_kinds; i++)
        if (strcmp(kinds[i].name, name) == 0)
            kind = &kinds[i];
    cr_assert_not_null(kind);
    target = victim_find(name);
}

#define SLOT(name)                                                                                 \
    Test(damage_types, in_the_slot_of_a_##name)                                                    \
    {                                                                                              \
        choose(#name);                                                                             \
        victim_suffer_using(harm_its_slot, use_kind, false);                                       \
    }

#define HEAP(name)                                                                                 \
    Test(damage_types, in_the_heap_of_a_##name)                                                    \
    {                                                                                              \
        choose(#name);                                                                             \
        victim_suffer_using(harm_its_heap, use_kind, true);                                        \
    }                                                                                              \
    Test(damage_types, in_the_pages_of_a_##name)                                                   \
    {                                                                                              \
        choose(#name);                                                                             \
        victim_suffer_using(harm_its_pages, use_kind, true);                                       \
    }

SLOT(list)
SLOT(array)
SLOT(value)
SLOT(namespace)
SLOT(rlock)
SLOT(semaphore)
SLOT(event)
SLOT(barrier)
SLOT(condition)
SLOT(pipe)
SLOT(priority)
HEAP(list)
HEAP(array)
HEAP(namespace)
HEAP(condition)
HEAP(pipe)
HEAP(priority)

/* The uses above leave what they find whole. */
static bool harm_nothing(struct bri_arena *view, unsigned number, char text[HARM_TEXT])
{
    (void)view;
    (void)snprintf(text, HARM_TEXT, "none");
    return number == 0;
}

static void use_healthy(broker *b, broker_buffer *buffer)
{
    struct bri_audit audit = {.quiet_arena = true};

    for (kind = kinds; kind < kinds + n_kinds; kind++)
        kinds_use(kind, b, buffer);
    victim_judge(
        bri_audit_arena(b->arena, &audit) == 0 && audit.n_problems == 0 ? 0 : BROKER_INTERNAL);
}

Test(damage_types, none_at_all_is_no_problem)
{
    victim_suffer_using(harm_nothing, use_healthy, true);
}
