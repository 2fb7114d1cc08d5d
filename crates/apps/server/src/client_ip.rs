//! Which address a request came from: the peer's, or what a trusted proxy in front of us says.

use http::HeaderMap;
use std::net::IpAddr;

/// A network in CIDR form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Reads `10.0.0.0/8`, `::1/128` or a single address.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(width), |b| b.parse().ok())?;
        (bits <= width).then_some(Self { address, bits })
    }

    /// Whether `ip` lies in it. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(self, ip: IpAddr) -> bool {
        match (self.address, ip.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                net.to_bits() & mask == ip.to_bits() & mask
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                net.to_bits() & mask == ip.to_bits() & mask
            }
            _ => false,
        }
    }
}

/// Whether the peer may speak for others.
pub fn is_trusted(peer: IpAddr, trusted: &[Network]) -> bool {
    trusted.iter().any(|network| network.contains(peer))
}

/// The client's address.
///
/// # Compat
/// Header order as in PostHog capture (axum-client-ip `InsecureClientIp`), but only behind a trusted peer.
pub fn client_ip(headers: &HeaderMap, peer: IpAddr, trusted: &[Network]) -> IpAddr {
    if !is_trusted(peer, trusted) {
        return peer.to_canonical();
    }
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let forwarded = || {
        let first = header("forwarded")?.split(',').next()?;
        let value = first.split(';').find_map(|part| {
            let (key, value) = part.trim().split_once('=')?;
            key.eq_ignore_ascii_case("for").then_some(value)
        })?;
        address(value.trim_matches('"'))
    };
    let single = |name: &str| address(header(name)?.split(',').next()?);
    single("x-forwarded-for")
        .or_else(forwarded)
        .or_else(|| single("x-real-ip"))
        .or_else(|| single("fly-client-ip"))
        .or_else(|| single("true-client-ip"))
        .or_else(|| single("cf-connecting-ip"))
        .or_else(|| {
            // CloudFront-Viewer-Address is `ip:port`, also for IPv6 without brackets.
            let value = header("cloudfront-viewer-address")?;
            address(value.rsplit_once(':')?.0)
        })
        .unwrap_or_else(|| peer.to_canonical())
}

/// Reads an address that may carry a port or brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(ip.to_canonical());
    }
    if let Ok(socket) = text.parse::<std::net::SocketAddr>() {
        return Some(socket.ip().to_canonical());
    }
    text.strip_prefix('[')?.split(']').next()?.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(peer: &str, headers: &[(&'static str, &str)]) -> String {
        let trusted = [Network::parse("10.0.0.0/8").expect("net"), Network::parse("::1").expect("net")];
        let headers = headers
            .iter()
            .map(|(k, v)| (http::HeaderName::from_static(k), v.parse().expect("header")))
            .collect();
        client_ip(&headers, peer.parse().expect("ip"), &trusted).to_string()
    }

    #[test]
    fn only_a_trusted_peer_may_speak_for_others() {
        let header = ("x-forwarded-for", "203.0.113.7, 10.0.0.2");
        assert_eq!(decide("10.1.2.3", &[header]), "203.0.113.7");
        assert_eq!(decide("::ffff:10.1.2.3", &[header]), "203.0.113.7");
        assert_eq!(decide("198.51.100.1", &[header]), "198.51.100.1");
    }

    #[test]
    fn every_header_form_is_read() {
        assert_eq!(
            decide("10.0.0.1", &[("forwarded", "for=\"[2001:db8::1]:80\";proto=http")]),
            "2001:db8::1"
        );
        assert_eq!(decide("10.0.0.1", &[("x-real-ip", "203.0.113.8:99")]), "203.0.113.8");
        assert_eq!(decide("10.0.0.1", &[("cf-connecting-ip", "203.0.113.9")]), "203.0.113.9");
        assert_eq!(decide("10.0.0.1", &[("cloudfront-viewer-address", "203.0.113.9:443")]), "203.0.113.9");
        assert_eq!(decide("10.0.0.1", &[("x-forwarded-for", "unknown")]), "10.0.0.1");
    }

    #[test]
    fn networks_are_parsed_strictly() {
        assert!(Network::parse("10.0.0.0/33").is_none());
        assert!(Network::parse("ten").is_none());
        let all = Network::parse("0.0.0.0/0").expect("net");
        assert!(all.contains("1.2.3.4".parse().expect("ip")));
    }
}
