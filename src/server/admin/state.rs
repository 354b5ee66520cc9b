//! `state backup`: a copy of the state. `rotate`: its data key for the present identity and recipients.

use http::StatusCode;
use serde_json::{Value, json};

use crate::config::seal::named;
use crate::server::Gateway;
use crate::server::admin::api::history::{BackedUp, Rotated};
use crate::server::admin::{self, Params, Refusal};
use crate::store::StoreError;

/// The copy's name in the state folder.
pub(super) fn backup(gateway: &Gateway, _: &Params) -> Result<Value, Refusal> {
    match gateway.dispatcher.runtime.store.backup() {
        Ok(path) => {
            let name = path.file_name();
            let file = name.map(|name| name.to_string_lossy().into_owned());
            admin::told(BackedUp { file })
        }
        Err(error) => Err(failed(&error)),
    }
}

fn failed(error: &StoreError) -> Refusal {
    Refusal::of(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}

/// Who can open the data key now. The files are the caller's matter: it seals their values anew, and has them read, before
/// it asks for this.
pub(super) fn rotate(gateway: &Gateway, _: &Params) -> Result<Value, Refusal> {
    let store = &gateway.dispatcher.runtime.store;
    let wrapped = store.rewrap().map_err(|error| failed(&error))?;
    let Some(wrapped) = wrapped else {
        return admin::told(Rotated { recipients: None });
    };
    let recipients = named(&wrapped);
    tracing::info!(recipients = recipients.join(" "), "data key wrapped anew");
    admin::told(Rotated {
        recipients: Some(recipients),
    })
}

/// Who can open the data key, `null` where there is none. One that can't be read is one all the same.
pub(super) fn data_key(gateway: &Gateway) -> Value {
    match gateway.dispatcher.runtime.store.wrapped_key() {
        Ok(None) => Value::Null,
        Ok(Some(wrapped)) => json!(named(&wrapped)),
        Err(_) => json!([]),
    }
}
