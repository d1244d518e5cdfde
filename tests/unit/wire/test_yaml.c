/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/yaml.h"

#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>

static const struct yaml_limits limits = {.n_bytes = 4096, .n_nodes = 100, .depth = 8};

static struct yaml_tree *parse(const char *text)
{
    struct yaml_tree *tree;
    struct err err = {""};
    if (yaml_tree_new(slice_from_str(text), "f", &limits, &tree, &err) < 0)
        test_fail(__FILE__, __LINE__, "%s", err.text);
    return tree;
}

static void reads_mappings_sequences_and_scalars(void)
{
    struct yaml_tree *tree = parse("# what people write\n"
                                   "http:\n"
                                   "  listen: [ 127.0.0.1:2379, \"[::1]:2379\" ]\n"
                                   "  timeout: 10s   # a comment\n"
                                   "name: 'it''s'\n"
                                   "peers:\n"
                                   "- a\n"
                                   "- b: 1\n"
                                   "  c:\n"
                                   "text: |\n"
                                   "  two\n"
                                   "  lines\n");
    const struct yaml_node *root = yaml_tree_root(tree);
    expect_int(root->kind, YAML_MAPPING);

    const struct yaml_node *http = yaml_node_get(root, SLICE_LIT("http"));
    expect_int(http->kind, YAML_MAPPING);
    expect_slice(http->key, "http");
    expect_int(http->key_place.line, 2);
    expect_int(http->key_place.column, 1);
    const struct yaml_node *listen = yaml_node_get(http, SLICE_LIT("listen"));
    expect_int(listen->kind, YAML_SEQUENCE);
    expect_slice(listen->first->text, "127.0.0.1:2379");
    expect_false(listen->first->is_quoted);
    expect_int(listen->first->place.line, 3);
    expect_int(listen->first->place.column, 13);
    expect_slice(listen->first->next->text, "[::1]:2379");
    expect_true(listen->first->next->is_quoted);
    expect_true(listen->first->next->next == NULL);
    expect_slice(yaml_node_get(http, SLICE_LIT("timeout"))->text, "10s");
    expect_slice(yaml_node_get(root, SLICE_LIT("name"))->text, "it's");
    expect_slice(yaml_node_get(root, SLICE_LIT("text"))->text, "two\nlines\n");

    const struct yaml_node *peers = yaml_node_get(root, SLICE_LIT("peers"));
    expect_slice(peers->first->text, "a");
    expect_slice(yaml_node_get(peers->first->next, SLICE_LIT("b"))->text, "1");
    expect_true(yaml_node_is_null(yaml_node_get(peers->first->next, SLICE_LIT("c"))));
    expect_true(yaml_node_get(root, SLICE_LIT("nobody")) == NULL);
    expect_true(yaml_node_get(peers, SLICE_LIT("a")) == NULL);
    expect_true(yaml_node_get(NULL, SLICE_LIT("a")) == NULL);
    yaml_tree_free(tree);
}

static void text_is_followed_by_nul(void)
{
    struct yaml_tree *tree = parse("key: value");
    const struct yaml_node *node = yaml_tree_root(tree)->first;
    expect_str(node->key.ptr, "key");
    expect_str(node->text.ptr, "value");
    yaml_tree_free(tree);
}

static void null_is_not_the_text_null(void)
{
    struct yaml_tree *tree = parse("- null\n- ~\n-\n- 'null'\n- \"\"\n- nil\n- []\n");
    static const bool expected[] = {true, true, true, false, false, false, false};
    const struct yaml_node *node = yaml_tree_root(tree)->first;
    for (size_t i = 0; i < ARRAY_LEN(expected); i++, node = node->next)
        expect_int(yaml_node_is_null(node), expected[i]);
    expect_true(node == NULL);
    yaml_tree_free(tree);
}

static void empty_documents_have_no_root(void)
{
    static const char *const texts[] = {"", "\n\n", "# only a comment\n", "%YAML 1.1\n---\n..."};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct yaml_tree *tree = parse(texts[i]);
        const struct yaml_node *root = yaml_tree_root(tree);
        expect_true(!root || yaml_node_is_null(root));
        yaml_tree_free(tree);
    }
    yaml_tree_free(NULL);
}

