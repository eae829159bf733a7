//! What the machine, this process and its engines use. Owns the sampling; the numbers also become gauges, and so part of
//! observations and history. A sample costs some hundred microseconds: a few files of /proc. A graphics processor costs what
//! its driver takes to answer, on the thread that samples and never on one that serves requests.

mod gpu;
mod growth;
mod network;
mod snapshot;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use perfhost_strategy::observation::Hardware;
use sysinfo::{CpuRefreshKind, DiskRefreshKind, Disks, Pid, Process, ProcessRefreshKind, ProcessesToUpdate, System};

use gpu::Gpus;
use growth::Growth;

pub use gpu::{GpuResources, GpuVendor};
pub use snapshot::{EngineResources, HostResources, ProcessResources, ResourceSnapshot};

/// Disks are asked less often than the rest: it takes longer, and their numbers move slowly.
const BETWEEN_DISK_SAMPLES: Duration = Duration::from_secs(10);

/// Takes samples and remembers what rates and growth need.
pub struct ResourceSampler {
    /// `None` on a system that cannot be asked; everything is 0 there.
    system: Option<System>,
    disks: Option<Disks>,
    disk: DiskNumbers,
    network: Option<network::Totals>,
    growth: HashMap<Pid, Growth>,
    gpus: Gpus,
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
    /// A sampler that has seen nothing yet. Looks for graphics processors, once: a driver that sleeps may take a second, so
    /// that one sampler should serve for as long as the process runs.
    pub fn new() -> Self {
        Self::with_gpus(Gpus::find())
    }

    fn with_gpus(gpus: Gpus) -> Self {
        let system = System::new().inspect_err(|error| tracing::warn!(%error, "the machine's resources are unknown"));
        Self {
            system: system.ok(),
            disks: Disks::new().ok(),
            disk: DiskNumbers::default(),
            network: None,
            growth: HashMap::new(),
            gpus,
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
        let gpus = self.gpus.sample();
        let Some(system) = &mut self.system else {
            return ResourceSnapshot { host, gpus, ..ResourceSnapshot::default() };
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
        // A driver is asked for all processes at once, which takes it longer than the rest.
        let on_gpus = if engine_pids.is_empty() { HashMap::new() } else { self.gpus.memory_by_process() };
        let engines = engine_pids.iter().filter_map(|(provider, pid)| {
            let process = measure(Pid::from_u32(*pid))?;
            Some(EngineResources { provider: provider.clone(), process, gpu_memory_bytes: on_gpus.get(pid).copied() })
        });
        ResourceSnapshot { host, process, engines: engines.collect(), gpus }
    }

    /// The machine's cores and memory, and those of its graphics processors whose memory is known and large enough for a
    /// model.
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
            gpus: self.gpus.hardware(),
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
    use super::gpu::testing::{FakeSource, gpu};
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
    fn graphics_processors_are_in_samples_and_hardware_and_their_memory_with_the_engine_that_takes_it() {
        let own = std::process::id();
        let source = FakeSource { gpus: vec![gpu(0, 0.5, 6, 24)], processes: HashMap::from([(own, 5 << 30), (1, 1)]) };
        let mut sampler = ResourceSampler::with_gpus(Gpus::of(vec![Box::new(source)]));
        let seen = sampler.sample(&[("engine".to_owned(), own)]);
        assert_eq!(seen.gpus, [gpu(0, 0.5, 6, 24)]);
        assert_eq!(seen.engines[0].gpu_memory_bytes, Some(5 << 30));
        assert_eq!(sampler.hardware().gpus[0].memory_free_bytes, 18 << 30);

        let mut without = ResourceSampler::with_gpus(Gpus::of(Vec::new()));
        let seen = without.sample(&[("engine".to_owned(), own)]);
        assert_eq!((seen.gpus.len(), seen.engines[0].gpu_memory_bytes), (0, None));
        assert_eq!(without.hardware().gpus, []);
    }
}
