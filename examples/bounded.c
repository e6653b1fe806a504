/*
 * bounded.c - a queue with room for three: who comes too late, and who comes too early
 *
 * Shows what the timeout of put and get means. A fourth item waits for room as long as it is told
 * to, three seconds, and gives up then, not before; with a timeout of 0 nobody waits, and the codes
 * tell it apart: FULL and EMPTY are answers at once, TIMEDOUT is one after waiting.
 *
 * Expect: three items go in, the fourth is refused after three seconds; three come out in order,
 * the fourth get is refused at once.
 */
#include <broker.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROOM 3
#define WAIT_SECONDS 3

static void must(int r)
{
    if (r >= 0)
        return;
    fprintf(stderr, "bounded: %s\n", broker_last_error());
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * BROKER_SECOND + t.tv_nsec;
}

/* A call whose refusal is what the program wants to show. */
static void refused(const char *call, int r, int64_t began_ns)
{
    printf("%s: %s after %lld s\n", call, broker_error_name(r),
        (long long)((now_ns() - began_ns) / BROKER_SECOND));
}

int main(int argc, char **argv)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value item;
    broker_queue *shelf;
    broker *b;
    int64_t began_ns;
    int r;

    must(broker_open(argc > 1 ? argv[1] : "private:", &b));
    must(broker_queue_open(b, "shelf", &(broker_queue_options){.max_items = ROOM}, &shelf));

    for (int64_t i = 1; i <= ROOM; i++) {
        must(broker_queue_put(shelf, broker_int(i), BROKER_FOREVER));
        printf("put %lld\n", (long long)i);
    }
    began_ns = now_ns();
    r = broker_queue_put(shelf, broker_int(ROOM + 1), 0);
    refused("put 4 without waiting", r, began_ns);
    began_ns = now_ns();
    r = broker_queue_put(shelf, broker_int(ROOM + 1), WAIT_SECONDS * BROKER_SECOND);
    refused("put 4 with a timeout of 3 s", r, began_ns);

    for (int i = 1; i <= ROOM; i++) {
        must(broker_queue_get(shelf, BROKER_FOREVER, &buffer, &item));
        printf("got %lld\n", (long long)item.i);
    }
    began_ns = now_ns();
    r = broker_queue_get(shelf, 0, &buffer, &item);
    refused("a fourth get without waiting", r, began_ns);

    broker_buffer_free(&buffer);
    broker_close(b);
    return 0;
}
