//! Numbers that are a function of a seed: the same seed gives the same traffic, on every machine.

/// A splitmix64 sequence.
#[derive(Clone, Debug)]
pub struct Numbers {
    state: u64,
}

impl Numbers {
    /// Starts the sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The sequence of the `id`-th thing under `seed`, independent of its neighbours.
    pub fn of(seed: u64, id: u64) -> Self {
        let mut mixed = Self::new(seed ^ id.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed.state = mixed.draw();
        mixed
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is at least 1.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.draw() % limit.max(1)
    }

    /// One of `choices`.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        let last = choices.len() as u64;
        &choices[self.below(last) as usize]
    }

    /// `length` lowercase hexadecimal digits.
    pub fn hex(&mut self, length: usize) -> String {
        let mut text = String::with_capacity(length + 16);
        while text.len() < length {
            text.push_str(&format!("{:016x}", self.draw()));
        }
        text.truncate(length);
        text
    }

    /// A version 4 uuid.
    pub fn uuid(&mut self) -> String {
        let digits = self.hex(32);
        let (version, variant) = ("4", ["8", "9", "a", "b"][self.below(4) as usize]);
        format!(
            "{}-{}-{version}{}-{variant}{}-{}",
            &digits[..8],
            &digits[8..12],
            &digits[13..16],
            &digits[17..20],
            &digits[20..]
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let uuid = Numbers::of(7, 3).uuid();
        assert_eq!(uuid, Numbers::of(7, 3).uuid());
        assert_ne!(uuid, Numbers::of(7, 4).uuid());
        assert_eq!((uuid.len(), &uuid[14..15]), (36, "4"));
    }
}
