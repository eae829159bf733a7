//! All providers, and the snapshot of them that every worker routes by.
//!
//! The snapshot is rebuilt when a provider comes or goes, its model list changes or its health changes; workers see
//! it through [`perfhost_strategy::Reader`], without a lock.

mod view;

use std::sync::Arc;

use parking_lot::Mutex;
use perfhost_strategy::Shared;
use tokio::sync::Notify;

use crate::provider::{Provider, ProviderConfig};

pub use view::{FleetView, TargetRef};

/// All providers.
#[derive(Debug)]
pub struct Fleet {
    providers: Mutex<Vec<Arc<Provider>>>,
    view: Arc<Shared<FleetView>>,
    changed: Notify,
}

impl Fleet {
    /// Without providers.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            providers: Mutex::new(Vec::new()),
            view: Arc::new(Shared::new(Arc::new(FleetView::default()))),
            changed: Notify::new(),
        })
    }

    /// Adds a provider; one with the same name is replaced. It counts as up until something else is known.
    pub fn add(self: &Arc<Self>, config: ProviderConfig) -> Arc<Provider> {
        let provider = Arc::new(Provider::new(config, Arc::downgrade(self)));
        {
            let mut providers = self.providers.lock();
            providers.retain(|known| known.name() != provider.name());
            providers.push(provider.clone());
            providers.sort_by(|a, b| a.name().cmp(b.name()));
        }
        self.refresh();
        self.changed.notify_one();
        provider
    }

    /// Takes a provider out of service and returns it; requests under way there go on.
    pub fn remove(&self, name: &str) -> Option<Arc<Provider>> {
        let removed = {
            let mut providers = self.providers.lock();
            let at = providers.iter().position(|provider| provider.name() == name)?;
            providers.remove(at)
        };
        self.refresh();
        Some(removed)
    }

    /// The provider of that name.
    pub fn provider(&self, name: &str) -> Option<Arc<Provider>> {
        self.providers.lock().iter().find(|provider| provider.name() == name).cloned()
    }

    /// All providers, sorted by name.
    pub fn providers(&self) -> Vec<Arc<Provider>> {
        self.providers.lock().clone()
    }

    /// Rebuilds the view, if anything in it would differ. Changes of models and health do this by themselves.
    pub fn refresh(&self) {
        // The lock is held until the view is stored, so that of two rebuilds the later one sees more and stays.
        let providers = self.providers.lock();
        let before = self.view.load();
        if let Some(next) = before.rebuilt(&providers) {
            self.view.store(Arc::new(next));
        }
    }

    /// What workers route by.
    pub fn view(&self) -> Arc<Shared<FleetView>> {
        self.view.clone()
    }

    /// Resolves when a provider was added.
    pub(crate) async fn added(&self) {
        self.changed.notified().await;
    }
}
