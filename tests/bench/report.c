/*
 * report.c - the results, for people and for programs
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "harness.h"

#define NAME_WIDTH 44

static bool more_is_better(enum bench_unit unit)
{
    return unit == BENCH_PER_SECOND || unit == BENCH_TIMES;
}

static bool is_met(const struct bench_figure *f, double median)
{
    return more_is_better(f->unit) ? median >= f->target : median <= f->target;
}

/* How many times what the machine allows an operation costs. */
static double times_limit(const struct bench_figure *f, double median, double limit)
{
    return more_is_better(f->unit) ? limit / median : median / limit;
}

/* ---- numbers as people read them ---- */

struct scale {
    double factor;
    const char *unit;
};

static const struct scale scales[][4] = {
    [BENCH_NS] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}, {1, "ns"}},
    [BENCH_BYTES] = {{1, "B"}},
    [BENCH_PER_SECOND] = {{1e6, "M/s"}, {1e3, "k/s"}, {1, "/s"}},
    [BENCH_TIMES] = {{1, "x"}},
};

static const struct scale *scale_of(enum bench_unit unit, double value)
{
    const struct scale *s = scales[unit];

    while (value < s->factor && s + 1 < scales[unit] + 4 && s[1].unit != NULL)
        s++;
    return s;
}

static void format(char out[24], double value, const struct scale *s, bool with_unit)
{
    double x = value / s->factor;
    int digits = x < 10 ? 2 : x < 100 ? 1 : 0;

    (void)snprintf(out, 24, "%.*f%s%s", digits, x, with_unit ? " " : "", with_unit ? s->unit : "");
}

static void format_spread(char out[96], const struct bench_summary *s, enum bench_unit unit)
{
    const struct scale *scale = scale_of(unit, s->median);
    char median[24], least[24], most[24];

    format(median, s->median, scale, true);
    format(least, s->least, scale, false);
    format(most, s->most, scale, false);
    (void)snprintf(out, 96, "%11s  (%s-%s)", median, least, most);
}

/* ---- the machine ---- */

static void cpu_model(char out[128])
{
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "re");

    (void)snprintf(out, 128, "unknown processor");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        const char *colon = strchr(line, ':');

        if (strncmp(line, "model name", 10) != 0 || colon == NULL)
            continue;
        (void)snprintf(out, 128, "%.*s", (int)strcspn(colon + 2, "\n\"\\"), colon + 2);
        break;
    }
    if (f != NULL)
        (void)fclose(f);
}

static const char *compiler(void)
{
#if defined(__clang__)
    return "clang " __clang_version__;
#else
    return "gcc " __VERSION__;
#endif
}

static bool is_optimised(void)
{
#if defined(NDEBUG) && defined(__OPTIMIZE__)
    return true;
#else
    return false;
#endif
}

static double load(void)
{
    double loads[1] = {0};

    (void)getloadavg(loads, 1);
    return loads[0];
}

/* ---- the table ---- */

static void print_head(const struct bench_run *run)
{
    unsigned cpus[CPU_SETSIZE];
    unsigned n_cpus = bench_processors(cpus, CPU_SETSIZE);
    struct utsname os;
    char model[128];

    (void)uname(&os);
    cpu_model(model);
    (void)printf("broker %s, %s, %u processor%s, Linux %s, %s, load %.1f\n", broker_version(),
        model, n_cpus, n_cpus == 1 ? "" : "s", os.release, compiler(), load());
    (void)printf(
        "Medians (least-most) of %u rounds of %.0f ms. Two processes that are measured together, "
        "and a client\nand its server, have processors of their own. \"Limit\" is the raw figure "
        "of "
        "the same run, \"cost\"\nhow many times that.\n",
        run->n_rounds, (double)run->slice_ns / 1e6);
    if (!is_optimised())
        (void)printf("This is not a release build: the figures say nothing.\n");
    if (n_cpus < 2)
        (void)printf("With one processor the figures of two processes say little.\n");
}

static void print_limit(const struct bench_run *run, const struct bench_figure *f, double median)
{
    const struct bench_series *raw;
    struct bench_summary limit;
    unsigned figure;
    char text[24];

    raw = bench_find(run, f->limit, &figure);
    if (raw == NULL)
        return;
    limit = bench_summarize(raw, figure);
    format(text, limit.median, scale_of(f->unit, limit.median), true);
    (void)printf(" %11s  %6.1fx", text, times_limit(f, median, limit.median));
}

static void print_figure(const struct bench_run *run, const struct bench_series *s, unsigned k)
{
    const struct bench_figure *f = &s->probe->figures[k];
    struct bench_summary sum = bench_summarize(s, k);
    char spread[96], target[24] = "", promised[32] = "";

    format_spread(spread, &sum, f->unit);
    if (f->target != 0) {
        format(target, f->target, scale_of(f->unit, f->target), true);
        (void)snprintf(promised, sizeof(promised), "%s %s %s",
            more_is_better(f->unit) ? ">=" : "<=", target, is_met(f, sum.median) ? "yes" : "NO");
    }
    (void)printf("  %-*s%-34s %-16s", NAME_WIDTH, f->name, spread, promised);
    print_limit(run, f, sum.median);
    (void)putchar('\n');
}

