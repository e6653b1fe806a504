/*
 * countdown.c - a hundred processes take one each off a number in a dict, in two ways
 *
 * To read a number, to take one off, and to write it back are two operations: another process can
 * come in between, and its change is lost. Under a lock nobody comes in between. Where the change
 * is an addition, broker_dict_add() is the whole of it in one operation, and no lock is needed; for
 * other changes there is broker_dict_compare_and_set().
 *
 * Expect: 0 both times.
 */
#include <broker.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 100

static broker *b;
static broker_dict *numbers;
static broker_lock *guard;

static void must(int r)
{
    if (r >= 0)
        return;
    fprintf(stderr, "countdown: %s\n", broker_last_error());
    exit(1);
}

static int64_t number(const char *key)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value v;

    must(broker_dict_get(numbers, broker_str(key), &buffer, &v));
    broker_buffer_free(&buffer); /* a number is in the value itself */
    return v.i;
}

static void take_one(void)
{
    int64_t left;

    /* BROKER_OWNER_DIED would be a notice, no error: the number is either the old or the new one.
     */
    must(broker_lock_acquire(guard, BROKER_FOREVER, NULL));
    must(broker_dict_set(
        numbers, broker_str("under a lock"), broker_int(number("under a lock") - 1)));
    must(broker_lock_release(guard));

    must(broker_dict_add(numbers, broker_str("without a lock"), -1, &left));
}

int main(int argc, char **argv)
{
    int status, failed = 0;

    must(broker_open(argc > 1 ? argv[1] : "private:", &b));
    must(broker_dict_open(b, "numbers", NULL, &numbers));
    must(broker_lock_open(b, "guard", NULL, &guard));
    must(broker_dict_set(numbers, broker_str("under a lock"), broker_int(PROCESSES)));
    must(broker_dict_set(numbers, broker_str("without a lock"), broker_int(PROCESSES)));

    for (int i = 0; i < PROCESSES; i++) {
        pid_t pid = fork();

        if (pid < 0) {
            perror("countdown: fork");
            return 1;
        }
        if (pid == 0) {
            take_one();
            broker_close(b);
            _exit(0);
        }
    }
    while (wait(&status) > 0)
        failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;

    printf("%d processes under a lock: %lld left\n", PROCESSES, (long long)number("under a lock"));
    printf(
        "%d processes without a lock: %lld left\n", PROCESSES, (long long)number("without a lock"));
    broker_close(b);
    return failed == 0 ? 0 : 1;
}
