//! What the machine, this process and its engines use. Owns the sampling; the numbers also become gauges, and so part of
//! observations and history. A sample costs some hundred microseconds: a few files of /proc. Graphics processors are not
//! looked for yet.

mod growth;
mod network;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use perfhost_strategy::Scope;
use perfhost_strategy::observation::{Hardware, metric};
use serde::Serialize;
use sysinfo::{CpuRefreshKind, DiskRefreshKind, Disks, Pid, Process, ProcessRefreshKind, ProcessesToUpdate, System};

use crate::telemetry::Telemetry;
use growth::Growth;

/// Disks are asked less often than the rest: it takes longer, and their numbers move slowly.
const BETWEEN_DISK_SAMPLES: Duration = Duration::from_secs(10);

/// What was in use at one moment. Rates are means since the sample before, and 0 in the first.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ResourceSnapshot {
    /// The machine.
    pub host: HostResources,
    /// This process.
    pub process: ProcessResources,
    /// Every engine process that runs.
    pub engines: Vec<EngineResources>,
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
}

/// Takes samples and remembers what rates and growth need.
pub struct ResourceSampler {
    /// `None` on a system that cannot be asked; everything is 0 there.
    system: Option<System>,
    disks: Option<Disks>,
    disk: DiskNumbers,
    network: Option<network::Totals>,
    growth: HashMap<Pid, Growth>,
    sampled_at: Option<Instant>,
}

#[derive(Default)]
struct DiskNumbers {
    sampled_at: Option<Instant>,
    free_bytes: u64,
    total_bytes: u64,
    read_per_second: f64,
    written_per_second: f64,
}

impl Default for ResourceSampler {
    fn default() -> Self {
        Self::new()
    }
}

impl ResourceSampler {
    /// A sampler that has seen nothing yet.
    pub fn new() -> Self {
        let system = System::new().inspect_err(|error| tracing::warn!(%error, "the machine's resources are unknown"));
        Self {
            system: system.ok(),
            disks: Disks::new().ok(),
            disk: DiskNumbers::default(),
            network: None,
            growth: HashMap::new(),
            sampled_at: None,
        }
    }

    /// Takes a sample; meant for once a second. `engine_pids` are the engines' processes with the provider that each
    /// serves; one that has ended is left out of the answer.
    pub fn sample(&mut self, engine_pids: &[(String, u32)]) -> ResourceSnapshot {
        let now = Instant::now();
        let seconds = self.sampled_at.replace(now).map(|before| (now - before).as_secs_f64()).filter(|s| *s > 0.0);
        let mut host = HostResources::default();
        self.sample_disks(now, &mut host);
        let network = network::Totals::read();
        if let (Some(now), Some(before), Some(seconds)) = (network, self.network, seconds) {
            host.network_received_bytes_per_second = now.received.saturating_sub(before.received) as f64 / seconds;
            host.network_sent_bytes_per_second = now.sent.saturating_sub(before.sent) as f64 / seconds;
        }
        self.network = network;
        let Some(system) = &mut self.system else {
            return ResourceSnapshot { host, ..ResourceSnapshot::default() };
        };
        system.refresh_cpu_usage();
        system.refresh_memory();
        host.cpu_share = f64::from(system.global_cpu_usage()) / 100.0;
        let (free, total) = memory(system);
        (host.memory_used_bytes, host.memory_total_bytes) = (total.saturating_sub(free), total);
        host.swap_used_bytes = system.used_swap();

        let own = Pid::from_u32(std::process::id());
        let mut pids: Vec<Pid> = engine_pids.iter().map(|(_, pid)| Pid::from_u32(*pid)).collect();
        pids.push(own);
        // A process that is asked for twice would be taken for one that has ended.
        pids.sort_unstable();
        pids.dedup();
        let wanted = ProcessRefreshKind::nothing().with_cpu().with_memory().with_disk_usage();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), true, wanted);
        self.growth.retain(|pid, _| pids.contains(pid));
        let cores = system.cpus().len().max(1) as f64;
        let mut measure = |pid: Pid| {
            let process = system.process(pid)?;
            let growth = self.growth.entry(pid).or_insert_with(|| Growth::new(now));
            growth.add(now, process.memory());
            Some(process_resources(process, cores, seconds, growth))
        };
        let process = measure(own).unwrap_or_default();
        let engines = engine_pids.iter().filter_map(|(provider, pid)| {
            let process = measure(Pid::from_u32(*pid))?;
            Some(EngineResources { provider: provider.clone(), process })
        });
        ResourceSnapshot { host, process, engines: engines.collect() }
    }

    /// The machine's cores and memory. Its graphics processors are left empty.
    pub fn hardware(&mut self) -> Hardware {
        let logical_cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
        // In a container with a share of the cores, there are no more physical ones than that for us.
        let physical_cores = System::physical_core_count().map_or(logical_cores, |cores| cores as u32);
        let (memory_free_bytes, memory_total_bytes) = self.system.as_mut().map_or((0, 0), |system| {
            system.refresh_memory();
            memory(system)
        });
        Hardware {
            physical_cores: physical_cores.clamp(1, logical_cores),
            logical_cores,
            memory_total_bytes,
            memory_free_bytes,
            gpus: Vec::new(),
        }
    }

    /// The processor's name, as it gives it; empty where it gives none.
    pub fn processor(&mut self) -> String {
        let Some(system) = &mut self.system else { return String::new() };
        system.refresh_cpu_list(CpuRefreshKind::nothing());
        system.cpus().first().map(|cpu| cpu.brand().trim().to_owned()).unwrap_or_default()
    }

    fn sample_disks(&mut self, now: Instant, host: &mut HostResources) {
        let known = &mut self.disk;
        let since = known.sampled_at.map(|before| now - before);
        if let Some(disks) = &mut self.disks
            && since.is_none_or(|since| since >= BETWEEN_DISK_SAMPLES)
        {
            disks.refresh_specifics(true, DiskRefreshKind::nothing().with_storage().with_io_usage());
            known.sampled_at = Some(now);
            (known.free_bytes, known.total_bytes) = (0, 0);
            let (mut read, mut written) = (0, 0);
            let mut counted = Vec::new();
            // One disk can be mounted in many places.
            for disk in disks.iter().filter(|disk| !disk.name().is_empty()) {
                if !counted.contains(&disk.name()) {
                    counted.push(disk.name());
                    known.free_bytes += disk.available_space();
                    known.total_bytes += disk.total_space();
                    read += disk.usage().read_bytes;
                    written += disk.usage().written_bytes;
                }
            }
            if let Some(seconds) = since.map(|since| since.as_secs_f64()) {
                (known.read_per_second, known.written_per_second) = (read as f64 / seconds, written as f64 / seconds);
            }
        }
        (host.disk_free_bytes, host.disk_total_bytes) = (known.free_bytes, known.total_bytes);
        (host.disk_read_bytes_per_second, host.disk_written_bytes_per_second) =
            (known.read_per_second, known.written_per_second);
    }
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
        for (at, engine) in self.engines.iter().enumerate() {
            let is_of_provider = |other: &&EngineResources| other.provider == engine.provider;
            if self.engines[..at].iter().any(|other| is_of_provider(&other)) {
                continue;
            }
            // While one engine replaces another, a provider has two processes.
            let all = self.engines.iter().filter(is_of_provider);
            let (cpu, memory) = all.fold((0.0, 0), |(cpu, memory), engine| {
                (cpu + engine.process.cpu_share, memory + engine.process.memory_bytes)
            });
            let scope = Scope::provider(&engine.provider);
            telemetry.gauge(metric::PROCESS_CPU, &scope, cpu);
            telemetry.gauge(metric::PROCESS_MEMORY, &scope, memory as f64);
        }
    }
}

