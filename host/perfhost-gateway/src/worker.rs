//! What one worker thread owns: connections to providers, its recorder, and its view of what others replace.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use perfhost_strategy::plan::Operation;
use perfhost_strategy::settings::ProviderSettings;
use perfhost_strategy::{Generation, Reader, Settings};
use perfhost_telemetry::series::OTHER;
use perfhost_telemetry::{Recorder, SeriesId};
use perfhost_upstream::{Client, FleetView};
use tokio::task::JoinSet;

use crate::answer::Answer;
use crate::connection::Busy;
use crate::experiment::LiveExperiment;
use crate::feed::Feed;
use crate::headers::RequestIds;
use crate::planning::Watch;
use crate::router;
use crate::services::Services;
use crate::shutdown::{Shutdown, Stage};

/// One worker thread's own. Never leaves its thread.
pub(crate) struct Worker {
    services: Arc<Services>,
    client: Client,
    recorder: Recorder,
    feed: Feed,
    shutdown: Shutdown,
    request_ids: RequestIds,
    readers: RefCell<Readers>,
    view: RefCell<Rc<View>>,
    /// Answers that outlive their client because equal requests share them.
    background: RefCell<JoinSet<()>>,
    is_stopping: Cell<bool>,
}

struct Readers {
    settings: Reader<Settings>,
    generation: Reader<Generation>,
    fleet: Reader<FleetView>,
    experiment: Reader<Option<LiveExperiment>>,
}

/// Settings, strategy and fleet as one request sees them from beginning to end, with what is derived from them.
pub(crate) struct View {
    pub(crate) settings: Arc<Settings>,
    pub(crate) generation: Arc<Generation>,
    pub(crate) fleet: Arc<FleetView>,
    /// By the fleet's provider index.
    pub(crate) providers: Vec<ProviderView>,
    /// The strategy as `name@version`.
    pub(crate) strategy: HeaderValue,
    pub(crate) watch: Rc<Watch>,
    series: RefCell<HashMap<SeriesKey, SeriesId>>,
    pub(crate) experiment: Arc<Option<LiveExperiment>>,
    /// What requests of each arm of the experiment see.
    pub(crate) arms: Vec<Rc<View>>,
}

/// Indexes of provider and model in the view's fleet.
type SeriesKey = (Option<usize>, u32, Operation);

/// What a request needs to know of a provider besides its state.
pub(crate) struct ProviderView {
    pub(crate) settings: ProviderSettings,
    pub(crate) name: HeaderValue,
}

impl Worker {
    pub(crate) fn new(services: Arc<Services>, workers: usize, feed: Feed, shutdown: Shutdown) -> Self {
        let mut readers = Readers {
            settings: Reader::new(services.settings.clone()),
            generation: Reader::new(services.generation.clone()),
            fleet: Reader::new(services.fleet.view()),
            experiment: Reader::new(services.experiment.clone()),
        };
        let view = View::of(&mut readers, None);
        Self {
            client: Client::new(services.tls.clone()).with_workers(workers),
            recorder: services.telemetry.recorder(),
            feed,
            shutdown,
            request_ids: RequestIds::new(),
            readers: RefCell::new(readers),
            view: RefCell::new(Rc::new(view)),
            background: RefCell::new(JoinSet::new()),
            is_stopping: Cell::new(false),
            services,
        }
    }

    /// Answers one request, whatever it is.
    pub(crate) async fn handle(self: Rc<Self>, request: Request<Incoming>, busy: Busy) -> Response<Answer> {
        let mut response = router::route(&self, request).await;
        response.body_mut().keep_busy(busy);
        response
    }

    pub(crate) fn services(&self) -> &Arc<Services> {
        &self.services
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    pub(crate) fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Resolves when the host begins to drain.
    pub(crate) fn draining(&self) -> impl Future<Output = ()> + 'static {
        let mut shutdown = self.shutdown.clone();
        async move { shutdown.reached(Stage::Draining).await }
    }

    /// For the answer's header, and as a number.
    pub(crate) fn next_request_id(&self) -> (HeaderValue, u64) {
        self.request_ids.next()
    }

