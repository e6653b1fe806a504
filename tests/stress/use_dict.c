/*
 * use_dict.c - what the stress test does with dicts
 *
 * counters: each key counts changes by add, compare_and_set and set_if, which must not be lost and
 * not happen twice. sums: changed by add_many under a key that makes it happen once. records:
 * values of all sizes that tell which key they are of, so that a torn one shows. groups: keys that
 * are always set together.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "objects/pack.h"
#include "value/value.h"
#include "worker.h"

#define N_RECORDS 200u
#define N_GROUPS 4u
#define GROUP_KEYS 4u
#define RECORD_MAGIC UINT32_C(0x7ec02d)

/* ---- counters ---- */

static int64_t number_at(struct worker *w, int r, broker_value v)
{
    if (r == BROKER_NOTFOUND)
        return 0;
    if (v.type != BROKER_INT)
        ledger_fail(w->ledger, "life %u: a counter has a value of type %u", w->number, v.type);
    return v.i;
}

static int count_by_add(struct worker *w, broker_value key)
{
    int64_t total = 0;
    int r = worker_expect(w, broker_dict_add(w->counters, key, 1, &total), "dict add", 0);

    if (total < 1)
        ledger_fail(w->ledger, "life %u: a counter is %lld", w->number, (long long)total);
    return r;
}

static int count_by_exchange(struct worker *w, broker_value key)
{
    broker_value v = broker_nil();
    int r = worker_expect(
        w, broker_dict_get(w->counters, key, &w->out, &v), "dict get", ANSWER(BROKER_NOTFOUND));
    int64_t now = number_at(w, r, v);

    if (r == BROKER_NOTFOUND)
        return r;
    return worker_expect(w,
        broker_dict_compare_and_set(w->counters, key, broker_int(now), broker_int(now + 1)),
        "dict compare_and_set", ANSWER(BROKER_MISMATCH));
}

static int count_by_revision(struct worker *w, broker_value key)
{
    broker_value v = broker_nil();
    uint64_t revision = 0;
    int r = worker_expect(w, broker_dict_read(w->counters, key, &w->out, &v, &revision),
        "dict read", ANSWER(BROKER_NOTFOUND));
    int64_t now = number_at(w, r, v);

    if (r == BROKER_NOTFOUND)
        return r;
    return worker_expect(w, broker_dict_set_if(w->counters, key, broker_int(now + 1), revision),
        "dict set_if", ANSWER(BROKER_MISMATCH));
}

void dict_count(struct worker *w, unsigned thread)
{
    uint32_t k = worker_pick(w, N_COUNTERS), way = worker_pick(w, 4);
    struct tally *t = &w->life->added[thread][k];
    broker_value key = broker_int(k);
    int r;

    if (thread == 0)
        worker_step(w, "dict count");
    atomic_fetch_add(&t->begun, 1);
    if (way == 0)
        r = count_by_exchange(w, key);
    else if (way == 1)
        r = count_by_revision(w, key);
    else
        r = count_by_add(w, key);
    if (r == 0)
        atomic_fetch_add(&t->done, 1);
    else
        atomic_fetch_sub(&t->begun, 1);
}

/* ---- sums ---- */

void dict_many_arguments(uint32_t life, uint64_t n, broker_buffer *buffer, broker_buffer *once,
    broker_value *out_deltas, broker_value *out_once)
{
    struct bri_pack p;

    bri_pack_start(&p, buffer);
    bri_pack_map(&p, N_SUMS);
    for (unsigned k = 0; k < N_SUMS; k++) {
        bri_pack_value(&p, broker_int(ledger_sum_key(life, n, k)));
        bri_pack_value(&p, broker_int(1));
    }
    if (bri_pack_end(&p, out_deltas) < 0)
        abort();
    bri_pack_start(&p, once);
    bri_pack_array(&p, 2);
    bri_pack_value(&p, broker_int(life));
    bri_pack_value(&p, broker_uint(n));
    if (bri_pack_end(&p, out_once) < 0)
        abort();
}

void dict_count_many(struct worker *w)
{
    struct tally *t = &w->life->added_many;
    uint64_t n = atomic_load(&t->begun) + 1;
    broker_value deltas, once;

    worker_step(w, "dict add_many");
    dict_many_arguments(w->number, n, &w->in, &w->out, &deltas, &once);
    atomic_store(&t->begun, n);
    worker_expect(w, broker_dict_add_many(w->sums, deltas, once), "dict add_many", 0);
    if (worker_pick(w, 8) == 0) { /* again: it must know */
        int r = broker_dict_add_many(w->sums, deltas, once);

        if (r != BROKER_EXISTS)
            ledger_fail(w->ledger, "life %u: add_many a second time gave %s", w->number,
                broker_error_name(r));
    }
    atomic_store(&t->done, n);
    worker_expect(w, broker_dict_delete(w->sums, once), "dict delete", 0);
}

