//! Salts of cookieless counting: one per day, forgotten when the day cannot be counted any more.

use crate::Result;
use async_trait::async_trait;
use jiff::civil::Date;

/// Salts at rest.
#[async_trait]
pub trait Store: Send + Sync {
    /// Gives the salt of a day, which becomes `fresh` (random bytes of the caller) when it has none yet.
    ///
    /// Every caller gets the same bytes, whoever was first; they are durable before this returns.
    /// One salt serves all projects: the hash it keys holds the project.
    async fn salt(&self, day: Date, fresh: [u8; 16]) -> Result<[u8; 16]>;

    /// Forgets the salts of all days before `day`: nobody can link visitors of those days any more.
    async fn forget_salts(&self, day: Date) -> Result<()>;
}
