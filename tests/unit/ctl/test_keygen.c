/*
 * test_keygen.c - pairs of keys: two files, whole or not at all, and never over others
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <zmq.h>

#include "run.h"

#define KEY_TEXT 41

static char folder[] = "/tmp/broker-keygen-XXXXXX";
static char path[64], public_path[80];

static void make_folder(void)
{
    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/key", folder);
    (void)snprintf(public_path, sizeof(public_path), "%s.pub", path);
    (void)umask(0);
}

static void remove_folder(void)
{
    (void)unlink(path);
    (void)unlink(public_path);
    (void)rmdir(folder);
}

TestSuite(ctl_keygen, .init = make_folder, .fini = remove_folder, .timeout = 30);

static struct run keygen(void)
{
    const char *const words[] = {"keygen", path, NULL};

    return run_words(words);
}

static void expect_code(int code, const char *said)
{
    struct run r = keygen();

    cr_assert_eq(r.code, code, "%d: %s", r.code, r.err);
    cr_assert_not_null(strstr(r.err, said), "%s", r.err);
    cr_assert_str_empty(r.out);
    run_free(&r);
}

static void read_file(const char *name, mode_t mode, char text[512])
{
    FILE *f = fopen(name, "re");
    struct stat st;
    size_t n;

    cr_assert_not_null(f, "%s", name);
    cr_assert_eq(fstat(fileno(f), &st), 0);
    cr_assert_eq(st.st_mode & 0777, mode);
    n = fread(text, 1, 511, f);
    text[n] = '\0';
    (void)fclose(f);
}

static void take_key(const char *text, const char *name, char key[KEY_TEXT])
{
    char line[16];
    const char *at;

    (void)snprintf(line, sizeof(line), "\n%s = ", name);
    at = strstr(text, line);
    cr_assert_not_null(at, "%s", text);
    at += strlen(line);
    cr_assert_eq(strcspn(at, "\n"), KEY_TEXT - 1);
    memcpy(key, at, KEY_TEXT - 1);
    key[KEY_TEXT - 1] = '\0';
}

Test(ctl_keygen, makes_a_pair_whose_secret_is_its_owners)
{
    char text[512], public_text[512], want[64], public[KEY_TEXT], secret[KEY_TEXT], made[KEY_TEXT];
    struct run r = keygen();

    cr_assert_eq(r.code, 0, "%s", r.err);
    read_file(path, 0600, text);
    take_key(text, "public", public);
    take_key(text, "secret", secret);
    cr_assert_eq(zmq_curve_public(made, secret), 0);
    cr_assert_str_eq(made, public);
    read_file(public_path, 0644, public_text);
    (void)snprintf(want, sizeof(want), "public = %s\n", public);
    cr_assert_str_eq(public_text, want);
    (void)snprintf(want, sizeof(want), "%s\n", public);
    cr_assert_str_eq(r.out, want);
    run_free(&r);
}

Test(ctl_keygen, never_writes_over_a_file)
{
    char before[512], after[512];
    struct run r = keygen();

    run_free(&r);
    read_file(path, 0600, before);
    expect_code(11, "is there already");
    read_file(path, 0600, after);
    cr_assert_str_eq(after, before);
}

Test(ctl_keygen, leaves_nothing_when_the_second_file_cannot_be_made)
{
    int fd = open(public_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    cr_assert_geq(fd, 0);
    (void)close(fd);
    expect_code(11, "key.pub is there already");
    cr_assert_neq(access(path, F_OK), 0);
}

Test(ctl_keygen, follows_no_link)
{
    char target[80];

    (void)snprintf(target, sizeof(target), "%s/elsewhere", folder);
    cr_assert_eq(symlink(target, path), 0);
    expect_code(11, "is there already");
    cr_assert_neq(access(target, F_OK), 0);
}

Test(ctl_keygen, says_what_is_wrong)
{
    struct run r = run("keygen /nowhere/at/all/key");

    cr_assert_eq(r.code, 46, "%s", r.err);
    cr_assert_not_null(strstr(r.err, "cannot make /nowhere/at/all/key"), "%s", r.err);
    run_free(&r);
    r = run("keygen");
    cr_assert_eq(r.code, 2, "%s", r.err);
    run_free(&r);
}