static void refused_texts_say_where_and_why(void)
{
    static const struct {
        const char *text, *message;
    } samples[] = {
        {"a: 1\nb: 2\na: 3\n", "f:3:1: the key \"a\" is here twice, first in line 1"},
        {"a:\n  b: 1\n  \"b\": 2\n", "f:3:3: the key \"b\" is here twice, first in line 2"},
        {"a: &x 1\n", "f:1:4: anchors (&name) are not supported: write the value out"},
        {"a: &x [1]\n", "f:1:4: anchors (&name) are not supported: write the value out"},
        {"a: *x\n", "f:1:4: aliases (*name) are not supported: write the value out"},
        {"a: !!int 1\n", "f:1:4: tags (!name) are not supported"},
        {"a: !x {b: c}\n", "f:1:4: tags (!name) are not supported"},
        {"a:\n  <<: {b: c}\n", "f:2:3: merge keys (<<) are not supported: write the values out"},
        {"? [a]\n: 1\n", "f:1:3: a key must be a word, not a list or a mapping"},
        {"{{a: b}: c}\n", "f:1:2: a key must be a word, not a list or a mapping"},
        {"a: 1\n---\nb: 2\n", "f:2:1: a second document begins here; only one is expected"},
        {"a: \"b\\0c\"\n", "f:1:4: a NUL character in a text"},
        {"a: [1, 2\n", "f:2:1: did not find expected ',' or ']'"},
        {"a: 1\n b: 2\n", "f:2:3: mapping values are not allowed in this context"},
        {"a: 1\n\tb: 2\n", "f:2:1: found a tab character that violates indentation"},
        {"a: \xff\n", "f: byte 4: invalid leading UTF-8 octet"},
        {"[[[[[[[[[9]]]]]]]]]", "f:1:9: the document is nested too deeply"},
    };
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct yaml_tree *tree = NULL;
        struct err err = {""};
        expect_int(yaml_tree_new(slice_from_str(samples[i].text), "f", &limits, &tree, &err), -EINVAL);
        expect_str(err.text, samples[i].message);
        expect_true(tree == NULL);
    }
}

static void limits_are_exact(void)
{
    struct slice text = SLICE_LIT("a: [b, c]");
    struct yaml_limits exact = {.n_bytes = text.len, .n_nodes = 5, .depth = 2};
    struct yaml_tree *tree;
    struct err err;
    expect_int(yaml_tree_new(text, "f", &exact, &tree, &err), 0);
    yaml_tree_free(tree);

    struct yaml_limits tight = exact;
    tight.n_bytes--;
    expect_int(yaml_tree_new(text, "f", &tight, &tree, &err), -EINVAL);
    expect_str(err.text, "f: 9 bytes are more than the 8 that are accepted");
    tight = exact;
    tight.n_nodes--;
    expect_int(yaml_tree_new(text, "f", &tight, &tree, &err), -EINVAL);
    expect_str(err.text, "f:1:8: the document has too many values");
    tight = exact;
    tight.depth--;
    expect_int(yaml_tree_new(text, "f", &tight, &tree, &err), -EINVAL);
}

static int build_and_free(void *arg)
{
    (void)arg;
    struct yaml_tree *tree;
    int r = yaml_tree_new(SLICE_LIT("a: [b, {c: d}]\ne: f\n"), "f", &limits, &tree, NULL);
    if (r == 0)
        yaml_tree_free(tree);
    return r;
}

static void each_failing_allocation_is_reported(void)
{
    expect_true(fault_alloc_sweep(build_and_free, NULL) > 5);
}

static const struct test_case cases[] = {
    {"mappings, sequences and scalars are read with their places", reads_mappings_sequences_and_scalars},
    {"keys and texts are followed by NUL", text_is_followed_by_nul},
    {"null is not the text \"null\"", null_is_not_the_text_null},
    {"documents without content have no root", empty_documents_have_no_root},
    {"what is refused says where and why", refused_texts_say_where_and_why},
    {"limits are exact", limits_are_exact},
    {"each failing allocation is reported and leaks nothing", each_failing_allocation_is_reported},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
