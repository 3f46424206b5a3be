//! Confinement: keeping a program that runs what strangers wrote away from the rest of the machine. The best way that works
//! here is found by trying it.
//!
//! 1. `bubblewrap`: own user, mount, process, network, IPC and host name namespaces. The program sees only the files that
//!    are listed for it, no other process and no network, and dies with us.
//! 2. An account that owns nothing, where we are root.
//! 3. `setpriv --no-new-privs`, so that no setuid program gives rights back.
//!
//! In each case the program gets only the environment that its job lists.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::locate;
use crate::step::{Env, Probe, StepError};

/// The user and group that a program has inside its namespaces. [`PASSWD`] names it.
const INSIDE: &str = "65534";
/// The text of a passwd file for the inside, for programs that must know the name of their user.
pub const PASSWD: &str = "nobody:x:65534:65534:nobody:/tmp:/bin/false\n";
/// Where numbers of accounts that own no files begin: systemd gives them to services that run under a number of their own
/// (`DynamicUser`), so distributions give them to nobody else.
const UNUSED: u32 = 61_184;
const UNUSED_COUNT: u32 = 4_000;
/// What a dynamic linker, a locale and a time zone need beside `/usr`.
const ETC: [&str; 5] =
    ["/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime"];
/// What a client needs to find and to trust a server.
const ETC_NETWORK: [&str; 6] =
    ["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/ssl", "/etc/pki"];

/// A user and a group by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    pub user: u32,
    pub group: u32,
}

/// How programs are confined on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confinement {
    wrapper: Wrapper,
    /// The account that programs run under; none: our own.
    account: Option<Account>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wrapper {
    /// `bwrap` and the options that work here.
    Namespaces(Vec<String>),
    /// `setpriv`.
    NoNewPrivileges(String),
    None,
}

/// What a confined program sees of the machine, besides the programs and libraries of the system.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Files and folders that it may read.
    pub read: Vec<PathBuf>,
    /// Folders that it may change.
    pub write: Vec<PathBuf>,
    /// Files that it sees in place of others: where it sees them, and what they are.
    pub replaced: Vec<(String, PathBuf)>,
    /// It may use the network.
    pub network: bool,
}

/// A confinement and what a program sees in it.
#[derive(Debug, Clone)]
pub struct Confined {
    pub confinement: Confinement,
    pub view: View,
}

impl Confinement {
    /// Finds the best confinement that works here. `own_account` keeps the account that we have.
    ///
    /// # Errors
    /// The check was cancelled.
    pub async fn detect(probe: &Probe, own_account: bool) -> Result<Self, StepError> {
        let env = &probe.look().env;
        let root = is_root();
        let own = std::iter::once(None).filter(|_| own_account || !root);
        let mut accounts: Vec<Option<Account>> = own.collect();
        if root && !own_account {
            accounts.extend([Some(unused_account()), nobody(), None]);
            accounts.dedup();
        }
        if let Some(bwrap) = locate(probe.look(), "bwrap", env, None).filter(|_| cfg!(target_os = "linux")) {
            for account in &accounts {
                for weaker in 0..3 {
                    let wrapper = Wrapper::Namespaces(namespaces(&bwrap, weaker));
                    let found = Self { wrapper, account: *account };
                    if found.works(probe).await? {
                        return Ok(found);
                    }
                }
            }
        }
        let account = if root && !own_account { nobody() } else { None };
        if let Some(setpriv) = locate(probe.look(), "setpriv", env, None) {
            let found = Self { wrapper: Wrapper::NoNewPrivileges(setpriv.to_string_lossy().into_owned()), account };
            if found.works(probe).await? {
                return Ok(found);
            }
        }
        Ok(Self { wrapper: Wrapper::None, account })
    }

    /// Whether a program can be started so.
    async fn works(&self, probe: &Probe) -> Result<bool, StepError> {
        let (argv, account) =
            self.command(&["/bin/sh".to_owned(), "-c".to_owned(), ":".to_owned()], None, &View::default());
        let Some((program, arguments)) = argv.split_first() else { return Ok(false) };
        let mut command = Command::new(program);
        command.args(arguments).env_clear().kill_on_drop(true);
        command.stdin(std::process::Stdio::null());
        run_as(&mut command, account);
        tokio::select! {
            output = command.output() => Ok(output.is_ok_and(|o| o.status.success())),
            _ = probe.look().cancel.cancelled() => Err(StepError::cancelled()),
        }
    }

    /// The account that confined programs run under, when it is not ours.
    pub fn account(&self) -> Option<Account> {
        self.account
    }

