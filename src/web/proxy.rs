//! Which proxy a request goes through, as curl reads it from the environment.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use crate::step::{Env, StepError};
use crate::tls;

/// What decides of a proxy.
#[derive(Clone)]
pub struct Proxies {
    env: Env,
    given: Option<String>,
}

impl std::fmt::Debug for Proxies {
    /// The address of a proxy may have a login in it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proxies")
    }
}

/// A proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub host: String,
    pub port: u16,
    /// What `Proxy-Authorization` says.
    pub(super) login: Option<String>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.place())
    }
}

/// The variables that are read, for the environment that a request is told of.
const NAMES: [&str; 7] =
    ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "REQUEST_METHOD"];

impl Proxies {
    /// The proxy that is given, `none` for none at all; else that of the environment.
    pub fn new(env: &Env, given: Option<&str>) -> Self {
        let ours = |name: &str| NAMES.contains(&name) || name.eq_ignore_ascii_case("no_proxy");
        let env = env.iter().filter(|(k, _)| ours(k)).map(|(k, v)| (k.clone(), v.clone())).collect();
        Self { env, given: given.filter(|g| !g.is_empty()).map(str::to_owned) }
    }

    /// The proxy on the way to an address.
    ///
    /// # Errors
    /// It is none that is known here: a request that would go around it in silence is not sent.
    pub fn of(&self, url: &Url) -> Result<Option<Proxy>, StepError> {
        if let Some(given) = &self.given {
            return if given == "none" { Ok(None) } else { read(given, "`proxy`").map(Some) };
        }
        let host = tls::bare(url.host_str().unwrap_or_default());
        let first = |names: &[&'static str]| {
            let mut all = names.iter().filter_map(|n| Some((*n, self.env.get(*n)?)));
            all.find(|(_, value)| !value.is_empty())
        };
        if first(&["no_proxy", "NO_PROXY"]).is_some_and(|(_, list)| excepted(list, host)) {
            return Ok(None);
        }
        let found = match url.scheme() {
            "https" => first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            // Where a web server starts programs, the header `Proxy` of a request comes as this variable.
            _ if self.env.contains_key("REQUEST_METHOD") => first(&["http_proxy", "all_proxy", "ALL_PROXY"]),
            _ => first(&["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]),
        };
        found.map(|(name, value)| read(value, &format!("the environment variable `{name}`"))).transpose()
    }
}

impl Proxy {
    /// Host and port.
    pub fn place(&self) -> String {
        let colons = self.host.contains(':');
        if colons { format!("[{}]:{}", self.host, self.port) } else { format!("{}:{}", self.host, self.port) }
    }

    /// Whether it is on this machine.
    pub fn is_here(&self) -> bool {
        tls::is_here(&self.host)
    }
}

/// Reads `http://user:password@host:port`; without a scheme it is the same, and without a port that is 1080.
fn read(text: &str, whose: &str) -> Result<Proxy, StepError> {
    let wrong = |what: &str| {
        let hint = "write it as `http://host:port`; `proxy: none` goes without one";
        StepError::new(format!("{whose} {what}")).hint(hint)
    };
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&whole).map_err(|_| wrong("is no address of a proxy"))?;
    if url.scheme() != "http" {
        return Err(wrong("is a proxy of another kind than `http://`, which is the only one known here"));
    }
    let host = tls::bare(url.host_str().unwrap_or_default()).to_owned();
    // Of an address without a port the parser gives none, and none too for 80.
    let authority = whole.split_once("://").map_or("", |(_, r)| r.split('/').next().unwrap_or_default());
    let port = if authority.ends_with(":80") { 80 } else { url.port().unwrap_or(1080) };
    let plain = |text: &str| String::from_utf8_lossy(&decoded(text)).into_owned();
    let login = (!url.username().is_empty()).then(|| {
        let pair = format!("{}:{}", plain(url.username()), plain(url.password().unwrap_or_default()));
        format!("Basic {}", STANDARD.encode(pair))
    });
    Ok(Proxy { host, port, login })
}

/// A text without its percent-encoding.
fn decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let pair = after.get(..2).and_then(|p| std::str::from_utf8(p).ok()).filter(|_| *first == b'%');
        let byte = pair.and_then(|p| u8::from_str_radix(p, 16).ok());
        out.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    out
}

