//! Which addresses are public: those that any stranger on the internet could call from anywhere.
//!
//! IPv4 by exclusion, from IANA's registry of special-purpose addresses; IPv6 by inclusion, because only one eighth of it
//! was ever given out. An IPv4 address inside an IPv6 one is judged as the IPv4 address that packets would reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// First address and bits of the networks that are not public, and what they are.
const SPECIAL_V4: &[([u8; 4], u32, &str)] = &[
    ([0, 0, 0, 0], 8, "this network"),
    ([10, 0, 0, 0], 8, "private"),
    ([100, 64, 0, 0], 10, "behind a carrier's NAT"),
    ([127, 0, 0, 0], 8, "loopback"),
    ([168, 63, 129, 16], 32, "a cloud's host"),
    ([169, 254, 0, 0], 16, "link-local, metadata of clouds"),
    ([172, 16, 0, 0], 12, "private"),
    ([192, 0, 0, 0], 24, "protocol assignments"),
    ([192, 0, 2, 0], 24, "documentation"),
    ([192, 88, 99, 0], 24, "6to4 relays"),
    ([192, 168, 0, 0], 16, "private"),
    ([198, 18, 0, 0], 15, "benchmarks"),
    ([198, 51, 100, 0], 24, "documentation"),
    ([203, 0, 113, 0], 24, "documentation"),
    ([224, 0, 0, 0], 4, "multicast"),
    ([240, 0, 0, 0], 4, "reserved, broadcast"),
];

/// The same within 2000::/3, outside of which nothing is public.
const SPECIAL_V6: &[([u16; 2], u32, &str)] = &[
    ([0x2001, 0x0000], 23, "protocol assignments, Teredo"),
    ([0x2001, 0x0db8], 32, "documentation"),
    ([0x2002, 0x0000], 16, "6to4"),
    ([0x3fff, 0x0000], 20, "documentation"),
];

/// The prefix of RFC 6052: a network without IPv4 writes the IPv4 addresses of others so.
const NAT64: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];

/// What an address is when it is not public.
pub(crate) fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

/// The IPv4 address that packets to an IPv6 one reach, for the two forms that mean exactly that.
pub(crate) fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return IpAddr::V4(v4);
    }
    let [.., high, low] = v6.segments();
    if v6.segments().starts_with(&NAT64) {
        return IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    }
    address
}

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    let within = |first: [u8; 4], bits: u32| {
        let mask = u32::MAX << (32 - bits);
        address.to_bits() & mask == u32::from_be_bytes(first)
    };
    SPECIAL_V4.iter().find(|(first, bits, _)| within(*first, *bits)).map(|(.., what)| *what)
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    if let IpAddr::V4(v4) = plain(IpAddr::V6(address)) {
        return special_v4(v4);
    }
    let [first, second, ..] = address.segments();
    if first & 0xe000 != 0x2000 {
        return Some("not of the public part of IPv6");
    }
    let start = u32::from(first) << 16 | u32::from(second);
    let within = |of: [u16; 2], bits: u32| {
        let mask = u32::MAX << (32 - bits);
        start & mask == u32::from(of[0]) << 16 | u32::from(of[1])
    };
    SPECIAL_V6.iter().find(|(of, bits, _)| within(*of, *bits)).map(|(.., what)| *what)
}
