//! One file of keys that were seen: sorted, with a Bloom filter in front, so that "new" is usually answered
//! from memory and "seen" costs one short read.
//!
//! ```text
//! 8 bytes   magic "TNRCSEEN"
//! 8 bytes   first log offset covered        8 bytes  end log offset (exclusive)
//! 8 bytes   number of keys                  8 bytes  newest arrival among them, microseconds
//! 8 bytes   words of the filter             n*8      the filter
//! count*16  keys, big endian, ascending
//! 4 bytes   crc32 of everything before
//! ```

use crate::error::{Error, Kind};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"TNRCSEEN";
const HEADER: usize = 48;
/// Ten bits a key give about one false positive in a hundred.
const BITS_PER_KEY: usize = 10;
const PROBES: u64 = 7;

/// What a run covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First log offset.
    pub from: u64,
    /// Log offset after the last.
    pub to: u64,
    /// Newest arrival, microseconds since 1970.
    pub newest: i64,
}

/// A run on disk with its filter in memory.
#[derive(Debug)]
pub struct Run {
    /// What it covers.
    pub span: Span,
    /// How many keys.
    pub count: u64,
    path: PathBuf,
    file: File,
    filter: Vec<u64>,
}

impl Run {
    /// Writes sorted `keys` to a new file in `dir` and syncs file and folder.
    pub fn write(dir: &Path, span: Span, keys: &[u128]) -> Result<Self, Error> {
        let path = dir.join(format!("{:020}-{:020}.seen", span.from, span.to));
        let fail = |e| unavailable(&path, "write", e);
        let words = (keys.len() * BITS_PER_KEY).div_ceil(64).max(1);
        let mut filter = vec![0_u64; words];
        for key in keys {
            for bit in bits(*key, words) {
                filter[bit / 64] |= 1 << (bit % 64);
            }
        }
        let mut out = Vec::with_capacity(HEADER + words * 8 + keys.len() * 16 + 4);
        out.extend_from_slice(MAGIC);
        for word in [span.from, span.to, keys.len() as u64, span.newest.cast_unsigned(), words as u64] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        filter.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
        keys.iter().for_each(|key| out.extend_from_slice(&key.to_be_bytes()));
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());

        let partial = path.with_extension("partial");
        let mut file = File::create(&partial).map_err(fail)?;
        file.write_all(&out).map_err(fail)?;
        file.sync_all().map_err(fail)?;
        telemetry::fail_point!("ingest.before_seen_rename");
        std::fs::rename(&partial, &path).map_err(fail)?;
        telemetry::fail_point!("ingest.after_seen_rename");
        File::open(dir).and_then(|d| d.sync_all()).map_err(fail)?;
        telemetry::fail_point!("ingest.after_seen_file");
        Self::open(&path)
    }

    /// Opens a run, verifying its checksum.
    ///
    /// # Errors
    /// `Corrupt` names the file; deleting it only narrows the window in which repeats are recognised.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(|e| unavailable(path, "read", e))?;
        let corrupt = || {
            Error::new(
                Kind::Corrupt,
                format!(
                    "{} is damaged; delete it to go on (repeats of the events it covers are then not recognised)",
                    path.display()
                ),
            )
        };
        let (content, crc) = bytes.split_last_chunk::<4>().ok_or_else(corrupt)?;
        if content.len() < HEADER
            || &content[..8] != MAGIC
            || crc32fast::hash(content) != u32::from_le_bytes(*crc)
        {
            return Err(corrupt());
        }
        let word = |at: usize| content[at..at + 8].try_into().map(u64::from_le_bytes).map_err(|_| corrupt());
        let (count, words) = (word(24)?, word(40)? as usize);
        if content.len() as u64 != HEADER as u64 + words as u64 * 8 + count * 16 || words == 0 {
            return Err(corrupt());
        }
        let filter = (0..words).map(|i| word(HEADER + i * 8)).collect::<Result<_, _>>()?;
        let span = Span { from: word(8)?, to: word(16)?, newest: word(32)?.cast_signed() };
        let file = File::open(path).map_err(|e| unavailable(path, "open", e))?;
        Ok(Self { span, count, path: path.to_owned(), file, filter })
    }

    /// Whether `key` is in the run.
    pub fn contains(&self, key: u128) -> Result<bool, Error> {
        let words = self.filter.len();
        if !bits(key, words).all(|bit| self.filter[bit / 64] & (1 << (bit % 64)) != 0) {
            return Ok(false);
        }
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.key(middle)?.cmp(&key) {
                std::cmp::Ordering::Equal => return Ok(true),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(false)
    }

    /// All keys, ascending.
    pub fn keys(&self) -> Result<Vec<u128>, Error> {
        let mut bytes = vec![0; self.count as usize * 16];
        self.file
            .read_exact_at(&mut bytes, self.keys_at())
            .map_err(|e| unavailable(&self.path, "read", e))?;
        let (chunks, _) = bytes.as_chunks::<16>();
        Ok(chunks.iter().map(|chunk| u128::from_be_bytes(*chunk)).collect())
    }

    /// Removes the file.
    pub fn delete(self) -> Result<(), Error> {
        std::fs::remove_file(&self.path).map_err(|e| unavailable(&self.path, "delete", e))
    }

    /// Removes the file of a run that another covers, or that is too old. One that stays is removed by a later start.
    pub fn retire(self) {
        if let Err(error) = self.delete() {
            tracing::warn!(error = %error.chain(), "an old file of the repeat memory stays for now");
        }
        telemetry::fail_point!("ingest.after_seen_retire");
    }

    fn keys_at(&self) -> u64 {
        (HEADER + self.filter.len() * 8) as u64
    }

    fn key(&self, index: u64) -> Result<u128, Error> {
        let mut bytes = [0; 16];
        self.file
            .read_exact_at(&mut bytes, self.keys_at() + index * 16)
            .map_err(|e| unavailable(&self.path, "read", e))?;
        Ok(u128::from_be_bytes(bytes))
    }
}

