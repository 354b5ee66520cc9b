//! `rotate`: the store's data key for the present identity and recipients.

use serde_json::{Value, json};

use crate::config::seal::named;
use crate::server::Gateway;
use crate::server::admin::{Params, Refusal};

/// Who can open the data key now. The files are the caller's matter: it seals their values anew, and has them read, before
/// it asks for this.
pub(super) fn rotate(gateway: &Gateway, _: &Params) -> Result<Value, Refusal> {
    let failed = |message| Refusal {
        status: http::StatusCode::SERVICE_UNAVAILABLE,
        message,
        diff: None,
    };
    let store = &gateway.dispatcher.runtime.store;
    let wrapped = store.rewrap().map_err(|error| failed(error.to_string()))?;
    let Some(wrapped) = wrapped else {
        return Ok(json!({ "recipients": null }));
    };
    let recipients = named(&wrapped);
    tracing::info!(recipients = recipients.join(" "), "data key wrapped anew");
    Ok(json!({ "recipients": recipients }))
}

/// Who can open the data key, `null` where there is none. One that can't be read is one all the same.
pub(super) fn data_key(gateway: &Gateway) -> Value {
    match gateway.dispatcher.runtime.store.wrapped_key() {
        Ok(None) => Value::Null,
        Ok(Some(wrapped)) => json!(named(&wrapped)),
        Err(_) => json!([]),
    }
}
