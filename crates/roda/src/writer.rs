//! The one thread that writes to the store: everything that waits goes into one commit.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{self as std_mpsc, TryRecvError};
use std::thread::JoinHandle;
use std::time::Duration;

use roda_proto::{Record, Snapshot, WriteId};
use roda_store::{Store, StoreError};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Writes in one commit at most.
const GROUP_MAX: usize = 512;
/// Bytes of batches in one commit at most, so that none takes long.
const GROUP_BYTES_MAX: usize = 4 << 20;
/// For how long the thread looks for the next order before it sleeps. Measured: a lone producer stores a
/// tenth more, many at once no fewer.
const LOOK_FOR: Duration = Duration::from_micros(80);
/// Pause before a store that failed is opened again.
const REOPEN_PAUSE: Duration = Duration::from_secs(1);

type Job = Box<dyn FnOnce(&mut Store) -> Result<(), StoreError> + Send>;

enum Order {
    Write {
        generation: u64,
        id: WriteId,
        records: Vec<Record>,
    },
    Do(Job),
    Reopen,
}

/// What the writer tells the driver.
pub(crate) enum Written {
    /// These survive power loss now.
    Durable(Vec<WriteId>),
    /// Nothing written since the last `Durable` may be relied on; say [`Writer::reopen`].
    Failed(StoreError),
    /// The store is open again with this content; everything ordered before is forgotten.
    Reopened(Box<Snapshot>),
}

/// The driver's end.
pub(crate) struct Writer {
    orders: Option<std_mpsc::Sender<Order>>,
    generation: u64,
    backlog: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Hands the store to a thread of its own.
    pub(crate) fn start(store: Store) -> std::io::Result<(Self, mpsc::UnboundedReceiver<Written>)> {
        let (orders, inbox) = std_mpsc::channel();
        // Bounded by the orders, which are bounded by the driver looking at the backlog.
        let (told, written) = mpsc::unbounded_channel();
        let backlog = Arc::new(AtomicUsize::new(0));
        let path = store.path().to_path_buf();
        let thread = Thread {
            store: Some(store),
            path,
            inbox,
            told,
            backlog: Arc::clone(&backlog),
            generation: 0,
        };
        let thread = std::thread::Builder::new()
            .name("roda-writer".into())
            .spawn(|| thread.run())?;
        Ok((
            Self {
                orders: Some(orders),
                generation: 0,
                backlog,
                thread: Some(thread),
            },
            written,
        ))
    }

    fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            // The thread ends only after this sender is dropped.
            let _ended = orders.send(order);
        }
    }

    /// Makes records durable; confirmed by [`Written::Durable`] in order.
    pub(crate) fn write(&self, id: WriteId, records: Vec<Record>) {
        self.backlog.fetch_add(len_of(&records), Relaxed);
        self.order(Order::Write {
            generation: self.generation,
            id,
            records,
        });
    }

    /// Does something else with the store, in order with the writes.
    pub(crate) fn run(
        &self,
        job: impl FnOnce(&mut Store) -> Result<(), StoreError> + Send + 'static,
    ) {
        self.order(Order::Do(Box::new(job)));
    }

    /// Forgets all that is not durable yet and reads the store again.
    pub(crate) fn reopen(&mut self) {
        self.generation += 1;
        self.order(Order::Reopen);
    }

    /// Bytes that wait to be written.
    pub(crate) fn backlog(&self) -> usize {
        self.backlog.load(Relaxed)
    }

    /// Finishes what was ordered and closes the store.
    pub(crate) fn close(mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writer thread panicked");
        }
    }
}

fn len_of(records: &[Record]) -> usize {
    let of = |record: &Record| match record {
        Record::Batch(batch) => batch.bytes().len(),
        _small => 64,
    };
    records.iter().map(of).sum()
}

struct Thread {
    store: Option<Store>,
    path: PathBuf,
    inbox: std_mpsc::Receiver<Order>,
    told: mpsc::UnboundedSender<Written>,
    backlog: Arc<AtomicUsize>,
    generation: u64,
}

impl Thread {
    fn run(mut self) {
        let mut next = self.inbox.recv().ok();
        while let Some(order) = next.take() {
            match order {
                Order::Write {
                    generation,
                    id,
                    records,
                } => {
                    next = self.write_group(generation, id, records);
                }
                Order::Do(job) => {
                    let done = self.store.as_mut().map(job);
                    if let Some(Err(error)) = done {
                        self.fail(error);
                    }
                }
                Order::Reopen => self.reopen(),
            }
            if next.is_none() {
                next = self.next();
            }
        }
    }

    /// Who waits for one write before the next comes back at once: to be woken costs more than to look.
    fn next(&self) -> Option<Order> {
        let start = Instant::now();
        while start.elapsed() < LOOK_FOR {
            match self.inbox.try_recv() {
                Ok(order) => return Some(order),
                Err(TryRecvError::Empty) => std::hint::spin_loop(),
                Err(TryRecvError::Disconnected) => return None,
            }
        }
        self.inbox.recv().ok()
    }

    /// Writes this and all that already waits in one commit; returns the first order of another kind.
    fn write_group(&mut self, generation: u64, id: WriteId, records: Vec<Record>) -> Option<Order> {
        let mut len = len_of(&records);
        let (mut ids, mut all) = (vec![id], records);
        let mut other = None;
        while ids.len() < GROUP_MAX && len < GROUP_BYTES_MAX {
            match self.inbox.try_recv() {
                Ok(Order::Write {
                    generation: of,
                    id,
                    records,
                }) if of == generation => {
                    len += len_of(&records);
                    ids.push(id);
                    all.extend(records);
                }
                Ok(order) => {
                    other = Some(order);
                    break;
                }
                Err(_empty) => break,
            }
        }
        self.backlog.fetch_sub(len, Relaxed);
        if generation == self.generation
            && let Some(store) = &mut self.store
        {
            match store.append(&all) {
                Ok(()) => self.tell(Written::Durable(ids)),
                Err(error) => self.fail(error),
            }
        }
        other
    }

    fn fail(&mut self, error: StoreError) {
        tracing::error!(%error, "the store failed");
        // Whether the commit is on disk is known only after opening again.
        self.store = None;
        self.tell(Written::Failed(error));
    }

    fn reopen(&mut self) {
        self.generation += 1;
        if self.store.is_none() {
            std::thread::sleep(REOPEN_PAUSE);
        }
        self.store = None;
        let opened = Store::open(&self.path).and_then(|store| {
            let snapshot = store.snapshot()?;
            Ok((store, snapshot))
        });
        match opened {
            Ok((store, snapshot)) => {
                self.store = Some(store);
                self.tell(Written::Reopened(Box::new(snapshot)));
            }
            Err(error) => self.fail(error),
        }
    }

    fn tell(&self, written: Written) {
        // The driver may be gone already; then nobody wants to know.
        let _gone = self.told.send(written);
    }
}