/// The filter bits of a key. Keys are hashes already, so their halves serve as the two hash functions.
fn bits(key: u128, words: usize) -> impl Iterator<Item = usize> {
    let (a, b) = ((key >> 64) as u64, key as u64 | 1);
    let size = words as u64 * 64;
    (0..PROBES).map(move |i| (a.wrapping_add(b.wrapping_mul(i)) % size) as usize)
}

fn unavailable(path: &Path, what: &str, source: std::io::Error) -> Error {
    Error::because(Kind::Unavailable, format!("cannot {what} {}", path.display()), source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(i: u64) -> u128 {
        xxhash_rust::xxh3::xxh3_128(&i.to_le_bytes())
    }

    fn run(dir: &Path, n: u64) -> Run {
        let mut keys: Vec<u128> = (0..n).map(key).collect();
        keys.sort_unstable();
        Run::write(dir, Span { from: 3, to: 9, newest: -5 }, &keys).expect("write")
    }

    #[test]
    fn a_run_knows_its_keys_and_no_others() {
        let dir = tempfile::tempdir().expect("dir");
        let run = run(dir.path(), 5_000);
        assert!((0..5_000).all(|i| run.contains(key(i)).expect("read")));
        assert!((5_000..20_000).all(|i| !run.contains(key(i)).expect("read")));
        assert_eq!(run.keys().expect("keys").len(), 5_000);
        assert_eq!(run.span, Span { from: 3, to: 9, newest: -5 });
    }

    #[test]
    fn an_empty_run_is_legal() {
        let dir = tempfile::tempdir().expect("dir");
        assert!(!run(dir.path(), 0).contains(key(1)).expect("read"));
    }

    #[test]
    fn any_flipped_bit_is_detected() {
        let dir = tempfile::tempdir().expect("dir");
        let run = run(dir.path(), 20);
        let good = std::fs::read(&run.path).expect("read");
        for byte in 0..good.len() {
            let mut bad = good.clone();
            bad[byte] ^= 1 << (byte % 8);
            std::fs::write(&run.path, &bad).expect("write");
            assert_eq!(Run::open(&run.path).expect_err("damaged").kind, Kind::Corrupt, "byte {byte}");
        }
    }

    #[test]
    fn the_filter_is_half_full_and_no_larger_than_it_says() {
        let dir = tempfile::tempdir().expect("dir");
        let run = run(dir.path(), 5_000);
        assert_eq!(run.filter.len(), 782);
        let ones: u32 = run.filter.iter().map(|word| word.count_ones()).sum();
        let share = f64::from(ones) / (782.0 * 64.0);
        assert!((0.48..0.53).contains(&share), "{share}: keys are not spread by seven probes");
    }

    #[test]
    fn a_file_that_is_whole_and_no_run_is_damaged() {
        let dir = tempfile::tempdir().expect("dir");
        let path = run(dir.path(), 20).path;
        let good = std::fs::read(&path).expect("read");
        let content = &good[..good.len() - 4];
        let with = |at: usize, word: u64| {
            let mut bytes = content.to_vec();
            bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
            bytes
        };
        let keys = &content[content.len() - 20 * 16..];
        let cases = [
            ("nothing", Vec::new()),
            ("half a head", content[..40].to_vec()),
            ("another magic", with(0, 1)),
            ("more keys than there are", with(24, 21)),
            ("fewer keys than there are", with(24, 19)),
            ("no filter", [&with(40, 0)[..HEADER], keys].concat()),
            ("a longer filter", with(40, 5)),
            ("a key less", content[..content.len() - 16].to_vec()),
        ];
        for (what, mut bytes) in cases {
            bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
            std::fs::write(&path, &bytes).expect("write");
            assert_eq!(Run::open(&path).expect_err(what).kind, Kind::Corrupt, "{what}");
        }
        std::fs::write(&path, &good).expect("write");
        assert_eq!(Run::open(&path).expect("whole").count, 20);
    }
}
