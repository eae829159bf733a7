//! `perfhost-bench upstream`, `load` and `swaps`: both ends of a measurement of a proxy between them.
//!
//! They speak just enough HTTP/1.1 on plain sockets, so that what is measured is the proxy.
#![allow(clippy::print_stdout, reason = "prints its result")]

mod answer;
mod load;
mod percentiles;
mod swaps;
mod upstream;

use std::time::Duration;

use anyhow::Result;
use clap::Parser;

#[derive(Debug, Parser)]
enum Command {
    /// Answers every request at once with a fixed completion; a request whose body holds `"stream":true` gets a stream.
    Upstream {
        /// Port on 127.0.0.1. Repeat to answer on several.
        #[arg(long = "port", required = true)]
        ports: Vec<u16>,
        /// Models that each port lists: `bench`, or `bench-PORT-0` and so on.
        #[arg(long, default_value_t = 1)]
        models: u32,
        /// Events in a stream.
        #[arg(long, default_value_t = 8)]
        events: u32,
        /// Pause before each event of a stream, in microseconds.
        #[arg(long, default_value_t = 0)]
        event_pause_us: u64,
    },
    /// Sends requests on kept-alive connections, each connection one after the other, and prints what it measured as JSON.
    Load {
        /// Port on 127.0.0.1.
        #[arg(long)]
        port: u16,
        /// Connections at once.
        #[arg(long, default_value_t = 1)]
        connections: usize,
        /// How long to measure, in seconds.
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
        /// How long to warm up before, in seconds.
        #[arg(long, default_value_t = 1.0)]
        warm_up: f64,
        /// Ask for streams.
        #[arg(long)]
        stream: bool,
        /// Ask with temperature 0, so that a cache may answer.
        #[arg(long)]
        deterministic: bool,
    },
    /// Sends requests at a fixed rate while strategies of a perfhost are swapped, and prints every 100 ms of it as JSON.
    /// Fails when a request fails or is not planned exactly once.
    Swaps {
        /// Port on 127.0.0.1.
        #[arg(long)]
        port: u16,
        /// Requests per second.
        #[arg(long, default_value_t = 10_000.0)]
        rate: f64,
        /// Connections at once.
        #[arg(long, default_value_t = 32)]
        connections: usize,
        /// How long to measure, in seconds.
        #[arg(long, default_value_t = 20.0)]
        seconds: f64,
        /// How long to warm up before, in seconds.
        #[arg(long, default_value_t = 2.0)]
        warm_up: f64,
        /// Time from one swap to the next, in milliseconds.
        #[arg(long, default_value_t = 800)]
        between_ms: u64,
        /// What to put in service in turn: a name, or `new:FILE` for a file that has to be compiled each time.
        #[arg(long = "swap", required = true)]
        swaps: Vec<swaps::Swap>,
    },
}

fn main() -> Result<()> {
    match Command::parse() {
        Command::Upstream { ports, models, events, event_pause_us } => {
            on_one_thread(upstream::serve(&ports, models, events, Duration::from_micros(event_pause_us)))
        }
        Command::Load { port, connections, seconds, warm_up, stream, deterministic } => {
            let plan = load::Plan {
                port,
                connections,
                measured: Duration::from_secs_f64(seconds),
                warm_up: Duration::from_secs_f64(warm_up),
                body: load::body(stream, deterministic),
            };
            println!("{}", on_one_thread(load::run(plan))?);
            Ok(())
        }
        Command::Swaps { port, rate, connections, seconds, warm_up, between_ms, swaps } => {
            let plan = swaps::Plan {
                port,
                rate,
                connections,
                warm_up: Duration::from_secs_f64(warm_up),
                measured: Duration::from_secs_f64(seconds),
                between: Duration::from_millis(between_ms),
                swaps,
            };
            println!("{}", swaps::run(plan)?);
            Ok(())
        }
    }
}

fn on_one_thread<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
