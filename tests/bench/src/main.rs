//! `perfhost-bench upstream` and `perfhost-bench load`: both ends of a measurement of a proxy between them.
//!
//! Both speak just enough HTTP/1.1 on plain sockets, so that what is measured is the proxy.
#![allow(clippy::print_stdout, reason = "prints its result")]

mod load;
mod upstream;

use std::time::Duration;

use anyhow::Result;
use clap::Parser;

#[derive(Debug, Parser)]
enum Command {
    /// Answers every request at once with a fixed completion; a request whose body holds `"stream":true` gets a stream.
    Upstream {
        /// Port on 127.0.0.1.
        #[arg(long)]
        port: u16,
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
}

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match Command::parse() {
        Command::Upstream { port, events, event_pause_us } => {
            runtime.block_on(upstream::serve(port, events, Duration::from_micros(event_pause_us)))
        }
        Command::Load { port, connections, seconds, warm_up, stream, deterministic } => {
            let plan = load::Plan {
                port,
                connections,
                measured: Duration::from_secs_f64(seconds),
                warm_up: Duration::from_secs_f64(warm_up),
                body: load::body(stream, deterministic),
            };
            let result = runtime.block_on(load::run(plan))?;
            println!("{result}");
            Ok(())
        }
    }
}
