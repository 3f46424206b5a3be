//! Archives opened by 7-Zip, libarchive and pyzipper. Run by `tests/sandbox cargo test`, which installs them.

use std::process::{Command, Output, Stdio};

use super::*;

const PASSWORD: &str = "p \u{e4}\"s$ s'w";

/// What rows become when they are hashed; made once, since that takes a while without optimisation.
static NOISE: LazyLock<Vec<u8>> =
    LazyLock::new(|| content(3_000_000).chunks(32).flat_map(<sha2::Sha256 as sha2::Digest>::digest).collect());

/// Reads `argv[3]` and compares SHA-256 with `argv[4]`; without a password for one that is not encrypted.
const PYTHON: &str = "import sys, pyzipper, hashlib
z = pyzipper.AESZipFile(sys.argv[1])
if sys.argv[2]: z.setpassword(sys.argv[2].encode())
for line in sys.stdin:
    name, size, sha = line.rstrip('\\n').rsplit(' ', 2)
    h, n = hashlib.sha256(), 0
    with z.open(name) as f:
        while b := f.read(1 << 20):
            h.update(b); n += len(b)
    assert (n, h.hexdigest()) == (int(size), sha), (name, n)
assert z.testzip() is None if len(z.namelist()) < 100 else True
print(len(z.namelist()))
";

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn sha256(data: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(data).iter().map(|b| format!("{b:02x}")).collect()
}

/// 7-Zip tests the whole archive, and gives an entry.
fn seven(path: &Path, names: &[(&str, &[u8])], password: &str) {
    let run = |arguments: &[&str]| {
        let mut command = Command::new("7z");
        command.args(arguments).arg(format!("-p{password}")).arg("-bd").arg(path).stdin(Stdio::null());
        command
    };
    let test = run(&["t"]).output().expect("7z: run `tests/sandbox cargo test`");
    assert!(test.status.success(), "{}: {}", path.display(), said(&test));
    for (name, data) in names {
        let got = run(&["x", "-so"]).arg(name).output().expect("7z");
        assert!(got.status.success() && sha256(&got.stdout) == sha256(data), "7z reads {name} of {}", path.display());
    }
}

/// libarchive by the central directory, and as a stream that it cannot seek in.
fn libarchive(path: &Path, names: &[(&str, &[u8])], password: &str) {
    for stream in [false, true] {
        for (name, data) in names {
            let mut command = Command::new("bsdtar");
            command.env("LC_ALL", "C.UTF-8");
            if !password.is_empty() {
                command.arg("--passphrase").arg(password);
            }
            command.arg("-xOf");
            command.arg(if stream { "-".as_ref() } else { path.as_os_str() }).arg(name);
            command.stdin(if stream {
                Stdio::from(std::fs::File::open(path).expect("the archive"))
            } else {
                Stdio::null()
            });
            let got = command.output().expect("bsdtar: run `tests/sandbox cargo test`");
            let same = got.status.success() && sha256(&got.stdout) == sha256(data);
            assert!(
                same,
                "libarchive, stream {stream}, {name} of {}: {}",
                path.display(),
                String::from_utf8_lossy(&got.stderr)
            );
        }
    }
}

fn pyzipper(path: &Path, names: &[(&str, &[u8])], password: &str) {
    let python = std::env::var("RUNPLAN_TEST_PYTHON").expect("a Python with pyzipper: run `tests/sandbox cargo test`");
    let list: String = names.iter().map(|(name, data)| format!("{name} {} {}\n", data.len(), sha256(data))).collect();
    let mut command = Command::new(python);
    command.args(["-X", "utf8", "-c", PYTHON]).arg(path).arg(password);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("python");
    std::io::Write::write_all(&mut child.stdin.take().expect("its input"), list.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "pyzipper, {}: {}", path.display(), said(&output));
}