    /// The newest view. Four atomic loads when nothing changed.
    pub(crate) fn view(&self) -> Rc<View> {
        let mut readers = self.readers.borrow_mut();
        let mut view = self.view.borrow_mut();
        if !view.is_current(&mut readers) {
            *view = Rc::new(View::of(&mut readers, Some(&view)));
        }
        view.clone()
    }

    /// Runs `task` on this thread though no connection waits for it.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        if self.is_stopping.get() {
            return;
        }
        let mut background = self.background.borrow_mut();
        while background.try_join_next().is_some() {}
        background.spawn_local(task);
    }

    /// Waits for what [`Worker::spawn`] started.
    pub(crate) async fn finish_background(&self) {
        let mut tasks = self.background.take();
        while tasks.join_next().await.is_some() {}
    }

    /// Nothing is started any more.
    pub(crate) fn stop(&self) {
        self.is_stopping.set(true);
        self.background.take();
    }

    /// Gives back what is idle.
    pub(crate) fn trim(&self) {
        self.client.trim();
    }

    /// The series of a request. `provider` is `None` when it went to none; `model` is its index in the fleet and its name.
    pub(crate) fn series(
        &self,
        view: &View,
        provider: Option<usize>,
        model: (u32, &str),
        operation: Operation,
    ) -> SeriesId {
        let (index, model) = model;
        let name = |index: usize| view.fleet.providers.get(index).map_or("", |provider| provider.name());
        // A name that nobody serves is the client's invention, and there are only so many series.
        let model = if provider.is_none() && index == FleetView::UNLISTED_MODEL { OTHER } else { model };
        let intern = || {
            let provider = provider.map_or("", name);
            self.services.telemetry.series(provider, model, view.strategy.to_str().unwrap_or_default(), operation)
        };
        // Only listed models are remembered here: the names of others are the clients' to invent.
        match index {
            FleetView::UNLISTED_MODEL => intern(),
            _ => *view.series.borrow_mut().entry((provider, index, operation)).or_insert_with(intern),
        }
    }
}

impl View {
    fn of(readers: &mut Readers, before: Option<&Rc<View>>) -> Self {
        let settings = readers.settings.get().clone();
        let generation = readers.generation.get().clone();
        let fleet = readers.fleet.get().clone();
        let experiment = readers.experiment.get().clone();
        // A generation that served in the view before keeps its watch, whether as an arm or not.
        let watch = |generation: &Arc<Generation>| {
            let known = before.iter().flat_map(|before| std::iter::once(*before).chain(&before.arms));
            known.filter(|view| Arc::ptr_eq(&view.generation, generation)).map(|view| view.watch.clone()).next()
        };
        let arms = experiment.iter().flat_map(|experiment| &experiment.arms).map(|arm| {
            let settings = arm.settings.as_ref().unwrap_or(&settings).clone();
            Rc::new(Self::single(settings, arm.generation.clone(), fleet.clone(), watch(&arm.generation)))
        });
        let arms = arms.collect();
        let watch = watch(&generation);
        Self { arms, experiment, ..Self::single(settings, generation, fleet, watch) }
    }

    /// Without an experiment.
    fn single(
        settings: Arc<Settings>,
        generation: Arc<Generation>,
        fleet: Arc<FleetView>,
        watch: Option<Rc<Watch>>,
    ) -> Self {
        let identity = generation.strategy.identity();
        let providers = fleet.providers.iter().map(|provider| ProviderView {
            settings: settings.provider(provider.name()),
            name: header_value(provider.name()),
        });
        Self {
            providers: providers.collect(),
            strategy: header_value(&format!("{}@{}", identity.name, identity.version)),
            watch: watch.unwrap_or_default(),
            series: RefCell::default(),
            settings,
            generation,
            fleet,
            experiment: Arc::default(),
            arms: Vec::new(),
        }
    }

    fn is_current(&self, readers: &mut Readers) -> bool {
        Arc::ptr_eq(&self.settings, readers.settings.get())
            && Arc::ptr_eq(&self.generation, readers.generation.get())
            && Arc::ptr_eq(&self.fleet, readers.fleet.get())
            && Arc::ptr_eq(&self.experiment, readers.experiment.get())
    }
}

/// Names may hold what a header may not; those bytes become `?`.
fn header_value(text: &str) -> HeaderValue {
    let visible: String = text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
    HeaderValue::from_str(&visible).unwrap_or(HeaderValue::from_static("?"))
}
