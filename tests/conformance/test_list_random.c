/*
 * test_list_random.c - random operations on a list and on a naive model of one, compared
 *
 * $BROKER_TEST_SEED chooses other operations; a failure says which seed it was.
 */
#include "conformance/kit.h"

#include <stdio.h>
#include <stdlib.h>

#include "unit/value/random.h"

TestSuite(list_random, .init = kit_open, .fini = kit_close, .timeout = KIT_TIMEOUT);

#define MAX_ELEMENTS 12000
#define MAX_TEXT 9100
#define N_MARKS 8
#define OPERATIONS 5000

/* The model: an array of what the elements are as text. */
static struct {
    char **texts;
    int n;
} model;

static struct random rng;
static uint64_t seed;

static int below(int n)
{
    return (int)random_below(&rng, (uint64_t)n);
}

static void differ(const char *what, const char *is, const char *should)
{
    cr_assert_fail(
        "seed %llu: %s gave %.300s, the model %.300s", (unsigned long long)seed, what, is, should);
}

static void same_result(const char *what, int r, int expected)
{
    if (r != expected)
        differ(what, broker_error_name(r), broker_error_name(expected));
}

static void same_text(const char *what, const char *is, const char *should)
{
    size_t at = 0;

    while (is[at] != '\0' && is[at] == should[at])
        at++;
    if (is[at] != should[at])
        differ(what, is + (at > 20 ? at - 20 : 0), should + (at > 20 ? at - 20 : 0));
}

/* ---- elements ---- */

/* What an element can be: within a word of the list, in a block, and now and then on pages. */
static const char *some_text(void)
{
    char *text = words_keep(MAX_TEXT + 3);
    int n = below(40) == 0 ? 2040 + below(MAX_TEXT - 2040) : below(below(10) == 0 ? 600 : 60);

    switch (below(8)) {
    case 0:
        return strcpy(text, "nil");
    case 1:
        return strcpy(text, below(2) == 0 ? "2.5" : "[1, 'a']");
    case 2:
        (void)sprintf(text, "%lld", (long long)((int64_t)random_next(&rng) >> below(64)));
        return text;
    case 3:
    case 4:
        (void)sprintf(text, "%d", below(1000) - 500);
        return text;
    case 5:
        (void)sprintf(text, "'mark %d'", below(N_MARKS));
        return text;
    default:
        text[0] = '\'';
        memset(text + 1, 'a' + below(26), (size_t)n);
        (void)strcpy(text + 1 + n, "'");
        return text;
    }
}

/* An array of these texts. */
static const char *array_text(const char *const *texts, int n)
{
    size_t room = 3, used = 1;
    char *all;

    for (int i = 0; i < n; i++)
        room += strlen(texts[i]) + 2;
    all = words_keep(room);
    all[0] = '[';
    for (int i = 0; i < n; i++)
        used += (size_t)sprintf(all + used, "%s%s", i > 0 ? ", " : "", texts[i]);
    all[used] = ']';
    all[used + 1] = '\0';
    return all;
}

/* Some elements: as an array, and each by itself. */
static broker_value some_array(int n, const char **texts)
{
    for (int i = 0; i < n; i++)
        texts[i] = some_text();
    return value_of(array_text(texts, n));
}

/* ---- the model ---- */

static void put(int at, const char *text)
{
    memmove(&model.texts[at + 1], &model.texts[at], (size_t)(model.n - at) * sizeof(char *));
    model.texts[at] = strdup(text);
    model.n++;
}

static void take_away(int at)
{
    free(model.texts[at]);
    model.n--;
    memmove(&model.texts[at], &model.texts[at + 1], (size_t)(model.n - at) * sizeof(char *));
}

static void replace(int at, const char *text)
{
    free(model.texts[at]);
    model.texts[at] = strdup(text);
}

/* The places of a slice. */
struct places {
    int64_t start, stop, step;
    int n, first;
    int *at;
};

static int64_t some_bound(void)
{
    switch (below(6)) {
    case 0:
        return BROKER_OMITTED;
    case 1:
        return below(2) == 0 ? INT64_MAX : -INT64_MAX;
    default:
        return below(2 * model.n + 10) - model.n - 5;
    }
}