#[test]
fn three_foreign_readers_get_the_same_bytes() {
    let dir = tempfile::tempdir().expect("a folder");
    let chunk = crate::archive::codec::CHUNK;
    let content = content(3 * chunk + 1);
    let sizes = [0, 1, 15, 16, 17, chunk - 1, chunk, chunk + 1, 3 * chunk + 1];
    let named: Vec<(String, &[u8])> =
        sizes.iter().map(|s| (format!("dados \u{e7}\u{e3}o/\u{1f600}-{s}.bin"), &content[..*s])).collect();
    let names: Vec<(&str, &[u8])> = named.iter().map(|(name, data)| (name.as_str(), *data)).collect();
    for (at, (encryption, compression, level)) in kinds().into_iter().enumerate() {
        if level.is_some_and(|l| l != Level::Small) {
            // The framing is the same; `another_reader_gets_the_same_bytes_at_every_size` has them all.
            continue;
        }
        let path = dir.path().join(format!("{at}.zip"));
        write(&Settings { level, ..settings(&path, encryption, compression) }, &names);
        let password = if encryption == Encryption::Aes256 { PASSWORD } else { "" };
        seven(&path, &names[6..], password);
        // libarchive decrypts no zstd, up to 3.6.2 at least.
        if compression != Compression::Zstd || encryption == Encryption::None {
            libarchive(&path, &names, password);
        }
        // It knows no zstd.
        if compression != Compression::Zstd {
            pyzipper(&path, &names, password);
        }
    }
}

/// So many zeros.
fn zeros(size: u64) -> impl Read {
    std::io::repeat(0).take(size)
}

/// An archive around the 32 bits that zip once had. It goes through 17 GiB four times, so it runs only where the code is
/// optimised: `tests/sandbox cargo test --release`.
#[test]
#[cfg_attr(debug_assertions, ignore = "17 GiB without optimisation take an hour: run with --release")]
fn entries_around_four_gibibytes_are_read_by_all() {
    let four = 1u64 << 32;
    zeros_are_read_by_all(Compression::Deflate, &[four - 1, four, four + 1, 5]);
}

/// The same of an entry that is much larger, in some minutes: `tests/sandbox cargo test --release --lib -- twenty_gibibytes`.
#[test]
#[cfg_attr(debug_assertions, ignore = "20 GiB without optimisation take an hour: run with --release")]
fn an_entry_of_twenty_gibibytes_is_read_by_all() {
    zeros_are_read_by_all(Compression::Deflate, &[20 << 30, 5]);
}

/// The same of what is stored, and of zstd where it is read: `tests/sandbox cargo test --release --lib -- not_deflated`. It
/// takes 13 GB of the temporary folder.
#[test]
#[cfg_attr(debug_assertions, ignore = "17 GiB without optimisation take an hour: run with --release")]
fn large_entries_that_are_not_deflated_are_read_by_all() {
    let four = 1u64 << 32;
    zeros_are_read_by_all(Compression::Store, &[four - 1, four, four + 1, 5]);
    zeros_are_read_by_all(Compression::Zstd, &[four - 1, four, four + 1, 20 << 30, 5]);
}

fn zeros_are_read_by_all(compression: Compression, sizes: &[u64]) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("large.zip");
    let mut writer = Writer::create(&touch(), &settings(&path, Encryption::Aes256, compression)).expect("a writer");
    for size in sizes {
        writer.entry(&format!("{size}"), &mut zeros(*size), &mut |_| {}).expect("an entry");
    }
    let sealed = writer.seal().expect("sealed");
    let written = record(&sealed);
    sealed.publish(&touch(), &written).expect("published");
    seven(&path, &[("5", &[0; 5])], PASSWORD);
    let list =
        Command::new("bsdtar").arg("--passphrase").arg(PASSWORD).arg("-tvf").arg(&path).output().expect("bsdtar");
    for size in sizes {
        assert!(String::from_utf8_lossy(&list.stdout).contains(&format!(" {size} ")), "{}", said(&list));
    }
    if compression != Compression::Zstd {
        libarchive(&path, &[("5", &[0; 5])], PASSWORD);
        // It tests every entry too.
        pyzipper(&path, &[("5", &[0; 5])], PASSWORD);
    }
    let file = std::fs::File::open(&path).expect("the archive");
    let mut archive = crate::archive::read::Archive::open(file, u64::MAX).expect("it opens");
    for (at, size) in sizes.iter().enumerate() {
        assert_eq!(archive.check(at, Some(PASSWORD.as_bytes())).expect("it is whole"), *size);
    }
}

