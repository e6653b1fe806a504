/*
 * boss.c - an event: five workers wait for the boss's word, twice
 *
 * An event wakes all who wait for it, and stays set until it is cleared: who comes late does not
 * wait at all. So a second signal needs a clear in between, at a moment when all have seen the
 * first; two meetings at a barrier make that moment. (Who is already waiting sees even a set that
 * is cleared at once.)
 *
 * Expect: each worker's word after the first signal, then each one's after the second.
 */
#include <broker.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS 5

static broker *b;
static broker_event *word;
static broker_barrier *meeting;
static broker_list *said; /* in two rounds: the number of the round comes first */

static void must(int r)
{
    if (r >= 0)
        return;
    fprintf(stderr, "boss: %s\n", broker_last_error());
    exit(1);
}

static void say(int round, int me, const char *what)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "%d. worker %d: %s", round, me, what);
    must(broker_list_append(said, broker_str(text)));
}

static void meet(void)
{
    must(broker_barrier_wait(meeting, BROKER_FOREVER, NULL));
}

static void work(int me)
{
    must(broker_event_wait(word, BROKER_FOREVER));
    say(1, me, "life is hard");
    meet(); /* all have seen the first signal */
    meet(); /* the boss has cleared it */
    must(broker_event_wait(word, BROKER_FOREVER));
    say(2, me, "going home");
}

/* Waits for all workers, and returns how many did not end well. */
static int finish(void)
{
    int status, failed = 0;

    while (wait(&status) > 0)
        failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    return failed;
}

int main(int argc, char **argv)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value v;
    uint64_t n;
    int failed;

    must(broker_open(argc > 1 ? argv[1] : "private:", &b));
    must(broker_event_open(b, "word", NULL, &word));
    must(broker_list_open(b, "said", NULL, &said));
    must(broker_barrier_open(
        b, "meeting", &(broker_barrier_options){.parties = WORKERS + 1}, &meeting));
    for (int i = 1; i <= WORKERS; i++) {
        pid_t pid = fork();

        if (pid < 0) {
            perror("boss: fork");
            return 1;
        }
        if (pid == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody waits for a parent that failed */
            work(i);
            broker_close(b);
            _exit(0);
        }
    }

    must(broker_event_set(word)); /* we work late */
    meet();
    must(broker_event_clear(word));
    meet();
    must(broker_list_len(said, &n));
    printf("before the second signal: %llu words\n", (unsigned long long)n);
    must(broker_event_set(word)); /* that is all for today */
    failed = finish();

    must(broker_list_sort(said, false, broker_nil())); /* by round, then by worker */
    must(broker_list_len(said, &n));
    for (int64_t i = 0; i < (int64_t)n; i++) {
        must(broker_list_get(said, i, &buffer, &v));
        printf("%.*s\n", (int)v.size, (const char *)v.data);
    }
    broker_buffer_free(&buffer);
    broker_close(b);
    return failed == 0 ? 0 : 1;
}
