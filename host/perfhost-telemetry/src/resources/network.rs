//! What all network interfaces but loopback have passed on.

/// Bytes since the interfaces came up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) received: u64,
    pub(super) sent: u64,
}

impl Totals {
    /// From /proc/net/dev, one file for all interfaces; `None` on systems that have no such file.
    pub(super) fn read() -> Option<Self> {
        std::fs::read_to_string("/proc/net/dev").ok().map(|table| Self::parse(&table))
    }

    fn parse(table: &str) -> Self {
        let mut totals = Self { received: 0, sent: 0 };
        for (name, numbers) in table.lines().filter_map(|line| line.split_once(':')) {
            if name.trim() != "lo" {
                let mut numbers = numbers.split_whitespace().map(|number| number.parse().unwrap_or(0));
                totals.received += numbers.next().unwrap_or(0);
                totals.sent += numbers.nth(7).unwrap_or(0);
            }
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_summed_up_without_loopback() {
        let table = "Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 500 1 0 0 0 0 0 0 500 1 0 0 0 0 0 0
  eth0: 1000 2 0 0 0 0 0 0 300 4 0 0 0 0 0 0
 wlan0:20 2 0 0 0 0 0 0 7 4 0 0 0 0 0 0
";
        assert_eq!(Totals::parse(table), Totals { received: 1_020, sent: 307 });
    }
}
