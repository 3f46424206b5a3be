//! HTTP: an address, a request, the way to the server, its answer.
//!
//! A request that carries a secret goes to the host that the plan names and to no other, and in clear text to this machine
//! only. Nothing here shows more of an address than its [`Place`].

mod address;
mod answer;
mod ask;
mod connect;
mod proxy;

pub use address::{Flaw, Place, in_clear, parts, read};
pub use answer::Answer;
pub use ask::{Request, Way, ask, greet};
pub use connect::trusted;
pub use hyper::Method;
pub use hyper::header::{HeaderMap, HeaderName, HeaderValue};
pub use proxy::{Proxies, Proxy};
pub use url::Url;
