/*
 * test_types.c - the operations of each type from end to end: words in, answers and exit codes out
 *
 * What a command holds it gives back at its end: of what is held there is only what happens when
 * nobody holds it.
 */
#include <stdio.h>
#include <string.h>

#include "fixture.h"

TestSuite(ctl_types, .init = fixture_start, .fini = fixture_stop, .timeout = 60);

Test(ctl_types, list_elements)
{
    EXPECT("list append l 1", 0, "");
    EXPECT("list extend l [5,\"a\",[2]]", 0, "");
    EXPECT("list insert l 0 x", 0, "");
    EXPECT("list copy l", 0, "[\"x\",1,5,\"a\",[2]]\n");
    EXPECT("list get l -1", 0, "[2]\n");
    EXPECT("list get l 0", 0, "x");
    EXPECT("list set l 1 {\"k\":null}", 0, "");
    EXPECT("list get l 1", 0, "{\"k\":null}\n");
    EXPECT("list pop l", 0, "[2]\n");
    EXPECT("list pop l 0", 0, "x");
    EXPECT("list delete l 0", 0, "");
    EXPECT("list add l 0 -7", 0, "-2\n");
    EXPECT("list compare-and-set l 0 -2 8", 0, "");
    EXPECT_SAYS("list compare-and-set l 0 -2 9", 17, "unchanged (MISMATCH)");
    EXPECT_SAYS("list add l 1 1", 22, "unchanged (WRONGVALUE)");
    EXPECT_SAYS("list get l 2", 10, "the index is out of range (NOTFOUND)");
    EXPECT_SAYS("list get l x", 2, "\"x\"");
    EXPECT("list copy l", 0, "[8,\"a\"]\n");
}

Test(ctl_types, list_looks_for_elements)
{
    EXPECT("list extend l [5,\"a\",5.0,\"5\"]", 0, "");
    EXPECT("list index l a", 0, "1\n");
    EXPECT("list index l 5 --start 1", 0, "2\n");
    EXPECT_SAYS("list index l 5 --start 3", 10, "(NOTFOUND)");
    EXPECT("list count l 5", 0, "2\n");
    EXPECT("list count l 5 --string", 0, "1\n");
    EXPECT("list contains l zz", 0, "false\n");
    EXPECT("-q list contains l zz", 1, "");
    EXPECT("-q list contains l a", 0, "");
    EXPECT("list remove l 5", 0, "");
    EXPECT_SAYS("list remove l zz", 10, "no element equals it");
    EXPECT("list copy l", 0, "[\"a\",5.0,\"5\"]\n");
    EXPECT("list len l", 0, "3\n");
}

Test(ctl_types, list_slices)
{
    EXPECT("list extend l [0,1,2,3,4,5]", 0, "");
    EXPECT("list get-slice l", 0, "[0,1,2,3,4,5]\n");
    EXPECT("list get-slice l --step -2", 0, "[5,3,1]\n");
    EXPECT("list get-slice l --start -4 --stop 100 --step 3", 0, "[2,5]\n");
    EXPECT("list set-slice l [10,11,12] --start 1 --stop 2", 0, "");
    EXPECT("list get-slice l", 0, "[0,10,11,12,2,3,4,5]\n");
    EXPECT_SAYS("list set-slice l [1] --step 2", 17, "(MISMATCH)");
    EXPECT("list delete-slice l --start 1 --stop 6 --step 2", 0, "");
    EXPECT("list copy l", 0, "[0,11,2,4,5]\n");
    EXPECT_SAYS("list get-slice l --step 0", 30, "(INVALID)");
}

Test(ctl_types, list_as_a_whole)
{
    EXPECT("list extend l [3,1,2]", 0, "");
    EXPECT("list sort l", 0, "");
    EXPECT("list copy l", 0, "[1,2,3]\n");
    EXPECT("list sort l --reverse=true", 0, "");
    EXPECT("list reverse l", 0, "");
    EXPECT("list repeat l 2", 0, "");
    EXPECT("list multiply l 1", 0, "[1,2,3,1,2,3]\n");
    EXPECT("list concatenate l [7]", 0, "[1,2,3,1,2,3,7]\n");
    EXPECT("list scan l --limit 4", 0, "{\"values\":[1,2,3,1],\"next\":4}\n");
    EXPECT("list clear l", 0, "");
    EXPECT_SAYS("list pop l", 12, "the list is empty (EMPTY)");
    EXPECT("list extend l [{\"n\":2},{\"n\":1}]", 0, "");
    EXPECT("list sort l --field n", 0, "");
    EXPECT("list copy l", 0, "[{\"n\":1},{\"n\":2}]\n");
    EXPECT("list append l text", 0, "");
    EXPECT_SAYS("list sort l", 24, "unchanged (INCOMPARABLE)");
    EXPECT_SAYS("list get none 0", 10, "there is no list \"none\"");
    EXPECT_SAYS("dict len l", 31, "\"l\" is no dict but a list");
}

