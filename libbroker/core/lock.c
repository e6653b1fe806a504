/*
 * lock.c - see lock.h; the method and its proof by kill sweep are in docs/design.md, "The lock"
 */
#include "core/lock.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <broker/errors.h>

#include "core/clock.h"
#include "core/monitor.h"
#include "core/spin.h"
#include "core/stand_in.h"

#define SLICE_NS BRI_SECOND /* no sleep is longer: a lost wake-up then costs at most this */
#define SPIN_ROUNDS 64

static __thread struct {
    struct robust_list_head *head; /* NULL until the first lock of the thread */
    uint32_t tid;
} self __attribute__((tls_model("initial-exec")));

__thread struct bri_stand_in *bri_stand_in __attribute__((tls_model("initial-exec")));

/* Keeps the compiler, not the processor, from moving stores: a kill sees them in program order. */
static inline void barrier(void)
{
    atomic_signal_fence(memory_order_seq_cst);
}

static void after_fork_in_child(void)
{
    self.tid = (uint32_t)syscall(SYS_gettid);
    if (self.head != NULL)
        self.head->list_op_pending = NULL; /* the section is the parent's */
}

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, after_fork_in_child);
}

static __attribute__((noinline)) void self_init(void)
{
    size_t size = 0;
    struct robust_list_head *head = NULL;

    (void)pthread_once(&fork_once, watch_forks);
    self.tid = (uint32_t)syscall(SYS_gettid);
    /* glibc registers a head for every thread before it runs; without one there would be no
     * recovery. */
    if (syscall(SYS_get_robust_list, 0, &head, &size) == 0 && size == sizeof(*head))
        self.head = head;
}

uint32_t bri_thread_id(void)
{
    if (__builtin_expect(self.tid == 0, 0))
        self_init();
    return self.tid;
}

uint32_t bri_caller_id(void)
{
    return bri_stand_in != NULL ? bri_stand_in->thread : bri_thread_id();
}

bool bri_lock_inside(void)
{
    return self.head != NULL && self.head->list_op_pending != NULL;
}

void bri_lock_abandon(void)
{
    if (self.head != NULL)
        self.head->list_op_pending = NULL;
}

/* Asks the stand-in, if there is one. */
static bool futex_sleep(
    _Atomic uint32_t *word, uint32_t seen, int64_t deadline_ns, uint32_t bits, bool is_lock)
{
    int64_t now = bri_now(), until = now + SLICE_NS, since;
    struct timespec ts;
    bool was_time;

    if (deadline_ns <= now)
        return true;
    if (until > deadline_ns)
        until = deadline_ns;
    since = bri_monitor_pause(now);
    if (bri_stand_in != NULL) {
        struct futex_waitv one = {.val = seen, .uaddr = (uintptr_t)word, .flags = FUTEX_32};

        was_time =
            bri_stand_in->sleep(bri_stand_in, &(struct bri_sleep){&one, 1, bits, is_lock, until});
    } else {
        ts.tv_sec = until / BRI_SECOND;
        ts.tv_nsec = until % BRI_SECOND;
        was_time = syscall(SYS_futex, word, FUTEX_WAIT_BITSET, seen, &ts, NULL, bits) != 0 &&
                   errno == ETIMEDOUT;
    }
    bri_monitor_resume(since);
    return was_time;
}

bool bri_futex_wait_as(_Atomic uint32_t *word, uint32_t seen, int64_t deadline_ns, uint32_t bits)
{
    return futex_sleep(word, seen, deadline_ns, bits, false);
}

bool bri_futex_wait(_Atomic uint32_t *word, uint32_t seen, int64_t deadline_ns)
{
    return futex_sleep(word, seen, deadline_ns, FUTEX_BITSET_MATCH_ANY, true);
}

/* Those for whom this thread stands in need not wait for the kernel: how many are left for that. */
static int wake_own(_Atomic uint32_t *word, int n, uint32_t bits)
{
    return bri_stand_in != NULL ? bri_stand_in->wake(bri_stand_in, word, n, bits) : n;
}

void bri_futex_wake_only(_Atomic uint32_t *word, int n, uint32_t bits)
{
    n = wake_own(word, n, bits);
    if (n > 0)
        (void)syscall(SYS_futex, word, FUTEX_WAKE_BITSET, n, NULL, NULL, bits);
}

void bri_futex_wake(_Atomic uint32_t *word, int n)
{
    n = wake_own(word, n, FUTEX_BITSET_MATCH_ANY);
    if (n > 0)
        (void)syscall(SYS_futex, word, FUTEX_WAKE, n, NULL, NULL, 0);
}