/// Free and total memory: the machine's, or the container's where that is less.
fn memory(system: &System) -> (u64, u64) {
    let (free, total) = (system.available_memory(), system.total_memory());
    match system.cgroup_limits() {
        Some(limits) if limits.total_memory > 0 && limits.total_memory < total => {
            (limits.free_memory.min(free), limits.total_memory)
        }
        _ => (free, total),
    }
}

fn process_resources(process: &Process, cores: f64, seconds: Option<f64>, growth: &Growth) -> ProcessResources {
    let disk = process.disk_usage();
    let per_second = |bytes: u64| seconds.map_or(0.0, |seconds| bytes as f64 / seconds);
    ProcessResources {
        pid: process.pid().as_u32(),
        cpu_share: f64::from(process.cpu_usage()) / 100.0 / cores,
        memory_bytes: process.memory(),
        threads: threads(process.pid().as_u32()),
        open_files: process.open_files().and_then(|files| u32::try_from(files).ok()),
        disk_read_bytes_per_second: per_second(disk.read_bytes),
        disk_written_bytes_per_second: per_second(disk.written_bytes),
        memory_growth_mb_per_hour: growth.mb_per_hour(),
    }
}

/// Linux only; other systems tell threads only by listing them all.
fn threads(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in brackets and may hold anything; the number of threads is the 20th.
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(17)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_and_the_machine_are_measured() {
        let mut sampler = ResourceSampler::new();
        let own = std::process::id();
        sampler.sample(&[]);
        let seen = sampler.sample(&[("engine".to_owned(), own), ("gone".to_owned(), u32::MAX - 1)]);
        assert!(seen.host.memory_total_bytes > 0 && seen.host.memory_used_bytes <= seen.host.memory_total_bytes);
        assert!((0.0..=1.0).contains(&seen.host.cpu_share));
        assert!(seen.process.memory_bytes > 0);
        assert_eq!((seen.engines.len(), seen.engines[0].process.pid), (1, own));
        if cfg!(target_os = "linux") {
            assert!(seen.process.threads.is_some_and(|threads| threads >= 1));
            assert!(seen.process.open_files.is_some_and(|files| files >= 1));
        }
        let hardware = sampler.hardware();
        assert!(hardware.physical_cores >= 1 && hardware.physical_cores <= hardware.logical_cores);
    }

    #[test]
    fn two_processes_of_one_provider_are_one_gauge() {
        let engine = |cpu_share| EngineResources {
            provider: "engine".to_owned(),
            process: ProcessResources { cpu_share, memory_bytes: 10, ..ProcessResources::default() },
        };
        let snapshot = ResourceSnapshot { engines: vec![engine(0.25), engine(0.5)], ..ResourceSnapshot::default() };
        let telemetry = Telemetry::new();
        snapshot.report(&telemetry);
        telemetry.tick(1_000);
        let seen = telemetry.window(Duration::from_secs(1));
        let of_engine = |name: &str| {
            let scope = Scope::provider("engine");
            seen.iter().find(|metric| metric.name == name && metric.scope == scope).map(|metric| metric.summary.mean)
        };
        assert_eq!(of_engine(metric::PROCESS_CPU), Some(0.75));
        assert_eq!(of_engine(metric::PROCESS_MEMORY), Some(20.0));
    }
}
