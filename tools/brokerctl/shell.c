/*
 * shell.c - `brokerctl shell`: commands one after the other, with history and completion
 *
 * Each line is what would stand behind brokerctl on a command line, and runs in a process of its
 * own, as if it did: what it takes is given back at its end, and a key that interrupts ends it
 * alone. Names are completed by the same code as for the shells of the system.
 */
#include <errno.h>
#include <histedit.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wchar.h>

#include "ctl.h"
#include "fail.h"
#include "options.h"

#define PROMPT CTL_PROGRAM "> "
#define HISTORY_LINES 1000
#define EXIT_SIGNAL 128 /* as shells do */
#define COLUMN 78u

struct shell {
    struct ctl *ctl;
    EditLine *el;
    History *history;
    char history_path[4096]; /* empty: none */
    int code;                /* of the last command */
};

/* ---- one line ---- */

static int run_in_child(struct shell *s, int argc, const char **argv)
{
    struct ctl ctl = *s->ctl;
    char **words = calloc((size_t)argc + 2, sizeof(*words));
    static char program[] = CTL_PROGRAM;
    int code = CTL_EXIT_FAILURE;

    if (words != NULL) {
        words[0] = program;
        memcpy(words + 1, argv, (size_t)argc * sizeof(*words));
        ctl.broker = NULL; /* the parent's */
        ctl.in_shell = true;
        code = ctl_main(&ctl, argc + 1, words);
    }
    free(words);
    return code;
}

/* The exit code of a command. Keys are the command's business meanwhile. */
static int run_words(struct shell *s, int argc, const char **argv)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, interrupt, quit;
    int status = 0;
    pid_t child;

    (void)fflush(NULL);
    (void)sigaction(SIGINT, &ignore, &interrupt);
    (void)sigaction(SIGQUIT, &ignore, &quit);
    child = fork();
    if (child == 0) {
        (void)sigaction(SIGINT, &interrupt, NULL);
        (void)sigaction(SIGQUIT, &quit, NULL);
        exit(run_in_child(s, argc, argv));
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    (void)sigaction(SIGINT, &interrupt, NULL);
    (void)sigaction(SIGQUIT, &quit, NULL);
    if (child < 0)
        return ctl_fail(BROKER_SYSTEM, "cannot start a process: %s", strerror(errno));
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_SIGNAL + WTERMSIG(status);
}

/* False if the line ends the shell. */
static bool run_line(struct shell *s, const char *line)
{
    Tokenizer *tokens = tok_init(NULL);
    const char **argv;
    bool goes_on = true;
    int argc = 0;

    if (tokens == NULL) {
        s->code = ctl_fail(BROKER_NOMEM, "no memory for the line");
    } else if (tok_str(tokens, line, &argc, &argv) != 0) {
        s->code = ctl_fail_usage("a quotation mark or what follows a backslash is missing");
    } else if (argc > 0 && argv[0][0] != '#') {
        if (strcmp(argv[0], CTL_PROGRAM) == 0 && argc > 1) { /* as it is written in the guide */
            argv++;
            argc--;
        }
        goes_on = strcmp(argv[0], "exit") != 0 && strcmp(argv[0], "quit") != 0;
        if (goes_on)
            s->code = run_words(s, argc, argv);
    }
    if (tokens != NULL)
        tok_end(tokens);
    return goes_on;
}

/* ---- completion ---- */

/* What could stand in the place of the last of the words, a line each; to be freed. */
static char *candidates(struct shell *s, int argc, const char **argv)
{
    struct ctl ctl = *s->ctl;
    char *text = NULL;
    char **words = calloc((size_t)argc + 1, sizeof(*words));
    size_t size;

    ctl.broker = NULL;
    ctl.candidates = open_memstream(&text, &size);
    if (words != NULL && ctl.candidates != NULL) {
        memcpy(words, argv, (size_t)argc * sizeof(*words));
        (void)ctl_complete(&ctl, argc, words);
    }
    if (ctl.candidates != NULL)
        (void)fclose(ctl.candidates);
    free(words);
    ctl_disconnect(&ctl);
    return text;
}

