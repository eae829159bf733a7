//! NVIDIA's graphics processors, through the driver's own library (NVML), which is loaded here if the machine has it.

use std::collections::HashMap;
use std::ffi::OsStr;

use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};

use super::{GpuResources, GpuSource, GpuVendor};

/// As the driver installs it.
const LIBRARY: &str = "libnvidia-ml.so.1";

/// The library, opened.
pub(super) struct Nvidia {
    nvml: Nvml,
    count: u32,
}

impl Nvidia {
    /// `None` where there is no driver or no processor. A driver that sleeps takes a second or more to answer.
    pub(super) fn open() -> Option<Self> {
        Self::open_library(OsStr::new(LIBRARY))
    }

    fn open_library(library: &OsStr) -> Option<Self> {
        let opened = Nvml::builder().lib_path(library).init().and_then(|nvml| Ok((nvml.device_count()?, nvml)));
        match opened {
            Ok((count, nvml)) => (count > 0).then_some(Self { nvml, count }),
            // The library may be there without its driver, in a container for example.
            Err(error @ (NvmlError::LibloadingError(_) | NvmlError::DriverNotLoaded)) => {
                tracing::debug!(%error, "no NVIDIA driver");
                None
            }
            Err(error) => {
                tracing::warn!(%error, "NVIDIA's graphics processors are not measured");
                None
            }
        }
    }

    /// Those that answer, with their numbers.
    fn devices(&self) -> impl Iterator<Item = (u32, Device<'_>)> {
        (0..self.count).filter_map(|index| Some((index, self.nvml.device_by_index(index).ok()?)))
    }
}

impl GpuSource for Nvidia {
    fn sample(&mut self) -> Vec<GpuResources> {
        self.devices().map(|(index, device)| sample(index, &device)).collect()
    }

    fn memory_by_process(&mut self) -> HashMap<u32, u64> {
        let mut all = HashMap::new();
        for (_, device) in self.devices() {
            // A process that both computes and draws is in both lists, with the same figure.
            let lists = [device.running_compute_processes(), device.running_graphics_processes()];
            let on_device: HashMap<u32, u64> = lists
                .into_iter()
                .flatten()
                .flatten()
                .filter_map(|process| match process.used_gpu_memory {
                    UsedGpuMemory::Used(bytes) => Some((process.pid, bytes)),
                    UsedGpuMemory::Unavailable => None,
                })
                .collect();
            for (pid, bytes) in on_device {
                *all.entry(pid).or_default() += bytes;
            }
        }
        all
    }
}

fn sample(index: u32, device: &Device<'_>) -> GpuResources {
    let memory = device.memory_info().ok();
    let milliwatts = device.power_usage().ok();
    GpuResources {
        vendor: GpuVendor::Nvidia,
        index,
        name: device.name().unwrap_or_else(|_| "NVIDIA".to_owned()),
        usage: device.utilization_rates().ok().map(|rates| (f64::from(rates.gpu) / 100.0).min(1.0)),
        // What the driver keeps for itself counts as used: nobody can have it.
        memory_used_bytes: memory.as_ref().map(|memory| memory.total.saturating_sub(memory.free)),
        memory_total_bytes: memory.as_ref().map(|memory| memory.total),
        temperature_celsius: device.temperature(TemperatureSensor::Gpu).ok().map(f64::from),
        power_watts: milliwatts.map(|milliwatts| f64::from(milliwatts) / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use super::*;

    /// Builds the stand-in for the driver's library.
    fn stand_in(folder: &Path) -> PathBuf {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nvml/stand_in.c");
        let library = folder.join("nvml.so");
        let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status();
        assert!(built.expect("a C compiler").success());
        library
    }

    #[test]
    fn what_the_library_tells_is_told_in_our_units_and_the_rest_is_left_open() {
        let folder = tempfile::tempdir().unwrap();
        let mut nvidia = Nvidia::open_library(stand_in(folder.path()).as_os_str()).unwrap();
        let full = GpuResources {
            vendor: GpuVendor::Nvidia,
            index: 0,
            name: "NVIDIA H100".to_owned(),
            usage: Some(0.63),
            memory_used_bytes: Some(21 << 30),
            memory_total_bytes: Some(80 << 30),
            temperature_celsius: Some(58.0),
            power_watts: Some(312.5),
        };
        let bare = GpuResources {
            index: 1,
            name: "NVIDIA T400".to_owned(),
            usage: None,
            memory_used_bytes: None,
            memory_total_bytes: None,
            temperature_celsius: None,
            power_watts: None,
            ..full.clone()
        };
        assert_eq!(nvidia.sample(), [full, bare]);
        let expected = HashMap::from([(41, 7 << 30), (42, 3 << 30), (44, 1 << 30)]);
        assert_eq!(nvidia.memory_by_process(), expected);
    }

    #[test]
    fn without_the_library_there_is_nothing_to_ask() {
        assert!(Nvidia::open_library(OsStr::new("libperfhost-no-such-library.so")).is_none());
    }
}
