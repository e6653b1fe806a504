/*
 * inherit.h - descriptors that the service manager started us with: its sockets, and what it kept
 * for us from an earlier daemon
 *
 * They are known by name. Sockets: two called `attach`, for systemd gives those of a unit one name;
 * the attach socket itself is of SOCK_SEQPACKET, the ZeroMQ endpoint's of SOCK_STREAM. Kept:
 * `arena.NAME`, the memory of an arena.
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

/* The same for the listening unix socket of a type. */
int brokerd_inherited_socket(struct brokerd_inherited *in, const char *name, int type);

/* The same for the memory of an arena. */
int brokerd_inherited_arena(struct brokerd_inherited *in, const char *arena);

/* Has the service manager keep the memory of an arena for the next daemon, or not any more. */
void brokerd_inherit_keep(const char *arena, int fd);
void brokerd_inherit_forget(const char *arena);

/* Closes what nobody took, and has the service manager keep it no longer. */
void brokerd_inherited_close(struct brokerd_inherited *in);

#endif
