/*
 * harness.h - running the probes, and what came of it
 */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include "bench.h"

#define BENCH_MAX_ROUNDS 1000
#define BENCH_MAX_PROBES 64

/* What the rounds gave for the figures of one probe. */
struct bench_series {
    const struct bench_probe *probe;
    unsigned n_figures;
    unsigned n_rounds;
    bool is_wanted; /* asked for; others run only for figures that are set beside wanted ones */
    bool is_needed;
    double *values[BENCH_MAX_FIGURES]; /* by round */
};

struct bench_run {
    unsigned n_rounds;
    int64_t slice_ns;
    const char *address;
    struct bench_shared *shared;
    uint8_t *scratch;
    struct bench_series series[BENCH_MAX_PROBES];
    unsigned n_series;
};

/* Median, least and most of a figure. */
struct bench_summary {
    double median, least, most;
};

/* Memory for the processes to share, and a series for each probe. Ends the program if it can't. */
void bench_run_init(struct bench_run *run);

/* Marks the probes of which a figure begins with @name ("group/figure"; NULL: all), and those that
 * they need. False if there is none. */
bool bench_run_choose(struct bench_run *run, const char *name);

/* Runs all rounds. Ends the program if a probe fails. */
void bench_run_all(struct bench_run *run);

struct bench_summary bench_summarize(const struct bench_series *s, unsigned figure);

/* The series and the number of the figure of this name ("group/name"); NULL if there is none. */
const struct bench_series *bench_find(
    const struct bench_run *run, const char *name, unsigned *out_figure);

/* Processors that this program may run on; at most @max. */
unsigned bench_processors(unsigned *out, unsigned max);

/* How the results are shown. */
void bench_report_table(const struct bench_run *run);
void bench_report_json(const struct bench_run *run);

#endif
