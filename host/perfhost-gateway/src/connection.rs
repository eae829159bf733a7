//! One client connection: HTTP/1.1 by hyper, with closing when it idles too long or when the worker drains.
//!
//! hyper's own header timeout sets a timer for every request. Here one sweep per worker looks at all connections every
//! few seconds instead, so a request pays for two writes to a cell.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::answer::Answer;

/// Most bytes that one connection buffers of a request head, or of an answer that its client does not read.
const BUFFER_BYTES: usize = 256 << 10;

/// How often idle connections are looked for.
pub(crate) const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// The connections of one worker.
#[derive(Default)]
pub(crate) struct Connections {
    open: RefCell<HashMap<u64, Rc<Connection>>>,
    opened: Cell<u64>,
    is_draining: Cell<bool>,
}

/// What a connection and its worker say to each other.
#[derive(Default)]
pub(crate) struct Connection {
    /// Requests read whose answers have not ended.
    busy: Cell<u32>,
    /// The last answer only tells of the host itself; nothing is lost with what the client has not read of it.
    is_watching: Cell<bool>,
    /// Sweeps since it was last busy.
    idle_sweeps: Cell<u32>,
    order: Cell<Order>,
    waker: RefCell<Option<Waker>>,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Order {
    #[default]
    Serve,
    Finish,
    Close,
}

/// A request under way on a connection, which therefore is not idle.
pub(crate) struct Busy(Rc<Connection>);

impl Connections {
    /// Serves one connection to its end. `handle` gets every request with its busy mark.
    pub(crate) async fn serve<H, F>(&self, stream: TcpStream, handle: H)
    where
        H: Fn(Request<Incoming>, Busy) -> F,
        F: Future<Output = Response<Answer>>,
    {
        let connection = Rc::new(Connection::default());
        if self.is_draining.get() {
            return;
        }
        let _entry = self.enter(connection.clone());
        // Answers are written whole or as they stream; waiting to fill a packet would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "could not set TCP_NODELAY on a client connection");
        }
        let service = service_fn(|request| {
            let answering = handle(request, Busy::begin(&connection));
            async move { Ok::<_, std::convert::Infallible>(answering.await) }
        });
        let mut http = http1::Builder::new();
        http.pipeline_flush(true).max_buf_size(BUFFER_BYTES);
        let mut serving = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service).with_upgrades());
        let mut is_finishing = false;
        let served = std::future::poll_fn(|context| {
            match connection.listen(context) {
                Order::Close => return Poll::Ready(Ok(())),
                Order::Finish if !is_finishing => {
                    is_finishing = true;
                    serving.as_mut().graceful_shutdown();
                }
                _ => {}
            }
            Pin::new(&mut serving).poll(context)
        });
        if let Err(error) = served.await {
            tracing::debug!(%error, "client connection ended");
        }
    }

    /// Closes connections that have had no request for `limit` or a little longer.
    pub(crate) fn sweep(&self, limit: Duration) {
        let most = limit.as_secs().div_ceil(SWEEP_EVERY.as_secs()) as u32;
        for connection in self.open.borrow().values().filter(|connection| connection.busy.get() == 0) {
            connection.idle_sweeps.set(connection.idle_sweeps.get() + 1);
            if connection.idle_sweeps.get() > most {
                connection.tell(Order::Close);
            }
        }
    }

    /// Closes idle connections now and the others after the answer under way. New ones are closed at once.
    pub(crate) fn drain(&self) {
        self.is_draining.set(true);
        for connection in self.open.borrow().values() {
            connection.tell(Order::Finish);
        }
    }

    /// Cuts off clients that only watch and have not taken their last event.
    pub(crate) fn cut_watchers(&self) {
        for connection in self.open.borrow().values().filter(|connection| connection.is_watching.get()) {
            connection.tell(Order::Close);
        }
    }

    fn enter(&self, connection: Rc<Connection>) -> Entered<'_> {
        let number = self.opened.get();
        self.opened.set(number + 1);
        self.open.borrow_mut().insert(number, connection);
        Entered { connections: self, number }
    }
}

impl Connection {
    fn tell(&self, order: Order) {
        self.order.set(order);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    fn listen(&self, context: &Context<'_>) -> Order {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
        self.order.get()
    }
}

impl Busy {
    fn begin(connection: &Rc<Connection>) -> Self {
        connection.busy.set(connection.busy.get() + 1);
        connection.is_watching.set(false);
        Self(connection.clone())
    }

    /// Its answer only tells of the host itself.
    pub(crate) fn only_watches(&self) {
        self.0.is_watching.set(true);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.set(self.0.busy.get() - 1);
        self.0.idle_sweeps.set(0);
    }
}

/// An entry in [`Connections`], removed when dropped.
struct Entered<'a> {
    connections: &'a Connections,
    number: u64,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.connections.open.borrow_mut().remove(&self.number);
    }
}
