//! The system's temporary folder, when nobody else can exchange what is made in it.

use std::io;
use std::path::{Path, PathBuf};

/// The temporary folder (`TMPDIR`), without links. A user who may rename in it, or in a folder above, could put another folder
/// in place of one of ours.
///
/// # Errors
/// There is none, or others could exchange what is in it.
pub fn temp_dir() -> io::Result<PathBuf> {
    check(&std::env::temp_dir())
}

/// Where a folder is without links, if it and every folder above belong to us or to root, and others cannot write to them
/// or can only remove what is their own (the sticky bit).
#[cfg(unix)]
fn check(dir: &Path) -> io::Result<PathBuf> {
    use std::os::unix::fs::MetadataExt;

    let named = |e: io::Error| io::Error::new(e.kind(), format!("`{}`: {e}", dir.display()));
    let real = dir.canonicalize().map_err(named)?;
    let user = rustix::process::geteuid().as_raw();
    let mut way: Vec<&Path> = real.ancestors().collect();
    // From above: what was checked keeps others from exchanging what comes below it.
    way.reverse();
    for folder in way {
        let meta = folder.symlink_metadata().map_err(named)?;
        let why = if !meta.is_dir() {
            "is not a folder".to_owned()
        } else if ![0, user].contains(&meta.uid()) {
            format!("belongs to user id {}", meta.uid())
        } else if meta.mode() & 0o022 != 0 && meta.mode() & 0o1000 == 0 {
            "can be written by others and has no sticky bit".to_owned()
        } else {
            continue;
        };
        return Err(io::Error::other(format!(
            "the temporary folder `{}` is not safe, because `{}` {why}: set TMPDIR to a folder of yours or of root that \
             others cannot write",
            dir.display(),
            folder.display()
        )));
    }
    Ok(real)
}

#[cfg(not(unix))]
fn check(dir: &Path) -> io::Result<PathBuf> {
    Ok(dir.to_path_buf())
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::{Permissions, create_dir, set_permissions};
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    #[test]
    fn a_temporary_folder_that_others_may_rename_in_is_refused() {
        let top = tempfile::tempdir().expect("a folder");
        let (above, link) = (top.path().join("above"), top.path().join("link"));
        let below = above.join("below");
        create_dir(&above).and_then(|()| create_dir(&below)).expect("folders");
        symlink(&below, &link).expect("a link");
        let real = below.canonicalize().expect("a path");
        let mode = |path: &Path, mode| set_permissions(path, Permissions::from_mode(mode)).expect("permissions");
        let refused = |why: &str| {
            for path in [&below, &link] {
                let told = check(path).expect_err("refused").to_string();
                assert!(told.contains(why) && told.contains("set TMPDIR to a folder"), "{told}");
            }
        };
        for (outer, inner) in [(0o700, 0o700), (0o755, 0o1777), (0o1777, 0o755)] {
            mode(&above, outer);
            mode(&below, inner);
            assert_eq!(check(&link).ok().as_ref(), Some(&real));
        }
        for (outer, inner) in [(0o755, 0o777), (0o755, 0o775), (0o777, 0o700), (0o770, 0o1777)] {
            mode(&above, outer);
            mode(&below, inner);
            refused("can be written by others");
        }
        mode(&above, 0o755);
        mode(&below, 0o700);
        if rustix::process::geteuid().is_root() {
            chown(&above, Some(65534), None).expect("another owner");
            refused("belongs to user id 65534");
        }
    }
}
