//! Failures a test can order.

use iceberg::{Error, ErrorKind, Result};
use parking_lot::Mutex;

/// Where to fail, once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// Metadata is written, the pointer is not moved: a crash or a full disk.
    BeforeSwap,
    /// The pointer moved but the answer is lost.
    AfterSwap,
}

/// Ordered failures, oldest first.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    /// Orders one.
    pub fn order(&self, fault: Fault) {
        self.0.lock().push(fault);
    }

    pub(super) fn before_swap(&self) -> Result<()> {
        self.fail(Fault::BeforeSwap)
    }

    pub(super) fn after_swap(&self) -> Result<()> {
        self.fail(Fault::AfterSwap)
    }

    fn fail(&self, at: Fault) -> Result<()> {
        let mut ordered = self.0.lock();
        if ordered.first() == Some(&at) {
            ordered.remove(0);
            return Err(Error::new(ErrorKind::Unexpected, format!("ordered failure {at:?}")));
        }
        Ok(())
    }
}
