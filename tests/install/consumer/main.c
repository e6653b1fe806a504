/*
 * main.c - the smallest whole program: a private broker, one dict, one number
 */
#include <broker.h>
#include <inttypes.h>
#include <stdio.h>

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, broker_last_error());
    return 1;
}

int main(void)
{
    broker *b;
    broker_dict *stock;
    int64_t left;

    if (broker_open("private:", &b) < 0)
        return failed("open");
    if (broker_dict_open(b, "stock", NULL, &stock) < 0)
        return failed("open stock");
    if (broker_dict_set(stock, broker_str("tickets"), broker_int(100)) < 0)
        return failed("set");
    if (broker_dict_add(stock, broker_str("tickets"), -1, &left) < 0)
        return failed("add");
    if (left != 99) {
        fprintf(stderr, "100 - 1 gave %" PRId64 "\n", left);
        return 1;
    }
    broker_dict_close(stock);
    broker_close(b);
    return 0;
}
