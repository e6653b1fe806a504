/*
 * gather.c - ten processes fill one dict and one list
 *
 * What one process writes all others can read at once, in whatever order they ran: each child
 * writes, waits at a barrier until all have written, and counts what it sees.
 *
 * Expect: a dict of twelve keys and a list of fifteen items, seen whole by all ten.
 */
#include <broker.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN 10
#define OWN_KEYS 2
#define OWN_ITEMS 5

static broker *b;
static broker_dict *people;
static broker_list *numbers;
static broker_barrier *all_written;

static void must(int r)
{
    if (r >= 0)
        return;
    fprintf(stderr, "gather: %s\n", broker_last_error());
    exit(1);
}

/* Returns the exit code: 0 if the child sees all that everybody wrote. */
static int child(int me)
{
    uint64_t n_keys, n_items;
    char name[32];

    (void)snprintf(name, sizeof(name), "child %d", me);
    must(broker_dict_set(people, broker_str(name), broker_int(me)));
    must(broker_list_append(numbers, broker_int(OWN_ITEMS + me)));
    must(broker_barrier_wait(all_written, BROKER_FOREVER, NULL));
    must(broker_dict_len(people, &n_keys));
    must(broker_list_len(numbers, &n_items));
    return n_keys == OWN_KEYS + CHILDREN && n_items == OWN_ITEMS + CHILDREN ? 0 : 1;
}

/* Keys come in the order in which they were first set: as a list they can be sorted. */
static void print_sorted(const char *title, broker_list *list)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value v;
    uint64_t n;

    must(broker_list_sort(list, false, broker_nil()));
    must(broker_list_len(list, &n));
    printf("%llu %s:", (unsigned long long)n, title);
    for (int64_t i = 0; i < (int64_t)n; i++) {
        must(broker_list_get(list, i, &buffer, &v));
        if (v.type == BROKER_STR)
            printf(" [%.*s]", (int)v.size, (const char *)v.data);
        else
            printf(" %lld", (long long)v.i);
    }
    printf("\n");
    broker_buffer_free(&buffer);
}

int main(int argc, char **argv)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value packed;
    broker_list *keys;
    int status, saw_all = 0;

    must(broker_open(argc > 1 ? argv[1] : "private:", &b));
    must(broker_dict_open(b, "people", NULL, &people));
    must(broker_list_open(b, "numbers", NULL, &numbers));
    must(broker_barrier_open(
        b, "all written", &(broker_barrier_options){.parties = CHILDREN}, &all_written));
    must(broker_dict_set(people, broker_str("mother"), broker_nil()));
    must(broker_dict_set(people, broker_str("father"), broker_nil()));
    for (int i = 0; i < OWN_ITEMS; i++)
        must(broker_list_append(numbers, broker_int(i)));

    for (int i = 0; i < CHILDREN; i++) {
        pid_t pid = fork();

        if (pid < 0) {
            perror("gather: fork");
            return 1;
        }
        if (pid == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody waits for a parent that failed */
            int code = child(i);

            broker_close(b);
            _exit(code);
        }
    }
    while (wait(&status) > 0)
        saw_all += WIFEXITED(status) && WEXITSTATUS(status) == 0;

    must(broker_list_open(b, "keys", NULL, &keys));
    must(broker_dict_keys(people, &buffer, &packed));
    must(broker_list_extend(keys, packed));
    print_sorted("keys", keys);
    print_sorted("items", numbers);
    printf("%d of %d children saw all of it\n", saw_all, CHILDREN);
    broker_buffer_free(&buffer);
    broker_close(b);
    return saw_all == CHILDREN ? 0 : 1;
}
