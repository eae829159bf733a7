//! Where one worker records: a buffer of its own, so that its lock is free whenever it asks, except for the moment in
//! which a tick swaps the buffer for an empty one.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::profile::Slowest;
use crate::record::RequestRecord;
use crate::series::SeriesId;
use crate::tally::Tally;

/// Ticks for which a series that nothing was recorded of keeps its memory in a shard.
const IDLE_TICKS: u32 = 60;

/// One worker's recording. Cheap to make; make one per worker, not per request.
pub struct Recorder {
    /// `None` where nothing is to be recorded.
    shard: Option<Arc<Shard>>,
}

/// The worker's side of a shard: what was recorded since the last tick.
#[derive(Default)]
pub(crate) struct Shard {
    front: Mutex<Buffer>,
}

/// The ticks' side of a shard.
pub(crate) struct Drain {
    shard: Arc<Shard>,
    back: Buffer,
}

#[derive(Default)]
struct Buffer {
    /// By the series' number.
    slots: Vec<Option<Box<Slot>>>,
    /// Series that something was recorded of.
    touched: Vec<SeriesId>,
    slowest: Slowest,
}

#[derive(Default)]
struct Slot {
    is_touched: bool,
    idle_ticks: u32,
    tally: Tally,
}

impl Recorder {
    /// One that forgets everything at once.
    pub(crate) fn of_nothing() -> Self {
        Self { shard: None }
    }

    /// Adds one finished request. Takes no more than a fraction of a microsecond; allocates nothing once the series is
    /// known to this worker.
    pub fn record(&self, record: &RequestRecord) {
        let Some(shard) = &self.shard else { return };
        let mut buffer = shard.front.lock();
        buffer.tally(record.series).add(record);
        buffer.slowest.add(record);
    }

    /// Adds tokens at the moment they were generated, so that the rate of tokens is smooth while long answers run. This
    /// alone feeds `tokens_per_second`: call it for every answer that a provider generates, streamed (per chunk) or
    /// whole (once), and not for answers from the cache or shared with another request.
    pub fn tokens(&self, series: SeriesId, tokens: u32) {
        if let Some(shard) = &self.shard {
            shard.front.lock().tally(series).add_tokens(tokens);
        }
    }
}

impl Drain {
    /// A shard, seen from both sides.
    pub(crate) fn new() -> (Recorder, Drain) {
        let shard = Arc::new(Shard::default());
        (Recorder { shard: Some(shard.clone()) }, Drain { shard, back: Buffer::default() })
    }

    /// Hands over everything recorded since the last call, sums and slowest requests. Returns false when the recorder is
    /// gone and no more can come.
    pub(crate) fn drain(&mut self, mut each: impl FnMut(SeriesId, &Tally), slow: impl FnMut(RequestRecord)) -> bool {
        // Asked before the swap: what was recorded before the recorder was dropped is then in the front.
        let is_recording = Arc::strong_count(&self.shard) > 1;
        std::mem::swap(&mut *self.shard.front.lock(), &mut self.back);
        for id in self.back.touched.drain(..) {
            if let Some(Some(slot)) = self.back.slots.get_mut(id.index()) {
                each(id, &slot.tally);
                slot.tally.clear();
                (slot.is_touched, slot.idle_ticks) = (false, 0);
            }
        }
        self.back.slowest.drain().for_each(slow);
        for slot in &mut self.back.slots {
            // A buffer is drained every second tick.
            if slot.as_mut().is_some_and(|slot| {
                slot.idle_ticks += 2;
                slot.idle_ticks > IDLE_TICKS
            }) {
                *slot = None;
            }
        }
        is_recording
    }
}

impl Buffer {
    #[inline]
    fn tally(&mut self, series: SeriesId) -> &mut Tally {
        let at = series.index();
        if at >= self.slots.len() {
            self.slots.resize_with(at + 1, || None);
        }
        let slot = self.slots[at].get_or_insert_default();
        if !slot.is_touched {
            slot.is_touched = true;
            self.touched.push(series);
        }
        &mut slot.tally
    }
}
