/*
 * Objects that refer to each other: what is reachable from a name is saved, and leads to the same.
 */
#include <criterion/criterion.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "objects/save.h"
#include "support/gives.h"
#include "world.h"

static broker *b, *again;
static broker_buffer buffer;

static void open_worlds(void)
{
    b = world_open();
}

static void close_worlds(void)
{
    broker_buffer_free(&buffer);
    broker_close(again);
    broker_close(b);
}

TestSuite(snapshot_graph, .init = open_worlds, .fini = close_worlds, .timeout = 60);

/* "root" -> list -> dict -> root and list; and an object that nobody refers to. */
Test(snapshot_graph, circles_of_anonymous_objects)
{
    broker_dict *root, *dict, *lonely;
    struct dump d;
    broker_list *list;
    broker_value v;
    uint64_t n;

    OK(broker_dict_open(b, "root", NULL, &root));
    OK(broker_list_open(b, NULL, NULL, &list));
    OK(broker_dict_open(b, NULL, NULL, &dict));
    OK(broker_dict_open(b, NULL, NULL, &lonely));
    OK(broker_dict_set(root, broker_str("list"), broker_ref(list)));
    OK(broker_list_append(list, broker_ref(dict)));
    OK(broker_dict_set(dict, broker_str("root"), broker_ref(root)));
    OK(broker_dict_set(dict, broker_str("list"), broker_ref(list)));
    world_dump(b, NULL, &d);
    cr_assert_eq(d.n, 3);
    dump_free(&d);
    again = world_again(b);
    OK(broker_collect(again, &n));
    cr_assert_eq(n, 0);
    OK(broker_dict_open(again, "root", NULL, &root));
    OK(broker_dict_get(root, broker_str("list"), &buffer, &v));
    OK(broker_list_open_ref(again, v, &list));
    OK(broker_list_get(list, 0, &buffer, &v));
    OK(broker_dict_open_ref(again, v, &dict));
    OK(broker_dict_get(dict, broker_str("list"), &buffer, &v));
    cr_assert(v.type == BROKER_REF && v.u == broker_ref(list).u);
    OK(broker_dict_get(dict, broker_str("root"), &buffer, &v));
    cr_assert_eq(v.u, broker_ref(root).u);
}

/* References in all that stores values, in containers too. */
Test(snapshot_graph, every_type_that_stores_references)
{
    char bytes[40];
    broker_namespace *space;
    broker_queue *q;
    broker_pipe *p;
    broker_event *e;
    broker_value v, ref;
    struct dump d;

    OK(broker_event_open(b, NULL, NULL, &e));
    OK(broker_event_set(e));
    ref = broker_ref(e);
    bytes[0] = (char)0x92;
    bytes[1] = 5;
    (void)bri_value_encode(ref, bytes + 2);
    OK(broker_namespace_open(b, "space", NULL, &space));
    OK(broker_namespace_set(space, "event", broker_packed(bytes, 20)));
    OK(broker_queue_open(b, "queue", NULL, &q));
    OK(broker_queue_put(q, ref, 0));
    OK(broker_pipe_open(b, "pipe", NULL, &p));
    OK(broker_pipe_send(p, 0, ref, 0));
    world_dump(b, NULL, &d);
    cr_assert_eq(d.n, 4);
    dump_free(&d);
    again = world_again(b);
    OK(broker_queue_open(again, "queue", NULL, &q));
    OK(broker_queue_get(q, 0, &buffer, &v));
    OK(broker_event_open_ref(again, v, &e));
    OK(broker_event_wait(e, 0));
    ref = broker_ref(e);
    OK(broker_pipe_open(again, "pipe", NULL, &p));
    OK(broker_pipe_recv(p, 1, 0, &buffer, &v));
    cr_assert_eq(v.u, ref.u);
    OK(broker_namespace_open(again, "space", NULL, &space));
    OK(broker_namespace_get(space, "event", &buffer, &v));
    (void)bri_value_encode(ref, bytes + 2);
    cr_assert(v.size == 20 && memcmp(v.data, bytes, 20) == 0);
}

/* A reference to what was destroyed is nil, then and for ever. */
Test(snapshot_graph, references_to_what_is_gone)
{
    broker_list *list;
    broker_lock *lock;
    broker_value v;

    OK(broker_list_open(b, "list", NULL, &list));
    OK(broker_lock_open(b, "lock", NULL, &lock));
    OK(broker_list_append(list, broker_int(1)));
    OK(broker_list_append(list, broker_ref(lock)));
    OK(broker_list_append(list, broker_int(2)));
    OK(broker_destroy(b, "lock"));
    again = world_again(b);
    OK(broker_list_open(again, "list", NULL, &list));
    OK(broker_list_copy(list, &buffer, &v));
    cr_assert(v.size == 4 && memcmp(v.data, "\x93\x01\xc0\x02", 4) == 0);
}

