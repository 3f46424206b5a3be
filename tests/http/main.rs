//! The executor `http` through the binary, against real servers: nginx and tinyproxy, and one of our own for answers that a
//! good server does not give. Run by `tests/sandbox cargo test`.

mod answers;
mod plans;
mod redirects;
mod secrets;
mod ways;
mod world;
