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

/// The keys of one entry: one to encrypt, one to authenticate, and two bytes by which a reader sees a wrong password.
pub struct Keys {
    bytes: Zeroizing<[u8; 66]>,
    /// Bytes of each of the two keys.
    length: usize,
}

impl Keys {
    /// The keys that a password and a salt give, of twice the length of the salt.
    ///
    /// # Panics
    /// The salt is longer than 16 bytes.
    pub fn derive(password: &[u8], salt: &[u8]) -> Self {
        let length = 2 * salt.len();
        let mut bytes = Zeroizing::new([0u8; 66]);
        pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, 1000, &mut bytes[..2 * length + 2]);
        Self { bytes, length }
    }

    /// Two bytes by which a reader sees a wrong password.
    pub fn verifier(&self) -> [u8; 2] {
        [self.bytes[2 * self.length], self.bytes[2 * self.length + 1]]
    }
}

impl Crypt {
    /// The keys that a password and a salt give, in use.
    ///
    /// # Panics
    /// The salt has neither 8 nor 12 nor 16 bytes.
    pub fn new(password: &[u8], salt: &[u8]) -> Self {
        Self::with_keys(&Keys::derive(password, salt))
    }

    /// Keys in use for one entry from its first byte.
    ///
    /// # Panics
    /// The keys are of a salt that has neither 8 nor 12 nor 16 bytes.
    pub fn with_keys(keys: &Keys) -> Self {
        let length = keys.length;
        let mut counter = [0u8; 16];
        counter[0] = 1;
        let (key, counter) = (&keys.bytes[..length], &counter);
        let cipher = match length {
            16 => Ctr128LE::new_from_slices(key, counter).map(Cipher::Short),
            24 => Ctr128LE::new_from_slices(key, counter).map(Cipher::Middle),
            _ => Ctr128LE::new_from_slices(key, counter).map(Cipher::Long),
        };
        let cipher = cipher.expect("a salt of 8, 12 or 16 bytes");
        let mac =
            Hmac::<Sha1>::new_from_slice(&keys.bytes[length..2 * length]).expect("HMAC takes a key of any length");
        Self { cipher, mac, verifier: keys.verifier() }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn the_primitives_give_what_their_standards_say() {
        // RFC 6070, 4: the third and the fifth vector.
        let mut key = [0; 20];
        pbkdf2::pbkdf2_hmac::<Sha1>(b"password", b"salt", 4096, &mut key);
        assert_eq!(hex(&key), "4b007901b765489abead49d926f721d065a429c1");
        let mut key = [0; 25];
        let (password, salt) = (b"passwordPASSWORDpassword", b"saltSALTsaltSALTsaltSALTsaltSALTsalt");
        pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, 4096, &mut key);
        assert_eq!(hex(&key), "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038");
        // RFC 2202, 3: the second vector.
        let mut mac = Hmac::<Sha1>::new_from_slice(b"Jefe").expect("a key");
        mac.update(b"what do ya want for nothing?");
        assert_eq!(hex(&mac.finalize().into_bytes()), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    }

    #[test]
    fn what_is_encrypted_in_any_pieces_is_decrypted_to_the_same() {
        for salt in [&[1u8; 8][..], &[2; 12], &[3; 16]] {
            let plain: Vec<u8> = (0..100u8).collect();
            let mut data = plain.clone();
            let mut crypt = Crypt::new(b"secret", salt);
            data.chunks_mut(17).for_each(|piece| crypt.encrypt(piece));
            assert_ne!(data, plain);
            let mut other = Crypt::new(b"secret", salt);
            assert_eq!(other.verifier, crypt.verifier);
            data.chunks_mut(33).for_each(|piece| other.decrypt(piece));
            assert_eq!(data, plain);
            assert_eq!(other.code(), crypt.code());
        }
    }
}