static void print_slow(const struct bench_run *run)
{
    const struct bench_shared *s = run->shared;

    if (s->n_slow == 0)
        return;
    (void)printf("\nSets above 200 us in the dict that grew to a million, without page faults:\n");
    for (uint32_t i = 0; i < s->n_slow; i++)
        (void)printf("  round %u, with %llu entries: %.0f us\n", s->slow[i].round + 1,
            (unsigned long long)s->slow[i].entries, (double)s->slow[i].ns / 1e3);
}

void bench_report_table(const struct bench_run *run)
{
    const char *group = "";

    print_head(run);
    for (unsigned i = 0; i < run->n_series; i++) {
        const struct bench_series *s = &run->series[i];

        if (!s->is_needed)
            continue;
        if (strcmp(group, s->probe->group) != 0)
            (void)printf("\n%-*s%-34s %-16s %11s  %7s\n", NAME_WIDTH + 2, s->probe->group,
                "     median  (least-most)", "target      met", "limit", "cost");
        group = s->probe->group;
        for (unsigned k = 0; k < s->n_figures; k++)
            print_figure(run, s, k);
    }
    print_slow(run);
}

/* ---- JSON ---- */

static const char *unit_name(enum bench_unit unit)
{
    static const char *const names[] = {
        [BENCH_NS] = "ns",
        [BENCH_BYTES] = "bytes",
        [BENCH_PER_SECOND] = "per_second",
        [BENCH_TIMES] = "times",
    };

    return names[unit];
}

static void json_figure(const struct bench_run *run, const struct bench_series *s, unsigned k)
{
    const struct bench_figure *f = &s->probe->figures[k];
    struct bench_summary sum = bench_summarize(s, k);
    const struct bench_series *raw;
    unsigned figure;

    (void)printf("    {\"group\": \"%s\", \"name\": \"%s\", \"unit\": \"%s\", \"median\": %.6g, "
                 "\"min\": %.6g, \"max\": %.6g, \"rounds\": [",
        s->probe->group, f->name, unit_name(f->unit), sum.median, sum.least, sum.most);
    for (unsigned i = 0; i < s->n_rounds; i++)
        (void)printf("%s%.6g", i > 0 ? ", " : "", s->values[k][i]);
    (void)printf("]");
    if (f->target != 0)
        (void)printf(
            ", \"target\": %.6g, \"met\": %s", f->target, is_met(f, sum.median) ? "true" : "false");
    raw = bench_find(run, f->limit, &figure);
    if (raw != NULL) {
        double limit = bench_summarize(raw, figure).median;

        (void)printf(", \"limit\": {\"name\": \"%s\", \"median\": %.6g}, \"cost\": %.4g", f->limit,
            limit, times_limit(f, sum.median, limit));
    }
    (void)printf("}");
}

static void json_machine(const struct bench_run *run)
{
    unsigned cpus[CPU_SETSIZE];
    struct utsname os;
    char model[128];

    (void)uname(&os);
    cpu_model(model);
    (void)printf(
        "  \"version\": \"%s\",\n  \"machine\": {\"processor\": \"%s\", \"processors\": %u, "
        "\"kernel\": \"%s\", \"compiler\": \"%s\", \"release_build\": %s, \"load\": %.2f},\n",
        broker_version(), model, bench_processors(cpus, CPU_SETSIZE), os.release, compiler(),
        is_optimised() ? "true" : "false", load());
    (void)printf(
        "  \"rounds\": %u,\n  \"slice_ns\": %lld,\n", run->n_rounds, (long long)run->slice_ns);
}

void bench_report_json(const struct bench_run *run)
{
    const struct bench_shared *shared = run->shared;
    const char *comma = "";

    (void)printf("{\n");
    json_machine(run);
    (void)printf("  \"figures\": [");
    for (unsigned i = 0; i < run->n_series; i++)
        for (unsigned k = 0; run->series[i].is_needed && k < run->series[i].n_figures; k++) {
            (void)printf("%s\n", comma);
            json_figure(run, &run->series[i], k);
            comma = ",";
        }
    (void)printf("\n  ],\n  \"slow_sets\": [");
    for (uint32_t i = 0; i < shared->n_slow; i++)
        (void)printf("%s\n    {\"round\": %u, \"entries\": %llu, \"ns\": %lld}", i > 0 ? "," : "",
            shared->slow[i].round, (unsigned long long)shared->slow[i].entries,
            (long long)shared->slow[i].ns);
    (void)printf("\n  ]\n}\n");
}
