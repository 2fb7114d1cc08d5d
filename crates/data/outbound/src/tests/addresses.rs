//! The table of addresses by itself.

use crate::address::{plain, special};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[test]
fn the_first_and_last_of_every_network_are_inside_and_their_neighbours_outside() {
    let networks = "
        0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 168.63.129.16/32 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
        192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3";
    for network in networks.split_whitespace() {
        let network: ipnet::Ipv4Net = network.parse().expect("a network");
        let (first, last) = (network.network(), network.broadcast());
        assert!(special(first.into()).is_some() && special(last.into()).is_some(), "{network}");
        let before = first.to_bits().checked_sub(1).map(Ipv4Addr::from_bits);
        let after = last.to_bits().checked_add(1).map(Ipv4Addr::from_bits);
        for outside in before.into_iter().chain(after) {
            assert_eq!(special(outside.into()), None, "{outside}, beside {network}");
        }
    }
    for network in ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"] {
        let network: ipnet::Ipv6Net = network.parse().expect("a network");
        let (first, last) = (network.network(), network.broadcast());
        assert!(special(first.into()).is_some() && special(last.into()).is_some(), "{network}");
    }
}

#[test]
fn public_addresses_are_public() {
    for public in ["1.1.1.1", "8.8.8.8", "93.184.216.34", "100.128.0.1", "172.32.0.1", "223.255.255.255"]
        .into_iter()
        .chain(["2606:4700::1111", "2001:4860:4860::8888", "2a00:1450::1", "2001:200::1", "2003::1"])
        .chain(["::ffff:8.8.8.8", "64:ff9b::8.8.8.8"])
    {
        assert_eq!(special(public.parse().expect("an address")), None, "{public}");
    }
}

proptest! {
    #[test]
    fn an_address_inside_another_is_judged_as_itself(bits: u32) {
        let v4 = Ipv4Addr::from_bits(bits);
        let nat64 = Ipv6Addr::from_bits((0x0064_ff9b_u128 << 96) | u128::from(bits));
        for v6 in [v4.to_ipv6_mapped(), nat64] {
            prop_assert_eq!(special(v6.into()), special(v4.into()));
            prop_assert_eq!(plain(v6.into()), IpAddr::V4(v4));
        }
        // The deprecated form reaches nobody.
        prop_assert!(special(v4.to_ipv6_compatible().into()).is_some());
    }

    #[test]
    fn ipv6_is_public_in_one_eighth_only(bits: u128) {
        let address = Ipv6Addr::from_bits(bits);
        let outside = bits >> 125 != 1 && plain(address.into()).is_ipv6();
        prop_assert!(!outside || special(address.into()).is_some());
    }
}
