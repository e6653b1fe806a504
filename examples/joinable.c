/*
 * joinable.c - join: the producer waits until the work is done, and then the consumers may die
 *
 * On a joinable queue every item that was put is unfinished until a consumer says task_done.
 * join waits for the last of these, not for the last get. The consumers are endless; when join
 * has returned they have nothing left to lose, and are simply killed. (wordcount.c kills them in
 * the middle of their work.)
 *
 * Expect: all twenty results are there when join returns, and nothing is missing or left over after
 * the kill.
 */
#include <broker.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONSUMERS 2
#define ITEMS 20
#define ROOM 5

static broker *b;
static broker_queue *jobs;
static broker_list *squares;

static void must(int r)
{
    if (r >= 0)
        return;
    fprintf(stderr, "joinable: %s\n", broker_last_error());
    exit(1);
}

/* As a daemon thread does: for ever. */
static _Noreturn void consume(void)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value item;

    for (;;) {
        must(broker_queue_get(jobs, BROKER_FOREVER, &buffer, &item));
        must(broker_list_append(squares, broker_int(item.i * item.i)));
        must(broker_queue_task_done(jobs)); /* after the result is safe, not before */
    }
}

static pid_t start_consumer(void)
{
    pid_t pid = fork();

    if (pid < 0) {
        perror("joinable: fork");
        exit(1);
    }
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        consume();
    }
    return pid;
}

int main(int argc, char **argv)
{
    broker_queue_options joinable = {.max_items = ROOM, .joinable = true};
    broker_buffer buffer = BROKER_BUFFER_INIT;
    pid_t consumers[CONSUMERS];
    broker_value square;
    uint64_t n;

    must(broker_open(argc > 1 ? argv[1] : "private:", &b));
    must(broker_queue_open(b, "jobs", &joinable, &jobs));
    must(broker_list_open(b, "squares", NULL, &squares));
    for (int i = 0; i < CONSUMERS; i++)
        consumers[i] = start_consumer();

    for (int64_t i = 1; i <= ITEMS; i++)
        must(broker_queue_put(jobs, broker_int(i), BROKER_FOREVER));
    must(broker_queue_join(jobs, BROKER_FOREVER));
    must(broker_list_len(squares, &n));
    printf("joined: %llu results of %d items\n", (unsigned long long)n, ITEMS);

    for (int i = 0; i < CONSUMERS; i++) {
        (void)kill(consumers[i], SIGKILL);
        (void)waitpid(consumers[i], NULL, 0);
    }
    must(broker_queue_join(jobs, 0)); /* nothing came back: they held nothing */
    must(broker_queue_put(jobs, broker_str("more"), 0));
    must(broker_queue_qsize(jobs, &n));
    printf("consumers killed: %llu item in the queue, the one put since\n", (unsigned long long)n);

    must(broker_list_sort(squares, false, broker_nil()));
    must(broker_list_len(squares, &n));
    for (int64_t i = 0; i < (int64_t)n; i++) {
        must(broker_list_get(squares, i, &buffer, &square));
        printf("%lld%c", (long long)square.i, i + 1 < (int64_t)n ? ' ' : '\n');
    }
    broker_buffer_free(&buffer);
    broker_close(b);
    return 0;
}
