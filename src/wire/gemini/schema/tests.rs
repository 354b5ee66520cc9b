use proptest::prelude::*;
use serde_json::json;

use super::*;

fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).unwrap()
}

fn gemini(value: &Value) -> Value {
    clean(&raw(value), SchemaTarget::Gemini).unwrap()
}

fn claude(value: &Value) -> Value {
    clean(&raw(value), SchemaTarget::Claude).unwrap()
}

#[test]
fn references_are_put_in_place_and_cycles_end() {
    let tree = json!({"$ref": "#/$defs/No~1de", "$defs": {"No/de": {"type": "object", "properties":
        {"next": {"$ref": "#/$defs/No~1de", "description": "then"}, "v": {"type": "string"}}}}});
    assert_eq!(
        gemini(&tree),
        json!({"type": "OBJECT", "properties": {"next": {"type": "OBJECT", "description": "then (a No~1de)"},
            "v": {"type": "STRING"}}})
    );
    for reference in ["#", "https://example.com/x", "#/nowhere"] {
        let schema = json!({"type": "object", "properties": {"a": {"$ref": reference}}});
        let cleaned = gemini(&schema);
        assert_eq!(cleaned["properties"]["a"]["type"], "OBJECT");
        assert!(cleaned["properties"]["a"]["description"].is_string());
    }
}

#[test]
fn siblings_may_share_a_reference() {
    let schema = json!({"$defs": {"A": {"type": "string"}, "B": {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}}},
        "anyOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}]});
    assert_eq!(
        gemini(&schema),
        json!({"anyOf": [{"type": "STRING"}, {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}]})
    );
}

#[test]
fn a_reference_bomb_is_bounded() {
    let mut defs = Map::new();
    for n in 0..40 {
        let next = format!("#/$defs/d{}", n + 1);
        defs.insert(
            format!("d{n}"),
            json!({"type": "object", "properties": {"a": {"$ref": next}, "b": {"$ref": next}}}),
        );
    }
    let schema = json!({"$ref": "#/$defs/d0", "$defs": defs});
    let text = gemini(&schema).to_string();
    assert!(text.len() < 3 << 20, "{}", text.len());
    let mut all = Map::new();
    for n in 0..40 {
        let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
        all.insert(format!("d{n}"), json!({"allOf": [next, next]}));
    }
    assert!(gemini(&json!({"$ref": "#/$defs/d0", "$defs": all})).is_object());
}

#[test]
fn unions_stand_alone_with_what_they_share() {
    let schema = json!({"description": "d", "anyOf": [{"type": "string"}, {"type": "integer", "description": "own"}, {"type": "null"}]});
    assert_eq!(
        gemini(&schema),
        json!({"anyOf": [
            {"type": "STRING", "description": "d", "nullable": true},
            {"type": "INTEGER", "description": "own", "nullable": true}]})
    );
    let tagged = json!({"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"],
        "oneOf": [{"properties": {"a": {"type": "string"}}}, {"properties": {"b": {"type": "string"}}, "required": ["b"]}]});
    assert_eq!(
        gemini(&tagged)["anyOf"][1],
        json!({"type": "OBJECT", "properties": {"b": {"type": "STRING"}, "id": {"type": "STRING"}}, "required": ["b", "id"]})
    );
    let bounded = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "anyOf": [{"required": ["a"]}, {"required": ["b"]}]});
    let cleaned = gemini(&bounded);
    assert_eq!(cleaned["type"], "OBJECT");
    assert_eq!(cleaned["properties"].as_object().unwrap().len(), 2);
}

#[test]
fn constants_become_one_enum() {
    let schema = json!({"description": "d", "oneOf": [{"const": "a"}, {"const": "b", "title": "B"}, {"enum": ["c", "a"]}]});
    assert_eq!(
        gemini(&schema),
        json!({"type": "STRING", "description": "d", "enum": ["a", "b", "c"]})
    );
    assert_eq!(
        claude(&schema),
        json!({"type": "string", "description": "d", "enum": ["a", "b", "c"]})
    );
}

#[test]
fn lists_of_types_split_with_the_keywords_that_fit() {
    let schema = json!({"type": ["string", "integer", "null"], "minLength": 2, "minimum": 3, "enum": ["a", "", null]});
    assert_eq!(
        gemini(&schema),
        json!({"anyOf": [
            {"type": "STRING", "nullable": true, "enum": ["a"], "minLength": 2},
            {"type": "INTEGER", "nullable": true, "minimum": 3, "description": "(one of \"a\", \"\")"}]})
    );
    assert_eq!(claude(&schema)["type"], "string");
}

#[test]
fn claude_loses_nullable_and_the_name_its_must() {
    let schema = json!({"type": "object", "properties": {"a": {"type": ["string", "null"]}, "b": {"type": "array"}},
        "required": ["a", "b"]});
    assert_eq!(
        claude(&schema),
        json!({"type": "object", "properties": {"a": {"type": "string"},
            "b": {"type": "array", "items": {"type": "string"}}}, "required": ["b"]})
    );
}

