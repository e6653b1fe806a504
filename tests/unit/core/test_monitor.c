/*
 * test_monitor.c - the lease of who monitors, and the ring in which operations are written down
 */
#include "lab.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <broker/errors.h>
#include <criterion/criterion.h>

#include "core/heap.h"
#include "core/monitor.h"
#include "core/pages.h"
#include "crash/tracer.h"
#include "crash/walker.h"
#include "engine_ops.h"
#include "unit/value/random.h"

static struct bri_arena *arena;
static struct bri_ring_shm *ring;
static struct bri_monitor_place place;
static struct bri_record records[BRI_RING_RECORDS + 10];

static uint64_t word(void)
{
    return atomic_load(&arena->shm->monitored_until_ns);
}

static bool can_walk;

static void start(void)
{
    can_walk = walker_init();
    arena = lab_arena(16 * MIB);
    cr_assert_null(bri_monitor_ring(arena));
    cr_assert_eq(word(), 0);
    cr_assert_eq(bri_monitor_renew(arena, BRI_PATIENCE), 0);
    ring = bri_monitor_ring(arena);
    cr_assert_not_null(ring);
    place = (struct bri_monitor_place){0};
}

static void stop(void)
{
    bri_arena_unmap(arena);
}

TestSuite(monitor, .init = start, .fini = stop, .timeout = 60);

/* All that can be said of it follows from its number. */
static struct bri_record record(uint32_t n)
{
    struct bri_record r = {.end_ns = 1000 + n,
        .duration_ns = 3 * (int64_t)n,
        .object = 5 * n,
        .generation = 7 * n,
        .op = n % 200,
        .result = (int)(n % 256) - 128,
        .who = {.session = 9 * n, .pid = 11 * n, .uid = 13 * n, .ops = 17 * n}};

    (void)snprintf(r.who.comm, sizeof(r.who.comm), "program%u", n);
    return r;
}

static void write_numbers(uint32_t from, uint32_t to)
{
    for (uint32_t n = from; n < to; n++) {
        struct bri_record r = record(n);

        bri_monitor_write(ring, &r);
    }
}

static bool is_same(const struct bri_record *a, const struct bri_record *b)
{
    return a->end_ns == b->end_ns && a->duration_ns == b->duration_ns && a->object == b->object &&
           a->generation == b->generation && a->op == b->op && a->result == b->result &&
           a->who.session == b->who.session && a->who.pid == b->who.pid &&
           a->who.uid == b->who.uid && a->who.ops == b->who.ops &&
           strcmp(a->who.comm, b->who.comm) == 0;
}

static struct bri_monitor_look look_at(const struct bri_arena *a, uint32_t max)
{
    return bri_monitor_read(a, &place, records, max);
}

/* A look, and what it gives: these numbers, and so many that are missed. */
static void expect(uint32_t from, uint32_t to, uint64_t n_missed)
{
    struct bri_monitor_look look = look_at(arena, BRI_RING_RECORDS + 10);

    cr_assert_eq(look.n, to - from, "%u of %u", look.n, to - from);
    cr_assert_eq(look.n_missed, n_missed, "%llu missed", (unsigned long long)look.n_missed);
    for (uint32_t n = from; n < to; n++) {
        struct bri_record wanted = record(n);

        cr_assert(is_same(&records[n - from], &wanted), "number %u", n);
    }
}

/* ---- the ring ---- */

Test(monitor, what_was_written_is_read_once_and_in_order)
{
    expect(0, 0, 0);
    write_numbers(0, 300);
    expect(0, 300, 0);
    expect(0, 0, 0);
    write_numbers(300, 301);
    expect(300, 301, 0);
    lab_audit(arena);
}