Test(ctl_types, array_elements_and_slices)
{
    EXPECT("array create a --typecode h --length 4", 0, "");
    EXPECT("array set a 1 7", 0, "");
    EXPECT("array get a -3", 0, "7\n");
    EXPECT("array add a 1 3", 0, "10\n");
    EXPECT("array exchange a 0 5", 0, "0\n");
    EXPECT("array compare-and-set a 0 5 6", 0, "");
    EXPECT_SAYS("array compare-and-set a 0 5 6", 17, "unchanged (MISMATCH)");
    EXPECT("array read a", 0, "[6,10,0,0]\n");
    EXPECT("array get-slice a 0 2", 0, "[6,10]\n");
    EXPECT("array set-slice a 2 4 1 [1,2]", 0, "");
    EXPECT("array read a", 0, "[6,10,1,2]\n");
    EXPECT("array write a [1,2,3,4]", 0, "");
    EXPECT("array read a", 0, "[1,2,3,4]\n");
    EXPECT("array len a", 0, "4\n");
    EXPECT_SAYS("array set a 9 1", 10, "no element at this index");
    EXPECT_SAYS("array set a 0 70000", 23, "unchanged (OVERFLOW)");
    EXPECT_SAYS("array set a 0 x", 2, "\"x\" is no number");
    EXPECT_SAYS("array create b --typecode c --length 1", 30, "(INVALID)");
    EXPECT_SAYS("array get none 0", 10, "there is no array \"none\"");
}

Test(ctl_types, value_changes)
{
    EXPECT("value create v --typecode i --initial 5", 0, "");
    EXPECT("value get v", 0, "5\n");
    EXPECT("value set v 7", 0, "");
    EXPECT("value add v 2", 0, "9\n");
    EXPECT("value exchange v 1", 0, "9\n");
    EXPECT("value compare-and-set v 1 2", 0, "");
    EXPECT_SAYS("value compare-and-set v 1 2", 17, "unchanged (MISMATCH)");
    EXPECT_SAYS("value add v 9999999999", 23, "unchanged (OVERFLOW)");
    EXPECT_SAYS("value set v 2.5", 22, "(WRONGVALUE)");
    EXPECT("value get v", 0, "2\n");
    EXPECT("value create half --typecode d --initial 0.5", 0, "");
    EXPECT("value add half 1", 0, "1.5\n");
}

Test(ctl_types, namespace_attributes)
{
    EXPECT("namespace set n name Bob", 0, "");
    EXPECT("namespace get n name", 0, "Bob");
    EXPECT("namespace update n {\"a\":1}", 0, "");
    EXPECT("namespace keys n", 0, "[\"name\",\"a\"]\n");
    EXPECT("namespace items n", 0, "[[\"name\",\"Bob\"],[\"a\",1]]\n");
    EXPECT("namespace copy n", 0, "{\"name\":\"Bob\",\"a\":1}\n");
    EXPECT("namespace add n a 2", 0, "3\n");
    EXPECT("namespace compare-and-set n a 3 4", 0, "");
    EXPECT("namespace get n a", 0, "4\n");
    EXPECT("namespace contains n zz", 0, "false\n");
    EXPECT("namespace delete n name", 0, "");
    EXPECT_SAYS("namespace get n name", 10, "no such attribute");
    EXPECT_SAYS("namespace set n _x 1", 33, "(BADNAME)");
}

