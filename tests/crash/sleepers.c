/*
 * sleepers.c - see sleepers.h
 */
#include "sleepers.h"

#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <broker/errors.h>

#include "core/lock.h"
#include "core/stand_in.h"
#include "objects/owner.h"

#define STACK_SIZE ((size_t)1 << 18)
#define MAX_SLEEPERS 2u
#define MAX_WORDS 4u
#define FIRST_THREAD 900 /* numbers that none of ours has */

static struct sleeper {
    struct bri_stand_in stand_in; /* first */
    ucontext_t context;
    uint8_t *stack;
    struct actor *who;
    uintptr_t words[MAX_WORDS];
    unsigned n_words;
    uint32_t bits;
    uint64_t since; /* the order in which they fell asleep */
    bool asleep, woken, was_time, ended;
    int result;
    int64_t answer;
} sleepers[MAX_SLEEPERS];

static unsigned n_sleepers;
static uint64_t n_sleeps;
static ucontext_t us;
static const struct crash_operation *operation;
static struct bri_stand_in survivor;

static void swap(ucontext_t *from, ucontext_t *to)
{
    must(swapcontext(from, to) != 0 ? BROKER_SYSTEM : 0, "swapcontext");
}

/* ---- in the place of the kernel ---- */

static bool sleep_here(struct bri_stand_in *self, const struct bri_sleep *sleep)
{
    struct sleeper *s = (struct sleeper *)self;

    must(sleep->n > MAX_WORDS ? BROKER_TOOBIG : 0, "sleep");
    for (unsigned i = 0; i < sleep->n; i++) {
        s->words[i] = (uintptr_t)sleep->words[i].uaddr;
        if (*(volatile uint32_t *)s->words[i] != (uint32_t)sleep->words[i].val)
            return false;
    }
    s->n_words = sleep->n;
    s->bits = sleep->bits;
    s->since = ++n_sleeps;
    s->asleep = true;
    s->was_time = false;
    bri_stand_in = &survivor;
    swap(&s->context, &us);
    bri_stand_in = self;
    return s->was_time;
}

static bool is_for(const struct sleeper *s, uintptr_t word, uint32_t bits)
{
    for (unsigned i = 0; i < s->n_words; i++)
        if (s->words[i] == word && (s->bits & bits) != 0)
            return s->asleep && !s->woken;
    return false;
}

static void wake_one(uintptr_t word, uint32_t bits)
{
    struct sleeper *first = NULL;

    for (unsigned i = 0; i < n_sleepers; i++)
        if (is_for(&sleepers[i], word, bits) && (first == NULL || sleepers[i].since < first->since))
            first = &sleepers[i];
    if (first != NULL)
        first->woken = true;
}

static int wake_here(struct bri_stand_in *self, _Atomic uint32_t *word, int n, uint32_t bits)
{
    (void)self;
    for (unsigned i = 0; i < n_sleepers && (int)i < n; i++)
        wake_one((uintptr_t)word, bits);
    return 0;
}

/* A survivor has nobody to sleep for. */
static bool stay_awake(struct bri_stand_in *self, const struct bri_sleep *sleep)
{
    (void)self;
    (void)sleep;
    return true;
}

/* ---- what a waker does ---- */

static struct {
    struct bri_stand_in stand_in; /* first */
    struct wakes *wakes;
    uint8_t *base;
    void (*noted)(void);
} waker;

static int note_wake(struct bri_stand_in *self, _Atomic uint32_t *word, int n, uint32_t bits)
{
    struct wakes *w = waker.wakes;
    uint32_t i = atomic_load(&w->n);

    (void)self;
    must(i == MAX_WAKES ? BROKER_TOOBIG : 0, "more wakes than there is room for");
    w->wakes[i] =
        (struct wake){.off = (uint64_t)((uint8_t *)word - waker.base), .n = n, .bits = bits};
    atomic_store(&w->n, i + 1); /* that is the system call */
    if (waker.noted != NULL)
        waker.noted();
    return 0;
}

