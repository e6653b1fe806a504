/*
 * test_collect.c - the collector's steps: with changes between them, by several processes, and
 * with deaths in the middle
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <broker.h>
#include <criterion/criterion.h>

#include "core/audit.h"
#include "core/collect.h"
#include "engine_ops.h"
#include "support/shm_fixture.h"
#include "value/value.h"

#define N_PAGES 16384u
#define N_OBJECTS 400
#define N_FILLING 3000 /* so many objects that a collection takes many steps */

static struct bri_arena *arena;
static broker *b;
static struct bri_handle *root;

static void start(void)
{
    static const broker_dict_options defaults;

    arena = shm_arena_new(N_PAGES, 8);
    b = shm_broker_new(arena, getpid());
    cr_assert_eq(bri_dict_open(b, "root", &defaults, &root), 0);
}

static void report(void *arg, const char *object, const char *problem)
{
    (void)arg;
    cr_log_error("%s: %s", object, problem);
}

static void stop(void)
{
    struct bri_audit audit = {.report = report};

    cr_assert_eq(bri_audit_arena(arena, &audit), 0);
    cr_assert_eq(audit.n_problems, 0);
    shm_broker_drop(b);
    shm_arena_free(arena);
}

TestSuite(collect, .init = start, .fini = stop, .timeout = 120);

static struct bri_handle *make(void)
{
    static const broker_dict_options defaults;
    struct bri_handle *h;

    cr_assert_eq(bri_dict_open(b, NULL, &defaults, &h), 0);
    return h;
}

static broker_value ref_of(const struct bri_handle *h)
{
    return bri_ref_value(bri_ref_of(&h->object));
}

/* An object that nothing keeps. */
static broker_value make_garbage(void)
{
    struct bri_handle *h = make();
    broker_value ref = ref_of(h);

    bri_shm_close_handle(h);
    return ref;
}

static bool lives(broker_value ref)
{
    struct bri_handle *h;
    int r = bri_open_ref(b, BRI_TYPE_DICT, ref, &h);

    if (r == 0)
        bri_shm_close_handle(h);
    cr_assert(r == 0 || r == BROKER_GONE);
    return r == 0;
}

static void set(struct bri_handle *in, int64_t key, broker_value v)
{
    cr_assert_eq(bri_dict_set(in, broker_int(key), v), 0);
}

/* Named objects, which a pass has to go by. */
static void fill_registry(void)
{
    static const broker_lock_options defaults;
    struct bri_handle *h;
    char name[32];

    for (int i = 0; i < N_FILLING; i++) {
        (void)snprintf(name, sizeof(name), "filling %d", i);
        cr_assert_eq(bri_lock_open(b, name, &defaults, &h), 0);
        bri_shm_close_handle(h);
    }
}

static unsigned finish(void)
{
    struct bri_collector c = {0};
    unsigned n = 0;

    while (bri_collect_step(arena, &c) == BRI_COLLECT_MORE)
        n++;
    return n;
}

static bool one_step(struct bri_collector *c)
{
    int r = bri_collect_step(arena, c);

    cr_assert(r == 0 || r == BRI_COLLECT_MORE);
    return r != 0;
}

/* ---- bounds ---- */

/* No step looks at more than about a thousand things: objects, or values of one object. */
Test(collect, steps_are_bounded)
{
    struct bri_handle *inner = make();
    unsigned n;

    bri_collect_begin(arena);
    n = finish();
    fill_registry();
    bri_collect_begin(arena);
    cr_assert_geq(finish(), n + 2 * N_FILLING / 1024);
    for (int i = 0; i < 20000; i++)
        set(inner, i, i % 100 == 0 ? ref_of(inner) : broker_int(i));
    bri_collect_begin(arena);
    cr_assert_geq(finish(), n + 20000 / 1024);
    bri_shm_close_handle(inner);
}

/* Without anonymous objects there is nothing to do, and nobody is told to. */
Test(collect, is_not_begun_for_nothing)
{
    set(root, 1, ref_of(root));
    set(root, 1, broker_int(1));
    cr_assert_eq(atomic_load(&arena->shm->collect_wanted), 0);
    bri_collect_begin(arena);
    cr_assert_eq(finish(), 0);
}

