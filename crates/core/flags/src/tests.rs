//! The cases of `fixtures/flags`: stored flags and a request, and the exact answer.

mod cases;
mod faults;
mod rules;
