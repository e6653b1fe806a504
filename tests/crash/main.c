/*
 * crash_sweep - kills every changing operation at every machine instruction; see sweep.h
 *
 *     crash_sweep [--list] [--case OPERATION[/STATE]] [--store N] [--step N] [--seed N]
 *                 [--stepped N] [--real N] [--double N] [--all]
 *                 [--stop-after N] [--first] [--expect-bad ORACLE[,ORACLE...]]
 *
 * Prints a line for each operation and a total; with --first it stops behind the first case in
 * which something is bad. Ends with 1 if anything is bad; with --expect-bad,
 * for mutants, if nothing is, or not by the oracles that are named.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sweep.h"

struct options {
    struct sweep_options sweep;
    const char *operation, *state;
    const char *expect_bad;
    bool all, first;
};

static struct sweep sweep;

/*
 * Has the C library copy large blocks by vector instructions, some hundred of them, and not by one
 * that is a step for every byte. It reads this at its start only.
 */
static void tame_copies(char **argv)
{
    static const char name[] = "GLIBC_TUNABLES";

    if (getenv(name) != NULL)
        return;
    (void)setenv(name,
        "glibc.cpu.x86_rep_movsb_threshold=100000000:glibc.cpu.x86_rep_stosb_threshold=100000000",
        1);
    (void)execv("/proc/self/exe", argv);
}

static uint64_t number(const char *text)
{
    char *end;
    unsigned long long n = strtoull(text, &end, 0);

    if (end == text || *end != '\0') {
        (void)fprintf(stderr, "crash_sweep: %s is not a number\n", text);
        exit(EXIT_FAILURE);
    }
    return n;
}

static void list(const struct crash_operation *operations, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        (void)printf("%s:", operations[i].name);
        for (uint32_t k = 0; k < operations[i].n_states; k++)
            (void)printf(" %s", operations[i].states[k].name);
        (void)printf("\n");
    }
}

static _Noreturn void list_all(void)
{
    list(crash_operations, n_crash_operations);
    list(crash_wakes, n_crash_wakes);
    exit(EXIT_SUCCESS);
}

static void set_case(struct options *o, char *text)
{
    char *slash = strchr(text, '/');

    o->operation = text;
    if (slash != NULL) {
        *slash = '\0';
        o->state = slash + 1;
    }
}

static void set_all(struct options *o)
{
    o->sweep.stepped = 1;
    o->sweep.n_real = UINT32_MAX;
    o->sweep.n_double = UINT32_MAX;
    o->sweep.work_first = 1;
    o->sweep.reaping = true;
    o->sweep.reserved = true;
    o->all = true;
}

static void parse(int argc, char **argv, struct options *o)
{
    static const struct option names[] = {{"list", no_argument, NULL, 'l'},
        {"case", required_argument, NULL, 'c'}, {"step", required_argument, NULL, 's'},
        {"store", required_argument, NULL, 'o'}, {"seed", required_argument, NULL, 'r'},
        {"stepped", required_argument, NULL, 't'}, {"real", required_argument, NULL, 'k'},
        {"double", required_argument, NULL, 'd'}, {"all", no_argument, NULL, 'a'},
        {"stop-after", required_argument, NULL, 'n'}, {"expect-bad", required_argument, NULL, 'x'},
        {"first", no_argument, NULL, 'f'}, {0}};
    int c;

    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1)
        switch (c) {
        case 'l':
            list_all();
            break;
        case 'c':
            set_case(o, optarg);
            break;
        case 'o':
            o->sweep.only = true;
            o->sweep.store = number(optarg);
            break;
        case 's':
            o->sweep.only = true;
            o->sweep.step = number(optarg);
            break;
        case 't':
            o->sweep.stepped = number(optarg);
            break;
        case 'r':
            o->sweep.seed = number(optarg);
            break;
        case 'k':
            o->sweep.n_real = number(optarg);
            break;
        case 'd':
            o->sweep.n_double = number(optarg);
            break;
        case 'a':
            set_all(o);
            break;
        case 'n':
            o->sweep.stop_after = number(optarg);
            break;
        case 'f':
            o->first = true;
            break;
        case 'x':
            o->expect_bad = optarg;
            break;
        default:
            exit(EXIT_FAILURE);
        }
}

