//! Places in the log: of one record, and how far all of it was folded.

/// The place of a record: which log partition, and where in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Number of the log partition; 0 for a log that has one.
    pub partition: usize,
    /// Offset in it.
    pub offset: u64,
}

impl From<u64> for Spot {
    fn from(offset: u64) -> Self {
        Self { partition: 0, offset }
    }
}

/// How far each log partition was folded: the offset of the record that comes next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach(Vec<u64>);

impl From<u64> for Reach {
    fn from(offset: u64) -> Self {
        Self::from(vec![offset])
    }
}

impl From<Vec<u64>> for Reach {
    /// Offsets in the order of the partitions. Those that were not folded at all may be left out at the end.
    fn from(mut offsets: Vec<u64>) -> Self {
        while offsets.last() == Some(&0) {
            offsets.pop();
        }
        Self(offsets)
    }
}

impl Reach {
    /// The next offset of a partition.
    pub fn of(&self, partition: usize) -> u64 {
        self.0.get(partition).copied().unwrap_or(0)
    }

    /// Offsets in the order of the partitions, those at the end that are 0 left out.
    pub fn offsets(&self) -> &[u64] {
        &self.0
    }

    /// Records folded in all partitions together. Of two places the log was at, one after the other, the later has the
    /// greater number.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Whether a record is among those folded.
    pub fn covers(&self, spot: Spot) -> bool {
        spot.offset < self.of(spot.partition)
    }

    /// Whether any partition is further than in `other`.
    pub fn is_beyond(&self, other: &Reach) -> bool {
        self.0.iter().enumerate().any(|(partition, offset)| *offset > other.of(partition))
    }

    /// Goes on in a partition, never back.
    pub fn advance(&mut self, partition: usize, offset: u64) {
        if offset > self.of(partition) {
            self.0.resize(self.0.len().max(partition + 1), 0);
            self.0[partition] = offset;
        }
    }

    /// Goes on to the further of both in every partition.
    pub fn merge(&mut self, other: &Reach) {
        for (partition, offset) in other.0.iter().enumerate() {
            self.advance(partition, *offset);
        }
    }
}

impl std::fmt::Display for Reach {
    /// The offset of a log with one partition; otherwise all of them, separated by commas.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.of(0))?;
        self.0.iter().skip(1).try_for_each(|offset| write!(f, ",{offset}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reach_goes_forward_only_and_each_partition_alone() {
        let mut reach = Reach::from(3);
        assert!(reach.covers(2.into()) && !reach.covers(3.into()));
        reach.advance(2, 5);
        reach.advance(2, 4);
        assert_eq!(
            (reach.offsets(), reach.total(), reach.to_string()),
            (&[3, 0, 5][..], 8, "3,0,5".to_owned())
        );
        assert!(!reach.covers(Spot { partition: 1, offset: 0 }));
        assert!(reach.is_beyond(&Reach::from(100)) && Reach::from(4).is_beyond(&reach));
        reach.merge(&Reach::from(vec![1, 7]));
        assert_eq!(reach.offsets(), [3, 7, 5]);
        assert_eq!(Reach::from(vec![0, 0]), Reach::default());
    }
}
