//! Large objects: size and hash of each.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::{Xxh3, xxh3_128_with_seed};

use super::rows::Hashing;

/// A large object that was read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object {
    pub bytes: u64,
    /// 0 when nothing is hashed.
    pub hash: u128,
}

/// Hashes one object after the other.
pub struct ObjectHasher {
    hashing: Hashing,
    hash: Box<Xxh3>,
    bytes: u64,
}

impl ObjectHasher {
    pub fn new(hashing: Hashing) -> Self {
        Self { hashing, hash: Box::new(Xxh3::with_seed(hashing.seed)), bytes: 0 }
    }

    /// Takes bytes of the object.
    pub fn take(&mut self, data: &[u8]) {
        self.bytes += data.len() as u64;
        if self.hashing.on {
            self.hash.update(data);
        }
    }

    /// The object that ends here; the next one begins.
    pub fn finish(&mut self) -> Object {
        let hash = if self.hashing.on { self.hash.digest128() } else { 0 };
        let object = Object { bytes: self.bytes, hash };
        self.hash.reset();
        self.bytes = 0;
        object
    }
}

/// The checksum of all objects: the sum, modulo 2^128, of the hashes of each one's number, size and hash.
pub fn sum(objects: &BTreeMap<u64, Object>, seed: u64) -> u128 {
    objects.iter().fold(0u128, |sum, (oid, object)| {
        let mut line = [0u8; 32];
        line[..8].copy_from_slice(&oid.to_le_bytes());
        line[8..16].copy_from_slice(&object.bytes.to_le_bytes());
        line[16..].copy_from_slice(&object.hash.to_le_bytes());
        sum.wrapping_add(xxh3_128_with_seed(&line, seed))
    })
}
