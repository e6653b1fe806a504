/*
 * attach.c - from nothing to the first answer, and back
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probes.h"

#define MAX_SAMPLES 100000u

static void attach_once(const struct bench *b, int64_t *out_first_ns, int64_t *out_all_ns)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    int64_t start = bench_now(), first;
    broker_value v;
    broker_dict *d;
    broker *opened;

    bench_must(broker_open(b->address, &opened), "broker_open");
    bench_must(broker_dict_open(opened, "attach", NULL, &d), "dict open");
    bench_must(broker_dict_get(d, broker_str("key"), &buffer, &v), "dict get");
    first = bench_now();
    bench_expect(v.type == BROKER_INT && v.i == 42, "dict get");
    broker_dict_close(d);
    broker_close(opened);
    *out_all_ns = bench_now() - start;
    *out_first_ns = first - start;
    broker_buffer_free(&buffer);
}

/* As from a shell: the program's start, one operation, its end. */
static int64_t run_brokerctl(const struct bench *b)
{
    char *const words[] = {(char *)(uintptr_t)BENCH_BROKERCTL, (char *)(uintptr_t) "--address",
        (char *)(uintptr_t)b->address, (char *)(uintptr_t) "dict", (char *)(uintptr_t) "get",
        (char *)(uintptr_t) "attach", (char *)(uintptr_t) "key", NULL};
    posix_spawn_file_actions_t actions;
    int64_t start = bench_now();
    int status = -1;
    pid_t pid = -1;

    bench_expect(posix_spawn_file_actions_init(&actions) == 0 &&
                     posix_spawn_file_actions_addopen(
                         &actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) == 0 &&
                     posix_spawn(&pid, words[0], &actions, NULL, words, environ) == 0,
        "posix_spawn");
    bench_expect(waitpid(pid, &status, 0) == pid && status == 0, "brokerctl dict get");
    (void)posix_spawn_file_actions_destroy(&actions);
    return bench_now() - start;
}

static double median_of_brokerctl(const struct bench *b)
{
    int64_t end = bench_now() + b->slice_ns;
    double percentiles[3];
    uint32_t took[64];
    size_t n = 0;

    do
        took[n++] = (uint32_t)run_brokerctl(b);
    while (n < 64 && bench_now() < end);
    bench_percentiles(took, n, percentiles);
    return percentiles[0];
}

static void run_attach(struct bench *b)
{
    uint32_t *first = malloc(2 * MAX_SAMPLES * sizeof(*first)), *all = first + MAX_SAMPLES;
    int64_t end, first_ns, all_ns;
    double percentiles[3];
    broker_dict *d;
    broker *opened;
    size_t n = 0;

    bench_expect(first != NULL, "malloc");
    opened = bench_open(b);
    bench_must(broker_dict_open(opened, "attach", NULL, &d), "dict open");
    bench_must(broker_dict_set(d, broker_str("key"), broker_int(42)), "dict set");
    broker_close(opened);
    end = bench_now() + b->slice_ns;
    do {
        attach_once(b, &first_ns, &all_ns);
        first[n] = (uint32_t)first_ns;
        all[n++] = (uint32_t)all_ns;
    } while (n < MAX_SAMPLES && bench_now() < end);
    bench_percentiles(first, n, percentiles);
    bench_give(b, 0, percentiles[0]);
    bench_give(b, 1, percentiles[1]);
    bench_percentiles(all, n, percentiles);
    bench_give(b, 2, percentiles[0]);
    bench_give(b, 3, median_of_brokerctl(b));
    free(first);
}

const struct bench_probe bench_attach = {
    .group = "attach",
    .n_processes = 1,
    .figures =
        (const struct bench_figure[]){
            {"attach, open a dict, get, p50", BENCH_NS, 200e3, NULL},
            {"attach, open a dict, get, p99", BENCH_NS, 0, NULL},
            {"the same, and close both, p50", BENCH_NS, 0, NULL},
            {"brokerctl dict get, the whole program, p50", BENCH_NS, 20e6, NULL},
            {0},
        },
    .run = run_attach,
};
