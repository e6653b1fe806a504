/*
 * walker.c - see walker.h
 */
#include "walker.h"

#include <link.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "core/lock.h"

#define STACK_SIZE ((size_t)1 << 20)

uint64_t *walker_at;

/* What its thread calls its own, as core/lock.c remembers it: the only one of these variables that
 * the two sides do not begin with in common. */
struct self {
    struct robust_list_head *head;
    uint32_t thread;
};

#define MAX_OWN 8

static struct {
    struct robust_list_head *ours, *its; /* its lies in a page of its own */
    uint32_t its_thread, idle_thread;
    pid_t process; /* that it was made in */
    uint8_t *stack;
    size_t page_size;
    ucontext_t us, it;
    struct own {
        uint8_t *p, *other; /* of whoever runs, and of the other */
        size_t size;
    } locals, own[MAX_OWN];
    unsigned n_own;
    void *mapping;
    size_t size;
    uint8_t *open[WALKER_PAGES]; /* pages that it may write to now */
    unsigned n_open;
    void (*fn)(void *);
    void *arg;
    bool walks, ended;
} w;

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static void *map(size_t size, int flags)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        fail("mmap");
    return p;
}

#ifdef __x86_64__
#define CAN_WALK true
#define TRAP_FLAG 0x100

static void set_trap(void *context, bool on)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;

    registers[REG_EFL] = on ? registers[REG_EFL] | TRAP_FLAG : registers[REG_EFL] & ~TRAP_FLAG;
    *walker_at = (uint64_t)registers[REG_RIP];
}
#else /* a program cannot have itself stepped there */
#define CAN_WALK false

static void set_trap(void *context, bool on)
{
    (void)context;
    (void)on;
}
#endif

/* ---- what the two sides have for themselves ---- */

/* The library's thread-local variables are the program's. */
static int find_locals(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    (void)arg;
    for (unsigned i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_TLS) {
            w.locals.p = info->dlpi_tls_data;
            w.locals.size = info->dlpi_phdr[i].p_memsz;
        }
    return 1; /* the program comes first */
}

static void *allocate(size_t size)
{
    void *p = malloc(size);

    if (p == NULL)
        fail("malloc");
    return p;
}

void walker_own(void *p, const void *its, size_t size)
{
    struct own *own = &w.own[w.n_own++];

    if (w.n_own > MAX_OWN)
        fail("walker_own");
    *own = (struct own){.p = p, .other = allocate(size), .size = size};
    memcpy(own->other, its, size);
}

static void exchange(const struct own *own)
{
    uint8_t spare[256];

    for (size_t at = 0; at < own->size; at += sizeof(spare)) {
        size_t n = own->size - at < sizeof(spare) ? own->size - at : sizeof(spare);

        memcpy(spare, own->p + at, n);
        memcpy(own->p + at, own->other + at, n);
        memcpy(own->other + at, spare, n);
    }
}

static void exchange_all(void)
{
    exchange(&w.locals);
    for (unsigned i = 0; i < w.n_own; i++)
        exchange(&w.own[i]);
}

/* It begins with what we have, but is a thread of its own. */
static void make_locals(void)
{
    const struct self ours = {w.ours, bri_thread_id()};
    const struct self its = {w.its, w.its_thread};
    unsigned n = 0;

    memcpy(w.locals.other, w.locals.p, w.locals.size);
    for (size_t i = 0; i + sizeof(ours) <= w.locals.size; i += sizeof(void *))
        if (memcmp(w.locals.other + i, &ours, offsetof(struct self, thread) + 4) == 0) {
            memcpy(w.locals.other + i, &its, offsetof(struct self, thread) + 4);
            n++;
        }
    if (n != 1)
        fail("core/lock.c does not remember its thread as it did");
}

/* The number of a thread that does nothing, but lives: whoever finds it in a lock may not take that
 * for a dead one's by itself. */
static uint32_t idle_thread(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            (void)pause();
    }
    if (pid < 0)
        fail("fork");
    return (uint32_t)pid;
}

bool walker_init(void)
{
    size_t size;

    if (!CAN_WALK)
        return false;
    w.page_size = (size_t)sysconf(_SC_PAGESIZE);
    w.its = map(w.page_size, MAP_PRIVATE);
    w.stack = map(STACK_SIZE, MAP_PRIVATE);
    walker_at = map(sizeof(*walker_at), MAP_SHARED);
    if (syscall(SYS_get_robust_list, 0, &w.ours, &size) != 0)
        fail("get_robust_list");
    (void)dl_iterate_phdr(find_locals, NULL);
    w.locals.other = allocate(w.locals.size);
    w.process = getpid();
    w.idle_thread = idle_thread();
    return true;
}

