//! A user's shells, in a folder with plans: bash and zsh at a keyboard, fish asked as it asks itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::world::World;

/// A shell in which the README's line has been run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub const ALL: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// Ctrl-X a puts all that may follow on the line, Ctrl-X d writes the line down, Ctrl-X e runs it and then writes.
const BASH: &str = r#"PS1='READY> '
bind 'set bell-style none'
bind 'set enable-bracketed-paste off'
source <(runplan completions bash)
written() { printf '%s' "$READLINE_LINE" > line.new && mv line.new line; }
bind '"\C-xa": insert-completions'
bind -x '"\C-xd": written'
"#;

const ZSH: &str = r#"PS1='READY> '
unsetopt beep prompt_sp prompt_cr
autoload -Uz compinit && compinit -u -D
source <(runplan completions zsh)
written() { print -rn -- "$BUFFER" > line.new && mv line.new line }
zle -N written
bindkey -e
bindkey '^I' complete-word
bindkey '^Xd' written
zle -C all-matches complete-word _generic
bindkey '^Xa' all-matches
zstyle ':completion:all-matches:*' completer _all_matches _complete
zstyle ':completion:all-matches:*' insert true
"#;

/// Where the binary lies, first in `PATH`.
fn path() -> String {
    let dir = Path::new(env!("CARGO_BIN_EXE_runplan")).parent().expect("a folder").display().to_string();
    format!("{dir}:{}", std::env::var("PATH").expect("PATH"))
}

fn terminal() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/completion/terminal.py")
}

fn python() -> String {
    std::env::var("RUNPLAN_TEST_PYTHON").expect("a Python: run `tests/sandbox cargo test`")
}

/// The line that a shell has after these keys.
pub fn typed(world: &World, shell: Shell, keys: &str) -> String {
    let program = match shell {
        Shell::Bash => {
            world.write("bashrc", BASH);
            vec!["bash", "--noprofile", "--rcfile", "bashrc", "-i"]
        }
        Shell::Zsh => {
            world.write("zsh/.zshrc", ZSH);
            vec!["zsh", "-d", "-i"]
        }
        Shell::Fish => panic!("fish is asked without a keyboard"),
    };
    let _ = std::fs::remove_file(world.path("line"));
    let mut command = Command::new(python());
    command.arg(terminal()).arg("line").arg(format!("{keys}\x18d")).args(program).current_dir(world.path(""));
    command.env("PATH", path()).env("HOME", world.path("home")).env("ZDOTDIR", world.path("zsh"));
    command.env("XDG_STATE_HOME", world.path("state")).env("TERM", "xterm").env_remove("ENV");
    let output = command.output().expect("a shell: run `tests/sandbox cargo test`");
    let shown = String::from_utf8_lossy(&output.stderr).into_owned();
    std::fs::read_to_string(world.path("line")).unwrap_or_else(|e| panic!("{shell:?}: {keys}: {e}: {shown}"))
}

/// What a shell offers for the last word of a line, each as it would stand there.
pub fn offered(world: &World, shell: Shell, line: &str) -> Vec<String> {
    let (before, last) = line.split_at(line.rfind(' ').expect("a word before it") + 1);
    if shell == Shell::Fish {
        let text = format!("runplan completions fish | source\ncomplete -C {}", quoted(line));
        let mut command = Command::new("fish");
        command.args(["--no-config", "-c", &text]).current_dir(world.path("")).env("PATH", path());
        command.env("HOME", world.path("home")).env("XDG_STATE_HOME", world.path("state"));
        let output = command.output().expect("fish: run `tests/sandbox cargo test`");
        assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        return text.lines().map(|l| l.split('\t').next().unwrap_or_default().to_owned()).collect();
    }
    let all = typed(world, shell, &format!("{line}\x18a"));
    let words = all.strip_prefix(before).unwrap_or_else(|| panic!("{shell:?}: {line}: {all}"));
    if words.trim() == last {
        return Vec::new();
    }
    // bash writes what stands before `=` only once.
    let kept = if shell == Shell::Bash { last.rfind(['=', ':']).map_or("", |at| &last[..=at]) } else { "" };
    let words = words.split_whitespace().map(str::to_owned);
    words.map(|word| if word.starts_with(kept) { word } else { format!("{kept}{word}") }).collect()
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}
