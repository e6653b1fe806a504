/*
 * test_dict_random.c - random operations on a dict and on a naive model of one, compared
 *
 * $BROKER_TEST_SEED chooses other operations; a failure says which seed it was.
 */
#include "conformance/kit.h"

#include <stdio.h>
#include <stdlib.h>

#include "unit/value/random.h"

TestSuite(dict_random, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define N_KEYS 120
#define MAX_SIZE 20000
#define OPERATIONS 6000

/* An entry of the model, in order of insertion. Keys are the numbers below N_KEYS, each in several
 * forms. */
struct entry {
    int key;
    char given[64]; /* the key's text as it was first given */
    uint8_t *value; /* packed */
    size_t size;
};

static struct {
    struct entry entries[N_KEYS];
    int n;
} model;

static struct random rng;
static uint64_t seed;

/* ---- the model ---- */

static int find(int key)
{
    for (int i = 0; i < model.n; i++)
        if (model.entries[i].key == key)
            return i;
    return -1;
}

static void put(int key, const char *given, const uint8_t *value, size_t size)
{
    int i = find(key);
    struct entry *e = &model.entries[i >= 0 ? i : model.n];

    if (i < 0) {
        model.n++;
        e->key = key;
        (void)snprintf(e->given, sizeof(e->given), "%s", given);
        e->value = NULL;
    }
    e->value = realloc(e->value, size);
    memcpy(e->value, value, size);
    e->size = size;
}

static void take_away(int i)
{
    free(model.entries[i].value);
    model.n--;
    memmove(&model.entries[i], &model.entries[i + 1], (size_t)(model.n - i) * sizeof(struct entry));
}

/* ---- what goes in ---- */

/* Key number @key in one of its forms. */
static broker_value key_form(int key)
{
    char text[64];

    switch (key % 4) {
    case 0: /* a number */
        (void)snprintf(text, sizeof(text), random_below(&rng, 2) == 0 ? "%d" : "%d.0", key / 4 - 2);
        if (key / 4 - 2 == 1 && random_below(&rng, 3) == 0)
            return broker_bool(true);
        return value_of(text);
    case 1:
        (void)snprintf(
            text, sizeof(text), "'key %d%s'", key, key % 8 == 1 ? " with a longer name" : "");
        return value_of(text);
    case 2:
        (void)snprintf(text, sizeof(text), "b'%02x'", key);
        return value_of(text);
    default:
        (void)snprintf(
            text, sizeof(text), random_below(&rng, 2) == 0 ? "[%d, nil]" : "[%d.0, nil]", key);
        return value_of(text);
    }
}

static uint8_t value_bytes[MAX_SIZE];

/* Any value; now and then one that fills pages; often a number, so that adding can succeed. */
static broker_value some_value(void)
{
    size_t n;

    if (random_below(&rng, 3) == 0) {
        n = random_value(&rng, value_bytes, 9, 0);
    } else if (random_below(&rng, 8) == 0) {
        n = 300 + random_below(&rng, MAX_SIZE - 400);
        value_bytes[0] = 0xda;
        value_bytes[1] = (uint8_t)(n >> 8);
        value_bytes[2] = (uint8_t)n;
        memset(value_bytes + 3, 'a' + (int)random_below(&rng, 26), n);
        n += 3;
    } else {
        n = random_value(&rng, value_bytes, 1 + random_below(&rng, 600), 4);
    }
    return broker_packed(value_bytes, n);
}

static void differ(const char *what, int r, int expected)
{
    cr_assert_fail("seed %llu: %s gave %s, the model %s", (unsigned long long)seed, what,
        broker_error_name(r), broker_error_name(expected));
}

/* ---- operations ---- */

static void same_result(const char *what, int r, int expected)
{
    if (r != expected)
        differ(what, r, expected);
}

/* The value that came out against the model's bytes, by their texts: their forms may differ. */
static void same_value(const char *what, broker_value v, const uint8_t *bytes, size_t size)
{
    const char *is = text_of(v), *should = text_of(broker_packed(bytes, size));

    if (strcmp(is, should) != 0)
        cr_assert_fail("seed %llu: %s gave %.300s, the model %.300s", (unsigned long long)seed,
            what, is, should);
}

static void try_set(broker_dict *d, int key)
{
    broker_value k = key_form(key), v = some_value();

    same_result("set", broker_dict_set(d, k, v), 0);
    put(key, text_of(k), v.data, v.size);
}

static void try_get(broker_dict *d, int key)
{
    int i = find(key);
    broker_value v;

    same_result(
        "get", broker_dict_get(d, key_form(key), &kit_buffer, &v), i < 0 ? BROKER_NOTFOUND : 0);
    if (i >= 0)
        same_value("get", v, model.entries[i].value, model.entries[i].size);
}

static void try_delete(broker_dict *d, int key)
{
    int i = find(key);

    same_result("delete", broker_dict_delete(d, key_form(key)), i < 0 ? BROKER_NOTFOUND : 0);
    if (i >= 0)
        take_away(i);
}

static void try_pop(broker_dict *d, int key)
{
    int i = find(key);
    broker_value v;

    same_result(
        "pop", broker_dict_pop(d, key_form(key), &kit_buffer, &v), i < 0 ? BROKER_NOTFOUND : 0);
    if (i < 0)
        return;
    same_value("pop", v, model.entries[i].value, model.entries[i].size);
    take_away(i);
}

static void try_popitem(broker_dict *d)
{
    broker_value k, v;
    struct entry *last = &model.entries[model.n > 0 ? model.n - 1 : 0];

    same_result(
        "popitem", broker_dict_popitem(d, &kit_buffer, &k, &v), model.n == 0 ? BROKER_EMPTY : 0);
    if (model.n == 0)
        return;
    if (strcmp(text_of(k), last->given) != 0)
        cr_assert_fail("seed %llu: popitem gave the key %s, the model %s", (unsigned long long)seed,
            text_of(k), last->given);
    same_value("popitem", v, last->value, last->size);
    take_away(model.n - 1);
}

static void try_setdefault(broker_dict *d, int key)
{
    broker_value k = key_form(key), v = some_value(), now;
    int i = find(key);
    bool inserted;

    same_result("setdefault", broker_dict_setdefault(d, k, v, &kit_buffer, &now, &inserted), 0);
    if (inserted != (i < 0))
        cr_assert_fail("seed %llu: setdefault inserted, or not", (unsigned long long)seed);
    if (i < 0)
        put(key, text_of(k), v.data, v.size);
    i = find(key);
    same_value("setdefault", now, model.entries[i].value, model.entries[i].size);
}

static void try_get_and_set(broker_dict *d, int key)
{
    broker_value k = key_form(key), v = some_value(), old;
    int i = find(key);
    bool found;

    same_result("get_and_set", broker_dict_get_and_set(d, k, v, &kit_buffer, &old, &found), 0);
    if (found != (i >= 0))
        cr_assert_fail("seed %llu: get_and_set found, or not", (unsigned long long)seed);
    if (found)
        same_value("get_and_set", old, model.entries[i].value, model.entries[i].size);
    put(key, text_of(k), v.data, v.size);
}

static bool has_nan(const uint8_t *bytes, size_t size)
{
    return strstr(text_of(broker_packed(bytes, size)), "nan") != NULL;
}

/* The expected value is the right one, or an array that nothing is. */
static void try_compare_and_set(broker_dict *d, int key)
{
    broker_value k = key_form(key), v = some_value(),
                 expected = value_of("[[['no', 'such', 'value']]]");
    int i = find(key), r = BROKER_MISMATCH;

    if (i >= 0 && random_below(&rng, 2) == 0 &&
        !has_nan(model.entries[i].value, model.entries[i].size)) {
        expected = broker_packed(model.entries[i].value, model.entries[i].size);
        r = 0;
    }
    same_result("compare_and_set", broker_dict_compare_and_set(d, k, expected, v),
        i < 0 ? BROKER_NOTFOUND : r);
    if (i >= 0 && r == 0)
        put(key, "", v.data, v.size);
}

/* Numbers are small or near a bound; the text tells whether there was one. */
static void try_add(broker_dict *d, int key)
{
    int64_t delta = (int64_t)random_next(&rng) >> random_below(&rng, 64), now = 0, total = 0;
    int i = find(key), expected = 0;
    const char *text =
        i >= 0 ? text_of(broker_packed(model.entries[i].value, model.entries[i].size)) : "0";
    broker_value k = key_form(key);
    uint8_t bytes[9] = {0xd3};
    char *end;
    int r;

    if (strchr("-0123456789", text[0]) == NULL || strpbrk(text, ".en'") != NULL)
        expected = BROKER_WRONGVALUE;
    else if (text[0] != '-' && strtoull(text, &end, 10) > INT64_MAX)
        expected = delta >= 0 || __builtin_add_overflow(strtoull(text, &end, 10), delta, &now)
                       ? BROKER_OVERFLOW
                       : 0;
    else if (__builtin_add_overflow(strtoll(text, &end, 10), delta, &now))
        expected = BROKER_OVERFLOW;
    r = broker_dict_add(d, k, delta, &total);
    same_result("add", r, expected);
    if (r < 0)
        return;
    if (total != now)
        cr_assert_fail("seed %llu: add gave %lld, the model %lld", (unsigned long long)seed,
            (long long)total, (long long)now);
    for (int b = 0; b < 8; b++)
        bytes[1 + b] = (uint8_t)((uint64_t)now >> (56 - 8 * b));
    put(key, text_of(k), bytes, sizeof(bytes));
}

static void try_clear(broker_dict *d)
{
    same_result("clear", broker_dict_clear(d), 0);
    while (model.n > 0)
        take_away(model.n - 1);
}

static void operate(broker_dict *d)
{
    int key = (int)random_below(&rng, N_KEYS);

    switch (random_below(&rng, 20)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
        return try_set(d, key);
    case 6:
    case 7:
    case 8:
        return try_get(d, key);
    case 9:
    case 10:
        return try_delete(d, key);
    case 11:
        return try_pop(d, key);
    case 12:
        return try_popitem(d);
    case 13:
        return try_setdefault(d, key);
    case 14:
    case 15:
        return try_get_and_set(d, key);
    case 16:
        return try_compare_and_set(d, key);
    case 17:
    case 18:
        return try_add(d, key);
    default:
        return random_below(&rng, 40) == 0 ? try_clear(d) : try_get(d, key);
    }
}

/* ---- the whole ---- */

/* The map that the model is, as text. */
static const char *model_text(void)
{
    size_t room = 3, used = 0;
    char *text;

    for (int i = 0; i < model.n; i++)
        room += 4 * model.entries[i].size + strlen(model.entries[i].given) + 40;
    text = words_keep(room);
    used += (size_t)sprintf(text, "{");
    for (int i = 0; i < model.n; i++)
        used += (size_t)sprintf(text + used, "%s%s: %s", i > 0 ? ", " : "", model.entries[i].given,
            text_of(broker_packed(model.entries[i].value, model.entries[i].size)));
    (void)sprintf(text + used, "}");
    return text;
}

static void compare(broker_dict *d)
{
    const char *is = kit_dict_text(d), *should = model_text();
    size_t at = 0;
    uint64_t n;

    while (is[at] != '\0' && is[at] == should[at])
        at++;
    if (is[at] != should[at])
        cr_assert_fail("seed %llu: the dict is ...%.200s, the model ...%.200s",
            (unsigned long long)seed, is + at, should + at);
    OK(broker_dict_len(d, &n));
    cr_assert_eq(n, (uint64_t)model.n);
}

Test(dict_random, a_dict_and_its_model_stay_the_same)
{
    broker_dict *d = kit_dict("d", NULL);

    seed = random_seed();
    rng.state = seed;
    cr_log_info("seed %llu", (unsigned long long)seed);
    for (int64_t i = 0, n = kit_often(OPERATIONS); i < n; i++) {
        operate(d);
        if (i % 200 == 199) {
            compare(d);
            words_free();
        }
    }
    compare(d);
    try_clear(d);
    compare(d);
}