/* ---- walking ---- */

static void protect(void *p, size_t size, int protection)
{
    if (mprotect(p, size, protection) != 0)
        fail("mprotect");
}

/* All that counts. */
static void protect_all(int protection)
{
    protect(w.mapping, w.size, protection);
    protect(w.its, w.page_size, protection);
    w.n_open = 0;
}

static void shut_pages(void)
{
    while (w.n_open > 0)
        protect(w.open[--w.n_open], w.page_size, PROT_READ);
}

static void set_handler(int signal_number, void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};

    if (handler == NULL)
        action = (struct sigaction){.sa_handler = SIG_DFL};
    if (sigaction(signal_number, &action, NULL) != 0)
        fail("sigaction");
}

static bool is_watched(const siginfo_t *info)
{
    uintptr_t at = (uintptr_t)info->si_addr;

    return info->si_code == SEGV_ACCERR &&
           (at - (uintptr_t)w.mapping < w.size || at - (uintptr_t)w.its < sizeof(*w.its));
}

/* One store may be to two pages. If it is another fault, it is one again, and nobody handles it. */
static void before_store(int signal_number, siginfo_t *info, void *context)
{
    uint8_t *at = info->si_addr;

    if (!is_watched(info) || w.n_open == WALKER_PAGES) {
        set_handler(signal_number, NULL);
        return;
    }
    at -= (uintptr_t)at % w.page_size;
    protect(at, w.page_size, PROT_READ | PROT_WRITE);
    w.open[w.n_open++] = at;
    set_trap(context, true);
}

static void behind_store(int signal_number, siginfo_t *info, void *context)
{
    (void)signal_number;
    (void)info;
    set_trap(context, false);
    if (swapcontext(&w.it, &w.us) != 0)
        fail("swapcontext");
}

static void walk(void)
{
    w.fn(w.arg);
    w.ended = true;
}

void walker_start(void *mapping, size_t size, void (*fn)(void *), void *arg)
{
    w.mapping = mapping;
    w.size = size;
    w.fn = fn;
    w.arg = arg;
    w.ended = false;
    /* A child can be killed: there it is the child's own thread. */
    w.its_thread = getpid() == w.process ? w.idle_thread : bri_thread_id();
    if (getcontext(&w.it) != 0)
        fail("getcontext");
    w.it.uc_stack = (stack_t){.ss_sp = w.stack, .ss_size = STACK_SIZE};
    w.it.uc_link = &w.us;
    makecontext(&w.it, walk, 0);
    memset(w.its, 0, sizeof(*w.its));
    w.its->list.next = &w.its->list;
    w.its->futex_offset = w.ours->futex_offset;
    make_locals();
    set_handler(SIGSEGV, before_store);
    set_handler(SIGTRAP, behind_store);
    protect_all(PROT_READ);
}

void walker_stop(void)
{
    protect_all(PROT_READ | PROT_WRITE);
    set_handler(SIGSEGV, NULL);
}

bool walker_step(void)
{
    if (w.n_open > 0)
        shut_pages();
    exchange_all();
    w.walks = true;
    if (swapcontext(&w.us, &w.it) != 0)
        fail("swapcontext");
    w.walks = false;
    exchange_all();
    if (w.ended)
        walker_stop();
    return !w.ended;
}

unsigned walker_pages(uint32_t pages[WALKER_PAGES])
{
    unsigned n = 0;

    for (unsigned i = 0; i < w.n_open; i++) {
        uintptr_t at = (uintptr_t)w.open[i] - (uintptr_t)w.mapping;

        if (at < w.size)
            pages[n++] = (uint32_t)(at / w.page_size);
    }
    return n;
}

void walker_pause(void)
{
    if (w.walks)
        (void)raise(SIGTRAP);
}

struct tracer_death walker_death(void)
{
    return tracer_death_of(w.its, w.its, w.its_thread, w.mapping, w.size);
}

void walker_become(void)
{
    protect_all(PROT_READ | PROT_WRITE);
    if (syscall(SYS_set_robust_list, w.its, sizeof(*w.its)) != 0)
        fail("set_robust_list");
    exchange_all();
}

void walker_go_on(void)
{
    if (!w.ended && swapcontext(&w.us, &w.it) != 0)
        fail("swapcontext");
}
