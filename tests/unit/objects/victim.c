/*
 * victim.c - see victim.h
 */
#include "victim.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <broker.h>
#include <criterion/criterion.h>

#include "client/handle.h"
#include "conformance/words.h"
#include "core/attachment.h"
#include "core/audit.h"
#include "core/bury.h"
#include "core/heap.h"
#include "core/listing.h"
#include "core/pages.h"
#include "core/session.h"
#include "hand.h"
#include "objects/items.h"
#include "unit/core/lab.h"

/* For one damage; a healthy arena takes about a millisecond. The machine may have other things to
 * do, so what counts is the process's own time, unless it waits. */
#define OWN_SECONDS_AT_MOST 5
#define SECONDS_AT_MOST 60
#define MEMORY_AT_MOST (UINT64_C(1) << 31)
#define FINDINGS_AT_MOST 8
#define SCANS_AT_MOST 20000
#define N_KEYS 60
#define N_ITEMS 60
#define N_WITNESSES 40

struct victim victim;

static broker *maker;

/* ---- the arena ---- */

void victim_must(int r, const char *what)
{
    if (r < 0)
        cr_assert_fail("%s: %s", what, broker_last_error());
}

/* Key number @i, of several kinds. */
static broker_value key_of(unsigned i)
{
    static char text[40];

    switch (i % 4) {
    case 0:
        return broker_int((int64_t)i * 1000003);
    case 1:
        (void)snprintf(text, sizeof(text), "key number %u", i);
        return broker_str(text);
    case 2:
        return broker_double(i); /* is given back as a double, but is the key of an integer */
    default:
        (void)snprintf(text, sizeof(text), "%u", i);
        return broker_bin(text, strlen(text));
    }
}

static size_t size_of(unsigned i)
{
    return i % 13 == 12 ? 5000 + i : i % 7 == 6 ? 700 + i : i % 50;
}

static void fill_dict(broker *b, const char *name, unsigned n)
{
    broker_dict *d;

    victim_must(broker_dict_open(b, name, NULL, &d), "dict.open");
    for (unsigned i = 0; i < n; i++)
        victim_must(
            broker_dict_set(d, key_of(i), broker_strn(filling(6000, i), size_of(i))), "dict.set");
    broker_dict_close(d);
}

static void fill_queue(broker *b, const char *name, unsigned n)
{
    const broker_queue_options options = {.joinable = true, .max_items = 1000};
    broker_queue *q;

    victim_must(broker_queue_open(b, name, &options, &q), "queue.open");
    for (unsigned i = 0; i < n; i++)
        victim_must(
            broker_queue_put(
                q, broker_strn(filling(6000, i), i % 11 == 10 ? 5000 : size_of(i) * 8 % 2000), 0),
            "queue.put");
    broker_queue_close(q);
}

/* Items that were returned, items that are leased; a lock that is held; and all of it open. */
static void hold_things(broker *b)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_dict *d;
    broker_queue *q;
    broker_lock *l;
    broker_value v;

    victim_must(broker_dict_open(b, "dict", NULL, &d), "dict.open");
    victim_must(broker_queue_open(b, "queue", NULL, &q), "queue.open");
    for (int i = 0; i < 12; i++)
        victim_must(broker_queue_get(q, 0, &buffer, &v), "queue.get");
    broker_queue_close(q);
    victim_must(broker_queue_open(b, "queue", NULL, &q), "queue.open");
    for (int i = 0; i < 8; i++)
        victim_must(broker_queue_get(q, 0, &buffer, &v), "queue.get");
    victim_must(broker_queue_task_done(q), "queue.task_done");
    victim_must(broker_lock_open(b, "lock", NULL, &l), "lock.open");
    victim_must(broker_lock_acquire(l, 0, NULL), "lock.acquire");
    broker_buffer_free(&buffer);
}

struct bri_object victim_find(const char *name)
{
    struct bri_listing entries[64];
    struct bri_object o = {0};
    uint32_t cursor = 0;
    int n = bri_registry_list(victim.arena, &cursor, entries, 64);

    for (int i = 0; i < n; i++)
        if (strcmp(entries[i].name, name) == 0)
            cr_assert_eq(bri_object_bind(victim.arena, entries[i].slot, &o), 0);
    cr_assert_not_null(o.slot);
    return o;
}

broker *victim_maker(void)
{
    return maker;
}

