/*
 * seats.c - a hundred visitors, five seats, and one visitor who dies on a seat
 *
 * A bounded semaphore has as many permits as there are seats. A permit whose owner is killed comes
 * back by itself; whoever gets it is told by BROKER_OWNER_DIED, once, and puts right what the dead
 * one left behind: here the number of those inside, which still counts it.
 *
 * Expect: never more than five inside, one notice, and all five seats free at the end.
 */
#include <broker.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define VISITORS 100
#define SEATS 5
#define UNLUCKY 10 /* this visitor is killed on its seat */

static broker *b;
static broker_semaphore *seats;
static broker_dict *counts; /* inside, notices, and how often there were too many */

static void must(int r)
{
    if (r >= 0)
        return;
    fprintf(stderr, "seats: %s\n", broker_last_error());
    exit(1);
}

static int64_t add(const char *key, int64_t delta)
{
    int64_t total;

    must(broker_dict_add(counts, broker_str(key), delta, &total));
    return total;
}

static void sit_down(void)
{
    int r = broker_semaphore_acquire(seats, BROKER_FOREVER);

    must(r);
    if (r == BROKER_OWNER_DIED) {
        (void)add("notices", 1);
        (void)add("inside", -1); /* for the dead one, whose seat this is */
    }
}

static void visit(int me)
{
    sit_down();
    if (add("inside", 1) > SEATS)
        (void)add("too many", 1);
    if (me == UNLUCKY)
        (void)raise(SIGKILL);
    (void)add("inside", -1); /* before the next one can sit down */
    must(broker_semaphore_release(seats, 1));
}

int main(int argc, char **argv)
{
    int status, ended = 0, killed = 0;
    uint64_t free_seats;

    must(broker_open(argc > 1 ? argv[1] : "private:", &b));
    must(broker_dict_open(b, "counts", NULL, &counts));
    must(broker_semaphore_open(
        b, "seats", &(broker_semaphore_options){.value = SEATS, .bounded = true}, &seats));

    for (int i = 0; i < VISITORS; i++) {
        pid_t pid = fork();

        if (pid < 0) {
            perror("seats: fork");
            return 1;
        }
        if (pid == 0) {
            visit(i);
            broker_close(b);
            _exit(0);
        }
    }
    while (wait(&status) > 0) {
        ended += WIFEXITED(status) && WEXITSTATUS(status) == 0;
        killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    }

    /* All five can be had again, the dead one's too, even if nobody has taken it since. */
    for (int i = 0; i < SEATS; i++)
        sit_down();
    must(broker_semaphore_release(seats, SEATS));
    must(broker_semaphore_value(seats, &free_seats));

    printf("%d visitors went home, %d was killed\n", ended, killed);
    printf("more than %d inside: %lld times\n", SEATS, (long long)add("too many", 0));
    printf("told that a visitor died: %lld; still inside: %lld; free seats: %llu\n",
        (long long)add("notices", 0), (long long)add("inside", 0), (unsigned long long)free_seats);
    broker_close(b);
    return 0;
}