    /// The user id that confined programs have, as seen from outside; none where the system has no such numbers.
    pub fn user(&self) -> Option<u32> {
        #[cfg(unix)]
        let own = Some(rustix::process::geteuid().as_raw());
        #[cfg(not(unix))]
        let own = None;
        self.account.map(|account| account.user).or(own)
    }

    /// Whether confined programs have namespaces of their own.
    pub fn has_namespaces(&self) -> bool {
        matches!(self.wrapper, Wrapper::Namespaces(_))
    }

    /// Whether confined programs can reach what belongs to us: other processes, files, archives.
    pub fn is_weak(&self) -> bool {
        !self.has_namespaces() && self.account.is_none()
    }

    /// One line for logs and `doctor`.
    pub fn describe(&self) -> String {
        let account = self.account.map(|a| format!("account {}", a.user));
        let mut parts: Vec<String> = match &self.wrapper {
            Wrapper::Namespaces(_) => vec!["namespaces of their own (bubblewrap)".to_owned()],
            _ => Vec::new(),
        };
        parts.extend(account);
        if matches!(self.wrapper, Wrapper::NoNewPrivileges(_)) {
            parts.push("no new privileges".to_owned());
        }
        parts.push("a cleared environment".to_owned());
        let only = if self.is_weak() { " only" } else { "" };
        format!("confinement: {}{only}", parts.join(", "))
    }

    /// What to install for a better one.
    pub fn hint(&self) -> Option<String> {
        let text = match (self.has_namespaces(), self.is_weak()) {
            (true, _) => return None,
            (false, false) => "they see the files that everybody may read, and the network",
            (false, true) => "code in the dump can read and delete what belongs to this account, and use the network",
        };
        Some(format!("{text}; install `bubblewrap`, and allow user namespaces, to prevent it"))
    }

    /// The command line that starts a program confined, and the account to start it under.
    pub(super) fn command(&self, argv: &[String], dir: Option<&Path>, view: &View) -> (Vec<String>, Option<Account>) {
        let mut whole = match &self.wrapper {
            Wrapper::None => Vec::new(),
            Wrapper::NoNewPrivileges(setpriv) => vec![setpriv.clone(), "--no-new-privs".to_owned(), "--".to_owned()],
            Wrapper::Namespaces(options) => {
                let mut whole = options.clone();
                mounts(&mut whole, view);
                let dir = dir.unwrap_or(Path::new("/"));
                whole.extend(["--chdir".to_owned(), text(dir), "--".to_owned()]);
                whole
            }
        };
        whole.extend_from_slice(argv);
        (whole, self.account)
    }
}

/// Starts a program as another account, without its supplementary groups.
pub(super) fn run_as(command: &mut Command, account: Option<Account>) {
    #[cfg(unix)]
    if let Some(Account { user, group }) = account {
        command.uid(user).gid(group);
    }
    #[cfg(not(unix))]
    let _ = (command, account);
}

/// `bwrap` with its namespaces; a higher number asks for less of the system.
fn namespaces(bwrap: &Path, weaker: u8) -> Vec<String> {
    let mut options = vec![text(bwrap)];
    let own = [
        "--unshare-user",
        "--uid",
        INSIDE,
        "--gid",
        INSIDE,
        "--unshare-pid",
        "--unshare-ipc",
        "--unshare-uts",
        "--unshare-cgroup-try",
        "--hostname",
        "confined",
        "--die-with-parent",
        "--new-session",
        "--cap-drop",
        "ALL",
    ];
    options.extend(own.map(str::to_owned));
    if weaker < 1 {
        options.push("--disable-userns".to_owned());
    }
    if weaker < 2 {
        options.extend(["--proc", "/proc"].map(str::to_owned));
    }
    options
}

/// The files that a program sees.
fn mounts(options: &mut Vec<String>, view: &View) {
    let mut add = |parts: [&str; 3]| options.extend(parts.map(str::to_owned));
    for dir in ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store"] {
        match std::fs::read_link(dir) {
            Ok(target) => add(["--symlink", &text(&target), dir]),
            Err(_) => add(["--ro-bind-try", dir, dir]),
        }
    }
    let network: &[&str] = if view.network { &ETC_NETWORK } else { &[] };
    for file in ETC.iter().chain(network) {
        // Often a link to where the inside has nothing.
        if let Ok(real) = std::fs::canonicalize(file) {
            add(["--ro-bind-try", &text(&real), file]);
        }
    }
    if !view.network {
        options.push("--unshare-net".to_owned());
    }
    options.extend(["--dev", "/dev", "--tmpfs", "/tmp"].map(str::to_owned));
    let mut add = |option: &str, from: &Path, to: &str| options.extend([option.to_owned(), text(from), to.to_owned()]);
    view.read.iter().for_each(|path| add("--ro-bind", path, &text(path)));
    view.write.iter().for_each(|path| add("--bind", path, &text(path)));
    view.replaced.iter().for_each(|(to, from)| add("--ro-bind", from, to));
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(unix)]
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}

