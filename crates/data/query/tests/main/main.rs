//! Questions over a small warehouse: part of its rows committed, part still in the tail, two
//! projects in the same tables and one table made by somebody else.

mod damage;
mod foreign;
mod guard;
mod isolation;
mod limit;
mod prune;
mod seed;
mod shape;
mod slt;
mod world;
