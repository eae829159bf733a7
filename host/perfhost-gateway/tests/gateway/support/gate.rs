//! Holds a provider's answers back until the test lets them through.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Closed at first.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Gate {
    pub(crate) fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// For this many that wait, or will come.
    pub(crate) fn open_for(&self, answers: usize) {
        self.0.add_permits(answers);
    }

    pub(crate) async fn pass(&self) {
        self.0.acquire().await.unwrap().forget();
    }
}
