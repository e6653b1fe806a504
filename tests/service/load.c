/*
 * load.c - a program that uses the broker all the time, and counts
 *
 *   service_load work  uses a dict, a queue and a lock in turn, holding another lock of its own
 *   service_load come  attaches, counts one, and leaves, again and again
 *   service_load told  counts until it is told that the session is over, as it is when the next
 *                      brokerd knows another layout of memory, and is refused by that one
 *   service_load wait  waits for an item that never comes, until it is told so
 *   service_load show  says how often all have counted
 *   service_load fill  puts into a queue until there is no memory, which is no failure here
 *   service_load drop  destroys that queue
 *
 * Says "running" when it does, and goes on until SIGTERM. Ends with 0 and prints how often it
 * counted if no call failed; the counts of all are in the dict `load`, under `n`.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <broker.h>

static volatile sig_atomic_t is_over;

struct tools {
    broker *b;
    broker_dict *dict;
    broker_queue *queue;
    broker_lock *shared, *own;
};

static void on_term(int number)
{
    (void)number;
    is_over = 1;
}

static void must(int r, const char *what)
{
    if (r >= 0)
        return;
    (void)fprintf(stderr, "load: %s: %s\n", what, broker_last_error());
    exit(1);
}

static int64_t count(broker_dict *dict)
{
    int64_t n = 0;

    must(broker_dict_add(dict, broker_str("n"), 1, &n), "counting");
    return n;
}

static struct tools open_tools(void)
{
    struct tools t;
    char name[40];

    (void)snprintf(name, sizeof(name), "own-%d", (int)getpid());
    must(broker_open(NULL, &t.b), "attaching");
    must(broker_dict_open(t.b, "load", NULL, &t.dict), "opening the dict");
    must(broker_queue_open(t.b, name, NULL, &t.queue), "opening the queue");
    must(broker_lock_open(t.b, "shared", NULL, &t.shared), "opening the shared lock");
    (void)snprintf(name, sizeof(name), "held-%d", (int)getpid());
    must(broker_lock_open(t.b, name, NULL, &t.own), "opening the own lock");
    must(broker_lock_acquire(t.own, 0, NULL), "taking the own lock");
    return t;
}

static void pass_through_queue(const struct tools *t, int64_t n)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value item;

    must(broker_queue_put(t->queue, broker_int(n), 0), "putting");
    must(broker_queue_get(t->queue, 0, &buffer, &item), "getting");
    if (item.i != n) {
        (void)fprintf(stderr, "load: put %" PRId64 ", got %" PRId64 "\n", n, item.i);
        exit(1);
    }
    broker_buffer_free(&buffer);
}

static uint64_t work(void)
{
    struct tools t = open_tools();
    uint64_t n = 0;

    (void)puts("running");
    for (; !is_over; n++) {
        pass_through_queue(&t, count(t.dict));
        must(broker_lock_acquire(t.shared, 30 * BROKER_SECOND, NULL), "taking the shared lock");
        must(broker_lock_release(t.shared), "giving the shared lock back");
    }
    must(broker_lock_release(t.own), "giving the own lock back");
    broker_close(t.b);
    return n;
}

static uint64_t come(void)
{
    uint64_t n = 0;

    for (; !is_over; n++) {
        broker_dict *dict;
        broker *b;

        must(broker_open(NULL, &b), "attaching");
        must(broker_dict_open(b, "load", NULL, &dict), "opening the dict");
        (void)count(dict);
        broker_close(b);
        if (n == 0)
            (void)puts("running");
    }
    return n;
}

/* It is LOST, and nothing else; and a new session is not for the library of this program. */
static void must_be_over(int r, broker *b)
{
    if (r != BROKER_LOST)
        must(r < 0 ? r : BROKER_INTERNAL, "waiting to be told");
    broker_close(b);
    r = broker_open(NULL, &b);
    if (r != BROKER_VERSION)
        must(r < 0 ? r : BROKER_INTERNAL, "being refused");
}

static uint64_t told(void)
{
    struct tools t = open_tools();
    uint64_t n = 0;
    int64_t total;
    int r;

    (void)puts("running");
    while ((r = broker_dict_add(t.dict, broker_str("n"), 1, &total)) == 0)
        n++;
    must_be_over(r, t.b);
    return n;
}

static uint64_t wait_for_nothing(void)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    struct tools t = open_tools();
    broker_value item;
    int r;

    (void)puts("running");
    r = broker_queue_get(t.queue, BROKER_FOREVER, &buffer, &item);
    must_be_over(r, t.b);
    broker_buffer_free(&buffer);
    return 0;
}

static uint64_t show(void)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_dict *dict;
    broker_value n;
    broker *b;

    must(broker_open(NULL, &b), "attaching");
    must(broker_dict_open(b, "load", NULL, &dict), "opening the dict");
    must(broker_dict_get(dict, broker_str("n"), &buffer, &n), "reading");
    broker_buffer_free(&buffer);
    broker_close(b);
    return n.u;
}

static uint64_t fill(void)
{
    static char item[65536];
    broker_queue *queue;
    uint64_t n = 0;
    broker *b;
    int r;

    must(broker_open(NULL, &b), "attaching");
    must(broker_queue_open(b, "fill", NULL, &queue), "opening the queue");
    for (;; n++) {
        r = broker_queue_put(queue, broker_bin(item, sizeof(item)), 0);
        if (r == BROKER_NOMEM)
            break;
        must(r, "putting");
    }
    broker_close(b);
    return n;
}

static uint64_t drop(void)
{
    broker *b;

    must(broker_open(NULL, &b), "attaching");
    must(broker_destroy(b, "fill"), "destroying the queue");
    broker_close(b);
    return 0;
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_term, .sa_flags = SA_RESTART};
    static const struct {
        const char *name;
        uint64_t (*run)(void);
    } modes[] = {{"work", work}, {"come", come}, {"told", told}, {"wait", wait_for_nothing},
        {"show", show}, {"fill", fill}, {"drop", drop}};

    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc != 2 || sigaction(SIGTERM, &action, NULL) != 0)
        return 2;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        if (strcmp(argv[1], modes[i].name) == 0) {
            (void)printf("%" PRIu64 "\n", modes[i].run());
            return 0;
        }
    return 2;
}