/// A stored entry of more than 4 GiB, so that what lies behind it has a place of more than 32 bits.
#[test]
#[cfg_attr(debug_assertions, ignore = "4 GiB without optimisation take minutes: run with --release")]
fn an_entry_behind_four_gibibytes_is_read_by_all() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("large.zip");
    let mut writer =
        Writer::create(&touch(), &settings(&path, Encryption::None, Compression::Store)).expect("a writer");
    writer.entry("large", &mut zeros((1 << 32) + 5), &mut |_| {}).expect("an entry");
    writer.entry("small", &mut Cursor::new(b"behind it"), &mut |_| {}).expect("an entry");
    let sealed = writer.seal().expect("sealed");
    let written = record(&sealed);
    sealed.publish(&touch(), &written).expect("published");
    let names: [(&str, &[u8]); 1] = [("small", b"behind it")];
    seven(&path, &names, "");
    libarchive(&path, &names, "");
    pyzipper(&path, &names, "");
}

#[test]
fn seventy_thousand_entries_are_listed_and_read_by_all() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("many.zip");
    let mut writer =
        Writer::create(&touch(), &settings(&path, Encryption::None, Compression::Deflate)).expect("a writer");
    for number in 0..70_000 {
        writer
            .entry(&format!("d/{number}"), &mut format!("content {number}").as_bytes(), &mut |_| {})
            .expect("an entry");
    }
    let sealed = writer.seal().expect("sealed");
    let written = record(&sealed);
    sealed.publish(&touch(), &written).expect("published");
    let names: [(&str, &[u8]); 2] = [("d/0", b"content 0"), ("d/69999", b"content 69999")];
    seven(&path, &names, "");
    libarchive(&path, &names, "");
    pyzipper(&path, &names, "");
    let zip = ::zip::ZipArchive::new(std::fs::File::open(&path).expect("the archive")).expect("a zip");
    assert_eq!(zip.len(), 70_000);
    let file = std::fs::File::open(&path).expect("the archive");
    let mut archive = crate::archive::read::Archive::open(file, u64::MAX).expect("it opens");
    assert_eq!(archive.entries().len(), 70_000);
    for number in 0..70_000 {
        let mut text = String::new();
        archive.read(number, None).expect("an entry").read_to_string(&mut text).expect("it is whole");
        assert_eq!(text, format!("content {number}"));
    }
}

#[test]
fn archives_of_foreign_writers_are_read() {
    use crate::archive::read::Archive;
    let dir = tempfile::tempdir().expect("a folder");
    let data = content(700_000);
    std::fs::create_dir(dir.path().join("d")).expect("a folder");
    std::fs::write(dir.path().join("d/data.bin"), &data).expect("a file");
    std::fs::write(dir.path().join("d/empty"), b"").expect("a file");
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(dir.path()).stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|e| panic!("{program}: {e}: run `tests/sandbox cargo test`"));
        assert!(output.status.success(), "{program} {arguments:?}: {}", said(&output));
    };
    let mut made = 0;
    let mut check = |name: &str, password: Option<&str>| {
        let file = std::fs::File::open(dir.path().join(name)).expect("the archive");
        let mut archive = Archive::open(file, 1 << 30).unwrap_or_else(|e| panic!("{name}: {e}"));
        let at = archive.entries().iter().position(|e| e.name == "d/data.bin").expect("the entry");
        let mut read = Vec::new();
        let mut content = archive.read(at, password.map(str::as_bytes)).unwrap_or_else(|e| panic!("{name}: {e}"));
        content.read_to_end(&mut read).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(read == data, "{name}");
        for at in 0..archive.entries().len() {
            archive.check(at, password.map(str::as_bytes)).unwrap_or_else(|e| panic!("{name}, {at}: {e}"));
        }
        if password.is_some() {
            assert!(archive.check(at, Some(b"another")).is_err(), "{name}");
        }
        made += 1;
    };
    for method in ["Deflate", "Copy"] {
        for key in ["AES128", "AES192", "AES256", ""] {
            let name = format!("7z-{method}-{key}.zip");
            let method = format!("-mm={method}");
            if key.is_empty() {
                run("7z", &["a", "-tzip", &method, &name, "d"]);
                check(&name, None);
            } else {
                run("7z", &["a", "-tzip", &method, &format!("-mem={key}"), "-psecret", &name, "d"]);
                check(&name, Some("secret"));
            }
        }
    }
    for (name, options) in [("aes128", "zip:encryption=aes128"), ("aes256", "zip:encryption=aes256"), ("plain", "")] {
        let name = format!("bsdtar-{name}.zip");
        let mut arguments = vec!["-c", "-f", &name, "--format", "zip"];
        if !options.is_empty() {
            arguments.extend(["--options", options, "--passphrase", "secret"]);
        }
        arguments.push("d");
        run("bsdtar", &arguments);
        check(&name, Some("secret").filter(|_| !options.is_empty()));
    }
    let python = std::env::var("RUNPLAN_TEST_PYTHON").expect("a Python with pyzipper: run `tests/sandbox cargo test`");
    let code = "import sys, pyzipper as p