/* A condition whose lock is gone is good for nothing, and left out. */
Test(snapshot_graph, condition_without_its_lock)
{
    broker_condition *condition;
    broker_lock *lock;
    struct dump d;

    OK(broker_lock_open(b, "lock", NULL, &lock));
    OK(broker_condition_open(b, "ready", &(broker_condition_options){.lock = "lock"}, &condition));
    OK(broker_destroy(b, "lock"));
    world_dump(b, NULL, &d);
    cr_assert_eq(d.n, 0);
    dump_free(&d);
}

/* Of a part: what it refers to by name is told by name, and found there. */
Test(snapshot_graph, part_of_an_arena)
{
    struct bri_loading loading = {0};
    broker_dict *mine, *theirs, *nameless;
    struct dump d;
    broker_value v;

    OK(broker_dict_open(b, "my dict", NULL, &mine));
    OK(broker_dict_open(b, "their dict", NULL, &theirs));
    OK(broker_dict_open(b, NULL, NULL, &nameless));
    OK(broker_dict_set(mine, broker_int(1), broker_ref(theirs)));
    OK(broker_dict_set(mine, broker_int(2), broker_ref(nameless)));
    OK(broker_dict_set(nameless, broker_int(1), broker_int(5)));
    world_dump(b, "my", &d);
    cr_assert_eq(d.n, 3);
    cr_assert(bri_load_get(dump_find(&d, "their dict"), "outside").b);
    again = world_open();
    OK(broker_dict_open(again, "their dict", NULL, &theirs));
    OK(world_load(again, &d, &loading));
    cr_assert_eq(loading.n_objects, 2);
    cr_assert_eq(loading.n_cut, 0);
    OK(broker_dict_open(again, "my dict", NULL, &mine));
    OK(broker_dict_get(mine, broker_int(1), &buffer, &v));
    cr_assert_eq(v.u, broker_ref(theirs).u);
    OK(broker_destroy(again, "their dict"));
    loading = (struct bri_loading){.replace = true, .unfinished = ".new"};
    OK(world_load(again, &d, &loading));
    cr_assert_eq(loading.n_cut, 1);
    OK(broker_dict_open(again, "my dict", NULL, &mine));
    OK(broker_dict_get(mine, broker_int(1), &buffer, &v));
    cr_assert_eq(v.type, BROKER_NIL);
    dump_free(&d);
}

/* A name that is taken: nothing is done, or what has it is replaced, as told. */
Test(snapshot_graph, nothing_is_overwritten_unasked)
{
    struct bri_loading loading = {.unfinished = ".new"};
    broker_dict *dict;
    broker_list *list;
    struct dump d;
    broker_value v;

    OK(broker_dict_open(b, "a", NULL, &dict));
    OK(broker_dict_open(b, "b", NULL, &dict));
    OK(broker_dict_set(dict, broker_int(1), broker_int(2)));
    world_dump(b, NULL, &d);
    again = world_open();
    OK(broker_list_open(again, "b", NULL, &list));
    cr_assert_eq(world_load(again, &d, &loading), BROKER_EXISTS);
    cr_assert_str_eq(loading.failed, "b");
    OK(broker_objects(again, NULL, NULL, &buffer, &v));
    cr_assert_eq(*(const uint8_t *)v.data, 0x91, "one object, as before");
    loading.replace = true;
    OK(world_load(again, &d, &loading));
    OK(broker_dict_open(again, "b", NULL, &dict));
    OK(broker_dict_get(dict, broker_int(1), &buffer, &v));
    cr_assert_eq(v.i, 2);
    OK(broker_objects(again, NULL, NULL, &buffer, &v));
    cr_assert_eq(*(const uint8_t *)v.data, 0x92);
    dump_free(&d);
}

/* What cannot be made leaves nothing behind. */
Test(snapshot_graph, half_is_nothing)
{
    struct bri_loading loading = {.unfinished = ".new"};
    broker_namespace *space;
    broker_dict *dict;
    struct dump d;
    broker_value v;
    char *name;

    OK(broker_dict_open(b, "a", NULL, &dict));
    OK(broker_namespace_open(b, "b", NULL, &space));
    OK(broker_namespace_set(space, "good", broker_int(1)));
    world_dump(b, NULL, &d);
    name = memmem(d.bytes.data, d.bytes.size, "good", 4);
    cr_assert_not_null(name);
    name[0] = '-';
    again = world_open();
    cr_assert_lt(world_load(again, &d, &loading), 0);
    cr_assert_str_eq(loading.failed, "b");
    OK(broker_objects(again, NULL, NULL, &buffer, &v));
    cr_assert_eq(*(const uint8_t *)v.data, 0x90);
    dump_free(&d);
}

/* ---- while others work ---- */

static _Atomic bool over;

/* The dict always refers to one new list, which has its number. */
static void *change_on_and_on(void *arg)
{
    broker_dict *dict = arg;
    broker_list *list;

    for (int64_t i = 0; !atomic_load(&over); i++) {
        if (broker_list_open(b, NULL, NULL, &list) < 0 ||
            broker_list_append(list, broker_int(i)) < 0 ||
            broker_dict_set(dict, broker_str("list"), broker_ref(list)) < 0)
            return NULL;
        broker_list_close(list);
    }
    return dict;
}

