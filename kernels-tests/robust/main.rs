//! Inputs that nobody would write on purpose: random recipes, and files with some of their bytes changed.
//!
//! Whatever they hold, they are read or refused with a message. No input may panic, take memory without end, or give
//! pixels that are not finite. `cargo xtask test robust` runs these tests under a limit on the memory of the process.
//! `fuzz/` asks the same doors for as long as one likes.

mod changes;
mod corpus;
mod doors;
mod files;
mod recipes;
