/*
 * orders.c - three queues, three orders: first in, last in, smallest
 *
 * The same items go into a plain queue, one with .lifo and one with .priority; everything else is
 * the same for all three, task_done and join too. On a priority queue equal items come out in the
 * order in which they went in, and one that has no order with the others is refused.
 *
 * Expect: the items in three orders; a join that ends; and the three refusals that a newcomer
 * meets: a join before the work is done, one task_done too many, a text among numbers.
 */
#include <broker.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static broker *b;

static void must(int r)
{
    if (r >= 0)
        return;
    fprintf(stderr, "orders: %s\n", broker_last_error());
    exit(1);
}

/* A process of its own puts the items, for the parent to take out when all are there. */
static void put_all(broker_queue *queue)
{
    static const int64_t items[] = {3, 1, 4, 1, 5};
    int status;
    pid_t pid;

    (void)fflush(stdout); /* or a child that fails would print it once more */
    pid = fork();
    if (pid < 0) {
        perror("orders: fork");
        exit(1);
    }
    if (pid == 0) {
        for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++)
            must(broker_queue_put(queue, broker_int(items[i]), BROKER_FOREVER));
        broker_close(b);
        _exit(0);
    }
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        exit(1);
}

static void show(const char *name, bool lifo, bool priority)
{
    broker_queue_options options = {.joinable = true, .lifo = lifo, .priority = priority};
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_queue *queue;
    broker_value item;
    int r;

    must(broker_queue_open(b, name, &options, &queue));
    put_all(queue);
    printf("%s:", name);
    while ((r = broker_queue_get(queue, 0, &buffer, &item)) == 0)
        printf(" %lld", (long long)item.i);
    if (r != BROKER_EMPTY)
        must(r);

    printf(
        "\n  join before the work is done: %s\n", broker_error_name(broker_queue_join(queue, 0)));
    while ((r = broker_queue_task_done(queue)) == 0)
        continue;
    printf("  task_done once too often: %s\n", broker_error_name(r));
    must(broker_queue_join(queue, BROKER_FOREVER));
    if (priority) {
        must(broker_queue_put(queue, broker_int(1), 0));
        printf("  a text among numbers: %s\n",
            broker_error_name(broker_queue_put(queue, broker_str("one"), 0)));
    }
    broker_buffer_free(&buffer);
    broker_queue_close(queue);
}

int main(int argc, char **argv)
{
    must(broker_open(argc > 1 ? argv[1] : "private:", &b));
    show("first in, first out", false, false);
    show("last in, first out", true, false);
    show("smallest first", false, true);
    broker_close(b);
    return 0;
}
