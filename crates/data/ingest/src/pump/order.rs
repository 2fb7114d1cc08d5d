//! What others ask of the pump between two turns: forgetting a person at a moment of the log.
//!
//! Only the pump knows when everything that arrived before the request is committed and nothing later is folded. At that
//! moment it deletes the person, notes what the tables hold, and lets go of what it remembers of the project: whatever
//! comes with the same ids afterwards is a new person.

use super::Pump;
use crate::commit::Stores;
use crate::error::{Error, Kind};
use event::Reach;
use metastore::Erasure;
use tokio::sync::{mpsc, oneshot};

/// Orders that wait; those who ask more wait to ask.
const WAITING: usize = 8;

/// An order on its way.
pub(super) struct Order {
    erasure: i64,
    answer: oneshot::Sender<Result<Erasure, Error>>,
}

/// Where orders are given. Cloning it is cheap.
#[derive(Clone)]
pub struct Orders(mpsc::Sender<Order>);

/// Where the pump takes them from.
pub(super) struct Desk {
    orders: mpsc::Receiver<Order>,
    sender: Orders,
    /// The order at hand, and how far the log must be folded before.
    at_hand: Option<(Reach, Order)>,
}

impl Orders {
    /// Forgets the person of an erasure that the metastore knows, after everything that is durable in the log now.
    ///
    /// # Errors
    /// `Unavailable` when something cannot be stored now or the pump has ended: nothing was forgotten, ask again.
    pub async fn forget(&self, erasure: i64) -> Result<Erasure, Error> {
        let ended = || Error::new(Kind::Unavailable, "the pump has ended");
        let (answer, answered) = oneshot::channel();
        self.0.send(Order { erasure, answer }).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

impl Desk {
    pub(super) fn open() -> Self {
        let (sender, orders) = mpsc::channel(WAITING);
        Self { orders, sender: Orders(sender), at_hand: None }
    }

    /// Whether an order waits for its time.
    pub(super) fn is_busy(&self) -> bool {
        self.at_hand.is_some()
    }

    /// Waits for an order that comes after `durable` of the log.
    pub(super) async fn wait(&mut self, durable: impl Fn() -> Reach) {
        // The sender above is never dropped: an order comes, or none for ever.
        if let Some(order) = self.orders.recv().await {
            self.at_hand = Some((durable(), order));
        }
    }
}

/// How far the log is durable now.
pub(super) fn durable(stores: &Stores) -> Reach {
    stores.log.iter().map(|log| log.durable().0).collect::<Vec<_>>().into()
}

impl Pump {
    /// Where orders to this pump are given.
    pub fn orders(&self) -> Orders {
        self.desk.sender.clone()
    }

    /// Carries out the order at hand when its time has come.
    pub(super) async fn obey(&mut self) -> Result<(), Error> {
        if self.desk.at_hand.is_none()
            && let Ok(order) = self.desk.orders.try_recv()
        {
            self.desk.at_hand = Some((durable(&self.stores), order));
        }
        let next = &self.next;
        let Some((_, order)) = self.desk.at_hand.take_if(|(from, _)| !from.is_beyond(next)) else {
            return Ok(());
        };
        let forgotten = self.forget(order.erasure).await?;
        // Whoever asked may have gone: the metastore knows what was done.
        let _ = order.answer.send(forgotten);
        Ok(())
    }

    /// The outer error ends the pump, the inner one is the answer.
    async fn forget(&mut self, erasure: i64) -> Result<Result<Erasure, Error>, Error> {
        self.settle().await?;
        self.begin().await?;
        self.settle().await?;
        if !self.pause.is_zero() || self.committed != self.next {
            let text = "what was received before cannot be committed now; see the warnings in the log";
            return Ok(Err(Error::new(Kind::Unavailable, text)));
        }
        let marks = self.stores.warehouse.marks().map_err(Error::from_table)?;
        let marks = serde_json::to_string(&marks)
            .map_err(|error| Error::because(Kind::Bug, "write marks of the tables", error))?;
        let forgotten = match self.stores.metastore.forget_person(erasure, &marks).await {
            Ok(forgotten) => forgotten,
            Err(error) => return Ok(Err(Error::from_metastore(error))),
        };
        // Everything of the project is in the metastore, so nothing is lost by letting go of it.
        self.projects.remove(&forgotten.project);
        Ok(Ok(forgotten))
    }
}
