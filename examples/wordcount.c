/*
 * wordcount.c - many processes count the words of files; one of them is killed, and the count is
 * exact
 *
 * Producers read the files and put each line, with a number of its own, on a bounded queue.
 * Consumers take lines and add what they counted to a dict that all share. The queue is joinable: a
 * line that was taken is leased until task_done, so a killed consumer's lines come back and join()
 * ends only when all are done.
 *
 * Coming back is not enough: the killed one may have added its counts already. So a line's counts
 * are added by one atomic operation, add_many, which at the same moment makes the line's number a
 * key of the dict. A line that comes back although it was counted finds its number there (EXISTS),
 * and is only ticked off. Nothing is lost, and nothing counted twice:
 *
 *     killed before add_many:                nothing was counted, the line comes back
 *     killed between add_many and task_done: it comes back, EXISTS
 *
 * A word is a run of the letters A to Z, in either case, as `tr -cs A-Za-z '\n' | tr A-Z a-z` finds
 * them.
 */
#include <broker.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PRODUCERS 2
#define CONSUMERS 4
#define QUEUE_ITEMS 200
#define LONG_LINE 4000 /* bytes; longer lines are cut between two words */

static broker *b;
static broker_queue *lines;
static broker_dict *counts;

static void must(int r)
{
    if (r >= 0)
        return;
    fprintf(stderr, "wordcount: %s\n", broker_last_error());
    exit(1);
}

static int is_letter(int c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* ---- producers ---- */

/* A line as an item: [number, bytes]. */
static void put_line(int64_t number, const char *text, size_t size)
{
    const broker_value line[] = {broker_int(number), broker_bin(text, size)};
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value item;

    must(broker_pack_array(line, 2, &buffer, &item));
    must(broker_queue_put(lines, item, BROKER_FOREVER));
    broker_buffer_free(&buffer);
}

/* Puts the lines of one file; numbers are unique because the first part of each is the file's. */
static void produce_file(const char *path, int64_t file)
{
    size_t n = 0, capacity = 2 * LONG_LINE;
    char *line = malloc(capacity);
    int64_t number = file << 32;
    FILE *f = fopen(path, "r");
    int c;

    if (f == NULL || line == NULL) {
        fprintf(stderr, "wordcount: %s: %s\n", path, strerror(errno));
        exit(1);
    }
    while ((c = getc(f)) != EOF) {
        if (n == capacity && (line = realloc(line, capacity *= 2)) == NULL)
            exit(1);
        line[n++] = (char)c;
        if (c == '\n' || (n >= LONG_LINE && !is_letter(c))) {
            put_line(number++, line, n);
            n = 0;
        }
    }
    if (n > 0)
        put_line(number, line, n);
    free(line);
    (void)fclose(f);
}

/* ---- consumers ---- */

/* A word, and how often it came: a pair of the map that they will be. */
struct word {
    broker_value text, n;
};

/* Counts one more of a word. A line has few: looking through them is fast enough. */
static uint32_t add_word(struct word *words, uint32_t n_words, const char *text, size_t size)
{
    for (uint32_t i = 0; i < n_words; i++)
        if (words[i].text.size == size && memcmp(words[i].text.data, text, size) == 0) {
            words[i].n.i++;
            return n_words;
        }
    words[n_words] = (struct word){broker_strn(text, size), broker_int(1)};
    return n_words + 1;
}

/* The words of a line as a map from word to count. */
static broker_value count_words(const char *text, size_t size, broker_buffer *buffer)
{
    char *lower = malloc(size + 1);
    struct word *words = calloc(size / 2 + 1, sizeof(*words));
    uint32_t n_words = 0;
    broker_value map;
    size_t start = 0;

    if (lower == NULL || words == NULL)
        exit(1);
    for (size_t i = 0; i <= size; i++) {
        lower[i] = i < size && is_letter(text[i]) ? (char)(text[i] | 0x20) : '\0';
        if (lower[i] != '\0')
            continue;
        if (i > start)
            n_words = add_word(words, n_words, lower + start, i - start);
        start = i + 1;
    }
    must(broker_pack_map(&words[0].text, n_words, buffer, &map));
    free(words);
    free(lower);
    return map;
}

/* One line: its counts and its number go into the dict in one step. */
static void consume_line(broker_value item)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value number, text, words;
    int r;

    must(broker_unpack_at(item, 0, &number));
    must(broker_unpack_at(item, 1, &text));
    words = count_words(text.data, text.size, &buffer);
    r = broker_dict_add_many(counts, words, number);
    if (r != BROKER_EXISTS) /* or else it was counted before, by one who died before saying so */
        must(r);
    broker_buffer_free(&buffer);
}

