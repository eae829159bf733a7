//! probe
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program for people and for `make bench`")]
use std::sync::Arc;
use std::time::Instant;
use perfhost_strategy::plan::*;
use perfhost_strategy::*;
use perfhost_wasm::*;
fn rss() -> u64 { let s = std::fs::read_to_string("/proc/self/statm").expect("x"); s.split(' ').nth(1).expect("y").parse::<u64>().expect("z") * 4 / 1024 }
fn main() {
    let path = std::env::args().nth(1).expect("file");
    let calls: usize = std::env::args().nth(2).expect("n").parse().expect("n");
    let cache = std::path::PathBuf::from("/tmp/fixtools/cachedir");
    let limits = Limits { retire_after_growth_bytes: 1 << 40, ..Limits::default() };
    let runtime = Runtime::new(RuntimeConfig { cache_dir: Some(cache), limits }).expect("rt");
    let source = PluginSource { bytes: std::fs::read(&path).expect("read"), name: path };
    let t = Instant::now();
    let s = runtime.load(&source, Arc::new(NoHistory)).expect("load");
    println!("load {:?}", t.elapsed());
    let target = |p: u32| Target { provider: format!("p{p}"), model: "m".into(), kind: "llama-cpp".into() };
    s.fleet(&FleetNames { targets: (0..3).map(target).collect(), models: vec!["m".into()] }).expect("fleet");
    let asked = PlanRequest { operation: Operation::Chat, model: 0, is_streaming: true, is_deterministic: false, prompt_bytes: 812, max_tokens: 128, priority: 0, deadline_ms: 0, key: 1, session: 0, was_seen_before: false };
    let candidates: Vec<Candidate> = (0..3).map(|target| Candidate { target, in_flight: target + 1, is_resident: true, latency_p50_ms: 120.0, ttft_p50_ms: 30.0, weight: 1.0, ..Candidate::default() }).collect();
    let mut fails = 0;
    let mut times = Vec::new();
    for i in 0..calls {
        let t = Instant::now();
        if let Err(e) = s.plan(&asked, &candidates) { fails += 1; if fails < 5 { println!("call {i}: {e}"); } }
        times.push(t.elapsed().as_nanos() as u64);
        if (i + 1) % (calls / 20) == 0 { times.sort(); println!("{} rss {} MiB fails {fails} warm {} p50 {} p99 {} max {}", i + 1, rss(), s.warm_instances(), times[times.len()/2], times[times.len()*99/100], times[times.len()-1]); times.clear(); }
    }
}