#[test]
fn bounds_that_exclude_step_inside() {
    let of = |schema: Value| {
        let cleaned = gemini(&schema);
        (
            cleaned.get("minimum").cloned(),
            cleaned.get("maximum").cloned(),
        )
    };
    let int = |n: i64| Some(Value::from(n));
    assert_eq!(
        of(json!({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 10.5})),
        (int(1), int(10))
    );
    assert_eq!(
        of(json!({"type": "integer", "minimum": 5, "exclusiveMinimum": true})),
        (int(6), None)
    );
    assert_eq!(
        of(json!({"type": "integer", "minimum": 5, "exclusiveMinimum": 2})),
        (int(5), None)
    );
    assert_eq!(
        of(json!({"type": "number", "exclusiveMinimum": 0})),
        (None, None)
    );
    assert_eq!(
        of(json!({"type": "number", "minimum": 0.5, "exclusiveMinimum": true})),
        (Some(json!(0.5)), None)
    );
}

#[test]
fn malformed_schemas_are_mended() {
    assert_eq!(
        gemini(
            &json!({"properties": {"a": {"type": "None"}, "b": {"type": "string", "required": true}, "c": false, "d": true}})
        ),
        json!({"type": "OBJECT", "properties": {"a": {"type": "STRING"}, "b": {"type": "STRING"}, "d": {"type": "STRING"}},
            "required": ["b"]})
    );
    for bad in [json!([]), json!("x"), json!(3)] {
        assert!(clean(&raw(&bad), SchemaTarget::Gemini).is_err());
    }
}

#[test]
fn tuples_become_unions_of_their_items() {
    assert_eq!(
        gemini(
            &json!({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}, {"type": "string"}]})
        ),
        json!({"type": "ARRAY", "items": {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]}})
    );
    assert_eq!(
        claude(&json!({"items": [{"type": "integer"}, {"type": "string"}]})),
        json!({"type": "array", "items": {"type": "integer"}})
    );
}

