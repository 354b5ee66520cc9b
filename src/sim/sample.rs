//! Values that fit a schema, for the arguments of calls and for structured answers.

use serde_json::{Map, Value, json};

/// A value that fits `schema`: an object has its required properties only. A text is taken from what the user said, so
/// that "Weather in Oslo?" asks for Oslo.
pub(super) fn value(schema: &Value, name: &str, said: &str) -> Value {
    for key in ["example", "default", "const"] {
        if let Some(value) = schema.get(key).filter(|v| !v.is_null()) {
            return value.clone();
        }
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(branch) = schema[key].as_array().and_then(|b| b.first()) {
            return value(branch, name, said);
        }
    }
    if let Some(first) = schema["enum"].as_array().and_then(|e| e.first()) {
        return first.clone();
    }
    let kind = schema["type"].as_str().unwrap_or("STRING");
    match kind.to_ascii_uppercase().as_str() {
        "OBJECT" => object(schema, said),
        "ARRAY" => {
            let count = schema["minItems"].as_u64().unwrap_or(1).clamp(1, 20);
            let item = value(&schema["items"], name, said);
            (0..count).map(|_| item.clone()).collect()
        }
        "INTEGER" => {
            let low = schema["minimum"].as_f64().unwrap_or(1.0).ceil();
            let high = schema["maximum"].as_f64().unwrap_or(f64::MAX);
            let number = format!("{:.0}", low.min(high));
            number
                .parse::<i64>()
                .map_or_else(|_| json!(1), |n| json!(n))
        }
        "NUMBER" => {
            let low = schema["minimum"].as_f64().unwrap_or(1.5);
            json!(low.min(schema["maximum"].as_f64().unwrap_or(low)))
        }
        "BOOLEAN" => json!(true),
        "NULL" => Value::Null,
        _ => json!(string(schema, name, said)),
    }
}

fn object(schema: &Value, said: &str) -> Value {
    let required = schema["required"].as_array().into_iter().flatten();
    let fields: Map<String, Value> = required
        .filter_map(Value::as_str)
        .filter_map(|name| {
            let property = schema["properties"].get(name)?;
            Some((name.to_owned(), value(property, name, said)))
        })
        .collect();
    Value::Object(fields)
}

fn string(schema: &Value, name: &str, said: &str) -> String {
    if schema["format"] == "date-time" {
        return "2026-11-22T12:00:00Z".to_owned();
    }
    let word = said
        .split(|c: char| !c.is_alphanumeric())
        .skip(1)
        .filter(|w| w.chars().next().is_some_and(char::is_uppercase))
        .last();
    let mut text = word.unwrap_or(name).to_owned();
    let least = schema["minLength"].as_u64().unwrap_or(0).min(10_000);
    while (text.chars().count() as u64) < least {
        text.push('x');
    }
    if let Some(most) = schema["maxLength"].as_u64() {
        text = text
            .chars()
            .take(usize::try_from(most).unwrap_or(usize::MAX))
            .collect();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_properties_are_filled() {
        let schema = json!({"type": "OBJECT", "required": ["city", "unit", "days", "tags", "at"], "properties": {
            "city": {"type": "STRING"}, "unit": {"type": "STRING", "enum": ["c", "f"]},
            "days": {"type": "INTEGER", "minimum": 2}, "tags": {"type": "ARRAY", "items": {"type": "BOOLEAN"}},
            "at": {"type": "STRING", "format": "date-time"}, "more": {"type": "STRING"}}});
        assert_eq!(
            value(&schema, "get_weather", "Weather in Oslo, please"),
            json!({"city": "Oslo", "unit": "c", "days": 2, "tags": [true], "at": "2026-11-22T12:00:00Z"})
        );
        let union = json!({"anyOf": [{"type": "string", "maxLength": 3}]});
        assert_eq!(value(&union, "query", "hm"), json!("que"));
    }
}