Test(monitor, extreme_numbers_come_back_or_are_clipped)
{
    const struct bri_record all[] = {
        {INT64_MAX, (INT64_C(1) << 44) - 1, UINT32_MAX, UINT32_MAX, 4095, -128,
            {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, "fifteen letters"}},
        {.result = 127},
        {.end_ns = 1, .duration_ns = INT64_MAX},
        {.end_ns = 1, .duration_ns = -1},
    };

    for (unsigned i = 0; i < 4; i++)
        bri_monitor_write(ring, &all[i]);
    cr_assert_eq(look_at(arena, 10).n, 4);
    cr_assert(is_same(&records[0], &all[0]));
    cr_assert(is_same(&records[1], &all[1]));
    cr_assert_eq(records[2].duration_ns, (INT64_C(1) << 44) - 1);
    cr_assert_eq(records[3].duration_ns, 0);
}

Test(monitor, what_was_overwritten_is_counted)
{
    write_numbers(0, BRI_RING_RECORDS);
    expect(0, BRI_RING_RECORDS, 0);
    write_numbers(1000, 1000 + BRI_RING_RECORDS + 5);
    expect(1005, 1005 + BRI_RING_RECORDS, 5);
    write_numbers(0, 10 * BRI_RING_RECORDS);
    expect(9 * BRI_RING_RECORDS, 10 * BRI_RING_RECORDS, 9 * BRI_RING_RECORDS);
}

Test(monitor, a_reader_with_little_room_goes_on_where_it_was)
{
    write_numbers(0, 100);
    cr_assert_eq(look_at(arena, 40).n, 40);
    cr_assert_eq(look_at(arena, 0).n, 0);
    expect(40, 100, 0);
}

Test(monitor, what_was_left_out_is_told_once)
{
    bri_monitor_leave_out(ring, 5);
    bri_monitor_leave_out(ring, 6);
    expect(0, 0, 11);
    expect(0, 0, 0);
}

Test(monitor, a_skip_passes_over_what_is_there)
{
    write_numbers(0, 100);
    bri_monitor_leave_out(ring, 5);
    bri_monitor_skip(arena, &place);
    expect(0, 0, 0);
    write_numbers(100, 102);
    expect(100, 102, 0);
}

/* Each word of a record in turn becomes another one. */
Test(monitor, a_torn_record_is_waited_for_once_and_then_missed)
{
    for (uint32_t i = 0; i < 8; i++) {
        write_numbers(3 * i, 3 * i + 3);
        atomic_fetch_xor(&ring->records[3 * i + 1].words[i], UINT64_C(1) << 17);
        expect(3 * i, 3 * i + 1, 0);
        expect(3 * i + 2, 3 * i + 3, 1);
    }
}

Test(monitor, a_record_that_comes_late_is_read)
{
    struct bri_record late = record(1);

    write_numbers(0, 1);
    (void)atomic_fetch_add(&ring->next, 1); /* as far as its writer has come */
    write_numbers(2, 3);
    expect(0, 1, 0);
    atomic_fetch_sub(&ring->next, 2);
    bri_monitor_write(ring, &late);
    (void)atomic_fetch_add(&ring->next, 1);
    expect(1, 3, 0);
}

/* One who was stopped for a whole round, and goes on, spoils the record that is there now: it is
 * missed, and nothing else is. */
Test(monitor, a_late_writer_makes_no_record_of_two)
{
    struct bri_record_shm old = {0};

    write_numbers(0, 1);
    for (unsigned i = 0; i < 8; i++)
        atomic_store(&old.words[i], atomic_load(&ring->records[0].words[i]));
    expect(0, 1, 0);
    for (unsigned n_words = 1; n_words <= 8; n_words++) {
        struct bri_record_shm *oldest;

        write_numbers(1, BRI_RING_RECORDS + 1);
        oldest = &ring->records[atomic_load(&ring->next) % BRI_RING_RECORDS];
        for (unsigned i = 0; i < n_words; i++)
            atomic_store(&oldest->words[7 - i], atomic_load(&old.words[7 - i]));
        /* What both have in common does not spoil it. */
        if (n_words > 2) {
            cr_assert_eq(look_at(arena, BRI_RING_RECORDS).n, 0, "%u", n_words);
            cr_assert_eq(look_at(arena, BRI_RING_RECORDS).n, BRI_RING_RECORDS - 1);
        }
        bri_monitor_skip(arena, &place);
    }
}