for bits in 128, 192, 256:
    for method in p.ZIP_STORED, p.ZIP_DEFLATED:
        with p.AESZipFile(f'py-{bits}-{method}.zip', 'w', compression=method, encryption=p.WZ_AES) as z:
            z.setpassword(b'secret'); z.setencryption(p.WZ_AES, nbits=bits)
            z.write('d/data.bin'); z.write('d/empty')
";
    run(&python, &["-c", code]);
    for bits in [128, 192, 256] {
        for method in [0, 8] {
            check(&format!("py-{bits}-{method}.zip"), Some("secret"));
        }
    }
    assert_eq!(made, 17);
}

proptest::proptest! {
    // Few, since each starts a dozen programs.
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 16, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_sizes_reads_and_threads_are_read_by_all(
        parts in proptest::collection::vec((0..3_000_000usize, 0..3u8), 1..4),
        piece in 1_000..600_000usize,
        threads in 1..6u8,
        kind in 0..18usize,
    ) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("any.zip");
        let (encryption, compression, level) = kinds()[kind];
        let settings = Settings { level, threads: Some(threads), ..settings(&path, encryption, compression) };
        let (rows, zeros) = (content(3_000_000), vec![0; 3_000_000]);
        let named: Vec<(String, &[u8])> = parts.iter().enumerate().map(|(at, (size, of))| {
            (format!("{at}.bin"), &[&rows, &zeros, &*NOISE][usize::from(*of)][..*size])
        }).collect();
        let names: Vec<(&str, &[u8])> = named.iter().map(|(name, data)| (name.as_str(), *data)).collect();
        let mut writer = Writer::create(&touch(), &settings).expect("a writer");
        for (name, data) in &names {
            writer.entry(name, &mut Pieces(data, piece), &mut |_| {}).expect("an entry");
        }
        let sealed = writer.seal().expect("sealed");
        let written = record(&sealed);
        sealed.publish(&touch(), &written).expect("published");
        let password = if encryption == Encryption::Aes256 { PASSWORD } else { "" };
        seven(&path, &names, password);
        if compression != Compression::Zstd || encryption == Encryption::None {
            libarchive(&path, &names, password);
        }
        if compression != Compression::Zstd {
            pyzipper(&path, &names, password);
        }
        let file = std::fs::File::open(&path).expect("the archive");
        let mut archive = crate::archive::read::Archive::open(file, u64::MAX).expect("it opens");
        for (at, (_, data)) in names.iter().enumerate() {
            let mut read = Vec::new();
            archive.read(at, Some(password.as_bytes())).expect("an entry").read_to_end(&mut read).expect("it is whole");
            proptest::prop_assert!(read == *data);
        }
    }
}
