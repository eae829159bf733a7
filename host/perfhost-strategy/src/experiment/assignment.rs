//! Which arm serves a unit: a hash and a look-up in a table, the same answer every time.
//!
//! [`Allocation`] is immutable: the host publishes a new one when it changes, and hot paths read it without a lock.
//!
//! Two hashes of a unit are used. One says whether the unit takes part: below the ramp's share it does, so that a growing
//! share only ever adds units. The other says which arm it is in; that never changes while the experiment runs. Among
//! units that take part every arm has the same share at every step of the ramp, and that is what keeps day and night, or
//! the ramp itself, from looking like an effect (Simpson's paradox). Who does not take part is served by the incumbent (by
//! the winner, once there is one), is not counted, and shares no cached answer with those who are: otherwise the arm that
//! bystanders are served by would have the warmer cache.

use serde::{Deserialize, Serialize};

use super::arm::CONTROL;

/// Parts of the table for one arm; shares in the confirmation phase are multiples of one over this and the arms.
const SLOTS_PER_ARM: usize = 64;

/// What is drawn by chance, once each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Each request. The unit is its id.
    Request,
    /// Each session: all its requests are served by one arm, and count as one observation. The unit is a hash of it.
    Session,
    /// Each user, likewise.
    User,
}

/// One answer of [`Allocation::assign`]; to be sent back with the request's [`super::Event`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Assignment {
    /// Place of the arm in [`super::Spec::arms`].
    pub arm: usize,
    /// Whether its outcome is to be reported.
    pub is_counted: bool,
    /// Probability with which a counted unit gets this arm, for the log.
    pub propensity: f64,
    /// Which stage of the experiment this belongs to.
    pub epoch: u32,
    /// The block under way, in a switchback.
    pub block: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Slot {
    arm: u8,
    is_counted: bool,
}

/// Who gets which arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Allocation {
    seed: u64,
    epoch: u32,
    /// A unit takes part when its first hash is below this.
    enrolled_below: u64,
    /// Serves those who do not take part.
    others: u8,
    slots: Vec<Slot>,
    /// Shares among counted units, by arm.
    shares: Vec<f64>,
    block: Option<u64>,
}

impl Allocation {
    /// All of `arms` arms with equal shares; a unit takes part with probability `enrolled`. Arms that are not `alive` keep
    /// their places in the table, which the incumbent serves uncounted, so that no other unit changes its arm.
    pub(crate) fn equal(seed: u64, epoch: u32, alive: &[bool], enrolled: f64) -> Self {
        let slots = alive.iter().enumerate().flat_map(|(arm, is_alive)| {
            let slot = if *is_alive { Slot { arm: arm as u8, is_counted: true } } else { Slot::uncounted(CONTROL) };
            std::iter::repeat_n(slot, SLOTS_PER_ARM)
        });
        Self::from_slots(seed, epoch, CONTROL, enrolled, slots.collect(), alive.len(), None)
    }

    /// After a promotion: `winner` serves all but a share of about `holdout`, which stays with or goes back to the
    /// incumbent. The holdout is taken from the incumbent's own units. As many of the winner's own are counted: with equal
    /// traffic in each partition neither arm's cache is the warmer one.
    pub(crate) fn confirming(seed: u64, epoch: u32, arms: usize, winner: usize, holdout: f64) -> Self {
        let held = ((holdout * (SLOTS_PER_ARM * arms) as f64).round() as usize).clamp(1, SLOTS_PER_ARM);
        let of_winner = SLOTS_PER_ARM * winner..SLOTS_PER_ARM * winner + held;
        let slots = (0..SLOTS_PER_ARM * arms).map(|slot| match slot {
            slot if slot < held => Slot { arm: CONTROL as u8, is_counted: true },
            slot => Slot { arm: winner as u8, is_counted: of_winner.contains(&slot) },
        });
        Self::from_slots(seed, epoch, winner, 1.0, slots.collect(), arms, None)
    }

