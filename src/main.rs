//! The `agp` command.

fn main() {}