/* However much is not there, it is waited for once. */
Test(monitor, all_that_was_begun_is_waited_for_at_once)
{
    (void)atomic_fetch_add(&ring->next, 1000);
    write_numbers(0, 1);
    expect(0, 0, 0);
    expect(0, 1, 1000);
    (void)atomic_fetch_add(&ring->next, 1);
    write_numbers(1, 2);
    expect(0, 0, 0);
    expect(1, 2, 1);
}

static void write_one(void *arg)
{
    struct bri_record r = record(1);

    (void)arg;
    bri_monitor_write(ring, &r);
}

/* What a child is to do up to its death. */
struct part {
    struct bri_arena *arena;
    uint64_t n;
    void (*fn)(void *);
    void *arg;
};

static void walk_behind(void *arg)
{
    const struct part *part = arg;

    walker_start(part->arena->base, part->arena->size, part->fn, part->arg);
    for (uint64_t i = 0; i < part->n && walker_step(); i++)
        ;
    walker_become();
}

static void walk_on(void *arg)
{
    (void)arg;
    walker_go_on();
}

/*
 * A child that is killed behind its @n-th store to the arena, or, where stores cannot be watched,
 * behind so many instructions. False if it came to its end.
 */
static bool kill_behind(struct bri_arena *a, uint64_t n, void (*fn)(void *), void *arg)
{
    struct part part = {.arena = a, .n = n, .fn = fn, .arg = arg};
    bool is_on_its_way = true;
    struct tracer tracer;

    cr_assert_eq(madvise(a->base, a->size, MADV_DOFORK), 0);
    if (can_walk) {
        tracer_start(&tracer, walk_behind, walk_on, &part);
        is_on_its_way = tracer_run_to(&tracer, *walker_at);
    } else {
        tracer_start(&tracer, NULL, fn, arg);
        for (uint64_t i = 0; i < n && is_on_its_way; i++)
            is_on_its_way = tracer_step(&tracer);
    }
    tracer_kill(&tracer);
    return is_on_its_way;
}

/* What others write behind it is read in any case. */
Test(monitor, who_is_killed_while_writing_spoils_its_own_record_alone, .disabled = IS_SANITIZED)
{
    uint32_t n_whole = 0, n_spoilt = 0;
    uint64_t n = 0;

    while (kill_behind(arena, ++n, write_one, NULL)) {
        struct bri_monitor_look look;
        uint32_t got;

        write_numbers(2, 3);
        look = look_at(arena, 10);
        got = look.n;
        if (got == 0)
            look = look_at(arena, 10);
        cr_assert_eq(look.n, got == 0 ? 1 : got);
        cr_assert(got <= 2 && look.n_missed == (got == 0), "at %llu", (unsigned long long)n);
        cr_assert_eq(records[look.n - 1].end_ns, 1002);
        n_whole += got == 2;
        n_spoilt += got == 0;
    }
    cr_assert(n_whole > 0 && n_spoilt > 0, "%u, %u", n_whole, n_spoilt);
    lab_audit(arena);
}

static void begin(void *arg)
{
    (void)bri_monitor_renew(arg, BRI_PATIENCE);
}

Test(monitor, who_is_killed_while_making_the_ring_leaves_none_or_a_whole_one,
    .disabled = IS_SANITIZED)
{
    unsigned n_made = 0, n_recovered = 0;
    bool is_on_its_way = true;

    for (uint64_t n = 1; is_on_its_way; n += can_walk ? 1 : n / 16 + 1) {
        struct bri_arena *fresh = lab_arena(MIB);

        is_on_its_way = kill_behind(fresh, n, begin, fresh);
        bri_settle(fresh, fresh->first_slot);
        n_recovered += bri_slot_at(fresh, fresh->first_slot)->n_recovered != 0;
        n_made += bri_monitor_ring(fresh) != NULL;
        lab_audit(fresh);
        cr_assert_eq(bri_monitor_renew(fresh, BRI_PATIENCE), 0, "at %llu", (unsigned long long)n);
        lab_audit(fresh);
        bri_arena_unmap(fresh);
    }
    cr_assert(n_made > 0 && n_recovered > 0, "%u, %u", n_made, n_recovered);
}

