//! WinZip AES-256 (AE-2): PBKDF2-HMAC-SHA1 with 1000 rounds gives the keys, AES in counter mode with a little-endian
//! counter that starts at 1 encrypts, HMAC-SHA1 over the ciphertext, cut to 80 bits, authenticates.

use aes::Aes256;
use ctr::Ctr128LE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use zeroize::Zeroizing;

/// Bytes of salt in front of the data.
pub const SALT: usize = 16;
/// Bytes of the authentication code behind it.
pub const CODE: usize = 10;

/// The keys of one entry, in use.
pub struct Crypt {
    cipher: Ctr128LE<Aes256>,
    mac: Hmac<Sha1>,
    /// Two bytes by which a reader sees a wrong password.
    pub verifier: [u8; 2],
}

impl Crypt {
    /// The keys that a password and a salt give.
    pub fn new(password: &[u8], salt: &[u8; SALT]) -> Self {
        let mut keys = Zeroizing::new([0u8; 66]);
        pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, 1000, &mut *keys);
        let mut counter = [0u8; 16];
        counter[0] = 1;
        let mut key = Zeroizing::new([0u8; 32]);
        key.copy_from_slice(&keys[..32]);
        let cipher = Ctr128LE::<Aes256>::new((&*key).into(), &counter.into());
        let mac = Hmac::<Sha1>::new_from_slice(&keys[32..64]).expect("HMAC takes a key of any length");
        Self { cipher, mac, verifier: [keys[64], keys[65]] }
    }

    /// Encrypts in place.
    pub fn encrypt(&mut self, data: &mut [u8]) {
        self.cipher.apply_keystream(data);
        self.mac.update(data);
    }

    /// Takes ciphertext into the authentication code without decrypting it.
    pub fn authenticate(&mut self, data: &[u8]) {
        self.mac.update(data);
    }

    /// The authentication code of all ciphertext so far.
    pub fn code(self) -> [u8; CODE] {
        let full = self.mac.finalize().into_bytes();
        let mut code = [0u8; CODE];
        code.copy_from_slice(&full[..CODE]);
        code
    }
}
