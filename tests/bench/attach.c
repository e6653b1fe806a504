/*
 * attach.c - from nothing to the first answer, and back
 */
#include <stdlib.h>
#include <string.h>

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
            {0},
        },
    .run = run_attach,
};