void bri_futex_wait_private(_Atomic uint32_t *word, uint32_t seen)
{
    while (atomic_load(word) == seen)
        (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

void bri_futex_wake_private(_Atomic uint32_t *word, int n)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}

/* A thread that is gone, or a zombie whose memory is gone. */
static bool thread_is_dead(uint32_t tid)
{
    char path[40], line[512];
    const char *after;
    FILE *f;
    bool dead = false;

    if (syscall(SYS_tkill, (pid_t)tid, 0) != 0 && errno == ESRCH)
        return true;
    (void)snprintf(path, sizeof(path), "/proc/%u/stat", tid);
    f = fopen(path, "re");
    if (f == NULL)
        return errno == ENOENT;
    if (fgets(line, sizeof(line), f) != NULL) {
        after = strrchr(line, ')');
        dead = after != NULL && (after[2] == 'Z' || after[2] == 'X');
    }
    (void)fclose(f);
    return dead;
}

bool bri_lock_bury(_Atomic uint32_t *word)
{
    uint32_t v = atomic_load(word);
    uint32_t tid = v & FUTEX_TID_MASK;

    if (tid == 0 || !thread_is_dead(tid))
        return false;
    if (!atomic_compare_exchange_strong(word, &v, (v & FUTEX_WAITERS) | FUTEX_OWNER_DIED))
        return false;
    bri_futex_wake(word, 1);
    return true;
}

/* Takes the lock if nobody has it. Waiting threads stay announced: @waiters is set if we may have
 * left some behind. */
static int try_take(_Atomic uint32_t *word, uint32_t waiters)
{
    uint32_t v = atomic_load_explicit(word, memory_order_relaxed);

    if ((v & FUTEX_TID_MASK) != 0)
        return -1;
    if (!atomic_compare_exchange_strong_explicit(word, &v, self.tid | (v & FUTEX_WAITERS) | waiters,
            memory_order_acquire, memory_order_relaxed))
        return -1;
    return (v & FUTEX_OWNER_DIED) != 0 ? BRI_LOCK_DIED : 0;
}

static void stop_pending(void)
{
    barrier();
    self.head->list_op_pending = NULL;
}

/*
 * Sections are short, and the lines that they touch come over one by one: who holds the lock should
 * be left alone long enough to do several in a row. Backing off longer each time doubled the rate
 * of two processes on one queue.
 */
static int spin_for(_Atomic uint32_t *word)
{
    unsigned rounds = bri_may_spin() ? SPIN_ROUNDS : 0;
    int r;

    for (unsigned i = 0; i < rounds; i++) {
        bri_pause(i < 8 ? 4 + 2 * i : 20);
        r = try_take(word, 0);
        if (r >= 0)
            return r;
    }
    return -1;
}

/* A sleep for the lock. While others may run on this thread, the lock is not even asked for. */
static bool sleep_for(_Atomic uint32_t *word, uint32_t seen, int64_t deadline_ns)
{
    bool was_time;

    if (bri_stand_in != NULL)
        stop_pending();
    was_time = bri_futex_wait(word, seen, deadline_ns);
    if (bri_stand_in != NULL) {
        self.head->list_op_pending = (void *)((char *)word - self.head->futex_offset);
        barrier();
    }
    return was_time;
}

static __attribute__((noinline)) int lock_slow(_Atomic uint32_t *word, int64_t deadline_ns)
{
    bool may_cancel = deadline_ns >= 0; /* else it is short anyway, and what comes after must be */
    uint32_t v, waiters = 0;
    int r;

    if ((atomic_load(word) & FUTEX_TID_MASK) == self.tid) {
        /* Ours although we are not inside: scribbled, or this id was a dead thread's. Its owner can
         * only be dead. */
        stop_pending();
        (void)atomic_exchange(word, FUTEX_OWNER_DIED);
        self.head->list_op_pending = (void *)((char *)word - self.head->futex_offset);
        barrier();
    }
    r = spin_for(word);
    if (r >= 0)
        return r | BRI_LOCK_CONTENDED;
    if (deadline_ns < 0)
        deadline_ns = bri_now() - deadline_ns;
    for (;;) {
        r = try_take(word, waiters);
        if (r >= 0)
            return r | BRI_LOCK_CONTENDED;
        v = atomic_load_explicit(word, memory_order_relaxed);
        if ((v & FUTEX_TID_MASK) == 0)
            continue;
        if ((deadline_ns != BRI_NEVER && bri_now() >= deadline_ns) ||
            (may_cancel && bri_wait_is_cancelled())) {
            if (waiters != 0)
                bri_futex_wake(word, 1); /* we may have eaten a wake-up that another waits for */
            stop_pending();
            return BROKER_TIMEDOUT;
        }
        if ((v & FUTEX_WAITERS) == 0 &&
            !atomic_compare_exchange_strong(word, &v, v | FUTEX_WAITERS))
            continue;
        waiters = FUTEX_WAITERS;
        if (sleep_for(word, v | FUTEX_WAITERS, deadline_ns))
            (void)bri_lock_bury(word);
    }
}

int bri_lock(_Atomic uint32_t *word, int64_t deadline_ns)
{
    uint32_t v = 0;

    if (__builtin_expect(self.head == NULL, 0)) {
        self_init();
        if (self.head == NULL)
            return BROKER_SYSTEM;
    }
    if (__builtin_expect(self.head->list_op_pending != NULL, 0))
        return BROKER_BUSY;
    /* Before the word can be ours: killed right after the exchange, the kernel must find it. */
    self.head->list_op_pending = (void *)((char *)word - self.head->futex_offset);
    barrier();
    if (__builtin_expect(atomic_compare_exchange_strong_explicit(
                             word, &v, self.tid, memory_order_acquire, memory_order_relaxed),
            1))
        return 0;
    if ((v & FUTEX_TID_MASK) == 0) {
        int r = try_take(word, 0);

        if (r >= 0)
            return r;
    }
    return lock_slow(word, deadline_ns);
}

void bri_unlock(_Atomic uint32_t *word)
{
    uint32_t v;

    barrier();
    v = atomic_exchange_explicit(word, 0, memory_order_release);
    if (__builtin_expect((v & FUTEX_WAITERS) != 0, 0))
        bri_futex_wake(word, 1);
    stop_pending();
}