/* What may leave garbage says so; what only reads or has no references does not. */
Test(collect, is_asked_for_when_there_may_be_garbage)
{
    struct bri_handle *other = make(), *inner = make();
    _Atomic uint32_t *wanted = &arena->shm->collect_wanted;

    set(other, 1, broker_int(1));
    set(other, 1, broker_int(2));
    cr_assert_eq(atomic_load(wanted), 0);
    set(root, 1, ref_of(inner));
    cr_assert_eq(atomic_load(wanted), 0);
    set(root, 1, broker_int(1));
    cr_assert_eq(atomic_load(wanted), 1);
    bri_collect_begin(arena);
    cr_assert_eq(atomic_load(wanted), 0);
    (void)finish();
    cr_assert_eq(atomic_load(wanted), 0, "the collector has asked for itself");
    bri_shm_close_handle(inner);
    cr_assert_eq(atomic_load(wanted), 1);
    bri_shm_close_handle(other);
}

static uint64_t n_anonymous(void)
{
    const struct bri_slot_shm *registry = bri_slot_at(arena, arena->first_slot);

    return ((const struct bri_registry_shm *)registry->state)->n_anonymous;
}

/* Nobody collects but who makes objects: and still there is never much garbage. */
Test(collect, who_makes_garbage_helps_to_collect_it)
{
    for (int i = 0; i < 50000; i++) {
        (void)make_garbage();
        cr_assert_leq(n_anonymous(), 3 * 1024);
    }
}

/* A full arena: each object takes a part of it that is not small. */
Test(collect, garbage_is_no_lack_of_memory)
{
    static uint8_t bytes[1 << 20];

    for (unsigned i = 0; i < 4 * N_PAGES / 256; i++) {
        struct bri_handle *h = make();

        set(h, 1, broker_bin(bytes, sizeof(bytes)));
        bri_shm_close_handle(h);
    }
}

/* ---- several ---- */

