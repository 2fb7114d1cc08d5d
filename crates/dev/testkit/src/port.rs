//! A port nobody listens on.

use std::net::{Ipv4Addr, TcpListener};

/// A free port on loopback. Somebody else may take it before it is used; callers retry.
pub fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