/// Whether a list like `example.org,.intern,10.0.0.0/8` or `*` has a host.
fn excepted(list: &str, host: &str) -> bool {
    let address: Option<IpAddr> = host.parse().ok();
    list.split([',', ' ']).map(str::trim).filter(|e| !e.is_empty()).any(|entry| {
        if entry == "*" {
            return true;
        }
        if let Some(address) = address {
            return match entry.split_once('/') {
                Some((net, bits)) => within(address, tls::bare(net), bits),
                None => tls::bare(entry).parse() == Ok(address),
            };
        }
        let name = entry.trim_matches('.').to_ascii_lowercase();
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        host.strip_suffix(&name).is_some_and(|before| before.is_empty() || before.ends_with('.'))
    })
}

fn within(address: IpAddr, net: &str, bits: &str) -> bool {
    let number = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => (u128::from(u32::from(ip)) << 96, 32),
        IpAddr::V6(ip) => (u128::from(ip), 128),
    };
    let (Ok(net), Ok(bits)) = (net.parse(), bits.parse::<u32>()) else { return false };
    let ((net, width), (address, other)) = (number(net), number(address));
    width == other && bits <= width && (bits == 0 || (net ^ address) >> (128 - bits) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(env: &[(&str, &str)], given: Option<&str>, url: &str) -> String {
        let env: Env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        match Proxies::new(&env, given).of(&Url::parse(url).expect("an address")) {
            Ok(proxy) => proxy.map_or("-".to_owned(), |p| p.place()),
            Err(error) => error.what,
        }
    }

    #[test]
    fn the_environment_is_read_as_curl_does() {
        let env =
            [("http_proxy", "low:1"), ("HTTP_PROXY", "up:2"), ("HTTPS_PROXY", "http://s:3/"), ("ALL_PROXY", "all:4")];
        assert_eq!(of(&env, None, "http://a.example.org/"), "low:1");
        assert_eq!(of(&env[1..], None, "http://a.example.org/"), "up:2");
        assert_eq!(of(&env, None, "https://a.example.org/"), "s:3");
        assert_eq!(of(&env[3..], None, "https://a.example.org/"), "all:4");
        assert_eq!(of(&[("HTTP_PROXY", "up:2"), ("REQUEST_METHOD", "GET")], None, "http://a.example.org/"), "-");
        assert_eq!(of(&[("https_proxy", "p")], None, "https://a.example.org/"), "p:1080");
        assert_eq!(of(&[("https_proxy", "http://p:80")], None, "https://a.example.org/"), "p:80");
        assert_eq!(of(&[("https_proxy", "[::1]:9")], None, "https://a.example.org/"), "[::1]:9");
        assert_eq!(of(&[("https_proxy", "")], None, "https://a.example.org/"), "-");
        assert_eq!(of(&env, Some("none"), "https://a.example.org/"), "-");
        assert_eq!(of(&env, Some("mine:5"), "https://a.example.org/"), "mine:5");
        let socks = of(&[("all_proxy", "socks5://me:canary@p:1")], None, "https://a.example.org/");
        assert!(
            socks.contains("`all_proxy`") && socks.contains("another kind") && !socks.contains("canary"),
            "{socks}"
        );
    }

    #[test]
    fn some_hosts_go_without() {
        let through = |list: &str, url: &str| of(&[("all_proxy", "p:1"), ("NO_PROXY", list)], None, url) == "p:1";
        for (list, url) in [
            ("*", "https://a.example.org/"),
            ("example.org", "https://a.example.org/"),
            ("x, .EXAMPLE.org ", "https://a.example.org/"),
            ("a.example.org", "https://A.example.org/"),
            ("10.0.0.0/8", "https://10.9.8.7/"),
            ("10.1.2.3", "http://10.1.2.3/"),
            ("::1", "http://[::1]/"),
            ("fd00::/8", "http://[fd12::3]/"),
        ] {
            assert!(!through(list, url), "{list}: {url}");
        }
        for (list, url) in [
            ("example.org", "https://badexample.org/"),
            ("b.example.org", "https://a.example.org/"),
            ("10.0.0.0/8", "https://11.9.8.7/"),
            ("10.0.0.0/99", "https://10.9.8.7/"),
            ("", "https://a.example.org/"),
        ] {
            assert!(through(list, url), "{list}: {url}");
        }
    }

    #[test]
    fn a_login_is_decoded() {
        let proxy = read("http://me:p%40ss%zz@h:1", "`proxy`").expect("a proxy");
        assert_eq!(proxy.login, Some(format!("Basic {}", STANDARD.encode("me:p@ss%zz"))));
        assert_eq!(format!("{proxy:?}"), "h:1");
    }
}