/* Bound @bound as a place between @low and @high. */
static int64_t clamp(int64_t bound, int64_t low, int64_t high, int64_t omitted)
{
    if (bound == BROKER_OMITTED)
        return omitted;
    if (bound < 0)
        bound += model.n;
    return bound < low ? low : bound > high ? high : bound;
}

static struct places some_slice(bool long_steps)
{
    struct places p = {.start = some_bound(), .stop = some_bound(), .step = 1};
    int64_t low, high, i, stop;

    if (below(2) == 0)
        p.step = (below(2) == 0 ? 1 : -1) * (1 + below(long_steps && below(3) == 0 ? 90 : 4));
    low = p.step < 0 ? -1 : 0;
    high = p.step < 0 ? model.n - 1 : model.n;
    i = clamp(p.start, low, high, p.step < 0 ? high : low);
    stop = clamp(p.stop, low, high, p.step < 0 ? low : high);
    p.first = (int)i;
    p.at = words_keep(((size_t)model.n + 1) * sizeof(int));
    for (; p.step < 0 ? i > stop : i < stop; i += p.step)
        p.at[p.n++] = (int)i;
    return p;
}

/* An index that is in range mostly; *out_at is the place then, else -1. */
static int64_t some_index(int *out_at)
{
    int64_t i = below(model.n + 3) - 1;
    int64_t index = below(2) == 0 ? i : i - model.n;

    *out_at = index < -model.n || index >= model.n ? -1
              : index < 0                          ? (int)(index + model.n)
                                                   : (int)index;
    return index;
}

/* ---- operations on one element ---- */

static void try_append(broker_list *l)
{
    const char *text = some_text();

    same_result("append", broker_list_append(l, value_of(text)), 0);
    put(model.n, text);
}

static void try_insert(broker_list *l)
{
    const char *text = some_text();
    int64_t index = below(2 * model.n + 20) - model.n - 10;
    int at = (int)(index < 0 ? index + model.n : index);

    same_result("insert", broker_list_insert(l, index, value_of(text)), 0);
    put(at < 0 ? 0 : at > model.n ? model.n : at, text);
}

static void try_get(broker_list *l)
{
    broker_value v;
    int at;
    int64_t index = some_index(&at);

    same_result("get", broker_list_get(l, index, &kit_buffer, &v), at < 0 ? BROKER_NOTFOUND : 0);
    if (at >= 0)
        same_text("get", text_of(v), model.texts[at]);
}

static void try_set(broker_list *l)
{
    const char *text = some_text();
    int at;
    int64_t index = some_index(&at);

    same_result("set", broker_list_set(l, index, value_of(text)), at < 0 ? BROKER_NOTFOUND : 0);
    if (at >= 0)
        replace(at, text);
}

static void try_delete(broker_list *l)
{
    int at;
    int64_t index = some_index(&at);

    same_result("delete", broker_list_delete(l, index), at < 0 ? BROKER_NOTFOUND : 0);
    if (at >= 0)
        take_away(at);
}

static void try_pop(broker_list *l)
{
    broker_value v;
    int at;
    int64_t index = some_index(&at);
    int expected = model.n == 0 ? BROKER_EMPTY : at < 0 ? BROKER_NOTFOUND : 0;

    same_result("pop", broker_list_pop(l, index, &kit_buffer, &v), expected);
    if (expected < 0)
        return;
    same_text("pop", text_of(v), model.texts[at]);
    take_away(at);
}

static bool is_whole_number(const char *text)
{
    return strchr("-0123456789", text[0]) != NULL && strchr(text, '.') == NULL;
}

static void try_add(broker_list *l)
{
    int64_t delta = (int64_t)random_next(&rng) >> below(64), now = 0, total = 0;
    int at, expected = 0;
    int64_t index = some_index(&at);
    char text[32];

    if (at < 0)
        expected = BROKER_NOTFOUND;
    else if (!is_whole_number(model.texts[at]))
        expected = BROKER_WRONGVALUE;
    else if (__builtin_add_overflow(strtoll(model.texts[at], NULL, 10), delta, &now))
        expected = BROKER_OVERFLOW;
    same_result("add", broker_list_add(l, index, delta, &total), expected);
    if (expected < 0)
        return;
    cr_assert_eq(total, now);
    (void)snprintf(text, sizeof(text), "%lld", (long long)now);
    replace(at, text);
}

