/*
 * monitor.c - see monitor.h
 *
 * A record is eight words with a check over them, written without a lock: two threads may be a
 * whole round apart in the same place, and any of them may be killed between two words. What does
 * not pass its check for the number that belongs there was not written, is being written, or is
 * torn. Nothing in the ring is ever believed for more than what is printed of it.
 *
 * There is one ring, and it never goes: a program that ends leaves its records to be read, and one
 * that was stopped may write behind the end of a lease.
 */
#include "core/monitor.h"

#include <broker/errors.h>

#include "core/heap.h"
#include "core/pages.h"

#define N_WORDS 8
#define DURATION_BITS 44 /* almost five hours */
#define OP_BITS 12
#define DURATION_MAX ((INT64_C(1) << DURATION_BITS) - 1)
#define OP_MAX ((1u << OP_BITS) - 1)

__thread struct bri_monitor_thread bri_monitor_thread __attribute__((tls_model("initial-exec")));

/* ---- the ring ---- */

static struct bri_registry_shm *registry_state(const struct bri_slot_shm *slot)
{
    return (struct bri_registry_shm *)slot->state;
}

struct bri_ring_shm *bri_monitor_ring(const struct bri_arena *a)
{
    const struct bri_slot_shm *registry = bri_slot_at(a, a->first_slot);
    uint32_t page =
        atomic_load_explicit(&registry_state(registry)->ring_page, memory_order_acquire);
    uint64_t tag = bri_page_tag(a, page);

    if (bri_tag_owner(tag) != a->first_slot || bri_tag_kind(tag) != BRI_PAGE_RUN ||
        bri_tag_aux(tag) < BRI_RING_PAGES || a->n_pages - page < BRI_RING_PAGES ||
        page + BRI_RING_PAGES > atomic_load_explicit(&a->shm->committed, memory_order_relaxed))
        return NULL;
    return bri_page_at(a, page);
}

static int try_ring(struct bri_txn *t)
{
    struct bri_registry_shm *s = registry_state(t->o->slot);
    struct bri_ring_shm *ring;
    uint64_t off;

    if (atomic_load(&s->ring_page) != 0) /* another was faster */
        return 0;
    off = bri_alloc(t, sizeof(*ring));
    if (off == 0)
        return t->failed;
    ring = BRI_AT(t->o->arena, off, struct bri_ring_shm);
    atomic_store(&ring->next, 0);
    atomic_store(&ring->n_left_out, 0);
    bri_set_atomic32(t, &s->ring_page, (uint32_t)(off >> BRI_PAGE_SHIFT));
    return 0;
}

static int make_ring(struct bri_arena *a, int64_t patience_ns)
{
    struct bri_object registry;
    struct bri_txn t;
    int r = bri_object_bind(a, a->first_slot, &registry);

    if (r < 0 || registry.root == NULL)
        return r < 0 ? r : BROKER_CORRUPT;
    do {
        r = bri_begin(&t, &registry, patience_ns);
        if (r < 0)
            return r;
        r = bri_end(&t, try_ring(&t));
    } while (r == BRI_AGAIN);
    return r == 0 && bri_monitor_ring(a) == NULL ? BROKER_CORRUPT : r;
}

/* ---- the lease ---- */

static bool is_over(uint64_t until, int64_t now_ns)
{
    return (int64_t)until <= now_ns || (int64_t)until - now_ns > 2 * BRI_MONITOR_LEASE_NS;
}

/* All who monitor at once move it to the same numbers, so that a tick is as long for many as it is
 * for one. */
int bri_monitor_renew(struct bri_arena *a, int64_t patience_ns)
{
    int64_t now = bri_now();
    uint64_t until = (uint64_t)((now + BRI_MONITOR_LEASE_NS) / BRI_MONITOR_TICK_NS + 1) *
                     (uint64_t)BRI_MONITOR_TICK_NS;
    uint64_t seen = atomic_load_explicit(&a->shm->monitored_until_ns, memory_order_relaxed);
    int r = bri_monitor_ring(a) != NULL ? 0 : make_ring(a, patience_ns);

    while (r == 0 && (seen < until || is_over(seen, now)) &&
           !atomic_compare_exchange_weak_explicit(&a->shm->monitored_until_ns, &seen, until,
               memory_order_relaxed, memory_order_relaxed))
        continue;
    return r;
}

/* Nobody knows whether others monitor: they have time for their next renewal. */
void bri_monitor_end(struct bri_arena *a)
{
    uint64_t rest = (uint64_t)(bri_now() + BRI_MONITOR_REST_NS);
    uint64_t seen = atomic_load_explicit(&a->shm->monitored_until_ns, memory_order_relaxed);

    if (seen > rest)
        (void)atomic_compare_exchange_strong_explicit(
            &a->shm->monitored_until_ns, &seen, rest, memory_order_relaxed, memory_order_relaxed);
}

bool bri_monitor_check(struct bri_arena *a, int64_t now_ns)
{
    uint64_t seen = atomic_load_explicit(&a->shm->monitored_until_ns, memory_order_relaxed);

    if (seen == 0)
        return false;
    if (!is_over(seen, now_ns))
        return true;
    return !atomic_compare_exchange_strong_explicit(
               &a->shm->monitored_until_ns, &seen, 0, memory_order_relaxed, memory_order_relaxed) &&
           seen != 0;
}

