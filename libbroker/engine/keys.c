/*
 * keys.c - see keys.h
 */
#include "engine/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/handle.h"
#include "core/errno.h"

#define FILE_MAX 4096
#define SPACE " \t\r"
#define Z85 "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

static int bad_line(const char *path, int line)
{
    return bri_fail_text(BROKER_ADDRESS,
        "%s: line %d is neither \"public = KEY\" nor \"secret = KEY\" with 40 characters of Z85",
        path, line);
}

/* The whole file, NUL-terminated. */
static int read_text(const char *path, char text[FILE_MAX], struct stat *out_stat)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), e = errno;
    ssize_t n = -1;

    if (fd >= 0 && fstat(fd, out_stat) == 0)
        n = read(fd, text, FILE_MAX);
    e = n < 0 ? errno : 0;
    if (fd >= 0)
        (void)close(fd);
    if (n < 0)
        return bri_fail_text(e == ENOENT ? BROKER_ADDRESS : bri_from_errno(e),
            "cannot read the key file %s: %s", path, strerror(e));
    if (n == FILE_MAX)
        return bri_fail_text(BROKER_ADDRESS, "%s is too long for a key file", path);
    text[n] = '\0';
    return 0;
}

/* "NAME = KEY", spaces wherever they please. */
static bool take_line(char *line, struct bri_keys *out)
{
    char *value = strchr(line, '='), *to = NULL;
    size_t n;

    if (value == NULL)
        return false;
    n = (size_t)(value - line);
    while (n > 0 && strchr(SPACE, line[n - 1]) != NULL)
        n--;
    if (n == 6 && memcmp(line, "public", n) == 0)
        to = out->public;
    else if (n == 6 && memcmp(line, "secret", n) == 0)
        to = out->secret;
    value += 1 + strspn(value + 1, SPACE);
    n = strspn(value, Z85);
    if (to == NULL || to[0] != '\0' || n != BRI_KEY_TEXT - 1 ||
        value[n + strspn(value + n, SPACE)] != '\0')
        return false;
    memcpy(to, value, n);
    to[n] = '\0';
    return true;
}

static int take_all(const char *path, char *text, struct bri_keys *out)
{
    int number = 1;

    for (char *line = text, *end; line != NULL; line = end, number++) {
        end = strchr(line, '\n');
        if (end != NULL)
            *end++ = '\0';
        line += strspn(line, SPACE);
        if (line[0] != '\0' && line[0] != '#' && !take_line(line, out))
            return bad_line(path, number);
    }
    if (out->public[0] == '\0')
        return bri_fail_text(BROKER_ADDRESS, "there is no public key in %s", path);
    return 0;
}

int bri_keys_read(const char *path, struct bri_keys *out_keys)
{
    struct bri_keys keys = {.secret = ""};
    char text[FILE_MAX + 1];
    struct stat st;
    int r = read_text(path, text, &st);

    if (r == 0)
        r = take_all(path, text, &keys);
    explicit_bzero(text, sizeof(text));
    if (r == 0 && keys.secret[0] != '\0' && (st.st_mode & 077) != 0)
        r = bri_fail_text(BROKER_ACCESS,
            "others can read the secret key in %s: `chmod 600` it, or make a new one", path);
    if (r == 0)
        *out_keys = keys;
    explicit_bzero(&keys, sizeof(keys));
    return r;
}
