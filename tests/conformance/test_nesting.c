/*
 * test_nesting.c - objects without names, and values that refer to objects
 *
 * What the daemon collects by itself, and how soon, depends on the machine: where a case says that
 * something is gone, it has asked for a collection before.
 */
#include "conformance/kit.h"

#include <stdatomic.h>
#include <string.h>

TestSuite(nesting, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define STR(text) broker_str(text)
#define INT(number) broker_int(number)

static broker_dict *anonymous_dict(void)
{
    broker_dict *d;

    OK(broker_dict_open(kit_broker, NULL, NULL, &d));
    return d;
}

static void collect(void)
{
    uint64_t freed;

    OK(broker_collect(kit_broker, &freed));
}

/* Opens what is said to be a dict, and closes it: 0, or why it can't be opened. */
static int look(broker_value ref)
{
    broker_dict *d;
    int r = broker_dict_open_ref(kit_broker, ref, &d);

    if (r == 0)
        broker_dict_close(d);
    return r;
}

/* What was without a reference and without a handle when this is called is gone after it. */
static int look_after_collection(broker_value ref)
{
    collect();
    return look(ref);
}

static broker_value get_ref(broker_dict *d, broker_value key)
{
    broker_value v;

    OK(broker_dict_get(d, key, &kit_buffer, &v));
    cr_assert_eq(v.type, BROKER_REF);
    return v;
}

static bool same(broker_value a, broker_value b)
{
    return a.type == BROKER_REF && b.type == BROKER_REF && a.size == b.size && a.u == b.u;
}

/* ---- anonymous objects ---- */

/* [reference count] an object without a name ends with its last handle. */
Test(nesting, without_a_name_it_ends_with_its_last_handle)
{
    broker_dict *d = anonymous_dict(), *again;
    broker_value ref = broker_ref(d);

    OK(broker_dict_set(d, STR("k"), INT(1)));
    OK(broker_dict_open_ref(kit_broker, ref, &again));
    broker_dict_close(d);
    GIVES(look_after_collection(ref), 0);
    cr_assert_str_eq(kit_dict_text(again), "{'k': 1}");
    broker_dict_close(again);
    GIVES(look_after_collection(ref), BROKER_GONE);
}

/* [open] each open without a name makes another object. */
Test(nesting, each_open_without_a_name_makes_another_one)
{
    broker_dict *a = anonymous_dict(), *b = anonymous_dict();

    OK(broker_dict_set(a, STR("k"), INT(1)));
    cr_assert_str_eq(kit_dict_text(b), "{}");
    cr_assert_not(same(broker_ref(a), broker_ref(b)));
    GIVES(broker_dict_open(kit_broker, NULL, &(broker_dict_options){.mode = BROKER_OPEN},
              &(broker_dict *){NULL}),
        BROKER_INVALID);
    broker_dict_close(a);
    broker_dict_close(b);
}

/* [open] every type can be without a name, and is not in the list of names. */
Test(nesting, every_type_can_be_without_a_name)
{
    broker_value objects;
    broker_list *list;
    broker_queue *queue;
    broker_lock *lock;
    broker_event *event;
    broker_namespace *space;
    broker_condition *condition;
    uint32_t n;

    OK(broker_objects(kit_broker, NULL, NULL, &kit_buffer, &objects));
    n = kit_count(objects);
    OK(broker_list_open(kit_broker, NULL, NULL, &list));
    OK(broker_queue_open(kit_broker, NULL, NULL, &queue));
    OK(broker_lock_open(kit_broker, NULL, NULL, &lock));
    OK(broker_event_open(kit_broker, NULL, NULL, &event));
    OK(broker_namespace_open(kit_broker, NULL, NULL, &space));
    OK(broker_condition_open(kit_broker, NULL, NULL, &condition));
    OK(broker_list_append(list, INT(1)));
    OK(broker_queue_put(queue, INT(1), 0));
    OK(broker_lock_acquire(lock, 0, NULL));
    OK(broker_lock_release(lock));
    OK(broker_event_set(event));
    OK(broker_namespace_set(space, "a", INT(1)));
    OK(broker_objects(kit_broker, NULL, NULL, &kit_buffer, &objects));
    cr_assert_eq(kit_count(objects), n);
    collect();
    OK(broker_event_set(event));
    broker_list_close(list);
    broker_queue_close(queue);
    broker_lock_close(lock);
    broker_event_close(event);
    broker_namespace_close(space);
    broker_condition_close(condition);
}

static void make_and_wait(struct line *parent, void *arg)
{
    broker_dict *d;
    broker_value ref;

    (void)arg;
    REQUIRE(broker_dict_open(kit_broker, NULL, NULL, &d) == 0);
    ref = broker_ref(d);
    kit_tell(parent, ref.size);
    kit_tell(parent, ref.u);
    (void)kit_hear(parent);
}

/* [finalizer] [leak 1] it ends too when its last user is killed. */
Test(nesting, without_a_name_it_ends_when_its_last_user_is_killed)
{
    struct line child = kit_fork(make_and_wait, NULL);
    broker_value ref = broker_nil();
    broker_value clients;
    uint32_t n;

    ref.type = BROKER_REF;
    ref.size = (uint32_t)kit_hear(&child);
    ref.u = kit_hear(&child);
    GIVES(look_after_collection(ref), 0);
    kit_kill(&child);
    do { /* until the daemon has seen that it is dead */
        OK(broker_clients(kit_broker, &kit_buffer, &clients));
        n = kit_count(clients);
    } while (n > 1);
    GIVES(look_after_collection(ref), BROKER_GONE);
}

/* ---- references in values ---- */

/* [nested objects by reference] [nested plain values] d['k'] is the object itself, and what is
 * changed by one is seen by all. */
Test(nesting, a_dict_in_a_dict_is_the_same_object_for_all)
{
    broker_dict *outer = kit_dict("outer", NULL), *inner = anonymous_dict(), *seen;
    broker_value ref = broker_ref(inner);

    OK(broker_dict_set(outer, STR("k"), ref));
    cr_assert(same(get_ref(outer, STR("k")), ref));
    OK(broker_dict_open_ref(kit_broker, get_ref(outer, STR("k")), &seen));
    OK(broker_dict_set(seen, STR("x"), INT(1)));
    cr_assert_str_eq(kit_dict_text(inner), "{'x': 1}");
    broker_dict_close(seen);
    broker_dict_close(inner);
    OK(broker_dict_delete(outer, STR("k")));
}

/* [nesting] L[0][-1] = 55 changes the shared inner list; a plain list inside stays a value. */
Test(nesting, a_list_in_a_list_is_shared_and_a_plain_one_is_a_value)
{
    broker_list *outer = kit_list("outer", NULL), *inner, *seen;
    broker_value v;

    OK(broker_list_open(kit_broker, NULL, NULL, &inner));
    OK(broker_list_extend(inner, value_of("[1, 2]")));
    OK(broker_list_append(outer, broker_ref(inner)));
    OK(broker_list_append(outer, value_of("[1, 2]")));
    OK(broker_list_get(outer, 0, &kit_buffer, &v));
    OK(broker_list_open_ref(kit_broker, v, &seen));
    OK(broker_list_set(seen, -1, INT(55)));
    cr_assert_str_eq(kit_list_text(inner), "[1, 55]");
    OK(broker_list_get(outer, 1, &kit_buffer, &v));
    cr_assert_eq(v.type, BROKER_PACKED);
    GIVES(broker_list_open_ref(kit_broker, v, &seen), BROKER_INVALID);
    ((uint8_t *)kit_buffer.data)[2] = 55; /* the caller's copy */
    SAYS(v, "[1, 55]");
    OK(broker_list_get(outer, 1, &kit_buffer, &v));
    SAYS(v, "[1, 2]");
    broker_list_close(inner);
}

/* [nesting] deleting the local name of an inner proxy must not free it. */
Test(nesting, a_stored_reference_outlives_the_handle_of_who_stored_it)
{
    broker_dict *outer = kit_dict("outer", NULL), *inner = anonymous_dict();
    broker_value ref = broker_ref(inner);

    OK(broker_dict_set(outer, STR("k"), ref));
    broker_dict_close(inner);
    GIVES(look_after_collection(ref), 0);
    GIVES(look_after_collection(ref), 0);
    OK(broker_dict_set(outer, STR("k"), INT(1)));
    GIVES(look_after_collection(ref), BROKER_GONE);
}

/* [nesting] [leak 2] whatever takes the last reference away ends it. */
Test(nesting, it_ends_however_the_last_reference_goes)
{
    enum { OVERWRITTEN, DELETED, POPPED, CLEARED, DESTROYED, N_WAYS };

    for (int way = 0; way < N_WAYS; way++) {
        const char *name = kit_name("outer");
        broker_dict *outer, *inner = anonymous_dict();
        broker_value ref = broker_ref(inner), v;

        OK(broker_dict_open(kit_broker, name, NULL, &outer));
        OK(broker_dict_set(outer, STR("k"), ref));
        broker_dict_close(inner);
        GIVES(look_after_collection(ref), 0);
        if (way == OVERWRITTEN)
            OK(broker_dict_set(outer, STR("k"), STR("something else")));
        else if (way == DELETED)
            OK(broker_dict_delete(outer, STR("k")));
        else if (way == POPPED)
            OK(broker_dict_pop(outer, STR("k"), &kit_buffer, &v));
        else if (way == CLEARED)
            OK(broker_dict_clear(outer));
        else
            OK(broker_destroy(kit_broker, name));
        broker_dict_close(outer);
        GIVES(look_after_collection(ref), BROKER_GONE);
        if (way != DESTROYED)
            OK(broker_destroy(kit_broker, name));
    }
}

/* [trap 15] references are values of every type that holds values, also inside of other values. */
Test(nesting, every_container_holds_references)
{
    enum { LIST, NAMESPACE, QUEUE, PIPE, INSIDE, N };
    broker_list *list = kit_list("list", NULL);
    broker_namespace *space = kit_namespace("space", NULL);
    broker_queue *queue = kit_queue("queue", NULL);
    broker_pipe *pipe;
    broker_value refs[N], v;
    uint8_t packed[64] = {0x92, 0x01}; /* [1, ref] */

    OK(broker_pipe_open(kit_broker, NULL, NULL, &pipe));
    for (int i = 0; i < N; i++) {
        broker_dict *d = anonymous_dict();

        refs[i] = broker_ref(d);
        if (i == LIST) {
            OK(broker_list_append(list, refs[i]));
        } else if (i == NAMESPACE) {
            OK(broker_namespace_set(space, "a", refs[i]));
        } else if (i == QUEUE) {
            OK(broker_queue_put(queue, refs[i], 0));
        } else if (i == PIPE) {
            OK(broker_pipe_send(pipe, 0, refs[i], 0));
        } else {
            OK(broker_dict_set(d, STR("self"), refs[i]));
            OK(broker_dict_copy(d, &kit_buffer, &v)); /* a map with the reference in it */
            memcpy(packed + 2, v.data, v.size);
            OK(broker_list_append(list, broker_packed(packed, 2 + v.size)));
        }
        broker_dict_close(d);
    }
    collect();
    for (int i = 0; i < N; i++)
        GIVES(look(refs[i]), 0);
    OK(broker_list_clear(list));
    OK(broker_namespace_delete(space, "a"));
    OK(broker_queue_get(queue, 0, &kit_buffer, &v));
    cr_assert(same(v, refs[QUEUE]));
    OK(broker_pipe_recv(pipe, 1, 0, &kit_buffer, &v));
    cr_assert(same(v, refs[PIPE]));
    collect();
    for (int i = 0; i < N; i++)
        GIVES(look(refs[i]), BROKER_GONE);
    broker_pipe_close(pipe);
}

/* [trap 15] what is leased is still in the queue: it keeps what it refers to until it is done. */
Test(nesting, a_leased_item_keeps_what_it_refers_to)
{
    static const broker_queue_options orders[] = {
        {.joinable = true},
        {.joinable = true, .lifo = true},
        {.joinable = true, .priority = true},
    };

    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        broker_dict *d = anonymous_dict();
        broker_value ref = broker_ref(d), v;
        broker_queue *queue;

        OK(broker_queue_open(kit_broker, NULL, &orders[i], &queue));
        OK(broker_queue_put(queue, ref, 0));
        broker_dict_close(d);
        GIVES(look_after_collection(ref), 0);
        OK(broker_queue_get(queue, 0, &kit_buffer, &v));
        GIVES(look_after_collection(v), 0);
        OK(broker_queue_task_done(queue));
        GIVES(look_after_collection(ref), BROKER_GONE);
        broker_queue_close(queue);
    }
}

