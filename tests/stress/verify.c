/*
 * verify.c - see verify.h
 */
#include "verify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "objects.h"
#include "value/value.h"
#include "worker.h"

struct verify {
    struct ledger *l;
    broker *b;
    broker_buffer buffer, in, once;
    bool is_wrong;
};

static void wrong(struct verify *v, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void wrong(struct verify *v, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    v->is_wrong = true;
}

static bool works(struct verify *v, int r, const char *what)
{
    if (r < 0)
        wrong(v, "%s at the end: %s: %s", what, broker_error_name(r), broker_last_error());
    return r >= 0;
}

static uint32_t n_lives(const struct verify *v)
{
    return atomic_load(&v->l->n_lives);
}

/* What is in doubt of one tally: at most one change, and none of a life that was not killed. */
static void check_tally(
    struct verify *v, uint32_t life, const struct tally *t, uint64_t *least, uint64_t *most)
{
    uint64_t begun = atomic_load(&t->begun), done = atomic_load(&t->done);
    bool was_killed = atomic_load(&v->l->lives[life].was_killed) != 0;

    if (begun - done > (was_killed ? 1 : 0))
        wrong(
            v, "life %u: %" PRIu64 " changes were begun, and %" PRIu64 " done", life, begun, done);
    *least += done;
    *most += begun;
}

static bool number_of(struct verify *v, broker_dict *d, uint32_t key, uint64_t *out)
{
    broker_value value = broker_int(0);
    int r = broker_dict_get(d, broker_int(key), &v->buffer, &value);

    if (r != BROKER_NOTFOUND && !works(v, r, "dict get"))
        return false;
    *out = (uint64_t)value.i;
    return true;
}

static void check_counters(struct verify *v)
{
    broker_dict *d;

    if (!works(v, broker_dict_open(v->b, "counters", NULL, &d), "dict open"))
        return;
    for (uint32_t k = 0; k < N_COUNTERS; k++) {
        uint64_t least = 0, most = 0, found = 0;

        for (uint32_t i = 0; i < n_lives(v); i++)
            for (unsigned thread = 0; thread < N_THREADS; thread++)
                check_tally(v, i, &v->l->lives[i].added[thread][k], &least, &most);
        if (number_of(v, d, k, &found) && (found < least || found > most))
            wrong(v, "counter %u is %" PRIu64 ", and not from %" PRIu64 " to %" PRIu64, k, found,
                least, most);
    }
    broker_dict_close(d);
}

static void check_array(struct verify *v)
{
    broker_value number;
    broker_array *a;

    if (!works(v, broker_array_open(v->b, "array", NULL, &a), "array open"))
        return;
    for (uint32_t k = 0; k < N_COUNTERS; k++) {
        uint64_t least = 0, most = 0;

        for (uint32_t i = 0; i < n_lives(v); i++)
            check_tally(v, i, &v->l->lives[i].summed[k], &least, &most);
        if (works(v, broker_array_get(a, k, &number), "array get") &&
            ((uint64_t)number.i < least || (uint64_t)number.i > most))
            wrong(v, "element %u is %" PRId64 ", and not from %" PRIu64 " to %" PRIu64, k, number.i,
                least, most);
    }
    broker_array_close(a);
}

/* Those that were killed in an add_many: once more, with the same key. Then nothing is in doubt. */
static void check_sums(struct verify *v)
{
    uint64_t expected[N_COUNTERS] = {0}, found = 0, doubt[2];
    broker_value deltas, once;
    broker_dict *d;
    int r;

    if (!works(v, broker_dict_open(v->b, "sums", NULL, &d), "dict open"))
        return;
    for (uint32_t i = 0; i < n_lives(v); i++) {
        const struct tally *t = &v->l->lives[i].added_many;
        uint64_t begun = atomic_load(&t->begun);

        check_tally(v, i, t, &doubt[0], &doubt[1]);
        for (uint64_t n = 1; n <= begun; n++)
            for (unsigned k = 0; k < N_SUMS; k++)
                expected[ledger_sum_key(i, n, k)]++;
        if (begun == atomic_load(&t->done))
            continue;
        dict_many_arguments(i, begun, &v->in, &v->once, &deltas, &once);
        r = broker_dict_add_many(d, deltas, once);
        if (r != BROKER_EXISTS)
            (void)works(v, r, "dict add_many");
    }
    for (uint32_t k = 0; k < N_COUNTERS; k++)
        if (number_of(v, d, k, &found) && found != expected[k])
            wrong(v, "sum %u is %" PRIu64 ", and not %" PRIu64, k, found, expected[k]);
    broker_dict_close(d);
}

/* ---- queues ---- */

/* What broker_stat() says of an object under @key. */
static uint64_t stat_of(struct verify *v, const char *name, const char *key)
{
    const void *bytes;
    struct bri_iter it;
    broker_value stat, k, n;
    size_t size;

    if (!works(v, broker_stat(v->b, name, &v->buffer, &stat), "stat") ||
        bri_iter_map(&it, stat.data, stat.size) < 0)
        return UINT64_MAX;
    while (bri_iter_next(&it, &bytes, &size) == 0 && bri_value_decode(bytes, size, &k) == 0) {
        if (bri_iter_next(&it, &bytes, &size) < 0 || bri_value_decode(bytes, size, &n) < 0)
            break;
        if (k.size == strlen(key) && memcmp(k.data, key, k.size) == 0)
            return (uint64_t)n.i;
    }
    wrong(v, "the statistic of %s does not tell %s", name, key);
    return UINT64_MAX;
}

/* What is delayed comes by itself. */
static int next_item(struct verify *v, broker_queue *q, bool are_tasks, broker_value *out_item)
{
    bool awaited = are_tasks && stat_of(v, "tasks", "delayed") != 0;

    return broker_queue_get(q, awaited ? BROKER_FOREVER : 0, &v->buffer, out_item);
}

static void drain(struct verify *v, broker_queue *q, bool are_tasks)
{
    broker_value item;
    int r;

    while ((r = next_item(v, q, are_tasks, &item)) == 0) {
        uint32_t number = queue_check_item(v->l, item, are_tasks ? ITEM_TASK : 0);

        if (!are_tasks) {
            queue_note_taken(v->l, number);
            continue;
        }
        if ((atomic_fetch_or(&v->l->items[number].flags, ITEM_TAKEN) & ITEM_FINISHED) != 0)
            wrong(v, "item %u came after it was finished", number);
        if (!works(v, broker_queue_task_done(q), "queue task_done"))
            return;
        queue_note_finished(v->l, number);
    }
    if (r != BROKER_EMPTY)
        (void)works(v, r, "queue get");
}

/* What nobody has received at its two ends. */
static void drain_pipe(struct verify *v)
{
    const broker_pipe_options options = STRESS_TALK;
    broker_pipe *talk;
    broker_value item;
    int r;

    if (!works(v, broker_pipe_open(v->b, "talk", &options, &talk), "pipe open"))
        return;
    for (uint64_t end = 0; end < 2; end++) {
        while ((r = broker_pipe_recv(talk, end, 0, &v->buffer, &item)) == 0)
            queue_note_taken(v->l, queue_check_item(v->l, item, ITEM_MESSAGE));
        if (r != BROKER_EMPTY && r != BROKER_CLOSED)
            (void)works(v, r, "pipe recv");
    }
    broker_pipe_close(talk);
}

static void check_plain_item(struct verify *v, uint32_t flags, uint64_t *n_missing)
{
    (void)v;
    *n_missing += (flags & (ITEM_PUT | ITEM_TAKEN)) == ITEM_PUT;
}

static void check_task(struct verify *v, uint32_t number, uint32_t flags)
{
    const struct item *item = &v->l->items[number];
    uint32_t holder = atomic_load(&item->holder);
    bool first_came = (atomic_load(&v->l->items[item->batch].flags) & ITEM_TAKEN) != 0;

    if ((flags & ITEM_PUT) != 0 && (flags & ITEM_TAKEN) == 0)
        wrong(v, "item %u was put, and is lost", number);
    if (((flags & ITEM_TAKEN) != 0) != first_came)
        wrong(v, "of the items that were put together, %u %s and %u %s", item->batch,
            first_came ? "came" : "did not come", number, first_came ? "did not" : "did");
    if ((flags & ITEM_TAKEN) == 0 || (flags & ITEM_FINISHED) != 0)
        return;
    /* Not known to be finished: then its last holder was killed while saying that it is. */
    if ((flags & ITEM_FINISHING) == 0 || holder == 0 ||
        atomic_load(&v->l->lives[holder - 1].was_killed) == 0)
        wrong(v, "item %u came, and was not finished (flags %u)", number, flags);
}

static void check_items(struct verify *v)
{
    uint64_t n_missing = 0, n_tasks = 0, may_miss = 0, may_return = 0;
    uint32_t n_items = atomic_load(&v->l->n_items);

    for (uint32_t i = 0; i < n_items; i++) {
        uint32_t flags = atomic_load(&v->l->items[i].flags);

        if ((flags & ITEM_TASK) == 0) {
            check_plain_item(v, flags, &n_missing);
            continue;
        }
        check_task(v, i, flags);
        n_tasks += (flags & ITEM_TAKEN) != 0;
    }
    for (uint32_t i = 0; i < n_lives(v); i++) {
        may_miss += atomic_load(&v->l->lives[i].taking_plain);
        may_return += atomic_load(&v->l->lives[i].taking_tasks);
    }
    if (n_missing > may_miss)
        wrong(v, "%" PRIu64 " items are missing, but killed processes were taking only %" PRIu64,
            n_missing, may_miss);
    if (atomic_load(&v->l->n_out_of_order) > may_miss + may_return)
        wrong(v, "%" PRIu64 " items came late, but killed processes were taking only %" PRIu64,
            atomic_load(&v->l->n_out_of_order), may_miss + may_return);
    if (stat_of(v, "tasks", "puts") != n_tasks)
        wrong(v, "%" PRIu64 " tasks were put, but %" PRIu64 " came", stat_of(v, "tasks", "puts"),
            n_tasks);
    (void)printf("items: %u, of them %" PRIu64 " tasks; %" PRIu64 " redelivered, %" PRIu64
                 " gone with %" PRIu64 " that were being taken\n",
        n_items, n_tasks, atomic_load(&v->l->n_redelivered), n_missing, may_miss);
}

static void check_queues(struct verify *v)
{
    const broker_queue_options plain_options = STRESS_PLAIN, task_options = STRESS_TASKS;
    broker_queue *plain, *tasks;
    int r;

    if (!works(v, broker_queue_open(v->b, "plain", &plain_options, &plain), "queue open") ||
        !works(v, broker_queue_open(v->b, "tasks", &task_options, &tasks), "queue open"))
        return;
    drain(v, plain, false);
    drain(v, tasks, true);
    drain_pipe(v);
    (void)works(v, broker_queue_join(tasks, 0), "queue join");
    r = broker_queue_task_done(tasks);
    if (r != BROKER_OVERDONE)
        wrong(v, "task_done when all is done gave %s", broker_error_name(r));
    check_items(v);
    broker_queue_close(plain);
    broker_queue_close(tasks);
}

/* ---- locks ---- */

static void check_lock(struct verify *v, uint32_t n)
{
    const struct guarded *g = &v->l->guarded[n];
    uint64_t least = 0, most = 0;
    broker_lock *lock;
    char name[16];
    int r;

    for (uint32_t i = 0; i < n_lives(v); i++)
        check_tally(v, i, &v->l->lives[i].locked[n], &least, &most);
    if (g->first < least || g->first > most)
        wrong(v, "lock %u: %" PRIu64 " were inside, and not from %" PRIu64 " to %" PRIu64, n,
            g->first, least, most);
    if (g->inside != 0 && atomic_load(&v->l->lives[g->inside - 1].was_killed) == 0)
        wrong(v, "lock %u: life %u never came out", n, g->inside - 1);
    (void)snprintf(name, sizeof(name), "lock-%u", n);
    if (!works(v, broker_lock_open(v->b, name, NULL, &lock), "lock open"))
        return;
    r = broker_lock_acquire(lock, 0, NULL);
    if (r == BROKER_TIMEDOUT && n == KEPT_LOCK && works(v, broker_lock_release(lock), "release"))
        r = broker_lock_acquire(lock, 0, NULL);
    if (works(v, r, "lock acquire") && r == 0 && n != KEPT_LOCK && g->inside != 0)
        wrong(v, "lock %u: nobody was told that life %u died", n, g->inside - 1);
    broker_lock_close(lock);
}

/* ---- all ---- */

static uint64_t count_array(broker_value array)
{
    const void *bytes;
    struct bri_iter it;
    uint64_t n = 0;
    size_t size;

    if (bri_iter_array(&it, array.data, array.size) < 0)
        return UINT64_MAX;
    while (bri_iter_next(&it, &bytes, &size) == 0)
        n++;
    return n;
}

static void check_clients(struct verify *v)
{
    broker_value clients;

    if (works(v, broker_clients(v->b, &v->buffer, &clients), "clients") &&
        count_array(clients) != 1)
        wrong(v, "%" PRIu64 " sessions, and only one process", count_array(clients));
}

static void destroy_all(struct verify *v)
{
    static const char *const names[] = {"counters", "sums", "records", "groups", "rows", "plain",
        "tasks", "array", "stripes", "talk"};
    broker_value objects;
    char name[16];
    int r;

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        (void)works(v, broker_destroy(v->b, names[i]), "destroy");
    for (unsigned i = 0; i < N_LOCKS; i++) {
        (void)snprintf(name, sizeof(name), "lock-%u", i);
        (void)works(v, broker_destroy(v->b, name), "destroy");
    }
    for (unsigned i = 0; i < STRESS_ANY; i++) {
        (void)snprintf(name, sizeof(name), "any-%u", i);
        r = broker_destroy(v->b, name);
        if (r != BROKER_NOTFOUND)
            (void)works(v, r, "destroy");
    }
    if (works(v, broker_objects(v->b, NULL, NULL, &v->buffer, &objects), "objects") &&
        count_array(objects) != 0)
        wrong(v, "%" PRIu64 " objects are left", count_array(objects));
}

bool verify_all(struct ledger *l, const char *address)
{
    struct verify v = {.l = l};

    if (!works(&v, broker_open(address, &v.b), "broker_open"))
        return false;
    check_clients(&v);
    check_counters(&v);
    check_sums(&v);
    check_array(&v);
    check_queues(&v);
    for (uint32_t n = 0; n < N_LOCKS; n++)
        check_lock(&v, n);
    destroy_all(&v);
    broker_buffer_free(&v.buffer);
    broker_buffer_free(&v.in);
    broker_buffer_free(&v.once);
    broker_close(v.b);
    return !v.is_wrong;
}