/* ---- writing ---- */

static uint64_t mix(uint64_t x)
{
    x ^= x >> 32;
    x *= UINT64_C(0x9e3779b97f4a7c15);
    return x ^ x >> 29;
}

/* Number and check of a record in one word. */
static uint64_t seal(uint64_t number, const uint64_t words[N_WORDS])
{
    uint64_t x = mix(number + 1);

    for (unsigned i = 1; i < N_WORDS; i++)
        x = mix(x ^ words[i]);
    return x << 32 | (number & UINT32_MAX);
}

static uint64_t clip(int64_t n, int64_t most)
{
    return n < 0 ? 0 : (uint64_t)(n < most ? n : most);
}

static void pack(const struct bri_record *r, uint64_t words[N_WORDS])
{
    words[1] = (uint64_t)r->end_ns;
    words[2] = clip(r->duration_ns, DURATION_MAX) | (uint64_t)(r->op & OP_MAX) << DURATION_BITS |
               (uint64_t)(uint8_t)r->result << (DURATION_BITS + OP_BITS);
    words[3] = (uint64_t)r->object << 32 | r->generation;
    words[4] = (uint64_t)r->who.session << 32 | r->who.pid;
    words[5] = (uint64_t)r->who.uid << 32 | r->who.ops;
    memcpy(&words[6], r->who.comm, sizeof(r->who.comm));
}

static void unpack(const uint64_t words[N_WORDS], struct bri_record *out)
{
    *out = (struct bri_record){.end_ns = (int64_t)words[1],
        .duration_ns = (int64_t)words[2] & DURATION_MAX,
        .object = (uint32_t)(words[3] >> 32),
        .generation = (uint32_t)words[3],
        .op = (uint32_t)(words[2] >> DURATION_BITS) & OP_MAX,
        .result = (int8_t)(words[2] >> (DURATION_BITS + OP_BITS)),
        .who = {.session = (uint32_t)(words[4] >> 32),
            .pid = (uint32_t)words[4],
            .uid = (uint32_t)(words[5] >> 32),
            .ops = (uint32_t)words[5]}};
    memcpy(out->who.comm, &words[6], sizeof(out->who.comm) - 1);
}

void bri_monitor_write(struct bri_ring_shm *ring, const struct bri_record *record)
{
    uint64_t number = atomic_fetch_add_explicit(&ring->next, 1, memory_order_relaxed);
    struct bri_record_shm *place = &ring->records[number % BRI_RING_RECORDS];
    uint64_t words[N_WORDS];

    pack(record, words);
    words[0] = seal(number, words);
    for (unsigned i = 0; i < N_WORDS; i++)
        atomic_store_explicit(&place->words[i], words[i], memory_order_relaxed);
}

/* ---- reading ---- */

static bool read_record(const struct bri_ring_shm *ring, uint64_t number, struct bri_record *out)
{
    const struct bri_record_shm *place = &ring->records[number % BRI_RING_RECORDS];
    uint64_t words[N_WORDS];

    for (unsigned i = 0; i < N_WORDS; i++)
        words[i] = atomic_load_explicit(&place->words[i], memory_order_relaxed);
    if (words[0] != seal(number, words))
        return false;
    unpack(words, out);
    return true;
}

static void read_all(const struct bri_ring_shm *ring, struct bri_monitor_place *place,
    struct bri_record *records, uint32_t max, struct bri_monitor_look *look)
{
    uint64_t next = atomic_load_explicit(&ring->next, memory_order_acquire);

    if (next < place->next) /* numbers only grow: it was written over */
        place->next = place->waited = next;
    if (next - place->next > BRI_RING_RECORDS) {
        look->n_missed += next - place->next - BRI_RING_RECORDS;
        place->next = next - BRI_RING_RECORDS;
    }
    for (; place->next != next && look->n < max; place->next++) {
        if (read_record(ring, place->next, &records[look->n])) {
            look->n++;
        } else if (place->next < place->waited) {
            look->n_missed++; /* its writer died, or is stopped: who comes behind is not */
        } else {
            place->waited = next;
            return;
        }
    }
}

struct bri_monitor_look bri_monitor_read(const struct bri_arena *a, struct bri_monitor_place *place,
    struct bri_record *records, uint32_t max)
{
    const struct bri_ring_shm *ring = bri_monitor_ring(a);
    struct bri_monitor_look look = {0};
    uint64_t n_left_out;

    if (ring == NULL)
        return look;
    n_left_out = atomic_load_explicit(&ring->n_left_out, memory_order_relaxed);
    if (n_left_out > place->n_left_out)
        look.n_missed = n_left_out - place->n_left_out;
    place->n_left_out = n_left_out;
    read_all(ring, place, records, max, &look);
    return look;
}

void bri_monitor_skip(const struct bri_arena *a, struct bri_monitor_place *place)
{
    const struct bri_ring_shm *ring = bri_monitor_ring(a);

    *place = (struct bri_monitor_place){0};
    if (ring == NULL)
        return;
    place->n_left_out = atomic_load_explicit(&ring->n_left_out, memory_order_relaxed);
    place->next = atomic_load_explicit(&ring->next, memory_order_acquire);
}