/* ---- circles ---- */

/* [nesting] a list may contain itself, and so may a dict. */
Test(nesting, what_contains_itself_is_found)
{
    broker_dict *d = anonymous_dict();
    broker_list *l, *inner;
    broker_value dict_ref = broker_ref(d), list_ref, v;

    OK(broker_list_open(kit_broker, NULL, NULL, &l));
    list_ref = broker_ref(l);
    OK(broker_dict_set(d, STR("me"), dict_ref));
    OK(broker_list_append(l, list_ref));
    OK(broker_list_get(l, 0, &kit_buffer, &v));
    OK(broker_list_open_ref(kit_broker, v, &inner));
    OK(broker_list_append(inner, INT(1)));
    cr_assert_eq(inner, l);
    broker_list_close(inner);
    broker_list_close(l);
    GIVES(look_after_collection(dict_ref), 0);
    GIVES(broker_list_open_ref(kit_broker, list_ref, &l), BROKER_GONE);
    broker_dict_close(d);
    GIVES(look_after_collection(dict_ref), BROKER_GONE);
}

/* [nesting] a circle of three is kept by one reference from outside, and ends without it. */
Test(nesting, a_circle_of_three_is_found_when_nothing_refers_to_it)
{
    broker_dict *root = kit_dict("root", NULL), *d[3];
    broker_value ref[3];

    for (int i = 0; i < 3; i++) {
        d[i] = anonymous_dict();
        ref[i] = broker_ref(d[i]);
    }
    for (int i = 0; i < 3; i++)
        OK(broker_dict_set(d[i], STR("next"), ref[(i + 1) % 3]));
    OK(broker_dict_set(root, STR("one"), ref[1]));
    for (int i = 0; i < 3; i++)
        broker_dict_close(d[i]);
    collect();
    for (int i = 0; i < 3; i++)
        GIVES(look(ref[i]), 0);
    OK(broker_dict_delete(root, STR("one")));
    collect();
    for (int i = 0; i < 3; i++)
        GIVES(look(ref[i]), BROKER_GONE);
}

