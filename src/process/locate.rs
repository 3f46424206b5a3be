//! Where a program lies that is named without its folder.

use std::path::{Path, PathBuf};

use crate::step::{Env, Look};

/// The program that would be started under a name: a path as it is, seen from `cwd`, any other name from the folders of
/// `PATH`.
pub fn locate(_: &Look, name: &str, env: &Env, cwd: Option<&Path>) -> Option<PathBuf> {
    if name.contains('/') || cfg!(windows) && name.contains('\\') {
        let path = cwd.map_or_else(|| PathBuf::from(name), |dir| dir.join(name));
        return startable(&path).then_some(path);
    }
    let path = env.get("PATH").map_or("/bin:/usr/bin", String::as_str);
    std::env::split_paths(path).map(|dir| dir.join(name)).find_map(|path| {
        let found = if cfg!(windows) && path.extension().is_none() { path.with_extension("exe") } else { path };
        startable(&found).then_some(found)
    })
}

#[cfg(unix)]
fn startable(path: &Path) -> bool {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    path.is_file() && accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).is_ok()
}

#[cfg(not(unix))]
fn startable(path: &Path) -> bool {
    path.is_file()
}