/* ---- records ---- */

struct record {
    uint32_t magic, key, size, stamp;
};

static broker_value record_key(uint32_t k, char text[16])
{
    if (k % 3 == 0)
        return broker_int(k);
    (void)snprintf(text, 16, k % 3 == 1 ? "%u" : "record-%u", k);
    return broker_str(text);
}

static uint32_t record_number(struct worker *w, broker_value key)
{
    char text[16] = "";
    uint32_t k = UINT32_MAX;

    if (key.type == BROKER_INT && key.i >= 0 && key.i < N_RECORDS) {
        k = (uint32_t)key.i;
    } else if (key.type == BROKER_STR && key.size < sizeof(text)) {
        memcpy(text, key.data, key.size);
        k = (uint32_t)strtoul(text[0] == 'r' ? text + sizeof("record-") - 1 : text, NULL, 10);
    }
    if (k >= N_RECORDS)
        ledger_fail(w->ledger, "life %u: a key of the records is none", w->number);
    return k;
}

static uint32_t record_size(struct worker *w)
{
    uint32_t pick = worker_pick(w, 1000);

    if (pick < 900)
        return (uint32_t)sizeof(struct record) + worker_pick(w, 200);
    if (pick < 980)
        return 200 + worker_pick(w, 4000);
    return pick < 998 ? 4000 + worker_pick(w, 20000) : 100000 + worker_pick(w, 200000);
}

/* A value that tells which key and how long it is, and whose bytes all say the same. */
static broker_value make_record(struct worker *w, uint32_t k)
{
    struct record head = {.magic = RECORD_MAGIC, .key = k, .size = record_size(w)};

    if (bri_buffer_reserve(&w->in, head.size) < 0)
        abort();
    head.stamp = worker_pick(w, 256);
    memset(w->in.data, (int)head.stamp, head.size);
    memcpy(w->in.data, &head, sizeof(head));
    return broker_bin(w->in.data, head.size);
}

static void check_record(struct worker *w, uint32_t k, broker_value v)
{
    const uint8_t *bytes = v.data;
    struct record head;

    if (v.type != BROKER_BIN || v.size < sizeof(head))
        ledger_fail(w->ledger, "life %u: record %u is none", w->number, k);
    memcpy(&head, bytes, sizeof(head));
    if (head.magic != RECORD_MAGIC || head.key != k || head.size != v.size)
        ledger_fail(w->ledger, "life %u: record %u is that of %u, %u bytes instead of %u",
            w->number, k, head.key, v.size, head.size);
    for (uint32_t i = sizeof(head); i < v.size; i++)
        if (bytes[i] != head.stamp)
            ledger_fail(w->ledger, "life %u: record %u is torn at byte %u", w->number, k, i);
}

/* Packed bytes as what they are. */
static broker_value decoded(struct worker *w, const void *data, size_t size)
{
    broker_value v;

    worker_expect(w, bri_value_decode(data, size, &v), "decode", 0);
    return v;
}

/* Every pair of a packed map of records. */
static void check_records(struct worker *w, broker_value map)
{
    const void *key, *value;
    size_t key_size, value_size;
    struct bri_iter it;

    worker_expect(w, bri_iter_map(&it, map.data, map.size), "walk", 0);
    while (bri_iter_next(&it, &key, &key_size) == 0) {
        worker_expect(w, bri_iter_next(&it, &value, &value_size), "walk", 0);
        check_record(w, record_number(w, decoded(w, key, key_size)), decoded(w, value, value_size));
    }
}

static void scan_records(struct worker *w)
{
    uint64_t cursor = 0;
    broker_value map;

    do {
        worker_expect(
            w, broker_dict_scan(w->records, cursor, 20, &w->out, &map, &cursor), "dict scan", 0);
        check_records(w, map);
    } while (cursor != 0);
}

static void update_records(struct worker *w)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    uint32_t n = 1 + worker_pick(w, 20), first = worker_pick(w, N_RECORDS - n);
    broker_value pairs;
    struct bri_pack p;
    char text[16];

    bri_pack_start(&p, &buffer);
    bri_pack_map(&p, n);
    for (uint32_t k = first; k < first + n; k++) {
        bri_pack_value(&p, record_key(k, text));
        bri_pack_value(&p, make_record(w, k));
    }
    if (bri_pack_end(&p, &pairs) < 0)
        abort();
    worker_expect(w, broker_dict_update(w->records, pairs), "dict update", 0);
    broker_buffer_free(&buffer);
}

