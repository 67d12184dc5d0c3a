//! Drives the load: so many connections, kept alive, each with one call under way. The clock of a call runs from
//! before it is written until its whole body is there.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio::time::timeout;

use super::Outcome;
use super::wire::Target;

/// No call may take longer: a server that hangs must not hang the measurement.
const LONGEST_CALL: Duration = Duration::from_secs(30);
/// Faults that are told in full.
const TOLD: usize = 3;

/// How much of it.
pub(super) struct Plan {
    pub(super) connections: usize,
    pub(super) bound: Bound,
    pub(super) warm_up: Duration,
}

/// When to stop, counted from the end of the warm-up.
#[derive(Clone, Copy)]
pub(super) enum Bound {
    Time(Duration),
    Calls(u64),
}

/// What was seen.
#[derive(Default)]
pub(super) struct Seen {
    /// How long each call took that counts, in microseconds.
    pub(super) micros: Vec<u32>,
    /// Wrong answers and broken connections, warm-up included.
    pub(super) faults: u64,
    /// The first of them.
    pub(super) told: Vec<String>,
    /// From the first call that counts to the last answer.
    pub(super) elapsed: Duration,
}

/// What the connections share; one thread has them all.
struct Shared<'a> {
    target: &'a Target,
    /// The number of the next call.
    next: Cell<u64>,
    /// Calls that count, begun.
    counted: Cell<u64>,
    seen: RefCell<Seen>,
    counts_from: Instant,
    bound: Bound,
}

/// Runs the plan against a server.
pub(super) async fn run(target: &Target, plan: &Plan) -> Outcome<Seen> {
    let mut connections = Vec::new();
    let local = LocalSet::new();
    for _ in 0..plan.connections {
        connections.push(local.run_until(connect(&target.authority)).await?);
    }
    let shared = Rc::new(Shared {
        target,
        next: Cell::new(0),
        counted: Cell::new(0),
        seen: RefCell::default(),
        counts_from: Instant::now() + plan.warm_up,
        bound: plan.bound,
    });
    let all = connections.into_iter().map(|connection| shared.clone().drive(connection));
    local.run_until(futures_util::future::join_all(all)).await;
    let mut seen = shared.seen.take();
    seen.elapsed = shared.counts_from.elapsed();
    Ok(seen)
}

type Connection = SendRequest<Full<Bytes>>;

async fn connect(authority: &str) -> Outcome<Connection> {
    let stream = TcpStream::connect(authority).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // Its end is seen by the sender.
    tokio::task::spawn_local(async move {
        let _ = connection.await;
    });
    Ok(sender)
}

impl Shared<'_> {
    async fn drive(self: Rc<Self>, mut connection: Connection) {
        while let Some(counts) = self.go_on() {
            let number = self.next.replace(self.next.get() + 1);
            let began = Instant::now();
            let fault = match timeout(LONGEST_CALL, self.call(&mut connection, number)).await {
                Ok(Ok(fault)) => fault,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("no answer in 30 s".to_owned()),
            };
            match fault {
                None if counts => {
                    let took = u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX);
                    self.seen.borrow_mut().micros.push(took);
                }
                None => {}
                Some(fault) => self.fault(fault),
            }
            if connection.is_closed() {
                match connect(&self.target.authority).await {
                    Ok(fresh) => connection = fresh,
                    Err(error) => return self.fault(error.to_string()),
                }
            }
        }
    }

    /// Whether there is another call to make, and if so, whether it counts.
    fn go_on(&self) -> Option<bool> {
        let Some(since) = Instant::now().checked_duration_since(self.counts_from) else { return Some(false) };
        let counted = self.counted.replace(self.counted.get() + 1);
        let more = match self.bound {
            Bound::Time(time) => since < time,
            Bound::Calls(calls) => counted < calls,
        };
        more.then_some(true)
    }

    async fn call(&self, connection: &mut Connection, number: u64) -> Outcome<Option<String>> {
        connection.ready().await?;
        let answer = connection.send_request(self.target.request(number)).await?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await?.to_bytes();
        Ok(self.target.fault(number, status, &body))
    }

    fn fault(&self, fault: String) {
        let mut seen = self.seen.borrow_mut();
        seen.faults += 1;
        if seen.told.len() < TOLD {
            seen.told.push(fault);
        }
    }
}
