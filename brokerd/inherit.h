/*
 * inherit.h - descriptors that the service manager started us with: its sockets, and what it kept
 * for us from an earlier daemon
 *
 * They are known by name. Sockets: `attach`, and `brokerd-zmq`, which is reserved for the ZeroMQ
 * endpoint. Kept: `arena.NAME`, the memory of an arena.
 */
#ifndef BROKERD_INHERIT_H
#define BROKERD_INHERIT_H

struct brokerd_inherited {
    int n;
    char **names; /* NULL once taken */
    int first_fd;
};

/* Takes them out of the environment. */
void brokerd_inherit(struct brokerd_inherited *in);

/* Gives the descriptor called @name away, -1 if there is none. */
int brokerd_inherited_take(struct brokerd_inherited *in, const char *name);

/* The same for the memory of an arena. */
int brokerd_inherited_arena(struct brokerd_inherited *in, const char *arena);

/* Has the service manager keep the memory of an arena for the next daemon, or not any more. */
void brokerd_inherit_keep(const char *arena, int fd);
void brokerd_inherit_forget(const char *arena);

/* Closes what nobody took, and has the service manager keep it no longer. */
void brokerd_inherited_close(struct brokerd_inherited *in);

#endif