static uint64_t all_bad(const struct sweep_counts *c)
{
    uint64_t n = 0;

    for (int i = 0; i < N_ORACLES; i++)
        n += c->n_bad[i];
    return n;
}

static void say(const char *name, const struct sweep_counts *c)
{
    (void)printf(
        "%-28s %3llu cases %6llu states: %6llu before %6llu after %4llu middle; %8llu stepped, "
        "%5llu killed, %7llu in recovery; %llu bad\n",
        name, (unsigned long long)c->n_cases, (unsigned long long)c->n_states,
        (unsigned long long)c->n_outcomes[BEFORE], (unsigned long long)c->n_outcomes[AFTER],
        (unsigned long long)c->n_outcomes[MIDDLE], (unsigned long long)c->n_steps,
        (unsigned long long)c->n_real, (unsigned long long)c->n_double,
        (unsigned long long)all_bad(c));
}

static void add(struct sweep_counts *total, const struct sweep_counts *c)
{
    total->n_cases += c->n_cases;
    total->n_states += c->n_states;
    total->n_steps += c->n_steps;
    total->n_real += c->n_real;
    total->n_double += c->n_double;
    for (int i = 0; i < N_OUTCOMES; i++)
        total->n_outcomes[i] += c->n_outcomes[i];
    for (int i = 0; i < N_ORACLES; i++)
        total->n_bad[i] += c->n_bad[i];
}

static void sweep_operation(
    const struct options *o, const struct crash_operation *operation, struct sweep_counts *total)
{
    sweep.counts = (struct sweep_counts){0};
    for (uint32_t i = 0; i < operation->n_states && !(o->first && all_bad(&sweep.counts) > 0); i++)
        if (o->state == NULL || strcmp(o->state, operation->states[i].name) == 0)
            sweep_case(&sweep, operation, &operation->states[i]);
    say(operation->name, &sweep.counts);
    (void)fflush(stdout);
    add(total, &sweep.counts);
}

static bool is_wanted(const struct options *o, const struct crash_operation *operation)
{
    if (o->operation != NULL)
        return strcmp(o->operation, operation->name) == 0;
    return o->all || (operation->flags & CRASH_LONG) == 0;
}

static void sweep_table(const struct options *o, const struct crash_operation *operations,
    unsigned n, struct sweep_counts *total)
{
    for (unsigned i = 0; i < n && !(o->first && all_bad(total) > 0); i++)
        if (is_wanted(o, &operations[i]))
            sweep_operation(o, &operations[i], total);
}

/* Was everything found that had to be? */
static bool found(const struct sweep_counts *total, const char *expected)
{
    bool all = true;

    (void)printf("found by:");
    for (int i = 0; i < N_ORACLES; i++) {
        if (total->n_bad[i] != 0)
            (void)printf(" %s %llu", oracle_names[i], (unsigned long long)total->n_bad[i]);
        if (strstr(expected, oracle_names[i]) != NULL)
            all &= total->n_bad[i] != 0;
    }
    (void)printf("\n");
    return all && all_bad(total) != 0;
}

int main(int argc, char **argv)
{
    struct options o = {.sweep = {.seed = 1,
                            .n_real = 1,
                            .n_double = 1,
                            .work_first = 4,
                            .stepped = 64,
                            .stop_after = 20}};
    struct sweep_counts total = {0};
    const char *campaign = getenv("BROKER_CAMPAIGN");
    struct timespec start, end;

    tame_copies(argv);
    if (campaign != NULL && strcmp(campaign, "1") == 0)
        set_all(&o);
    parse(argc, argv, &o);
    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    crash_make_arguments();
    sweep_init(&sweep, &o.sweep);
    sweep_table(&o, crash_operations, n_crash_operations, &total);
    sweep_table(&o, crash_wakes, n_crash_wakes, &total);
    sweep_fini(&sweep);
    crash_free_arguments();
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    say("total", &total);
    (void)printf("%.1f s, seed %llu\n",
        (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9,
        (unsigned long long)o.sweep.seed);
    if (total.n_cases == 0) {
        (void)fprintf(stderr, "crash_sweep: there is no such case; --list shows them\n");
        return EXIT_FAILURE;
    }
    if (o.expect_bad != NULL)
        return found(&total, o.expect_bad) ? EXIT_SUCCESS : EXIT_FAILURE;
    return all_bad(&total) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