void victim_make(void)
{
    victim.arena = lab_arena(2 * MIB);
    maker = hand_broker(victim.arena);
    cr_assert_not_null(maker);
    fill_dict(maker, "dict", N_KEYS);
    fill_queue(maker, "queue", N_ITEMS);
    fill_dict(maker, "witness dict", N_WITNESSES);
    fill_queue(maker, "witness queue", N_WITNESSES);
    hold_things(maker);
    victim.dict = victim_find("dict");
    victim.queue = victim_find("queue");
    victim.lock = victim_find("lock");
    victim.witness_dict = victim_find("witness dict");
    victim.witness_queue = victim_find("witness queue");
    cr_assert_eq(bri_object_bind(victim.arena, victim.arena->first_slot, &victim.registry), 0);
    cr_assert_eq(bri_session_object(victim.arena, 0, &victim.session), 0);
    cr_assert_neq(((const struct bri_items_shm *)victim.queue.slot->state)->early.root, 0);
    lab_audit(victim.arena);
    words_free();
}

void victim_free(void)
{
    hand_free(maker);
    bri_arena_unmap(victim.arena);
    words_free();
}

/* ---- everything that can be done ---- */

/* What the parent is to know of a child's work. */
struct progress {
    unsigned number;
    char damage[128];
    const char *doing; /* a literal: the same address in parent and child */
    char wrong[200];
};

static struct progress *progress;

#define DO(call) VICTIM_DO(call)

void victim_doing(const char *what)
{
    progress->doing = what;
}

int victim_judge(int r)
{
    if (strcmp(broker_error_name(r), "?") == 0 || r == BROKER_INTERNAL) {
        (void)snprintf(progress->wrong, sizeof(progress->wrong), "%s gave %d", progress->doing, r);
        _exit(1);
    }
    return r;
}

static void read_dict(broker_dict *d, broker_buffer *buffer)
{
    uint64_t n, cursor = 0;
    unsigned steps = 0;
    broker_value v;
    bool flag;

    for (unsigned i = 0; i < N_KEYS + 3; i += 4) {
        (void)DO(broker_dict_get(d, key_of(i), buffer, &v));
        (void)DO(broker_dict_read(d, key_of(i + 1), buffer, &v, &n));
        (void)DO(broker_dict_contains(d, key_of(i + 2), &flag));
    }
    (void)DO(broker_dict_len(d, &n));
    (void)DO(broker_dict_keys(d, buffer, &v));
    (void)DO(broker_dict_values(d, buffer, &v));
    (void)DO(broker_dict_items(d, buffer, &v));
    (void)DO(broker_dict_copy(d, buffer, &v));
    while (DO(broker_dict_scan(d, cursor, 1000, buffer, &v, &cursor)) == 0 && cursor != 0)
        if (++steps > SCANS_AT_MOST) {
            (void)snprintf(progress->wrong, sizeof(progress->wrong), "scan does not end");
            _exit(1);
        }
}

static void write_dict(broker_dict *d, broker_buffer *buffer)
{
    const char *text = filling(6000, 1);
    broker_value k, v;
    int64_t total;

    for (unsigned i = 0; i < N_KEYS + 20; i += 5) {
        (void)DO(broker_dict_set(d, key_of(i), broker_strn(text, (i * 97) % 600)));
        (void)DO(broker_dict_get_and_set(
            d, key_of(i + 1), broker_strn(text, size_of(i)), buffer, &v, NULL));
        (void)DO(broker_dict_pop(d, key_of(i + 2), buffer, &v));
        (void)DO(broker_dict_compare_and_set(d, key_of(i + 3), broker_int(i), broker_nil()));
        (void)DO(broker_dict_setdefault(d, key_of(i + 4), broker_int(i), buffer, &v, NULL));
    }
    (void)DO(broker_dict_set(d, broker_str("large"), broker_strn(text, 5500)));
    (void)DO(broker_dict_add(d, broker_str("number"), 1, &total));
    (void)DO(broker_dict_update(d, value_of("{'x': 1, 'y': [2], 'number': 3}")));
    (void)DO(broker_dict_add_many(d, value_of("{'x': 1, 'number': 3}"), broker_str("once")));
    for (int i = 0; i < 30; i++)
        (void)DO(broker_dict_popitem(d, buffer, &k, &v));
    (void)DO(broker_dict_delete(d, broker_str("x")));
    (void)DO(broker_dict_clear(d));
    (void)DO(broker_dict_set(d, broker_str("new"), broker_strn(text, 100)));
    (void)DO(broker_dict_get(d, broker_str("new"), buffer, &v));
}