/* [nesting] a chain of a thousand objects is kept by its beginning alone. */
Test(nesting, a_long_chain_hangs_on_its_beginning)
{
    enum { N = 1000 };
    broker_dict *root = kit_dict("root", NULL), *last = root;
    broker_value end = broker_nil();
    uint64_t freed;

    for (int i = 0; i < N; i++) {
        broker_dict *d = anonymous_dict();

        end = broker_ref(d);
        OK(broker_dict_set(last, STR("next"), end));
        if (last != root)
            broker_dict_close(last);
        last = d;
    }
    broker_dict_close(last);
    GIVES(look_after_collection(end), 0);
    OK(broker_dict_clear(root));
    OK(broker_collect(kit_broker, &freed));
    cr_assert_leq(freed, N);
    GIVES(look(end), BROKER_GONE);
}

/* ---- what is refused ---- */

/* Storing what is gone changes nothing, also when it is one value of many. */
Test(nesting, what_is_gone_cannot_be_stored)
{
    broker_dict *d = anonymous_dict(), *outer = kit_dict("outer", NULL);
    broker_queue *queue = kit_queue("queue", NULL);
    broker_list *list = kit_list("list", NULL);
    broker_value ref = broker_ref(d), v;
    uint8_t bytes[64];

    OK(broker_dict_set(outer, STR("k"), ref));
    OK(broker_dict_copy(outer, &kit_buffer, &v)); /* {'k': ref} */
    cr_assert_leq(v.size, sizeof(bytes));
    memcpy(bytes, v.data, v.size);
    v = broker_packed(bytes, v.size);
    OK(broker_dict_set(outer, STR("k"), INT(1)));
    broker_dict_close(d);
    GIVES(look_after_collection(ref), BROKER_GONE);
    GIVES(broker_dict_set(outer, STR("k"), ref), BROKER_GONE);
    GIVES(broker_dict_set(outer, STR("other"), v), BROKER_GONE);
    GIVES(broker_dict_update(outer, v), BROKER_GONE);
    GIVES(broker_queue_put(queue, ref, 0), BROKER_GONE);
    GIVES(broker_list_append(list, ref), BROKER_GONE);
    cr_assert_str_eq(kit_dict_text(outer), "{'k': 1}");
    cr_assert_str_eq(kit_list_text(list), "[]");
    cr_assert_str_eq(kit_drain(queue), "[]");
}

