/*
 * hello.c - a first program: a dict and a queue that two processes share
 *
 * Run it with the address of a broker, or with none for the usual one.
 */
#include <broker.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* What cannot go on says why. */
static void must(int r)
{
    if (r >= 0)
        return;
    fprintf(stderr, "hello: %s\n", broker_last_error());
    exit(1);
}

int main(int argc, char **argv)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value item;
    broker *b;
    broker_dict *stock;
    broker_queue *jobs;
    int64_t left;

    must(broker_open(argc > 1 ? argv[1] : NULL, &b));
    must(broker_dict_open(b, "stock", NULL, &stock));
    must(broker_queue_open(b, "jobs", &(broker_queue_options){.max_items = 5}, &jobs));
    must(broker_dict_set(stock, broker_str("tickets"), broker_int(100)));

    if (fork() == 0) { /* the child attaches by itself, at its first operation */
        must(broker_dict_add(stock, broker_str("tickets"), -1, &left));
        must(broker_queue_put(jobs, broker_str("sold one"), BROKER_FOREVER));
        broker_close(b);
        return 0;
    }
    must(broker_queue_get(jobs, BROKER_FOREVER, &buffer, &item));
    printf("the child says: %.*s\n", (int)item.size, (const char *)item.data);
    must(broker_dict_get(stock, broker_str("tickets"), &buffer, &item));
    printf("tickets left: %lld\n", (long long)item.i);

    (void)wait(NULL);
    broker_buffer_free(&buffer);
    broker_close(b);
    return 0;
}
