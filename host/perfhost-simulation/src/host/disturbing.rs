//! Disturbances: what goes wrong while they hold.

use super::Host;
use super::provider::Serving;
use crate::moment::Moment;
use crate::operator::Operator;
use crate::scenario::Effect;

impl<O: Operator> Host<'_, O> {
    /// A disturbance begins or ends: what holds is worked out anew.
    pub(super) fn disturb(&mut self) {
        let now = self.now;
        let holding =
            self.scenario.disturbances.iter().filter(|one| {
                Moment::from_seconds(one.at_s) <= now && now < Moment::from_seconds(one.at_s + one.for_s)
            });
        let effects: Vec<&Effect> = holding.map(|one| &one.effect).collect();
        let more = effects.iter().map(|effect| if let Effect::Memory { bytes } = effect { *bytes } else { 0 });
        self.other_bytes = self.scenario.machine.other_bytes.saturating_add(more.sum());
        for at in 0..self.providers.len() {
            let name = &self.fleet.provider_names[at];
            let (mut slower, mut failing, mut is_down) = (1.0, 0.0_f64, false);
            for effect in &effects {
                match effect {
                    Effect::Slower { provider, factor } if provider == name => slower *= factor,
                    Effect::Failing { provider, share } if provider == name => failing = failing.max(*share),
                    Effect::Down { provider } if provider == name => is_down = true,
                    _ => {}
                }
            }
            self.disturb_provider(at, slower, failing, is_down);
        }
    }

    fn disturb_provider(&mut self, at: usize, slower: f64, failing: f64, is_down: bool) {
        let provider = &mut self.providers[at];
        let was_down = std::mem::replace(&mut provider.is_down, is_down);
        (provider.slower, provider.failing) = (slower, failing);
        if let Serving::Engine(machine) = &mut provider.serving {
            machine.advance(self.now);
            machine.slower = slower;
            if is_down && !was_down {
                machine.fail();
            } else if was_down && !is_down {
                machine.recover(self.now);
            }
        }
        if is_down && !was_down {
            for attempt in provider.under_way.clone() {
                self.count_tokens(attempt.call);
                self.broke(attempt);
            }
        }
        self.hear(at);
    }
}
