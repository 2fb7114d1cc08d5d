//! Flags that depend on flags: in which order they are evaluated, and which cannot be.

use std::collections::{BTreeSet, VecDeque};

/// The order of a set of flags, worked out when one of them is written.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// Places of the flags, dependencies first; those that cannot be evaluated are not among them.
    pub(crate) places: Vec<usize>,
    /// For each flag, whether something it depends on is missing or depends on it.
    pub(crate) is_broken: Vec<bool>,
    /// For each flag, what it depends on directly.
    pub(crate) below: Vec<Vec<usize>>,
}

impl Order {
    /// Works it out. A dependency that is not there is nothing.
    pub(crate) fn of(dependencies: &[Vec<Option<usize>>]) -> Self {
        let below: Vec<Vec<usize>> =
            dependencies.iter().map(|wanted| wanted.iter().flatten().copied().collect()).collect();
        let mut above: Vec<Vec<usize>> = vec![Vec::new(); below.len()];
        for (at, wanted) in below.iter().enumerate() {
            wanted.iter().for_each(|other| above[*other].push(at));
        }
        let mut open: Vec<usize> = below.iter().map(Vec::len).collect();
        let lacks_nothing = |at: &usize| dependencies[*at].iter().all(Option::is_some);
        let mut ready: VecDeque<usize> =
            (0..below.len()).filter(|at| open[*at] == 0 && lacks_nothing(at)).collect();
        let (mut places, mut is_broken) = (Vec::new(), vec![true; below.len()]);
        while let Some(at) = ready.pop_front() {
            places.push(at);
            is_broken[at] = false;
            for other in &above[at] {
                open[*other] -= 1;
                if open[*other] == 0 && lacks_nothing(other) {
                    ready.push_back(*other);
                }
            }
        }
        Self { places, is_broken, below }
    }

    /// Some flags and everything they depend on.
    pub(crate) fn closure(&self, from: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut open: Vec<usize> = from.into_iter().collect();
        while let Some(at) = open.pop() {
            if found.insert(at) {
                open.extend(&self.below[at]);
            }
        }
        found
    }

    /// A flag and what it depends on, dependencies first; empty when it cannot be evaluated.
    pub(crate) fn chain(&self, at: usize) -> Vec<usize> {
        if self.is_broken[at] {
            return Vec::new();
        }
        let wanted = self.closure([at]);
        self.places.iter().copied().filter(|place| wanted.contains(place)).collect()
    }
}
