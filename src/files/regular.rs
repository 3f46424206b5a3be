//! Opening a file that might be anything: a link, a named pipe, a device. Only a regular file is opened, and no open waits.

use std::fs::{File, FileType, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// Whether a symbolic link at the end of a path is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// The path comes from the user, who may have linked it.
    Follow,
    /// The path is ours, and nobody has a reason to put a link there.
    Refuse,
}

/// The error of something that is not a regular file, with what it is.
pub fn not_regular(kind: FileType) -> io::Error {
    io::Error::other(format!("it is {}, not a regular file", Kind::from(kind).describe()))
}

/// What kind of thing a name in a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    Folder,
    /// A symbolic link, wherever it leads.
    Link,
    Pipe,
    Socket,
    Device,
    Unknown,
}

impl Kind {
    /// The kind as a message names it.
    pub fn describe(self) -> &'static str {
        match self {
            Self::File => "a regular file",
            Self::Folder => "a folder",
            Self::Link => "a symbolic link",
            Self::Pipe => "a named pipe",
            Self::Socket => "a socket",
            Self::Device => "a device",
            Self::Unknown => "of an unknown kind",
        }
    }
}

impl From<FileType> for Kind {
    fn from(kind: FileType) -> Self {
        #[cfg(unix)]
        {
            use std::os::unix::fs::FileTypeExt;
            if kind.is_fifo() {
                return Self::Pipe;
            }
            if kind.is_socket() {
                return Self::Socket;
            }
            if kind.is_block_device() || kind.is_char_device() {
                return Self::Device;
            }
        }
        match kind {
            t if t.is_symlink() => Self::Link,
            t if t.is_dir() => Self::Folder,
            t if t.is_file() => Self::File,
            _ => Self::Unknown,
        }
    }
}

/// Opens a regular file for reading.
///
/// # Errors
/// It does not exist, cannot be opened, or is not a regular file.
pub fn open_regular(path: &Path, links: Links) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    open_with(path, links, &mut options)
}

/// Opens a regular file with the given options. A new file that the options make is closed to others (0600).
///
/// # Errors
/// It cannot be opened, or is not a regular file.
pub fn open_with(path: &Path, links: Links, options: &mut OpenOptions) -> io::Result<File> {
    // Opening is already an act for some devices, so the kind is checked before. It is checked again on what was opened.
    match if links == Links::Follow { path.metadata() } else { path.symlink_metadata() } {
        Ok(meta) if !meta.is_file() => return Err(not_regular(meta.file_type())),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        let mut flags = OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        flags.set(OFlags::NOFOLLOW, links == Links::Refuse);
        options.mode(0o600).custom_flags(i32::try_from(flags.bits()).unwrap_or_default());
    }
    let file = options.open(path)?;
    let meta = file.metadata()?;
    if meta.is_file() { Ok(file) } else { Err(not_regular(meta.file_type())) }
}

/// Opens what the user gives as input: a regular file, or a pipe that the shell set up (`/dev/stdin`, `/dev/fd/63`),
/// which the user means to be waited for.
///
/// # Errors
/// It cannot be opened, or is neither of them.
pub fn open_input(path: &Path) -> io::Result<File> {
    let given = path == Path::new("/dev/stdin") || path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd");
    if given { File::open(path) } else { open_regular(path, Links::Follow) }
}

/// Reads a whole regular file of at most `limit` bytes.
///
/// # Errors
/// It cannot be opened or read, is not a regular file, or is larger.
pub fn read_regular(path: &Path, limit: u64, links: Links) -> io::Result<Vec<u8>> {
    read_limited(open_regular(path, links)?, limit)
}

/// The same for text.
///
/// # Errors
/// As [`read_regular`] has; or it is not UTF-8.
pub fn read_text(path: &Path, limit: u64, links: Links) -> io::Result<String> {
    String::from_utf8(read_regular(path, limit, links)?).map_err(|e| not_utf8(&e))
}

/// The error of a text that is not UTF-8, with its first line that is not.
pub fn not_utf8(error: &std::string::FromUtf8Error) -> io::Error {
    let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    io::Error::new(io::ErrorKind::InvalidData, format!("line {line} is not UTF-8 text"))
}

/// Reads everything that a reader gives, at most `limit` bytes.
///
/// # Errors
/// It cannot be read, or gives more.
pub fn read_limited(from: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 <= limit {
        return Ok(bytes);
    }
    let shown = match limit {
        limit if limit >= 1 << 20 && limit.is_multiple_of(1 << 20) => format!("{} MiB", limit >> 20),
        limit if limit >= 1 << 10 && limit.is_multiple_of(1 << 10) => format!("{} KiB", limit >> 10),
        limit => format!("{limit} bytes"),
    };
    Err(io::Error::other(format!("it is larger than {shown}")))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_opened_and_none_is_waited_for() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("file"), "text").expect("a file");
        std::os::unix::fs::symlink(path("file"), path("link")).expect("a link");
        rustix::fs::mknodat(rustix::fs::CWD, path("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .expect("a pipe");
        std::os::unix::fs::symlink(path("pipe"), path("link-to-pipe")).expect("a link");
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).expect("a socket");
        let why = |name: &str, links| open_regular(&path(name), links).map_err(|e| e.to_string()).err();
        for links in [Links::Follow, Links::Refuse] {
            assert_eq!(why("file", links), None);
            assert_eq!(why("pipe", links).as_deref(), Some("it is a named pipe, not a regular file"));
            assert_eq!(why("socket", links).as_deref(), Some("it is a socket, not a regular file"));
            assert_eq!(why("", links).as_deref(), Some("it is a folder, not a regular file"));
        }
        assert_eq!(why("link", Links::Follow), None);
        assert_eq!(why("link", Links::Refuse).as_deref(), Some("it is a symbolic link, not a regular file"));
        assert_eq!(why("link-to-pipe", Links::Follow).as_deref(), Some("it is a named pipe, not a regular file"));
        assert_eq!(
            open_regular(Path::new("/dev/null"), Links::Follow).map_err(|e| e.to_string()).err().as_deref(),
            Some("it is a device, not a regular file")
        );
    }

    #[test]
    fn a_file_over_the_limit_is_not_read() {
        let read = |bytes: usize, limit| read_limited(&vec![0; bytes][..], limit).map_err(|e| e.to_string());
        assert!(read(1024, 1024).is_ok());
        assert_eq!(read(1025, 1024), Err("it is larger than 1 KiB".to_owned()));
        assert_eq!(read(11, 10), Err("it is larger than 10 bytes".to_owned()));
    }
}
