/*
 * probes.h - the probes, by the file that they are in, and the sizes that several of them share
 */
#ifndef BENCH_PROBES_H
#define BENCH_PROBES_H

#include "bench.h"

#define BENCH_ENTRIES 10000u       /* of a dict of 64-byte values */
#define BENCH_MEDIUM_ENTRIES 1000u /* of 1 KiB */
#define BENCH_LARGE_ENTRIES 16u    /* of 64 KiB */
#define BENCH_MILLION 1000000u

extern const struct bench_probe bench_raw_alone, bench_raw_contended, bench_raw_copies,
    bench_raw_spinning, bench_raw_sleeping, bench_raw_together;
extern const struct bench_probe bench_table_alone, bench_table_two, bench_table_million;
extern const struct bench_probe bench_ring_alone, bench_ring_64, bench_ring_1k, bench_ring_64k,
    bench_ring_1m;
extern const struct bench_probe bench_dict_alone, bench_dict_sizes, bench_dict_worn, bench_dict_two,
    bench_dict_writers, bench_dict_mixed;
extern const struct bench_probe bench_million_load, bench_million_slowest;
extern const struct bench_probe bench_queue_alone, bench_queue_lease, bench_queue_64,
    bench_queue_batch, bench_queue_1k, bench_queue_64k, bench_queue_1m, bench_queue_trip,
    bench_queue_asleep, bench_queue_together;
extern const struct bench_probe bench_list_alone;
extern const struct bench_probe bench_lock_alone, bench_lock_contended;
extern const struct bench_probe bench_sync_alone, bench_sync_contended, bench_sync_turns,
    bench_value;
extern const struct bench_probe bench_attach;
extern const struct bench_probe bench_monitor;
extern const struct bench_probe bench_redis, bench_road_ipc, bench_road_curve;

#endif
