//! How long to ask for nothing after the host refused: longer with each refusal in a row, for each scope by itself.

/// Pause after a first refusal; doubles with each further one in the same scope.
const FIRST_MS: u64 = 10_000;
/// Doublings of the pause at most (10 s to about 21 minutes).
const DOUBLINGS_MAX: u32 = 7;

/// Refusals in each scope since the last change there that went through.
#[derive(Debug, Clone, Default)]
pub struct Pauses(Vec<Pause>);

#[derive(Debug, Clone)]
struct Pause {
    scope: String,
    count: u32,
    until_ms: u64,
}

impl Pauses {
    /// Whether something may be asked for in this scope.
    pub fn is_over(&self, scope: &str, now_ms: u64) -> bool {
        self.0.iter().all(|pause| pause.scope != scope || pause.until_ms <= now_ms)
    }

    /// The host refused: pauses in this scope, twice as long as the last time.
    pub fn lengthen(&mut self, scope: &str, now_ms: u64) {
        let at = self.0.iter().position(|pause| pause.scope == scope).unwrap_or_else(|| {
            self.0.push(Pause { scope: scope.to_owned(), count: 0, until_ms: 0 });
            self.0.len() - 1
        });
        let pause = &mut self.0[at];
        pause.until_ms = now_ms + (FIRST_MS << pause.count.min(DOUBLINGS_MAX));
        pause.count += 1;
    }

    /// A change went through: the next pause in this scope is a short one again.
    pub fn end(&mut self, scope: &str) {
        self.0.retain(|pause| pause.scope != scope);
    }
}