/// The accounts of this machine that its own file lists.
fn listed() -> Vec<(String, Account)> {
    let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let account = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let mut numbers = fields.skip(1).map(|f| f.parse().ok());
        Some((name, Account { user: numbers.next()??, group: numbers.next()?? }))
    };
    text.lines().filter_map(account).collect()
}

fn nobody() -> Option<Account> {
    listed().into_iter().find(|(name, _)| name == "nobody").map(|(_, account)| account)
}

/// A number that no account has, another one for each process of ours.
fn unused_account() -> Account {
    let taken: Vec<u32> = listed().into_iter().map(|(_, account)| account.user).collect();
    let first = std::process::id() % UNUSED_COUNT;
    let mut numbers = (0..UNUSED_COUNT).map(|n| UNUSED + (first + n) % UNUSED_COUNT);
    let user = numbers.find(|user| !taken.contains(user)).unwrap_or(UNUSED);
    Account { user, group: user }
}

/// The environment of a confined program: how to find programs, a language, and what `more` lists.
pub fn minimal_env(base: &Env, more: Env) -> Env {
    let kept = ["PATH", "LANG", "LC_CTYPE", "TZ"];
    let kept = kept.iter().filter_map(|name| base.get(*name).map(|value| ((*name).to_owned(), value.clone())));
    let home = [("HOME", "/tmp"), ("TMPDIR", "/tmp")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    kept.chain(home).chain(more).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespaced() -> Confinement {
        let wrapper = Wrapper::Namespaces(namespaces(Path::new("/usr/bin/bwrap"), 0));
        Confinement { wrapper, account: Some(Account { user: 61_200, group: 61_200 }) }
    }

    #[test]
    fn a_confined_program_sees_what_is_listed_and_has_no_network_unless_it_needs_it() {
        let view = View {
            read: vec!["/opt/pg/bin".into()],
            write: vec!["/tmp/x".into()],
            replaced: vec![("/etc/passwd".to_owned(), "/tmp/p".into())],
            network: false,
        };
        let confinement = namespaced();
        let (argv, account) = confinement.command(&["postgres".to_owned()], Some(Path::new("/tmp/x")), &view);
        let line = argv.join(" ");
        for part in [
            "--unshare-net",
            "--ro-bind /opt/pg/bin /opt/pg/bin",
            "--bind /tmp/x /tmp/x",
            "--ro-bind /tmp/p /etc/passwd",
            "--chdir /tmp/x -- postgres",
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert!(line.find("--tmpfs /tmp") < line.find("--bind /tmp/x"), "the empty folder comes first: {line}");
        assert!(!line.contains("resolv.conf"), "{line}");
        assert_eq!(account.map(|a| a.user), Some(61_200));
        let (argv, _) = confinement.command(&[], None, &View { network: true, ..View::default() });
        assert!(!argv.contains(&"--unshare-net".to_owned()));
    }

    #[test]
    fn what_is_in_force_is_one_line_with_what_to_do_for_more() {
        let account = Some(Account { user: 65_534, group: 65_534 });
        let none = Confinement { wrapper: Wrapper::None, account: None };
        let other = Confinement { wrapper: Wrapper::NoNewPrivileges("/bin/setpriv".to_owned()), account };
        assert_eq!(
            namespaced().describe(),
            "confinement: namespaces of their own (bubblewrap), account 61200, a cleared environment"
        );
        assert_eq!(namespaced().hint(), None);
        assert_eq!(other.describe(), "confinement: account 65534, no new privileges, a cleared environment");
        assert_eq!(none.describe(), "confinement: a cleared environment only");
        assert!(none.is_weak() && !other.is_weak());
        for weaker in [none, other] {
            assert!(weaker.hint().is_some_and(|h| h.contains("install `bubblewrap`")));
        }
    }

    #[test]
    fn the_environment_has_no_secret_of_ours() {
        let base = [("PATH", "/bin"), ("RUNPLAN_ZIP_PASSWORD", "x"), ("HOME", "/root"), ("LD_PRELOAD", "y")];
        let base = base.map(|(k, v)| (k.to_owned(), v.to_owned())).into_iter().collect();
        let env = minimal_env(&base, Env::from([("PGHOST".to_owned(), "h".to_owned())]));
        let names: Vec<&str> = env.keys().map(String::as_str).collect();
        assert_eq!(names, ["HOME", "PATH", "PGHOST", "TMPDIR"]);
        assert_eq!(env["HOME"], "/tmp");
    }
}