Test(nesting, references_are_checked)
{
    broker_dict *d = anonymous_dict(), *outer = kit_dict("outer", NULL);
    broker_value ref = broker_ref(d), other = ref;
    broker_list *list = NULL;

    GIVES(broker_list_open_ref(kit_broker, ref, &list), BROKER_WRONGTYPE);
    GIVES(broker_list_open_ref(kit_broker, INT(1), &list), BROKER_INVALID);
    GIVES(broker_list_open_ref(kit_broker, broker_ref(NULL), &list), BROKER_INVALID);
    GIVES(broker_dict_open_ref(kit_broker, ref, NULL), BROKER_INVALID);
    GIVES(broker_dict_set(outer, STR("k"), broker_ref(NULL)), BROKER_INVALID);
    GIVES(broker_dict_set(outer, ref, INT(1)), BROKER_BADKEY);
    other.u ^= UINT64_C(1) << 60; /* of another arena */
    GIVES(broker_dict_set(outer, STR("k"), other), BROKER_INVALID);
    GIVES(look(other), BROKER_INVALID);
    other = ref;
    other.u++; /* never was */
    GIVES(broker_dict_set(outer, STR("k"), other), BROKER_GONE);
    GIVES(look(other), BROKER_GONE);
    other = ref;
    other.size = UINT32_MAX; /* beyond all */
    GIVES(broker_dict_set(outer, STR("k"), other), BROKER_GONE);
    GIVES(look(other), BROKER_GONE);
    other.size = 0;
    GIVES(look(other), BROKER_GONE);
    cr_assert_str_eq(kit_dict_text(outer), "{}");
    cr_assert_null(list);
    broker_dict_close(d);
}

