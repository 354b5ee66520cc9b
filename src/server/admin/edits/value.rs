//! A value of JSON as what the file has at its place, by the file's own schema; secrets in clear are sealed on the way.

use std::cell::OnceCell;

use http::StatusCode;
use serde_json::{Map, Number, Value};

use crate::base::secret::Secret;
use crate::config::edit::Literal;
use crate::config::schema::{Form, Shape};
use crate::config::seal::Recipients;
use crate::config::secret::MAX_SECRET;
use crate::server::Gateway;
use crate::server::admin::{Fault, Refusal};

/// The forms in which the file names a secret.
const REFERENCES: [&str; 3] = ["env", "file", "sealed"];
/// Whole numbers below this are exact in a float.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Seals for the gateway's identity, which is made on first need, and for `secrets.recipients`.
pub(in crate::server::admin) struct Sealer<'g> {
    gateway: &'g Gateway,
    recipients: OnceCell<Recipients>,
}

impl<'g> Sealer<'g> {
    pub(in crate::server::admin) fn new(gateway: &'g Gateway) -> Self {
        Self {
            gateway,
            recipients: OnceCell::new(),
        }
    }

    /// A secret as the file has it.
    ///
    /// # Errors
    /// 409 where there is no identity to seal with.
    pub(in crate::server::admin) fn seal(&self, secret: &Secret) -> Result<Literal, Refusal> {
        let failed = |error: String| Refusal::of(StatusCode::CONFLICT, error);
        let recipients = if let Some(known) = self.recipients.get() {
            known
        } else {
            let store = &self.gateway.dispatcher.runtime.store;
            let key = store.wrapped_key().map_err(|e| failed(e.to_string()))?;
            let found = self.gateway.keyring.recipients(key.is_some());
            let found = found.map_err(failed)?;
            self.recipients.get_or_init(|| found)
        };
        let sealed = recipients.seal(secret).map_err(|e| failed(e.to_string()))?;
        Ok(Literal::sealed(&sealed))
    }
}

/// A text that is to be kept secret, without the white space around it.
///
/// # Errors
/// What is wrong with it, but not what it is.
pub(in crate::server::admin) fn secret(text: &str) -> Result<Secret, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("expected a secret, found nothing".to_owned());
    }
    if text.len() as u64 > MAX_SECRET {
        let most = MAX_SECRET >> 10;
        return Err(format!("expected a secret of at most {most} KiB"));
    }
    if text.starts_with("agp1:") {
        return Err("this is sealed already: expected it in clear".to_owned());
    }
    Ok(Secret::new(text))
}

/// A date as the file has it.
pub(in crate::server::admin) fn date(text: &str) -> Option<Literal> {
    let form = text.len() == 10
        && text.bytes().enumerate().all(|(n, b)| match n {
            4 | 7 => b == b'-',
            _ => b.is_ascii_digit(),
        });
    form.then(|| text.parse().ok()).flatten()
}

/// Makes values of the file, and collects what is wrong with them.
pub(super) struct Maker<'g> {
    sealer: Sealer<'g>,
    pub(super) faults: Vec<Fault>,
    /// Why nothing can be sealed.
    pub(super) unsealed: Option<Refusal>,
}

/// Stands for a value that can't be made: the edit is not made then.
fn nothing() -> Literal {
    Literal::from(false)
}

impl<'g> Maker<'g> {
    pub(super) fn new(gateway: &'g Gateway) -> Self {
        Self {
            sealer: Sealer::new(gateway),
            faults: Vec::new(),
            unsealed: None,
        }
    }

    pub(super) fn fault(&mut self, field: &str, message: impl Into<String>) -> Literal {
        self.faults.push(Fault {
            field: field.to_owned(),
            message: message.into(),
        });
        nothing()
    }

