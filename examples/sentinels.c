/*
 * sentinels.c - three producers, two consumers, and a nil for each consumer at the end
 *
 * Shows how consumers of a plain queue learn that nothing more comes: when all producers are done,
 * one item that means "stop" is put for each consumer. (A shut-down queue tells it without such
 * items: broker_queue_shutdown(), as in wordcount.c.)
 *
 * Expect: each of the nine items once, whoever took it, and both consumers stopped.
 */
#include <broker.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PRODUCERS 3
#define CONSUMERS 2
#define ITEMS 3 /* of each producer */

static broker *b;
static broker_queue *jobs;
static broker_list *taken;

static void must(int r)
{
    if (r >= 0)
        return;
    fprintf(stderr, "sentinels: %s\n", broker_last_error());
    exit(1);
}

static void produce(int me)
{
    char text[64];

    for (int i = 1; i <= ITEMS; i++) {
        (void)snprintf(text, sizeof(text), "item %d of producer %d", i, me);
        must(broker_queue_put(jobs, broker_str(text), BROKER_FOREVER));
    }
}

static void consume(int me)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value item;

    (void)me; /* all consumers are alike */
    for (;;) {
        must(broker_queue_get(jobs, BROKER_FOREVER, &buffer, &item));
        if (item.type == BROKER_NIL)
            break;
        must(broker_list_append(taken, item));
    }
    broker_buffer_free(&buffer);
}

static void start(void (*work)(int me), int n, pid_t *pids)
{
    for (int i = 0; i < n; i++) {
        pids[i] = fork();
        if (pids[i] < 0) {
            perror("sentinels: fork");
            exit(1);
        }
        if (pids[i] == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody waits for a parent that failed */
            work(i + 1);
            broker_close(b);
            _exit(0);
        }
    }
}

/* Waits for processes, which must end well. */
static void finish(const pid_t *pids, int n)
{
    int status;

    for (int i = 0; i < n; i++)
        if (waitpid(pids[i], &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
            exit(1);
}

int main(int argc, char **argv)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    pid_t producers[PRODUCERS], consumers[CONSUMERS];
    broker_value item;
    uint64_t n;

    must(broker_open(argc > 1 ? argv[1] : "private:", &b));
    must(broker_queue_open(b, "jobs", NULL, &jobs));
    must(broker_list_open(b, "taken", NULL, &taken));

    start(consume, CONSUMERS, consumers);
    start(produce, PRODUCERS, producers);
    finish(producers, PRODUCERS);
    for (int i = 0; i < CONSUMERS; i++)
        must(broker_queue_put(jobs, broker_nil(), BROKER_FOREVER));
    finish(consumers, CONSUMERS);

    /* Who took what, and when, is chance; that each item was taken once is not. */
    must(broker_list_sort(taken, false, broker_nil()));
    must(broker_list_len(taken, &n));
    for (int64_t i = 0; i < (int64_t)n; i++) {
        must(broker_list_get(taken, i, &buffer, &item));
        printf("%.*s\n", (int)item.size, (const char *)item.data);
    }
    must(broker_queue_qsize(jobs, &n));
    printf("%d consumers stopped; %llu items left\n", CONSUMERS, (unsigned long long)n);
    broker_buffer_free(&buffer);
    broker_close(b);
    return 0;
}
