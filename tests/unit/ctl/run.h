/*
 * run.h - brokerctl as a program: started, fed, and what came out
 *
 * Runs the brokerctl of the build ($BROKERCTL, which CTest sets). What fails in here ends the test.
 */
#ifndef TESTS_CTL_RUN_H
#define TESTS_CTL_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct run {
    int code;   /* exit code; -1 if a signal ended it */
    int signal; /* that signal, or 0 */
    char *out;  /* what it printed, with a NUL behind it */
    size_t out_size;
    char *err;
};

/* Runs brokerctl with the words of @line, split at blanks, to its end. Its stdin is empty. */
struct run run(const char *line);

/* The same with @size bytes on stdin. */
struct run run_input(const char *line, const char *input, size_t size);

/* The same with words as they are, up to a NULL. */
struct run run_words(const char *const words[]);

/* The same with @out_fd as stdout; -1: it is closed. */
struct run run_to(const char *const words[], int out_fd);

/* The same with a terminal as stdout. */
struct run run_terminal(const char *line);

void run_free(struct run *r);

/* Runs a line and expects this exit code, and this text on stdout (NULL: whatever). */
#define EXPECT(line, wanted_code, wanted_out)                                                      \
    run_expect(__FILE__, __LINE__, (line), (wanted_code), (wanted_out), NULL)

/* The same, and expects this text somewhere in what it said on stderr. */
#define EXPECT_SAYS(line, wanted_code, said)                                                       \
    run_expect(__FILE__, __LINE__, (line), (wanted_code), "", (said))

/* Runs a line and expects this exit code, and on stdout each of these texts. One that begins with a
 * newline stands at the beginning of a line. */
#define EXPECT_SHOWS(line, wanted_code, ...)                                                       \
    run_expect_texts(__FILE__, __LINE__, (line), run(line), (wanted_code),                         \
        (const char *const[]){__VA_ARGS__, NULL})

/* The same on a terminal. */
#define EXPECT_TERMINAL(line, wanted_code, ...)                                                    \
    run_expect_texts(__FILE__, __LINE__, (line), run_terminal(line), (wanted_code),                \
        (const char *const[]){__VA_ARGS__, NULL})

void run_expect_texts(const char *file, int file_line, const char *line, struct run r,
    int wanted_code, const char *const texts[]);

void run_expect(const char *file, int file_line, const char *line, int wanted_code,
    const char *wanted_out, const char *said);

/* A brokerctl that runs meanwhile. It is killed with the test, and its stdin ends then. */
struct running {
    pid_t pid;
    int in, out; /* the other ends of its stdin and stdout */
};

struct running run_start(const char *const words[]);

/* The same with a terminal of its own as stdin and stdout, of which `in` and `out` are the other
 * end. */
struct running run_start_terminal(const char *const words[]);

/* Runs @line on a terminal of its own and types @typed; gives its exit code, and what was on the
 * terminal. */
int run_answer(const char *line, const char *typed, char *out_seen, size_t size);

/* Reads one line that it prints, and expects it to be @wanted, without its newline. */
void run_expect_line(const struct running *r, const char *wanted);

/* Waits for its end, and gives its wait status. */
int run_end(struct running *r);

/* Whether @text begins with @with. */
bool run_starts(const char *text, const char *with);

#endif