static void use_all_records(struct worker *w)
{
    broker_value key, v;
    uint64_t n;

    switch (worker_pick(w, 8)) {
    case 0:
        worker_expect(w, broker_dict_copy(w->records, &w->out, &v), "dict copy", 0);
        check_records(w, v);
        return;
    case 1:
        scan_records(w);
        return;
    case 2:
        worker_expect(w, broker_dict_len(w->records, &n), "dict len", 0);
        if (n > N_RECORDS)
            ledger_fail(w->ledger, "life %u: %llu records", w->number, (unsigned long long)n);
        return;
    case 3:
        if (worker_pick(w, 10) == 0)
            worker_expect(w, broker_dict_clear(w->records), "dict clear", 0);
        return;
    case 4:
        if (worker_expect(w, broker_dict_popitem(w->records, &w->out, &key, &v), "dict popitem",
                ANSWER(BROKER_EMPTY)) == 0)
            check_record(w, record_number(w, key), v);
        return;
    default:
        update_records(w);
        return;
    }
}

void dict_use_records(struct worker *w)
{
    uint32_t k = worker_pick(w, N_RECORDS);
    bool found = false;
    broker_value v;
    char text[16];
    int r = BROKER_NOTFOUND;

    worker_step(w, "dict records");
    switch (worker_pick(w, 12)) {
    case 0:
        use_all_records(w);
        return;
    case 1:
        worker_expect(w, broker_dict_delete(w->records, record_key(k, text)), "dict delete",
            ANSWER(BROKER_NOTFOUND));
        return;
    case 2:
        r = broker_dict_pop(w->records, record_key(k, text), &w->out, &v);
        break;
    case 3:
        r = broker_dict_setdefault(
            w->records, record_key(k, text), make_record(w, k), &w->out, &v, &found);
        break;
    case 4:
        r = broker_dict_get_and_set(
            w->records, record_key(k, text), make_record(w, k), &w->out, &v, &found);
        r = r == 0 && !found ? BROKER_NOTFOUND : r;
        break;
    case 5:
    case 6:
    case 7:
        worker_expect(
            w, broker_dict_set(w->records, record_key(k, text), make_record(w, k)), "dict set", 0);
        return;
    default:
        r = broker_dict_get(w->records, record_key(k, text), &w->out, &v);
        break;
    }
    if (worker_expect(w, r, "dict records", ANSWER(BROKER_NOTFOUND)) == 0)
        check_record(w, k, v);
}

/* ---- groups ---- */

/* The stamp as text, of a length that differs from stamp to stamp. */
static broker_value stamp_text(uint32_t stamp, char text[300])
{
    int n = snprintf(text, 300, "%u,", stamp);

    memset(text + n, 'x', 300 - (size_t)n);
    return broker_strn(text, (size_t)n + stamp % 280);
}

static void set_group(struct worker *w, uint32_t group)
{
    uint32_t stamp = worker_pick(w, UINT32_MAX);
    broker_value pairs;
    struct bri_pack p;
    char text[300];

    bri_pack_start(&p, &w->in);
    bri_pack_map(&p, GROUP_KEYS);
    for (uint32_t k = 0; k < GROUP_KEYS; k++) {
        bri_pack_value(&p, broker_int(group * GROUP_KEYS + k));
        bri_pack_value(&p, stamp_text(stamp, text));
    }
    if (bri_pack_end(&p, &pairs) < 0)
        abort();
    worker_expect(w, broker_dict_update(w->groups, pairs), "dict update", 0);
}

/* In a copy, which is of one moment, all keys of a group have the same value. */
static void check_groups(struct worker *w)
{
    const void *found[N_GROUPS] = {NULL}, *key, *value;
    size_t sizes[N_GROUPS], key_size, value_size;
    struct bri_iter it;
    broker_value map;

    worker_expect(w, broker_dict_copy(w->groups, &w->out, &map), "dict copy", 0);
    worker_expect(w, bri_iter_map(&it, map.data, map.size), "walk", 0);
    while (bri_iter_next(&it, &key, &key_size) == 0) {
        int64_t k = decoded(w, key, key_size).i;
        size_t g = (size_t)k / GROUP_KEYS;

        worker_expect(w, bri_iter_next(&it, &value, &value_size), "walk", 0);
        if (k < 0 || g >= N_GROUPS)
            ledger_fail(w->ledger, "life %u: key %lld in the groups", w->number, (long long)k);
        if (found[g] == NULL) {
            found[g] = value;
            sizes[g] = value_size;
        } else if (sizes[g] != value_size || memcmp(found[g], value, value_size) != 0) {
            ledger_fail(w->ledger, "life %u: group %zu is half changed", w->number, g);
        }
    }
}

void dict_use_groups(struct worker *w)
{
    worker_step(w, "dict groups");
    if (worker_pick(w, 2) == 0)
        set_group(w, worker_pick(w, N_GROUPS));
    else
        check_groups(w);
}
