"""What watching costs: a host that records requests beside one that does not, one at rest, and one with 2,000 series."""

import http.client
import json
import statistics
import time
import urllib.request

from target import BENCH, PERFHOST, Target, cpu_seconds, free_port, memory_mib, start

PROVIDERS, MODELS = 20, 100
IDLE_SECONDS = 30


def host(folder, processes, name, upstreams, *flags):
    """A host in front of these ports."""
    port = free_port()
    command = [PERFHOST, "--listen", f"127.0.0.1:{port}", "--data-dir", f"{folder}/{name}", "--no-discovery", "--no-engine",
               "--plugin", "balanced", *flags]
    for upstream in upstreams:
        command += ["--upstream", f"http://127.0.0.1:{upstream}"]
    processes.append(start(command, folder, name))
    return Target(name, port, processes[-1]).wait()


def provider(folder, processes, name, ports, models):
    """One program that answers on all of these ports, each with models of its own."""
    flags = [flag for port in ports for flag in ("--port", str(port))]
    processes.append(start([BENCH, "upstream", "--models", str(models), *flags], folder, name))
    for port in ports:
        Target(name, port, None).wait()


def at_rest(targets):
    """Share of one core that each uses while nobody asks, in percent."""
    time.sleep(5)
    before, began = [cpu_seconds(one.process.pid) for one in targets], time.monotonic()
    time.sleep(IDLE_SECONDS)
    wall = time.monotonic() - began
    return {one.name: 100 * (cpu_seconds(one.process.pid) - used) / wall for one, used in zip(targets, before)}


def measure(folder, processes, rounds, seconds, memory_seconds):
    upstream = free_port()
    provider(folder, processes, "watch-upstream", [upstream], 1)
    on = host(folder, processes, "on", [upstream])
    off = host(folder, processes, "off", [upstream], "--no-telemetry")
    idle = at_rest([on, off])
    for at in range(rounds):
        # Who begins takes turns too: a machine that warms up or tires does so for both.
        for kind, connections in (("one", "1"), ("many", "32")):
            for target in [on, off] if at % 2 == 0 else [off, on]:
                target.load(kind, seconds, "--connections", connections)
    figures = {target.name: {
        "p50_us": target.median("one", "p50_us"), "requests_per_second": target.median("many", "requests_per_second"),
        "cpu_us_per_request": target.median("many", "cpu_us_per_request"), "idle_cpu_percent": idle[target.name]} for target in (on, off)}
    # Each round compares neighbours in time; the median of their ratios is steadier than the ratio of medians.
    pairs = zip(on.results.get("many", []), off.results.get("many", []))
    ratios = [one["requests_per_second"] / other["requests_per_second"] for one, other in pairs]
    return {**figures, "throughput_ratio": statistics.median(ratios) if ratios else None,
            "memory": memory(folder, processes, memory_seconds)}


def ask_each(port, ports):
    """One request to each model of each provider; each model is listed by one provider only. How many were answered."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    answered = 0
    for number in range(MODELS):
        for upstream in ports:
            body = json.dumps({"model": f"bench-{upstream}-{number}", "messages": [{"role": "user", "content": "hi"}]})
            connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            answered += answer.status == 200
    connection.close()
    return answered


def memory(folder, processes, seconds):
    """Memory of a host that gets requests to every model of every provider, over and over."""
    ports = [free_port() for _ in range(PROVIDERS)]
    provider(folder, processes, "watch-upstreams", ports, MODELS)
    target = host(folder, processes, "many-series", ports)
    time.sleep(3)
    result = {"series": PROVIDERS * MODELS, "before_mib": memory_mib(target.process.pid), "passes": 0, "after_mib": []}
    began, next_look = time.monotonic(), 0.0
    while (passed := time.monotonic() - began) < seconds or result["passes"] < 2:
        answered = ask_each(target.port, ports)
        if answered != PROVIDERS * MODELS:
            raise SystemExit(f"watching: {answered} of {PROVIDERS * MODELS} requests were answered")
        result["passes"] += 1
        if passed >= next_look or result["passes"] == 1:
            result["after_mib"].append([result["passes"], round(time.monotonic() - began, 1), memory_mib(target.process.pid)])
            next_look = passed + max(seconds / 6, 1)
    began = time.monotonic()
    with urllib.request.urlopen(f"http://127.0.0.1:{target.port}/metrics", timeout=60) as answer:
        result["exposition_mib"] = len(answer.read()) / (1 << 20)
    result["exposition_ms"] = 1000 * (time.monotonic() - began)
    result["after_exposition_mib"] = memory_mib(target.process.pid)
    return result


def show(result):
    on, off = result["on"], result["off"]
    print("\nwatching: a host that records requests beside one that does not (--no-telemetry), in turn\n")
    rows = [("requests/s at 32", "requests_per_second", 0), ("p50, us", "p50_us", 1), ("CPU a request, us", "cpu_us_per_request", 1),
            ("idle, % of one core", "idle_cpu_percent", 2)]
    for title, figure, places in rows:
        if on[figure] is not None and off[figure] is not None:
            print(f"  {title:20} on {on[figure]:>12,.{places}f}   off {off[figure]:>12,.{places}f}   difference {on[figure] - off[figure]:+,.{places}f}")
    if result["throughput_ratio"]:
        print(f"  throughput on / off, median of the rounds: {result['throughput_ratio']:.3f}")
    seen = result["memory"]
    print(f"\n  memory with {PROVIDERS} providers x {MODELS} models, MiB: {seen['before_mib']:.1f} before")
    for passes, at, mib in seen["after_mib"]:
        print(f"    after {passes:4} passes, {at:6.1f} s: {mib:.1f}")
    print(f"  /metrics: {seen['exposition_mib']:.1f} MiB in {seen['exposition_ms']:.0f} ms; memory after it {seen['after_exposition_mib']:.1f} MiB")
