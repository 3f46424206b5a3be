//! The head of a dump in pg_dump's custom or directory format: which programs can read it.

/// What the head says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The version of the format, like 1.14.
    pub format: (u8, u8),
    /// The version of the `pg_dump` that wrote it, like `15.18 (Debian 15.18-0+deb12u1)`.
    pub program: String,
}

/// Enough bytes for any head.
pub const HEAD_LIMIT: usize = 16 << 10;

impl Head {
    /// Reads the head from the first bytes of a dump (`ReadHead` in `pg_backup_archiver.c`); none when these are not one.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(b"PGDMP")?;
        let format = (*rest.first()?, *rest.get(1)?);
        let size = usize::from(*rest.get(3)?);
        let mut rest = rest.get(6..)?;
        // The compression: its name from 1.15 on, before that its level.
        rest = rest.get(if format >= (1, 15) { 1 } else { 1 + size }..)?;
        // When it was made: seven numbers.
        rest = rest.get(7 * (1 + size)..)?;
        let mut program = String::new();
        // The database, the server's version, the program's version.
        for _ in 0..3 {
            let negative = *rest.first()? != 0;
            let number = rest.get(1..=size)?.iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
            let length = if negative { 0 } else { usize::try_from(number).ok()? };
            let end = length.checked_add(1 + size)?;
            program = String::from_utf8_lossy(rest.get(1 + size..end)?).into_owned();
            rest = &rest[end..];
        }
        Some(Self { format, program })
    }

    /// The oldest major version of `pg_restore` that reads the format.
    pub fn readable_by(&self) -> u32 {
        match self.format {
            (0, _) | (1, 0..=14) => 12,
            (1, 15) => 16,
            _ => 17,
        }
    }

    /// The major version of the `pg_dump` that wrote it.
    pub fn program_major(&self) -> Option<u32> {
        self.program.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_names_its_program_in_each_format() {
        for (minor, needs) in [(14, 12), (15, 16), (16, 17)] {
            let mut bytes = b"PGDMP".to_vec();
            bytes.extend([1, minor, 0, 4, 8, 1]);
            bytes.extend(if minor >= 15 { vec![0] } else { vec![1, 1, 0, 0, 0] });
            (0..7).for_each(|n| bytes.extend([0, n, 0, 0, 0]));
            for text in ["db", "15.3", "18.1 (Debian)"] {
                bytes.extend([0, u8::try_from(text.len()).expect("short"), 0, 0, 0]);
                bytes.extend(text.bytes());
            }
            let head = Head::parse(&bytes).expect("a head");
            assert_eq!((head.program.as_str(), head.program_major()), ("18.1 (Debian)", Some(18)));
            assert_eq!(head.readable_by(), needs);
            (0..bytes.len()).for_each(|end| assert_eq!(Head::parse(&bytes[..end]), None, "{end}"));
        }
        assert_eq!(Head::parse(b"-- PostgreSQL database dump"), None);
    }
}