/* A value that has references may have 64 KiB, others more. */
Test(nesting, a_value_with_references_is_not_too_long)
{
    enum { LONG = 65536 };
    static uint8_t bytes[LONG + 64];
    broker_dict *d = anonymous_dict(), *outer = kit_dict("outer", NULL);
    broker_value v;
    size_t n;

    OK(broker_dict_set(outer, STR("k"), broker_ref(d)));
    OK(broker_dict_values(outer, &kit_buffer, &v)); /* [ref] */
    for (int more = 0; more <= 1; more++) {
        n = LONG - 1 - 18 - 3 + (size_t)more; /* [ref, bytes] */
        bytes[0] = 0x92;
        memcpy(bytes + 1, (const uint8_t *)v.data + 1, 18);
        bytes[19] = 0xc5;
        bytes[20] = (uint8_t)(n >> 8);
        bytes[21] = (uint8_t)n;
        GIVES(broker_dict_set(outer, STR("long"), broker_packed(bytes, 22 + n)),
            more == 0 ? 0 : BROKER_TOOBIG);
    }
    OK(broker_dict_set(outer, STR("long"), broker_bin(bytes, sizeof(bytes))));
    broker_dict_close(d);
}

/* An object with a name can be referred to, but only its destruction ends it. */
Test(nesting, what_has_a_name_is_not_kept_by_references)
{
    const char *name = kit_name("inner");
    broker_dict *outer = kit_dict("outer", NULL), *inner;
    broker_value ref;

    OK(broker_dict_open(kit_broker, name, NULL, &inner));
    ref = broker_ref(inner);
    OK(broker_dict_set(outer, STR("k"), ref));
    broker_dict_close(inner);
    OK(broker_dict_delete(outer, STR("k")));
    GIVES(look_after_collection(ref), 0);
    OK(broker_dict_set(outer, STR("k"), ref));
    OK(broker_destroy(kit_broker, name));
    GIVES(look(get_ref(outer, STR("k"))), BROKER_GONE);
    GIVES(broker_dict_set(outer, STR("k2"), ref), BROKER_GONE);
}

