/* SPDX-License-Identifier: Apache-2.0 */
#include "base/list.h"

#include "support/test.h"

struct item {
    struct list link;
    char name;
};

/* The names of the items on the list, which is also walked backwards to check its links. */
static const char *names(struct list *head, char text[16])
{
    size_t n = 0, back = 0;
    for (struct list *node = head->next; node != head; node = node->next)
        text[n++] = container_of(node, struct item, link)->name;
    for (struct list *node = head->prev; node != head; node = node->prev)
        back++;
    expect_int(back, n);
    text[n] = '\0';
    return text;
}

static void items_init(struct item *items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        items[i].name = (char)('a' + i);
        list_init(&items[i].link);
    }
}

static void keeps_its_order(void)
{
    struct list list;
    struct item items[4];
    char text[16];
    list_init(&list);
    items_init(items, 4);
    expect_true(list_is_empty(&list));

    list_push_back(&list, &items[1].link);
    list_push_back(&list, &items[3].link);
    list_push_front(&list, &items[0].link);
    list_insert_before(&items[3].link, &items[2].link);
    expect_str(names(&list, text), "abcd");
}

static void gives_up_nodes(void)
{
    struct list list;
    struct item items[3];
    char text[16];
    list_init(&list);
    items_init(items, 3);
    for (size_t i = 0; i < 3; i++)
        list_push_back(&list, &items[i].link);

    list_remove(&items[1].link);
    expect_false(list_is_linked(&items[1].link));
    list_remove(&items[1].link);
    expect_str(names(&list, text), "ac");
    expect_true(list_pop_front(&list) == &items[0].link);
    expect_true(list_pop_front(&list) == &items[2].link);
    expect_true(list_pop_front(&list) == NULL);
}

static void splices(void)
{
    struct list one, two;
    struct item items[4];
    char text[16];
    list_init(&one);
    list_init(&two);
    items_init(items, 4);
    list_splice_back(&one, &two);
    expect_true(list_is_empty(&one));

    for (size_t i = 0; i < 4; i++)
        list_push_back(i < 2 ? &one : &two, &items[i].link);
    list_splice_back(&one, &two);
    expect_str(names(&one, text), "abcd");
    expect_true(list_is_empty(&two));
    list_splice_back(&two, &one);
    expect_str(names(&two, text), "abcd");
}

static void can_be_emptied_while_walked(void)
{
    struct list list;
    struct item items[4];
    list_init(&list);
    items_init(items, 4);
    for (size_t i = 0; i < 4; i++)
        list_push_back(&list, &items[i].link);
    size_t n = 0;
    list_for_each (node, &list) {
        expect_int(container_of(node, struct item, link)->name, 'a' + n++);
        list_remove(node);
    }
    expect_int(n, 4);
    expect_true(list_is_empty(&list));
}

struct pair {
    struct list list;
    struct item item;
};

static void push_twice(void *arg)
{
    struct pair *pair = arg;
    list_push_back(&pair->list, &pair->item.link);
    list_push_back(&pair->list, &pair->item.link);
}

static void a_linked_node_cannot_be_pushed(void)
{
    struct pair pair;
    list_init(&pair.list);
    items_init(&pair.item, 1);
    expect_abort(push_twice, &pair);
}

static const struct test_case cases[] = {
    {"nodes stand in the order they were put in", keeps_its_order},
    {"nodes are removed and popped", gives_up_nodes},
    {"lists are spliced", splices},
    {"a list can be emptied while it is walked", can_be_emptied_while_walked},
    {"pushing a node that is on a list is a bug", a_linked_node_cannot_be_pushed},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
