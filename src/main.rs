//! The program: see the library.

fn main() -> std::process::ExitCode {
    runplan::cli::main(std::env::args_os())
}