static void use_queue(broker_queue *q, broker_buffer *buffer)
{
    const char *text = filling(6000, 2);
    broker_value v;
    uint64_t n;
    bool flag;

    (void)DO(broker_queue_qsize(q, &n));
    (void)DO(broker_queue_empty(q, &flag));
    (void)DO(broker_queue_full(q, &flag));
    (void)DO(broker_queue_join(q, 0));
    for (unsigned i = 0; i < 15; i++) {
        (void)DO(broker_queue_put(q, broker_strn(text, i * 150), 0));
        (void)DO(broker_queue_get(q, 0, buffer, &v));
        (void)DO(broker_queue_put(q, broker_strn(text, i % 3 == 0 ? 5000 : 1500), 0));
        (void)DO(broker_queue_get_many(q, 4, 0, buffer, &v));
        (void)DO(broker_queue_task_done(q));
    }
    (void)DO(broker_queue_put_many(q, value_of("[1, 'two', [3], {4: 4}]"), 0));
    for (int i = 0; i < 40; i++) {
        (void)DO(broker_queue_get_many(q, 1000, 0, buffer, &v));
        (void)DO(broker_queue_task_done(q));
    }
    (void)DO(broker_queue_shutdown(q));
}

static void use_lock(broker_lock *l, broker_buffer *buffer)
{
    broker_value v;
    bool flag;

    (void)DO(broker_lock_locked(l, &flag));
    (void)DO(broker_lock_owner(l, buffer, &v));
    (void)DO(broker_lock_acquire(l, 0, NULL));
    (void)DO(broker_lock_release(l));
}

void victim_look_around(broker *b, broker_buffer *buffer)
{
    static const char *const names[] = {"dict", "queue", "lock", "witness dict", "none"};
    struct bri_audit audit = {.quiet_arena = true};
    broker_value v;

    (void)DO(broker_objects(b, NULL, NULL, buffer, &v));
    (void)DO(broker_clients(b, buffer, &v));
    (void)DO(broker_locks(b, buffer, &v));
    (void)DO(broker_deadlocks(b, buffer, &v));
    (void)DO(broker_quotas(b, buffer, &v));
    (void)DO(broker_anonymous(b, buffer, &v));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        (void)DO(broker_stat(b, names[i], buffer, &v));
    (void)DO(bri_audit_arena(b->arena, &audit));
}

static void use_everything(broker *b, broker_buffer *buffer)
{
    broker_dict *d, *more;
    broker_queue *q;
    broker_lock *l;

    victim_look_around(b, buffer);
    if (DO(broker_dict_open(b, "dict", NULL, &d)) == 0) {
        read_dict(d, buffer);
        write_dict(d, buffer);
        broker_dict_close(d);
    }
    if (DO(broker_queue_open(b, "queue", NULL, &q)) == 0) {
        use_queue(q, buffer);
        broker_queue_close(q);
    }
    if (DO(broker_lock_open(b, "lock", NULL, &l)) == 0) {
        use_lock(l, buffer);
        broker_lock_close(l);
    }
    if (DO(broker_dict_open(b, "another", NULL, &more)) == 0)
        write_dict(more, buffer);
    victim_look_around(b, buffer);
    (void)DO(bri_session_reap(b->arena, 0, true, -2 * BRI_MILLISECOND));
    (void)DO(bri_registry_destroy(b->arena, "dict"));
    (void)DO(bri_registry_destroy(b->arena, "queue"));
    (void)DO(bri_registry_destroy(b->arena, "lock"));
    (void)DO(bri_bury(b->arena));
}

/* ---- the witnesses ---- */

static void must_be(bool right, const char *what)
{
    if (right)
        return;
    (void)snprintf(progress->wrong, sizeof(progress->wrong), "a witness suffered: %s", what);
    _exit(1);
}

static void see_problem(void *arg, const char *object, const char *problem)
{
    (void)arg;
    if (strncmp(object, "witness", strlen("witness")) == 0)
        must_be(false, problem);
}