/* ---- the daemon ---- */

/* [reference count] nobody has to ask for it: the daemon collects soon after the last reference. */
Test(nesting, the_daemon_collects_by_itself)
{
    broker_dict *outer = kit_dict("outer", NULL), *inner = anonymous_dict();
    broker_value ref = broker_ref(inner);
    int64_t end = kit_now() + KIT_SOON;

    OK(broker_dict_set(inner, STR("self"), ref));
    OK(broker_dict_set(outer, STR("k"), ref));
    broker_dict_close(inner);
    OK(broker_dict_set(outer, STR("k"), INT(1)));
    while (broker_dict_set(outer, STR("probe"), ref) == 0) {
        OK(broker_dict_delete(outer, STR("probe")));
        cr_assert_lt(kit_now(), end);
    }
    GIVES(look(ref), BROKER_GONE);
}

/* ---- at random ---- */

#define N_NODES 24
#define N_SLOTS 6
#define N_MOVES kit_often(4000) /* at least, and until so many collections are done: */
#define N_COLLECTIONS kit_often(300)
#define ENOUGH ((int)N_COLLECTIONS + 1)

struct model {
    broker_value ref[N_NODES];      /* nil: there is none */
    int edge[N_NODES + 1][N_SLOTS]; /* the last one is the root's; -1 is none */
    bool reached[N_NODES];
    uint64_t seed;
};

static unsigned draw(struct model *m, unsigned n)
{
    m->seed ^= m->seed << 13;
    m->seed ^= m->seed >> 7;
    m->seed ^= m->seed << 17;
    return (unsigned)(m->seed >> 11) % n;
}

static void reach(struct model *m, int node)
{
    for (int i = 0; i < N_SLOTS; i++) {
        int to = m->edge[node][i];

        if (to >= 0 && !m->reached[to]) {
            m->reached[to] = true;
            reach(m, to);
        }
    }
}

static void find_reached(struct model *m)
{
    memset(m->reached, 0, sizeof(m->reached));
    reach(m, N_NODES);
}

/* A node that can be reached, or the root. */
static int draw_holder(struct model *m)
{
    int node = (int)draw(m, N_NODES + 1);

    return node < N_NODES && !m->reached[node] ? N_NODES : node;
}