/* Each step by a process that knows nothing of those before. */
static int step_in_child(unsigned n)
{
    pid_t parent = getpid(), pid = fork();
    int status;

    if (pid == 0) {
        struct bri_collector c = {0};
        int r = BRI_COLLECT_MORE;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(99);
        for (unsigned i = 0; i < n && r == BRI_COLLECT_MORE; i++)
            r = bri_collect_step(arena, &c);
        _exit(r == 0 ? 0 : r == BRI_COLLECT_MORE ? 1 : 2);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
    return WEXITSTATUS(status);
}

Test(collect, each_step_can_be_made_by_another_process)
{
    struct bri_handle *last = root;
    broker_value kept[N_OBJECTS], garbage[N_OBJECTS];

    fill_registry();
    for (int i = 0; i < N_OBJECTS; i++) {
        struct bri_handle *h = make();

        kept[i] = ref_of(h);
        set(last, 1, kept[i]);
        if (last != root)
            bri_shm_close_handle(last);
        last = h;
        garbage[i] = make_garbage();
    }
    bri_shm_close_handle(last);
    bri_collect_begin(arena);
    while (step_in_child(1) != 0)
        ;
    for (int i = 0; i < N_OBJECTS; i++) {
        cr_assert(lives(kept[i]), "%d", i);
        cr_assert_not(lives(garbage[i]), "%d", i);
    }
}

static pid_t collect_in_child(void)
{
    pid_t parent = getpid(), pid = fork();
    uint64_t freed;

    if (pid != 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (getppid() == parent)
        (void)bri_collect(arena, &freed);
    _exit(99);
}

/* Collectors are killed while two of them work, and references move: nothing is lost. */
Test(collect, collectors_can_be_killed_at_any_time)
{
    enum { ROUNDS = 60, MOVES = 300 };
    struct bri_handle *places[2] = {root, make()};
    broker_value kept[N_OBJECTS];

    set(root, -1, ref_of(places[1]));
    for (int i = 0; i < N_OBJECTS; i++) {
        struct bri_handle *h = make();

        kept[i] = ref_of(h);
        set(root, i, kept[i]);
        bri_shm_close_handle(h);
    }
    for (int round = 0; round < ROUNDS; round++) {
        pid_t children[2] = {collect_in_child(), collect_in_child()};

        for (int i = 0; i < MOVES; i++) {
            int which = (round * MOVES + i) % N_OBJECTS, to = (round * MOVES + i) / N_OBJECTS % 2;

            set(places[1 - to], which, kept[which]);
            (void)bri_dict_delete(places[to], broker_int(which));
            (void)make_garbage();
        }
        for (int i = 0; i < 2; i++) {
            cr_assert_eq(kill(children[i], SIGKILL), 0);
            cr_assert_eq(waitpid(children[i], NULL, 0), children[i]);
        }
    }
    cr_assert_eq(bri_collect(arena, &(uint64_t){0}), 0);
    for (int i = 0; i < N_OBJECTS; i++)
        cr_assert(lives(kept[i]), "%d", i);
    cr_assert_eq(n_anonymous(), N_OBJECTS + 1);
    bri_shm_close_handle(places[1]);
}

/* ---- changes between the steps ---- */

/* A reference that is stored after any number of steps is refused, or keeps its object. */
Test(collect, what_is_stored_between_steps_lives_or_is_refused)
{
    bool refused = false, stored = false, more = true;

    fill_registry();
    for (unsigned k = 0; more; k++) {
        struct bri_handle *outer = make(), *inner = make();
        broker_value weak = ref_of(outer), deep = ref_of(inner);
        struct bri_collector c = {0};
        int r;

        set(outer, 1, deep);
        bri_shm_close_handle(inner);
        bri_shm_close_handle(outer);
        bri_collect_begin(arena);
        for (unsigned i = 0; i < k && more; i++)
            more = one_step(&c);
        r = bri_dict_set(root, broker_int(1), weak);
        while (one_step(&c))
            ;
        cr_assert(r == 0 || r == BROKER_GONE);
        cr_assert_eq(lives(weak), r == 0, "after %u steps", k);
        cr_assert_eq(lives(deep), r == 0, "after %u steps", k);
        stored |= r == 0;
        refused |= r == BROKER_GONE;
        (void)bri_dict_delete(root, broker_int(1));
    }
    cr_assert(refused && stored);
}

/* Many values, with references in between; @add puts one in at the end. */
static void make_contents(
    broker_value refs[N_OBJECTS], void (*add)(void *to, broker_value v), void *to)
{
    for (int i = 0; i < N_OBJECTS; i++) {
        struct bri_handle *h = make();

        refs[i] = ref_of(h);
        add(to, refs[i]);
        bri_shm_close_handle(h);
        for (int k = 0; k < 20; k++)
            add(to, broker_int(k));
    }
}

static void check_refs(const broker_value refs[N_OBJECTS], bool expected)
{
    for (int i = 0; i < N_OBJECTS; i++)
        cr_assert_eq(lives(refs[i]), expected, "%d", i);
}

static void append(void *to, broker_value v)
{
    cr_assert_eq(bri_list_append(to, v), 0);
}

static void move_first_to_end(struct bri_handle *list)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value v;

    for (int i = 0; i < 150; i++) {
        cr_assert_eq(bri_list_get(list, 0, &buffer, &v), 0);
        cr_assert_eq(bri_list_append(list, v), 0);
        cr_assert_eq(bri_list_delete(list, 0), 0);
    }
    broker_buffer_free(&buffer);
}

static void delete_numbers_in_front(struct bri_handle *list)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value v;

    for (int64_t at = 0, n = 0; n < 150; n++) {
        if (bri_list_get(list, at, &buffer, &v) < 0)
            break;
        if (v.type == BROKER_REF)
            at++;
        else
            cr_assert_eq(bri_list_delete(list, at), 0);
    }
    broker_buffer_free(&buffer);
}

static void turn(struct bri_handle *list)
{
    cr_assert_eq(bri_list_reverse(list), 0);
}