static void check_witnesses(broker *b, broker_buffer *buffer)
{
    struct bri_audit audit = {.report = see_problem};
    broker_dict *d;
    broker_queue *q;
    broker_value v;
    uint64_t n;

    progress->doing = "looking at the witnesses";
    must_be(bri_audit_arena(b->arena, &audit) == 0, "the audit can't be done");
    must_be(broker_dict_open(b, "witness dict", NULL, &d) == 0, "the dict does not open");
    must_be(broker_dict_len(d, &n) == 0 && n == N_WITNESSES, "the dict has not all its keys");
    for (unsigned i = 0; i < N_WITNESSES; i++) {
        must_be(broker_dict_get(d, key_of(i), buffer, &v) == 0, "a key is not there");
        must_be(v.size == size_of(i) && memcmp(v.data, filling(6000, i), v.size) == 0,
            "a value is another");
    }
    must_be(broker_queue_open(b, "witness queue", NULL, &q) == 0, "the queue does not open");
    for (unsigned i = 0; i < N_WITNESSES; i++) {
        size_t size = i % 11 == 10 ? 5000 : size_of(i) * 8 % 2000;

        must_be(broker_queue_get(q, 0, buffer, &v) == 0, "an item is not there");
        must_be(
            v.size == size && memcmp(v.data, filling(6000, i), size) == 0, "an item is another");
    }
    must_be(broker_queue_get(q, 0, buffer, &v) == BROKER_EMPTY, "there are too many items");
    must_be(broker_dict_set(d, broker_str("new"), broker_int(1)) == 0, "the dict takes no new key");
}

/* ---- damage after damage ---- */

static void watch(bool on)
{
    const struct itimerval own = {.it_value.tv_sec = on ? OWN_SECONDS_AT_MOST : 0};

    (void)setitimer(ITIMER_PROF, &own, NULL);
    (void)alarm(on ? SECONDS_AT_MOST : 0);
}

/* False when there is no damage of this number. */
static bool suffer_once(
    victim_damage_fn *damage, victim_use_fn *use, unsigned number, bool contained)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    struct bri_arena *view;
    broker *b;
    bool more;

    view = lab_view(victim.arena);
    progress->doing = "making the damage";
    progress->number = number;
    more = damage(view, number, progress->damage);
    if (more) {
        watch(true);
        b = hand_broker(view);
        if (b != NULL) {
            use(b, &buffer);
            if (contained)
                check_witnesses(b, &buffer);
            hand_free(b);
        }
        watch(false);
    }
    lab_unview(view);
    broker_buffer_free(&buffer);
    words_free();
    return more;
}

/* $BROKER_TEST_DAMAGE names the one damage to be tried, for who looks into a finding; else
 * negative. */
static long only(void)
{
    const char *number = getenv("BROKER_TEST_DAMAGE");

    return number != NULL ? strtol(number, NULL, 10) : -1;
}

static _Noreturn void suffer_from(
    victim_damage_fn *damage, victim_use_fn *use, unsigned number, bool contained)
{
    const struct rlimit memory = {MEMORY_AT_MOST, MEMORY_AT_MOST};

    if (!IS_SANITIZED) /* their shadow is larger */
        (void)setrlimit(RLIMIT_AS, &memory);
    (void)signal(SIGALRM, SIG_DFL);
    (void)signal(SIGPROF, SIG_DFL);
    while (suffer_once(damage, use, number, contained) && only() < 0)
        number++;
    _exit(0);
}

static bool ended_well(int status)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void describe(int status)
{
    char how[64];

    if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGALRM || WTERMSIG(status) == SIGPROF))
        (void)snprintf(how, sizeof(how), "does not end");
    else if (WIFSIGNALED(status))
        (void)snprintf(how, sizeof(how), "died of signal %d", WTERMSIG(status));
    else
        (void)snprintf(how, sizeof(how), "failed");
    cr_log_error("damage %u (%s): %s: %s %s", progress->number, progress->damage, progress->doing,
        how, progress->wrong);
}

void victim_suffer(victim_damage_fn *damage, bool contained)
{
    victim_suffer_using(damage, use_everything, contained);
}

void victim_suffer_using(victim_damage_fn *damage, victim_use_fn *use, bool contained)
{
    unsigned number = only() >= 0 ? (unsigned)only() : 0, findings = 0;
    pid_t parent = getpid(), pid;
    int status;

    progress =
        mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(progress, MAP_FAILED);
    do {
        progress->wrong[0] = '\0';
        pid = fork();
        cr_assert_geq(pid, 0);
        if (pid == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() == parent)
                suffer_from(damage, use, number, contained);
            _exit(99);
        }
        while (waitpid(pid, &status, 0) < 0)
            cr_assert_eq(errno, EINTR);
        if (!ended_well(status)) {
            describe(status);
            findings++;
        }
        number = progress->number + 1;
    } while (!ended_well(status) && findings < FINDINGS_AT_MOST && only() < 0);
    cr_assert_eq(findings, 0, "%u findings in %u damages", findings, number);
    cr_log_info("%u damages", number);
    (void)munmap(progress, sizeof(*progress));
}
