//! L3: text in, [`model::Config`] or diagnostics out.

pub mod model;
