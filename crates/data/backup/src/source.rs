//! Where the bytes of a backup or a restore come from.

use crate::error::Doing;
use crate::{Entry, Held, Piece, Result, Target};
use async_trait::async_trait;
use std::fs::File;
use std::io::{self, Read};

/// Takes bytes one after the other.
pub type Sink<'a> = &'a mut (dyn FnMut(&[u8]) -> io::Result<()> + Send);

/// How much is read at once.
const CHUNK: usize = 1 << 20;

/// Gives files.
#[async_trait]
pub trait Source: Send + Sync {
    /// Gives the first `size` bytes of a file.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be read whole, or when the sink refuses.
    async fn read(&self, entry: &Entry, sink: Sink<'_>) -> Result<()>;
}

/// Gives `size` bytes of an open file.
pub(crate) fn pour(file: File, size: u64, sink: Sink<'_>) -> io::Result<()> {
    let mut left = size;
    let mut file = file.take(size);
    let mut chunk = vec![0; CHUNK.min(size.max(1) as usize)];
    while left > 0 {
        match file.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                sink(&chunk[..count])?;
                left -= count as u64;
            }
        }
    }
    Ok(())
}

/// Gives the files of a moment that is held.
pub trait Origin: Send + Sync {
    /// Gives the bytes of a file, as often as asked.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be read whole, or when the sink refuses.
    fn pour(&self, piece: &Piece, sink: Sink<'_>) -> Result<()>;
}

impl Origin for Held {
    fn pour(&self, piece: &Piece, sink: Sink<'_>) -> Result<()> {
        let path = self.path(piece);
        let poured = File::open(&path).and_then(|file| pour(file, piece.size, sink));
        poured.doing(|| format!("cannot copy {}", piece.path))
    }
}

#[async_trait]
impl Source for Held {
    async fn read(&self, entry: &Entry, sink: Sink<'_>) -> Result<()> {
        self.pour(&entry.piece, sink)
    }
}

#[async_trait]
impl Source for Target {
    async fn read(&self, entry: &Entry, sink: Sink<'_>) -> Result<()> {
        self.fetch(&entry.sha256, entry.piece.size, sink).await
    }
}
