//! What one sample says: the words, and which gauges its numbers become. Owns no sampling.

use perfhost_strategy::Scope;
use perfhost_strategy::observation::metric;
use serde::Serialize;

use super::gpu::GpuResources;
use crate::telemetry::Telemetry;

/// What was in use at one moment. Rates are means since the sample before, and 0 in the first.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ResourceSnapshot {
    /// The machine.
    pub host: HostResources,
    /// This process.
    pub process: ProcessResources,
    /// Every engine process that runs.
    pub engines: Vec<EngineResources>,
    /// Every graphics processor whose driver could be asked.
    pub gpus: Vec<GpuResources>,
}

/// What the whole machine uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct HostResources {
    /// Share of all cores in use, 0 to 1.
    pub cpu_share: f64,
    /// Memory that cannot be had without swapping.
    pub memory_used_bytes: u64,
    /// All memory; in a container, what it may use.
    pub memory_total_bytes: u64,
    /// Swap in use.
    pub swap_used_bytes: u64,
    /// Free space on all mounted disks together.
    pub disk_free_bytes: u64,
    /// Size of all mounted disks together.
    pub disk_total_bytes: u64,
    /// Read from all disks, bytes per second over the last ten seconds.
    pub disk_read_bytes_per_second: f64,
    /// Written to all disks, bytes per second over the last ten seconds.
    pub disk_written_bytes_per_second: f64,
    /// Received on all interfaces but loopback, bytes per second.
    pub network_received_bytes_per_second: f64,
    /// Sent on all interfaces but loopback, bytes per second.
    pub network_sent_bytes_per_second: f64,
}

/// What one process uses. What the system does not tell is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct ProcessResources {
    /// Process number.
    pub pid: u32,
    /// Share of all cores, 0 to 1.
    pub cpu_share: f64,
    /// Resident memory.
    pub memory_bytes: u64,
    /// Threads.
    pub threads: Option<u32>,
    /// Open files, sockets among them.
    pub open_files: Option<u32>,
    /// Read from disk, bytes per second.
    pub disk_read_bytes_per_second: f64,
    /// Written to disk, bytes per second.
    pub disk_written_bytes_per_second: f64,
    /// Growth of resident memory in millions of bytes per hour, by a straight line through the last hour at most; `None`
    /// for the first minute.
    pub memory_growth_mb_per_hour: Option<f64>,
}

/// What one engine process uses.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EngineResources {
    /// The provider that it serves.
    pub provider: String,
    /// What it uses.
    #[serde(flatten)]
    pub process: ProcessResources,
    /// Its memory on all graphics processors together, where their driver tells it; in a container it may not.
    pub gpu_memory_bytes: Option<u64>,
}

impl ResourceSnapshot {
    /// Makes the numbers gauges: the machine's and this process's for the whole host, an engine's for its provider.
    pub fn report(&self, telemetry: &Telemetry) {
        let host = Scope::global();
        telemetry.gauge(metric::CPU_USAGE, &host, self.host.cpu_share);
        telemetry.gauge(metric::MEMORY_USED, &host, self.host.memory_used_bytes as f64);
        if self.host.memory_total_bytes > 0 {
            let share = self.host.memory_used_bytes as f64 / self.host.memory_total_bytes as f64;
            telemetry.gauge(metric::MEMORY_USAGE, &host, share);
        }
        telemetry.gauge(metric::PROCESS_CPU, &host, self.process.cpu_share);
        telemetry.gauge(metric::PROCESS_MEMORY, &host, self.process.memory_bytes as f64);
        self.report_gpus(telemetry, &host);
        for (at, engine) in self.engines.iter().enumerate() {
            let is_of_provider = |other: &&EngineResources| other.provider == engine.provider;
            if self.engines[..at].iter().any(|other| is_of_provider(&other)) {
                continue;
            }
            // While one engine replaces another, a provider has two processes.
            let all = self.engines.iter().filter(is_of_provider);
            let on_gpus = all.clone().filter_map(|engine| engine.gpu_memory_bytes).reduce(|sum, bytes| sum + bytes);
            let (cpu, memory) = all.fold((0.0, 0), |(cpu, memory), engine| {
                (cpu + engine.process.cpu_share, memory + engine.process.memory_bytes)
            });
            let scope = Scope::provider(&engine.provider);
            telemetry.gauge(metric::PROCESS_CPU, &scope, cpu);
            telemetry.gauge(metric::PROCESS_MEMORY, &scope, memory as f64);
            if let Some(bytes) = on_gpus {
                telemetry.gauge(metric::PROCESS_GPU_MEMORY, &scope, bytes as f64);
            }
        }
    }

