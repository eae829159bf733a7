//! One client connection: HTTP/1.1 by hyper, with closing when it idles too long, when its client does not take its answer,
//! or when the worker drains.
//!
//! hyper's own header timeout sets a timer for every request. Here one sweep per worker looks at all connections every
//! few seconds instead, so a request pays for two writes to a cell.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::answer::Answer;
use crate::client_io::{ClientIo, Taken};

/// Most bytes that one connection buffers of a request head, or of an answer that its client does not read; what the
/// provider sends beyond that waits at the provider.
const BUFFER_BYTES: usize = 256 << 10;

/// A client that takes less than this between two sweeps, while more is waiting for it, takes nothing.
const LEAST_TAKEN_BYTES: u64 = 1 << 10;

/// A client that has taken nothing for this long is cut off: its place upstream, and those who share its answer, wait for it.
const STALL: Duration = Duration::from_secs(60);

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
    /// Sweeps since it was last busy or its client last took something.
    idle_sweeps: Cell<u32>,
    taken: Arc<Taken>,
    taken_at_sweep: Cell<u64>,
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
        // Copying small answers together costs less than handing the kernel a list of them.
        http.writev(false).max_buf_size(BUFFER_BYTES);
        let io = ClientIo::new(TokioIo::new(stream), connection.taken.clone());
        let mut serving = std::pin::pin!(http.serve_connection(io, service).with_upgrades());
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

    /// Closes connections that have had no request for `limit`, and those whose client takes nothing of its answer, or a
    /// little later.
    pub(crate) fn sweep(&self, limit: Duration) {
        for connection in self.open.borrow().values() {
            connection.sweep(limit);
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
    fn sweep(&self, limit: Duration) {
        let (taken, is_busy, is_blocked) = (self.taken.bytes(), self.busy.get() > 0, self.taken.is_blocked());
        let is_taking = taken - self.taken_at_sweep.replace(taken) >= LEAST_TAKEN_BYTES;
        // A busy one that is not blocked waits for its provider.
        if (is_busy && !is_blocked) || (is_blocked && is_taking) {
            self.idle_sweeps.set(0);
            return;
        }
        self.idle_sweeps.set(self.idle_sweeps.get() + 1);
        let most = if is_blocked { limit.min(STALL) } else { limit };
        if self.idle_sweeps.get() > most.as_secs().div_ceil(SWEEP_EVERY.as_secs()) as u32 {
            self.tell(Order::Close);
        }
    }

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

#[cfg(test)]
mod tests {
    use hyper::rt::Write;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(75);
    const SWEEPS: u64 = STALL.as_secs() / SWEEP_EVERY.as_secs();

    /// A client that takes so many bytes at once, and then none.
    struct Client(usize);

    impl Write for Client {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
            let count = bytes.len().min(std::mem::take(&mut self.0));
            if count > 0 { Poll::Ready(Ok(count)) } else { Poll::Pending }
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn write(connection: &Connection, takes: usize) {
        let mut io = ClientIo::new(Client(takes), connection.taken.clone());
        let mut context = Context::from_waker(Waker::noop());
        while Pin::new(&mut io).poll_write(&mut context, &[0; 1 << 20]).is_ready() {}
    }

    fn is_closed_after(connection: &Connection, sweeps: u64) -> bool {
        (0..sweeps).for_each(|_| connection.sweep(LIMIT));
        connection.order.get() == Order::Close
    }

    #[test]
    fn a_client_that_takes_nothing_of_its_answer_is_cut_off() {
        let connection = Rc::new(Connection::default());
        let busy = Busy::begin(&connection);
        write(&connection, 1 << 20);
        assert!(!is_closed_after(&connection, 1 + SWEEPS));
        // A crumb is nothing.
        write(&connection, 1);
        assert!(is_closed_after(&connection, 1));
        drop(busy);
    }

    #[test]
    fn a_slow_client_and_a_slow_provider_are_waited_for() {
        let connection = Rc::new(Connection::default());
        let busy = Busy::begin(&connection);
        for _ in 0..10 * SWEEPS {
            write(&connection, 2 << 10);
            assert!(!is_closed_after(&connection, 1));
        }
        let waiting = Rc::new(Connection::default());
        let _waiting = Busy::begin(&waiting);
        assert!(!is_closed_after(&waiting, 10 * SWEEPS));
        // What hyper has buffered of an answer that is over is still on its way.
        drop(busy);
        for _ in 0..10 * SWEEPS {
            write(&connection, 2 << 10);
            assert!(!is_closed_after(&connection, 1));
        }
        assert!(is_closed_after(&connection, 1 + SWEEPS));
    }

    #[test]
    fn an_idle_connection_is_closed() {
        let connection = Rc::new(Connection::default());
        let sweeps = LIMIT.as_secs() / SWEEP_EVERY.as_secs();
        assert!(!is_closed_after(&connection, sweeps));
        assert!(is_closed_after(&connection, 1));
    }
}