#[test]
fn parameters_are_an_object_with_properties_or_nothing() {
    let parameters = |v: Value| clean_parameters(&raw(&v), SchemaTarget::Gemini);
    for nothing in [
        json!({}),
        json!(true),
        json!(null),
        json!({"type": "object", "properties": {}, "description": "d"}),
    ] {
        assert_eq!(parameters(nothing).unwrap(), None);
    }
    assert!(parameters(json!({"type": "string"})).is_err());
    let union = json!({"anyOf": [
        {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": ["a", "b"]},
        {"type": "object", "properties": {"b": {"type": "string"}, "c": {"type": "string"}}, "required": ["b"]}]});
    let one = parameters(union).unwrap().unwrap();
    assert_eq!(one["required"], json!(["b"]));
    assert_eq!(one["properties"].as_object().unwrap().len(), 3);
}

/// What Google's server holds against a schema (section 7).
fn check(node: &Value, target: SchemaTarget, depth: usize) -> Result<(), String> {
    let map = node.as_object().ok_or("a node is no object")?;
    if depth > DEPTH + 2 {
        return Err("too deep".to_owned());
    }
    let known = [
        "type",
        "format",
        "description",
        "nullable",
        "enum",
        "properties",
        "required",
        "items",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
        "pattern",
        "anyOf",
    ];
    if let Some(odd) = map.keys().find(|k| !known.contains(&k.as_str())) {
        return Err(format!("unknown key {odd}"));
    }
    if let Some(branches) = map.get("anyOf") {
        if target == SchemaTarget::Claude || map.len() > 1 {
            return Err(format!("anyOf beside others: {node}"));
        }
        let branches = branches.as_array().ok_or("anyOf is no list")?;
        if branches.len() < 2 {
            return Err("anyOf of one".to_owned());
        }
        return branches
            .iter()
            .try_for_each(|b| check(b, target, depth + 1));
    }
    let kind = map
        .get("type")
        .and_then(Value::as_str)
        .ok_or_else(|| format!("no type: {node}"))?;
    let kind = kind.to_ascii_lowercase();
    if let Some(list) = map.get("enum") {
        let list = list.as_array().ok_or("enum is no list")?;
        if kind != "string"
            || list.is_empty()
            || list.iter().any(|v| v.as_str().is_none_or(str::is_empty))
        {
            return Err(format!("enum: {node}"));
        }
    }
    match (kind.as_str(), map.get("items")) {
        ("array", Some(items)) => check(items, target, depth + 1)?,
        ("array", None) => return Err("items: missing field".to_owned()),
        (_, Some(_)) => return Err("items beside another type".to_owned()),
        _ => {}
    }
    if let Some(properties) = map.get("properties") {
        let properties = properties.as_object().ok_or("properties are no object")?;
        if kind != "object" || (properties.is_empty() && target == SchemaTarget::Gemini) {
            return Err(format!("properties: {node}"));
        }
        properties
            .values()
            .try_for_each(|p| check(p, target, depth + 1))?;
    }
    if let Some(names) = map.get("required") {
        let names = names.as_array().ok_or("required is no list")?;
        let has = |n: &Value| {
            map["properties"]
                .get(n.as_str().unwrap_or_default())
                .is_some()
        };
        if kind != "object" || names.is_empty() || !names.iter().all(has) {
            return Err(format!("required: {node}"));
        }
    }
    Ok(())
}

fn any_schema() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        Just("a"),
        Just("b"),
        Just("type"),
        Just("required"),
        Just("$ref")
    ];
    let kind = prop_oneof![
        Just(json!("string")),
        Just(json!("integer")),
        Just(json!("number")),
        Just(json!("null")),
        Just(json!("OBJECT")),
        Just(json!("array")),
        Just(json!("None")),
        Just(json!(["string", "null"])),
        Just(json!(["object", "integer", "array"])),
    ];
    let data = prop_oneof![
        Just(json!("x")),
        Just(json!("")),
        Just(json!(3)),
        Just(json!(null)),
        Just(json!(true)),
        Just(json!({"a": 1})),
    ];
    let leaf = prop_oneof![
        Just(json!({})),
        Just(json!(true)),
        Just(json!(false)),
        kind.clone().prop_map(|k| json!({ "type": k })),
        Just(json!({"$ref": "#/$defs/one"})),
        Just(json!({"$ref": "#/$defs/two", "description": "r"})),
        Just(json!({"$ref": "#"})),
        Just(json!({"type": "null"})),
        data.clone().prop_map(|d| json!({ "const": d })),
        proptest::collection::vec(data, 0..4).prop_map(|d| json!({ "enum": d })),
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        let many = proptest::collection::vec(inner.clone(), 0..4);
        let props = proptest::collection::vec((name.clone(), inner.clone()), 0..4);
        (
            proptest::option::of(kind.clone()),
            proptest::option::of(props),
            proptest::option::of(inner),
            proptest::collection::vec((0..6_u8, many), 0..3),
            proptest::collection::vec(0..10_u8, 0..4),
        )
            .prop_map(|(kind, props, items, lists, extras)| {
                let mut map = Map::new();
                if let Some(kind) = kind {
                    map.insert("type".to_owned(), kind);
                }
                if let Some(props) = props {
                    let props: Map<String, Value> =
                        props.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
                    map.insert("properties".to_owned(), Value::Object(props));
                }
                if let Some(items) = items {
                    map.insert("items".to_owned(), items);
                }
                for (which, list) in lists {
                    let key = ["anyOf", "oneOf", "allOf", "prefixItems", "items", "anyOf"]
                        [usize::from(which)];
                    map.insert(key.to_owned(), Value::Array(list));
                }
                for extra in extras {
                    let (key, value) = match extra {
                        0 => ("required", json!(["a", "type", "nope", "a"])),
                        1 => ("description", json!("d")),
                        2 => ("exclusiveMinimum", json!(2)),
                        3 => ("format", json!("email")),
                        4 => ("minLength", json!(1)),
                        5 => ("required", json!(true)),
                        6 => ("nullable", json!(true)),
                        7 => ("x-y", json!({"type": "string"})),
                        8 => ("minimum", json!(0)),
                        _ => ("default", json!({"$ref": "#/x"})),
                    };
                    map.insert(key.to_owned(), value);
                }
                Value::Object(map)
            })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn cleaning_is_valid_and_twice_is_once(root in any_schema(), one in any_schema(), two in any_schema()) {
        let mut root = root;
        if let Value::Object(map) = &mut root {
            map.insert("$defs".to_owned(), json!({"one": one, "two": two}));
        }
        for target in [SchemaTarget::Gemini, SchemaTarget::Claude] {
            let once = clean(&raw(&root), target).unwrap();
            if let Err(why) = check(&once, target, 0) {
                prop_assert!(false, "{why}\n{root}\n{once}");
            }
            let twice = clean(&raw(&once), target).unwrap();
            prop_assert_eq!(once.to_string(), twice.to_string(), "{}", root);
            let _ = clean_parameters(&raw(&root), target);
        }
    }
}

#[test]
fn depth_is_bounded_and_stays_so() {
    for (wrap, levels) in [("properties", 45), ("items", 45), ("anyOf", 25)] {
        let mut schema = json!({"type": "string", "minLength": 1});
        for _ in 0..levels {
            schema = match wrap {
                "properties" => json!({"type": "object", "properties": {"a": schema}}),
                "items" => json!({"type": "array", "items": schema}),
                _ => {
                    json!({"anyOf": [{"type": "object", "properties": {"a": schema}}, {"type": "integer"}]})
                }
            };
        }
        for target in [SchemaTarget::Gemini, SchemaTarget::Claude] {
            let once = clean(&raw(&schema), target).unwrap();
            assert_eq!(check(&once, target, 0), Ok(()));
            let twice = clean(&raw(&once), target).unwrap();
            assert_eq!(once.to_string(), twice.to_string());
        }
    }
}