static broker_dict *open_node(struct model *m, broker_dict *root, int node)
{
    broker_dict *d;

    if (node == N_NODES)
        return root;
    OK(broker_dict_open_ref(kit_broker, m->ref[node], &d));
    return d;
}

static void close_node(broker_dict *root, broker_dict *d)
{
    if (d != root)
        broker_dict_close(d);
}

/* A new node in the place of one that can't be reached, stored in a holder. */
static void add_node(struct model *m, broker_dict *holder, int from, int i)
{
    broker_dict *d;
    int node;

    for (node = 0; node < N_NODES && m->reached[node]; node++)
        ;
    if (node == N_NODES)
        return;
    d = anonymous_dict();
    m->ref[node] = broker_ref(d);
    for (int k = 0; k < N_SLOTS; k++)
        m->edge[node][k] = -1;
    OK(broker_dict_set(holder, INT(i), m->ref[node]));
    m->edge[from][i] = node;
    broker_dict_close(d);
}

/* Into another place first, then away from its own: there is always one way to it. */
static void move_node(struct model *m, broker_dict *root, int from, int i)
{
    int to = draw_holder(m), k = (int)draw(m, N_SLOTS), node = m->edge[from][i];
    broker_dict *source = open_node(m, root, from), *target = open_node(m, root, to);

    if (node >= 0 && (from != to || i != k)) {
        OK(broker_dict_set(target, INT(k), m->ref[node]));
        m->edge[to][k] = node;
        OK(broker_dict_delete(source, INT(i)));
        m->edge[from][i] = -1;
    }
    close_node(root, source);
    close_node(root, target);
}

static void one_move(struct model *m, broker_dict *root)
{
    int from = draw_holder(m), i = (int)draw(m, N_SLOTS);
    unsigned what = draw(m, 10);
    broker_dict *holder;

    if (what >= 5) {
        move_node(m, root, from, i);
    } else {
        holder = open_node(m, root, from);
        if (what < 4)
            add_node(m, holder, from, i);
        else if (m->edge[from][i] >= 0)
            OK(broker_dict_delete(holder, INT(i)));
        if (what == 4)
            m->edge[from][i] = -1;
        close_node(root, holder);
    }
    find_reached(m);
}

static atomic_int n_collected;

static int keep_collecting(struct call *c)
{
    int r = 0;

    (void)c;
    while (atomic_load(&n_collected) != ENOUGH && r == 0) {
        r = broker_collect(kit_broker, &(uint64_t){0});
        if (atomic_load(&n_collected) < N_COLLECTIONS)
            (void)atomic_fetch_add(&n_collected, 1);
    }
    return r;
}

static void check_nodes(struct model *m)
{
    for (int i = 0; i < N_NODES; i++)
        if (m->ref[i].type == BROKER_REF)
            GIVES(look(m->ref[i]), m->reached[i] ? 0 : BROKER_GONE);
}

/* [nesting] thousands of references are moved about while collections run all the time: nothing
 * that can be reached is ever gone, and in the end nothing else is left. */
Test(nesting, nothing_is_lost_or_left_while_references_move)
{
    broker_dict *root = kit_dict("root", NULL);
    struct model m = {.seed = 88172645463325252u};
    struct call collector;

    for (int i = 0; i < N_NODES; i++)
        m.ref[i] = broker_nil();
    memset(m.edge, -1, sizeof(m.edge));
    atomic_store(&n_collected, 0);
    kit_call(&collector, keep_collecting, NULL, 0);
    for (int i = 0; i < N_MOVES || atomic_load(&n_collected) < N_COLLECTIONS; i++)
        one_move(&m, root);
    atomic_store(&n_collected, ENOUGH);
    OK(kit_return(&collector));
    collect();
    check_nodes(&m);
    OK(broker_dict_clear(root));
    collect();
    memset(m.reached, 0, sizeof(m.reached));
    check_nodes(&m);
}
