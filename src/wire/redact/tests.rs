use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nmade-up picture \xfb\xff\xfe";

fn told(mime: &str, media: &[u8]) -> String {
    let digest = hex(&Sha256::digest(media));
    format!("[{mime}, {} bytes, sha256 {digest}]", media.len())
}

fn shown(body: &str) -> String {
    let (out, whole) = redact(body.as_bytes(), 1 << 20);
    assert!(whole);
    String::from_utf8(out).unwrap()
}

fn json_of(body: &Value) -> Value {
    serde_json::from_str(&shown(&body.to_string())).unwrap()
}

#[test]
fn media_of_every_form_becomes_type_size_and_digest() {
    let base64 = STANDARD.encode(PNG);
    let url = format!("data:image/png;base64,{base64}");
    let found = json_of(&json!({"messages": [{"role": "user", "content": [
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "image_url", "image_url": {"url": base64}},
        {"type": "input_audio", "input_audio": {"data": base64, "format": "wav"}},
        {"type": "file", "file": {"file_data": url, "filename": "a.png"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": base64}},
        {"type": "image_url", "image_url": url},
    ]}]}));
    let content = &found["messages"][0]["content"];
    let told = told("image/png", PNG);
    let in_url = format!("data:image/png;base64,{told}");
    assert_eq!(content[0]["text"], "what is this?");
    assert_eq!(content[1]["image_url"]["url"], in_url);
    assert_eq!(content[2]["image_url"]["url"], told);
    assert_eq!(content[3]["input_audio"]["data"], told);
    assert_eq!(content[3]["input_audio"]["format"], "wav");
    assert_eq!(content[4]["file"]["file_data"], in_url);
    assert_eq!(content[5]["source"]["data"], told);
    assert_eq!(content[5]["source"]["media_type"], "image/png");
    assert_eq!(content[6]["image_url"], in_url);
}

#[test]
fn escapes_breaks_and_other_alphabets_hide_nothing() {
    let base64 = STANDARD.encode(PNG);
    assert!(base64.contains('/') && base64.contains('+'));
    let told = told("image/png", PNG);
    let lines: Vec<&str> = [&base64[..12], &base64[12..24], &base64[24..]].to_vec();
    for written in [
        base64.replace('/', "\\/"),
        base64.replace('+', "\\u002B").replace('/', "\\u002f"),
        lines.join("\\n"),
        lines.join("\\r\\n"),
        lines.join(" "),
        base64.replace('+', "%2B").replace('/', "%2F"),
        URL_SAFE_NO_PAD.encode(PNG),
    ] {
        let found = shown(&format!(r#"{{"url":"data:image\/png;base64,{written}"}}"#));
        assert_eq!(
            found,
            format!(r#"{{"url":"data:image\/png;base64,{told}"}}"#)
        );
        let found = shown(&format!(r#"{{"data" : "{written}"}}"#));
        assert_eq!(found, format!(r#"{{"data" : "{told}"}}"#));
        let nested = format!(r#"{{"arguments":"{{\"data\":\"{base64}\"}}"}}"#);
        assert!(shown(&nested).contains(&told), "{}", shown(&nested));
    }
}

#[test]
fn media_within_text_and_streams_goes_and_the_text_around_it_stays() {
    let base64 = STANDARD.encode(PNG);
    let told = told("image/png", PNG);
    let text = format!("see ![it](data:image/png;base64,{base64}) and say");
    let wanted = format!("see ![it](data:image/png;base64,{told}) and say");
    assert_eq!(shown(&text), wanted);
    let long = vec![7; 3000];
    let event = format!(
        "data: {{\"delta\":{{\"signature\":\"{}\"}}}}\n\ndata: [DONE]\n\n",
        STANDARD.encode(&long)
    );
    let told = super::tests::told("unknown type", &long);
    let wanted = format!("data: {{\"delta\":{{\"signature\":\"{told}\"}}}}\n\ndata: [DONE]\n\n");
    assert_eq!(shown(&event), wanted);
}

#[test]
fn a_data_url_that_is_percent_encoded_goes_too() {
    let found = shown(r#"{"url":"data:image/svg+xml,%3Csvg%3E","n":1}"#);
    let told = told("image/svg+xml", b"<svg>");
    assert_eq!(
        found,
        format!(r#"{{"url":"data:image/svg+xml,{told}","n":1}}"#)
    );
    let said = r#"{"text":"data: all of it, please"}"#;
    assert_eq!(shown(said), said);
}

#[test]
fn what_is_no_media_stays_as_it_is() {
    for body in [
        "",
        r#"{"data":"short","url":"https://example.com/a/long/path/to/some/page.html"}"#,
        r#"{"messages":[{"role":"user","content":"a/b+c-d_e = fünf \u00e9 \n"}]}"#,
        "not JSON at all \u{1f980}",
        &format!(r#"{{"text":"{}"}}"#, "word ".repeat(1000)),
    ] {
        assert_eq!(shown(body), body);
    }
}

#[test]
fn what_is_too_long_is_cut_between_characters() {
    let (out, whole) = redact("é".repeat(1000).as_bytes(), 101);
    assert_eq!((out.len(), whole), (100, false));
    let (out, whole) = redact("a b ".repeat(1000).as_bytes(), 101);
    assert_eq!((out.len(), whole), (101, false));
    let picture = format!(r#"{{"data":"{}"}}"#, STANDARD.encode(vec![1; 1 << 20]));
    let (out, whole) = redact(picture.as_bytes(), 200);
    assert!(
        whole && out.len() < 200,
        "media counts with what replaces it"
    );
}

proptest! {
    #[test]
    fn no_picture_survives(media in prop::collection::vec(any::<u8>(), 12..3000), before: String, after: String) {
        let base64 = STANDARD.encode(&media);
        let body = json!({"text": before, "source": {"data": base64}, "more": after}).to_string();
        let found = shown(&body);
        prop_assert!(!found.contains(&base64));
        let found: Value = serde_json::from_str(&found).unwrap();
        prop_assert!(found["source"]["data"].as_str().unwrap().ends_with(&told("", &media)[1..]));
    }

    #[test]
    fn anything_is_read_and_the_bound_holds(body: Vec<u8>, limit in 0usize..200) {
        let (out, whole) = redact(&body, limit);
        prop_assert!(out.len() <= limit);
        prop_assert!(whole || !body.is_empty());
    }
}