Test(monitor, there_is_one_ring_whoever_monitors)
{
    uint32_t used = lab_used(arena);

    cr_assert_eq(bri_monitor_renew(arena, BRI_PATIENCE), 0);
    cr_assert_eq(bri_monitor_ring(arena), ring);
    cr_assert_eq(lab_used(arena), used);
    lab_audit(arena);
}

Test(monitor, an_arena_without_memory_is_not_monitored_and_is_whole)
{
    struct bri_arena *small = lab_arena(128 * 1024);

    cr_assert_eq(bri_monitor_renew(small, BRI_PATIENCE), BROKER_NOMEM);
    cr_assert_null(bri_monitor_ring(small));
    cr_assert_eq(atomic_load(&small->shm->monitored_until_ns), 0, "for nothing");
    lab_audit(small);
    bri_arena_unmap(small);
}

static int hold_registry(void *arg)
{
    struct bri_arena *mine = lab_map(arg);
    struct bri_object registry;
    struct bri_txn t;

    if (bri_object_bind(mine, mine->first_slot, &registry) < 0 ||
        bri_begin(&t, &registry, BRI_PATIENCE) < 0)
        return 1;
    (void)raise(SIGSTOP);
    return 0;
}

/* As the daemon renews it: whoever is stopped in the registry must not stop it. */
Test(monitor, a_ring_is_waited_for_no_longer_than_told)
{
    struct bri_arena *fresh = lab_arena(MIB);
    pid_t pid = fork();
    int status;

    cr_assert_geq(pid, 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(hold_registry(fresh));
    }
    cr_assert_eq(waitpid(pid, &status, WUNTRACED), pid);
    cr_assert(WIFSTOPPED(status));
    cr_assert_eq(bri_monitor_renew(fresh, -BRI_MILLISECOND), BROKER_TIMEDOUT);
    cr_assert_eq(kill(pid, SIGKILL), 0);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(bri_monitor_renew(fresh, BRI_PATIENCE), 0);
    lab_audit(fresh);
    bri_arena_unmap(fresh);
}

/* ---- what others may have written ---- */

Test(monitor, readers_need_no_right_to_write)
{
    struct bri_arena *reader = NULL;
    int fd = dup(arena->fd);

    cr_assert_eq(bri_arena_map(fd, true, &reader, NULL), 0);
    write_numbers(0, 10);
    cr_assert_eq(look_at(reader, 100).n, 10);
    bri_arena_unmap(reader);
}

/* As long as a ring. */
static uint32_t somebodys_run(void)
{
    struct bri_object o = lab_object(arena, "large", BRI_TYPE_DICT, 0);
    struct bri_txn t;
    uint64_t off;

    do {
        cr_assert_eq(bri_begin(&t, &o, BRI_PATIENCE), 0);
        off = bri_alloc(&t, sizeof(*ring));
    } while (bri_end(&t, off != 0 ? 0 : t.failed) == BRI_AGAIN);
    cr_assert_neq(off, 0);
    return (uint32_t)(off >> BRI_PAGE_SHIFT);
}

Test(monitor, a_ring_that_is_not_the_registrys_is_not_looked_at)
{
    struct bri_slot_shm *registry = bri_slot_at(arena, arena->first_slot);
    struct bri_registry_shm *s = (struct bri_registry_shm *)registry->state;
    uint32_t page = atomic_load(&s->ring_page);
    const uint32_t wrong[] = {1, page + 1, page - 1, arena->n_pages - 1, arena->n_pages, UINT32_MAX,
        UINT32_MAX - BRI_RING_PAGES + 1, atomic_load(&registry->root_page), somebodys_run()};

    write_numbers(0, 10);
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        atomic_store(&s->ring_page, wrong[i]);
        expect(0, 0, 0);
        bri_monitor_skip(arena, &place);
        cr_assert_eq(bri_monitor_renew(arena, BRI_PATIENCE), BROKER_CORRUPT);
    }
    atomic_store(&s->ring_page, page);
    atomic_store(&arena->shm->committed, page + BRI_RING_PAGES - 1);
    expect(0, 0, 0);
    atomic_store(&arena->shm->committed, page + BRI_RING_PAGES);
    expect(0, 10, 0);
}

