//! The messages of a server, read along by their heads (PostgreSQL manual, "Message Formats"): what it asks for at the
//! login, and how long each message claims to be.
//!
//! `tokio-postgres` keeps a message in memory until it has all of it, and a length may say up to 2 GiB. So each is held to
//! what it can need, by the rules of libpq where it has one (`fe-connect.c`, `fe-protocol3.c`).

use crate::quantity::Size;

const MIB: u64 = 1 << 20;

/// The longest request for a password.
const REQUEST: u64 = 2000;
/// The longest message of a kind that is never long, and of every kind before the login.
const SHORT: u64 = 30_000;
/// The longest message of a kind that may be long.
const LONG: u64 = 16 * MIB;
/// The longest row: PostgreSQL makes no value that is larger than 1 GiB.
const ROW: u64 = 1024 * MIB;
/// The most that a server may say before the session is ready.
const LOGIN: u64 = MIB;
/// The most that a server may say about changed settings.
const SETTINGS: u64 = 64 * MIB;
/// The most that an answer to a statement of ours may have, which is collected before it is read.
const ANSWER: u64 = 1024 * MIB;

/// How long messages with rows may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A row of a query.
    row: u64,
    /// A row of COPY.
    copied: u64,
    /// All rows of a query.
    answer: u64,
}

impl Limits {
    /// A session that asks the catalog.
    pub const CATALOG: Self = Self { row: LONG, copied: LONG, answer: ANSWER };
    /// A session that reads tables back by COPY, and large objects piece by piece.
    pub const TABLES: Self = Self { row: LONG, copied: ROW, answer: u64::MAX };
    /// A session for statements of the plan, whose rows are not collected.
    pub const PLAN: Self = Self { row: ROW, copied: LONG, answer: u64::MAX };
}

/// How far a server's words have been read.
#[derive(Debug)]
enum Reading {
    /// The one byte that says whether the server speaks TLS comes first.
    Answer,
    /// The head of a message, as far as it is there: its kind, its length, and the number of a request.
    Head,
    /// The rest of a message.
    Body(u64),
    /// What follows is encrypted.
    Over,
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    /// A request of the login, with its number.
    Request(i32),
    /// A message is longer than it may be: why it is refused.
    TooLong(String),
}

/// What a server says, as far as it was read.
#[derive(Debug)]
pub struct Messages {
    reading: Reading,
    head: [u8; 9],
    /// How many bytes of `head` are there.
    filled: usize,
    limits: Limits,
    logged_in: bool,
    ready: bool,
    login: u64,
    settings: u64,
    answer: u64,
}

impl Messages {
    /// Begins with the server's answer to the question for TLS, or at once with its messages.
    pub fn new(limits: Limits, negotiates: bool) -> Self {
        let reading = if negotiates { Reading::Answer } else { Reading::Head };
        Self {
            reading,
            head: [0; 9],
            filled: 0,
            limits,
            logged_in: false,
            ready: false,
            login: 0,
            settings: 0,
            answer: 0,
        }
    }

    /// Whether what follows is not read along.
    pub fn is_over(&self) -> bool {
        matches!(self.reading, Reading::Over)
    }

    /// The server let us in: it asks for nothing more.
    pub fn let_in(&mut self) {
        self.logged_in = true;
    }

    /// How many of the last bytes belong to a head that is not complete.
    pub fn begun(&self) -> usize {
        self.filled
    }

    /// Reads on until something is seen, which the head just read says; gives how many bytes were read.
    pub fn read(&mut self, bytes: &[u8]) -> (usize, Option<Seen>) {
        let mut at = 0;
        while let Some(&first) = bytes.get(at) {
            match &mut self.reading {
                Reading::Over => return (bytes.len(), None),
                Reading::Answer => {
                    self.reading = if first == b'S' { Reading::Over } else { Reading::Head };
                    at += 1;
                }
                Reading::Body(left) => {
                    let taken = u64::try_from(bytes.len() - at).unwrap_or(u64::MAX).min(*left);
                    at += usize::try_from(taken).unwrap_or(0);
                    *left -= taken;
                    if *left == 0 {
                        self.reading = Reading::Head;
                    }
                }
                Reading::Head => {
                    self.head[self.filled] = first;
                    self.filled += 1;
                    at += 1;
                    let whole = self.whole();
                    if self.filled == whole {
                        self.filled = 0;
                        if let Some(seen) = self.judge(whole) {
                            return (at, Some(seen));
                        }
                    }
                }
            }
        }
        (at, None)
    }

    /// How many bytes the head has that is being read.
    pub fn whole(&self) -> usize {
        if self.head[0] == b'R' && !self.logged_in { 9 } else { 5 }
    }

    fn number(&self, at: usize) -> i32 {
        i32::from_be_bytes([self.head[at], self.head[at + 1], self.head[at + 2], self.head[at + 3]])
    }

    fn judge(&mut self, whole: usize) -> Option<Seen> {
        let kind = self.head[0];
        // The length counts itself and not the kind.
        let length = u64::try_from(self.number(1)).unwrap_or(0);
        let left = length.saturating_sub(whole as u64 - 1);
        self.reading = if left == 0 { Reading::Head } else { Reading::Body(left) };
        if let Some(why) = self.excess(kind, length) {
            return Some(Seen::TooLong(why));
        }
        (whole == 9).then(|| Seen::Request(self.number(5)))
    }

