//! The keys of the entries of one archive, derived ahead of need.
//!
//! A derivation takes a third of a millisecond or more, which is longer than it takes to pack a small entry. An archive
//! of many entries has a thread that derives keys while entries are packed.

use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, bounded};
use zeroize::Zeroizing;

use super::crypt::{Keys, SALT};
use crate::step::StepError;

/// Entries after which an archive counts as one of many.
const MANY: u32 = 8;
/// Keys that are ready at most.
const READY: usize = 32;

/// A salt and the keys that it gives with the password of the archive.
#[derive(Clone)]
pub struct Salted {
    pub salt: [u8; SALT],
    pub keys: Arc<Keys>,
}

/// Where an archive takes the keys of its entries from.
pub struct KeySource {
    password: Zeroizing<String>,
    salt: fn() -> Result<[u8; SALT], StepError>,
    taken: u32,
    ahead: Option<Receiver<Result<Salted, StepError>>>,
}

fn derive(password: &str, salt: fn() -> Result<[u8; SALT], StepError>) -> Result<Salted, StepError> {
    let salt = salt()?;
    Ok(Salted { salt, keys: Arc::new(Keys::derive(password.as_bytes(), &salt)) })
}

impl KeySource {
    /// A source for a password; `salt` gives a new salt at each call.
    pub fn new(password: Zeroizing<String>, salt: fn() -> Result<[u8; SALT], StepError>) -> Self {
        Self { password, salt, taken: 0, ahead: None }
    }

    /// The password, for reading back.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The keys of the next entry.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn next(&mut self) -> Result<Salted, StepError> {
        self.taken = self.taken.saturating_add(1);
        if self.taken < MANY {
            return derive(&self.password, self.salt);
        }
        let ahead = self.ahead.get_or_insert_with(|| {
            let (send, receive) = bounded(READY);
            let (password, salt) = (self.password.clone(), self.salt);
            // It ends when the archive does, which drops the receiver.
            thread::spawn(move || while send.send(derive(&password, salt)).is_ok() {});
            receive
        });
        ahead.recv().unwrap_or_else(|_| derive(&self.password, self.salt))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn random() -> Result<[u8; SALT], StepError> {
        let mut salt = [0; SALT];
        getrandom::fill(&mut salt).map_err(|e| StepError::new(e.to_string()))?;
        Ok(salt)
    }

    #[test]
    fn every_entry_has_a_salt_of_its_own_and_the_keys_that_it_gives() {
        let mut source = KeySource::new(Zeroizing::new("secret".to_owned()), random);
        let mut salts = BTreeSet::new();
        for _ in 0..3 * MANY {
            let next = source.next().expect("keys");
            assert!(salts.insert(next.salt), "a salt came twice");
            assert_eq!(next.keys.verifier(), Keys::derive(b"secret", &next.salt).verifier());
        }
    }

    #[test]
    fn a_system_without_random_numbers_fails_each_entry() {
        let mut source = KeySource::new(Zeroizing::new("secret".to_owned()), || Err(StepError::new("none left")));
        for _ in 0..3 * MANY {
            assert!(source.next().is_err());
        }
    }
}