/* Whatever lies there, a look ends, keeps to its room, and the next ones are right again. */
Test(monitor, random_rings_harm_no_reader)
{
    struct random r = {.state = random_seed()};
    uint64_t *words = (uint64_t *)ring;

    cr_log_info("seed %llu", (unsigned long long)r.state);
    for (unsigned round = 0; round < 2000; round++) {
        uint32_t max = (uint32_t)random_below(&r, 100);

        for (unsigned i = 0; i < 200; i++)
            words[random_below(&r, i % 2 == 0 ? 8 : sizeof(*ring) / 8)] = random_next(&r);
        if (round % 2 == 0)
            atomic_store(&ring->next, place.next + random_below(&r, 3000));
        cr_assert_leq(look_at(arena, max).n, max);
    }
    bri_monitor_skip(arena, &place);
    write_numbers(1, 2);
    expect(1, 2, 0);
}

/* ---- the lease ---- */

Test(monitor, nobody_monitors_at_first)
{
    struct bri_arena *fresh = lab_arena(MIB);

    cr_assert_eq(atomic_load(&fresh->shm->monitored_until_ns), 0);
    cr_assert_not(bri_monitor_check(fresh, bri_now()));
    bri_arena_unmap(fresh);
}

Test(monitor, a_lease_ends_by_itself)
{
    int64_t before = bri_now();
    uint64_t until;

    cr_assert_eq(bri_monitor_renew(arena, BRI_PATIENCE), 0);
    until = word();
    cr_assert_geq((int64_t)until, before + BRI_MONITOR_LEASE_NS);
    cr_assert_eq(until % (uint64_t)BRI_MONITOR_TICK_NS, 0);
    cr_assert(bri_monitor_check(arena, before));
    cr_assert(bri_monitor_check(arena, (int64_t)until - 1));
    cr_assert_eq(word(), until);
    cr_assert_not(bri_monitor_check(arena, (int64_t)until));
    cr_assert_eq(word(), 0, "whoever notices clears it");
}

Test(monitor, a_renewal_never_shortens_a_lease)
{
    uint64_t until;

    cr_assert_eq(bri_monitor_renew(arena, BRI_PATIENCE), 0);
    until = word();
    cr_assert_eq(bri_monitor_renew(arena, BRI_PATIENCE), 0);
    cr_assert_geq(word(), until);
}

Test(monitor, who_is_done_leaves_others_the_time_to_renew)
{
    int64_t before = bri_now();
    uint64_t until = word(), rest;

    bri_monitor_end(arena);
    rest = word();
    cr_assert_lt(rest, until);
    cr_assert_geq((int64_t)rest, before + BRI_MONITOR_REST_NS);
    cr_assert(bri_monitor_check(arena, (int64_t)rest - BRI_MONITOR_REST_NS));
    bri_monitor_end(arena);
    cr_assert_leq(word(), rest, "never longer");
    cr_assert_eq(bri_monitor_renew(arena, BRI_PATIENCE), 0);
    cr_assert_geq(word(), until);
    atomic_store(&arena->shm->monitored_until_ns, 0);
    bri_monitor_end(arena);
    cr_assert_eq(word(), 0);
}

Test(monitor, a_lease_that_nobody_can_have_asked_for_is_none)
{
    const uint64_t wrong[] = {1, UINT64_MAX, UINT64_MAX / 2,
        (uint64_t)(bri_now() + 10 * BRI_MONITOR_LEASE_NS), UINT64_C(1) << 63};

    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        atomic_store(&arena->shm->monitored_until_ns, wrong[i]);
        cr_assert_not(bri_monitor_check(arena, bri_now()), "%llu", (unsigned long long)wrong[i]);
        cr_assert_eq(word(), 0);
        atomic_store(&arena->shm->monitored_until_ns, wrong[i]);
        cr_assert_eq(bri_monitor_renew(arena, BRI_PATIENCE), 0);
        cr_assert(bri_monitor_check(arena, bri_now()), "%llu", (unsigned long long)wrong[i]);
    }
}
