//! WinZip AES-256 (AE-2): PBKDF2-HMAC-SHA1 with 1000 rounds gives the keys, AES in counter mode with a little-endian
//! counter that starts at 1 encrypts, HMAC-SHA1 over the ciphertext, cut to 80 bits, authenticates. The shorter keys that
//! the specification has are only read.

use aes::{Aes128, Aes192, Aes256};
use ctr::Ctr128LE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use zeroize::Zeroizing;

/// Bytes of salt in front of the data.
pub const SALT: usize = 16;
/// Bytes of the authentication code behind it.
pub const CODE: usize = 10;

enum Cipher {
    Short(Ctr128LE<Aes128>),
    Middle(Ctr128LE<Aes192>),
    Long(Ctr128LE<Aes256>),
}

/// The keys of one entry, in use.
pub struct Crypt {
    cipher: Cipher,
    mac: Hmac<Sha1>,
    /// Two bytes by which a reader sees a wrong password.
    pub verifier: [u8; 2],
}

impl Crypt {
    /// The keys that a password and a salt give, of twice the length of the salt.
    ///
    /// # Panics
    /// The salt has neither 8 nor 12 nor 16 bytes.
    pub fn new(password: &[u8], salt: &[u8]) -> Self {
        let length = 2 * salt.len();
        let mut keys = Zeroizing::new([0u8; 66]);
        let keys = &mut keys[..2 * length + 2];
        pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, 1000, keys);
        let mut counter = [0u8; 16];
        counter[0] = 1;
        let (key, counter) = (&keys[..length], &counter);
        let cipher = match length {
            16 => Ctr128LE::new_from_slices(key, counter).map(Cipher::Short),
            24 => Ctr128LE::new_from_slices(key, counter).map(Cipher::Middle),
            _ => Ctr128LE::new_from_slices(key, counter).map(Cipher::Long),
        };
        let cipher = cipher.expect("a salt of 8, 12 or 16 bytes");
        let mac = Hmac::<Sha1>::new_from_slice(&keys[length..2 * length]).expect("HMAC takes a key of any length");
        Self { cipher, mac, verifier: [keys[2 * length], keys[2 * length + 1]] }
    }

    fn apply(&mut self, data: &mut [u8]) {
        match &mut self.cipher {
            Cipher::Short(cipher) => cipher.apply_keystream(data),
            Cipher::Middle(cipher) => cipher.apply_keystream(data),
            Cipher::Long(cipher) => cipher.apply_keystream(data),
        }
    }

    /// Encrypts in place.
    pub fn encrypt(&mut self, data: &mut [u8]) {
        self.apply(data);
        self.mac.update(data);
    }

    /// Decrypts in place. What it gives is to be trusted only when the code behind it has been compared.
    pub fn decrypt(&mut self, data: &mut [u8]) {
        self.mac.update(data);
        self.apply(data);
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
