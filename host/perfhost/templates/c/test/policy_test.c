/* Tests of the policy, without bindings and without WebAssembly. `make test` runs them. */
#include <stdio.h>
#include <string.h>

#include "../src/policy.h"

static int passed, failed;

static void check(bool is_true, const char *what) {
    printf("%s %s\n", is_true ? "ok    " : "FAILED", what);
    *(is_true ? &passed : &failed) += 1;
}

/* A policy that sees one engine with 4 slots now and 8 at most. */
static struct policy with_engine(double waiting) {
    struct policy policy = POLICY_INITIAL;
    struct engine *engine = policy_engine(&policy, "local", 5);
    engine->most = 8;
    engine->slots = 4;
    engine->waiting = waiting;
    return policy;
}

static void waiting_requests_bring_slots(void) {
    struct change change;
    struct policy busy = with_engine(3), idle = with_engine(0.5), unknown = with_engine(-1);
    check(policy_propose(&busy, 100000, &change) && change.slots == 6, "half as many slots again while requests wait");
    check(strcmp(change.scope, "local") == 0 && strstr(change.reason, "3.0 requests wait") != NULL, "it says where and why");
    check(!policy_propose(&busy, 110000, &change), "nothing more until the change has settled");
    check(!policy_propose(&idle, 100000, &change) && !policy_propose(&unknown, 100000, &change), "nothing without waiting");
}

static void what_was_rolled_back_is_not_asked_for_again(void) {
    struct change change;
    char text[256];
    struct policy policy = with_engine(3), other = with_engine(3);
    policy_engine(&policy, "local", 5)->ceiling = 5;
    check(!policy_propose(&policy, 100000, &change), "the ceiling holds");
    size_t length = policy_save(&policy, text, sizeof text);
    check(policy_restore(&other, text, length) && !policy_propose(&other, 100000, &change), "and survives the instance");
    check(!policy_restore(&other, "version 2\n", 10), "another form of state is refused");
}

static void parameters_are_checked(void) {
    char error[256];
    struct policy policy = with_engine(0);
    check(policy_set(&policy, "waiting_min", "2.5", error, sizeof error) && policy.waiting_min == 2.5, "a number is taken");
    check(!policy_set(&policy, "waiting_min", "many", error, sizeof error) && strstr(error, "many"), "a word is not");
    check(!policy_set(&policy, "slots", "1", error, sizeof error) && strstr(error, "settle_s"), "unknown names are told");
}

static void the_least_loaded_comes_first(void) {
    struct load loads[] = {{5, 0, 1}, {0, 0, 0}, {1, 0, 1}, {2, 2, 4}};
    uint32_t order[4];
    check(policy_order(loads, 4, order) == 3 && order[0] == 3 && order[1] == 2 && order[2] == 0, "by load for its weight");
    check(policy_order(&loads[1], 1, order) == 1 && order[0] == 0, "weight 0 is used where there is nothing else");
}

int main(void) {
    waiting_requests_bring_slots();
    what_was_rolled_back_is_not_asked_for_again();
    parameters_are_checked();
    the_least_loaded_comes_first();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
