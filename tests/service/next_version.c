/*
 * next_version.c - makes a brokerd that calls itself another version: the newer build of the
 * upgrade test, with the same layout of memory. Linked with --wrap=broker_version.
 */
const char *__wrap_broker_version(void);

const char *__wrap_broker_version(void)
{
    return "99.0.0";
}
