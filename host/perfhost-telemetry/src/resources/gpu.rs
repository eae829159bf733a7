//! Graphics processors: what is known of each, and whom to ask. Owns neither a driver's language (`nvidia`, `amd`) nor what
//! becomes of the numbers.

mod amd;
mod nvidia;

use std::collections::HashMap;
use std::path::Path;

use perfhost_strategy::observation::Gpu;
use serde::Serialize;

/// Where Linux lists graphics processors.
const SYSFS: &str = "/sys/class/drm";

/// A processor with less memory is left out of what strategies plan with: nobody puts a model there. Most of them are part
/// of the main processor and have a few hundred MiB set aside for the screen.
const LEAST_MODEL_MEMORY_BYTES: u64 = 2 << 30;

/// Who made a graphics processor, and so whose driver was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GpuVendor {
    /// Asked through the driver's library, NVML.
    Nvidia,
    /// Asked through sysfs.
    Amd,
}

/// What one graphics processor does. What its driver does not tell is `None`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GpuResources {
    /// Its maker.
    pub vendor: GpuVendor,
    /// Its number among those of its maker, from 0.
    pub index: u32,
    /// As its driver names it.
    pub name: String,
    /// Share of the driver's last sampling period (a second at most) in which it computed, 0 to 1.
    pub usage: Option<f64>,
    /// Memory that cannot be had.
    pub memory_used_bytes: Option<u64>,
    /// All of its memory.
    pub memory_total_bytes: Option<u64>,
    /// Degrees Celsius.
    pub temperature_celsius: Option<f64>,
    /// Watts that it draws.
    pub power_watts: Option<f64>,
}

impl GpuVendor {
    /// As the API writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nvidia => "nvidia",
            Self::Amd => "amd",
        }
    }
}

impl GpuResources {
    /// Share of its memory that is in use.
    pub fn memory_usage(&self) -> Option<f64> {
        let (used, total) = self.memory_used_bytes.zip(self.memory_total_bytes)?;
        (total > 0).then(|| used as f64 / total as f64)
    }

    /// As strategies see it, if a model fits there.
    fn as_hardware(&self) -> Option<Gpu> {
        let (used, total) = self.memory_used_bytes.zip(self.memory_total_bytes)?;
        (total >= LEAST_MODEL_MEMORY_BYTES).then(|| Gpu {
            name: self.name.clone(),
            memory_total_bytes: total,
            memory_free_bytes: total.saturating_sub(used),
        })
    }
}

/// A driver that was found.
pub(super) trait GpuSource: Send {
    /// Every processor as it stands.
    fn sample(&mut self) -> Vec<GpuResources>;

    /// Memory that processes take on all processors of this driver together, in bytes by process number; without those of
    /// which it does not tell.
    fn memory_by_process(&mut self) -> HashMap<u32, u64>;
}

/// Every driver that was found.
pub(super) struct Gpus {
    sources: Vec<Box<dyn GpuSource>>,
}

impl Gpus {
    /// Looks for drivers and processors. What comes later is not seen.
    pub(super) fn find() -> Self {
        let nvidia = nvidia::Nvidia::open().map(|found| Box::new(found) as Box<dyn GpuSource>);
        let amd = amd::Amd::find(Path::new(SYSFS)).map(|found| Box::new(found) as Box<dyn GpuSource>);
        Self::of(nvidia.into_iter().chain(amd).collect())
    }

    pub(super) fn of(sources: Vec<Box<dyn GpuSource>>) -> Self {
        Self { sources }
    }

    pub(super) fn sample(&mut self) -> Vec<GpuResources> {
        self.sources.iter_mut().flat_map(|source| source.sample()).collect()
    }

    /// As strategies see them.
    pub(super) fn hardware(&mut self) -> Vec<Gpu> {
        self.sample().iter().filter_map(GpuResources::as_hardware).collect()
    }

    pub(super) fn memory_by_process(&mut self) -> HashMap<u32, u64> {
        let mut all = HashMap::new();
        for (pid, bytes) in self.sources.iter_mut().flat_map(|source| source.memory_by_process()) {
            *all.entry(pid).or_default() += bytes;
        }
        all
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// A driver that says what it was made with.
    pub(crate) struct FakeSource {
        pub(crate) gpus: Vec<GpuResources>,
        pub(crate) processes: HashMap<u32, u64>,
    }

    impl GpuSource for FakeSource {
        fn sample(&mut self) -> Vec<GpuResources> {
            self.gpus.clone()
        }

        fn memory_by_process(&mut self) -> HashMap<u32, u64> {
            self.processes.clone()
        }
    }

    /// One with `used` of `total` GiB in use.
    pub(crate) fn gpu(index: u32, usage: f64, used: u64, total: u64) -> GpuResources {
        GpuResources {
            vendor: GpuVendor::Nvidia,
            index,
            name: format!("gpu {index}"),
            usage: Some(usage),
            memory_used_bytes: Some(used << 30),
            memory_total_bytes: Some(total << 30),
            temperature_celsius: None,
            power_watts: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{FakeSource, gpu};
    use super::*;

    #[test]
    fn strategies_see_processors_that_a_model_fits_on() {
        let unknown = GpuResources { memory_total_bytes: None, ..gpu(1, 0.0, 0, 24) };
        let source =
            FakeSource { gpus: vec![gpu(0, 0.5, 10, 80), unknown, gpu(2, 0.0, 0, 1)], processes: HashMap::new() };
        let expected = Gpu { name: "gpu 0".to_owned(), memory_total_bytes: 80 << 30, memory_free_bytes: 70 << 30 };
        assert_eq!(Gpus::of(vec![Box::new(source)]).hardware(), [expected]);
        assert_eq!(Gpus::of(Vec::new()).hardware(), []);
    }

    #[test]
    fn a_process_on_processors_of_two_drivers_is_counted_once_with_all_its_memory() {
        let source = |bytes| -> Box<dyn GpuSource> {
            Box::new(FakeSource { gpus: Vec::new(), processes: HashMap::from([(7, bytes)]) })
        };
        let mut gpus = Gpus::of(vec![source(3), source(4)]);
        assert_eq!(gpus.memory_by_process(), HashMap::from([(7, 7)]));
    }
}
