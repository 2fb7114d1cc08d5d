//! Every way known to us to make a server call what only it can reach.

mod addresses;
mod listener;
mod urls;
mod wire;