    /// Why a message is too long.
    fn excess(&mut self, kind: u8, length: u64) -> Option<String> {
        let most = match kind {
            b'R' => REQUEST,
            _ if !self.logged_in => SHORT,
            b'D' => self.limits.row,
            b'd' => self.limits.copied,
            b'T' | b'E' | b'N' | b'A' | b'V' => LONG,
            _ => SHORT,
        };
        if length > most {
            let (claimed, most) = (Size(length), Size(most));
            return Some(format!("the server claims a message of {claimed}, and at most {most} are expected there"));
        }
        let (total, most, of) = match kind {
            _ if !self.ready => (&mut self.login, LOGIN, "before the session is ready"),
            b'S' => (&mut self.settings, SETTINGS, "of changed settings"),
            b'D' => (&mut self.answer, self.limits.answer, "of rows in one answer"),
            _ => (&mut self.login, u64::MAX, ""),
        };
        *total = total.saturating_add(length);
        let over = *total > most;
        if kind == b'Z' {
            self.ready = true;
            self.answer = 0;
        }
        over.then(|| format!("the server sends more than {} {of}", Size(most)))
    }
}

/// The code of the error that is put in place of a message that is too long. PostgreSQL has no class of that name.
pub const TOO_LONG: &str = "RPL01";

/// An error as a server reports one, for a client that shows it and hangs up.
pub fn error_message(text: &str) -> Vec<u8> {
    let fields = [("S", "FATAL"), ("V", "FATAL"), ("C", TOO_LONG), ("M", text)];
    let mut body: Vec<u8> = fields.iter().flat_map(|(kind, text)| format!("{kind}{text}\0").into_bytes()).collect();
    body.push(0);
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [b"E".as_slice(), &length.to_be_bytes(), &body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(kind: u8, length: u32) -> Vec<u8> {
        [&[kind][..], &length.to_be_bytes()].concat()
    }

    /// A session that is ready, and what it sees of a message of that kind and length.
    fn seen(limits: Limits, kind: u8, length: u32) -> Option<Seen> {
        let mut messages = Messages::new(limits, false);
        messages.let_in();
        assert_eq!(messages.read(&[head(b'Z', 5), vec![b'I']].concat()), (6, None));
        messages.read(&head(kind, length)).1
    }

    #[test]
    fn a_message_is_held_to_what_it_can_need() {
        let too_long = |seen: Option<Seen>| matches!(seen, Some(Seen::TooLong(_)));
        let (catalog, tables, plan) = (Limits::CATALOG, Limits::TABLES, Limits::PLAN);
        for (limits, kind, most) in [
            (catalog, b'D', 16 << 20),
            (catalog, b'd', 16 << 20),
            (catalog, b'E', 16 << 20),
            (catalog, b'C', 30_000),
            (catalog, b'S', 30_000),
            (catalog, b'?', 30_000),
            (tables, b'd', 1 << 30),
            (tables, b'D', 16 << 20),
            (plan, b'D', 1 << 30),
            (plan, b'd', 16 << 20),
        ] {
            assert_eq!(seen(limits, kind, most), None, "{kind}");
            assert!(too_long(seen(limits, kind, most + 1)), "{kind}");
            assert!(too_long(seen(limits, kind, 0x7fff_ffff)), "{kind}");
        }
        // Before the login no message is long.
        for (kind, most) in [(b'E', 30_000), (b'N', 30_000), (b'D', 30_000)] {
            let read = |length| Messages::new(tables, false).read(&head(kind, length)).1;
            assert!(read(most).is_none() && too_long(read(most + 1)), "{kind}");
        }
        let request = |length| Messages::new(plan, false).read(&[head(b'R', length), vec![0, 0, 0, 10]].concat()).1;
        assert_eq!(request(2000), Some(Seen::Request(10)));
        assert!(too_long(request(2001)));
    }

    #[test]
    fn many_messages_are_bounded_where_they_are_kept() {
        let flood = |messages: &mut Messages, kind: u8, length: u32, count: usize| {
            let one = [head(kind, length), vec![0; length as usize - 4]].concat();
            (0..count).find_map(|_| messages.read(&one).1)
        };
        let why = |seen: Option<Seen>| match seen {
            Some(Seen::TooLong(why)) => why,
            other => format!("{other:?}"),
        };
        let mut login = Messages::new(Limits::CATALOG, false);
        login.let_in();
        assert_eq!(
            why(flood(&mut login, b'S', 20_000, 100)),
            "the server sends more than 1.00 MiB before the session is ready"
        );
        let mut ready = Messages::new(Limits::CATALOG, false);
        ready.let_in();
        assert_eq!(flood(&mut ready, b'Z', 5, 1), None);
        assert_eq!(flood(&mut ready, b'C', 20_000, 100), None);
        assert_eq!(
            why(flood(&mut ready, b'S', 30_000, 3000)),
            "the server sends more than 64.0 MiB of changed settings"
        );
        // The next answer counts by itself.
        let mut ready = Messages::new(Limits::CATALOG, false);
        ready.let_in();
        assert_eq!(flood(&mut ready, b'Z', 5, 1), None);
        assert_eq!(flood(&mut ready, b'D', 1 << 24, 60), None);
        assert_eq!(flood(&mut ready, b'Z', 5, 1), None);
        assert_eq!(flood(&mut ready, b'D', 1 << 24, 60), None);
        assert_eq!(
            why(flood(&mut ready, b'D', 1 << 24, 10)),
            "the server sends more than 1.00 GiB of rows in one answer"
        );
    }
}