static void insert_in_front(struct bri_handle *list)
{
    for (int i = 0; i < 100; i++)
        cr_assert_eq(bri_list_insert(list, 0, broker_int(i)), 0);
}

static void delete_every_third_number(struct bri_handle *list)
{
    uint64_t n;

    cr_assert_eq(bri_list_len(list, &n), 0);
    if (n > 21 * 100)
        cr_assert_eq(bri_list_delete_slice(list, 1, 21, 3), 0);
}

/* However a list's elements move between the steps, all that it refers to lives; and then ends. */
Test(collect, elements_of_a_list_can_move)
{
    static void (*const ways[])(struct bri_handle *) = {move_first_to_end, delete_numbers_in_front,
        turn, insert_in_front, delete_every_third_number};
    static const broker_list_options defaults;
    broker_value refs[N_OBJECTS];

    for (size_t way = 0; way < sizeof(ways) / sizeof(ways[0]); way++) {
        struct bri_collector c = {0};
        struct bri_handle *list;
        unsigned n = 0;

        cr_assert_eq(bri_list_open(b, NULL, &defaults, &list), 0);
        make_contents(refs, append, list);
        bri_collect_begin(arena);
        for (; one_step(&c); n++)
            ways[way](list);
        cr_assert_gt(n, 3);
        check_refs(refs, true);
        bri_shm_close_handle(list);
        cr_assert_eq(bri_collect(arena, &(uint64_t){0}), 0);
        check_refs(refs, false);
    }
}

static void put(void *to, broker_value v)
{
    cr_assert_eq(bri_queue_put(to, v, 0), 0);
}

/* References alone: they are not compared with numbers, and a priority queue takes one. */
static void fill_queue(struct bri_handle *queue, broker_value refs[N_OBJECTS], bool priority)
{
    uint8_t pair[32];

    if (!priority) {
        make_contents(refs, put, queue);
        return;
    }
    for (int i = 0; i < N_OBJECTS * 10; i++) { /* [number, reference] */
        size_t n = 1 + bri_value_encode(broker_int(i), pair + 1);

        pair[0] = 0x92;
        if (i % 10 == 0) {
            struct bri_handle *h = make();

            refs[i / 10] = ref_of(h);
            n += bri_value_encode(refs[i / 10], pair + n);
            put(queue, broker_packed(pair, n));
            bri_shm_close_handle(h);
        } else {
            n += bri_value_encode(broker_int(0), pair + n);
            put(queue, broker_packed(pair, n));
        }
    }
}

/* So many are leased that the collector's place is among them; the last ones, at which it has not
 * been, come back. */
static void lease_and_return(struct bri_handle *queue)
{
    enum { N = 1100, BACK = 60 };
    static uint64_t tokens[N];
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value v;
    unsigned n = 0;

    while (n < N &&
           bri_queue_lease(queue, 0, BROKER_FOREVER, &buffer, &v, &tokens[n], &(uint64_t){0}) == 0)
        n++;
    for (unsigned i = n > BACK ? n - BACK : 0; i < n; i++)
        cr_assert_eq(bri_queue_return(queue, tokens[i], 0), 0);
    broker_buffer_free(&buffer);
}

static void scan_while_leased(const broker_queue_options *options, unsigned n_rounds)
{
    broker_value refs[N_OBJECTS];
    struct bri_collector c = {0};
    struct bri_handle *queue;
    unsigned n = 0;

    cr_assert_eq(bri_queue_open(b, NULL, options, &queue), 0);
    fill_queue(queue, refs, options->priority);
    bri_collect_begin(arena);
    for (; one_step(&c); n++)
        if (n < n_rounds)
            lease_and_return(queue);
    cr_assert_gt(n, 2);
    check_refs(refs, true);
    bri_shm_close_handle(queue);
    cr_assert_eq(bri_collect(arena, &(uint64_t){0}), 0);
    check_refs(refs, false);
}