static void try_compare_and_set(broker_list *l)
{
    const char *text = some_text(), *wanted = "['no', 'such']";
    int at, expected = BROKER_MISMATCH;
    int64_t index = some_index(&at);

    if (at < 0) {
        expected = BROKER_NOTFOUND;
    } else if (below(2) == 0) {
        wanted = model.texts[at];
        expected = 0;
    }
    same_result("compare_and_set",
        broker_list_compare_and_set(l, index, value_of(wanted), value_of(text)), expected);
    if (expected == 0)
        replace(at, text);
}

/* ---- operations that look for a value ---- */

static const char *some_mark(void)
{
    char *text = words_keep(16);

    (void)sprintf(text, "'mark %d'", below(N_MARKS + 1));
    return text;
}

static int find(const char *text, int64_t start, int64_t stop)
{
    for (int64_t i = start; i < stop; i++)
        if (strcmp(model.texts[i], text) == 0)
            return (int)i;
    return -1;
}

static void try_index(broker_list *l)
{
    int64_t start = some_bound(), stop = some_bound();
    const char *text = some_mark();
    int at = find(text, clamp(start, 0, model.n, 0), clamp(stop, 0, model.n, model.n));
    uint64_t place = 0;

    same_result("index", broker_list_index(l, value_of(text), start, stop, &place),
        at < 0 ? BROKER_NOTFOUND : 0);
    if (at >= 0)
        cr_assert_eq(place, (uint64_t)at);
}

static void try_remove(broker_list *l)
{
    const char *text = some_mark();
    int at = find(text, 0, model.n);

    same_result("remove", broker_list_remove(l, value_of(text)), at < 0 ? BROKER_NOTFOUND : 0);
    if (at >= 0)
        take_away(at);
}

static void try_count(broker_list *l)
{
    const char *text = some_mark();
    uint64_t n, should = 0;
    bool found;

    for (int i = 0; i < model.n; i++)
        should += strcmp(model.texts[i], text) == 0;
    OK(broker_list_count(l, value_of(text), &n));
    OK(broker_list_contains(l, value_of(text), &found));
    cr_assert_eq(n, should);
    cr_assert_eq(found, should > 0);
}

/* ---- operations on many ---- */

static void try_extend(broker_list *l)
{
    const char *texts[200] = {NULL};
    int n = below(below(3) == 0 ? 200 : 10);
    broker_value values = some_array(n, texts);

    same_result("extend", broker_list_extend(l, values), 0);
    for (int i = 0; i < n; i++)
        put(model.n, texts[i]);
}

static void try_get_slice(broker_list *l)
{
    struct places p = some_slice(true);
    const char **texts = words_keep(((size_t)p.n + 1) * sizeof(char *));
    broker_value v;

    for (int i = 0; i < p.n; i++)
        texts[i] = model.texts[p.at[i]];
    same_result("get_slice", broker_list_get_slice(l, p.start, p.stop, p.step, &kit_buffer, &v), 0);
    same_text("get_slice", text_of(v), array_text(texts, p.n));
}

static void try_set_slice(broker_list *l)
{
    struct places p = some_slice(true);
    int n = p.step == 1 ? below(150) : below(8) == 0 ? p.n + 1 : p.n;
    const char **texts = words_keep(((size_t)n + 1) * sizeof(char *));
    broker_value values = some_array(n, texts);

    same_result("set_slice", broker_list_set_slice(l, values, p.start, p.stop, p.step),
        p.step != 1 && n != p.n ? BROKER_MISMATCH : 0);
    if (p.step != 1) {
        for (int i = 0; i < n && n == p.n; i++)
            replace(p.at[i], texts[i]);
        return;
    }
    for (int i = 0; i < p.n; i++)
        take_away(p.first);
    for (int i = 0; i < n; i++)
        put(p.first + i, texts[i]);
}