static void *collect_on_and_on(void *arg)
{
    uint64_t freed;

    while (!atomic_load(&over))
        if (broker_collect(b, &freed) < 0)
            return NULL;
    return arg;
}

/* The list must be there and say its number. */
static void check_list(struct dump *d)
{
    broker_value map = bri_load_get(dump_find(d, "dict"), "contents"), list;

    cr_assert_eq(bri_load_get(map, "list").type, BROKER_REF);
    list = bri_load_get(dump_find(d, NULL), "contents");
    cr_assert(list.type == BROKER_PACKED && *(const uint8_t *)list.data == 0x91);
}

/*
 * An anonymous object that a saved one refers to is saved, however short it lives: the dict takes
 * long to be encoded, and what comes between it and the list as well.
 */
Test(snapshot_graph, what_is_referred_to_is_held_on_to)
{
    pthread_t threads[2];
    struct dump d;
    broker_dict *dict;
    broker_event *event;
    broker_list *first;
    char name[16];
    void *done;

    OK(broker_dict_open(b, "dict", NULL, &dict));
    for (int64_t i = 0; i < 5000; i++)
        OK(broker_dict_set(dict, broker_int(i), broker_int(i)));
    for (unsigned i = 0; i < 300; i++) {
        (void)snprintf(name, sizeof(name), "event %u", i);
        OK(broker_event_open(b, name, NULL, &event));
        broker_event_close(event);
    }
    OK(broker_list_open(b, NULL, NULL, &first));
    OK(broker_list_append(first, broker_int(-1)));
    OK(broker_dict_set(dict, broker_str("list"), broker_ref(first)));
    broker_list_close(first);
    cr_assert_eq(pthread_create(&threads[0], NULL, change_on_and_on, dict), 0);
    cr_assert_eq(pthread_create(&threads[1], NULL, collect_on_and_on, dict), 0);
    for (int i = 0; i < 100; i++) {
        world_dump(b, NULL, &d);
        check_list(&d);
        dump_free(&d);
    }
    atomic_store(&over, true);
    for (int i = 0; i < 2; i++) {
        OK(pthread_join(threads[i], &done));
        cr_assert_eq(done, dict);
    }
}

/* ---- one moment ---- */

#define ACCOUNTS 20000
#define TOTAL (ACCOUNTS * INT64_C(100))

static int64_t longest_ns;
static _Atomic uint64_t n_moved;

/* Moves money from account to account: the sum stays. */
static void *move_on_and_on(void *arg)
{
    broker_dict *dict = arg;
    uint8_t deltas[16];

    for (uint32_t i = 1; !atomic_load(&over); i++) {
        int64_t since = bri_now(), from = i * 7919 % ACCOUNTS, to = i * 104729 % ACCOUNTS;
        size_t n = 1;

        deltas[0] = 0x82;
        n += bri_value_encode(broker_int(from), deltas + n);
        n += bri_value_encode(broker_int(-1), deltas + n);
        n += bri_value_encode(broker_int(to), deltas + n);
        n += bri_value_encode(broker_int(1), deltas + n);
        if (from != to && broker_dict_add_many(dict, broker_packed(deltas, n), broker_nil()) < 0)
            return NULL;
        since = bri_now() - since;
        longest_ns = since > longest_ns ? since : longest_ns;
        atomic_fetch_add(&n_moved, 1);
    }
    return dict;
}

static int64_t sum_of(broker_value map)
{
    struct bri_iter it;
    broker_value v;
    const void *data;
    int64_t sum = 0;
    size_t size;

    cr_assert_eq(bri_iter_map(&it, map.data, map.size), 0);
    cr_assert_eq(it.left, 2 * ACCOUNTS);
    while (bri_iter_next(&it, &data, &size) == 0) {
        cr_assert_eq(bri_iter_next(&it, &data, &size), 0);
        cr_assert_eq(bri_value_decode(data, size, &v), 0);
        sum += v.i;
    }
    return sum;
}

/* However an object is changed while it is saved, it is saved as it was at one moment. */
Test(snapshot_graph, one_moment)
{
    pthread_t thread;
    struct dump d;
    broker_dict *dict;
    uint64_t before;
    void *done;

    OK(broker_dict_open(b, "accounts", NULL, &dict));
    for (int64_t i = 0; i < ACCOUNTS; i++)
        OK(broker_dict_set(dict, broker_int(i), broker_int(TOTAL / ACCOUNTS)));
    cr_assert_eq(pthread_create(&thread, NULL, move_on_and_on, dict), 0);
    for (int i = 0; i < 50; i++) {
        before = atomic_load(&n_moved);
        while (atomic_load(&n_moved) == before)
            ;
        world_dump(b, NULL, &d);
        cr_assert_eq(sum_of(bri_load_get(dump_find(&d, "accounts"), "contents")), TOTAL);
        dump_free(&d);
    }
    atomic_store(&over, true);
    OK(pthread_join(thread, &done));
    cr_assert_eq(done, dict);
    (void)fprintf(stderr, "the longest of %llu changes during 50 saves took %lld us\n",
        (unsigned long long)atomic_load(&n_moved), (long long)(longest_ns / 1000));
}