void sleepers_note_wakes(struct wakes *wakes, uint8_t *base, void (*noted)(void))
{
    waker.stand_in =
        (struct bri_stand_in){.sleep = stay_awake, .wake = note_wake, .thread = bri_thread_id()};
    waker.wakes = wakes;
    waker.base = base;
    waker.noted = noted;
    bri_stand_in = &waker.stand_in;
}

/* ---- on their way ---- */

static void sleep_and_go_on(int number)
{
    struct sleeper *s = &sleepers[number];

    s->result = operation->sleeper(s->who);
    s->answer = s->who->answer;
    s->ended = true;
}

static void go_on(struct sleeper *s)
{
    uint32_t thread = bri_owner_thread;

    s->asleep = s->woken = false;
    bri_owner_thread = s->stand_in.thread;
    bri_stand_in = &s->stand_in;
    swap(&us, &s->context);
    bri_stand_in = &survivor;
    bri_owner_thread = thread;
}

static void start(unsigned number, struct actor *who)
{
    struct sleeper *s = &sleepers[number];

    if (s->stack == NULL)
        s->stack = malloc(STACK_SIZE);
    must(s->stack == NULL || getcontext(&s->context) != 0 ? BROKER_SYSTEM : 0, "getcontext");
    s->stand_in = (struct bri_stand_in){
        .sleep = sleep_here, .wake = wake_here, .thread = FIRST_THREAD + number};
    s->who = who;
    who->answer = 0;
    s->ended = false;
    s->n_words = 0;
    s->context.uc_stack = (stack_t){.ss_sp = s->stack, .ss_size = STACK_SIZE};
    s->context.uc_link = &us;
    makecontext(&s->context, (void (*)(void))sleep_and_go_on, 1, (int)number);
    go_on(s);
    must(s->ended ? BROKER_INTERNAL : 0, "it does not sleep");
}

void sleepers_begin(struct world *w, const struct crash_operation *o)
{
    static const enum who who[MAX_SLEEPERS] = {OTHER, PEER};

    survivor =
        (struct bri_stand_in){.sleep = stay_awake, .wake = wake_here, .thread = bri_thread_id()};
    operation = o;
    bri_stand_in = &survivor;
    for (n_sleepers = 0; n_sleepers < o->n_sleepers;) {
        n_sleepers++;
        start(n_sleepers - 1, &w->actors[who[n_sleepers - 1]]);
    }
    if (o->arrange != NULL)
        o->arrange(w);
    must(sleepers_run() < n_sleepers ? BROKER_INTERNAL : 0, "they do not sleep");
}

void sleepers_end(void)
{
    n_sleepers = 0;
    bri_stand_in = NULL;
}

void sleepers_wake(const struct world *w, const struct wakes *wakes)
{
    for (uint32_t i = 0; i < wakes->n; i++)
        (void)wake_here(&survivor, (_Atomic uint32_t *)(world_bytes(w) + wakes->wakes[i].off),
            wakes->wakes[i].n, wakes->wakes[i].bits);
}

void sleepers_wait(void)
{
    for (unsigned i = 0; i < n_sleepers; i++)
        if (sleepers[i].asleep && !sleepers[i].woken)
            sleepers[i].woken = sleepers[i].was_time = true;
}

unsigned sleepers_run(void)
{
    unsigned n_asleep;

    do {
        struct sleeper *next = NULL;

        n_asleep = 0;
        for (unsigned i = 0; i < n_sleepers; i++) {
            struct sleeper *s = &sleepers[i];

            n_asleep += !s->ended;
            if (s->woken && (next == NULL || s->since < next->since))
                next = s;
        }
        if (next == NULL)
            return n_asleep;
        go_on(next);
    } while (true);
}

void sleepers_show(struct text *x)
{
    for (unsigned i = 0; i < n_sleepers; i++)
        if (sleepers[i].ended)
            text_add(x, "sleeper %u: %s %d, %lld\n", i,
                sleepers[i].result < 0 ? broker_error_name(sleepers[i].result) : "done",
                sleepers[i].result, (long long)sleepers[i].answer);
        else
            text_add(x, "sleeper %u: asleep\n", i);
}