    /// One arm for everybody, counted in `block` or not at all.
    pub(crate) fn single(seed: u64, epoch: u32, arms: usize, arm: usize, block: Option<u64>) -> Self {
        let slots = vec![Slot { arm: arm as u8, is_counted: block.is_some() }];
        Self::from_slots(seed, epoch, arm, 1.0, slots, arms, block)
    }

    fn from_slots(
        seed: u64,
        epoch: u32,
        others: usize,
        enrolled: f64,
        slots: Vec<Slot>,
        arms: usize,
        block: Option<u64>,
    ) -> Self {
        let counted = slots.iter().filter(|slot| slot.is_counted).count().max(1);
        let of = |arm: usize| slots.iter().filter(|slot| slot.is_counted && usize::from(slot.arm) == arm).count();
        let shares = (0..arms).map(|arm| of(arm) as f64 / counted as f64).collect();
        // Conversion of a float saturates: 1 and more is everybody.
        let enrolled_below = (enrolled.clamp(0.0, 1.0) * u64::MAX as f64) as u64;
        Self { seed, epoch, enrolled_below, others: others as u8, slots, shares, block }
    }

    /// The arm for a unit: a request's id, or a hash of its session or user. Costs two multiplications a hash.
    pub fn assign(&self, unit: u64) -> Assignment {
        let slot = if mix(self.seed, unit) <= self.enrolled_below { self.slot(unit) } else { None };
        let slot = slot.unwrap_or(Slot { arm: self.others, is_counted: false });
        let arm = usize::from(slot.arm);
        Assignment {
            arm,
            is_counted: slot.is_counted,
            propensity: self.shares.get(arm).copied().unwrap_or(0.0),
            epoch: self.epoch,
            block: self.block,
        }
    }

    fn slot(&self, unit: u64) -> Option<Slot> {
        let place = (u128::from(mix(!self.seed, unit)) * self.slots.len() as u128) >> 64;
        self.slots.get(place as usize).copied()
    }

    /// Shares among counted units, by arm.
    pub fn shares(&self) -> &[f64] {
        &self.shares
    }

    /// Share of all units that take part.
    pub fn enrolled(&self) -> f64 {
        self.enrolled_below as f64 / u64::MAX as f64
    }

    /// Share of all units that an arm serves and that are counted.
    pub fn counted(&self, arm: usize) -> f64 {
        let of_arm = self.slots.iter().filter(|slot| slot.is_counted && usize::from(slot.arm) == arm).count();
        self.enrolled() * of_arm as f64 / self.slots.len().max(1) as f64
    }

    /// The one arm that serves everybody, if there is one: what the host has to have in service in a switchback.
    pub fn serving(&self) -> Option<usize> {
        match self.slots.as_slice() {
            [only] => Some(usize::from(only.arm)),
            _ => None,
        }
    }

    /// Which stage of the experiment this belongs to.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// What to mix into cache keys and flights of a request, so that no arm lives off another's answers, nor off what was
    /// cached before: all begin cold alike. `None` for one that is not counted: it goes on with the host's own answers.
    pub fn cache_partition(&self, assignment: &Assignment) -> Option<u64> {
        assignment.is_counted.then(|| mix(self.seed.rotate_left(32), assignment.arm as u64))
    }
}

impl Slot {
    fn uncounted(arm: usize) -> Self {
        Self { arm: arm as u8, is_counted: false }
    }
}

/// A well mixed hash (the finaliser of MurmurHash3, applied to seed and unit in turn).
pub(crate) fn mix(seed: u64, unit: u64) -> u64 {
    finalise(finalise(seed ^ 0x9E37_79B9_7F4A_7C15).wrapping_add(finalise(unit ^ seed)))
}