Test(ctl_types, event_and_semaphore)
{
    EXPECT("event create e", 0, "");
    EXPECT("event is-set e", 0, "false\n");
    EXPECT_SAYS("event wait e --timeout 1ms", 14, "(TIMEDOUT)");
    EXPECT("event set e", 0, "");
    EXPECT("event wait e", 0, "");
    EXPECT("-q event is-set e", 0, "");
    EXPECT("event clear e", 0, "");
    EXPECT("-q event is-set e", 1, "");
    EXPECT("semaphore create free --value 2", 0, "");
    EXPECT("semaphore acquire free", 0, "");
    EXPECT("semaphore value free", 0, "1\n");
    EXPECT("semaphore release free 3", 0, "");
    EXPECT("semaphore value free", 0, "4\n");
    EXPECT("semaphore create bound --value 1 --bounded", 0, "");
    EXPECT("semaphore acquire bound --timeout 0", 0, "");
    EXPECT("semaphore value bound", 0, "1\n");
    EXPECT_SAYS("semaphore release bound", 20, "nothing was changed (OVERDONE)");
    EXPECT("semaphore create none --empty", 0, "");
    EXPECT_SAYS("semaphore acquire none --timeout 0", 14, "(TIMEDOUT)");
}

Test(ctl_types, barrier_rlock_and_condition)
{
    EXPECT("barrier create b --parties 1", 0, "");
    EXPECT("barrier wait b", 0, "0\n");
    EXPECT("barrier parties b", 0, "1\n");
    EXPECT("barrier n-waiting b", 0, "0\n");
    EXPECT("barrier abort b", 0, "");
    EXPECT("barrier broken b", 0, "true\n");
    EXPECT_SAYS("barrier wait b", 25, "(BROKEN)");
    EXPECT("barrier reset b", 0, "");
    EXPECT("-q barrier broken b", 1, "");
    EXPECT_SAYS("barrier create nobody --parties 0", 30, "(INVALID)");
    EXPECT("rlock acquire r", 0, "1\n");
    EXPECT("rlock locked r", 0, "false\n");
    EXPECT("rlock owner r", 0, "null\n");
    EXPECT_SAYS("rlock release r", 19, "nobody holds it (NOTLOCKED)");
    EXPECT("condition create c --lock r", 0, "");
    EXPECT_SAYS("condition notify c", 18, "(NOTOWNER)");
    EXPECT_SAYS("condition notify-all c", 18, "(NOTOWNER)");
    EXPECT_SAYS("condition wait c", 18, "(NOTOWNER)");
    EXPECT("-q condition acquire c", 0, "");
    EXPECT("condition locked c", 0, "false\n");
    EXPECT_SAYS("condition release c", 19, "(NOTLOCKED)");
}

Test(ctl_types, pipe_messages)
{
    EXPECT("pipe create p --max-items 2", 0, "");
    EXPECT("pipe send p 0 hello", 0, "");
    EXPECT("pipe send p 0 [1,2]", 0, "");
    EXPECT_SAYS("pipe send p 0 more --timeout 0", 13, "(FULL)");
    EXPECT("pipe len p 1", 0, "2\n");
    EXPECT("pipe len p 0", 0, "0\n");
    EXPECT("pipe recv p 1", 0, "hello");
    EXPECT("pipe poll p 1 --timeout 0", 0, "");
    EXPECT("pipe recv p 1 --json", 0, "[1,2]\n");
    EXPECT_SAYS("pipe recv p 1", 15, "the end of the file");
    EXPECT_SAYS("pipe send p 2 x", 30, "(INVALID)");
    EXPECT("pipe hold p 0", 0, "");
    EXPECT_SAYS("pipe release p 0", 18, "does not hold the end");
}

Test(ctl_types, queue_leases_and_orders)
{
    EXPECT("queue create q --priority --max-deliveries 2", 0, "");
    EXPECT("queue put-many q [3,1,2]", 0, "");
    EXPECT("queue peek q", 0, "1\n");
    EXPECT("queue get q", 0, "1\n");
    EXPECT("-q queue lease q", 0, "");
    EXPECT("-q queue lease q", 0, "");
    EXPECT("queue take-dead q", 0, "2\n");
    EXPECT("queue qsize q", 0, "1\n");
    EXPECT("queue clear q", 0, "1\n");
    EXPECT_SAYS("queue done q 1", 10, "(NOTFOUND)");
    EXPECT("queue revive q", 0, "0\n");
    EXPECT("queue create last --lifo", 0, "");
    EXPECT("queue put-many last [1,2]", 0, "");
    EXPECT("queue get-many last 5", 0, "[2,1]\n");
}
