/*
 * main.c - broker-bench: how fast the broker is, beside what the machine allows
 */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "probes.h"
#include "road.h"
#include "support/instance.h"

#define DEFAULT_ROUNDS 11
#define DEFAULT_SECONDS 0.5
#define ARENA                                                                                      \
    "[broker]\nlog_level = warning\n[arena default]\nsize = 2G\nsessions = 512\npersist = no\n"

const struct bench_probe *const bench_probes[] = {
    &bench_raw_alone,
    &bench_raw_contended,
    &bench_raw_copies,
    &bench_raw_spinning,
    &bench_raw_sleeping,
    &bench_raw_together,
    &bench_table_alone,
    &bench_table_two,
    &bench_table_million,
    &bench_ring_alone,
    &bench_ring_64,
    &bench_ring_1k,
    &bench_ring_64k,
    &bench_ring_1m,
    &bench_dict_alone,
    &bench_dict_sizes,
    &bench_dict_worn,
    &bench_dict_two,
    &bench_dict_writers,
    &bench_dict_mixed,
    &bench_queue_alone,
    &bench_queue_lease,
    &bench_queue_64,
    &bench_queue_batch,
    &bench_queue_1k,
    &bench_queue_64k,
    &bench_queue_1m,
    &bench_queue_trip,
    &bench_queue_asleep,
    &bench_queue_together,
    &bench_list_alone,
    &bench_lock_alone,
    &bench_lock_contended,
    &bench_sync_alone,
    &bench_sync_contended,
    &bench_sync_turns,
    &bench_value,
    &bench_attach,
    &bench_monitor,
    &bench_million_load,
    &bench_million_slowest,
    &bench_redis,
    &bench_road_ipc,
    &bench_road_curve,
    NULL,
};

struct options {
    const char *only;
    unsigned n_rounds;
    double seconds;
    bool json;
};

static const struct argp_option option_list[] = {
    {"only", 'o', "GROUP", 0,
        "Measure only this group (raw, dict, queue, list, lock, sync, value, attach, "
        "monitor, million, ipc, \"tcp, CURVE\", Redis), or only the "
        "figures whose names begin so, such as \"queue/round trip\"; and the raw figures beside "
        "them",
        0},
    {"rounds", 'r', "N", 0, "Measure each figure in so many rounds (11)", 0},
    {"seconds", 's', "S", 0, "Measure each figure for so long, all rounds together (0.5)", 0},
    {"json", 'j', NULL, 0, "Print JSON: nanoseconds, bytes, operations a second", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    char *end = NULL;
    long n;

    switch (key) {
    case 'o':
        o->only = arg;
        return 0;
    case 'r':
        n = strtol(arg, &end, 10);
        if (*end != '\0' || n < 1 || n > BENCH_MAX_ROUNDS)
            argp_error(state, "--rounds takes a number from 1 to %d", BENCH_MAX_ROUNDS);
        o->n_rounds = (unsigned)n;
        return 0;
    case 's':
        o->seconds = strtod(arg, &end);
        if (*end != '\0' || !(o->seconds >= 0.001 && o->seconds <= 3600))
            argp_error(state, "--seconds takes a number from 0.001 to 3600");
        return 0;
    case 'j':
        o->json = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static struct instance *instance;
static pid_t main_pid;

static void stop_instance(void)
{
    if (getpid() != main_pid)
        return;
    instance_stop(instance);
    bench_road_clean();
}

int main(int argc, char **argv)
{
    static const struct argp parser = {
        .options = option_list,
        .parser = parse_option,
        .doc = "Measures how fast the broker is, beside what the machine allows, in a private "
               "instance.",
    };
    struct options options = {.n_rounds = DEFAULT_ROUNDS, .seconds = DEFAULT_SECONDS};
    static struct bench_run run;
    char config[1024] = ARENA;

    (void)argp_parse(&parser, argc, argv, 0, NULL, &options);
    run.n_rounds = options.n_rounds;
    run.slice_ns = (int64_t)(options.seconds * 1e9 / options.n_rounds);
    bench_run_init(&run);
    if (!bench_run_choose(&run, options.only))
        bench_fail("there is no figure whose name begins with \"%s\"", options.only);
    (void)setenv("BROKERD", BENCH_BROKERD, 0);
    main_pid = getpid();
    bench_road_prepare(config + strlen(ARENA), sizeof(config) - strlen(ARENA));
    instance = instance_start(config);
    (void)atexit(stop_instance);
    bench_road_find(instance_zmq_address(instance), instance_zmq_pid(instance));
    run.address = instance_address(instance);
    bench_run_all(&run);
    if (options.json)
        bench_report_json(&run);
    else
        bench_report_table(&run);
    return EXIT_SUCCESS;
}
