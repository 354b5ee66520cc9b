//! The table of operations.

mod file;
mod pool;
mod traffic;

use crate::server::admin::Operation;

/// All of them.
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    [pool::OPERATIONS, traffic::OPERATIONS, file::OPERATIONS]
        .into_iter()
        .flatten()
}