static void try_delete_slice(broker_list *l)
{
    struct places p = some_slice(true);

    same_result("delete_slice", broker_list_delete_slice(l, p.start, p.stop, p.step), 0);
    for (int i = 0; i < p.n; i++)
        take_away(p.at[p.step < 0 ? i : p.n - 1 - i]);
}

static void try_reverse(broker_list *l)
{
    same_result("reverse", broker_list_reverse(l), 0);
    for (int i = 0; i < model.n / 2; i++) {
        char *text = model.texts[i];

        model.texts[i] = model.texts[model.n - 1 - i];
        model.texts[model.n - 1 - i] = text;
    }
}

static void try_repeat(broker_list *l)
{
    int n = model.n, count = below(4);

    if (n * count > MAX_ELEMENTS / 4 || (count == 0 && below(5) != 0))
        return;
    same_result("repeat", broker_list_repeat(l, count), 0);
    while (count == 0 && model.n > 0)
        take_away(model.n - 1);
    while (model.n < n * count)
        put(model.n, model.texts[model.n - n]);
}

static void try_copies(broker_list *l)
{
    int n = below(4), count = below(3), all = 0;
    const char *more[4] = {NULL}, **texts;
    broker_value values = some_array(n, more), v;

    texts = words_keep(((size_t)(2 * model.n) + 5) * sizeof(char *));
    for (int k = 0; k < count; k++)
        for (int i = 0; i < model.n; i++)
            texts[all++] = model.texts[i];
    OK(broker_list_multiply(l, count, &kit_buffer, &v));
    same_text("multiply", text_of(v), array_text(texts, all));
    memcpy(texts, model.texts, (size_t)model.n * sizeof(char *));
    for (int i = 0; i < n; i++)
        texts[model.n + i] = more[i];
    OK(broker_list_concatenate(l, values, &kit_buffer, &v));
    same_text("concatenate", text_of(v), array_text(texts, model.n + n));
}

/* What scan gives in parts is what there is. */
static void try_scan(broker_list *l)
{
    uint64_t cursor = 0, limit = 1 + (uint64_t)below(300);
    int at = 0;
    broker_value v;

    do {
        int n = model.n - at < (int)limit ? model.n - at : (int)limit;

        OK(broker_list_scan(l, cursor, limit, &kit_buffer, &v, &cursor));
        same_text("scan", text_of(v), array_text((const char *const *)&model.texts[at], n));
        at += n;
    } while (cursor != 0);
    cr_assert_eq(at, model.n);
}

static void (*const common[])(broker_list *) = {try_append, try_insert, try_get, try_set,
    try_delete, try_pop, try_add, try_compare_and_set, try_index, try_remove, try_extend};
static void (*const rare[])(broker_list *) = {try_count, try_get_slice, try_set_slice,
    try_delete_slice, try_reverse, try_repeat, try_copies, try_scan};

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* ---- the whole ---- */

static void compare(broker_list *l)
{
    uint64_t n;

    same_text("copy", kit_list_text(l), array_text((const char *const *)model.texts, model.n));
    OK(broker_list_len(l, &n));
    cr_assert_eq(n, (uint64_t)model.n);
    words_free();
}

Test(list_random, a_list_and_its_model_stay_the_same)
{
    broker_list *l = kit_list("l", NULL);

    seed = random_seed();
    rng.state = seed;
    cr_log_info("seed %llu", (unsigned long long)seed);
    model.texts = calloc(2 * MAX_ELEMENTS, sizeof(char *));
    for (int64_t i = 0, n = kit_often(OPERATIONS); i < n; i++) {
        if (model.n < MAX_ELEMENTS && below(12) != 0)
            common[below(COUNT(common))](l);
        else
            rare[below(COUNT(rare))](l);
        if (i % 20 == 19)
            words_free();
        if (i % 200 == 199)
            compare(l);
    }
    compare(l);
    same_result("clear", broker_list_clear(l), 0);
    while (model.n > 0)
        take_away(model.n - 1);
    compare(l);
    free(model.texts);
}
