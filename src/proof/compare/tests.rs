//! The comparison against damage by the thousand. A database is dumped and restored once; then it is damaged at random,
//! compared and repaired, again and again. Each time exactly what was damaged must be named.
//!
//! RUNPLAN_DAMAGE        how many times, 150 by default
//! RUNPLAN_DAMAGE_SEED   the seed of the random numbers; each failure prints its own

mod damage;
mod dumped;
mod restored;

/// Numbers that are the same in each run with the same seed (Marsaglia's xorshift).
struct Random(u64);

impl Random {
    fn seeded(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 11) % limit.max(1) as u64).unwrap_or(0)
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// A number that the environment may give.
fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|e| panic!("{name}: {e}")))
}

/// How many damages are made, and the seed.
fn rounds(share: u64) -> (u64, u64) {
    (number("RUNPLAN_DAMAGE", 150).div_ceil(share), number("RUNPLAN_DAMAGE_SEED", 20_261_129))
}