    /// The value; `field` is its place in the request, `shape` that in the file, where the file has one there. What does
    /// not fit is left to the check of the edited files, unless JSON and TOML differ in it.
    pub(super) fn value(&mut self, field: &str, value: &Value, shape: Option<Shape>) -> Literal {
        let form = shape.map(Shape::form);
        match value {
            Value::Null => self.fault(
                field,
                "expected a value, found null: remove the key where it is to have none",
            ),
            Value::Bool(b) => (*b).into(),
            Value::Number(number) => self.number(field, number, form),
            Value::String(_) if form == Some(Form::Secret) => self.fault(
                field,
                "a secret stands here: send {\"secret\": \"...\"}, which the file gets sealed, or {\"env\": \"NAME\"} or \
                 {\"file\": \"path\"}",
            ),
            Value::String(text) if form == Some(Form::Date) => match date(text) {
                Some(date) => date,
                None => self.fault(field, "expected a date such as \"2027-01-01\""),
            },
            Value::String(text) => text.as_str().into(),
            Value::Array(list) => {
                let item = shape.and_then(Shape::item);
                let list = list.iter().enumerate();
                let list: Vec<Literal> = list
                    .map(|(n, value)| self.value(&format!("{field}[{n}]"), value, item))
                    .collect();
                Literal::list(list)
            }
            Value::Object(map) if form == Some(Form::Secret) => self.secret(field, map),
            Value::Object(map) => self.table(field, map, shape),
        }
    }

    fn number(&mut self, field: &str, number: &Number, form: Option<Form>) -> Literal {
        let float = number.as_f64().unwrap_or(f64::NAN);
        match (form, number.as_i64()) {
            (Some(Form::Number), _) => float.into(),
            (_, Some(whole)) => whole.into(),
            // A client may write 3 as 3.0.
            (Some(Form::Integer), None) if float.fract() == 0.0 && float.abs() < EXACT => {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "a whole number that a float holds exactly"
                )]
                let whole = float as i64;
                whole.into()
            }
            _ if number.is_u64() => self.fault(
                field,
                format!("expected a number up to {}, found a larger one", i64::MAX),
            ),
            _ => float.into(),
        }
    }

    fn secret(&mut self, field: &str, map: &Map<String, Value>) -> Literal {
        const FORMS: &str = "expected one of `secret`, `env`, `file` and `sealed`";
        let mut entries = map.iter();
        let (Some((form, value)), None) = (entries.next(), entries.next()) else {
            return self.fault(field, FORMS);
        };
        if form != "secret" && !REFERENCES.contains(&form.as_str()) {
            return self.fault(field, FORMS);
        }
        let inner = format!("{field}.{form}");
        let Value::String(text) = value else {
            return self.fault(&inner, "expected a text");
        };
        if form != "secret" {
            return Literal::table([(form.clone(), text.as_str().into())]);
        }
        match secret(text) {
            Err(why) => self.fault(&inner, why),
            Ok(_) if self.unsealed.is_some() => nothing(),
            Ok(secret) => self.sealer.seal(&secret).unwrap_or_else(|refusal| {
                self.unsealed = Some(refusal);
                nothing()
            }),
        }
    }

    fn table(&mut self, field: &str, map: &Map<String, Value>, shape: Option<Shape>) -> Literal {
        let child = |key: &str| shape.and_then(|shape| shape.child(key));
        if map.len() == 1 && map.contains_key("secret") && child("secret").is_none() {
            return self.fault(field, "no secret stands here");
        }
        let mut entries = Vec::with_capacity(map.len());
        for (key, value) in map {
            let made = self.value(&format!("{field}.{key}"), value, child(key));
            entries.push((key.clone(), made));
        }
        Literal::table(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_days_that_there_are() {
        for good in ["2027-01-01", "2028-02-29"] {
            assert!(date(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "2027",
            "2027-13-01",
            "2027-02-29",
            "2027-1-1",
            "2027/01/01",
            "2027-01-01T00:00:00Z",
            "[1, 2, 3]]",
            "\"aaaaaaa\"",
            "2027-01-0a",
        ] {
            assert!(date(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn secrets_are_judged_without_a_word_of_them() {
        assert_eq!(secret(" x\n").unwrap().expose(), "x");
        for bad in ["", " \n", "agp1:planted", &"planted".repeat(20_000)] {
            let why = secret(bad).unwrap_err();
            assert!(!why.contains("planted"), "{why}");
        }
    }
}
