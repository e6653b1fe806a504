/*
 * tickets.c - a hundred buyers, fifty tickets, and one buyer who dies at the counter
 *
 * Each buyer is a process. Under a lock it looks how many tickets are left, thinks, and takes one:
 * the classical program in which a count goes wrong without a lock, and in which everybody hangs
 * for ever when somebody is killed while holding it. Here the lock of the dead buyer comes back,
 * and the next one to get it is told.
 *
 * Expect: all fifty tickets sold, none twice, none left, and one buyer who was told.
 */
#include <broker.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define BUYERS 100
#define TICKETS 50
#define UNLUCKY 10 /* this buyer is killed with the lock in its hand, before it has bought */

static broker *b;
static broker_dict *box; /* what is in the box office */
static broker_lock *counter;

static void must(int r)
{
    if (r >= 0)
        return;
    fprintf(stderr, "tickets: %s\n", broker_last_error());
    exit(1);
}

static int64_t number(const char *key)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value v;

    must(broker_dict_get(box, broker_str(key), &buffer, &v));
    broker_buffer_free(&buffer);
    return v.i;
}

static void buy(int me)
{
    int r = broker_lock_acquire(counter, 30 * BROKER_SECOND, NULL);
    int64_t left, n;

    must(r);
    if (r == BROKER_OWNER_DIED) {
        /* What the lock protects may be half done. Here one word tells all, so there is nothing to
         * repair. */
        must(broker_dict_add(box, broker_str("notices"), 1, &n));
    }
    left = number("left");
    if (me == UNLUCKY)
        (void)raise(SIGKILL);
    if (left > 0) {
        must(broker_dict_set(box, broker_str("left"), broker_int(left - 1)));
        must(broker_dict_add(box, broker_str("sold"), 1, &n));
    }
    must(broker_lock_release(counter));
}

int main(int argc, char **argv)
{
    int64_t left, sold, notices, after;

    must(broker_open(argc > 1 ? argv[1] : "private:", &b));
    must(broker_dict_open(b, "box office", NULL, &box));
    must(broker_lock_open(b, "counter", NULL, &counter));
    must(broker_dict_set(box, broker_str("left"), broker_int(TICKETS)));
    must(broker_dict_set(box, broker_str("sold"), broker_int(0)));
    must(broker_dict_set(box, broker_str("notices"), broker_int(0)));

    for (int i = 0; i < BUYERS; i++) {
        pid_t pid = fork();

        if (pid < 0) {
            perror("tickets: fork");
            return 1;
        }
        if (pid == 0) {
            buy(i);
            broker_close(b);
            _exit(0);
        }
    }
    while (wait(NULL) > 0)
        continue;

    left = number("left");
    sold = number("sold");
    notices = number("notices");
    printf("%d buyers, one of them killed: %lld of %d tickets sold, %lld left\n", BUYERS,
        (long long)sold, TICKETS, (long long)left);
    printf("told that the one before died at the counter: %lld\n", (long long)notices);
    /* The same sale needs no lock where one atomic operation says it all: */
    must(broker_dict_add(box, broker_str("left"), -1, &after));
    broker_close(b);
    return sold == TICKETS && left == 0 && notices == 1 && after == -1 ? 0 : 1;
}
