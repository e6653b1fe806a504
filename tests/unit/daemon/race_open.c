/*
 * race_open.c - threads that open and close brokers and objects, while others fork; a plain
 * program, for ThreadSanitizer
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <broker.h>

#include "support/instance.h"

#define N_THREADS 4
#define N_ROUNDS 500
#define N_FORKS 20

static const char *address;
static _Atomic int n_failed;
static _Atomic long long n_added;

static void expect(int r, const char *what)
{
    if (r >= 0)
        return;
    (void)fprintf(stderr, "%s: %s\n", what, broker_last_error());
    (void)atomic_fetch_add(&n_failed, 1);
}

static void *open_and_close(void *arg)
{
    for (int i = 0; i < N_ROUNDS; i++) {
        broker *b;
        broker_dict *d;
        int64_t n;
        int r = broker_open(address, &b);

        expect(r, "broker_open");
        if (r < 0)
            break;
        r = broker_dict_open(b, "d", NULL, &d);
        expect(r, "broker_dict_open");
        if (r == 0) {
            expect(broker_dict_add(d, broker_str("n"), 1, &n), "broker_dict_add");
            (void)atomic_fetch_add(&n_added, 1);
            broker_dict_close(d);
        }
        broker_close(b);
    }
    return arg;
}

/* Each child is a session of its own, whatever the other threads were doing when it was made. */
static void *fork_children(void *arg)
{
    broker *b;
    broker_dict *d;
    int status, r = broker_open(address, &b);

    expect(r, "broker_open");
    if (r < 0)
        return arg;
    expect(broker_dict_open(b, "d", NULL, &d), "broker_dict_open");
    for (int i = 0; i < N_FORKS; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            int64_t n;

            _exit(broker_dict_add(d, broker_str("n"), 1, &n) == 0 ? 0 : 1);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
            (void)atomic_fetch_add(&n_failed, 1);
        else
            (void)atomic_fetch_add(&n_added, 1);
    }
    broker_dict_close(d);
    broker_close(b);
    return arg;
}

static int check_total(void)
{
    broker *b;
    broker_dict *d;
    int64_t n = 0;

    expect(broker_open(address, &b), "broker_open");
    expect(broker_dict_open(b, "d", NULL, &d), "broker_dict_open");
    expect(broker_dict_add(d, broker_str("n"), 0, &n), "broker_dict_add");
    broker_close(b);
    if (n == atomic_load(&n_added))
        return 0;
    (void)fprintf(stderr, "%lld were added, %lld are there\n", (long long)atomic_load(&n_added),
        (long long)n);
    return 1;
}

int main(void)
{
    struct instance *instance = instance_start("[arena default]\nsize = 16M\n");
    pthread_t threads[N_THREADS + 1];
    int r;

    address = instance_address(instance);
    for (int i = 0; i <= N_THREADS; i++)
        if (pthread_create(
                &threads[i], NULL, i < N_THREADS ? open_and_close : fork_children, NULL) != 0)
            return 99;
    for (int i = 0; i <= N_THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    r = check_total();
    instance_stop(instance);
    return atomic_load(&n_failed) > 0 ? 1 : r;
}
