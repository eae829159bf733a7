/* Work, homes and orders, without bindings and without WebAssembly. `make test` runs them. */
#include <stdio.h>
#include <string.h>

#include "../src/policy.h"

static int passed, failed;
static const struct policy POLICY = POLICY_INITIAL;

static void check(bool is_true, const char *what) {
    printf("%s %s\n", is_true ? "ok    " : "FAILED", what);
    *(is_true ? &passed : &failed) += 1;
}

static struct candidate candidate(uint32_t target, uint32_t in_flight, float latency_p50_ms) {
    return (struct candidate){target, in_flight, 0, true, latency_p50_ms, 0, 0, 1};
}

static uint32_t first(const struct policy *policy, uint64_t session, const struct candidate *candidates, size_t count) {
    uint32_t order[CANDIDATES_MAX];
    policy_order(policy, session, candidates, count, order);
    return order[0];
}

static void least_work_comes_first(void) {
    struct candidate pair[] = {candidate(0, 3, 100), candidate(1, 0, 300)};
    check(first(&POLICY, 0, pair, 2) == 1, "three requests of 100 ms before it are more than none of 300");
    pair[0].in_flight = 1;
    check(first(&POLICY, 0, pair, 2) == 0, "one is less");
    pair[1].latency_p50_ms = 0;
    check(first(&POLICY, 0, pair, 2) == 1, "an unmeasured latency counts as the others'");
    pair[1].error_rate = 0.9f;
    check(first(&POLICY, 0, pair, 2) == 0, "failures are further attempts");
    pair[1].error_rate = 0;
    pair[1].is_resident = false;
    check(first(&POLICY, 0, pair, 2) == 0, "a model must be loaded first");
    pair[1] = candidate(1, 0, 100);
    pair[0] = candidate(0, 0, 100);
    pair[1].prefix_match = 1;
    check(first(&POLICY, 0, pair, 2) == 1, "a cached prompt is less work");
}

static void every_order_holds_each_once(void) {
    struct candidate many[CANDIDATES_MAX + 10];
    uint32_t order[CANDIDATES_MAX];
    for (uint32_t at = 0; at < CANDIDATES_MAX + 10; at++) many[at] = candidate(at, (at * 7) % 31, 50 + (float)(at % 5));
    check(policy_order(&POLICY, 9, many, CANDIDATES_MAX + 10, order) == CANDIDATES_MAX, "as many as there is room for");
    bool seen[CANDIDATES_MAX] = {false}, is_once = true;
    for (size_t at = 0; at < CANDIDATES_MAX; at++) {
        is_once = is_once && order[at] < CANDIDATES_MAX && !seen[order[at]];
        seen[order[at]] = true;
    }
    check(is_once, "each once");
    many[0].weight = 0;
    check(policy_order(&POLICY, 0, many, 2, order) == 1 && order[0] == 1, "weight 0 is left out");
    check(policy_order(&POLICY, 0, many, 1, order) == 1 && order[0] == 0, "unless there is nothing else");
}

static void sessions_stay_at_home(void) {
    struct candidate idle[] = {candidate(0, 0, 100), candidate(1, 0, 100), candidate(2, 0, 100)};
    int homes[3] = {0, 0, 0}, moved = 0;
    bool is_home_first = true;
    for (uint64_t session = 1; session <= 3000; session++) {
        uint32_t home = policy_home(session, idle, 3);
        homes[home]++;
        is_home_first = is_home_first && first(&POLICY, session, idle, 3) == home;
        if (home != 2 && policy_home(session, idle, 2) != home) moved++;
    }
    check(is_home_first, "an idle fleet serves each session at home");
    check(homes[0] > 900 && homes[1] > 900 && homes[2] > 900, "homes are spread evenly");
    check(moved == 0, "a target that goes moves no session but its own");
    uint32_t home = policy_home(1, idle, 3);
    idle[home].in_flight = 1;
    check(first(&POLICY, 1, idle, 3) != home, "twice the work is worth a move");
    struct policy loyal = {.stickiness = 0.6, .load_ms = 5000};
    check(first(&loyal, 1, idle, 3) == home, "but not for the more loyal");
}

static void parameters_are_checked(void) {
    char error[256];
    struct policy policy = POLICY_INITIAL;
    check(policy_set(&policy, "stickiness", "0.5", error, sizeof error) && policy.stickiness == 0.5, "a number is taken");
    check(!policy_set(&policy, "stickiness", "2", error, sizeof error) && strstr(error, "0 to 1"), "too large a one is not");
    check(!policy_set(&policy, "load_ms", "soon", error, sizeof error) && strstr(error, "soon"), "a word is not");
    check(!policy_set(&policy, "weight", "1", error, sizeof error) && strstr(error, "load_ms"), "unknown names are told");
}

int main(void) {
    least_work_comes_first();
    every_order_holds_each_once();
    sessions_stay_at_home();
    parameters_are_checked();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
