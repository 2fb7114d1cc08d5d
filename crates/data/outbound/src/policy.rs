//! What may be called: by its URL, and by the addresses that its name turns out to have.

use crate::address;
use crate::error::{Reason, Result};
use ipnet::IpNet;
use std::net::IpAddr;
use std::time::Duration;
use url::{Host, Url};

/// What the operator decides.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Networks (`10.1.0.0/16`, `10.1.2.3`) and hosts (`hooks.internal`) that may be called although they are not public,
    /// on any port.
    pub allow: Vec<String>,
    /// Ports of everything else.
    pub ports: Vec<u16>,
    /// How long one exchange may take, from looking the name up to the last byte, redirects included.
    pub deadline: Duration,
    /// Bytes of an answer's body that are read at most.
    pub answer_bytes: usize,
    /// Redirects that are followed at most.
    pub redirects: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            ports: vec![80, 443, 8080, 8443],
            deadline: Duration::from_secs(10),
            answer_bytes: 1 << 20,
            redirects: 3,
        }
    }
}

/// The rules, read.
pub(crate) struct Policy {
    networks: Vec<IpNet>,
    hosts: Vec<String>,
    ports: Vec<u16>,
}

impl Policy {
    /// Reads the operator's list.
    ///
    /// # Errors
    /// `Url` for an entry that is neither a network nor a host.
    pub(crate) fn read(settings: &Settings) -> Result<Self> {
        let (mut networks, mut hosts) = (Vec::new(), Vec::new());
        for entry in &settings.allow {
            if let Some(network) = network(entry) {
                networks.push(network);
                continue;
            }
            match Host::parse(entry) {
                Ok(Host::Domain(name)) => hosts.push(bare(&name).to_owned()),
                _ => {
                    let text =
                        format!("`{entry}` is neither a network such as 10.1.0.0/16 nor the name of a host");
                    return Err(Reason::Url.error(text));
                }
            }
        }
        Ok(Self { networks, hosts, ports: settings.ports.clone() })
    }

    /// Looks at everything that can be seen without a resolver.
    ///
    /// # Errors
    /// `Url`, `Scheme`, `Userinfo`, `Port` or `Address`.
    pub(crate) fn url(&self, url: &Url) -> Result<()> {
        if !matches!(url.scheme(), "https" | "http") {
            let text = format!("{}: is not called; use https or http", url.scheme());
            return Err(Reason::Scheme.error(text));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Reason::Userinfo.error("a URL with a name or password before the host is not called"));
        }
        let host = url.host().ok_or_else(|| Reason::Url.error("the URL names no host"))?;
        let listed = match &host {
            Host::Domain(name) => self.host(name),
            Host::Ipv4(literal) => self.within((*literal).into()),
            Host::Ipv6(literal) => self.within((*literal).into()),
        };
        let port = url.port_or_known_default().unwrap_or_default();
        if !listed && !self.ports.contains(&port) {
            let known: Vec<String> = self.ports.iter().map(u16::to_string).collect();
            return Err(
                Reason::Port.error(format!("port {port} is not called; use one of {}", known.join(", ")))
            );
        }
        match host {
            Host::Domain(_) => Ok(()),
            Host::Ipv4(literal) => self.address(&literal.to_string(), literal.into()),
            Host::Ipv6(literal) => self.address(&literal.to_string(), literal.into()),
        }
    }

    /// Looks at one address of a host.
    ///
    /// # Errors
    /// `Address` when it is not public and nobody allowed it.
    pub(crate) fn address(&self, host: &str, address: IpAddr) -> Result<()> {
        if address::special(address).is_none() || self.within(address) || self.host(host) {
            return Ok(());
        }
        let text =
            format!("{host} is not a public address; an operator can list it as one that may be called");
        Err(Reason::Address.error(text))
    }

    fn host(&self, name: &str) -> bool {
        self.hosts.iter().any(|known| known.eq_ignore_ascii_case(bare(name)))
    }

    fn within(&self, address: IpAddr) -> bool {
        let plain = address::plain(address);
        self.networks.iter().any(|network| network.contains(&plain))
    }
}

/// A name without the dot that says that it is whole.
fn bare(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// A network, or an address as a network of one.
fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}