/* How much all candidates begin with, and how many there are. */
static unsigned common_prefix(const char *text, size_t *out_n)
{
    size_t n = strcspn(text, "\n"), same;
    unsigned count = 0;

    *out_n = n;
    for (const char *line = text; *line != '\0'; count++) {
        for (same = 0; same < *out_n && line[same] == text[same] && line[same] != '\n';)
            same++;
        *out_n = same;
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    return count;
}

static void show_candidates(const char *text)
{
    unsigned column = 0;

    (void)putchar('\n');
    while (*text != '\0') {
        unsigned n = (unsigned)strcspn(text, "\n");

        if (column > 0 && column + n + 2 > COLUMN) {
            (void)putchar('\n');
            column = 0;
        }
        (void)printf("%s%.*s", column > 0 ? "  " : "", (int)n, text);
        column += n + 2;
        text += n + (text[n] == '\n');
    }
    (void)putchar('\n');
}

/* What is missing of a name, with what the line needs to take it as one word. */
static void insert(EditLine *el, const char *text, size_t n, bool is_whole)
{
    char quoted[2 * 256 + 2];
    size_t k = 0;

    for (size_t i = 0; i < n && k + 3 < sizeof(quoted); i++) {
        if (strchr(" \t\"'\\", text[i]) != NULL)
            quoted[k++] = '\\';
        quoted[k++] = text[i];
    }
    if (is_whole)
        quoted[k++] = ' ';
    quoted[k] = '\0';
    if (k > 0)
        (void)el_insertstr(el, quoted);
}

static unsigned char complete_text(EditLine *el, const char *typed, const char *text)
{
    size_t n_common, n_typed = strlen(typed);
    unsigned n = text != NULL ? common_prefix(text, &n_common) : 0;

    if (n == 0)
        return CC_ERROR;
    if (n_common > n_typed || n == 1) {
        insert(el, text + n_typed, n_common - n_typed, n == 1);
        return CC_REFRESH;
    }
    show_candidates(text);
    return CC_REDISPLAY;
}

static unsigned char complete(EditLine *el, wint_t key)
{
    const LineInfo *info = el_line(el);
    char *line = strndup(info->buffer, (size_t)(info->cursor - info->buffer)), *text;
    Tokenizer *tokens = tok_init(NULL);
    unsigned char result = CC_ERROR;
    const char **argv, *words[256];
    struct shell *s;
    int argc;

    (void)key;
    (void)el_get(el, EL_CLIENTDATA, &s);
    if (line != NULL && tokens != NULL && tok_str(tokens, line, &argc, &argv) >= 0 &&
        argc < (int)(sizeof(words) / sizeof(words[0])) - 1) {
        size_t n = strlen(line);

        memcpy(words, argv, (size_t)argc * sizeof(*words));
        if (n == 0 || line[n - 1] == ' ')
            words[argc++] = ""; /* a new word begins */
        text = candidates(s, argc, words);
        result = complete_text(el, words[argc - 1], text);
        free(text);
    }
    if (tokens != NULL)
        tok_end(tokens);
    free(line);
    return result;
}

/* ---- history ---- */

static void find_history(char *out, size_t size)
{
    const char *own = getenv("BROKERCTL_HISTORY"), *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");

    out[0] = '\0';
    if (own != NULL)
        (void)snprintf(out, size, "%s", own);
    else if (state != NULL && state[0] == '/')
        (void)snprintf(out, size, "%s/brokerctl_history", state);
    else if (home != NULL && home[0] == '/')
        (void)snprintf(out, size, "%s/.brokerctl_history", home);
}

static void start_history(struct shell *s)
{
    HistEvent event;

    s->history = history_init();
    if (s->history == NULL)
        return;
    (void)history(s->history, &event, H_SETSIZE, HISTORY_LINES);
    (void)history(s->history, &event, H_SETUNIQUE, 1);
    find_history(s->history_path, sizeof(s->history_path));
    if (s->history_path[0] != '\0')
        (void)history(s->history, &event, H_LOAD, s->history_path);
    (void)el_set(s->el, EL_HIST, history, s->history);
}

/* What was typed may be private. That it cannot be kept is no failure. */
static void end_history(struct shell *s)
{
    HistEvent event;
    mode_t mask;

    if (s->history == NULL)
        return;
    mask = umask(S_IRWXG | S_IRWXO);
    if (s->history_path[0] != '\0')
        (void)history(s->history, &event, H_SAVE, s->history_path);
    (void)umask(mask);
    history_end(s->history);
}

static void remember(struct shell *s, const char *line)
{
    HistEvent event;

    if (s->history != NULL && line[strspn(line, " \t\n")] != '\0')
        (void)history(s->history, &event, H_ENTER, line);
}

/* ---- the loop ---- */

static char *prompt(EditLine *el)
{
    static char text[] = PROMPT;

    (void)el;
    return text;
}

static int converse(struct shell *s)
{
    const char *line;
    int n;

    s->el = el_init(CTL_PROGRAM, stdin, stdout, stderr);
    if (s->el == NULL)
        return ctl_fail(BROKER_NOMEM, "no memory for the line editor");
    (void)el_set(s->el, EL_CLIENTDATA, s);
    (void)el_set(s->el, EL_PROMPT, prompt);
    (void)el_set(s->el, EL_SIGNAL, 1);
    (void)el_set(s->el, EL_EDITOR, "emacs");
    /* Of the narrow names that el_set() takes it makes copies, and forgets them. */
    (void)el_wset(s->el, EL_ADDFN, L"ctl-complete", L"what could stand here", complete);
    (void)el_set(s->el, EL_BIND, "^I", "ctl-complete", NULL);
    start_history(s);
    (void)el_source(s->el, NULL); /* the user's ~/.editrc decides */
    (void)puts("`help` lists the commands, TAB completes, `exit` or Ctrl-D ends.");
    while ((line = el_gets(s->el, &n)) != NULL && n > 0) {
        remember(s, line);
        if (!run_line(s, line))
            break;
    }
    if (line == NULL || n <= 0)
        (void)putchar('\n');
    end_history(s);
    el_end(s->el);
    return s->code;
}

/* Without a terminal: a script. Nothing is read ahead: a command that ends would seek back, and one
 * that reads gets what follows its line. */
static int read_script(struct shell *s)
{
    char *line = NULL;
    size_t capacity = 0;

    (void)setvbuf(stdin, NULL, _IONBF, 0);
    while (getline(&line, &capacity, stdin) >= 0 && run_line(s, line))
        continue;
    free(line);
    return s->code;
}

int ctl_cmd_shell(struct ctl *ctl, int argc, char **argv)
{
    struct shell s = {.ctl = ctl};

    if (argc > 0 && !ctl_parse_none(ctl, "shell",
                        "Commands one after the other, with a history, and completion of commands "
                        "and of the names of objects by TAB. Each runs as if it stood behind "
                        "brokerctl on a command line; without a terminal they are read from "
                        "standard input. Without a command brokerctl does this on a terminal. Ends "
                        "as the last command did. The history is in $BROKERCTL_HISTORY, else in "
                        "brokerctl_history in $XDG_STATE_HOME, else in ~/.brokerctl_history.",
                        argc, argv))
        return 0;
    if (ctl->in_shell)
        return ctl_fail_usage("this is the shell already");
    return isatty(STDIN_FILENO) == 1 && ctl->out_is_tty ? converse(&s) : read_script(&s);
}
