//! AMD's graphics processors, as the kernel's driver (amdgpu) shows them in sysfs: a few small files each.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{GpuResources, GpuSource, GpuVendor};

/// AMD's number as a maker of PCI devices.
const VENDOR: &str = "0x1002";

/// All of them.
pub(super) struct Amd {
    cards: Vec<Card>,
}

struct Card {
    name: String,
    device: PathBuf,
    /// Where its sensors are, if it has any.
    sensors: Option<PathBuf>,
}

impl Amd {
    /// Those listed in `folder`, which is `/sys/class/drm` but in tests; `None` where there are none.
    pub(super) fn find(folder: &Path) -> Option<Self> {
        let mut numbered: Vec<(u32, PathBuf)> = fs::read_dir(folder)
            .ok()?
            .flatten()
            // Beside `card0` there are its connectors: `card0-DP-1`.
            .filter_map(|entry| Some((entry.file_name().to_str()?.strip_prefix("card")?.parse().ok()?, entry.path())))
            .collect();
        numbered.sort_unstable();
        let devices = numbered.into_iter().map(|(_, card)| card.join("device"));
        let cards: Vec<Card> = devices.filter_map(Card::of).collect();
        (!cards.is_empty()).then_some(Self { cards })
    }
}

impl GpuSource for Amd {
    fn sample(&mut self) -> Vec<GpuResources> {
        self.cards.iter().zip(0..).map(|(card, index)| card.sample(index)).collect()
    }

    /// The driver tells it only in files of each process that other users may not read.
    fn memory_by_process(&mut self) -> HashMap<u32, u64> {
        HashMap::new()
    }
}

impl Card {
    fn of(device: PathBuf) -> Option<Self> {
        let is_from_amd = text(&device.join("vendor"))? == VENDOR;
        is_from_amd.then(|| {
            let product = text(&device.join("product_name")).filter(|name| !name.is_empty());
            let number = || text(&device.join("device")).unwrap_or_default();
            let name = product.unwrap_or_else(|| format!("AMD {}", number()).trim_end().to_owned());
            let sensors = fs::read_dir(device.join("hwmon")).ok();
            let sensors = sensors.and_then(|entries| entries.flatten().map(|entry| entry.path()).min());
            Self { name, device, sensors }
        })
    }

    fn sample(&self, index: u32) -> GpuResources {
        // To ask a sleeping processor how it does would wake it, every second.
        let is_asleep = text(&self.device.join("power/runtime_status")).is_some_and(|status| status == "suspended");
        let sensor = |names: &[&str]| {
            let sensors = self.sensors.as_ref().filter(|_| !is_asleep)?;
            names.iter().find_map(|name| number::<f64>(&sensors.join(name)))
        };
        let busy = if is_asleep { Some(0.0) } else { number::<f64>(&self.device.join("gpu_busy_percent")) };
        GpuResources {
            vendor: GpuVendor::Amd,
            index,
            name: self.name.clone(),
            usage: busy.map(|percent| (percent / 100.0).clamp(0.0, 1.0)),
            memory_used_bytes: number(&self.device.join("mem_info_vram_used")),
            memory_total_bytes: number(&self.device.join("mem_info_vram_total")),
            // In thousandths of a degree, and in millionths of a watt; newer processors tell the present power only.
            temperature_celsius: sensor(&["temp1_input"]).map(|value| value / 1e3),
            power_watts: sensor(&["power1_average", "power1_input"]).map(|value| value / 1e6),
        }
    }
}

fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn number<T: FromStr>(path: &Path) -> Option<T> {
    text(path)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{text}\n")).unwrap();
        }
    }

    #[test]
    fn every_amd_card_is_read_in_order_with_what_it_tells() {
        let folder = tempfile::tempdir().unwrap();
        let full = [
            ("card10/device/vendor", "0x1002"),
            ("card10/device/device", "0x744c"),
            ("card10/device/gpu_busy_percent", "37"),
            ("card10/device/mem_info_vram_used", "1073741824"),
            ("card10/device/mem_info_vram_total", "25753026560"),
            ("card10/device/hwmon/hwmon4/temp1_input", "54500"),
            ("card10/device/hwmon/hwmon4/power1_average", "112000000"),
        ];
        let bare = [("card2/device/vendor", "0x1002"), ("card2/device/product_name", "Radeon Pro")];
        let others = [
            ("card0/device/vendor", "0x10de"),
            ("card2-DP-1/status", "connected"),
            ("renderD128/device/vendor", "0x1002"),
            ("version", "drm 1.1.0"),
        ];
        for files in [&full[..], &bare, &others] {
            write(folder.path(), files);
        }
        let mut amd = Amd::find(folder.path()).unwrap();
        let none = GpuResources {
            vendor: GpuVendor::Amd,
            index: 0,
            name: "Radeon Pro".to_owned(),
            usage: None,
            memory_used_bytes: None,
            memory_total_bytes: None,
            temperature_celsius: None,
            power_watts: None,
        };
        let all = GpuResources {
            index: 1,
            name: "AMD 0x744c".to_owned(),
            usage: Some(0.37),
            memory_used_bytes: Some(1 << 30),
            memory_total_bytes: Some(25_753_026_560),
            temperature_celsius: Some(54.5),
            power_watts: Some(112.0),
            ..none.clone()
        };
        assert_eq!(amd.sample(), [none, all.clone()]);

        write(folder.path(), &[("card10/device/gpu_busy_percent", "100"), ("card10/device/mem_info_vram_used", "?")]);
        assert_eq!(amd.sample()[1], GpuResources { usage: Some(1.0), memory_used_bytes: None, ..all });
    }

    #[test]
    fn a_sleeping_card_is_not_woken() {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            ("card1/device/vendor", "0x1002"),
            ("card1/device/power/runtime_status", "suspended"),
            ("card1/device/gpu_busy_percent", "99"),
            ("card1/device/mem_info_vram_total", "8"),
            ("card1/device/hwmon/hwmon0/temp1_input", "40000"),
            ("card1/device/hwmon/hwmon0/power1_input", "9000000"),
        ];
        write(folder.path(), &files);
        let mut amd = Amd::find(folder.path()).unwrap();
        let asleep = amd.sample().remove(0);
        assert_eq!((asleep.usage, asleep.temperature_celsius, asleep.power_watts), (Some(0.0), None, None));
        assert_eq!(asleep.memory_total_bytes, Some(8));
        write(folder.path(), &[("card1/device/power/runtime_status", "active")]);
        let awake = amd.sample().remove(0);
        assert_eq!((awake.usage, awake.temperature_celsius, awake.power_watts), (Some(0.99), Some(40.0), Some(9.0)));
    }

    #[test]
    fn without_amd_cards_there_is_nothing_to_ask() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Amd::find(folder.path()).is_none() && Amd::find(&folder.path().join("missing")).is_none());
        write(folder.path(), &[("card0/device/vendor", "0x8086")]);
        assert!(Amd::find(folder.path()).is_none());
    }
}
