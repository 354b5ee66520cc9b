//! Rows as CSV (RFC 4180), safe for spreadsheets: they take a cell that begins like a formula for one, and names and errors come
//! from strangers.

use crate::server::admin::api::logs::LogRow;

/// The names of the columns.
pub(super) const HEAD: &[u8] = b"id,at,key,dialect,requested,model,stream,status,stop,error,fault,message,account,latency_ms,first_token_ms,queue_ms,input_tokens,output_tokens,cost_usd,losses\r\n";

/// Appends a row.
pub(super) fn write(row: &LogRow, out: &mut Vec<u8>) {
    let number = |n: Option<u64>| n.map_or_else(String::new, |n| n.to_string());
    let error = row.error.as_ref();
    let text = |text: Option<&String>| text.cloned().unwrap_or_default();
    let cells = [
        row.id.clone(),
        row.at.clone(),
        text(row.key.as_ref()),
        row.dialect.clone(),
        row.requested.clone(),
        text(row.model.as_ref()),
        row.stream.to_string(),
        row.status.to_string(),
        text(row.stop.as_ref()),
        text(error.map(|error| &error.kind)),
        text(error.map(|error| &error.fault)),
        text(error.map(|error| &error.message)),
        text(row.account.as_ref()),
        row.latency_ms.to_string(),
        number(row.first_token_ms),
        row.queue_ms.to_string(),
        number(row.input_tokens),
        number(row.output_tokens),
        row.cost_usd
            .map_or_else(String::new, |usd| format!("{usd:.9}")),
        row.losses.join("; "),
    ];
    for (at, cell) in cells.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        push(cell, out);
    }
    out.extend(b"\r\n");
}

fn push(cell: &str, out: &mut Vec<u8>) {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let quoted = formula || cell.contains([',', '"', '\r', '\n']);
    if !quoted {
        out.extend(cell.as_bytes());
        return;
    }
    out.push(b'"');
    if formula {
        out.push(b'\'');
    }
    out.extend(cell.replace('"', "\"\"").into_bytes());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(text: &str) -> String {
        let mut out = Vec::new();
        push(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        assert_eq!(cell("plain é"), "plain é");
        assert_eq!(cell(""), "");
        assert_eq!(cell("a,b"), "\"a,b\"");
        assert_eq!(cell("say \"hi\""), "\"say \"\"hi\"\"\"");
        assert_eq!(cell("two\nlines"), "\"two\nlines\"");
    }

    #[test]
    fn what_a_spreadsheet_would_run_is_a_text() {
        for text in ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"] {
            assert!(cell(text).starts_with("\"'"), "{text:?}: {}", cell(text));
        }
        assert_eq!(
            cell("=HYPERLINK(\"http://x\",\"y\")"),
            "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\""
        );
        assert_eq!(cell("a=1"), "a=1");
    }

    #[test]
    fn a_row_has_a_cell_for_each_name() {
        let row = LogRow {
            id: "01A".to_owned(),
            at: "now".to_owned(),
            key: None,
            dialect: "anthropic".to_owned(),
            requested: "=m".to_owned(),
            model: Some("m".to_owned()),
            stream: true,
            status: 200,
            stop: None,
            error: None,
            account: Some("a".to_owned()),
            latency_ms: 5,
            first_token_ms: Some(3),
            queue_ms: 0,
            input_tokens: Some(1),
            output_tokens: Some(2),
            cost_usd: Some(0.000_000_002),
            losses: vec!["x".to_owned(), "y".to_owned()],
        };
        let mut out = Vec::new();
        write(&row, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "01A,now,,anthropic,\"'=m\",m,true,200,,,,,a,5,3,0,1,2,0.000000002,x; y\r\n"
        );
        let names = HEAD.split(|b| *b == b',').count();
        assert_eq!(names, 20);
    }
}
