//! `accepted CORPUS… OUT`: writes each archive of a corpus that is read to its end into OUT, with a list of what is in it,
//! for `compare.py` to have it read by others.

use std::fmt::Write;
use std::path::Path;

use runplan_fuzz::{archive, craft};
use sha2::{Digest, Sha256};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (out, corpora) = arguments.split_last().expect("usage: accepted CORPUS… OUT");
    let (mut all, mut accepted) = (0, 0);
    for file in corpora.iter().flat_map(|dir| std::fs::read_dir(dir).expect("a corpus").flatten()) {
        let Ok(data) = std::fs::read(file.path()) else { continue };
        all += 1;
        let bytes = craft::archive(&data);
        let Ok(entries) = archive::read(&bytes) else { continue };
        let mut list = String::new();
        for (name, data) in entries {
            let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
            let _ = writeln!(list, "{} {} {}", hex(name.as_bytes()), data.len(), hex(&Sha256::digest(&data)));
        }
        let path = Path::new(out).join(format!("{accepted}.zip"));
        std::fs::write(&path, &bytes).expect("an archive");
        std::fs::write(path.with_extension("list"), list).expect("a list");
        accepted += 1;
    }
    println!("{accepted} of {all} are archives");
}