/* Items that are leased and returned between the steps keep what they refer to, in every order. */
Test(collect, items_of_a_queue_can_go_and_come_back)
{
    static const broker_queue_options orders[] = {{0}, {.lifo = true}, {.priority = true}};

    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
        for (unsigned n_rounds = 1; n_rounds < 6; n_rounds++)
            scan_while_leased(&orders[i], n_rounds);
}

/* Items are taken faster than the collector looks at them: the others keep what they refer to. */
Test(collect, items_of_a_queue_can_be_taken)
{
    static const broker_queue_options orders[] = {{0}, {.lifo = true}};
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value refs[N_OBJECTS], v;

    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        struct bri_collector c = {0};
        struct bri_handle *queue;
        int from, to;

        cr_assert_eq(bri_queue_open(b, NULL, &orders[i], &queue), 0);
        make_contents(refs, put, queue);
        bri_collect_begin(arena);
        cr_assert(one_step(&c));
        for (int n = 0; n < 100 * 21; n++)
            cr_assert_eq(bri_queue_get(queue, 0, &buffer, &v), 0);
        while (one_step(&c))
            ;
        from = orders[i].lifo ? 0 : 100;
        to = orders[i].lifo ? N_OBJECTS - 100 : N_OBJECTS;
        for (int n = 0; n < N_OBJECTS; n++)
            if (n >= from && n < to)
                cr_assert(lives(refs[n]), "%d", n);
        cr_assert_eq(bri_collect(arena, &(uint64_t){0}), 0);
        for (int n = 0; n < N_OBJECTS; n++)
            cr_assert_eq(lives(refs[n]), n >= from && n < to, "%d", n);
        bri_shm_close_handle(queue);
    }
    broker_buffer_free(&buffer);
}

static void send(void *to, broker_value v)
{
    cr_assert_eq(bri_pipe_send(to, 0, v, 0), 0);
}

/* Messages are received while the collector is among them: those behind keep what they refer to. */
Test(collect, messages_of_a_pipe_can_be_received)
{
    static const broker_pipe_options defaults;
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value refs[N_OBJECTS], v;
    struct bri_collector c = {0};
    struct bri_handle *pipe;

    cr_assert_eq(bri_pipe_open(b, NULL, &defaults, &pipe), 0);
    make_contents(refs, send, pipe);
    bri_collect_begin(arena);
    cr_assert(one_step(&c));
    for (int n = 0; n < 100 * 21; n++)
        cr_assert_eq(bri_pipe_recv(pipe, 1, 0, &buffer, &v), 0);
    while (one_step(&c))
        ;
    for (int n = 100; n < N_OBJECTS; n++)
        cr_assert(lives(refs[n]), "%d", n);
    cr_assert_eq(bri_collect(arena, &(uint64_t){0}), 0);
    for (int n = 0; n < N_OBJECTS; n++)
        cr_assert_eq(lives(refs[n]), n >= 100, "%d", n);
    bri_shm_close_handle(pipe);
    broker_buffer_free(&buffer);
}

/* Entries are overwritten, deleted and added between the steps, so that the table grows and
 * shrinks. */
Test(collect, a_dict_can_grow_and_shrink)
{
    struct bri_handle *dict = make();
    broker_value refs[N_OBJECTS];
    struct bri_collector c = {0};
    int64_t next = 1000000;

    for (int i = 0; i < 10000; i++)
        set(dict, 10000 + i, broker_int(i));
    for (int i = 0; i < N_OBJECTS; i++) {
        struct bri_handle *h = make();

        refs[i] = ref_of(h);
        set(dict, i, refs[i]);
        bri_shm_close_handle(h);
    }
    bri_collect_begin(arena);
    for (int n = 0; one_step(&c); n++)
        for (int i = 0; i < 1500; i++) {
            if (n % 4 < 2)
                set(dict, next++, broker_int(i));
            else
                (void)bri_dict_delete(dict, broker_int(10000 + (n * 1500 + i) % 10000));
        }
    check_refs(refs, true);
    bri_shm_close_handle(dict);
    cr_assert_eq(bri_collect(arena, &(uint64_t){0}), 0);
    check_refs(refs, false);
}