    /// Of several processors the one nearest to its limit counts: it is the one that slows a model down.
    fn report_gpus(&self, telemetry: &Telemetry, host: &Scope) {
        let busiest = self.gpus.iter().filter_map(|gpu| gpu.usage).reduce(f64::max);
        let fullest = self.gpus.iter().filter_map(GpuResources::memory_usage).reduce(f64::max);
        let used = self.gpus.iter().filter_map(|gpu| gpu.memory_used_bytes).reduce(|sum, bytes| sum + bytes);
        let gauges = [
            (metric::GPU_USAGE, busiest),
            (metric::GPU_MEMORY_USAGE, fullest),
            (metric::GPU_MEMORY_USED, used.map(|bytes| bytes as f64)),
        ];
        for (name, value) in gauges {
            if let Some(value) = value {
                telemetry.gauge(name, host, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::gpu::testing::gpu;
    use super::*;

    /// The mean of each gauge that a snapshot becomes.
    fn reported(snapshot: &ResourceSnapshot, scope: Scope) -> impl Fn(&str) -> Option<f64> + use<> {
        let telemetry = Telemetry::new();
        snapshot.report(&telemetry);
        telemetry.tick(1_000);
        let seen = telemetry.window(Duration::from_secs(1));
        move |name| {
            seen.iter().find(|metric| metric.name == name && metric.scope == scope).map(|metric| metric.summary.mean)
        }
    }

    fn engine(cpu_share: f64, gpu_memory_bytes: Option<u64>) -> EngineResources {
        let process = ProcessResources { cpu_share, memory_bytes: 10, ..ProcessResources::default() };
        EngineResources { provider: "engine".to_owned(), process, gpu_memory_bytes }
    }

    #[test]
    fn two_processes_of_one_provider_are_one_gauge() {
        let engines = vec![engine(0.25, None), engine(0.5, Some(7))];
        let gauge = reported(&ResourceSnapshot { engines, ..Default::default() }, Scope::provider("engine"));
        assert_eq!(gauge(metric::PROCESS_CPU), Some(0.75));
        assert_eq!(gauge(metric::PROCESS_MEMORY), Some(20.0));
        assert_eq!(gauge(metric::PROCESS_GPU_MEMORY), Some(7.0));
    }

    #[test]
    fn of_graphics_processors_the_busiest_and_the_fullest_count() {
        let silent = GpuResources { usage: None, memory_used_bytes: None, ..gpu(2, 0.0, 0, 24) };
        let gpus = vec![gpu(0, 0.25, 12, 24), gpu(1, 0.75, 2, 8), silent];
        let gauge = reported(&ResourceSnapshot { gpus, ..Default::default() }, Scope::global());
        assert_eq!(gauge(metric::GPU_USAGE), Some(0.75));
        assert_eq!(gauge(metric::GPU_MEMORY_USAGE), Some(0.5));
        assert_eq!(gauge(metric::GPU_MEMORY_USED), Some(f64::from(14 << 10) * f64::from(1 << 20)));
    }

    #[test]
    fn without_graphics_processors_they_have_no_gauges() {
        let snapshot = ResourceSnapshot { engines: vec![engine(0.5, None)], ..Default::default() };
        for scope in [Scope::global(), Scope::provider("engine")] {
            let gauge = reported(&snapshot, scope);
            assert!(gauge(metric::PROCESS_CPU).is_some());
            assert!(metric::OF_GPUS.iter().all(|name| gauge(name).is_none()));
        }
    }
}