/* Until the queue is shut down and empty. With @die_after not 0, killed in the middle of that
 * line's work. */
static void consume(int die_after)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value item;
    int r;

    for (int n = 1;; n++) {
        r = broker_queue_get(lines, BROKER_FOREVER, &buffer, &item);
        if (r == BROKER_CLOSED)
            break;
        must(r);
        if (n == die_after && n % 2 == 0)
            (void)raise(SIGKILL); /* nothing counted yet */
        consume_line(item);
        if (n == die_after)
            (void)raise(SIGKILL); /* counted, but nobody knows */
        must(broker_queue_task_done(lines));
    }
    broker_buffer_free(&buffer);
}

/* ---- the whole ---- */

static pid_t start_consumer(int die_after)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    consume(die_after);
    broker_close(b);
    _exit(0);
}

static pid_t start_producer(int me, char **files, int n_files)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    for (int i = me; i < n_files; i += PRODUCERS)
        produce_file(files[i], i + 1);
    broker_close(b);
    _exit(0);
}

/* How far it is: lines done of lines put so far. */
static void show_progress(int final)
{
    static char bar[] = "########################################";
    broker_buffer buffer = BROKER_BUFFER_INIT;
    uint64_t n_puts, n_left;
    broker_value stat, puts, left;
    int width;

    must(broker_stat(b, "lines", &buffer, &stat));
    must(broker_unpack_find(stat, broker_str("puts"), &puts));
    must(broker_unpack_find(stat, broker_str("unfinished"), &left));
    n_puts = puts.u;
    n_left = left.u;
    broker_buffer_free(&buffer);
    width = n_puts > 0 ? (int)(40 * (n_puts - n_left) / n_puts) : 0;
    if (isatty(2))
        fprintf(stderr, "\r[%-40.*s] %llu of %llu lines%s", width, bar,
            (unsigned long long)(n_puts - n_left), (unsigned long long)n_puts, final ? "\n" : "");
    else if (final)
        fprintf(stderr, "%llu lines counted\n", (unsigned long long)(n_puts - n_left));
}

/* A producer that ended badly ends everything; a consumer that was killed is replaced. Returns
 * running producers. */
static int watch_children(int producers, pid_t *producer)
{
    int status;
    pid_t pid = waitpid(-1, &status, WNOHANG);

    if (pid <= 0)
        return producers;
    for (int i = 0; i < PRODUCERS; i++)
        if (pid == producer[i]) {
            if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                exit(1);
            return producers - 1;
        }
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
        fprintf(stderr,
            "%sa consumer was killed in the middle of its work; another takes its place\n",
            isatty(2) ? "\n" : "");
        (void)start_consumer(0);
    } else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        exit(1);
    }
    return producers;
}

int main(int argc, char **argv)
{
    pid_t producer[PRODUCERS];
    int producers = PRODUCERS, r;

    if (argc < 3) {
        fprintf(stderr,
            "usage: wordcount COMMAND FILE...\n"
            "Counts the words of the files, then runs COMMAND while the counts are there.\n");
        return 2;
    }
    for (int i = 2; i < argc; i++)
        if (access(argv[i], R_OK) != 0) {
            fprintf(stderr, "wordcount: %s: %s\n", argv[i], strerror(errno));
            return 1;
        }
    must(broker_open("private:", &b));
    must(broker_queue_open(
        b, "lines", &(broker_queue_options){.max_items = QUEUE_ITEMS, .joinable = true}, &lines));
    must(broker_dict_open(b, "words", NULL, &counts));

    for (int i = 0; i < CONSUMERS; i++)
        (void)start_consumer(i == 0 ? 20 : i == 1 ? 33 : 0);
    for (int i = 0; i < PRODUCERS; i++)
        producer[i] = start_producer(i, argv + 2, argc - 2);

    /* Join, a tenth of a second at a time, to have something to show. When it ends with all
     * producers gone, all is done. */
    for (;;) {
        producers = watch_children(producers, producer);
        r = broker_queue_join(lines, BROKER_SECOND / 10);
        if (r == 0 && producers == 0)
            break;
        if (r != 0 && r != BROKER_TIMEDOUT)
            must(r);
        show_progress(0);
    }
    show_progress(1);
    must(broker_queue_shutdown(lines)); /* the consumers leave */
    while (wait(NULL) > 0)
        continue;

    (void)setenv("BROKER_ADDRESS", broker_address(b), 1);
    fflush(NULL);
    r = system(argv[1]);
    broker_close(b);
    return WIFEXITED(r) ? WEXITSTATUS(r) : 1;
}
