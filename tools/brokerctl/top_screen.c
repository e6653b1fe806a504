/*
 * top_screen.c - see top_screen.h
 *
 * ncurses is asked for a key with the interval as its patience, which is all the loop there is. Its
 * handlers restore the terminal when a signal ends the program.
 */
#include "top_screen.h"

#include <curses.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/handle.h"
#include "core/clock.h"
#include "core/text.h"
#include "print.h"

#include <term.h> /* last: it makes macros of many words */

#define FIRST_ROW 4
#define FASTEST_NS (BRI_SECOND / 10)
#define SLOWEST_NS (60 * BRI_SECOND)

struct view {
    uint32_t first; /* row of the list that is shown first */
    bool paused;
};

static void move_list(const struct ctl_top *top, struct view *view, int key)
{
    uint32_t page = LINES > FIRST_ROW + 1 ? (uint32_t)(LINES - FIRST_ROW - 1) : 1;

    switch (key) {
    case KEY_UP:
        view->first -= view->first > 0;
        break;
    case KEY_DOWN:
        view->first++;
        break;
    case KEY_PPAGE:
        view->first -= view->first > page ? page : view->first;
        break;
    case KEY_NPAGE:
        view->first += page;
        break;
    case KEY_HOME:
        view->first = 0;
        break;
    default:
        break;
    }
    if (view->first >= top->rates.n)
        view->first = top->rates.n > 0 ? top->rates.n - 1 : 0;
}

/* What @key does. False: it ends the program. */
static bool handle_key(struct ctl_top *top, struct view *view, int key)
{
    switch (key) {
    case 'q':
    case 27:
        return false;
    case 's':
    case KEY_RIGHT:
        top->order = (top->order + 1) % CTL_N_ORDERS;
        break;
    case KEY_LEFT:
        top->order = (top->order + CTL_N_ORDERS - 1) % CTL_N_ORDERS;
        break;
    case 'p':
    case ' ':
        view->paused = !view->paused;
        break;
    case '+':
        if (top->follow.interval_ns / 2 >= FASTEST_NS)
            top->follow.interval_ns /= 2;
        break;
    case '-':
        if (top->follow.interval_ns * 2 <= SLOWEST_NS)
            top->follow.interval_ns *= 2;
        break;
    default:
        move_list(top, view, key);
    }
    return true;
}

/* ---- drawing ---- */

static void draw_head(const struct ctl_top *top, const struct view *view)
{
    const struct ctl_arena *a = &top->rates.arena;
    char used[16], size[16], interval[32];

    ctl_format_bytes(a->used_bytes, used);
    ctl_format_bytes(a->size_bytes, size);
    ctl_format_duration((uint64_t)top->follow.interval_ns, interval);
    mvprintw(0, 0, "%s  arena %s", broker_address(top->ctl->broker), a->name);
    mvprintw(1, 0, "memory: %s of %s   objects: %u   sessions: %u of %u   changes a second: %.0f",
        used, size, top->rates.n, a->n_sessions, a->max_sessions, top->rates.changes_rate);
    mvprintw(2, 0, "every %s, by %s%s   q ends, s sorts, +/- faster/slower, p pauses", interval,
        ctl_rate_orders[top->order], view->paused ? ", paused" : "");
}

/* Names may be in any script: they are written as they are, but for what would play with the
 * terminal, and the rest stands at fixed places. */
static void draw_row(int y, int name_width, const struct ctl_rate *x)
{
    char size[16], contents[24] = "-", name[BRI_NAME_MAX + 1];

    (void)snprintf(name, sizeof(name), "%s", x->name);
    bri_tame(name, strlen(name));
    ctl_format_bytes(x->bytes, size);
    if (x->contains)
        (void)snprintf(contents, sizeof(contents), "%llu", (unsigned long long)x->contents);
    if (x->waiters > 0)
        attron(A_BOLD);
    mvaddnstr(y, 0, name, name_width - 1);
    mvprintw(y, name_width, "%-9s %10.1f %9s %8s %7llu %7.2f %9.1f", x->type, x->changes_rate,
        contents, size, (unsigned long long)x->waiters, x->waiting, x->contended_rate);
    clrtoeol();
    attroff(A_BOLD);
}

static int draw(const struct ctl_top *top, const struct view *view)
{
    const struct ctl_rate **list = ctl_rates_sort(&top->rates, top->order);
    int name_width = COLS > 90 ? COLS - 66 : 24;

    if (list == NULL)
        return BROKER_NOMEM;
    erase();
    draw_head(top, view);
    attron(A_REVERSE);
    mvprintw(3, 0, "%-*s%-9s %10s %9s %8s %7s %7s %9s", name_width, "NAME", "TYPE", "CHANGES/S",
        "CONTENTS", "SIZE", "WAITERS", "WAITING", "CONTENDED");
    attroff(A_REVERSE);
    for (uint32_t i = view->first; i < top->rates.n && FIRST_ROW + (int)(i - view->first) < LINES;
         i++)
        draw_row(FIRST_ROW + (int)(i - view->first), name_width, list[i]);
    refresh();
    free(list);
    return 0;
}

/* ---- the loop ---- */

static int run(struct ctl_top *top)
{
    struct view view = {0};
    int key, r = 0;
    bool goes_on = true;

    while (goes_on && r >= 0) {
        int64_t due = top->rates.at_ns + top->follow.interval_ns, left = due - bri_now();

        r = draw(top, &view);
        timeout(left > 0 ? (int)(left / BRI_MILLISECOND) + 1 : 0);
        key = getch();
        goes_on = key == ERR || handle_key(top, &view, key);
        if (r >= 0 && goes_on && !view.paused && bri_now() >= due)
            r = ctl_rates_take(top->ctl, &top->filter, &top->rates, &top->rates);
        else if (view.paused && key == ERR)
            top->rates.at_ns = bri_now();
    }
    return r;
}

/* newterm() would lose memory of one that is not. */
static bool is_known_terminal(void)
{
    int error;

    if (setupterm(NULL, STDOUT_FILENO, &error) != OK)
        return false;
    (void)del_curterm(cur_term);
    return true;
}

int ctl_top_screen(struct ctl_top *top)
{
    SCREEN *screen = is_known_terminal() ? newterm(NULL, stdout, stdin) : NULL;
    int r;

    if (screen == NULL)
        return BROKER_SYSTEM;
    (void)cbreak();
    (void)noecho();
    (void)keypad(stdscr, TRUE);
    set_escdelay(25);
    (void)curs_set(0);
    r = run(top);
    (void)endwin();
    delscreen(screen);
    return r;
}