fn finalise(mut bits: u64) -> u64 {
    bits ^= bits >> 33;
    bits = bits.wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    bits ^= bits >> 33;
    bits = bits.wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    bits ^ bits >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_come_out_as_asked_and_arms_are_independent_of_enrolment() {
        for (enrolled, arms) in [(0.02, 2), (0.5, 3), (1.0, 2)] {
            let allocation = Allocation::equal(42, 0, &vec![true; arms], enrolled);
            let units = 200_000;
            let mut counts = vec![0u32; arms];
            for unit in 0..units {
                let assignment = allocation.assign(unit);
                assert!(assignment.is_counted || assignment.arm == CONTROL);
                counts[assignment.arm] += u32::from(assignment.is_counted);
            }
            let expected = enrolled * units as f64 / arms as f64;
            for count in counts {
                // Five standard deviations of a binomial count.
                assert!((f64::from(count) - expected).abs() < 5.0 * expected.sqrt(), "{count} for {expected}");
            }
        }
    }

    #[test]
    fn a_growing_share_moves_nobody_who_takes_part() {
        let steps = [0.02, 0.1, 0.2, 0.5, 1.0].map(|enrolled| Allocation::equal(7, 0, &[true; 2], enrolled));
        for unit in 0..20_000 {
            let mut arm = None;
            for step in &steps {
                let assignment = step.assign(unit);
                assert!(arm.is_none_or(|arm| assignment.is_counted && assignment.arm == arm), "unit {unit} was moved");
                arm = arm.or(assignment.is_counted.then_some(assignment.arm));
            }
            assert!(arm.is_some());
        }
    }

    #[test]
    fn a_dropped_arm_moves_nobody_in_the_others_and_a_promotion_nobody_in_the_winners() {
        let all = Allocation::equal(7, 0, &[true; 3], 1.0);
        let two = Allocation::equal(7, 1, &[true, false, true], 1.0);
        let confirming = Allocation::confirming(7, 2, 3, 2, 0.1);
        assert_eq!(two.shares(), [0.5, 0.0, 0.5]);
        assert!((confirming.counted(0) - 0.1).abs() < 0.005);
        assert_eq!((confirming.shares(), confirming.counted(2)), (&[0.5, 0.0, 0.5][..], confirming.counted(0)));
        for unit in 0..20_000 {
            let before = all.assign(unit).arm;
            let after = two.assign(unit);
            assert_eq!((after.arm, after.is_counted), if before == 1 { (0, false) } else { (before, true) });
            let Assignment { arm: confirmed, is_counted, .. } = confirming.assign(unit);
            assert!(confirmed == 2 || (confirmed == 0 && before == 0), "unit {unit}: {before} to {confirmed}");
            assert!(!is_counted || confirmed == before, "unit {unit} brings {before}'s time along to {confirmed}");
        }
    }

    #[test]
    fn seeds_draw_independently() {
        let (one, other) = (Allocation::equal(1, 0, &[true; 2], 1.0), Allocation::equal(2, 0, &[true; 2], 1.0));
        let equal = (0..10_000).filter(|unit| one.assign(*unit).arm == other.assign(*unit).arm).count();
        assert!((4_700..5_300).contains(&equal), "{equal} of 10,000");
    }

    #[test]
    fn arms_and_bystanders_share_no_answers_and_bystanders_keep_the_hosts_own() {
        let ramp = Allocation::equal(7, 0, &[true; 2], 0.5);
        let confirming = Allocation::confirming(7, 1, 2, 1, 0.1);
        let mut partitions = [std::collections::BTreeSet::new(), std::collections::BTreeSet::new()];
        for unit in 0..2_000 {
            for allocation in [&ramp, &confirming] {
                let assignment = allocation.assign(unit);
                let partition = allocation.cache_partition(&assignment);
                assert_eq!(partition.is_some(), assignment.is_counted);
                partitions[assignment.arm].extend(partition);
            }
        }
        let [incumbent, challenger] = &partitions;
        assert_eq!((incumbent.len(), challenger.len()), (1, 1), "an arm keeps its answers when its share changes");
        assert!(incumbent.is_disjoint(challenger));
        let other = Allocation::equal(8, 0, &[true; 2], 1.0);
        assert!(!incumbent.contains(&other.cache_partition(&other.assign(1)).unwrap()), "of another experiment");
    }
}
